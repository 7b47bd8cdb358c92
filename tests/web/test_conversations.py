"""Conversations over HTTP: listed, found, renamed, read, deleted, written out and taken in; only one's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from errno import ENOSPC
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from neuralbridge.protocol.conversations import ConversationEntry, ConversationList
from neuralbridge.protocol.proxy import Refused
from neuralbridge.store.conversations import Conversation
from neuralbridge.web import conversations
from neuralbridge.web.keys import SERVICES
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.web.raw import RawSocket
from tests.web.test_sign_in import AUTH, status, token_of, visit
from tests.web.wire import TOPIC, connected, mid_answer

STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3
PATH = "/api/conversations"
AT = "2024-05-31T12:00:00.000Z"
BRANCHED = json.dumps(
    {
        "type": "conversation",
        "version": 1,
        "session_id": "s",
        "title": None,
        "pinned": False,
        "created_at": AT,
        "updated_at": AT,
        "leaf": "a1",
        "messages": [
            {
                "id": id,
                "parent": parent,
                "role": "user" if id.startswith("q") else "assistant",
                "content": content,
                "status": status,
                "metadata": {"n": id},
                "created_at": AT,
                "context": [],
            }
            for id, parent, content, status in (
                ("q1", None, "Sea?", "complete"),
                ("a1", "q1", "Salt.", "complete"),
                ("a1b", "q1", "Sal", "cancelled"),
                ("q2", "a1b", "Salt?", "complete"),
                ("a2", "q2", "Yes.", "complete"),
                ("q1b", None, "See?", "complete"),
            )
        ],
    }
)
CHATGPT = Path(__file__).parents[1] / "data" / "chatgpt.json"
STRANGE = ["a b", "a/b", "a%2Fb", "%", "?#&=", "Olhão 💥", "ç" * 255, "\n", "{session_id}"]


async def call(served: Served, method: str, path: str = "", **more: Any) -> tuple[int, Any]:
    """Status, and what came: parsed where it is JSON, None where nothing came."""
    async with (
        aiohttp.ClientSession(base_url=served.url) as http,
        http.request(method, aiohttp.client.URL(PATH + path, encoded=True), **more) as response,
    ):
        assert response.headers["Cache-Control"] == "no-store"
        text = await response.text()
        return response.status, json.loads(text) if response.content_type == "application/json" else text or None


async def ask(served: Served, query: str, session_id: str = "s") -> str:
    """The answer's id."""
    async with (
        aiohttp.ClientSession(base_url=served.url) as http,
        http.post("/api/proxy/query", json={"query": query, "session_id": session_id}) as response,
    ):
        message: str = (await response.json())["metadata"]["message_id"]
        return message


async def listed(served: Served, **query: Any) -> list[str]:
    status, told = await call(served, "GET", "?" + "&".join(f"{name}={quote(str(query[name]))}" for name in query))
    assert (status, ConversationList.model_validate(told).model_dump()) == (200, told)
    return [each["session_id"] for each in told["conversations"]]


async def refused(served: Served, method: str, path: str, **more: Any) -> tuple[int, str, dict[str, Any]]:
    status, told = await call(served, method, path, **more)
    assert Refused.model_validate(told).model_dump() == told
    return status, told["error"], told["details"]


# Lists and searches


async def test_what_was_asked_anywhere_is_listed_the_last_first(served: Served) -> None:
    await ask(served, "one", "a")
    async with connected(served, "proxy:b") as client:
        await client.ask("two", "proxy:b")
    await ask(served, "three", "c")
    assert await listed(served) == ["c", "b", "a"]
    assert await listed(served, limit=1, offset=1) == ["b"]
    assert (await call(served, "GET", "?limit=1"))[1]["total"] == 3


async def test_a_search_finds_messages_and_shows_where(served: Served) -> None:
    answer = await ask(served, "Why is the sea salty?", "a")
    await ask(served, "Why is the sky blue?", "b")
    assert await listed(served, q="salt") == ["a"]
    _, told = await call(served, "GET", "?q=salty")
    (found,) = told["conversations"]
    shown = {match["role"]: match for match in found["matches"]}
    assert shown["assistant"]["message_id"] == answer
    assert [shown["user"]["snippet"][start:end] for start, end in shown["user"]["marks"]] == ["salty"]
    assert (found["title"], found["messages"]) == ("Why is the sea salty?", 2)


@pytest.mark.parametrize("q", ["'; DROP TABLE messages; --", '"', "NEAR(", "*", "a" * 1000, "\x00"])
async def test_a_search_for_anything_is_answered(served: Served, q: str) -> None:
    await ask(served, "why?")
    assert await listed(served, q=q) == []


async def test_a_blank_search_lists_all(served: Served) -> None:
    await ask(served, "why?")
    assert await listed(served, q=" ") == ["s"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        *((f"limit={value}", "limit") for value in ("0", "501", "-1", "x", "", "1.5")),
        *((f"offset={value}", "offset") for value in ("-1", "x", str(10**10))),
        (f"q={'x' * 1001}", "q"),
    ],
    ids=lambda value: value[:20],
)
async def test_a_wrong_parameter_is_named(served: Served, query: str, param: str) -> None:
    assert await refused(served, "GET", f"?{query}") == (400, "invalid_params", {"param": param})


# One


async def test_a_conversation_is_renamed_and_pinned_and_what_is_left_out_stays(served: Served) -> None:
    await ask(served, "one", "a")
    await ask(served, "two", "b")
    status, told = await call(served, "PATCH", "/a", json={"title": " Of  water ", "pinned": True})
    assert (status, ConversationEntry.model_validate(told).model_dump()) == (200, told)
    assert (told["title"], told["pinned"], await listed(served)) == ("Of water", True, ["a", "b"])
    assert (await call(served, "PATCH", "/a", json={}))[1] == told == (await call(served, "GET", "/a"))[1]
    assert (await call(served, "PATCH", "/a", json={"title": None}))[1]["title"] == "one"
    assert (await call(served, "PATCH", "/a", json={"pinned": False}))[1]["pinned"] is False


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        *(({"title": value}, "title") for value in ("", " ", 7, [], "x" * 201)),
        *(({"pinned": value}, "pinned") for value in ("yes", 1)),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_wrong_change_changes_nothing(served: Served, wrong: dict[str, Any], param: str) -> None:
    await ask(served, "why?")
    before = await call(served, "GET", "/s")
    changes = {"title": "new", "pinned": True, **wrong}
    assert await refused(served, "PATCH", "/s", json=changes) == (400, "invalid_params", {"param": param})
    assert await call(served, "GET", "/s") == before


async def test_the_history_comes_in_pages_as_on_the_channel(served: Served) -> None:
    for query in ("one", "two", "three"):
        await ask(served, query)
    async with connected(served, TOPIC) as client:
        on_channel = await client.history({"limit": 3})
    status, page = await call(served, "GET", "/s/history?limit=3")
    assert (status, page) == (200, on_channel | {"before": None})
    earlier = (await call(served, "GET", f"/s/history?before={page['messages'][0]['id']}"))[1]
    assert [message["content"] for message in earlier["messages"]] == ["one", "You asked: one", "two"]
    assert (earlier["total_messages"], earlier["before"]) == (6, page["messages"][0]["id"])


async def test_half_a_character_in_metadata_does_not_hide_the_history(served: Served) -> None:
    await call(served, "POST", "/import", data=BRANCHED.replace('{"n": "a1"}', '{"n": "\\ud800"}').encode())
    status, page = await call(served, "GET", "/s/history")
    assert (status, page["messages"][1]["metadata"]["n"]) == (200, "\ud800")


@pytest.mark.parametrize(
    ("query", "param"), [("limit=0", "limit"), ("limit=501", "limit"), ("before=" + "x" * 65, "before")]
)
async def test_a_wrong_page_is_named(served: Served, query: str, param: str) -> None:
    assert await refused(served, "GET", f"/s/history?{query}") == (400, "invalid_params", {"param": param})


CALLS = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/history"), ("GET", "/export")]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_what_is_not_there_or_somebody_elses_is_not_found(served: Served, method: str, path: str) -> None:
    services = served.server.app[SERVICES]
    await services.conversations.begin(Conversation("somebody", "theirs"), "why?", {}, {})
    more = {"json": {"title": "mine"}} if method == "PATCH" else {}
    for session in ("nowhere", "theirs"):
        assert (await refused(served, method, f"/{session}{path}", **more))[:2] == (404, "not_found")
    assert (await services.history.counts("somebody")).messages == 2
    assert await listed(served) == await listed(served, q="why") == []


@pytest.mark.parametrize("session", STRANGE)
async def test_a_conversation_of_any_name_can_be_reached(served: Served, session: str) -> None:
    await ask(served, "why?", session)
    path = "/" + quote(session, safe="")
    assert (await call(served, "GET", path))[1]["session_id"] == session
    assert (await call(served, "PATCH", path, json={"title": "x"}))[1]["title"] == "x"
    assert (await call(served, "GET", f"{path}/history"))[1]["total_messages"] == 2
    assert "why?" in (await call(served, "GET", f"{path}/export"))[1]
    assert (await call(served, "DELETE", path))[0] == 204
    assert await listed(served) == []


async def test_a_conversation_that_is_named_as_a_call_can_be_listed_read_and_deleted(served: Served) -> None:
    for session in ("export", "import"):
        await ask(served, "why?", session)
        assert (await call(served, "PATCH", f"/{session}", json={"title": "x"}))[1]["session_id"] == session
        assert (await call(served, "GET", f"/{session}/history"))[1]["total_messages"] == 2
        assert (await call(served, "DELETE", f"/{session}"))[0] == 204
    assert await listed(served) == []


# Deleting


async def test_a_deleted_conversation_is_gone_everywhere(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_text("small")
    served = await serve(models={"small": {"path": str(tmp_path / "small.gguf")}}, cache={"enabled": True})
    await ask(served, "Why is the sea salty?")
    assert await call(served, "DELETE", "/s") == (204, None)
    assert (await listed(served), await listed(served, q="salty")) == ([], [])
    async with connected(served, TOPIC) as client:
        assert (await client.history())["total_messages"] == 0
        response = await client.ask("Why is the sea salty?")
    assert response["metadata"]["source"] == "llm"
    assert (await refused(served, "DELETE", "/gone"))[:2] == (404, "not_found")


async def test_deleting_stops_what_runs_and_what_waits_first(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: STORY))
    async with connected(served, TOPIC, "proxy:other") as client:
        stream_id = await mid_answer(served, client)
        await client.push(TOPIC, "query", {"query": "waiting"})
        await client.until("queued")
        await client.push("proxy:other", "query", {"query": "mine"})
        deleting = asyncio.create_task(call(served, "DELETE", "/s"))
        ended = await client.until("response")
        served.runner.release()
        assert (await deleting)[0] == 204
        while len([frame for frame in ended if frame[3] in ("response", "stream_complete")]) < 3:
            ended.append(await client.receive())
        assert (await client.history())["messages"] == []
        rejoined = await client.join(TOPIC, {"resume": {"stream_id": stream_id, "seq": 0}})
    reasons = {frame[2]: frame[4]["metadata"]["finish_reason"] for frame in ended if "metadata" in frame[4]}
    assert reasons == {TOPIC: "cancelled", "proxy:other": "stop"}
    assert rejoined[4]["response"]["resume"] == "gone"
    assert await listed(served) == ["other"]


# Out and in


async def test_a_conversation_is_written_out_to_read_and_to_take_in(served: Served) -> None:
    await ask(served, "Olhão?", "a")
    await ask(served, "other", "b")
    async with aiohttp.ClientSession(base_url=served.url) as http:
        async with http.get(f"{PATH}/a/export?format=markdown") as response:
            text = await response.text()
            kind, name = response.content_type, response.headers["Content-Disposition"]
        async with http.get(f"{PATH}/a/export") as response:
            line = json.loads(await response.text())
    assert (kind, "conversation.md" in name) == ("text/markdown", True)
    assert text.startswith("# Olhão?\n")
    assert "other" not in text
    assert [message["content"] for message in line["messages"]] == ["Olhão?", "You asked: Olhão?"]


async def test_all_are_written_out_and_come_back_elsewhere(serve: Serve, served: Served) -> None:
    for query, session in (("one", "a"), ("two", "a"), ("three", "b\n")):
        await ask(served, query, session)
    _, lines = await call(served, "GET", "/export?format=jsonl")
    for session in ("a", "b%0A"):
        await call(served, "DELETE", f"/{session}")
    assert (await listed(served), (await call(served, "GET", "/export"))[1]) == ([], None)
    told = [await call(served, "POST", "/import", data=lines.encode()) for _ in range(2)]
    counts = {
        "success": True,
        "imported": 0,
        "extended": 0,
        "unchanged": 0,
        "messages": 0,
        "refused": 0,
        "refusals": [],
    }
    assert told == [(200, counts | {"imported": 2, "messages": 6}), (200, counts | {"unchanged": 2})]
    assert (await call(served, "GET", "/export"))[1] == lines
    await ask(served, "four", "a")
    assert (await call(served, "GET", "/a/history"))[1]["total_messages"] == 6


async def test_a_deleted_conversation_comes_back_with_all_its_branches(served: Served) -> None:
    await call(served, "POST", "/import", data=BRANCHED.encode())
    await ask(served, "And rain?")
    await call(served, "PATCH", "/s", json={"title": "Of water", "pinned": True})
    paths = ("/s", "/s/history", "/s/export", "/s/export?format=markdown")
    before = [await call(served, "GET", path) for path in paths]
    kept = json.loads(before[2][1])
    assert len({each["parent"] for each in kept["messages"]}) < len(kept["messages"]), "it has no branches"
    await call(served, "DELETE", "/s")
    await call(served, "POST", "/import", data=before[2][1].encode())
    assert [await call(served, "GET", path) for path in paths] == before
    await ask(served, "And snow?")
    messages = (await call(served, "GET", "/s/history"))[1]["messages"]
    assert [each["content"] for each in messages if each["role"] == "user"] == ["Sea?", "And rain?", "And snow?"]


async def test_all_can_be_read_too(served: Served) -> None:
    for session in "ab":
        await ask(served, f"question {session}", session)
    _, text = await call(served, "GET", "/export?format=markdown")
    assert text.count("\n---\n") == 1
    assert text.index("# question a") < text.index("# question b")


@pytest.mark.parametrize("path", ["/export", "/s/export"])
@pytest.mark.parametrize("form", ["", "pdf", "JSONL"])
async def test_another_format_is_refused(served: Served, path: str, form: str) -> None:
    assert await refused(served, "GET", f"{path}?format={form}") == (400, "invalid_params", {"param": "format"})


@pytest.mark.parametrize("form", [True, False])
async def test_chatgpts_export_is_taken_in_and_gone_on_with(served: Served, form: bool) -> None:
    data: Any = CHATGPT.read_bytes()
    if form:
        data = aiohttp.FormData({"x": "y"})
        data.add_field("file", CHATGPT.read_bytes(), filename="conversations.json")
    status, told = await call(served, "POST", "/import", data=data)
    assert (status, told["imported"], told["messages"], told["refused"]) == (200, 2, 9, 1)
    assert told["refusals"] == [{"where": "conversation 3", "reason": "It has no messages that are shown."}]
    (session,) = await listed(served, q="kilogram")
    async with connected(served, f"proxy:{session}") as client:
        await client.ask("And lakes?", f"proxy:{session}")
        history = await client.history(topic=f"proxy:{session}")
    assert history["total_messages"] == 6


@pytest.mark.parametrize("body", [b"hello", b"\xff", b"PK\x03\x04"])
async def test_a_file_of_another_kind_is_refused(served: Served, body: bytes) -> None:
    assert (await refused(served, "POST", "/import", data=body))[:2] == (400, "invalid_params")


async def test_a_form_without_a_file_is_refused(served: Served) -> None:
    form = aiohttp.FormData({"x": "y"}, default_to_multipart=True)
    assert (await refused(served, "POST", "/import", data=form))[:2] == (400, "invalid_params")
    headers = {"Content-Type": "multipart/form-data"}
    assert (await refused(served, "POST", "/import", data=b"x", headers=headers))[:2] == (400, "invalid_params")


@pytest.mark.parametrize("form", [True, False])
async def test_a_file_may_be_so_long(served: Served, monkeypatch: pytest.MonkeyPatch, form: bool) -> None:
    def body(length: int) -> Any:
        content = b"[]".ljust(length)
        if not form:
            return content
        data = aiohttp.FormData()
        data.add_field("file", content, filename="x")
        return data

    monkeypatch.setattr(conversations, "IMPORT_BYTES", 1000)
    assert (await call(served, "POST", "/import", data=body(1000)))[0] == 200
    assert (await refused(served, "POST", "/import", data=body(1001)))[:2] == (413, "document_too_large")


async def test_one_file_at_a_time_of_each_user(served: Served) -> None:
    begun = asyncio.Event()

    async def slowly() -> Any:
        yield b"["
        await begun.wait()
        yield b"]"

    first = asyncio.create_task(call(served, "POST", "/import", data=slowly()))
    while not served.server.app[conversations.COMING]:
        await call(served, "GET")
    status, code, details = await refused(served, "POST", "/import", data=b"[]")
    begun.set()
    assert (status, code, details["retry_after_ms"] > 0) == (429, "server_busy", True)
    assert (await first)[0] == 200


async def test_a_file_that_comes_slowly_holds_up_nobody_elses(serve: Serve) -> None:
    served, begun = await serve(auth=AUTH), asyncio.Event()

    async def slowly() -> Any:
        yield b"["
        await begun.wait()
        yield b"]"

    async with visit(served, token_of(served, "ben")) as ben, visit(served, token_of(served, "ana")) as ana:
        first = asyncio.create_task(status(ben, "POST", f"{PATH}/import", data=slowly()))
        while not served.server.app[conversations.COMING]:
            await status(ana, "GET", PATH)
        assert await status(ana, "POST", f"{PATH}/import", data=BRANCHED.encode()) == 200
        assert not first.done()
        begun.set()
        assert await first == 200


async def test_whole_files_are_taken_in_one_after_the_other(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await serve(auth=AUTH)
    transfer, going, most = served.server.app[SERVICES].transfer, 0, 0
    take_in = transfer.take_in

    async def counted(*given: Any) -> Any:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0.05)
        told = await take_in(*given)
        going -= 1
        return told

    monkeypatch.setattr(transfer, "take_in", counted)

    async def send(user: str) -> int:
        async with visit(served, token_of(served, user)) as http:
            return await status(http, "POST", f"{PATH}/import", data=b"[]")

    assert await asyncio.gather(*(send(user) for user in ("ana", "ben", "eve"))) == [200, 200, 200]
    assert most == 1
    assert not served.server.app[conversations.COMING]


@pytest.mark.parametrize("memory", [10, 1_000_000])
async def test_nothing_of_a_file_stays_beside_the_conversations(
    served: Served, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    monkeypatch.setattr(conversations, "IMPORT_MEMORY_BYTES", memory)
    assert (await call(served, "POST", "/import", data=BRANCHED.encode()))[1]["imported"] == 1
    assert [*served.server.app[SERVICES].library.ingestion.uploads.iterdir()] == []


async def test_a_full_disk_is_told_to_whoever_imports(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(BytesIO):
        def write(self, _: object) -> int:
            raise OSError(ENOSPC, "No space left on device")

        def close(self) -> None:
            raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(conversations, "SpooledTemporaryFile", lambda *_, **__: Full())
    assert (await refused(served, "POST", "/import", data=b"[]"))[:2] == (503, "storage_full")
    monkeypatch.undo()
    assert (await call(served, "POST", "/import", data=b"[]"))[0] == 200


@pytest.mark.parametrize("path", ["/export", "/s/export"])
async def test_one_export_of_a_user_at_a_time_until_it_is_read_no_longer(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(conversations, "EXPORT_SECONDS", 0.3)
    large = json.loads(BRANCHED)
    for message in large["messages"]:
        message["content"] = "x" * 900_000
    await call(served, "POST", "/import", data=BytesIO(json.dumps(large).encode()))
    exporting = served.server.app[conversations.EXPORTING]
    target = f"/api/conversations{path}"
    async with RawSocket(served.url, target, headers={"Upgrade": None, "Connection": None}, window=1024):
        while not exporting:
            await call(served, "GET")
        status, code, details = await refused(served, "GET", "/export")
        assert (status, code, details["retry_after_ms"] > 0) == (429, "server_busy", True)
        async with asyncio.timeout(30):
            while exporting:
                await call(served, "GET")
    async with aiohttp.ClientSession(base_url=served.url) as http, http.get(target) as reply:
        assert len(await reply.read()) > 6 * 900_000
    assert not exporting


async def test_an_export_that_fails_half_way_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> AsyncIterator[str]:
        yield "x"
        raise RuntimeError

    monkeypatch.setattr(served.server.app[SERVICES].transfer, "all_exported", broken)
    async with aiohttp.ClientSession(base_url=served.url, timeout=aiohttp.ClientTimeout(10)) as http:
        reply = await http.get("/api/conversations/export")
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()


async def test_a_file_that_does_not_come_makes_room_for_others(serve: Serve) -> None:
    served = await serve(limits={"body_idle_seconds": 0.2})
    ended = asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"["
        await ended.wait()

    status, code, _ = await refused(served, "POST", "/import", data=never())
    ended.set()
    assert (status, code) == (408, "body_too_slow")
    assert (await call(served, "POST", "/import", data=b"[]"))[0] == 200


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/s"), ("DELETE", "/s"), ("POST", "/import")])
async def test_a_page_of_another_origin_changes_nothing(served: Served, method: str, path: str) -> None:
    await ask(served, "why?")
    headers = {"Origin": "https://evil.example"}
    assert await refused(served, method, path, json={"title": "x"}, headers=headers) == (403, "forbidden", {})
    assert (await call(served, "GET", "/s"))[1]["title"] == "why?"
