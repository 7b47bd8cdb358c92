"""EPUB: the chapters in the order in which they are read."""

import posixpath
import zipfile
from io import BytesIO
from urllib.parse import unquote

from defusedxml.ElementTree import fromstring

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder
from neuralbridge.retrieval.readers.archive import guard
from neuralbridge.retrieval.readers.decode import clean, decode
from neuralbridge.retrieval.readers.html import read_text
from neuralbridge.retrieval.readers.kinds import Kind

CONTAINER = "META-INF/container.xml"


def read(raw: bytes, name: str, kind: Kind) -> Extract:
    guard(raw, name, doctype_allowed=True)  # XHTML begins with one
    builder = ExtractBuilder("epub")
    with zipfile.ZipFile(BytesIO(raw)) as archive:
        members = set(archive.namelist())
        package = package_path(archive, name)
        root = fromstring(archive.read(package))
        files = {item.get("id"): item.get("href") for item in root.iter() if item.tag.endswith("}item")}
        titles = [item.text for item in root.iter() if item.tag.endswith("}title") and item.text]
        builder.title = clean(titles[0]).strip() if titles else None
        for reference in [item for item in root.iter() if item.tag.endswith("}itemref")]:
            href = files.get(reference.get("idref"))
            if href is None:
                continue
            chapter = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(href)))
            if chapter in members:
                read_text(decode(archive.read(chapter)), builder)
    return builder.build()


def package_path(archive: zipfile.ZipFile, name: str) -> str:
    if CONTAINER in archive.namelist():
        for item in fromstring(archive.read(CONTAINER)).iter():
            if item.tag.endswith("rootfile") and (path := item.get("full-path")):
                return str(path)
    raise DocumentRefused(f"{name} is broken: its table of contents is missing.")
