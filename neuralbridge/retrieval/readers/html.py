"""HTML: headings, paragraphs, lists, tables and code, in their order. Nothing is fetched."""

from selectolax.lexbor import LexborHTMLParser, LexborNode

from neuralbridge.retrieval.extract import Extract, ExtractBuilder
from neuralbridge.retrieval.readers.decode import clean, decode
from neuralbridge.retrieval.readers.kinds import Kind

LEFT_OUT = "script, style, noscript, template, nav, svg, head > *:not(title), iframe, object, form button"
# Text outside of these is a paragraph by itself
BREAKING = frozenset(
    """address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5
    h6 header hr html li main ol p pre section summary table ul br""".split()  # noqa: SIM905  # one per line is a page
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}


def read(raw: bytes, name: str, kind: Kind) -> Extract:
    return read_text(decode(raw))


def read_text(source: str, builder: ExtractBuilder | None = None) -> Extract:
    """HTML that is decoded already, after what the builder has."""
    builder = builder or ExtractBuilder("html")
    tree = LexborHTMLParser(source)
    title = tree.css_first("title")
    if builder.title is None and title is not None:
        builder.title = " ".join(title.text().split()) or None
    for node in tree.css(LEFT_OUT):
        node.decompose()
    root = tree.body or tree.root
    if root is not None:
        add(root, builder)
    return builder.build()


def add(root: LexborNode, builder: ExtractBuilder) -> None:
    """Everything below a node. Walked without recursion: a page may be nested as deeply as it likes."""
    paragraph: list[str] = []

    def end_paragraph() -> None:
        builder.paragraph(" ".join("".join(paragraph).split()))
        paragraph.clear()

    node: LexborNode | None = root.child
    while node is not None:
        tag = node.tag or ""
        inside = node.child
        if tag == "-text":
            paragraph.append(clean(node.text_content or ""))
        elif tag in HEADINGS:
            end_paragraph()
            builder.heading(HEADINGS[tag], clean(node.text()))
            inside = None
        elif tag == "pre":
            end_paragraph()
            builder.block(clean(node.text()))
            inside = None
        elif tag == "table" and node.css_first("table table") is None:
            end_paragraph()
            builder.block(rows_of(node))
            inside = None
        elif tag in BREAKING:
            end_paragraph()
            if tag == "li":
                paragraph.append("- ")
        if inside is not None:
            node = inside
            continue
        while node is not None and node.next is None:
            node = node.parent
            if node is None or node.mem_id == root.mem_id:
                node = None
                break
            if node.tag in BREAKING:
                end_paragraph()
        node = node.next if node is not None else None
    end_paragraph()


def rows_of(table: LexborNode) -> str:
    rows = []
    for row in table.css("tr"):
        cells = [" ".join(clean(cell.text()).split()) for cell in row.css("th, td")]
        if any(cells):
            rows.append(" | ".join(cells))
    return "\n".join(rows)
