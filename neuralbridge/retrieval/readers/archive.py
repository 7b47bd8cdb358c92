"""Office files and books are archives; looked through before any library opens one. Pure."""

import re
import zipfile
from io import BytesIO

from neuralbridge.errors import DocumentRefused

MAX_ENTRIES = 2_000
MAX_INFLATED_BYTES = 200 * 1024 * 1024
MAX_RATIO = 100  # inflated to packed, of what is larger than
RATIO_FROM_BYTES = 10 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
# Entities can stand for files, for addresses, and for each other a billion times; office files need none.
ENTITY = re.compile(rb"<!(?:DOCTYPE[^>]*\[|ENTITY)", re.IGNORECASE)
DOCTYPE = re.compile(rb"<!DOCTYPE", re.IGNORECASE)


def guard(raw: bytes, name: str, doctype_allowed: bool = False) -> None:
    """Raises DocumentRefused for an archive that grows beyond the limits, or has XML that stands for something else.

    Bytes are counted as they come out: what the archive says about itself is not asked.
    """
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise DocumentRefused(f"{name} has {len(entries):,} parts; at most {MAX_ENTRIES:,} are read.")
            total = 0
            for entry in entries:
                total += inflate(archive, entry, name, MAX_INFLATED_BYTES - total, doctype_allowed)
            if total > RATIO_FROM_BYTES and total > MAX_RATIO * len(raw):
                raise DocumentRefused(f"{name} inflates to {total // len(raw):,} times its size; at most {MAX_RATIO}.")
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, OSError) as error:
        raise DocumentRefused(f"{name} is broken: its archive cannot be unpacked.") from error


def inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, room: int, doctype_allowed: bool) -> int:
    """A part's size in bytes, when it is harmless."""
    size, tail = 0, b""
    is_xml = entry.filename.lower().endswith((".xml", ".rels", ".opf", ".ncx", ".xhtml", ".html", ".htm", ".vml"))
    with archive.open(entry) as part:
        while chunk := part.read(CHUNK_BYTES):
            size += len(chunk)
            if size > room:
                raise DocumentRefused(f"{name} inflates to more than {MAX_INFLATED_BYTES // 1024**2} MB.")
            if is_xml:
                # As bytes: UTF-16 would hide it, and no office program writes that
                seen = (tail + chunk).replace(b"\0", b"")
                if ENTITY.search(seen) or (DOCTYPE.search(seen) and not doctype_allowed):
                    raise DocumentRefused(f"{name} has XML with definitions of its own, which are not read.")
                tail = chunk[-32:]
    return size
