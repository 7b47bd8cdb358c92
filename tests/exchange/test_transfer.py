"""What is written out can be taken in elsewhere, with all branches; taken in again, it adds nothing."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralbridge.assistant.context import Source
from neuralbridge.database import Database, reading
from neuralbridge.errors import InvalidParams, NotFound, StorageFull
from neuralbridge.exchange import transfer
from neuralbridge.exchange.jsonl import line_of
from neuralbridge.exchange.transfer import Transfer, all_exported, exported
from neuralbridge.protocol.exchange import ImportReport
from neuralbridge.store import archive
from neuralbridge.store.archive import Whole
from neuralbridge.store.branches import Branches, Errand
from neuralbridge.store.conversations import Conversation, Conversations, Message
from neuralbridge.store.history import History
from tests.exchange.trees import wholes

T = TypeVar("T")
AT, LATER = "2024-05-31T12:00:00.000Z", "2024-06-01T12:00:00.000Z"
CHATGPT = (Path(__file__).parents[1] / "data" / "chatgpt.json").read_bytes()
WHOLE = "INSERT INTO messages_text (messages_text, rank) VALUES ('integrity-check', 1)"


def message(uid: str, parent: Message | None = None, content: str = "text") -> Message:
    position = parent.position + 1 if parent else 1
    role = "assistant" if position % 2 == 0 else "user"
    return Message(uid, parent.uid if parent else None, position, role, content, "complete", {}, AT)


Q1 = message("q1", content="Why is the sea salty?")
A1, A1B = message("a1", Q1), message("a1b", Q1)
Q2 = message("q2", A1)
A2 = message("a2", Q2)
SHORT = Whole("s", "Sea", True, AT, AT, "a1", (Q1, A1))
PASSAGE = asdict(Source(1, "d", "sea.txt", None, "", 0, 14, 0.9, "The sea: salt."))
LONG = Whole("s", None, False, AT, LATER, "a2", (Q1, A1, A1B, Q2, A2))


def file(*conversations: Whole) -> bytes:
    return "".join(f"{line_of(each)}\n" for each in conversations).encode()


async def stored(database: Database, session_id: str = "s", owner: str = "local") -> Whole:
    found = await database.read(lambda connection: archive.whole(connection, Conversation(owner, session_id)))
    assert found is not None
    return found


async def everything(database: Database) -> str:
    return "".join([part async for part in Transfer(database).all_exported("local", "jsonl")])


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "other.db")
    await database.start()
    yield database
    await database.stop()


# There and back


async def test_what_was_said_here_can_be_taken_in_elsewhere_and_goes_on_there(
    database: Database, other: Database
) -> None:
    conversations = Conversations(database)
    for session in ("s", "t\n/💥"):
        for question in ("Why is the sea salty?", "And lakes?"):
            turn = await conversations.begin(Conversation("local", session), question, {"user_id": "ana"}, {})
            await conversations.finish(turn, f"Because of {question}", "complete", {"model_used": "small"})
    lines = await everything(database)
    assert await Transfer(other).take_in("local", lines.encode()) == ImportReport(imported=2, messages=8)
    assert await everything(other) == lines
    here = Conversation("local", "s")
    assert [each.uid for each in await Conversations(other).branch(here, 9)] == [
        each.uid for each in await conversations.branch(here, 9)
    ]
    turn = await Conversations(other).begin(here, "And rain?", {}, {})
    assert (await Conversations(other).length(here), turn.question in lines) == (6, False)


async def test_edited_questions_and_answers_made_again_come_with_their_branches(
    database: Database, other: Database
) -> None:
    here, branches = Conversation("local", "s"), Branches(database)
    first = await Conversations(database).begin(here, "Why?", {}, {})
    for errand in (Errand("regenerates", first.answer), Errand("edits", first.question)):
        place = await branches.place(here, errand)
        turn = await Conversations(database).begin(here, "Why not?", {}, {}, [PASSAGE], place)
        await Conversations(database).finish(turn, f"Because it {errand.kind}.", "cancelled", {})
    await Conversations(database).finish(first, "Because.", "complete", {})
    await branches.select(here, first.answer)
    lines = await everything(database)
    await Transfer(other).take_in("local", lines.encode())
    assert await everything(other) == lines
    messages = await Conversations(other).branch(here, 9)
    assert [each.content for each in messages] == ["Why?", "Because."]
    siblings = await Conversations(other).siblings(messages)
    assert [len(siblings[each.uid]) for each in messages] == [2, 2]


async def test_taken_in_again_it_adds_nothing(database: Database) -> None:
    for content in (file(LONG), CHATGPT):
        await Transfer(database).take_in("local", content)
    before = await everything(database)
    assert await Transfer(database).take_in("local", file(LONG)) == ImportReport(unchanged=1)
    report = await Transfer(database).take_in("local", CHATGPT)
    assert (report.imported, report.extended, report.unchanged, report.messages, report.refused) == (0, 0, 2, 0, 1)
    assert await everything(database) == before


async def test_what_was_taken_in_is_listed_and_found(database: Database) -> None:
    report = await Transfer(database).take_in("local", CHATGPT)
    assert (report.imported, report.messages, report.refused) == (2, 9, 1)
    assert [(each.where, each.reason) for each in report.refusals] == [
        ("conversation 3", "It has no messages that are shown.")
    ]
    page = await History(database).found("local", "kilogram", 9)
    assert [(each.title, each.messages) for each in page.conversations] == [("Salt in the sea", 4)]
    assert [each.title for each in (await History(database).listed("local", 9)).conversations] == [
        "[image] O que é isto? Olhão ☀",
        "Salt in the sea",
    ]
    await database.write(lambda connection: connection.execute(WHOLE))


async def test_another_owner_can_take_in_under_the_same_session_id_but_not_the_same_messages(
    database: Database,
) -> None:
    await Transfer(database).take_in("other", file(SHORT))
    report = await Transfer(database).take_in("local", file(SHORT, replace(SHORT, messages=(message("x"),), leaf="x")))
    assert (report.imported, report.refused, report.refusals[0].where) == (1, 1, "s")
    assert "q1" in report.refusals[0].reason
    assert await stored(database, owner="other") == SHORT


# Into what is here already


async def test_a_conversation_that_went_on_elsewhere_gets_what_is_new_and_goes_on_from_there(
    database: Database,
) -> None:
    await Transfer(database).take_in("local", file(SHORT))
    assert await Transfer(database).take_in("local", file(LONG)) == ImportReport(extended=1, messages=3)
    assert await stored(database) == replace(LONG, title="Sea", pinned=True)


async def test_an_older_copy_changes_nothing(database: Database) -> None:
    await Transfer(database).take_in("local", file(LONG))
    assert await Transfer(database).take_in("local", file(SHORT)) == ImportReport(unchanged=1)
    assert await stored(database) == LONG


async def test_what_went_on_in_both_places_stays_on_the_branch_of_this_one(database: Database) -> None:
    mine = replace(SHORT, messages=(Q1, A1, message("mine", A1)), leaf="mine")
    await Transfer(database).take_in("local", file(mine))
    assert await Transfer(database).take_in("local", file(LONG)) == ImportReport(extended=1, messages=3)
    assert [each.uid for each in (await stored(database)).branch] == ["q1", "a1", "mine"]


async def test_a_message_of_another_conversation_is_refused_with_all_of_this_one(database: Database) -> None:
    await Transfer(database).take_in("local", file(SHORT))
    stolen = replace(LONG, session_id="t", messages=(message("new"), Q1), leaf="new")
    report = await Transfer(database).take_in(
        "local", file(stolen, replace(SHORT, session_id="u", messages=(), leaf=None))
    )
    assert (report.refused, report.imported, report.refusals[0].where) == (1, 1, "t")
    assert await database.read(lambda connection: archive.session_ids(connection, "local")) == ["s", "u"]
    assert (await stored(database, "u")).messages == ()


async def test_an_answer_that_was_growing_comes_as_interrupted(database: Database, other: Database) -> None:
    turn = await Conversations(database).begin(Conversation("local", "s"), "why?", {}, {})
    await Conversations(database).save_text(turn, "half")
    await Transfer(other).take_in("local", (await everything(database)).encode())
    assert [(each.content, each.status) for each in (await stored(other)).messages] == [
        *(("why?", "complete"), ("half", "interrupted"))
    ]
    assert await Conversations(other).mark_interrupted() == 0


async def test_only_some_refusals_are_told_and_all_are_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "REFUSALS_TOLD", 2)
    report = await Transfer(database).take_in("local", b"{}\n" * 5)
    assert (report.refused, [each.where for each in report.refusals]) == (5, ["line 1", "line 2"])


async def test_a_file_with_hardly_a_conversation_in_it_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MOST_REFUSALS", 3)
    with pytest.raises(InvalidParams, match="More than 3 entries"):
        await Transfer(database).take_in("local", b"{}\n" * 1_000_000)


async def test_a_file_of_another_kind_is_refused(database: Database) -> None:
    with pytest.raises(InvalidParams):
        await Transfer(database).take_in("local", b"hello")


# In parts


class BrokenOff(Database):
    """A database whose disk takes so many writes and no more; what happens before each is in `before`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.left = 1_000_000
        self.before: Callable[[], Awaitable[object]] | None = None

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        if not self.left:
            raise StorageFull("Full.")
        self.left -= 1
        if self.before is not None:
            await self.before()
        return await super().write(change)


@pytest.fixture
async def breaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BrokenOff]:
    monkeypatch.setattr(archive, "PART_SIZE", 1)
    async with BrokenOff(tmp_path / "breaking.db") as database:
        yield database


FORKED = replace(LONG, messages=(Q1, A1B, A1, Q2, message("q2b", A1B), A2))  # other branches between


@pytest.mark.parametrize("whole", [LONG, FORKED])
@pytest.mark.parametrize("writes", range(1, 5))
async def test_what_was_broken_off_is_a_conversation_and_is_whole_when_taken_in_again(
    breaking: BrokenOff, whole: Whole, writes: int
) -> None:
    breaking.left = writes
    with pytest.raises(StorageFull):
        await Transfer(breaking).take_in("local", file(whole))
    begun = await stored(breaking)
    assert begun.messages == whole.messages[:writes]
    assert begun.branch == [each for each in whole.branch if each in begun.messages]
    breaking.left = 1_000_000
    await Transfer(breaking).take_in("local", file(whole))
    assert await stored(breaking) == whole
    assert await Transfer(breaking).take_in("local", file(whole)) == ImportReport(unchanged=1)
    await breaking.write(lambda connection: connection.execute(WHOLE))


async def test_others_write_between_the_parts_and_all_of_them_are_told_as_one(breaking: BrokenOff) -> None:
    counts = []

    async def count() -> None:
        (found,) = await breaking.read(
            lambda connection: connection.execute("SELECT count(*) FROM messages").fetchone()
        )
        counts.append(found)

    breaking.before = count
    assert await Transfer(breaking).take_in("local", file(LONG)) == ImportReport(imported=1, messages=5)
    assert counts == [0, 1, 2, 3, 4]


async def test_whatever_is_asked_between_the_parts_stays_the_active_branch(breaking: BrokenOff) -> None:
    async def ask() -> None:
        breaking.before = None
        await Conversations(breaking).begin(Conversation("local", "s"), "mine", {}, {})

    await Transfer(breaking).take_in("local", file(SHORT))
    breaking.before = ask
    assert (await Transfer(breaking).take_in("local", file(LONG))).messages == 3
    assert [each.content for each in (await stored(breaking)).branch][:3] == [
        *("Why is the sea salty?", "text", "mine")
    ]


async def test_a_conversation_that_is_deleted_between_its_parts_stays_deleted(breaking: BrokenOff) -> None:
    async def delete() -> None:
        if breaking.left == 1_000_000 - 3:
            breaking.before = None
            await History(breaking).remove(Conversation("local", "s"))

    breaking.before = delete
    report = await Transfer(breaking).take_in("local", file(LONG))
    assert [(each.where, each.reason) for each in report.refusals] == [("s", "It was deleted while it was taken in.")]
    assert await everything(breaking) == ""


async def test_a_message_of_another_conversation_is_found_before_the_first_part_is_kept(breaking: BrokenOff) -> None:
    await Transfer(breaking).take_in("local", file(replace(SHORT, messages=(Q1,), leaf="q1")))
    stolen = replace(LONG, session_id="t", messages=(message("new"), Q1), leaf="new")
    assert (await Transfer(breaking).take_in("local", file(stolen))).refused == 1
    assert await breaking.read(lambda connection: archive.session_ids(connection, "local")) == ["s"]


# Written out


async def test_only_the_owners_are_written_out(database: Database) -> None:
    await Transfer(database).take_in("other", file(SHORT))
    assert await everything(database) == ""
    with pytest.raises(NotFound):
        await database.read(lambda connection: exported(connection, Conversation("local", "s"), "jsonl"))


@pytest.mark.parametrize("form", ["markdown", "jsonl"])
async def test_the_command_line_writes_what_the_server_does(
    database: Database, tmp_path: Path, form: transfer.Format
) -> None:
    await Transfer(database).take_in("local", CHATGPT)
    with reading(tmp_path / "neuralbridge.db") as connection:
        pieces = [*all_exported(connection, "local", form)]
    assert len(pieces) == 2
    assert pieces == [part async for part in Transfer(database).all_exported("local", form)]


async def test_what_is_deleted_while_all_are_written_out_is_left_out(database: Database) -> None:
    await Transfer(database).take_in("local", CHATGPT)
    await Transfer(database).take_in("local", file(SHORT))
    parts = []
    async for part in Transfer(database).all_exported("local", "jsonl"):
        parts.append(part)
        if len(parts) == 1:
            await History(database).remove(Conversation("local", "chatgpt-6665e0f4-0000-8000-9d3c-1f7a11f7a002"))
    assert ["7a001" in parts[0], '"session_id": "s"' in parts[1], len(parts)] == [True, True, 2]


# Whatever the conversations are

SESSIONS = st.sampled_from(["a", "b", "c"])


async def there_and_back(conversations: list[Whole], folder: Path, size: int) -> None:
    content = file(*conversations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "PART_SIZE", size)
        await taken_in_twice(conversations, content, folder)


async def taken_in_twice(conversations: list[Whole], content: bytes, folder: Path) -> None:
    databases = [Database(folder / name) for name in ("one.db", "two.db")]
    for database in databases:
        await database.start()
    try:
        one, two = databases
        await Transfer(one).take_in("local", content)
        for each in conversations:
            assert await stored(one, each.session_id) == each
        lines = await everything(one)
        await Transfer(two).take_in("local", lines.encode())
        again = await Transfer(two).take_in("local", content)
        assert (again.messages, again.imported, again.refused) == (0, 0, 0)
        assert await everything(two) == lines
        await two.write(lambda connection: connection.execute(WHOLE))
    finally:
        for database in databases:
            await database.stop()


@settings(max_examples=30, deadline=None)
@given(st.lists(wholes(SESSIONS), max_size=3, unique_by=lambda each: each.session_id), st.sampled_from([1, 200, 10**6]))
def test_any_conversations_come_back_whole_in_parts_of_any_size(conversations: list[Whole], size: int) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(there_and_back(conversations, Path(folder), size))
