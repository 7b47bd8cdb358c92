"""Who comes in over HTTP, as whom, and what becomes of them when a token is taken back."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import hdrs

from neuralbridge.access.users import Role, User
from neuralbridge.web.identity import PUBLIC
from neuralbridge.web.keys import SERVICES, Services
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner

OWNER = "owner-" + "t" * 32
AUTH = {"token": OWNER}
PHRASES = {"/api/knowledge/documents/{id}": "/api/knowledge/documents/x", "/static/{name}": "/static/x"}


def services_of(served: Served) -> Services:
    app = served.server.app
    assert app is not None
    return app[SERVICES]


def token_of(served: Served, user: str = "ana", role: Role = "user") -> str:
    return services_of(served).gate.tokens.new(user, role)


@asynccontextmanager
async def visit(served: Served, token: str | None = None, **headers: str) -> AsyncIterator[aiohttp.ClientSession]:
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address
    async with aiohttp.ClientSession(base_url=served.url, headers=headers, cookie_jar=jar) as http:
        yield http


async def status(http: aiohttp.ClientSession, method: str, path: str, **more: Any) -> int:
    async with http.request(method, path, allow_redirects=False, **more) as response:
        return response.status


@pytest.fixture
async def guarded(serve: Serve) -> Served:
    return await serve(auth=AUTH)


def paths_of(served: Served) -> list[tuple[str, str]]:
    """Every route: method and a path that leads there."""
    app = served.server.app
    assert app is not None
    found = []
    for route in app.router.routes():
        assert route.resource is not None
        path = re.sub(r"\{\w+\}", "x", route.resource.canonical)
        methods = ["GET", "POST", "DELETE"] if route.method == hdrs.METH_ANY else [route.method]
        found += [(method, path) for method in methods if route.resource.canonical not in PUBLIC]
    return found


async def test_every_route_but_the_few_named_asks_who_is_there(guarded: Served) -> None:
    """A1."""
    routes = paths_of(guarded)
    assert len(routes) > 30
    more = [
        ("GET", "/metrics/"),
        ("GET", f"{guarded.url}//v1/models"),
        ("GET", "/nowhere"),
        ("GET", "/api/"),
        ("HEAD", "/metrics"),
    ]
    async with visit(guarded) as http:
        for method, path in [*routes, *more]:
            if method == hdrs.METH_OPTIONS:  # browsers ask with it, without a token; it tells nothing
                continue
            assert await status(http, method, path) == 401, (method, path)
    async with visit(guarded, "wrong") as http:
        assert await status(http, "GET", "/v1/models") == 401


async def test_what_a_page_needs_to_ask_for_a_token_is_there(guarded: Served) -> None:
    async with visit(guarded) as http:
        assert await status(http, "GET", "/") == 200
        async with http.get("/api/session") as response:
            assert await response.json() == {"authentication": True, "user": None, "role": None}
        async with http.get("/api/proxy/health") as response:
            told = await response.json()
            assert told.keys() == {"status", "version"}
        async with http.get("/api/models") as response:
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert (await response.json())["error"] == "unauthorized"
        async with http.get("/v1/models") as response:
            assert (await response.json())["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("header", ["Authorization", "x-auth-token", "x-api-key"])
async def test_a_token_comes_in_a_header(guarded: Served, header: str) -> None:
    value = f"Bearer {OWNER}" if header == "Authorization" else OWNER
    async with visit(guarded, **{header: value}) as http:
        assert await status(http, "GET", "/v1/models") == 200


async def test_never_in_the_address_of_a_request(guarded: Served) -> None:
    async with visit(guarded) as http:
        assert await status(http, "GET", f"/v1/models?auth_token={OWNER}") == 401


async def test_a_page_gets_a_cookie_for_its_token(guarded: Served) -> None:
    async with visit(guarded) as http:
        assert await status(http, "POST", "/api/session", json={"token": "wrong"}) == 401
        assert await status(http, "POST", "/api/session", json={}) == 400
        async with http.post("/api/session", json={"token": f" {token_of(guarded, 'ana')} "}) as response:
            assert await response.json() == {"authentication": True, "user": "ana", "role": "user"}
            (cookie,) = response.cookies.values()
            assert cookie["httponly"] is True
            assert (cookie["samesite"], cookie["path"], cookie["secure"]) == ("Strict", "/", "")
        assert await status(http, "GET", "/v1/models") == 200
        async with http.get("/api/session") as response:
            assert (await response.json())["user"] == "ana"
        assert await status(http, "DELETE", "/api/session") == 204
        assert await status(http, "GET", "/v1/models") == 401


async def test_another_page_cannot_sign_anybody_in_or_out(guarded: Served) -> None:
    for origin in ("https://evil.example", "null"):
        async with visit(guarded, OWNER, Origin=origin) as http:
            assert await status(http, "POST", "/api/session", json={"token": OWNER}) == 403
            assert await status(http, "DELETE", "/api/session") == 403


async def test_a_phone_is_paired_once(guarded: Served) -> None:
    async with visit(guarded, token_of(guarded, "ana")) as desk, visit(guarded) as phone, visit(guarded) as thief:
        async with desk.post("/api/session/pairing") as response:
            told = await response.json()
        assert told["svg"].startswith("<svg")
        code = told["url"].rpartition("/#/pair/")[2]
        assert await status(desk, "GET", "/v1/models", headers={"Authorization": f"Bearer {code}"}) == 401
        async with phone.post("/api/session", json={"code": code}, headers={"User-Agent": "Phone"}) as response:
            assert (await response.json())["user"] == "ana"
        assert await status(phone, "GET", "/v1/models") == 200
        async with thief.post("/api/session", json={"code": code}) as response:
            assert response.status == 401
            assert "used already" in (await response.json())["message"]
        async with desk.get("/api/tokens") as response:
            kinds = {each["kind"]: each for each in (await response.json())["tokens"]}
        assert kinds["device"]["label"] == "Phone"
        assert await status(phone, "DELETE", "/api/session") == 204  # which takes the device's token back
        async with desk.get("/api/tokens") as response:
            assert [each["kind"] for each in (await response.json())["tokens"]] == ["token"]


async def test_a_code_says_whether_other_machines_reach_its_address(serve: Serve) -> None:
    served = await serve(auth=AUTH, server={"allowed_hosts": ["bridge.example"]})
    for headers, reachable in (({}, False), ({"Host": "bridge.example"}, True)):  # the latter behind a proxy
        async with visit(served, OWNER, **headers) as http, http.post("/api/session/pairing") as response:
            assert (await response.json())["reachable"] is reachable


async def test_tokens_are_seen_and_taken_back_by_their_user_and_by_admins(guarded: Served) -> None:
    ana, bob = token_of(guarded, "ana"), token_of(guarded, "bob")
    ids = {each.user: each.id for each in services_of(guarded).gate.tokens.listed()}
    async with visit(guarded, ana) as http:
        async with http.get("/api/tokens") as response:
            assert [each["user"] for each in (await response.json())["tokens"]] == ["ana"]
        assert await status(http, "DELETE", f"/api/tokens/{ids['bob']}") == 404
    async with visit(guarded, OWNER) as http:
        async with http.get("/api/tokens") as response:
            assert {each["user"] for each in (await response.json())["tokens"]} == {"ana", "bob"}
        assert await status(http, "DELETE", f"/api/tokens/{ids['bob']}") == 204
    async with visit(guarded, bob) as http:
        assert await status(http, "GET", "/v1/models") == 401


@pytest.mark.parametrize(
    ("role", "method", "path", "expected"),
    [
        ("user", "GET", "/metrics", 403),
        ("user", "DELETE", "/api/users/ana", 403),
        ("user", "GET", "/api/knowledge/folders", 403),
        ("guest", "POST", "/api/knowledge/ingest", 403),
        ("guest", "DELETE", "/api/knowledge/documents/x", 403),
        ("guest", "PATCH", "/api/knowledge/documents/x", 403),
        ("guest", "POST", "/api/conversations/import", 403),
        ("guest", "POST", "/api/session/pairing", 403),
        ("guest", "GET", "/api/conversations", 200),
        ("guest", "GET", "/v1/models", 200),
        ("admin", "GET", "/metrics", 200),
        ("admin", "HEAD", "/metrics", 200),
        ("user", "HEAD", "/metrics", 403),
    ],
)
async def test_a_role_says_what_may_be_done(guarded: Served, role: Role, method: str, path: str, expected: int) -> None:
    async with visit(guarded, token_of(guarded, "ana", role)) as http:
        assert await status(http, method, path) == expected


async def test_wrong_tokens_are_counted_and_good_ones_go_on(serve: Serve) -> None:
    served = await serve(auth=AUTH, limits={"failed_sign_ins": "3/minute"})
    async with visit(served, "wrong") as http:
        assert [await status(http, "GET", "/v1/models") for _ in range(4)] == [401, 401, 401, 429]
        async with http.get("/v1/models") as response:
            assert int(response.headers["Retry-After"]) > 0
            assert (await response.json())["error"]["code"] == "rate_limited"
    async with visit(served) as http:
        assert await status(http, "POST", "/api/session", json={"token": "wrong"}) == 429
        assert await status(http, "POST", "/api/session", json={"token": OWNER}) == 200


async def test_a_wrong_token_is_counted_where_none_is_needed_but_not_an_old_cookie(serve: Serve) -> None:
    served = await serve(auth=AUTH, limits={"failed_sign_ins": "3/minute"})
    cookie = {"Cookie": f"neuralbridge-{served.url.rpartition(':')[2]}=old"}
    async with visit(served) as http:
        assert [await status(http, "GET", "/api/session", headers=cookie) for _ in range(5)] == [200] * 5
    async with visit(served, "wrong") as http:
        assert [await status(http, "GET", "/api/session") for _ in range(4)] == [200, 200, 200, 429]


async def test_users_have_rates_and_the_local_one_has_none(serve: Serve) -> None:
    served = await serve(auth=AUTH, limits={"requests": "5/minute", "uploads": "1/minute"})
    async with visit(served, token_of(served, "ana")) as http:
        form = {"content": "text", "source_document": "a.txt"}
        assert await status(http, "POST", "/api/knowledge/ingest", json=form) == 201
        assert await status(http, "POST", "/api/knowledge/ingest", json=form) == 429
        assert [await status(http, "GET", "/api/models") for _ in range(5)] == [200, 200, 200, 429, 429]
    async with visit(served, token_of(served, "bob")) as http:
        assert await status(http, "GET", "/api/models") == 200
    async with visit(served, OWNER) as http:
        assert {await status(http, "GET", "/api/models") for _ in range(10)} == {200}


Lose = Callable[[Served], Awaitable[None]]


async def revoke(served: Served) -> None:
    services_of(served).gate.tokens.revoke("ana")
    services_of(served).gate.look()


async def test_a_stream_ends_with_its_token(serve: Serve) -> None:
    served = await serve(FakeRunner(reply=lambda _: "word " * 1_000), auth=AUTH)
    served.runner.hold()
    asked = {"model": "gpt-4", "stream": True, "messages": [{"role": "user", "content": "why?"}]}
    async with visit(served, token_of(served)) as http, http.post("/v1/chat/completions", json=asked) as response:
        served.runner.step(5)
        assert await response.content.readany()
        await revoke(served)
        with pytest.raises(aiohttp.ClientPayloadError):
            async with asyncio.timeout(5):  # as promised
                await response.content.read()
    served.runner.release()
    async with visit(served, OWNER) as http:
        assert await status(http, "GET", "/v1/models") == 200


async def test_what_nobody_asks_for_is_not_looked_at(served: Served) -> None:
    """Without authentication every token is ignored, and there is one local user."""
    for headers in ({}, {"Authorization": "Bearer x"}, {"Cookie": "neuralbridge-1=x"}, {"x-api-key": "y"}):
        async with visit(served, **headers) as http:
            async with http.get("/api/session") as response:
                assert await response.json() == {"authentication": False, "user": "local", "role": "admin"}
            assert await status(http, "GET", "/metrics") == 200
            assert await status(http, "POST", "/api/session", json={"token": "x"}) == 200
            assert await status(http, "POST", "/api/session/pairing") == 400


async def test_a_user_has_conversations_of_their_own(guarded: Served) -> None:
    ana, bob = token_of(guarded, "ana"), token_of(guarded, "bob")
    question = {"query": "mine", "session_id": "s"}
    async with visit(guarded, ana) as a, visit(guarded, bob) as b:
        assert await status(a, "POST", "/api/proxy/query", json=question) == 200
        assert await status(a, "GET", "/api/conversations/s") == 200
        assert await status(b, "GET", "/api/conversations/s") == 404
        assert await status(b, "DELETE", "/api/conversations/s") == 404
        async with b.get("/api/conversations") as response:
            assert (await response.json())["total"] == 0
    assert User("ana", "user") == services_of(guarded).gate.admit(ana).user


async def test_a_device_of_a_device_goes_with_the_first(guarded: Served) -> None:
    gate = services_of(guarded).gate
    ana = token_of(guarded, "ana")
    tokens = [ana]
    for _ in range(2):
        async with visit(guarded, tokens[-1]) as old, visit(guarded) as new:
            async with old.post("/api/session/pairing") as response:
                code = (await response.json())["url"].rpartition("/")[2]
            async with new.post("/api/session", json={"code": code}) as response:
                (cookie,) = response.cookies.values()
                tokens.append(cookie.value)
    first = gate.tokens.find(ana)
    assert first is not None
    gate.tokens.revoke(first.id)
    for token in tokens:
        assert gate.tokens.find(token) is None
