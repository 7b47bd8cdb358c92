"""Books (epub): their chapters in the order of reading, each a page of HTML."""

import posixpath
import zipfile
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError  # what the safe parser gives

from defusedxml.ElementTree import fromstring

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract, ExtractBuilder
from neuralbridge.retrieval.readers.encoding import decode
from neuralbridge.retrieval.readers.webpage import add_page

CHAPTERS = {"application/xhtml+xml", "text/html"}


def read_epub(package: zipfile.ZipFile) -> Extract:
    root = parsed(package, "META-INF/container.xml").find(".//{*}rootfile")
    path = unquote(root.get("full-path", "")) if root is not None else ""
    content = parsed(package, path)
    chapters = chapters_of(content, posixpath.dirname(path))
    if encrypted(package) & {*chapters}:
        raise DocumentRefused("is encrypted", "encrypted")
    builder = ExtractBuilder("epub")
    builder.title = content.findtext(".//{http://purl.org/dc/elements/1.1/}title")
    members = {*package.namelist()}
    for chapter in chapters:
        if chapter in members:
            add_page(builder, decode(package.read(chapter)))
    return builder.build()


def chapters_of(content: Element, folder: str) -> list[str]:
    """Names of the members that are read, in their order."""
    items = {item.get("id"): item for item in content.iterfind(".//{*}manifest/{*}item")}
    spine = [items.get(entry.get("idref")) for entry in content.iterfind(".//{*}spine/{*}itemref")]
    return [
        posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in spine
        if item is not None and item.get("media-type") in CHAPTERS
    ]


def encrypted(package: zipfile.ZipFile) -> set[str]:
    """Members that are; in some books it is only the letters' shapes."""
    if "META-INF/encryption.xml" not in package.namelist():
        return set()
    root = parsed(package, "META-INF/encryption.xml")
    return {unquote(reference.get("URI", "")) for reference in root.iterfind(".//{*}CipherReference")}


def parsed(package: zipfile.ZipFile, name: str) -> Element:
    try:
        root: Element = fromstring(package.read(name))
    except (KeyError, ParseError) as error:
        raise DocumentRefused("is broken: the book's list of contents is missing or damaged", "broken") from error
    return root
