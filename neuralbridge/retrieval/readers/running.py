"""Lines that run at the head or foot of page after page: a report's name, "page 7 of 90". They say nothing there."""

import re
from collections import Counter

DIGITS = re.compile(r"\d+")
MIN_PAGES = 4
SHARE = 0.6  # of the pages


def without_running_lines(pages: list[str]) -> list[str]:
    """The pages without first and last lines that most of them have, but for their numbers."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({shape(line) for line in edges(page)})
    limit = max(MIN_PAGES, SHARE * len(pages))
    running = {line for line, count in seen.items() if count >= limit}
    return [without_edges(page, running) for page in pages] if running else pages


def edges(page: str) -> list[str]:
    lines = page.strip().split("\n")
    return [lines[0], lines[-1]] if lines[0] else []


def without_edges(page: str, running: set[str]) -> str:
    lines = page.strip().split("\n")
    if shape(lines[0]) in running:
        lines = lines[1:]
    if lines and shape(lines[-1]) in running:
        lines = lines[:-1]
    return "\n".join(lines)


def shape(line: str) -> str:
    return DIGITS.sub("0", line.strip())
