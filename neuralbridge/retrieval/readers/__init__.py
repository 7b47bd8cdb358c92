"""Documents to extracts. What a document is, its content says; its name decides only what content cannot tell."""

from importlib import import_module
from typing import Protocol

from neuralbridge.errors import DocumentRefused
from neuralbridge.retrieval.extract import Extract
from neuralbridge.retrieval.readers.kinds import Kind, kind_of

MAX_CHARACTERS = 20_000_000  # of extracted text

# A module for each family, imported when a document of it comes
MODULES: dict[Kind, str] = {
    "text": "text",
    "code": "text",
    "json": "text",
    "markdown": "markdown",
    "html": "html",
    "pdf": "pdf",
    "docx": "word",
    "pptx": "slides",
    "xlsx": "sheets",
    "csv": "sheets",
    "epub": "book",
    "eml": "mail",
}


class ReaderModule(Protocol):
    """What the modules of this package have."""

    def read(self, raw: bytes, name: str, kind: Kind) -> Extract: ...


def read(raw: bytes, name: str, text_only: bool = False) -> Extract:
    """A document's text and what is known about places in it; `text_only` for what came as text.

    Raises DocumentRefused naming the document and what is wrong with it, MemoryError as it comes.
    """
    if not raw.strip():
        raise DocumentRefused(f"{name} is empty.")
    kind = kind_of(raw, name, text_only)
    module: ReaderModule = import_module(f"{__name__}.{MODULES[kind]}")  # type: ignore[assignment]
    try:
        extract = module.read(raw, name, kind)
    except (DocumentRefused, MemoryError):
        raise
    except RecursionError as error:
        raise DocumentRefused(f"{name} is nested too deeply to be read.") from error
    except Exception as error:
        # Parsers fail in ways of their own on broken files; all of them mean the same to whoever sent it.
        raise DocumentRefused(f"{name} is broken and cannot be read as {kind} ({type(error).__name__}).") from error
    if len(extract.text) > MAX_CHARACTERS:
        raise DocumentRefused(f"{name} has more than {MAX_CHARACTERS:,} characters of text, the most it may have.")
    if not extract.text.strip():
        hint = " Scanned pages have to be recognised (OCR) first." if kind == "pdf" else ""
        raise DocumentRefused(f"{name} has no text in it.{hint}")
    return extract
