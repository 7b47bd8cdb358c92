"""Words as full text sees them: accents folded, identifiers kept, scripts without spaces cut in pairs. Pure."""

import re
import unicodedata

# What a question is made of in the languages of the page; searching for it finds everything.
ENGLISH = """hello hi hey thanks thank please ok okay yes a about an and any are as at be been but by can could
    did do does for from had has have how i if in into is it its me my no not of on or our shall should
    so some such tell than that the their them then there these they this to us was we were what when
    where which who whom whose why will with would you your"""
PORTUGUESE = """olá oi obrigado obrigada sim ao aos as com como da das de do dos e em essa esse esta este eu foi
    isso isto mais mas me na nas no nos num numa o os ou para pela pelo por porque qual quais quando que
    quem se sem ser seu sua sobre são tem um uma você"""
# Words that stand for something said before
REFERRING_WORDS = """it its they them their that this these those he she his her there ele ela eles elas dele dela
    deles delas isso isto esse essa este esta aquilo aquele aquela lá"""
REFERRING = frozenset(REFERRING_WORDS.split())
# Said to be polite: alone, they ask nothing
POLITE = """hello hi hey thanks thank you please ok okay yes no good great nice cool morning evening night bye goodbye
    olá oi obrigado obrigada sim não bom boa dia tarde noite tchau adeus"""
COURTESIES = frozenset(POLITE.split())
STOP_WORDS = frozenset([*ENGLISH.split(), *PORTUGUESE.split()])
WORD = re.compile(r"\w+")
PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
# Chinese, Japanese and Thai are written without spaces between words.
UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
# What is meant exactly as it stands has a digit beside a letter, a mark inside, or a capital inside:
# XK-204, 14(2)b, foo_bar, a.b.c, getUserName
IDENTIFIER = re.compile(r"(?=.*\d)(?=.*[^\W\d_]).+|.*\w[_.:/\\(-]\w.*|.*[a-z][A-Z].*")
IDENTIFIERS_IN = 2_000  # characters of a query that are looked through
LONGEST_IDENTIFIER = 80
AROUND = ".,;:!?\"'`()[]{}<>«»„“”"


def fold(text: str) -> str:
    """Lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


FOLDED_STOP_WORDS = frozenset(map(fold, STOP_WORDS))


def words(text: str) -> list[str]:
    """The words of a text, folded; an underscore ends a word, as in full text."""
    return WORD.findall(fold(text).replace("_", " "))


def is_stop_word(word: str) -> bool:
    """Whether a folded word says nothing by itself."""
    return word in FOLDED_STOP_WORDS


def pairs(run: str) -> list[str]:
    """A run of a script without spaces as overlapping pairs of characters."""
    return [run[place : place + 2] for place in range(max(1, len(run) - 1))]


def identifiers(query: str) -> list[str]:
    """Parts of a query that are meant exactly as they stand, in order."""
    found: dict[str, None] = {}
    for part in query[:IDENTIFIERS_IN].split():
        name = part.strip(AROUND)
        if len(name) <= LONGEST_IDENTIFIER and IDENTIFIER.fullmatch(name) and words(name):
            found[name] = None
    return [*found]


def extra_words(text: str) -> str:
    """What full text is given besides the text: parts of camelCase names, pairs of unspaced scripts."""
    found: dict[str, None] = {}
    for run in UNSPACED.findall(text):
        found.update(dict.fromkeys(pairs(unicodedata.normalize("NFKC", run))))
    for name in re.findall(r"\b\w*[a-z][A-Z]\w*\b", text):
        found.update(dict.fromkeys(part.lower() for part in PARTS.findall(name)))
    return " ".join(found)


def name_words(source: str) -> str:
    """A file's name as words: folders, the name in parts, without the ending that says its kind."""
    stem = re.sub(r"\.\w{1,5}$", "", source)
    return " ".join(part for word in WORD.findall(stem.replace("_", " ")) for part in PARTS.findall(word) or [word])
