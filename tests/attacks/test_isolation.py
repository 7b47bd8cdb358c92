"""One user against everything of another's: it is not there for them, and stays as it was (A8, A14)."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from neuralbridge.store.cached_answers import NewEntry
from tests.attacks.tables import rows_of
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.phoenix_client import PhoenixClient
from tests.web.test_sign_in import AUTH, OWNER, services_of, status, token_of, visit

SESSION, TOPIC = "diary", "proxy:diary"
SECRET = "walrus"
KNOWLEDGE = "/api/knowledge"


class Users:
    """Ana, who has things, and Ben, who wants them."""

    def __init__(self, served: Served, data: Path) -> None:
        self.served, self.data = served, data
        self.ana, self.ben, self.guest = (
            token_of(served, "ana"),
            token_of(served, "ben"),
            token_of(served, "gus", "guest"),
        )
        self.message = self.document = self.job = ""

    def socket(self, token: str) -> PhoenixClient:
        return self.served.client(f"vsn=2.0.0&user_id=u&auth_token={token}")

    async def furnish(self) -> None:
        """A conversation, a rated answer, a document and its job, all Ana's."""
        async with self.socket(self.ana) as client:
            await client.join(TOPIC)
            await client.push(TOPIC, "query", {"query": f"What is the {SECRET}?"})
            self.message = (await client.expect("response"))["metadata"]["message_id"]
        kept = NewEntry("ana", b"s", SECRET, SECRET, self.message, SECRET, {}, [], None, 0, frozenset())
        await services_of(self.served).cached.put(kept)
        async with visit(self.served, self.ana) as http:
            text = {"content": f"The {SECRET} sleeps in the cellar.", "source_document": f"{SECRET}.txt"}
            async with http.post(f"{KNOWLEDGE}/ingest", json=text) as response:
                told = await response.json()
                assert response.status == 201, told
            self.document, self.job = told["document_id"], told["processing_job_id"]
            assert await status(http, "POST", "/api/feedback", json={"message_id": self.message, "rating": "up"}) == 200


@pytest.fixture
async def users(serve: Serve, tmp_path: Path) -> Users:
    served = await serve(auth=AUTH, cache={"enabled": True})
    users = Users(served, tmp_path / "data")
    await users.furnish()
    return users


def requests_of(users: Users) -> list[tuple[str, str, dict[str, Any], int]]:
    """What Ben tries: method, path, what goes with it, and the status that keeps him out."""
    talk, document = f"/api/conversations/{SESSION}", f"{KNOWLEDGE}/documents/{users.document}"
    return [
        ("GET", talk, {}, 404),
        ("PATCH", talk, {"json": {"title": "mine"}}, 404),
        ("PATCH", talk, {"json": {"pinned": True}}, 404),
        ("GET", f"{talk}/history", {}, 404),
        ("GET", f"{talk}/export", {}, 404),
        ("GET", f"{talk}/export?format=markdown", {}, 404),
        ("DELETE", talk, {}, 404),
        ("GET", document, {}, 404),
        ("GET", f"{document}?start=0&end=5", {}, 404),
        ("PATCH", document, {"json": {"source_document": "mine.txt", "pinned": True}}, 404),
        ("PATCH", document, {"json": {"shared_with": ["ben"]}}, 404),
        ("DELETE", document, {}, 404),
        ("GET", f"{KNOWLEDGE}/jobs/{users.job}", {}, 404),
        ("POST", "/api/feedback", {"json": {"message_id": users.message, "rating": "down"}}, 404),
        ("DELETE", "/api/users/ana", {}, 403),
        ("DELETE", "/api/cache", {}, 200),  # his own
    ]


async def test_nothing_of_hers_is_there_for_him_and_all_stays(users: Users) -> None:
    """A8."""
    before = rows_of(users.data, "ana")
    assert all(before.values()), before  # there is something of each to lose
    async with visit(users.served, users.ben) as http:
        for method, path, more, expected in requests_of(users):
            async with http.request(method, path, **more) as response:
                assert (method, path, response.status) == (method, path, expected)
                said = await response.text()
            assert SECRET not in said, (method, path, said)
    assert rows_of(users.data, "ana") == before


async def test_lists_searches_and_figures_have_only_his_own(users: Users) -> None:
    """A14."""
    paths = [
        "/api/conversations",
        f"/api/conversations?q={SECRET}",
        "/api/conversations/export",
        f"{KNOWLEDGE}/documents",
        f"{KNOWLEDGE}/documents?q={SECRET}",
        f"{KNOWLEDGE}/jobs",
        f"{KNOWLEDGE}/search?q=cellar",
        f"{KNOWLEDGE}/search?q=file:{SECRET}",
    ]
    async with visit(users.served, users.ben) as http:
        for path in paths:
            async with http.get(path) as response:
                assert (path, response.status) == (path, 200)
                said = await response.text()
                assert SECRET not in said.lower().replace(f'"{SECRET}"', ""), (path, said)
        async with http.post(f"{KNOWLEDGE}/explain", json={"query": f"{SECRET} cellar", "expect": SECRET}) as response:
            told = await response.json()
        assert told["terms"] == []
        assert told["expected"] == "nothing was found"
        async with http.get("/api/proxy/stats") as response:
            stats = await response.json()
        assert (stats["conversations"], stats["messages"], stats["documents"]) == (0, 0, 0)
        assert stats["cache"]["entries"] == 0
        assert (stats["questions"], stats["mean"], stats["tokens"]) == (None, None, None)
        # the same bytes of his own are no duplicate, and nothing tells that she has them
        text = {"content": f"The {SECRET} sleeps in the cellar.", "source_document": "x.txt"}
        assert await status(http, "POST", f"{KNOWLEDGE}/ingest", json=text) == 201


async def test_openai_clients_get_evidence_of_their_own_alone(users: Users) -> None:
    body = {"model": "gpt-4", "messages": [{"role": "user", "content": "Where does it sleep, in the cellar?"}]}
    async with visit(users.served, users.ben) as http, http.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        assert SECRET not in await response.text()


async def test_her_session_id_is_an_empty_conversation_of_his(users: Users) -> None:
    before = rows_of(users.data, "ana")
    async with users.socket(users.ben) as client:
        await client.join(TOPIC, {"follow": True})
        await client.push(TOPIC, "get_history")
        assert (await client.expect("history"))["messages"] == []
        await client.push(TOPIC, "query", {"query": "What did I say?"})
        assert SECRET not in (await client.expect("response"))["response"]
        await client.push(TOPIC, "get_history")
        assert (await client.expect("history"))["total_messages"] == 2
    assert rows_of(users.data, "ana") == before


async def test_a_stream_of_hers_cannot_be_heard_stopped_or_gone_on_with(users: Users) -> None:
    runner: FakeRunner = users.served.runner
    runner.hold()
    async with users.socket(users.ana) as hers, users.socket(users.ben) as his:
        await hers.join(TOPIC)
        await hers.push(TOPIC, "stream_query", {"query": f"Tell of the {SECRET} once more."})
        started = await hers.receive()
        while started[3] != "stream_start":
            started = await hers.receive()
        stream = started[4]["stream_id"]
        reply = await his.join(TOPIC, {"resume": {"stream_id": stream, "seq": 0}})
        assert reply[4]["response"]["resume"] == "gone"
        for event, payload in (
            ("stop", {"stream_id": stream}),
            ("stop", {}),
            ("select", {"message_id": users.message}),
            ("regenerate", {"message_id": users.message}),
            ("continue", {"message_id": users.message}),
            ("feedback", {"message_id": users.message, "rating": "down"}),
        ):
            await his.push(TOPIC, event, payload)
        runner.release()
        heard = await hers.until("stream_complete", "stream_error")
        assert heard[-1][3] == "stream_complete"
        assert heard[-1][4]["metadata"]["finish_reason"] == "stop"
        await his.push(TOPIC, "get_history")
        frames = await his.until("history")
        assert SECRET not in json.dumps(frames)
        assert frames[-1][4]["messages"] == []
    with closing(sqlite3.connect(users.data / "neuralbridge.db")) as connection:
        assert connection.execute("SELECT rating FROM feedback").fetchall() == [(1,)]


async def test_what_is_shared_can_be_read_until_it_is_not_and_never_changed(users: Users) -> None:
    path = f"{KNOWLEDGE}/documents/{users.document}"
    async with visit(users.served, users.ana) as hers, visit(users.served, users.ben) as his:
        async with hers.patch(path, json={"shared_with": ["ben"]}) as response:
            told = await response.json()
        assert (told["mine"], told["owner"], told["shared_with"]) == (True, "ana", ["ben"])
        async with his.get(path) as response:
            told = await response.json()
        assert (told["mine"], told["owner"], told["shared_with"]) == (False, "ana", None)
        assert SECRET in told["text"]
        for method, more in (("PATCH", {"json": {"pinned": True}}), ("DELETE", {})):
            assert await status(his, method, path, **more) == 404
        assert await status(hers, "PATCH", path, json={"shared_with": ["../x"]}) == 400
        assert await status(hers, "PATCH", path, json={"shared_with": []}) == 200
        assert await status(his, "GET", path) == 404


async def test_a_user_takes_everything_along_and_nobody_elses(users: Users) -> None:
    async with visit(users.served, users.ben) as http:
        text = {"content": "Ben likes brass.", "source_document": "brass.txt"}
        assert await status(http, "POST", f"{KNOWLEDGE}/ingest", json=text) == 201
    before = rows_of(users.data, "ben")
    async with visit(users.served, users.ana) as http:
        async with http.delete("/api/me") as response:
            told = await response.json()
        assert (told["user"], told["conversations"], told["messages"], told["documents"]) == ("ana", 1, 2, 1)
        assert (told["feedback"], told["cached_answers"], told["jobs"]) == (1, 1, 1)
        assert (told["scrubbed"], told["backups"]) == (True, [])
        assert await status(http, "GET", f"/api/conversations/{SESSION}") == 404
    assert not any(rows_of(users.data, "ana").values())
    assert rows_of(users.data, "ben") == before
    left = await asyncio.to_thread(holding, users.data)
    assert left == []


async def test_guests_may_go_too_and_admins_let_others_go(users: Users) -> None:
    async with visit(users.served, users.guest) as http:
        assert await status(http, "DELETE", "/api/me") == 200
        assert await status(http, "DELETE", "/api/users/ana") == 403
    async with visit(users.served, OWNER) as http:
        async with http.delete("/api/users/ana") as response:
            assert (await response.json())["conversations"] == 1
        assert await status(http, "DELETE", "/api/users/..x") == 400


def holding(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if SECRET.encode() in path.read_bytes().lower()]


async def test_beyond_the_quota_nothing_is_taken_in(serve: Serve) -> None:
    served = await serve(auth=AUTH, limits={"documents_bytes_per_user": 1024})
    text = {"content": "word " * 150, "source_document": "a.txt"}
    async with visit(served, token_of(served, "ben")) as http:
        assert await status(http, "POST", f"{KNOWLEDGE}/ingest", json=text) == 201
        async with http.post(f"{KNOWLEDGE}/ingest", json={**text, "source_document": "b.txt"}) as response:
            told = await response.json()
        assert (response.status, told["error"], told["reason"]) == (413, "quota_exceeded", "quota")
        assert "1,024" in told["message"]
        form = aiohttp.FormData()
        form.add_field("file", b"other " * 150, filename="c.txt")
        assert await status(http, "POST", f"{KNOWLEDGE}/ingest", data=form) == 413
