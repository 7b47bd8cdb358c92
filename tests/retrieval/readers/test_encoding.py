"""Bytes become the text that was meant, or are refused: what comes out is always valid and free of control signs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.errors import UnknownFormat
from neuralbridge.retrieval.extract import UNWANTED
from neuralbridge.retrieval.readers.encoding import decode

FRENCH = "Les élèves français étaient très gênés par la façon dont l'été s'était passé. Où êtes-vous allés à Noël ?\n"
GERMAN = "Die Größe der Straße überrascht die Bürger in Köln; schöne Grüße an alle Mädchen und Jungen.\n"
POLISH = "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi pod względem swej godności.\n"
RUSSIAN = "Это обычный русский текст, который нужно правильно прочитать. Спасибо большое.\n"
GREEK = "Αυτό είναι ένα ελληνικό κείμενο για δοκιμή της κωδικοποίησης.\n"  # noqa: RUF001
JAPANESE = "日本語の文章をここに書きます。これはテストです。カタカナも使います。\n"
CHINESE = "这是一个用于测试的中文文本，我们希望能够正确地识别编码。\n"  # noqa: RUF001
KOREAN = "이것은 인코딩 감지를 위한 한국어 텍스트입니다. 감사합니다.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((text, encoding) for text in (FRENCH, GERMAN) for encoding in ("latin-1", "cp1252")),
        *((text, encoding) for text in (POLISH,) for encoding in ("cp1250", "iso8859_2")),
        *((RUSSIAN, encoding) for encoding in ("cp1251", "koi8_r")),
        (GREEK, "cp1253"),
        *((JAPANESE, encoding) for encoding in ("cp932", "euc_jp")),
        (CHINESE, "gb18030"),
        (KOREAN, "cp949"),
        ("“Smart quotes” — and the price is 5 € for the naïve…\n", "cp1252"),
        ("café crème", "latin-1"),
        *(
            (text, encoding)
            for text in (FRENCH, RUSSIAN, JAPANESE, "Plain ASCII.\n", "Hi \N{GRINNING FACE}\n")
            for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
            if not (text.isascii() and encoding == "utf-8-sig")
        ),
    ],
)
def test_a_text_reads_as_it_was_written(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_a_long_ascii_beginning_hides_no_other_encoding() -> None:
    text = "plain line\n" * 20_000 + FRENCH
    assert decode(text.encode("cp1252")) == text


def test_a_page_says_its_encoding_itself() -> None:
    text = '<html><meta charset="Windows-1251"><p>Да'
    assert decode(text.encode("cp1251")) == text


@pytest.mark.parametrize("name", ["utf-7", "punycode", "hex", "unicode_escape", "nonsense"])
def test_an_encoding_that_no_page_has_is_not_believed(name: str) -> None:
    assert "Stra" in decode(f'<html><meta charset="{name}"><p>'.encode() + "Straße in Köln".encode("latin-1"))


def test_utf_8_with_a_character_cut_in_half_stays_utf_8() -> None:
    assert decode((JAPANESE * 3).encode()[:-2]) == (JAPANESE * 3)[:-2] + "\ufffd"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        (b"a\x00b and much more text, so that one zero is an accident " * 3, "ab and much more"),
        (b"S\x08SE\x08EE\x08E A\x08AL\x08LS\x08SO\x08O", "SEE ALSO"),
        ("one\u2028two\u2029three\x85four".encode(), "one\ntwo\nthree\nfour"),
    ],
)
def test_what_no_text_has_is_taken_out(raw: bytes, text: str) -> None:
    assert decode(raw).startswith(text)


@pytest.mark.parametrize(
    "raw",
    [
        *(random.Random(1).randbytes(100_000), random.Random(2).randbytes(333), bytes(range(256)), b"\x00" * 100),
        *(b"\x00\x01\x02\x03" * 50, b"\xff\xfe" + random.Random(3).randbytes(5_000)),
    ],
)
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(UnknownFormat):
        decode(raw)


@given(st.binary(max_size=300))
def test_what_comes_out_is_valid_text(raw: bytes) -> None:
    try:
        text = decode(raw)
    except UnknownFormat:
        return
    text.encode()
    assert not UNWANTED.search(text) and "\r" not in text
