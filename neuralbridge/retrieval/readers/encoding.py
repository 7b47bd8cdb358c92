"""The text in a file of unknown encoding, or the refusal of what is no text."""

import re
import unicodedata

from charset_normalizer import from_bytes

from neuralbridge.errors import UnknownFormat
from neuralbridge.retrieval.extract import UNWANTED, clean

MARKS = {  # the wider first: UTF-32's little-endian mark begins with that of UTF-16
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# What is in use where people do not write UTF-8. Among all that Python knows, the detection is wrong more often.
LEGACY = [
    *("cp1252", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "koi8_r"),
    *("cp1250", "iso8859_2", "cp1253", "cp1254", "cp1255", "cp1256"),
]
DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w-]{3,20})""", re.IGNORECASE)
DECLARABLE = {
    *("us_ascii", "utf_8", "utf8", "latin_1", "iso8859_1", "iso8859_15", "shift_jis", "iso_2022_jp", "euc_kr"),
    *("gbk", "gb2312", "big5hkscs", "koi8_u", *LEGACY),
}
OVERSTRUCK = re.compile(".\x08")  # how manual pages print bold: S\bSY\bY
SAMPLE_BYTES = 16_384
SAMPLE_CHARACTERS = 20_000
MAX_JUNK = 0.02  # of all characters; random bytes have ten times as many


def decode(raw: bytes) -> str:
    """The text, its line ends normalised and without control characters. Raises UnknownFormat."""
    text = decoded(raw)
    if "\x08" in text:
        text = OVERSTRUCK.sub("", text)
    sample = text[:SAMPLE_CHARACTERS] + text[-SAMPLE_CHARACTERS:]
    if sum(map(is_junk, sample)) > MAX_JUNK * len(sample):
        raise UnknownFormat("is not text, and of no other kind that is read")
    return clean(text)


def decoded(raw: bytes) -> str:
    for mark, encoding in MARKS.items():
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return unmarked_utf16(raw) or in_legacy(raw)
    # Valid as UTF-8 too, UTF-16 has a control character beside most letters; a few zeros are an accident
    controls = len(UNWANTED.findall(text[:SAMPLE_CHARACTERS]))
    return (unmarked_utf16(raw) or text) if controls * 4 > len(text[:SAMPLE_CHARACTERS]) else text


def unmarked_utf16(raw: bytes) -> str | None:
    """The text of UTF-16 without a mark. What is ASCII in it, if only its spaces, has its zeros all on one side."""
    sample = raw[:SAMPLE_BYTES]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if min(even, odd) * 4 > max(even, odd) or even == odd or len(raw) % 2:
        return None
    try:
        return raw.decode("utf-16-le" if odd > even else "utf-16-be")
    except UnicodeDecodeError:
        return None


def in_legacy(raw: bytes) -> str:
    match = DECLARED.search(raw[:2048]) if raw.lstrip().startswith(b"<") else None
    if match is not None and (declared := known(match[1].decode())):
        return raw.decode(declared, "replace")
    # Lines in plain ASCII tell nothing
    sample = b"\n".join(line for line in raw.split(b"\n") if not line.isascii())[:SAMPLE_BYTES]
    matches = from_bytes(sample, cp_isolation=LEGACY)
    best = matches.best()
    if best is None:
        return almost_utf8(raw) or raw.decode("cp1252", "replace")
    alike = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
    western = any("cp1252" in match.could_be_from_charset for match in alike)
    return almost_utf8(raw) or raw.decode("cp1252" if western else best.encoding, "replace")


def known(name: str) -> str | None:
    """The encoding of this name, if documents are written in it. Others that Python knows take the square of a text."""
    name = name.lower().replace("-", "_").replace("windows_", "cp").replace("iso_8859", "iso8859")
    return name if name in DECLARABLE else None


def almost_utf8(raw: bytes) -> str | None:
    """The text of UTF-8 with a few wrong bytes, such as a character cut in half."""
    text = raw.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = len(raw) - len(text)  # bytes beyond the first of a character; each wrong one counts against itself
    return text if wrong * 10 < right else None


def is_junk(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs") and character not in "\t\n\r\f\x0b\x1b\x85"
