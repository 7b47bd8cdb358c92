"""Names written with `*`, and endings written with `#`. Pure, and never slower than name times pattern is long."""

DIGITS = frozenset("0123456789")


def matches(pattern: str, name: str) -> bool:
    """Whether `name` is what `pattern` says, where `*` is any text, also none."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, last = rest
    at, end = len(first), len(name) - len(last)
    if at > end or not (name.startswith(first) and name.endswith(last)):
        return False
    for part in middle:  # the first place there is leaves the most room for the others: nothing is ever tried twice
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def specificity(pattern: str) -> tuple[int, int]:
    """What orders patterns, the most specific first: more letters that have to be there, then fewer `*`."""
    stars = pattern.count("*")
    return stars - len(pattern), stars


def without_ending(name: str, endings: tuple[str, ...]) -> str:
    """`name` without the first of the endings that it has, where `#` is any digit; `name` itself where it has none."""
    for ending in endings:
        stem, tail = name[: -len(ending)], name[-len(ending) :]
        if stem and len(tail) == len(ending) and all(map(fits, ending, tail)):
            return stem
    return name


def fits(wanted: str, letter: str) -> bool:
    return letter in DIGITS if wanted == "#" else letter == wanted
