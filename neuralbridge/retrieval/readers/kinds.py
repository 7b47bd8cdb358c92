"""What a document is: by its content, and by its name where content cannot tell. Pure."""

import re
import zipfile
from io import BytesIO
from typing import Literal

from neuralbridge.errors import DocumentRefused, UnknownFormat

Kind = Literal["text", "code", "json", "markdown", "html", "pdf", "docx", "pptx", "xlsx", "csv", "epub", "eml"]

BY_NAME: dict[str, Kind] = {
    **dict.fromkeys(("md", "markdown", "mdown", "mkd"), "markdown"),
    **dict.fromkeys(("htm", "html", "xhtml"), "html"),
    **dict.fromkeys(("csv", "tsv"), "csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson", "geojson"), "json"),
    **dict.fromkeys(("eml", "mht"), "eml"),
    **dict.fromkeys(
        """asm bash bat c cc clj cmake conf cpp cs css cxx dart el elm erl ex exs f90 fs go gradle graphql groovy h hpp
        hs ini java jl js jsx kt kts less lisp lua m mk ml mm nim php pl pm proto ps1 py pyi r rb rs sass scala scm scss
        sh sol sql swift tcl tex tf toml ts tsx v vb vhd vue xml yaml yml zig zsh""".split(),  # noqa: SIM905  # one per line is a page
        "code",
    ),
}
OFFICE: dict[str, Kind] = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.xml": "xlsx"}
# The beginnings of what people mistake for documents, or send for fun
BINARY = {
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"RIFF": "a recording",
    b"ID3": "a recording",
    b"\x1f\x8b": "a compressed file",
    b"7z\xbc\xaf": "an archive",
    b"Rar!": "an archive",
    b"GGUF": "a model",
    b"SQLite format 3": "a database",
    b"%!PS": "a PostScript file",
    b"{\\rtf": "an RTF file: save it as docx",
}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # old Word files, and new ones that are encrypted
HTML = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
MAIL = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]*:[^\n]*\r?\n(?:[ \t][^\n]*\r?\n)*){2,}\r?\n")
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def kind_of(raw: bytes, name: str, text_only: bool) -> Kind:
    """Raises UnknownFormat, and DocumentRefused for what is encrypted."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    by_name = BY_NAME.get(ending, "text")
    if text_only:
        return by_name
    if b"%PDF-" in raw[:1024]:
        return "pdf"
    if raw.startswith(b"PK\x03\x04"):
        return kind_of_zip(raw, name)
    if raw.startswith(OLE):
        encrypted = "EncryptedPackage".encode("utf-16-le") in raw
        if encrypted:
            raise DocumentRefused(f"{name} is encrypted; save it without a password.")
        raise UnknownFormat(f"{name} is of an old Office format; save it as docx, pptx or xlsx.")
    for beginning, what in BINARY.items():
        if raw.startswith(beginning):
            raise UnknownFormat(f"{name} is {what}, not a document that can be read.")
    if is_binary(raw):
        raise UnknownFormat(f"{name} is not text and of no kind that can be read.")
    if ending in ("pdf", "docx", "pptx", "xlsx", "epub"):
        raise UnknownFormat(f"{name} is not what its name says: it has no {ending} content.")
    if HTML.match(raw[:4096]):
        return "html"
    if by_name == "text" and raw.lstrip()[:9].lower().startswith((b"from:", b"received:", b"return-pa", b"delivered")):
        return "eml" if MAIL.match(raw.lstrip()[:65536]) else "text"
    return by_name


def kind_of_zip(raw: bytes, name: str) -> Kind:
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            entries = archive.infolist()
            members = {entry.filename for entry in entries}
            if any(entry.flag_bits & 1 for entry in entries):
                raise DocumentRefused(f"{name} is encrypted; save it without a password.")
            if "mimetype" in members and archive.getinfo("mimetype").file_size < 100:
                kind = archive.read("mimetype").strip()
                if kind == b"application/epub+zip":
                    return "epub"
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise DocumentRefused(f"{name} is broken: {str(error)[:80] or 'its archive is cut short'}.") from error
    for member, office in OFFICE.items():
        if member in members:
            return office
    raise UnknownFormat(f"{name} is an archive and none of docx, pptx, xlsx and epub.")


def is_binary(raw: bytes) -> bool:
    """Control characters no text has. UTF-16 has zeros, in every other place."""
    beginning = raw[: 64 * 1024]
    if beginning.startswith(UTF16):
        return False
    zeros = beginning.count(0)
    if zeros:
        pairs = len(beginning) // 2
        return max(beginning[0::2].count(0), beginning[1::2].count(0)) < 0.3 * pairs or zeros > 1.2 * pairs
    control = sum(beginning.count(byte) for byte in (*range(1, 8), *range(14, 27), 28, 29, 30, 31, 127))
    return control > len(beginning) * 0.02
