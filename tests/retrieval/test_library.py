"""The library as a whole, on real SQLite and FAISS: found by words and by meaning, and across a change of model."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from neuralbridge.errors import NotFound
from neuralbridge.retrieval.arrays import Ids, Matrix
from neuralbridge.retrieval.documents import NewDocument, NewPassage, Source
from neuralbridge.retrieval.index import RECALL
from neuralbridge.retrieval.ingestion import Content
from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.vectors import Vectors
from tests.fakes import FakeEmbedder
from tests.retrieval.rooms import contents, library_in, troubles

DATE = "2024-03-01T00:00:00Z"


def source(name: str, date: str = DATE, owner: str = "local") -> Source:
    return Source(owner, name, name, date)


async def put(library: Library, name: str, text: str, date: str = DATE, owner: str = "local") -> str:
    job = await library.ingestion.finished(await library.ingestion.submit(source(name, date, owner), Content(text)))
    assert job.state == "done", job
    assert job.document is not None
    return job.document


async def found(library: Library, typed: str, owner: str = "local") -> list[str]:
    return [hit.passage.source for hit in (await library.search(typed, 10, owner)).results]


SHELF = {
    "acao.txt": "A ação do coração é bombear o sangue.",
    "moscow.txt": "Москва слезам не верит.",
    "kyoto.txt": "京都は美しい町です。検索できます。",
    "law.txt": "§ 14(2)b The tenant pays. § 14(2)c The landlord pays. § 15 Nobody pays.",
    "code.py": "def getUserName(account):\n    return account.name\n",
    "pump.txt": "The XK-204 pump is blue. The XK-205 pump is green.",
}


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("acao coracao", "acao.txt"),
        ("AÇÃO do CORAÇÃO", "acao.txt"),
        ("москва", "moscow.txt"),
        ("検索", "kyoto.txt"),
        ("what does § 14(2)b say", "law.txt"),
        ("user name", "code.py"),
        ("getUserName", "code.py"),
        ("XK-204", "pump.txt"),
        ("kyoto", "kyoto.txt"),
    ],
)
async def test_accents_scripts_and_identifiers_are_found(tmp_path: Path, typed: str, first: str) -> None:
    async with library_in(tmp_path / "data") as library:
        for name, text in SHELF.items():
            await put(library, name, text)
        assert (await found(library, typed))[0] == first


async def test_an_identifier_counts_for_more_where_it_stands_exactly(tmp_path: Path) -> None:
    async with library_in(tmp_path / "data") as library:
        await put(library, "parts.txt", "204 pumps of kind XK are blue, and XK pumps are 204 times better.")
        await put(library, "exact.txt", "Among many other things that are of no interest here, the XK-204 is listed.")
        assert (await found(library, "XK-204"))[0] == "exact.txt"


async def test_filters_hold_for_both_ways_of_looking(tmp_path: Path) -> None:
    async with library_in(tmp_path / "data") as library:
        await put(library, "old/apples.txt", "Apples are red fruit.", "2020-01-01T00:00:00Z")
        await put(library, "new/apples.txt", "Apples are red fruit from Ana.", "2024-01-01T00:00:00Z")
        assert await found(library, "apples file:old") == ["old/apples.txt"]
        assert await found(library, "apples before:2022") == ["old/apples.txt"]
        assert await found(library, "apples after:2022") == ["new/apples.txt"]
        assert await found(library, "apples +Ana") == ["new/apples.txt"]
        assert await found(library, "apples -Ana") == ["old/apples.txt"]
        assert await found(library, "file:nothing apples") == []


async def test_neighbours_are_put_together_as_they_stand(tmp_path: Path) -> None:
    text = "\n\n".join(f"# Part {n}\n\n" + "apples and pears " * 60 for n in range(3))
    async with library_in(tmp_path / "data") as library:
        document = await put(library, "long.md", text)
        results = (await library.search("apples pears", 10, "local")).results
        whole = (await library.documents.part("local", document))[1].text.decode()
        assert len(results) < (await library.documents.get("local", document)).passages
        assert all(whole[hit.passage.start : hit.passage.end] == hit.passage.text for hit in results)


async def test_the_same_text_in_two_places_is_found_once(tmp_path: Path) -> None:
    async with library_in(tmp_path / "data") as library:
        for name in ("a.txt", "b.txt"):
            path = tmp_path / name
            path.write_text("The same words in two files.")
            await library.ingestion.take(source(str(path)), path)
        assert len(await found(library, "same words")) == 1


async def test_nobody_finds_what_is_somebody_elses(tmp_path: Path) -> None:
    async with library_in(tmp_path / "data") as library:
        document = await put(library, "secret.txt", "The safe is behind the picture.", owner="ana")
        assert await found(library, "safe picture") == []
        assert await found(library, "safe picture", "ana") == ["secret.txt"]
        with pytest.raises(NotFound):
            await library.documents.get("local", document)
        with pytest.raises(NotFound):
            await library.documents.part("local", document, 0, 9)
        with pytest.raises(NotFound):
            await library.remove(document, "local")


async def test_a_renamed_document_is_found_by_its_new_name_alone(tmp_path: Path) -> None:
    async with library_in(tmp_path / "data") as library:
        document = await put(library, "first.txt", "Nothing of note.")
        await library.documents.edit("local", document, "second.txt", None)
        assert (await library.search("second", 5, "local")).matches.share
        assert not (await library.search("first", 5, "local")).matches.share
    assert troubles(tmp_path / "data") == []


async def test_the_index_file_is_only_a_cache(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with library_in(data) as library:
        await put(library, "a.txt", "Apples are red.")
    (file,) = data.glob("vectors-*.index")
    whole = file.read_bytes()
    for damaged in (b"", whole[:-10], b"x" * len(whole), None):
        if damaged is None:
            file.unlink()
        else:
            file.write_bytes(damaged)
        async with library_in(data) as library:
            assert len((await library.embeddings.serving()).vectors) == 1
            assert await found(library, "apples") == ["a.txt"]
    async with library_in(data) as library:  # and a stale one is brought up to date
        await put(library, "b.txt", "Pears are green.")
    file.write_bytes(whole)
    async with library_in(data) as library:
        assert len((await library.embeddings.serving()).vectors) == 2


async def test_an_index_that_cannot_be_read_does_not_outlive_its_documents(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with library_in(data) as library:
        document = await put(library, "a.txt", "Apples are red.")
    (file,) = data.glob("vectors-*.index")
    whole = file.read_bytes()
    async with library_in(data) as library:
        await library.remove(document, "local")
    file.write_bytes(whole[:-10])
    async with library_in(data) as library:
        assert await found(library, "apples") == []
    assert not file.exists()


async def test_search_goes_over_to_lists_and_finds_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    middles = rng.normal(size=(20, 64))
    async with library_in(tmp_path / "data") as library:
        serving = await library.embeddings.serving()
        for number in range(20):
            made = [NewPassage(n, n + 1, None, "", f"{number} {n}", f"{number} {n}") for n in range(100)]
            vectors = middles[rng.integers(0, 20, 100)] + rng.normal(size=(100, 64)) * 0.5
            unit = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
            document = NewDocument(source(f"{number}.txt"), "text", None, str(number), 1, "x" * 101, tuple(made))
            change = await library.documents.put(document, unit, serving.model)
            await serving.vectors.add(change.added, change.vectors)
        asked = unit[0]
        before = [*(await serving.vectors.search(asked, 5))[0]]
        recall = await serving.vectors.invert()
        assert recall is not None
        assert recall >= RECALL
        assert not serving.vectors.exact
        assert (await serving.vectors.search(asked, 5))[0][0] == before[0]
        await put(library, "late.txt", "A late guest.")
        assert (await found(library, "late guest"))[0] == "late.txt"


class OtherEmbedder(FakeEmbedder):
    """Another model: other vectors, another name."""

    @property
    def model(self) -> str:
        return f"{self.folder.name}:other"


async def test_a_new_embedding_model_takes_over_when_it_has_caught_up(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with library_in(data) as library:
        await put(library, "a.txt", "Apples are red.")
        before = contents(data)
    async with library_in(data, OtherEmbedder) as library:
        await library.embeddings.caught_up()
        assert (await library.embeddings.serving()).model.endswith(":other")
        assert await found(library, "apples") == ["a.txt"]
        assert [*await library.documents.vectors.models()] == [(await library.embeddings.serving()).model]
    assert contents(data) == before
    assert troubles(data) == []


async def test_a_document_that_goes_while_it_comes_leaves_nothing_in_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Vectors.add
    removing: list[asyncio.Task[None]] = []
    async with library_in(tmp_path / "data") as library:

        async def add_while_it_goes(vectors: Vectors, ids: Ids, rows: Matrix) -> None:
            (document,) = await library.documents.listed("local", 10)
            removing.append(asyncio.create_task(library.remove(document.uid, "local")))
            await asyncio.wait(removing, timeout=0.2)  # as far as the removal gets
            await add(vectors, ids, rows)

        monkeypatch.setattr(Vectors, "add", add_while_it_goes)
        await put(library, "pump.txt", SHELF["pump.txt"])
        await asyncio.gather(*removing)
        assert len((await library.embeddings.serving()).vectors) == 0
    assert troubles(tmp_path / "data") == []
