"""A mail reads as who wrote to whom about what; what is attached is named, and stays where it is."""

import time
from email.message import EmailMessage

import pytest

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract
from neuralbridge.retrieval.readers.formats import read
from tests.retrieval.readers.shelf import read_or_refused


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = "<1@example.org>"
    message["From"] = "Ada Löve <ada@example.org>"
    message["To"] = "Alan <alan@example.org>"
    message["Date"] = "Tue, 02 Jan 2024 03:04:05 +0000"
    for name, value in headers.items():
        message[name] = value
    return message


def test_a_plain_mail() -> None:
    message = mail(Subject="Über Maschinen")
    message.set_content("They weave.\n\nAda")
    extract = read(message.as_bytes(), "a.eml")
    assert extract.text == (
        "Über Maschinen\n\nFrom: Ada Löve <ada@example.org>\nTo: Alan <alan@example.org>\n"
        "Date: Tue, 02 Jan 2024 03:04:05 +0000\n\nThey weave.\n\nAda"
    )
    assert (extract.kind, extract.title, extract.headings[0].title) == ("mail", "Über Maschinen", "Über Maschinen")


def test_plain_text_comes_before_html_and_attachments_are_named_only() -> None:
    message = mail(Subject="x")
    message.set_content("The plain text")
    message.add_alternative("<p>The HTML</p>", subtype="html")
    message.add_attachment(b"secret", maintype="application", subtype="pdf", filename="plan.pdf")
    text = read(message.as_bytes(), "a.eml").text
    assert text.endswith("The plain text\n\nAttachments: plan.pdf") and "HTML" not in text and "secret" not in text


def test_html_is_read_where_there_is_nothing_else() -> None:
    message = mail(Subject="x")
    message.set_content("<h2>Part</h2><p>Some <b>text</b><script>x</script>", subtype="html")
    extract = read(message.as_bytes(), "a.eml")
    assert extract.text.endswith("Part\n\nSome text") and extract.headings[1].title == "Part"


@pytest.mark.parametrize("charset", ["latin-1", "iso-8859-1", "nonsense", "hex", "us-ascii"])
def test_a_wrong_character_set_is_overcome(charset: str) -> None:
    raw = f"Message-ID: <1@x>\nSubject: x\nContent-Type: text/plain; charset={charset}\n\n".encode()
    assert read(raw + "Käse aus München".encode("latin-1"), "a.eml").text.endswith("Käse aus München")


def test_an_encrypted_mail_is_refused() -> None:
    raw = b'Message-ID: <1@x>\nSubject: x\nContent-Type: multipart/encrypted; boundary="b"\n\n--b\n\nx\n--b--\n'
    with pytest.raises(DocumentRefused, match="is encrypted"):
        read(raw, "a.eml")


def test_a_mail_of_nothing_but_headers_has_no_text() -> None:
    with pytest.raises(DocumentRefused, match="has no text"):
        read(b"Message-ID: <1@x>\nFrom: a@b\nSubject:\n\n\n", "a.eml")


@pytest.mark.parametrize("subtype", ["mixed", "alternative", "related"])
def test_parts_in_parts_without_end(subtype: str) -> None:
    nested = "".join(f'Content-Type: multipart/{subtype}; boundary="{n}"\n\n--{n}\n' for n in range(3_000))
    outcome = read_or_refused(f"Message-ID: <1@x>\nSubject: x\n{nested}\n\ntext".encode(), "a.eml")
    assert outcome.title == "x" if isinstance(outcome, Extract) else outcome.startswith("is broken")


def test_an_encoding_that_takes_the_square_of_a_text_is_not_believed() -> None:
    raw = "Message-ID: <1@x>\nSubject: x\nContent-Type: text/plain; charset=punycode\n\n" + "a" * 2_000_000 + "-bbb"
    start = time.monotonic()
    assert read(raw.encode(), "a.eml").text.endswith("a-bbb")
    assert time.monotonic() - start < 5
