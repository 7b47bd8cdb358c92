"""A download arrives whole however the connection behaves, or says why not. Real sockets, on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from neuralbridge.catalog.download import TRIES, DownloadFailed, NotServed, download
from tests.catalog.shelf import Answer, Shelf, content, sha256, shelf

FILE = content(300_000)
HALF = 150_000
OTHER = content(300_000, seed=2)


@pytest.fixture
def served() -> Iterator[Shelf]:
    with shelf() as server:
        server.files["/file"] = FILE
        yield server


class Fetched:
    """One download with its pauses noted instead of waited for."""

    def __init__(self, served: Shelf, part: Path) -> None:
        self.heard: list[int] = []
        self.pauses: list[float] = []
        url = f"{served.url}/file"
        heard, pause = self.heard.append, self.pauses.append
        download(url, part, size=len(FILE), sha256=sha256(FILE), heard=heard, pause=pause)
        self.body = part.read_bytes()


def test_a_file_is_brought_in_one_answer(served: Shelf, tmp_path: Path) -> None:
    fetched = Fetched(served, tmp_path / "part")
    assert (fetched.body, served.ranges("/file"), fetched.heard[-1], fetched.pauses) == (FILE, [None], len(FILE), [])


def test_what_an_earlier_try_left_is_not_asked_for_again(served: Shelf, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(FILE[:HALF])
    fetched = Fetched(served, tmp_path / "part")
    assert (fetched.body, served.ranges("/file")) == (FILE, [f"bytes={HALF}-"])


def test_a_cut_connection_is_taken_up_where_it_ended(served: Shelf, tmp_path: Path) -> None:
    served.next["/file"] = [Answer(cut_after=HALF), Answer(cut_after=1000)]
    fetched = Fetched(served, tmp_path / "part")
    assert fetched.body == FILE
    assert served.ranges("/file") == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]


def test_a_server_that_ignores_range_starts_the_file_anew(served: Shelf, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(FILE[:HALF])
    served.next["/file"] = [Answer(ranges=False, cut_after=10), Answer(ranges=False)]
    assert Fetched(served, tmp_path / "part").body == FILE


@pytest.mark.parametrize(
    "left",
    [OTHER[:HALF], OTHER, FILE + b"!"],
    ids=["begun from another file", "another file", "too long"],
)
def test_wrong_bytes_of_an_earlier_try_are_thrown_away(served: Shelf, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "part").write_bytes(left)
    assert (Fetched(served, tmp_path / "part").body, served.ranges("/file")[-1]) == (FILE, None)


def test_a_part_that_the_server_cannot_continue_is_thrown_away(served: Shelf, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(OTHER[:HALF])
    served.next["/file"] = [Answer(status=416)]
    assert (Fetched(served, tmp_path / "part").body, served.ranges("/file")) == (FILE, [f"bytes={HALF}-", None])


def test_a_file_with_another_content_is_refused_and_not_kept(served: Shelf, tmp_path: Path) -> None:
    served.files["/file"] = OTHER
    with pytest.raises(DownloadFailed, match=f"{sha256(OTHER)}; the catalogue says {sha256(FILE)}"):
        Fetched(served, tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_no_more_is_written_than_the_file_has(served: Shelf, tmp_path: Path) -> None:
    served.files["/file"] = FILE + OTHER
    assert Fetched(served, tmp_path / "part").body == FILE


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_told_at_once(served: Shelf, tmp_path: Path, status: int) -> None:
    served.next["/file"] = [Answer(status=status)]
    with pytest.raises(NotServed, match=str(status)):
        Fetched(served, tmp_path / "part")
    assert served.ranges("/file") == [None]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_trouble_is_waited_out(served: Shelf, tmp_path: Path, status: int) -> None:
    served.next["/file"] = [Answer(status=status)] * (TRIES - 1)
    fetched = Fetched(served, tmp_path / "part")
    assert (fetched.body, fetched.pauses) == (FILE, [2, 4, 8, 16])


def test_an_end_is_made_of_tries_that_get_no_further(served: Shelf, tmp_path: Path) -> None:
    served.next["/file"] = [Answer(ranges=False, cut_after=HALF) for _ in range(TRIES + 1)]
    with pytest.raises(DownloadFailed, match=r"ended at 150,000 of 300,000 bytes, 5 times: the connection closed"):
        Fetched(served, tmp_path / "part")
    assert (tmp_path / "part").stat().st_size == HALF


def test_a_file_shorter_than_the_catalogue_says_comes_to_an_end(served: Shelf, tmp_path: Path) -> None:
    served.files["/file"] = FILE[:HALF]
    served.next["/file"] = [Answer(ranges=False) for _ in range(TRIES)]
    with pytest.raises(DownloadFailed, match="ended at 150,000"):
        Fetched(served, tmp_path / "part")


def test_nobody_listening_is_told_as_such(tmp_path: Path) -> None:
    with shelf() as gone:
        pass
    with pytest.raises(NotServed, match="Connection refused"):
        Fetched(gone, tmp_path / "part")
