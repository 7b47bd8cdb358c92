"""The official phoenix.js under Node: 1.7.0, which the documents load, and 1.8.16, which our page has."""

import pytest

from tests.clients.conftest import Place, Start
from tests.fakes import FakeRunner

VERSIONS = pytest.mark.parametrize("version", ["1.7.0", "1.8.16"])
TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "longpoll"])
STORY = "It was a dark and stormy night, and the wind was howling in the trees. " * 3
AT_ONCE_MS = 900  # its timer for failed joins would take 1,000; on a machine at rest it is 15


@VERSIONS
@TRANSPORTS
async def test_a_whole_visit(place: Place, start: Start, version: str, transport: str) -> None:
    await place.open()
    program = await start("visit", version, place.url, transport)
    seen = await program.hear("visited")
    assert seen["joined"] == {
        "status": "ok",
        "response": {"status": "connected", "session_id": "ção 😀", "running": []},
    }
    assert seen["response"]["response"] == "You asked: How to implement JWT authentication?"
    assert seen["start"]["query"] == "Explain it in détail: 漢字"
    assert seen["text"] == seen["complete"]["response"] == "You asked: Explain it in détail: 漢字"
    assert [message["role"] for message in seen["history"]["messages"]] == ["user", "assistant"] * 2
    assert seen["pong"]["timestamp"].endswith("Z")
    assert seen["pongToBinary"]["timestamp"].endswith("Z")
    assert seen["error"]["error"] == seen["streamError"]["code"] == "invalid_query"
    assert seen["streamError"]["error"] == seen["streamError"]["message"]
    assert (seen["left"]["status"], seen["closes"], seen["state"]) == ("ok", 1, "closed")
    assert seen["again"]["status"] == "ok"


@VERSIONS
async def test_v70_a_server_that_starts_after_the_client_is_joined_once(
    place: Place, start: Start, version: str
) -> None:
    program = await start("comeback", version, place.url)
    for _ in range(4):
        await program.hear("unreachable")
    await place.open()
    await program.hear("joined")
    await program.tell("ask")
    assert (await program.hear("answered"))["response"] == "You asked: hi"
    await program.tell("sum")
    summed = await program.hear("summed")
    assert (summed["oks"], summed["closes"], summed["state"], summed["uncaught"]) == (1, 0, "joined", [])


@VERSIONS
async def test_v71_after_a_close_with_1011_it_is_back_at_once(place: Place, start: Start, version: str) -> None:
    await place.open()
    program = await start("comeback", version, place.url)
    await program.hear("joined")
    await program.tell("garbage")
    assert (await program.hear("closed"))["code"] == 1011
    assert (await program.hear("joined"))["after"] < AT_ONCE_MS
    await program.tell("ask")
    await program.hear("answered")
    await program.tell("sum")
    summed = await program.hear("summed")
    assert (summed["oks"], summed["closes"], summed["state"]) == (2, 0, "joined")


@VERSIONS
@TRANSPORTS
async def test_v71_after_a_restart_it_is_back_by_itself(
    place: Place, start: Start, version: str, transport: str
) -> None:
    await place.open()
    program = await start("comeback", version, place.url, transport)
    await program.hear("joined")
    await program.tell("ask")
    await program.hear("answered")
    await place.close()
    assert (await program.hear("closed"))["code"] == (1012 if transport == "websocket" else 1011)
    await place.open()
    await program.hear("joined")
    await program.tell("ask")
    assert (await program.hear("answered"))["response"] == "You asked: hi"
    await program.tell("sum")
    summed = await program.hear("summed")
    assert (summed["closes"], summed["state"]) == (0, "joined")


@VERSIONS
async def test_the_documented_resilience_code_does_not_stand_in_the_way(
    place: Place, start: Start, version: str
) -> None:
    """It joins again by hand, at which phoenix.js throws; the library itself comes back."""
    await place.open()
    program = await start("comeback", version, place.url, "resilience")
    await program.hear("joined")
    await place.close()
    await program.hear("closed")
    await place.open()
    await program.hear_all("joined", "trying")  # the second after two seconds, however long a new server takes
    await program.tell("ask")
    assert (await program.hear("answered"))["response"] == "You asked: hi"
    await program.tell("sum")
    summed = await program.hear("summed")
    assert (summed["oks"], summed["closes"], summed["state"]) == (2, 0, "joined")
    assert all("multiple times" in message for message in summed["uncaught"])


@VERSIONS
async def test_a_stream_goes_on_where_the_connection_was_lost(place: Place, start: Start, version: str) -> None:
    await place.open(FakeRunner(reply=lambda _: STORY))
    program = await start("resume", version, place.url)
    await program.hear("joined")
    place.runner.hold()
    await program.tell("ask")
    place.runner.step(20)
    while (await program.hear("event"))["seq"] < 5:
        pass
    await program.tell("lose")
    assert (await program.hear("joined"))["resume"] == "ok"
    place.runner.release()
    events = (await program.hear("finished"))["events"]
    assert [event["seq"] for event in events] == [*range(1, len(events) + 1)]
    assert "".join(event.get("token", "") for event in events) == events[-1]["response"] == STORY


@pytest.mark.parametrize(
    ("fate", "transport", "stored"),
    [
        ("hanging", "LongPoll", {"phx:fallback:LongPoll": "true"}),
        ("failing", "LongPoll", {"phx:fallback:LongPoll": "true"}),
        ("deaf", "LongPoll", {"phx:fallback:LongPoll": "true"}),
        ("well", "WebSocket", {}),
    ],
)
async def test_longpoll_takes_over_where_websockets_fail(
    place: Place, start: Start, fate: str, transport: str, stored: dict[str, str]
) -> None:
    await place.open()
    program = await start("fallback", "1.8.16", place.url, fate)
    seen = await program.hear("visited")
    assert (seen["joined"]["status"], seen["response"]) == ("ok", "You asked: hi")
    assert (seen["transport"], seen["stored"]) == (transport, stored)


@TRANSPORTS
async def test_a_token_beside_the_protocol_is_no_obstacle(place: Place, start: Start, transport: str) -> None:
    await place.open()
    seen = await (await start("token", "1.8.16", place.url, transport)).hear("joined")
    assert seen["joined"]["status"] == "ok"
    assert seen["protocol"] == ("phoenix" if transport == "websocket" else None)
