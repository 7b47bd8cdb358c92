"""E-mails: who wrote to whom and when, and the text. Attachments are named, not read."""

from email import message_from_bytes, policy
from email.message import EmailMessage

from neuralbridge.retrieval.extract import Extract, ExtractBuilder
from neuralbridge.retrieval.readers.decode import clean, decode
from neuralbridge.retrieval.readers.html import read_text
from neuralbridge.retrieval.readers.kinds import Kind

HEADERS = ("From", "To", "Cc", "Date")


def read(raw: bytes, name: str, kind: Kind) -> Extract:
    message = message_from_bytes(raw, _class=EmailMessage, policy=policy.default)
    builder = ExtractBuilder("eml")
    subject = clean(str(message.get("Subject") or "")).strip()
    builder.title = subject or None
    builder.heading(1, subject)
    builder.paragraph("\n".join(f"{header}: {clean(str(message[header]))}" for header in HEADERS if message[header]))
    body = message.get_body(preferencelist=("plain", "html"))
    if body is not None:
        text = text_of(body)
        if body.get_content_subtype() == "html":
            read_text(text, builder)
        else:
            builder.paragraph(text)
    names = [clean(part.get_filename() or "") for part in message.iter_attachments()]
    builder.paragraph("\n".join(f"Attachment: {attached}" for attached in names if attached))
    return builder.build()


def text_of(part: EmailMessage) -> str:
    try:
        return clean(str(part.get_content()))
    except (LookupError, UnicodeError):  # a charset nobody knows
        payload = part.get_payload(decode=True)
        return decode(payload) if isinstance(payload, bytes) else ""
