"""PDF, by pypdfium2: the text of each page, its lines joined to paragraphs, bookmarks as headings."""

import re
from collections import defaultdict

import pypdfium2
import pypdfium2.raw

from neuralbridge.errors import DocumentRefused, DocumentTooLarge
from neuralbridge.retrieval.extract import Extract, ExtractBuilder, one_line
from neuralbridge.retrieval.readers.running import without_running_lines

MAX_PAGES = 5_000
MAX_BOOKMARKS = 5_000
MAX_LEVEL = 6
# A word that was parted at the end of a line. pdfium marks most of them; a capital after it makes two words of it.
PARTED = re.compile("(?:[\x02\ufffe]\n?|(?<=[a-zß-ÿ])-\n)(?=[a-zß-ÿ])")
MARKED = re.compile("[\x02\ufffe]\n?")
SENTENCE_END = re.compile(r"""[.!?:;]["'\u201d\u2019)\]]*$""")
LIST_ITEM = re.compile(r"\s*(?:[•▪◦‣*\u2013-]|\(?\w{1,3}[.)])\s")
FULL_LINE = 0.75  # of the page's usual length; a paragraph may end on a line that is shorter


def read_pdf(raw: bytes) -> Extract:
    try:
        document = pypdfium2.PdfDocument(raw)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY):
            raise DocumentRefused("is encrypted", "encrypted") from error
        raise DocumentRefused("is broken: it cannot be opened as a PDF", "broken") from error
    try:
        return extract(document)
    finally:
        document.close()


def extract(document: pypdfium2.PdfDocument) -> Extract:
    if len(document) > MAX_PAGES:
        raise DocumentTooLarge(f"has {len(document):,} pages; at most {MAX_PAGES:,} are read")
    builder = ExtractBuilder("pdf")
    builder.title = document.get_metadata_value("Title")
    bookmarks = bookmarks_of(document)
    for number, text in enumerate(without_running_lines([text_of(document, index) for index in range(len(document))])):
        builder.page(number + 1)
        add_page(builder, paragraphs(text), bookmarks[number])
    if not builder.length:
        raise DocumentRefused("has no text; scanned pages need OCR first", "no_text")
    return builder.build()


def text_of(document: pypdfium2.PdfDocument, index: int) -> str:
    try:
        page = document[index]
    except pypdfium2.PdfiumError:  # one page of many may be damaged
        return ""
    textpage = page.get_textpage()
    try:
        text: str = textpage.get_text_bounded()
    finally:
        textpage.close()
        page.close()
    return MARKED.sub("-", PARTED.sub("", text.replace("\r\n", "\n").replace("\xad", "")))


def paragraphs(text: str) -> list[str]:
    """Lines joined where a sentence goes on, so that it is not the width of a page that parts them."""
    lines = text.split("\n")
    lengths = sorted(len(line) for line in lines if line.strip())
    usual = lengths[len(lengths) * 3 // 4] if lengths else 0
    joined: list[str] = []
    goes_on = False
    for line in map(str.rstrip, lines):
        if goes_on and line and not LIST_ITEM.match(line):
            joined[-1] += " " + line.lstrip()
        else:
            joined.append(line)
        goes_on = bool(line) and len(line) >= FULL_LINE * usual > 30
        if not goes_on and SENTENCE_END.search(line):
            joined.append("")
    return joined


def add_page(builder: ExtractBuilder, lines: list[str], bookmarks: list[tuple[int, str]]) -> None:
    """The text of a page, with the lines that bookmarks point to as headings."""
    waiting = {key(title): level for level, title in bookmarks}
    part: list[str] = []
    for line in lines:
        level = waiting.pop(key(line), None) if waiting else None
        if level is None:
            part.append(line)
        else:
            builder.paragraph("\n".join(part))
            builder.heading(level, line)
            part = []
    builder.paragraph("\n".join(part))


def key(title: str) -> str:
    """A title without what differs between a bookmark and the line: numbers, spaces, case."""
    return re.sub(r"[\W\d_]+", "", title).casefold()


def bookmarks_of(document: pypdfium2.PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """Level and title of the bookmarks of each page."""
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for count, bookmark in enumerate(document.get_toc(max_depth=MAX_LEVEL)):
        if count == MAX_BOOKMARKS:
            break
        destination = bookmark.get_dest()
        index = destination.get_index() if destination is not None else None
        if index is not None and (title := one_line(bookmark.get_title())):
            found[index].append((bookmark.level + 1, title))
    return found
