"""What a file holds, its content says; what in it cannot be taken is named, and the rest is taken."""

import contextlib
import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralbridge.errors import InvalidParams
from neuralbridge.exchange import reading
from neuralbridge.exchange.jsonl import line_of
from neuralbridge.exchange.reading import Refused, conversations_in
from neuralbridge.store.archive import Whole
from tests.exchange.trees import wholes

CHATGPT = (Path(__file__).parents[1] / "data" / "chatgpt.json").read_bytes()
AT = "2024-05-31T12:00:00.000Z"


def line(session_id: str) -> str:
    return line_of(Whole(session_id, None, False, AT, AT, None, ()))


def zipped(**members: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            # Of a fixed date: it is in the name of a test, which has to be the same in every process
            member = zipfile.ZipInfo(name.replace("__", "/").replace("_json", ".json"))
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def outcome(content: bytes) -> list[str]:
    """Names of what is taken, and places of what is not."""
    return [each.where if isinstance(each, Refused) else each.session_id for each in conversations_in(content)]


SEA, PHOTO = (f"chatgpt-6665e0f4-0000-8000-9d3c-1f7a11f7a00{number}" for number in (1, 2))
OF_CHATGPT = [SEA, PHOTO, "conversation 3"]


@given(st.lists(wholes(), max_size=4), st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]))
def test_lines_come_back_in_order(conversations: list[Whole], between: str) -> None:
    content = between.join(line_of(each) for each in conversations).encode()
    assert [*conversations_in(content)] == conversations


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (line("a").encode(), ["a"]),
        (b"\xef\xbb\xbf" + line("a").encode(), ["a"]),
        (f"{line('a')}\n{{broken\n[1]\n{line('b')}".encode(), ["a", "line 2", "line 3", "b"]),
        (f"{line('a')}\n{line('b')[:-9]}".encode(), ["a", "line 2"]),
        (b'{"a": NaN}', ["line 1"]),
        (f"{line('a')} more".encode(), ["line 1"]),
        (b'{"a":' * 100_000, ["line 1"]),
        (CHATGPT, OF_CHATGPT),
        (json.dumps(json.loads(CHATGPT)[0]).encode(), [SEA]),
        (b"", []),
        (b"  \n", []),
        (b"[]", []),
        (b" [ ] ", []),
        (b"[1, null]", ["conversation 1", "conversation 2"]),
        (CHATGPT.strip()[:-200], [SEA, PHOTO, "conversation 3 and all after it"]),
        (b"[", ["conversation 1 and all after it"]),
        (b"[" * 100_000, ["conversation 1 and all after it"]),
        (f"[{line('a')}, {line('b')}]".encode(), ["a", "b"]),
        (zipped(conversations_json=CHATGPT, user_json=b"{}"), OF_CHATGPT),
        (zipped(export__conversations_json=CHATGPT), OF_CHATGPT),
        (zipped(**{"conversations-000_json": b"[]", "conversations-001_json": CHATGPT}), OF_CHATGPT),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_can_be_taken_is_and_the_rest_is_named(content: bytes, found: list[str]) -> None:
    assert outcome(content) == found


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"hello", "neither"),
        (b"%PDF-1.7", "neither"),
        (b"\xff\xfe", "UTF-8"),
        (b"PK\x03\x04", "archive cannot be read"),
        (zipped(conversations_json=CHATGPT)[:-30], "archive cannot be read"),
        (zipped(other_json=CHATGPT), "no conversations.json"),
        (zipped(conversations_json=b"\xff"), "UTF-8"),
        (zipped(conversations_json=b"hello"), "neither"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_file_of_another_kind_is_refused_as_a_whole(content: bytes, says: str) -> None:
    with pytest.raises(InvalidParams, match=says):
        outcome(content)


def test_damage_in_an_archive_is_noticed() -> None:
    content = bytearray(zipped(conversations_json=CHATGPT))
    content[200] ^= 0xFF
    with pytest.raises(InvalidParams, match="archive cannot be read"):
        outcome(bytes(content))


def test_an_archive_may_unpack_to_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "UNPACKED_BYTES", len(CHATGPT) + 1)
    assert outcome(zipped(conversations_json=CHATGPT)) == OF_CHATGPT
    with pytest.raises(InvalidParams, match="more than"):
        outcome(zipped(conversations_json=CHATGPT, more__conversations_json=b"[]"))


MANY = '{"zzz":[' + "[]," * 700_000 + "1]}"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"{line('a')}\n{MANY}\n{line('b')}", ["a", "line 2", "b"]),
        (f"[{line('a')},{line('b')},{MANY},{line('c')}]", ["a", "b", "conversation 3 and all after it"]),
    ],
)
def test_a_conversation_of_too_many_values_is_not_parsed(content: str, found: list[str]) -> None:
    assert outcome(content.encode()) == found
    refused = next(each for each in conversations_in(content.encode()) if isinstance(each, Refused))
    assert refused.reason == "It has more than 1,000,000 commas and brackets outside its strings."


def test_a_long_text_is_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_VALUES", 100)
    message = {"id": "m", "parent": None, "role": "user", "content": "a, [b]" * 1_000, "created_at": AT}
    told = json.loads(line("a")) | {"messages": [message | {"status": "complete", "metadata": {}}], "leaf": "m"}
    assert outcome(json.dumps(told).encode()) == ["a"]
    assert outcome(json.dumps([told]).encode()) == ["a"]


@given(st.binary())
def test_any_bytes_are_taken_or_refused(content: bytes) -> None:
    with contextlib.suppress(InvalidParams):
        assert all(isinstance(each, Whole | Refused) for each in conversations_in(content))
