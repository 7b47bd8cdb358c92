"""Whose documents are whose: what is shared is seen by whom it is for, and by nobody else in any way."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from neuralbridge.errors import InvalidParams, NotFound, QuotaExceeded
from neuralbridge.retrieval.documents import NewDocument, NewPassage, Source
from neuralbridge.retrieval.explanation import explain
from neuralbridge.retrieval.ingestion import Content
from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.sharing import EVERYBODY
from neuralbridge.retrieval.sight import sight_of
from neuralbridge.store.cached_answers import CachedAnswers, NewEntry
from tests.retrieval.rooms import library_in, troubles

DATE = "2024-03-01T00:00:00Z"
MANY = 400  # more than full text and vectors give candidates


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with library_in(tmp_path / "data") as library:
        yield library


async def put(library: Library, owner: str, name: str, *texts: str, folder: str | None = None) -> str:
    """A document of these passages, past the reader: what it is like is known."""
    serving = await library.embeddings.serving()
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    passages = tuple(
        NewPassage(int(start), int(start) + len(text), None, "", text, text)
        for start, text in zip(starts, texts, strict=False)
    )
    source = Source(owner, name, name, DATE, folder=folder)
    document = NewDocument(source, "text", None, f"version of {name}", 100, "\n".join(texts), passages)
    change = await library.documents.put(document, await serving.embedder.embed(list(texts)), serving.model)
    await serving.vectors.add(change.added, change.vectors)
    await library.documents.indexed()
    return source.uid


async def found(library: Library, typed: str, user: str) -> list[str]:
    return [hit.passage.source for hit in (await library.search(typed, 10, user)).results]


async def generation(library: Library) -> int:
    (value,) = await library.documents._database.read(
        lambda connection: connection.execute("SELECT generation FROM library").fetchone()
    )
    return int(value)


async def test_a_shared_document_is_seen_in_every_way_and_changed_in_none(library: Library) -> None:
    documents, uid = library.documents, await put(library, "ana", "lease.txt", "The rent is due on Friday.")
    await documents.sharing.set("ana", uid, ["ben", "ana"])
    seen = await documents.get("ben", uid)
    assert (seen.owner, seen.readers, seen.pinned) == ("ana", ("ben",), False)
    assert (await documents.part("ben", uid))[1].text == b"The rent is due on Friday."
    assert [each.uid for each in await documents.listed("ben", 10)] == [uid]
    assert (await documents.named("ben", "lease", 10))[1] == 1
    assert await documents.versions("ben", [uid]) == {uid: "version of lease.txt"}
    assert await documents.holds("ben", "friday")
    assert await documents.count("ben") == 1
    assert await found(library, "rent friday", "ben") == ["lease.txt"]
    for refused in (
        documents.edit("ben", uid, "mine.txt", True),
        documents.sharing.set("ben", uid, ["eve"]),
        library.remove(uid, "ben"),
    ):
        with pytest.raises(NotFound):
            await refused
    assert await documents.get("ana", uid) == await documents.get("ana", uid)
    assert [await documents.count(user) for user in ("ana", "ben", "eve")] == [1, 1, 0]


async def test_what_is_shared_with_everybody_is_seen_by_all_until_it_is_not(library: Library) -> None:
    uid = await put(library, "ana", "menu.txt", "Soup on Mondays.")
    await library.documents.sharing.set("ana", uid, [EVERYBODY])
    assert await found(library, "soup", "eve") == ["menu.txt"]
    await library.documents.sharing.set("ana", uid, [])
    assert await found(library, "soup", "eve") == []
    assert await found(library, "soup", "ana") == ["menu.txt"]


async def test_a_pin_is_its_owners_and_the_folder_too(library: Library) -> None:
    old = await put(library, "ana", "old.txt", "Old.", folder="/notes/of/ana")
    await library.documents.sharing.set_followed(for_everybody=True)
    await library.documents.edit("ana", old, None, True)
    await put(library, "ben", "new.txt", "New.")
    listed = await library.documents.listed("ben", 10)
    assert [(each.source, each.pinned, each.folder) for each in listed] == [
        ("new.txt", False, None),
        ("old.txt", False, None),
    ]
    (mine,) = await library.documents.listed("ana", 10)
    assert (mine.pinned, mine.folder, mine.readers) == (True, "/notes/of/ana", (EVERYBODY,))


async def test_settings_say_who_sees_a_followed_folder(library: Library) -> None:
    uid = await put(library, "local", "note.txt", "A note.", folder="/notes")
    with pytest.raises(InvalidParams, match="watched_for"):
        await library.documents.sharing.set("local", uid, ["ben"])
    await library.documents.sharing.set_followed(for_everybody=True)
    assert await found(library, "note", "ben") == ["note.txt"]
    await library.documents.sharing.set_followed(for_everybody=False)
    assert await found(library, "note", "ben") == []


async def test_answers_that_rest_on_a_document_go_when_it_is_no_longer_shared(library: Library) -> None:
    database = library.documents._database
    uid, other = await put(library, "ana", "a.txt", "One."), await put(library, "ana", "b.txt", "Two.")
    for each in (uid, other):
        await library.documents.sharing.set("ana", each, ["ben", "eve"])
    answers, now = CachedAnswers(database, 10, 1), await generation(library)
    for scope, document in ((b"a", uid), (b"b", other)):
        entry = NewEntry("ben", scope, "why", "why", "m", "said", {}, [], b"e", now, frozenset({document}))
        await answers.put(entry)
    await library.documents.sharing.set("ana", uid, ["eve"])
    assert await generation(library) > now
    assert [(await answers.find(scope, "why"))[0] is None for scope in (b"a", b"b")] == [True, False]


async def test_the_only_document_of_a_user_is_found_among_thousands_of_others(library: Library) -> None:
    for number in range(4):
        texts = [f"The budget of department {number} {place} is secret." for place in range(MANY // 4)]
        await put(library, "ana", f"budget {number}.txt", *texts)
    await put(library, "ben", "mine.txt", "The budget of my holidays, which is not secret at all, for one.")
    search = await library.search("budget secret department", 10, "ben")
    assert [hit.passage.source for hit in search.results] == ["mine.txt"]
    assert search.results[0].ranks.vector == search.results[0].ranks.text == 1
    assert await found(library, "budget file:mine", "ben") == ["mine.txt"]
    assert await found(library, "file:budget", "ben") == []


async def test_words_of_others_change_neither_terms_nor_scores(library: Library) -> None:
    await put(library, "ben", "mine.txt", "A merger of two tables.", "Nothing else of note.", "Tables are flat.")
    # there is somebody else already: with nobody, FTS5's own sums are taken, which round differently
    await put(library, "eve", "eve.txt", "Entirely unrelated words.")

    async def seen() -> str:
        told = await explain(library, "merger codename tables", "codename", 0.5, "ben")
        return json.dumps(told, sort_keys=True)

    before = await seen()
    texts = ["The merger has the codename Walrus." for _ in range(20)]
    await put(library, "ana", "plan.txt", *[f"{text} {number}" for number, text in enumerate(texts)])
    after = json.loads(await seen())
    assert after["terms"] == json.loads(before)["terms"] == ["merger", "tables"]
    assert "not in the library" in after["expected"]
    scores = [[hit["score"] for hit in json.loads(text)["stages"][2]["kept"]] for text in (before, json.dumps(after))]
    assert scores[1] == pytest.approx(scores[0], abs=0.02)  # what is left is the mean length of passages


async def test_with_one_owner_nothing_is_looked_up_beforehand(library: Library) -> None:
    await put(library, "local", "a.txt", "One.")
    sight = await library.documents._database.read(lambda connection: sight_of(connection, "local"))
    assert sight.passages is None
    await put(library, "ana", "b.txt", "Two.")
    sights = [
        await library.documents._database.read(lambda connection, user=user: sight_of(connection, user))  # type: ignore[misc]
        for user in ("local", "ana", "eve")
    ]
    assert [len(each.passages) for each in sights if each.passages is not None] == [1, 1, 0]


async def test_somebody_elses_file_is_no_duplicate_and_its_vectors_are_not_taken(library: Library) -> None:
    ana, ben = (Source(owner, "same.txt", "same.txt", DATE) for owner in ("ana", "ben"))
    text = Content("The very same words of both.")
    first = await library.ingestion.finished(await library.ingestion.submit(ana, text))
    second = await library.ingestion.finished(await library.ingestion.submit(ben, text))
    assert (first.state, second.state) == ("done", "done")
    assert first.document != second.document
    model = (await library.embeddings.serving()).model
    embedded = "same.txt\nThe very same words of both."
    stored = library.documents.vectors
    assert [bool(await stored.embedded(owner, model, [embedded])) for owner in ("ana", "eve")] == [
        bool(await stored.embedded("ben", model, [embedded])),
        False,
    ]


async def test_a_user_has_room_for_so_many_bytes(library: Library) -> None:
    library.ingestion._room = lambda owner: None if owner == "local" else 250
    await put(library, "ben", "a.txt", "One.")
    await put(library, "ben", "b.txt", "Two.")
    source = Source("ben", "c.txt", "c.txt", DATE)
    with pytest.raises(QuotaExceeded, match=r"200 bytes, and may have 250"):
        await library.ingestion.submit(source, Content("x" * 51))
    await library.ingestion.check_quota(source)
    with pytest.raises(QuotaExceeded):
        await library.ingestion.check_quota(source, 51)
    await library.ingestion.check_quota(Source("ben", "a.txt", "a.txt", DATE), 150)  # in its place
    await library.ingestion.check_quota(Source("local", "c.txt", "c.txt", DATE), 10_000)
    full = NewDocument(source, "text", None, "v", 51, "x", (NewPassage(0, 1, None, "", "x", "x"),))
    with pytest.raises(QuotaExceeded):
        await library.documents.put(full, np.ones((1, 4), np.float32), "m", 250)
    assert await library.documents.size("ben") == 200


async def test_an_owner_is_forgotten_with_what_is_on_its_way_in(tmp_path: Path, library: Library) -> None:
    uid = await put(library, "ana", "a.txt", "One.", "Two.")
    await library.documents.sharing.set("ana", uid, ["ben"])
    await put(library, "ben", "b.txt", "Two.")
    jobs = [await library.ingestion.submit(Source("ana", str(n), str(n), DATE), Content("words")) for n in range(6)]
    gone = await library.forget("ana")
    assert (gone.documents >= 1, gone.jobs) == (True, 6)
    for job in jobs:
        with pytest.raises(NotFound):
            await library.ingestion.finished(job)
    serving = await library.embeddings.serving()
    assert [await library.documents.count(user) for user in ("ana", "ben")] == [0, 1]
    assert len(serving.vectors) == 1
    assert await library.forget("ana") == type(gone)(0, 0, 0, 0)
    assert await found(library, "two", "ben") == ["b.txt"]
    assert troubles(tmp_path / "data") == []
