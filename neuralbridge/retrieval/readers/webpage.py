"""HTML: the text that a page shows, without its menus. Nothing that it names is fetched."""

import re
from collections import Counter
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder, one_line

HIDDEN = {"head", "script", "style", "template", "noscript", "svg", "iframe", "object", "select", "button", "-comment"}
MENUS = {"nav", "footer"}
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = set(
    """p div section article main header footer nav aside address blockquote dl dt dd figure figcaption form fieldset hr
    details summary table caption thead tbody tfoot tr td th center ul ol menu body html""".split()  # noqa: SIM905  # one per line is a page
)
LISTS = {"ul", "ol", "menu"}
SPACE = re.compile(r"[ \t\n\r\f]+")
BLANKS = re.compile(r" {2,}")
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1|\Z)", re.DOTALL | re.IGNORECASE)
# Those that never nest in themselves, and are often left open
FLAT = set("p li td th tr dt dd option br img hr input meta link col area base wbr source embed".split())  # noqa: SIM905
XHTML = "http://www.w3.org/1999/xhtml"
CLOSED = re.compile(
    r"<([a-zA-Z][\w-]*)([^<>]*)/>"
)  # in XHTML an element may end where it begins; in HTML it stays open
MAX_NESTING = 3_000  # the parser takes the square of it: 0.1 s; three minutes for 100,000


def read_html(text: str) -> Extract:
    builder = ExtractBuilder("html")
    add_page(builder, text)
    return builder.build()


def add_page(builder: ExtractBuilder, text: str) -> None:
    """Add what a page shows; it names the document if nothing has yet."""
    if XHTML in text[:2_000]:
        text = CLOSED.sub(r"<\1\2></\1>", text)
    check_nesting(text)
    root = LexborHTMLParser(text).root
    if root is None:
        return
    title = root.css_first("title")
    builder.title = builder.title or (title.text() if title else None)
    before = builder.length
    Writer(builder, HIDDEN | MENUS).write(root)
    if builder.length == before:  # it is a menu
        Writer(builder, HIDDEN).write(root)


def check_nesting(text: str) -> None:
    """Raises DocumentRefused."""
    opened: Counter[str] = Counter()
    for match in TAG.finditer(UNSEEN.sub("", text)):
        name = match[2].lower()
        if name not in FLAT:
            opened[name] += -1 if match[1] and opened[name] else not match[1]
    if opened.total() > MAX_NESTING:
        raise DocumentRefused(f"nests its elements more than {MAX_NESTING:,} deep", "unreadable")


def walk(root: LexborNode, hidden: set[str]) -> Iterator[tuple[LexborNode, str, bool]]:
    """Each node on the way down, and each element on the way up (True). Without recursion: depth is the author's."""
    open_elements: list[tuple[LexborNode, str]] = []
    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or ""
        if tag not in hidden:
            yield node, tag, False
            if child := node.child:
                open_elements.append((node, tag))
                node = child
                continue
            yield node, tag, True
        while node.next is None and open_elements:
            node, tag = open_elements.pop()
            yield node, tag, True
        node = node.next if open_elements else None


def nesting_tables(root: LexborNode) -> set[int]:
    """Tables that hold tables: made for looks, so their cells are read like paragraphs."""
    found: set[int] = set()
    tables: list[int] = []
    for node, tag, leaving in walk(root, set()):
        if tag == "table" and leaving:
            tables.pop()
        elif tag == "table":
            found.update(tables[-1:])
            tables.append(node.mem_id)
    return found


class Writer:
    """Writes what it walks past into a builder."""

    def __init__(self, builder: ExtractBuilder, hidden: set[str]) -> None:
        self._builder = builder
        self._hidden = hidden
        self._pieces: list[str] = []  # of the paragraph, heading or cell under way
        self._lists = 0
        self._verbatim = 0
        self._rows: list[list[str]] | None = None  # of the table under way

    def write(self, root: LexborNode) -> None:
        for_looks = nesting_tables(root)
        for node, tag, leaving in walk(root, self._hidden):
            if node.is_text_node:
                if not leaving:
                    text = node.text_content or ""
                    self._pieces.append(text if self._verbatim else SPACE.sub(" ", text))
            elif tag == "br":
                self._pieces.append("" if leaving else "\n")
            elif self._rows is not None:
                self._in_table(self._rows, tag, leaving)
            elif tag == "table" and not leaving and node.mem_id not in for_looks:
                self._flush()
                self._rows = []
            else:
                self._in_flow(tag, leaving)
        self._flush()

    def _in_flow(self, tag: str, leaving: bool) -> None:
        if tag == "pre":
            if leaving:
                self._builder.block(self._text())
            else:
                self._flush()
            self._verbatim += -1 if leaving else 1
        elif self._verbatim:
            return
        elif tag in HEADINGS:
            if leaving:
                self._builder.heading(HEADINGS[tag], self._text())
            else:
                self._flush()
        elif tag in LISTS:
            self._lists += -1 if leaving else 1
            if self._lists == (0 if leaving else 1):
                self._flush()
        elif tag == "li":
            self._pieces.append("" if leaving else "\n- ")
        elif tag in BLOCKS:
            if self._lists:  # an item is a line
                self._pieces.append(" ")
            else:
                self._flush()

    def _in_table(self, rows: list[list[str]], tag: str, leaving: bool) -> None:
        if tag == "table" and leaving:
            self._end_row(rows)
            self._rows = None
            self._builder.block("\n".join(" | ".join(row) for row in rows if any(row)))
        elif tag == "tr" or (tag == "caption" and leaving):
            self._end_row(rows)
            rows.append([])
        elif tag in ("td", "th"):
            if leaving and rows:
                rows[-1].append(one_line(self._text()))
        elif tag in BLOCKS or tag == "li":
            self._pieces.append(" ")

    def _end_row(self, rows: list[list[str]]) -> None:
        """What stands in no cell, a caption, is a row of its own."""
        if text := one_line(self._text()):
            rows.append([text])

    def _flush(self) -> None:
        lines = (BLANKS.sub(" ", line).strip() for line in self._text().split("\n"))
        self._builder.paragraph("\n".join(line for line in lines if line not in ("", "-")))

    def _text(self) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        return text
