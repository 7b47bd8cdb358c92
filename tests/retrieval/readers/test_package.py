"""Packages that would fill the memory, or make a parser look elsewhere, are refused before any library opens them."""

import io
import struct
import time
import zipfile
from pathlib import Path

import docx
import pytest

from neuralbridge.errors import DocumentRefused, DocumentTooLarge
from neuralbridge.retrieval.readers.formats import read
from neuralbridge.retrieval.readers.package import FLOOR, MAX_ENTRIES, open_package
from tests.retrieval.readers.shelf import changed, zipped

CANARY = "c4n4ry-in-a-file"
LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha">' + "".join(
    f'<!ENTITY {chr(99 + level)} "{f"&{chr(98 + level)};" * 10}">' for level in range(9)
)


def document() -> bytes:
    file = io.BytesIO()
    docx.Document().save(file)
    return file.getvalue()


def test_too_many_entries() -> None:
    with pytest.raises(DocumentTooLarge, match=f"of 2,001 entries; at most {MAX_ENTRIES:,} are read"):
        open_package(zipped({str(number): "" for number in range(MAX_ENTRIES + 1)}))


def test_an_entry_that_is_packed_too_well() -> None:
    with pytest.raises(DocumentTooLarge, match="is packed more than 100 times"):
        open_package(zipped({"word/document.xml": b" " * 10 * FLOOR}))


def test_a_small_one_may_be_packed_as_well_as_it_likes() -> None:
    open_package(zipped({"word/document.xml": b" " * FLOOR}))


def test_what_a_package_says_of_its_sizes_is_not_believed() -> None:
    raw = bytearray(zipped({"a": b" " * 5 * FLOOR}))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", raw, raw.find(signature) + place, 10)
    with pytest.raises(DocumentRefused):
        open_package(bytes(raw))


def test_entries_that_share_their_bytes_count_each_time() -> None:
    """The bomb without nesting: a directory of many entries, all of which lead to the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("a", b"".join(b"%07d " % number for number in range(500_000)))
        entry = package.infolist()[0]
        for number in range(1, 100):
            copy = zipfile.ZipInfo(f"{number}")
            copy.header_offset, copy.CRC = entry.header_offset, entry.CRC
            copy.compress_size, copy.file_size = entry.compress_size, entry.file_size
            copy.compress_type = entry.compress_type
            package.filelist.append(copy)
        package._didModify = True
    start = time.monotonic()
    with pytest.raises(DocumentRefused):
        open_package(file.getvalue())
    assert time.monotonic() - start < 5


def test_an_encrypted_entry() -> None:
    raw = bytearray(zipped({"[Content_Types].xml": "x", "word/document.xml": "x"}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.find(signature) + place] |= 1
    with pytest.raises(DocumentRefused, match="is encrypted"):
        open_package(bytes(raw))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE a [<!ENTITY b SYSTEM "{}">]>',
        '<!DOCTYPE a [<!ENTITY % b SYSTEM "{}"> %b;]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        "<!-- " + "padding " * 20_000 + '--><!DOCTYPE a [<!ENTITY b "{}">]>',
        LAUGHS + "]>",
    ],
)
@pytest.mark.parametrize(
    "name", ["word/document.xml", "docProps/core.xml", "word/x.bin", "[Content_Types].xml", "plain.xml"]
)
def test_xml_that_declares_entities(prolog: str, encoding: str, name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text(CANARY)
    xml = f'<?xml version="1.0" encoding="{encoding}"?>{prolog.format(canary.as_uri())}<a>&b;&k;</a>'.encode(encoding)
    start = time.monotonic()
    with pytest.raises(DocumentRefused, match="declares XML entities, which are not read"):
        read(xml if name == "plain.xml" else changed(document(), {name: xml}), name)
    assert time.monotonic() - start < 5


def test_declarations_that_are_known_are_read() -> None:
    text = (
        '<?xml version="1.0"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://x/y.dtd"><plist>hi</plist>'
    )
    assert read(text.encode(), "a.plist").text == text


def test_names_that_lead_elsewhere_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = changed(document(), {"../../evil.txt": "x", "/tmp/evil.txt": "x", "C:\\evil.txt": "x"})
    with pytest.raises(DocumentRefused, match="has no text"):
        read(whole, "a.docx")
    assert [*tmp_path.iterdir()] == [] and not Path("/tmp/evil.txt").exists()
