"""Markdown: verbatim, with its headings, tables and pieces of code."""

import re
from itertools import accumulate

from markdown_it import MarkdownIt

from neuralbridge.retrieval.extract import Block, Extract, Heading

# Blocks only: what stands inside of a paragraph is text to us
PARSER = MarkdownIt("commonmark").enable("table").disable("inline")
FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
FRONT_TITLE = re.compile(r"""^title:[ \t]*["']?(.+?)["']?[ \t]*$""", re.MULTILINE)
LINKED = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])")
MARKUP = re.compile(r"(\*\*|__|[*`]|\{#[\w-]+\}$|<[^<>]{1,200}>)")


def read_markdown(text: str) -> Extract:
    front = FRONT_MATTER.match(text)
    # As many lines, but blank: what a parser without this extension sees there is a rule and a heading
    body = "\n" * text[: front.end()].count("\n") + text[front.end() :] if front else text
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    headings: list[Heading] = []
    blocks: list[Block] = []
    tokens = PARSER.parse(body)
    for index, token in enumerate(tokens):
        if token.map is None:
            continue
        start, end = starts[token.map[0]], min(starts[token.map[1]], len(text))
        if token.type == "heading_open" and (title := without_markup(tokens[index + 1].content)):
            headings.append(Heading(start, int(token.tag[1:]), title))
        elif token.type in ("fence", "code_block", "table_open"):
            blocks.append(Block(start, start + len(text[start:end].rstrip())))
    own_title = FRONT_TITLE.search(front[1]) if front else None
    first = next((heading.title for heading in headings if heading.level == 1), None)
    return Extract(
        "markdown",
        text,
        headings=tuple(headings),
        blocks=tuple(blocks),
        title=own_title[1] if own_title else first,
    )


def without_markup(title: str) -> str:
    return " ".join(MARKUP.sub("", LINKED.sub(r"\1", title)).split())
