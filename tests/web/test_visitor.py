"""Who comes in at a socket, by which of the ways, and when they are shown out."""

import asyncio
import base64
from typing import Any

import aiohttp
import pytest

from tests.conftest import Serve, Served
from tests.web.test_longpoll import PollClient
from tests.web.test_sign_in import AUTH, OWNER, revoke, services_of, token_of

TOPIC = "proxy:s"
OK, REFUSED = "ok", {"status": "error", "response": {"reason": "unauthorized"}}


@pytest.fixture
async def guarded(serve: Serve) -> Served:
    return await serve(auth=AUTH)


def encoded(token: str) -> str:
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def way(name: str, token: str) -> dict[str, Any]:
    """How a client brings a token, as arguments of `Served.client`."""
    ways: dict[str, dict[str, Any]] = {
        "parameter": {"params": f"vsn=2.0.0&user_id=u&auth_token={token}"},
        "bearer": {"headers": {"Authorization": f"Bearer {token}"}},
        "header": {"headers": {"x-auth-token": token}},
        "subprotocol": {"headers": {"Sec-WebSocket-Protocol": f"phoenix, base64url.bearer.phx.{encoded(token)}"}},
    }
    return ways[name]


WAYS = ["parameter", "bearer", "header", "subprotocol"]


@pytest.mark.parametrize("name", WAYS)
async def test_a_token_opens_the_socket(guarded: Served, name: str) -> None:
    async with guarded.client(**way(name, token_of(guarded))) as client:
        assert (await client.join(TOPIC))[4]["status"] == OK
        await client.push(TOPIC, "query", {"query": "why?"})
        assert (await client.expect("response"))["response"] == "You asked: why?"
    assert services_of(guarded).answers.under_way == 0


async def test_the_cookie_of_the_page_opens_it_too(guarded: Served) -> None:
    port = services_of(guarded).doors.port
    cookie = {"Cookie": f"neuralbridge-{port}={token_of(guarded)}", "Origin": guarded.url}
    async with guarded.client(headers=cookie) as client:
        assert (await client.join(TOPIC))[4]["status"] == OK
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with guarded.client(headers={**cookie, "Origin": "https://evil.example"}):
            pass
    assert refused.value.status == 403


@pytest.mark.parametrize("name", WAYS)
async def test_a_wrong_one_does_not(guarded: Served, name: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with guarded.client(**way(name, "wrong")):
            pass
    assert refused.value.status == 403


async def test_a_join_may_bring_it(guarded: Served) -> None:
    async with guarded.client() as client:
        assert (await client.join(TOPIC))[4] == REFUSED
        assert (await client.join(TOPIC, {"auth_token": "wrong"}))[4] == REFUSED
        assert (await client.join(TOPIC, {"auth_token": token_of(guarded)}))[4]["status"] == OK
        assert (await client.join("proxy:other"))[4]["status"] == OK  # the socket is known by it


async def test_two_users_of_one_socket_stay_apart(guarded: Served) -> None:
    async with guarded.client(**way("bearer", token_of(guarded, "ana"))) as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "query", {"query": "anas"})
        await client.expect("response")
    async with guarded.client(**way("bearer", token_of(guarded, "bob"))) as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "get_history")
        assert (await client.expect("history"))["messages"] == []


async def test_a_claimed_user_id_is_only_a_label(guarded: Served) -> None:
    bearer = {"Authorization": f"Bearer {token_of(guarded, 'bob')}"}
    async with guarded.client("vsn=2.0.0&user_id=ana", bearer) as client:
        await client.join(TOPIC, {"user_id": "ana"})
        await client.push(TOPIC, "query", {"query": "why?"})
        await client.expect("response")
    listed = await services_of(guarded).history.listed("ana", 10)
    assert listed.total == 0
    assert (await services_of(guarded).history.listed("bob", 10)).total == 1


@pytest.mark.parametrize("name", ["bearer", "join"])
async def test_a_token_taken_back_closes_the_socket_with_1001(guarded: Served, name: str) -> None:
    """A11."""
    token = token_of(guarded)
    async with (
        guarded.client(**(way(name, token) if name in WAYS else {})) as client,
        guarded.client(**way("bearer", OWNER)) as other,
    ):
        await client.join(TOPIC, {"auth_token": token})
        await other.join(TOPIC)
        await revoke(guarded)
        assert await client.close_code() == 1001
        await other.push(TOPIC, "ping")
        await other.expect("pong")
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with guarded.client(**way("bearer", token)):
            pass


async def test_whoever_does_not_say_who_they_are_has_little_time(serve: Serve) -> None:
    """W12."""
    served = await serve(auth=AUTH, limits={"sign_in_seconds": 0.2})
    async with served.client() as silent, served.client() as known:
        await known.join(TOPIC, {"auth_token": OWNER})
        assert await silent.close_code() == 1001
        await known.push(TOPIC, "ping")
        await known.expect("pong")


async def test_few_may_be_silent_at_once(serve: Serve) -> None:
    """W12."""
    served = await serve(auth=AUTH, limits={"unsigned_per_address": 2})
    async with served.client(), served.client() as second:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with served.client():
                pass
        assert refused.value.status == 429
        async with served.client(**way("bearer", OWNER)) as known:
            await known.join(TOPIC)
        await second.join(TOPIC, {"auth_token": OWNER})
        async with served.client():  # there is room again
            pass


async def test_messages_have_a_rate_and_signs_of_life_none(serve: Serve) -> None:
    served = await serve(auth=AUTH, limits={"messages": "3/hour"})
    async with served.client(**way("bearer", token_of(served))) as client:
        await client.join(TOPIC)
        for _ in range(5):
            await client.push(TOPIC, "ping")
            await client.expect("pong")
            await client.send(None, "1", "phoenix", "heartbeat", {})
            await client.expect("phx_reply")
        for _ in range(2):
            await client.push(TOPIC, "get_history")
            await client.expect("history")
        await client.push(TOPIC, "get_history")
        told = await client.expect("error")
        assert told["error"] == "rate_limited"
        assert told["retry_after_ms"] > 0
        assert (await client.join("proxy:t"))[4]["response"] == {"reason": "rate_limited"}


async def test_longpoll_asks_in_the_same_way(guarded: Served) -> None:
    token = token_of(guarded)
    async with aiohttp.ClientSession() as http:
        wrong = PollClient(http, guarded.url, "vsn=2.0.0&auth_token=wrong")
        assert (await wrong.get())["status"] == 403
        client = PollClient(http, guarded.url, f"vsn=2.0.0&auth_token={token}")
        opened = await client.get()
        assert opened["status"] == 410
        client.token = opened["token"]
        polling = asyncio.create_task(client.get())
        await asyncio.sleep(0)
        await revoke(guarded)
        assert (await polling)["status"] in (403, 500)
        assert (await client.get())["status"] == 403
