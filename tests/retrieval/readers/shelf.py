"""Documents of many formats, made on the spot."""

import io
import zipfile
from collections.abc import Mapping, Sequence

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract
from neuralbridge.retrieval.readers.formats import read


def read_or_refused(raw: bytes, name: str) -> Extract | str:
    """What is in a document, or what is wrong with it; nothing else happens."""
    try:
        return read(raw, name)
    except DocumentRefused as refusal:
        return str(refusal)


def zipped(members: Mapping[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as package:
        for name, content in members.items():
            package.writestr(name, content)
    return file.getvalue()


def changed(package: bytes, members: Mapping[str, bytes | str | None]) -> bytes:
    """A package with other members in it, or without some."""
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        kept = {name: old.read(name) for name in old.namelist()}
    return zipped({name: content for name, content in {**kept, **members}.items() if content is not None})


def member(package: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(package)) as opened:
        return opened.read(name).decode()


def pdf(
    pages: Sequence[Sequence[str]], bookmarks: Sequence[tuple[str, int]] = (), encrypted: bool = False, title: str = ""
) -> bytes:
    """A PDF with these lines on its pages, in Helvetica; a bookmark has a title and the index of its page."""
    objects: list[bytes] = []

    def add(content: str | bytes) -> int:
        objects.append(content.encode("latin-1") if isinstance(content, str) else content)
        return len(objects)

    catalog, tree, font = add(""), add(""), add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids = []
    for lines in pages:
        spoken = " T* ".join("({}) Tj".format(line.replace("(", r"\(").replace(")", r"\)")) for line in lines)
        stream = f"BT /F1 10 Tf 12 TL 50 750 Td {spoken} ET"
        content = add(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        kids.append(
            add(
                f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R "
                f"/Resources << /Font << /F1 {font} 0 R >> >> >>"
            )
        )
    objects[tree - 1] = (
        f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>".encode()
    )
    outlines = ""
    if bookmarks:
        root = len(objects) + 1
        first, last = root + 1, root + len(bookmarks)
        add(f"<< /Type /Outlines /First {first} 0 R /Last {last} 0 R /Count {len(bookmarks)} >>")
        for number, (name, index) in enumerate(bookmarks, first):
            beside = (f" /Prev {number - 1} 0 R" if number > first else "") + (
                f" /Next {number + 1} 0 R" if number < last else ""
            )
            add(f"<< /Title ({name}) /Parent {root} 0 R /Dest [{kids[index]} 0 R /Fit]{beside} >>")
        outlines = f" /Outlines {root} 0 R"
    objects[catalog - 1] = f"<< /Type /Catalog /Pages {tree} 0 R{outlines} >>".encode()
    trailer = f" /Info {add(f'<< /Title ({title}) >>')} 0 R" if title else ""
    if encrypted:
        key = "00" * 32
        number = add(f"<< /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >>")
        trailer += f" /Encrypt {number} 0 R /ID [<{'00' * 16}> <{'00' * 16}>]"
    file = io.BytesIO()
    file.write(b"%PDF-1.4\n")
    offsets = []
    for number, content_of in enumerate(objects, 1):
        offsets.append(file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, content_of))
    start = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for offset in offsets:
        file.write(b"%010d 00000 n \n" % offset)
    file.write(
        f"trailer << /Size {len(objects) + 1} /Root {catalog} 0 R{trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    )
    return file.getvalue()
