"""Markdown: the text as it is, with its headings, tables and code."""

from markdown_it import MarkdownIt

from neuralbridge.retrieval.extract import Block, Extract, Heading
from neuralbridge.retrieval.readers.decode import decode
from neuralbridge.retrieval.readers.kinds import Kind

BLOCKS = ("fence", "code_block", "table_open")


def read(raw: bytes, name: str, kind: Kind) -> Extract:
    text = decode(raw)
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    headings: list[Heading] = []
    blocks: list[Block] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for place, token in enumerate(tokens):
        if token.map is None:
            continue
        start, end = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
        if token.type == "heading_open" and token.level == 0:
            headings.append(Heading(start, int(token.tag[1:]), tokens[place + 1].content.strip()))
        elif token.type in BLOCKS and (not blocks or start >= blocks[-1].end):
            blocks.append(Block(start, end))
    title = headings[0].title if headings and headings[0].level == 1 else None
    return Extract("markdown", text, tuple(heading for heading in headings if heading.title), (), tuple(blocks), title)
