"""Whatever a file does to the process that reads it, it is refused in a sentence, and the next file is read."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest

from neuralbridge.errors import DocumentRefused, DocumentsUnavailable, DocumentTooLarge, UnknownFormat
from neuralbridge.retrieval import reading as module
from neuralbridge.retrieval.reading import Reader
from tests.retrieval.readers.shelf import pdf, zipped
from tests.retrieval.readers.test_book import BOOK
from tests.retrieval.test_passages import FOLDER, SENTENCE

MEGABYTE = 1024**2
ROOT = Path(__file__).parents[2]
TOKENIZER = FOLDER / "tokenizer.json"


def new_reader(
    seconds: float = 60, memory: int = 512 * MEGABYTE, passages: int = 10_000, tokenizer: Path = TOKENIZER
) -> Reader:
    return Reader(tokenizer, 200, passages, seconds, memory, 50 * MEGABYTE)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = new_reader()
    yield reader
    reader.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("Some text.\n")
    return path


def office(document: object) -> bytes:
    saved = io.BytesIO()
    document.save(saved)  # type: ignore[attr-defined]
    return saved.getvalue()


def one_of_each() -> dict[str, bytes]:
    word, slides, book = docx.Document(), pptx.Presentation(), openpyxl.Workbook()
    word.add_paragraph("Hello there")
    slides.slides.add_slide(slides.slide_layouts[0]).shapes.title.text = "Hello there"
    book.active.append(["Hello there"])
    texts = ["txt", "md", "py", "csv", "xml"]
    return {
        **dict.fromkeys((f"a.{ending}" for ending in texts), b"Hello there"),
        "a.json": b'["Hello there"]',
        "a.html": b"<html><p>Hello there",
        "a.xml": b"<?xml version='1.0'?><p>Hello there</p>",
        "a.eml": b"Message-ID: <1@x>\nSubject: x\n\nHello there",
        "a.latin1": "Hello there, M\xfcnchen".encode("latin-1"),
        "a.pdf": pdf([["Hello there"]]),
        "a.docx": office(word),
        "a.pptx": office(slides),
        "a.xlsx": office(book),
        "a.epub": zipped({**BOOK, "OEBPS/two.xhtml": "<html><p>Hello there"}),
    }


EACH = one_of_each()


@pytest.mark.parametrize("name", EACH)
def test_every_format_is_read_within_the_limits(name: str, reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(EACH[name])
    reading = reader.read(path, name)
    assert "Hello there" in reading.text
    assert (reading.sha256, reading.size) == (sha256(EACH[name]).hexdigest(), len(EACH[name]))
    assert [passage.text for passage in reading.passages] == [reading.text[p.start : p.end] for p in reading.passages]


def test_passages_cross_with_their_headings_and_pages(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(pdf([["One", SENTENCE], ["Two", SENTENCE]], [("One", 0), ("Two", 1)], title="The title"))
    reading = reader.read(path, "a.pdf")
    (passage,) = reading.passages
    assert (reading.kind, reading.title) == ("pdf", "The title")
    assert (passage.heading, passage.page, passage.text[:3]) == (("One",), 1, "One")


def test_text_that_came_as_text(reader: Reader) -> None:
    reading = reader.read_text("# Title\r\n\r\nText \ud800\x00", "note.md")
    assert (reading.kind, reading.title, reading.text) == ("markdown", "Title", "# Title\n\nText \ufffd")
    assert reading.size == len(b"# Title\r\n\r\nText xxx\x00")
    with pytest.raises(DocumentRefused, match=r"^note has no text\.$"):
        reader.read_text(" \n", "note")
    with pytest.raises(DocumentTooLarge, match=r"^note has more than 52,428,800 bytes"):
        reader.read_text("x" * (50 * MEGABYTE + 1), "note")


def test_what_is_no_file_is_refused_and_never_waited_for(reader: Reader, file: Path, tmp_path: Path) -> None:
    link, pipe, loop = tmp_path / "link", tmp_path / "pipe", tmp_path / "loop"
    link.symlink_to(file)
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    for path, why in (
        (link, "is a link"),
        (loop, "is a link"),
        (pipe, "is no file, but a folder, a pipe or a device"),
        (tmp_path, "is no file, but a folder, a pipe or a device"),
        (Path("/dev/zero"), "is no file, but a folder, a pipe or a device"),
        (tmp_path / "gone", "cannot be opened: No such file or directory"),
        (file / "below", "cannot be opened: Not a directory"),
        (tmp_path / ("x" * 300), "cannot be opened: File name too long"),
        (Path("a\x00b"), "cannot be opened: its name has a zero in it"),
    ):
        with pytest.raises(DocumentRefused) as refusal:
            reader.read(path, "My file")
        assert (str(refusal.value), refusal.value.reason) == (f"My file {why}.", "unreadable")


def test_a_file_may_have_any_name(reader: Reader, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe\n"))
    path.write_text("Some text.")
    for name in ("../../etc/passwd", "\ud800\x00\n", "<img onerror=x>", "", "x" * 1_000):
        assert reader.read(path, name).text == "Some text."


def test_a_file_beyond_the_limit_is_refused_as_soon_as_it_is_passed(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as sparse:
        sparse.truncate(1 << 40)
    start = time.monotonic()
    with pytest.raises(
        DocumentTooLarge, match=r"^a\.txt has more than 52,428,800 bytes, the most a document may have\.$"
    ) as refusal:
        reader.read(path, "a.txt")
    assert refusal.value.reason == "too_large"
    assert time.monotonic() - start < 3


def test_refusals_cross_as_what_they_are(reader: Reader, file: Path) -> None:
    for content, refusal, reason, says in (
        (b"", DocumentRefused, "empty", "a\ufffdb.txt is empty."),
        (b"\x7fELF" + bytes(9), UnknownFormat, "unknown_format", "a\ufffdb.txt is a program."),
    ):
        file.write_bytes(content)
        with pytest.raises(refusal) as caught:
            reader.read(file, "a\nb.txt")
        assert (type(caught.value), caught.value.reason, str(caught.value)) == (refusal, reason, says)


def test_too_many_passages(file: Path) -> None:
    small = new_reader(passages=3)
    file.write_text(SENTENCE * 100)
    with pytest.raises(
        DocumentTooLarge, match=r"^a\.txt makes about \d+ passages; a document may have 3\.$"
    ) as refusal:
        small.read(file, "a.txt")
    assert refusal.value.reason == "too_many_passages"
    small.close()


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_read(file: Path, tmp_path: Path) -> None:
    hasty = new_reader(seconds=1.5, passages=1_000_000)
    assert hasty.read(file, "a.txt").text
    slow = tmp_path / "slow"
    slow.write_text(SENTENCE * 200_000)
    start = time.monotonic()
    with pytest.raises(DocumentRefused, match=r"^slow\.txt took more than 1\.5 s to be read\.$") as refusal:
        hasty.read(slow, "slow.txt")
    assert refusal.value.reason == "too_slow"
    assert time.monotonic() - start < 3
    assert hasty.read(file, "a.txt").text
    hasty.close()


def test_a_file_that_needs_too_much_memory_is_given_up_and_the_next_is_read(file: Path, tmp_path: Path) -> None:
    poor = new_reader(memory=64 * MEGABYTE)
    large = tmp_path / "large"
    large.write_text("x" * 45 * MEGABYTE)
    with pytest.raises(DocumentRefused, match=r"^a\.txt needs more than 64 MB of memory to be read\.$") as refusal:
        poor.read(large, "a.txt")
    assert refusal.value.reason == "too_much_memory"
    assert poor.read(file, "a.txt").text
    poor.close()


def child_of(reader: Reader) -> int:
    assert reader._child is not None
    return reader._child.pid


def test_a_child_that_was_killed_while_idle_is_replaced(file: Path) -> None:
    reader = new_reader()
    reader.read(file, "a.txt")
    os.kill(child_of(reader), signal.SIGKILL)
    os.waitid(os.P_PID, child_of(reader), os.WEXITED | os.WNOWAIT)
    assert reader.read(file, "a.txt").text
    reader.close()


def test_a_file_that_ends_the_child_is_refused_and_the_next_is_read(file: Path, tmp_path: Path) -> None:
    reader = new_reader(passages=1_000_000)
    reader.read(file, "a.txt")
    slow = tmp_path / "slow"
    slow.write_text(SENTENCE * 200_000)
    threading.Timer(0.5, os.kill, (child_of(reader), signal.SIGSEGV)).start()
    with pytest.raises(DocumentRefused, match=r"^slow\.txt ended the program that reads documents\.$") as refusal:
        reader.read(slow, "slow.txt")
    assert refusal.value.reason == "unreadable"
    assert reader.read(file, "a.txt").text
    reader.close()


def test_a_child_is_replaced_now_and_then(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_CHILD", 2)
    reader = new_reader()
    children = []
    for _ in range(5):
        reader.read(file, "a.txt")
        children.append(child_of(reader))
    reader.close()
    assert [children.count(child) for child in dict.fromkeys(children)] == [2, 2, 1]


def test_closing_ends_the_child_also_while_it_reads(tmp_path: Path) -> None:
    reader = new_reader(passages=1_000_000)
    slow = tmp_path / "slow"
    slow.write_text(SENTENCE * 200_000)
    reader.read_text("x", "x")
    child = child_of(reader)
    threading.Timer(0.5, reader.close).start()
    with pytest.raises(DocumentsUnavailable, match="The server is stopping"):
        reader.read(slow, "a.txt")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    with pytest.raises(DocumentsUnavailable, match="The server is stopping"):
        reader.read(slow, "a.txt")
    reader.close()


def test_a_child_that_cannot_start_says_so(file: Path, tmp_path: Path) -> None:
    reader = new_reader(tokenizer=tmp_path / "gone.json")
    with pytest.raises(DocumentsUnavailable, match="cannot be started"):
        reader.read(file, "a.txt")
    reader.close()


ORPHAN = """
import os, signal, threading, sys
from pathlib import Path
from neuralbridge.retrieval.reading import Reader
reader = Reader(Path(sys.argv[1]), 200, 1_000_000, 2.0, 1 << 29, 50 << 20)
reader.read_text("x", "x")
print(reader._child.pid, flush=True)
if sys.argv[2] == "reading":
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
    reader.read_text("word " * 4_000_000, "x")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("doing", ["nothing", "reading"])
def test_a_killed_parent_leaves_no_child(doing: str) -> None:
    parent = subprocess.run(
        [sys.executable, "-c", ORPHAN, str(TOKENIZER), doing], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    assert parent.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 12
    while is_alive(int(parent.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_ctrl_c_at_a_terminal_does_not_end_the_child(reader: Reader, file: Path) -> None:
    reader.read(file, "a.txt")
    child = child_of(reader)
    os.kill(child, signal.SIGINT)
    assert reader.read(file, "a.txt").text and child_of(reader) == child


ATTEMPTS = {
    "connect": "import socket; socket.create_connection(('127.0.0.1', 9))",
    "look up": "import socket; socket.getaddrinfo('localhost', 80)",
    "listen": "import socket; socket.socket().bind(('127.0.0.1', 0))",
    "fetch": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
    "write": "open('{folder}/new', 'w')",
    "append": "open('{file}', 'a')",
    "low": "import os; os.open('{folder}/new', os.O_WRONLY | os.O_CREAT)",
    "remove": "import os; os.remove('{file}')",
    "rename": "import os; os.rename('{file}', '{folder}/new')",
    "folder": "import os; os.mkdir('{folder}/new')",
    "link": "import os; os.symlink('{file}', '{folder}/new')",
    "run": "import subprocess; subprocess.run(['true'])",
    "system": "import os; os.system('true')",
    "fork": "import os; os.fork()",
    "exec": "import os; os.execv('/bin/true', ['true'])",
    "kill": "import os; os.kill(os.getppid(), 0)",
    "library": "import ctypes; ctypes.CDLL('libm.so.6')",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_child_can_neither_write_nor_call_nor_start_anything(attempt: str, file: Path) -> None:
    folder = file.parent
    code = ATTEMPTS[attempt].format(file=file, folder=folder)
    child = (
        "import io, socket; from neuralbridge.retrieval.readers.child import give_up_rights; give_up_rights(1 << 30); "
    )
    ended = subprocess.run([sys.executable, "-c", child + code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "PermissionError: reading a document asked" in ended.stderr
    assert [*folder.iterdir()] == [file]
