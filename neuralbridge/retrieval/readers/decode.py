"""Bytes to clean text. Pure."""

import re

from charset_normalizer import from_bytes

SAMPLE_BYTES = 256 * 1024
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\x00\x00": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Controls that mean nothing in a text, halves of surrogate pairs, and what is no character at all
UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def decode(raw: bytes) -> str:
    """By its byte order mark, as UTF-8, as UTF-16 without a mark, else as what it most looks like."""
    for mark, encoding in BOMS.items():
        if raw.startswith(mark):
            return clean(raw.decode(encoding, "replace"))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return clean(guess(raw))
    if "\0" in text[:4096] and (encoding := utf16(raw)):
        return clean(raw.decode(encoding, "replace"))
    return clean(text)


def clean(text: str) -> str:
    """One kind of line ending, and no characters that are none. A form feed or vertical tab ends a line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n").replace("\x0c", "\n")
    return UNWANTED.sub("", text)


def utf16(raw: bytes) -> str | None:
    sample = raw[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < 0.3 * len(sample) / 2:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def guess(raw: bytes) -> str:
    if encoding := utf16(raw):
        return raw.decode(encoding, "replace")
    best = from_bytes(raw[:SAMPLE_BYTES]).best()
    encoding = best.encoding if best is not None else "cp1252"
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return raw.decode("cp1252", "replace")
