"""JSON, one document or one on each line: verbatim, but for what nobody could read or find."""

import json
import re

from neuralbridge.retrieval.extract import Extract, clean

MAX_LINE = 1_000  # characters; beyond, it was written for machines
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
INDENT = "  "
MAX_INDENT = 12  # levels; deeper ones are not indented further, as hostile nesting would take a square of its length


def read_json(text: str) -> Extract | None:
    """None when it is no JSON, or none that Python's parser takes."""
    by_line = False
    if not is_json(text):
        by_line = all(is_json(line) for line in text.split("\n") if line.strip())
        if not by_line:
            return None
    if "\\u" in text or any(len(line) > MAX_LINE for line in text.split("\n")):
        text = "\n\n".join(map(laid_out, filter(str.strip, text.split("\n")))) if by_line else laid_out(text)
    return Extract("json", clean(text))


def is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=str)  # an int of many digits is refused
    except (ValueError, RecursionError):
        return False
    return True


def laid_out(text: str) -> str:
    """A value of JSON with a line for each member. Goes by its tokens, so that numbers stay as they were written."""
    parts: list[str] = []
    depth = 0
    before = ""
    for match in TOKEN.finditer(text):
        sign = match[0]
        if sign in "}]":
            depth -= 1
            if before not in ("{", "["):
                parts.append("\n" + INDENT * min(depth, MAX_INDENT))
        elif before in ("{", "[", ","):
            parts.append("\n" + INDENT * min(depth, MAX_INDENT))
        if sign in "{[":
            depth += 1
        parts.append(spelled_out(sign) if "\\u" in sign else ": " if sign == ":" else sign)
        before = sign
    return "".join(parts)


def spelled_out(string: str) -> str:
    """A string without the escapes of characters that need none, which nobody would find."""
    return json.dumps(json.loads(string), ensure_ascii=False)
