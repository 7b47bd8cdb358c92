"""A ZIP package (docx, pptx, xlsx, epub), looked at before any library opens it. Nothing of it is written to disk."""

import io
import zipfile
import zlib
from xml.parsers import expat

from neuralbridge.errors import DocumentRefused, DocumentTooLarge

MAX_ENTRIES = 2_000
MAX_INFLATED = 200_000_000  # bytes, of all entries together
MAX_RATIO = 100
FLOOR = 1_000_000  # bytes; an entry that inflates to less may be packed as well as it likes
PIECE = 65_536


def open_package(raw: bytes) -> zipfile.ZipFile:
    """The package, if it is none that hurts. Raises DocumentRefused."""
    try:
        package = zipfile.ZipFile(io.BytesIO(raw))
        entries = package.infolist()
        if len(entries) > MAX_ENTRIES:
            raise DocumentTooLarge(f"is a package of {len(entries):,} entries; at most {MAX_ENTRIES:,} are read")
        inflated = 0
        for entry in entries:
            if entry.flag_bits & 0x1:
                raise DocumentRefused("is encrypted", "encrypted")
            inflated += inflated_size(package, entry, MAX_INFLATED - inflated)
    except DocumentRefused:
        raise
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, ValueError) as error:
        raise DocumentRefused("is broken: its package is incomplete or damaged", "broken") from error
    except (NotImplementedError, RuntimeError, zlib.error) as error:
        raise DocumentRefused("is broken: its package cannot be unpacked", "broken") from error
    return package


def inflated_size(package: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> int:
    """How many bytes there really are in an entry, whatever the package says. Raises DocumentRefused."""
    size = 0
    prolog = Prolog()
    with package.open(entry) as file:
        while piece := file.read(PIECE):
            size += len(piece)
            if size > left:
                raise DocumentTooLarge(f"inflates to more than {MAX_INFLATED:,} bytes")
            if size > FLOOR and size > MAX_RATIO * max(entry.compress_size, 1):
                raise DocumentTooLarge(f"is packed more than {MAX_RATIO} times smaller than what is in it")
            prolog.feed(piece)
    return size


class Prolog:
    """Refuses XML that declares entities, in itself or in a file that it names, whatever its encoding.

    The libraries resolve none; this says so to whoever sent them. Reads up to the first element.
    """

    def __init__(self) -> None:
        self._open = True
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._entity

    def feed(self, piece: bytes) -> None:
        """Raises DocumentRefused."""
        if self._open:
            try:
                self._parser.Parse(piece)
            except expat.ExpatError:  # no XML, or broken
                self._open = False

    def _end(self, *_: object) -> None:
        self._open = False

    def _doctype(self, _name: str, system: str | None, public: str | None, _internal: bool) -> None:
        if system and not public and system != "about:legacy-compat":  # what is public is known and needs no look
            self._entity()

    def _entity(self, *_: object) -> None:
        raise DocumentRefused("declares XML entities, which are not read", "unreadable")
