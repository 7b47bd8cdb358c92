"""A search as typed: its words, and the filters among them. Pure.

file:"notes 2024" +must -mustnot before:2024-06-01 after:2023 the rest is what is looked for
"""

import re
from dataclasses import dataclass
from datetime import date

from neuralbridge.errors import InvalidParams
from neuralbridge.words import UNSPACED, identifiers, is_stop_word, pairs, words

TERMS = 24  # of a query that full text looks for; the rest is left to the vectors
FILTER = re.compile(
    r"""(?:(?<=\s)|^)(?:
        (?P<key>file|before|after):(?:"(?P<quoted>[^"]*)"|(?P<bare>\S+))
        | (?P<sign>[+-])(?:"(?P<phrase>[^"]+)"|(?P<word>[^\W\d_][^\s"]*))
    )(?=\s|$)""",
    re.VERBOSE,
)
DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class Query:
    """`text` is what is looked for by meaning; `terms` and `exact` by word: full-text phrases.

    `before` and `after` are ISO dates: the document's date is before the one, and not before the other.
    """

    text: str
    terms: tuple[str, ...]
    exact: tuple[str, ...]
    files: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None

    @property
    def filtered(self) -> bool:
        return bool(self.files or self.required or self.excluded or self.before or self.after)


def parse_query(typed: str, signs: bool = True) -> Query:
    """Read a search. Without `signs`, words after + and - are words, as in a question. Raises InvalidParams for a date
    that is none.
    """
    files: list[str] = []
    required: list[str] = []
    excluded: list[str] = []
    dates: dict[str, str] = {}
    filters = [match for match in FILTER.finditer(typed) if signs or match["key"]]
    for match in filters:
        value = match["quoted"] if match["quoted"] is not None else match["bare"]
        if match["key"] == "file":
            files.append(value)
        elif match["key"]:
            dates[match["key"]] = read_date(match["key"], value)
        elif phrase := " ".join(words(match["phrase"] or match["word"])):
            (required if match["sign"] == "+" else excluded).append(phrase)
    rest, end = "", 0
    for match in filters:
        rest, end = rest + typed[end : match.start()] + " ", match.end()
    text = " ".join((rest + typed[end:]).split())
    # What has to be there is looked for too.
    meant = " ".join([text, *required]).strip()
    return Query(
        meant,
        tuple(terms(meant)),
        tuple(phrase for name in identifiers(meant) if (phrase := " ".join(words(name)))),
        tuple(files),
        tuple(required),
        tuple(excluded),
        dates.get("before"),
        dates.get("after"),
    )


def terms(text: str) -> list[str]:
    """The words to look for: no stop words, unless there is nothing else."""
    found: list[str] = []
    for word in words(text):
        found += pairs(word) if UNSPACED.fullmatch(word) else [word]
    unique = [*dict.fromkeys(found)]
    return ([word for word in unique if not is_stop_word(word)] or unique)[:TERMS]


def read_date(key: str, value: str) -> str:
    """An ISO date of a year, a month or a day: its first day."""
    match = DATE.fullmatch(value)
    try:
        if match is None:
            raise ValueError
        year, month, day = (int(part) if part else 1 for part in match.groups())
        return date(year, month, day).isoformat()
    except ValueError:
        raise InvalidParams(f"{key}: must be a date such as 2024-05-31, 2024-05 or 2024, not {value[:40]!r}.") from None


def phrase(text: str) -> str:
    """Words as one FTS5 string, which means: in this order, one after the other."""
    return '"' + text.replace('"', '""') + '"'
