"""What kind of document a file is, by its content, and the reader for it. The name decides where content cannot."""

import re
from pathlib import PurePosixPath

from neuralbridge.errors import DocumentRefused, UnknownFormat
from neuralbridge.retrieval.extract import Extract, check_length, clean
from neuralbridge.retrieval.readers.book import read_epub
from neuralbridge.retrieval.readers.encoding import decode
from neuralbridge.retrieval.readers.mail import read_mail
from neuralbridge.retrieval.readers.markdown import read_markdown
from neuralbridge.retrieval.readers.notation import read_json
from neuralbridge.retrieval.readers.package import Prolog, open_package
from neuralbridge.retrieval.readers.pdf import read_pdf
from neuralbridge.retrieval.readers.plain import read_plain
from neuralbridge.retrieval.readers.rows import read_delimited
from neuralbridge.retrieval.readers.sheets import read_xlsx
from neuralbridge.retrieval.readers.slides import read_pptx
from neuralbridge.retrieval.readers.source import is_source
from neuralbridge.retrieval.readers.webpage import read_html
from neuralbridge.retrieval.readers.word import read_docx

NOT_READ = {  # by their first bytes
    b"{\\rtf": "an RTF document, which is not read; save it as .docx",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"\x1f\x8b": "a compressed file",
    b"BZh9": "a compressed file",
    b"\xfd7zXZ": "a compressed file",
    b"(\xb5/\xfd": "a compressed file",
    b"7z\xbc\xaf'": "an archive",
    b"Rar!\x1a": "an archive",
    b"SQLite format 3\x00": "a database",
    b"GGUF": "a model",
}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # what Office wrote before 2007, and wraps what is encrypted in today
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
HTML = re.compile(r"(?:\s|<\?xml[^>]*>|<!--.*?-->)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
XML = re.compile(r"\s*<(?:\?xml|!doctype|svg)\b", re.IGNORECASE)
MAIL_HEADER = re.compile(r"(?:[A-Za-z][\w-]*:.*\n(?:[ \t].*\n)*){2,}\n")
MAIL_SIGNS = re.compile(r"^(?:received|message-id|mime-version|dkim-signature):", re.IGNORECASE | re.MULTILINE)
SNIFFED = 20_000  # characters
MARKDOWN = {"md", "markdown", "mdown", "mkd", "mdx", "rmd", "qmd"}
JSON = {"json", "jsonl", "ndjson", "geojson", "ipynb"}
DELIMITED = {"csv", "tsv", "tab"}
PAGES = {"html", "htm", "xhtml"}


def read(raw: bytes, name: str) -> Extract:
    """What is in a document of this name. Raises DocumentRefused, with what is wrong with it."""
    if not raw.strip():
        raise DocumentRefused("is empty", "empty")
    try:
        extract = extracted(raw, name)
    except (DocumentRefused, MemoryError):
        raise
    except Exception as error:  # whatever a library says of a broken file, or fails to say
        raise DocumentRefused(f"is broken: it cannot be read ({type(error).__name__})", "broken") from error
    return checked(extract)


def read_text(text: str, name: str) -> Extract:
    """A text that came as one. Raises DocumentRefused."""
    check_length(len(text))
    return checked(verbatim(clean(text), name))


def checked(extract: Extract) -> Extract:
    check_length(len(extract.text))
    if not extract.text.strip():
        raise DocumentRefused("has no text", "no_text")
    return extract


def extracted(raw: bytes, name: str) -> Extract:
    for start, what in NOT_READ.items():
        if raw.startswith(start):
            raise UnknownFormat(f"is {what}")
    if raw.startswith(OLE):
        if ENCRYPTED_PACKAGE in raw:
            raise DocumentRefused("is encrypted", "encrypted")
        raise UnknownFormat("is of Office before 2007, which is not read; save it as .docx, .xlsx or .pptx")
    if raw[:1024].lstrip(b"\xef\xbb\xbf\x00 \t\r\n").startswith(b"%PDF-"):
        return read_pdf(raw)
    if raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return packaged(raw)
    return written(raw, name)


def packaged(raw: bytes) -> Extract:
    package = open_package(raw)
    members = {*package.namelist()}
    if "META-INF/container.xml" in members:
        return read_epub(package)
    if "[Content_Types].xml" in members:
        for folder, reader in (("word/", read_docx), ("xl/", read_xlsx), ("ppt/", read_pptx)):
            if any(member.startswith(folder) for member in members):
                return reader(raw)
    raise UnknownFormat("is an archive")


def written(raw: bytes, name: str) -> Extract:
    text = decode(raw)
    check_length(len(text))
    if HTML.match(text[:SNIFFED]):
        return read_html(text)
    if XML.match(text):
        Prolog().feed(raw)
        return Extract("xml", text)
    header = MAIL_HEADER.match(text[:SNIFFED])
    if header and (MAIL_SIGNS.search(header[0]) or ending(name) == "eml"):
        return read_mail(raw)
    return named(text, name)


def named(text: str, name: str) -> Extract:
    """What content cannot tell apart: text, Markdown, source code, tables, JSON, pieces of HTML."""
    match ending(name):
        case kind if kind in PAGES and "<" in text:
            return read_html(text)
        case kind if kind in DELIMITED:
            return read_delimited(text)
        case kind if kind in JSON and (extract := read_json(text)):
            return extract
    return verbatim(text, name)


def verbatim(text: str, name: str) -> Extract:
    if ending(name) in MARKDOWN:
        return read_markdown(text)
    return Extract("code", text) if is_source(name) else read_plain(text)


def ending(name: str) -> str:
    return PurePosixPath(name.lower()).suffix.removeprefix(".")
