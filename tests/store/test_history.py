"""The list of conversations: in order, by name, found by what was said in them, gone when deleted."""

import asyncio
import sqlite3
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralbridge.database import Database, create, migrations
from neuralbridge.errors import NotFound
from neuralbridge.store import history as store_history
from neuralbridge.store.cached_answers import CachedAnswers, NewEntry
from neuralbridge.store.conversations import Conversation, Conversations, Turn
from neuralbridge.store.feedback import Feedback, rated
from neuralbridge.store.history import LONGEST_TITLE, Counts, History, match_of, shortened, unmarked

THOUSANDS = 5_000
FEW_SECONDS = 0.02  # of computing; it takes about 0.002
WHOLE = "INSERT INTO messages_text (messages_text, rank) VALUES ('integrity-check', 1)"


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


async def said(database: Database, session: str, question: str, answer: str = "yes", owner: str = "local") -> Turn:
    conversations = Conversations(database)
    turn = await conversations.begin(Conversation(owner, session), question, {}, {})
    await conversations.finish(turn, answer, "complete", {})
    return turn


async def sessions(history: History, typed: str | None = None, limit: int = 100, offset: int = 0) -> list[str]:
    if typed is None:
        page = await history.listed("local", limit, offset)
    else:
        page = await history.found("local", typed, limit, offset)
    return [each.session_id for each in page.conversations]


async def age(database: Database, session: str, updated_at: str) -> None:
    await database.write(
        lambda connection: connection.execute(
            "UPDATE conversations SET updated_at = ? WHERE session_id = ?", (updated_at, session)
        )
    )


# The list


async def test_where_nothing_was_asked_there_is_nothing(history: History) -> None:
    page = await history.listed("local", 10)
    assert (page.conversations, page.total, await history.counts("local")) == ([], 0, Counts(0, 0))


async def test_the_last_asked_comes_first_and_pinned_ones_before_it(database: Database, history: History) -> None:
    for place, session in enumerate("abcd"):
        await said(database, session, "why?")
        await age(database, session, f"2024-01-0{place + 1}")
    await history.pin(Conversation("local", "b"), True)
    assert await sessions(history) == ["b", "d", "c", "a"]
    await history.pin(Conversation("local", "b"), False)
    assert await sessions(history) == ["d", "c", "b", "a"]


async def test_another_question_moves_a_conversation_up(database: Database, history: History) -> None:
    await said(database, "a", "why?")
    await age(database, "a", "2020-01-01")
    await said(database, "b", "why?")
    await said(database, "a", "and?")
    await age(database, "b", "2021-01-01")
    assert await sessions(history) == ["a", "b"]


@pytest.mark.parametrize(("limit", "offset", "expected"), [(2, 0, "ed"), (2, 2, "cb"), (9, 4, "a"), (9, 5, "")])
async def test_a_page_is_a_part_and_says_how_many_there_are(
    database: Database, history: History, limit: int, offset: int, expected: str
) -> None:
    for place, session in enumerate("abcde"):
        await said(database, session, "why?")
        await age(database, session, f"2024-01-0{place + 1}")
    page = await history.listed("local", limit, offset)
    assert ("".join(each.session_id for each in page.conversations), page.total) == (expected, 5)


async def test_only_the_owners_are_listed_counted_and_found(database: Database, history: History) -> None:
    await said(database, "mine", "why the sea?")
    await said(database, "theirs", "why the sea?", owner="other")
    assert (await sessions(history), await sessions(history, "sea")) == (["mine"], ["mine"])
    assert await history.counts("local") == Counts(1, 2)
    for deed in (history.get, history.remove):
        with pytest.raises(NotFound):
            await deed(Conversation("local", "theirs"))
    assert await history.counts("other") == Counts(1, 2)


# Names


async def test_the_first_question_is_the_name_until_there_is_another(database: Database, history: History) -> None:
    await said(database, "s", "Why is\n the sea salty?")
    await said(database, "s", "And the rain?")
    here = Conversation("local", "s")
    assert (await history.get(here)).title == "Why is the sea salty?"
    await history.rename(here, "Water")
    assert (await history.get(here)).title == "Water"
    await history.rename(here, None)
    assert (await history.get(here)).title == "Why is the sea salty?"


@pytest.mark.parametrize("deed", ["get", "rename", "pin", "remove"])
async def test_what_is_not_there_is_said_by_name(history: History, deed: str) -> None:
    more = {"rename": ["x"], "pin": [True]}.get(deed, [])
    with pytest.raises(NotFound, match="nowhere"):
        await getattr(history, deed)(Conversation("local", "nowhere"), *more)


@given(st.text())
def test_a_shortened_text_is_one_line_of_few_characters_and_begins_as_the_text_does(text: str) -> None:
    short = shortened(text)
    assert len(short) <= LONGEST_TITLE
    assert len(short.splitlines()) <= 1
    assert " ".join(text.split()).startswith(short.removesuffix("…"))


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("", ""),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
        ("word " * 40, "word " * 15 + "word…"),
    ],
)
def test_a_long_text_is_cut_between_words_where_there_are_any(text: str, short: str) -> None:
    assert shortened(text) == short


# Search


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("salty", "a"),
        ("SALTY", "a"),
        ("salty sea", "a"),
        ("salt", "a"),
        ("sal", "a"),
        ("sa", ""),
        ("açú", "c"),
        ("日本", "d"),
        ("sea mountain", ""),
        ("are high", "b"),
        ('"high mountains"', ""),
        ('"are high"', "b"),
        ("acucar", "c"),
        ("nothing of it", ""),
        ("salty !!!", "a"),
        ("!!!", ""),
        ("💥", ""),
        ("", ""),
        ('"', ""),
        ('salty"', "a"),
        ("salty\0", "a"),
        ("sal* OR NOT (", ""),
        ("content:salty", ""),
    ],
)
async def test_words_are_found_whatever_was_typed(database: Database, history: History, typed: str, found: str) -> None:
    await said(database, "a", "Why is the sea salty?", "Rivers bring salt.")
    await said(database, "b", "Are mountains high?", "They are high.")
    await said(database, "c", "Quanto açúcar?", "Pouco.")
    await said(database, "d", "日本語の文章", "はい")
    assert "".join(await sessions(history, typed)) == found


async def test_a_find_names_the_messages_and_shows_where_in_them(database: Database, history: History) -> None:
    turn = await said(
        database, "s", "Why is the sea salty?", "long " * 200 + "The sea takes salt from rivers. " + "on " * 99
    )
    (entry,) = (await history.found("local", "sea", 10)).conversations
    assert {match.message for match in entry.matches} == {turn.question, turn.answer}
    for match in entry.matches:
        assert [match.snippet[start:end] for start, end in match.marks] == ["sea"]
        assert len(match.snippet) < 300
    assert (entry.title, entry.messages) == ("Why is the sea salty?", 2)


async def test_the_better_match_comes_first_and_pages_do_not_overlap(database: Database, history: History) -> None:
    for place in range(5):
        await said(database, f"s{place}", "other words " * place * 20 + "salty")
    best = await sessions(history, "salty")
    assert best[0] == "s0"
    assert [*await sessions(history, "salty", 2), *await sessions(history, "salty", 9, 2)] == best
    assert (await history.found("local", "salty", 2)).total == 5


async def test_a_given_name_is_found_before_what_was_said(database: Database, history: History) -> None:
    await said(database, "a", "taxes taxes taxes")
    await said(database, "b", "hello")
    await history.rename(Conversation("local", "b"), "My Táxes 2024")
    page = await history.found("local", "taxes", 10)
    assert [(each.session_id, len(each.matches)) for each in page.conversations] == [("b", 0), ("a", 1)]


async def test_an_answer_is_found_when_it_has_ended_and_as_it_ended(database: Database, history: History) -> None:
    conversations = Conversations(database)
    turn = await conversations.begin(Conversation("local", "s"), "why?", {}, {})
    await conversations.save_text(turn, "early words")
    assert await sessions(history, "early") == []
    await conversations.finish(turn, "late words", "complete", {})
    assert (await sessions(history, "early"), await sessions(history, "late")) == ([], ["s"])


async def test_what_a_crash_left_of_an_answer_is_found(database: Database, history: History) -> None:
    conversations = Conversations(database)
    turn = await conversations.begin(Conversation("local", "s"), "why?", {}, {})
    await conversations.save_text(turn, "half an answer")
    await conversations.mark_interrupted()
    assert await sessions(history, "half") == ["s"]
    await database.write(lambda connection: connection.execute(WHOLE))


@pytest.mark.parametrize(("limit", "found"), [("LOOKED", ["new"]), ("HITS", ["better"])])
async def test_a_search_looks_at_so_many_messages_at_most(
    database: Database, history: History, monkeypatch: pytest.MonkeyPatch, limit: str, found: list[str]
) -> None:
    await said(database, "better", "salty")
    await said(database, "new", "salty " + "or not " * 50)
    assert await sessions(history, "salty") == ["better", "new"]
    monkeypatch.setattr(store_history, limit, 1)
    assert await sessions(history, "salty") == found


async def test_what_others_said_later_hides_nothing(
    database: Database, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_history, "LOOKED", 1)
    await said(database, "mine", "the mortgage")
    for number in range(3):
        await said(database, f"theirs {number}", "mortgage", owner="ben")
    assert await sessions(history, "mortgage") == ["mine"]


async def test_a_database_that_cannot_be_read_says_so(database: Database, history: History) -> None:
    assert await history.readable()
    await database.write(lambda connection: connection.execute("ALTER TABLE conversations RENAME TO gone"))
    assert not await history.readable()


@given(st.text())
def test_whatever_is_typed_is_a_search_that_can_be_made(typed: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5 (content)")
    wanted = match_of(typed)
    if wanted:
        connection.execute("SELECT * FROM t WHERE t MATCH ?", (wanted,)).fetchall()
    connection.close()


@given(st.text(st.sampled_from("ab\ufdd0\ufdd1")))
def test_a_snippet_without_its_marks_has_none_and_they_lie_within(snippet: str) -> None:
    text, marks = unmarked(snippet)
    assert {*text} <= {"a", "b"}
    assert all(0 <= start <= end <= len(text) for start, end in marks)


# Deleting


async def test_a_deleted_conversation_takes_everything_of_it_along_and_nothing_else(
    database: Database, history: History
) -> None:
    gone, kept = await said(database, "gone", "salty?"), await said(database, "kept", "salty too?")
    answers = CachedAnswers(database, 10, 1)
    for turn in (gone, kept):
        await Feedback(database).put("local", turn.answer, 1, "")
        await answers.put(NewEntry("local", b"", turn.question, "", turn.answer, "", {}, [], None, 0, frozenset()))
    await history.remove(Conversation("local", "gone"))
    assert (await sessions(history), await sessions(history, "salty")) == (["kept"], ["kept"])
    assert await history.counts("local") == Counts(1, 2)
    assert [each.rating.message for each in await database.read(lambda connection: [*rated(connection)])] == [
        kept.answer
    ]
    assert [(await answers.find(b"", turn.question))[0] is None for turn in (gone, kept)] == [True, False]
    await database.write(lambda connection: connection.execute(WHOLE))


async def test_a_conversation_with_branches_can_be_deleted_and_begun_anew(database: Database, history: History) -> None:
    first = await said(database, "s", "one")
    await said(database, "s", "two")
    await database.write(
        lambda connection: connection.execute(
            "UPDATE conversations SET leaf = (SELECT id FROM messages WHERE uid = ?)", (first.answer,)
        )
    )
    await said(database, "s", "instead")
    await history.remove(Conversation("local", "s"))
    await said(database, "s", "again")
    assert [each.title for each in (await history.listed("local", 9)).conversations] == ["again"]
    assert await history.counts("local") == Counts(1, 2)


# Databases from before


async def test_what_was_said_before_there_was_a_list_is_listed_and_found(tmp_path: Path) -> None:
    path = tmp_path / "neuralbridge.db"
    create(path, migrations()[:3])
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        INSERT INTO conversations VALUES (1, 'local', 's', NULL, '2024-01-01T00:00:00.000Z');
        INSERT INTO messages (uid, conversation, parent, depth, role, content, status, metadata, created_at) VALUES
            ('q', 1, NULL, 1, 'user', 'Is it salty?', 'complete', '{}', '2024-01-02T00:00:00.000Z'),
            ('a', 1, 1, 2, 'assistant', 'Very much', 'streaming', '{}', '2024-01-02T00:00:01.000Z');
        UPDATE conversations SET leaf = 2;
        """
    )
    connection.close()
    database = Database(path)
    await database.start()
    await Conversations(database).mark_interrupted()
    history = History(database)
    (entry,) = (await history.listed("local", 9)).conversations
    assert (entry.title, entry.messages, entry.updated_at) == ("Is it salty?", 2, "2024-01-02T00:00:01.000Z")
    assert (await sessions(history, "salty"), await sessions(history, "much")) == (["s"], ["s"])
    await database.write(lambda connection: connection.execute(WHOLE))
    await database.stop()


# Whatever happens in whatever order, full text holds what the messages hold.

deeds = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from("ab"), st.text(max_size=20)),
    st.tuples(st.sampled_from(["save", "finish"]), st.integers(0, 9), st.text(max_size=20)),
    st.tuples(st.just("remove"), st.sampled_from("ab")),
    st.tuples(st.just("restart")),
)


async def play(folder: Path, story: list[tuple[str, ...]]) -> None:
    database = Database(folder / "neuralbridge.db")
    await database.start()
    conversations, history, turns = Conversations(database), History(database), list[Turn]()
    try:
        for deed in story:
            match deed:
                case ("begin", session, text):
                    turns.append(await conversations.begin(Conversation("local", session), text, {}, {}))
                case ("save", int(place), text) if turns:
                    await conversations.save_text(turns[place % len(turns)], text)
                case ("finish", int(place), text) if turns:
                    await conversations.finish(turns[place % len(turns)], text, "complete", {})
                case ("remove", session) if session in await sessions(history):
                    await history.remove(Conversation("local", session))
                case ("restart",):
                    await conversations.mark_interrupted()
        await conversations.mark_interrupted()
        await database.write(lambda connection: connection.execute(WHOLE))
    finally:
        await database.stop()


@settings(max_examples=40, deadline=None)
@given(st.lists(deeds, max_size=20))
def test_full_text_is_that_of_the_messages_after_any_story(story: list[tuple[str, ...]]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), story))


async def test_a_hundred_of_thousands_are_listed_in_a_few_milliseconds(database: Database, history: History) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        for number in range(THOUSANDS):
            connection.execute(
                """
                INSERT INTO conversations (id, owner, session_id, pinned, created_at, updated_at)
                VALUES (?, 'local', ?, ?, 'x', ?)
                """,
                (number + 1, f"s{number}", number % 50 == 0, f"{number * 7919 % THOUSANDS:05}"),
            )
            for depth in range(1, 9):
                id = number * 8 + depth
                connection.execute(
                    """
                    INSERT INTO messages
                        (id, uid, conversation, parent, depth, role, content, status, metadata, created_at)
                    VALUES (?, ?, ?, ?, ?, 'user', ?, 'complete', '{}', 'x')
                    """,
                    (id, str(id), number + 1, id - 1 if depth > 1 else None, depth, "word " * 100),
                )
            connection.execute("UPDATE conversations SET leaf = ? WHERE id = ?", (number * 8 + 8, number + 1))

    await database.write(fill)
    times = []
    for offset in (0, 100, THOUSANDS - 100) * 3:
        begun = time.process_time()
        page = await history.listed("local", 100, offset)
        times.append(time.process_time() - begun)
        assert (len(page.conversations), page.total) == (100, THOUSANDS)
    assert min(times) < FEW_SECONDS
