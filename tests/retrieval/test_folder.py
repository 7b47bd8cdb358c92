"""A folder that is followed: whatever happens in it, the library becomes what one made anew from it would be."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.watcher import Folder
from tests.fakes import FakeEmbedder
from tests.retrieval.rooms import contents, library_in, troubles, vectors

OPERATIONS = 200
WORDS = ["apple", "boat", "cellar", "drum", "engine", "forest", "garden", "harbour", "island", "jungle", "kitchen"]


class Mess:
    """Somebody at work in a folder, without a plan."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self._random = random.Random(seed)

    def act(self) -> None:
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        acts = [self.create] if not files else [self.create, self.edit, self.append, self.rename, self.move]
        if files:
            acts += [self.delete, self.replace, self.duplicate]
        self._random.choice(acts)(self._random.choice(files) if files else self.folder)

    def text(self) -> str:
        sections = []
        for _ in range(self._random.randint(1, 4)):
            words = self._random.choices(WORDS, k=self._random.randint(3, 120))
            sections.append(f"# {words[0]}\n\n{' '.join(words)}.")
        return "\n\n".join(sections)

    def place(self) -> Path:
        folder = self.folder / self._random.choice([".", "letters", "letters/old", "work"])
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self._random.choice(WORDS)}{self._random.randint(0, 9)}.{self._random.choice(['md', 'txt'])}"

    def create(self, _: Path) -> None:
        self.place().write_text(self.text())

    def edit(self, path: Path) -> None:
        path.write_text(path.read_text().replace(self._random.choice(WORDS), self._random.choice(WORDS)))

    def append(self, path: Path) -> None:
        with path.open("a") as file:
            file.write("\n\n" + self.text())

    def rename(self, path: Path) -> None:
        path.rename(path.with_name(f"{self._random.choice(WORDS)}{self._random.randint(0, 9)}{path.suffix}"))

    def move(self, path: Path) -> None:
        path.rename(self.place())

    def delete(self, path: Path) -> None:
        path.unlink()

    def replace(self, path: Path) -> None:
        """As editors save: a new file beside it, renamed over it."""
        new = path.with_name(f".{path.name}.tmp")
        new.write_text(self.text())
        new.replace(path)

    def duplicate(self, path: Path) -> None:
        self.place().write_text(path.read_text())


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_200_operations_it_is_as_if_made_anew(tmp_path: Path, seed: int) -> None:
    watched = tmp_path / "notes"
    watched.mkdir()
    mess, chance = Mess(watched, seed), random.Random(seed)
    async with library_in(tmp_path / "followed") as library:
        folder = Folder(library, watched)
        for _ in range(OPERATIONS):
            mess.act()
            if chance.random() < 0.3:
                await folder.compare()
        await folder.compare()
        await folder.settled()
        await folder.compare()
        await folder.settled()
        serving = await library.embeddings.serving()
        indexed = len(serving.vectors)
    async with library_in(tmp_path / "anew") as library:
        anew = Folder(library, watched)
        await anew.compare()
        await anew.settled()
    assert contents(tmp_path / "followed") == contents(tmp_path / "anew")
    one, other = vectors(tmp_path / "followed"), vectors(tmp_path / "anew")
    assert one.keys() == other.keys()
    assert indexed == len(one)
    assert all(np.allclose(one[id], other[id], atol=1e-5) for id in one)
    assert troubles(tmp_path / "followed") == []


async def followed(library: Library, folder: Folder) -> list[str]:
    await folder.compare()
    await folder.settled()
    return sorted(document.source for document in await library.documents.listed("local", 100))


async def test_add_change_rename_and_delete_are_followed(tmp_path: Path) -> None:
    watched = tmp_path / "notes"
    watched.mkdir()
    async with library_in(tmp_path / "data") as library:
        folder = Folder(library, watched)
        (watched / "a.md").write_text("# Apples\n\nApples are red.")
        assert await followed(library, folder) == ["notes/a.md"]
        (watched / "a.md").write_text("# Apples\n\nApples are green, says Ana.")
        await followed(library, folder)
        assert (await library.search("Ana", 5, "local")).results[0].passage.text.endswith("says Ana.")
        (watched / "deep").mkdir()
        (watched / "a.md").rename(watched / "deep" / "b.md")
        assert await followed(library, folder) == ["notes/deep/b.md"]
        (watched / "deep" / "b.md").unlink()
        assert await followed(library, folder) == []
        assert (await library.search("Ana", 5, "local")).results == []


async def test_only_what_changed_is_embedded(tmp_path: Path) -> None:
    watched = tmp_path / "notes"
    watched.mkdir()
    made: list[FakeEmbedder] = []

    def open_embedder(folder: Path, busy: object) -> FakeEmbedder:
        made.append(FakeEmbedder(folder))
        return made[-1]

    sections = [f"# Part {number}\n\n" + " ".join([f"word{number}"] * 150) for number in range(8)]
    (watched / "long.md").write_text("\n\n".join(sections))
    async with library_in(tmp_path / "data", open_embedder) as library:  # type: ignore[arg-type]
        folder = Folder(library, watched)
        await followed(library, folder)
        (embedder,) = made
        assert len(embedder.embedded) >= 8
        embedder.embedded.clear()
        sections[3] = sections[3].replace("word3", "other")
        (watched / "long.md").write_text("\n\n".join(sections))
        await followed(library, folder)
        assert embedder.embedded
        assert all("other" in text for text in embedder.embedded)
        embedder.embedded.clear()
        (watched / "sub").mkdir()
        (watched / "long.md").rename(watched / "sub" / "long.md")
        await followed(library, folder)
        assert embedder.embedded == []


async def test_what_is_no_plain_file_is_passed_over_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    watched = tmp_path / "notes"
    watched.mkdir()
    (watched / "good.txt").write_text("Good words.")
    (watched / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    (watched / ".hidden.txt").write_text("secret")
    (watched / "link.txt").symlink_to(watched / "good.txt")
    os.mkfifo(watched / "pipe.txt")
    async with library_in(tmp_path / "data") as library:
        folder = Folder(library, watched)
        assert await followed(library, folder) == ["notes/good.txt"]
        assert [*folder.followed.problems] == [str(watched / "picture.txt")]
        assert "picture.txt" in folder.followed.problems[str(watched / "picture.txt")]
