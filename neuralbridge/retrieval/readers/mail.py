"""Mails (eml): who wrote to whom about what, and the text. What is attached is named only."""

from email import message_from_bytes
from email.message import MIMEPart
from email.policy import default

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder, one_line
from neuralbridge.retrieval.readers.encoding import decode, known
from neuralbridge.retrieval.readers.webpage import add_page

SHOWN = ("From", "To", "Cc", "Date")


def read_mail(raw: bytes) -> Extract:
    message = message_from_bytes(raw, policy=default)
    if message.get_content_type() == "multipart/encrypted":
        raise DocumentRefused("is encrypted", "encrypted")
    builder = ExtractBuilder("mail")
    subject = one_line(str(message.get("Subject", "")))
    builder.title = subject
    builder.heading(1, subject)
    builder.lines(f"{name}: {one_line(str(message[name]))}" for name in SHOWN if message[name])
    before = builder.length
    body = message.get_body(("plain", "html"))
    if body is not None:
        add_body(builder, body)
    names = [name for part in message.iter_attachments() if (name := one_line(part.get_filename() or ""))]
    if builder.length == before and not names and not subject:
        raise DocumentRefused("has no text", "no_text")
    if names:
        builder.paragraph("Attachments: " + ", ".join(names))
    return builder.build()


def add_body(builder: ExtractBuilder, body: MIMEPart) -> None:
    text = text_of(body)
    if body.get_content_subtype() == "html":
        add_page(builder, text)
    else:
        builder.paragraph(text)


def text_of(body: MIMEPart) -> str:
    raw = body.get_payload(decode=True)
    assert isinstance(raw, bytes)
    try:
        return raw.decode(known(body.get_content_charset("utf-8")) or "utf-8")
    except UnicodeError:  # it is another one
        return decode(raw)
