"""Attacks on the socket: section 2.1 of the catalogue."""

import asyncio
import json
import struct
import zlib
from random import Random
from typing import Any

import aiohttp
from chaos_attack import attack
from chaos_server import TOKEN, Broken, Server, bearer, require, soon

from tests.attacks.exchange import connect, request
from tests.web.raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, UPGRADE, RawSocket, encode, text

STORY = {
    "query": "Write the numbers from 1 to 300, separated by commas.",
    "temperature": 0,
    "max_tokens": 300,
    "retrieval": "off",
}
HEARTBEAT = text(None, "1", "phoenix", "heartbeat", {})
MANY_TOPICS = 101


def opened(server: Server, **more: Any) -> RawSocket:
    """A socket of the admin's, by hand."""
    headers = {**bearer(), **more.pop("headers", {})}
    return RawSocket(server.url, headers=headers, **more)


async def closed(socket: RawSocket, *codes: int) -> str:
    """How the server ended it. Raises Broken for another code than these."""
    while True:
        opcode, payload = await socket.receive()
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big")
            require(code in codes, f"closed with {code}, not {' or '.join(map(str, codes))}")
            return f"closed {code}"


UPGRADES: list[dict[str, Any]] = [
    {"method": "POST"},
    {"headers": {"Sec-WebSocket-Key": None}},
    {"headers": {"Sec-WebSocket-Key": "abc"}},
    {"headers": {"Sec-WebSocket-Key": "!" * 24}},
    {"headers": {"Sec-WebSocket-Version": "8"}},
    {"headers": {"Sec-WebSocket-Version": "99"}},
    {"headers": {"Sec-WebSocket-Version": None}},
    {"headers": {"Connection": "close"}},
    {"headers": {"Upgrade": "h2c"}},
    {"headers": {"Upgrade": None}},
]


@attack("W1", "a malformed upgrade", 40, 10)
async def upgrade(server: Server, _: Random, number: int) -> str:
    async with opened(server, **UPGRADES[number % len(UPGRADES)]) as socket:
        require(400 <= socket.status < 500, f"{socket.status} to {UPGRADES[number % len(UPGRADES)]}")
        return str(socket.status)


@attack("W2", "a second request in the body of an upgrade", 10, 2)
async def smuggled(server: Server, random: Random, _: int) -> str:
    name = f"smuggled{random.getrandbits(60)}"
    asked = json.dumps({"query": "hi", "session_id": name, "max_tokens": 1}).encode()
    lines = ("Content-Type: application/json", f"Content-Length: {len(asked)}", f"Authorization: Bearer {TOKEN}")
    second = request(server, "POST", "/api/proxy/query", *lines, body=asked)
    upgrade = [f"{key}: {value}" for key, value in {**UPGRADE, **bearer()}.items() if key != "Connection"]
    target = "/socket/websocket?vsn=2.0.0"
    first = request(server, "GET", target, "Connection: Upgrade", *upgrade, f"Content-Length: {len(second)}")
    reader, writer = await connect(server)
    writer.write(first.replace(b"Connection: close\r\n", b"") + second)
    await received(reader, 2)
    writer.close()
    async with server.http() as http, http.get(f"/api/conversations/{name}") as found:
        require(found.status == 404, "the second request was carried out")
    return "never carried out"


async def received(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """What comes within so long, or until the server closes."""
    pieces = b""
    try:
        async with asyncio.timeout(seconds):
            while piece := await reader.read(65536):
                pieces += piece
    except (TimeoutError, ConnectionError):
        pass
    return pieces


@attack("W3", "frames that are not masked", 10, 2)
async def unmasked(server: Server, random: Random, number: int) -> str:
    """aiohttp takes them, and masks protect proxies on the way and not servers: nothing else must come of it."""
    async with opened(server) as socket:
        if number % 2:
            socket.send(BINARY, random.randbytes(100), mask=False)
            return await closed(socket, 1002, 1011)
        socket.send(TEXT, HEARTBEAT, mask=False)
        opcode, _ = await socket.receive()
        return "closed" if opcode == CLOSE else "taken, as aiohttp does"


BREAKS: list[bytes] = [
    encode(TEXT, HEARTBEAT, reserved=2),
    encode(TEXT, HEARTBEAT, reserved=1),
    encode(TEXT, HEARTBEAT, reserved=4),
    encode(3, b"x"),
    encode(11, b"x"),
    encode(CONTINUATION, b"x"),
    encode(TEXT, b"[", final=False) + encode(TEXT, b"]"),
    encode(PING, b"x" * 126),
    encode(PING, b"x", final=False),
    encode(CLOSE, struct.pack("!H", 1005)),
    encode(CLOSE, struct.pack("!H", 999)),
    encode(CLOSE, b"\x03"),
]


@attack("W4", "frames against the rules, known ones and random ones", 60, 12)
async def against_rules(server: Server, random: Random, number: int) -> str:
    async with opened(server) as socket:
        if number < len(BREAKS):
            socket.writer.write(BREAKS[number])
            return await closed(socket, 1002)
        reserved, opcode = random.choice([(1, TEXT), (2, TEXT), (5, TEXT), (0, 4), (0, 7), (0, 12), (0, 15)])
        socket.send(opcode, random.randbytes(random.randrange(1, 100)), reserved=reserved)
        return await closed(socket, 1002)


NO_UTF8 = [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"ok \xf5\x80\x80\x80", b"\xe2\x82"]


@attack("W5", "text that is not UTF-8: whole, in fragments, in a close", 30, 6)
async def no_utf8(server: Server, random: Random, number: int) -> str:
    bad = random.choice(NO_UTF8)
    async with opened(server) as socket:
        match number % 3:
            case 0:
                socket.send(TEXT, bad)
            case 1:
                socket.send(TEXT, bad[:1], final=False)
                socket.send(CONTINUATION, bad[1:] + b"x")
            case _:
                socket.send(CLOSE, struct.pack("!H", 1000) + bad)
        return await closed(socket, 1007)


@attack("W6", "a length of 2^40 and more, and one byte", 20, 4)
async def lying_length(server: Server, random: Random, number: int) -> str:
    size = [2**40, 2**63 + 5, 2**63 - 1, random.getrandbits(62) | 2**40][number % 4]
    before = server.look().memory_mb
    async with opened(server) as socket:
        socket.writer.write(bytes([0x81, 0xFF]) + size.to_bytes(8, "big") + b"\0\0\0\0x")
        told = await closed(socket, 1009, 1002)
    require(server.look().memory_mb < before + 50, "memory was set aside for it")
    return told


@attack("W7", "a message one byte over 1 MiB, whole and in fragments", 10, 2)
async def oversize(server: Server, _: Random, number: int) -> str:
    async with opened(server) as socket:
        if number % 2:
            for part in range(17):
                socket.send(CONTINUATION if part else TEXT, b"x" * 65536, final=False)
        else:
            socket.send(TEXT, b"x" * (2**20 + 1))
        return await closed(socket, 1009)


@attack("W8", "20 MB of zeros, deflated to 20 kB", 10, 2)
async def bomb(server: Server, _: Random, __: int) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(20_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    before = server.look().memory_mb
    async with opened(server, headers={"Sec-WebSocket-Extensions": "permessage-deflate"}) as socket:
        require("sec-websocket-extensions" not in socket.headers, "compression is agreed to")
        socket.send(TEXT, packed[:-4], reserved=4)
        told = await closed(socket, 1002)
    require(server.look().memory_mb < before + 50, "it was unpacked")
    return told


@attack("W11", "a client that joins and then says nothing", 1, 0)
async def quiet(server: Server, _: Random, __: int) -> str:
    async with server.client() as client:
        await client.join("proxy:quiet")
        async with asyncio.timeout(70):
            message = await client.socket.receive()
        require(message.type is aiohttp.WSMsgType.CLOSE, f"{message.type}")
        return f"closed {message.data} within 65 s"


@attack("W12", "100 sockets that never say who they are", 2, 0)
async def squatters(server: Server, _: Random, __: int) -> str:
    sockets, refused = [], 0
    for _try in range(100):
        socket = RawSocket(server.url)
        await socket.request()
        await socket.answer()
        if socket.status == 101:
            sockets.append(socket)
        else:
            refused += 1
            require(socket.status == 429, f"{socket.status} at the upgrade")
            socket.abort()
    require(refused >= 60, f"only {refused} of 100 were refused")
    await server.probe()
    async with asyncio.timeout(15):
        await asyncio.gather(*(socket.ended() for socket in sockets))
    for socket in sockets:
        socket.abort()
    return f"{len(sockets)} let in and closed in 15 s, {refused} refused with 429"


SHAPES: list[bytes] = [
    b"not JSON",
    b"{}",
    b"[1,2,3,4]",
    b"[]",
    b"null",
    text(None, "1", 7, "heartbeat", {}),
    text(None, {"a": [1]}, "phoenix", "heartbeat", {}),
    text(["x"], "1", "proxy:x", "phx_join", {}),
    text("1", "1", "proxy:x", "phx_join", None),
    text("1", "1", "proxy:x", {"e": 1}, {}),
    b'[null,"1","phoenix","heartbeat",NaN]',
    b'[null,"1","phoenix","heartbeat",1e400]',
    b"[" * 100_000,
    b'[null,"1","phoenix","heartbeat",' + b"[" * 100_000 + b"]" * 100_000 + b"]",
    b'[null,"1","phoenix","heartbeat",' + b"9" * 5_000 + b"]",
    b'[null,"1","phoenix","heartbeat",{"a":"\\ud800"}]',
    b'[null,"\\u0000","phoenix","heartbeat",{}]',
]


def random_json(random: Random, depth: int = 3) -> Any:
    """Any JSON value, small."""
    match random.randrange(8 if depth else 6):
        case 0:
            return None
        case 1:
            return random.choice([True, False])
        case 2:
            return random.choice([0, -1, 2**63, 10**400, 1.5, -1e308, random.getrandbits(64)])
        case 3 | 4:
            return random.choice(["", "phx_join", "proxy:x", "\0", "\ud800", "__proto__", "é" * 100, "phoenix"])
        case 5:
            return "".join(chr(random.randrange(0xD7FF)) for _ in range(random.randrange(20)))
        case 6:
            return [random_json(random, depth - 1) for _ in range(random.randrange(7))]
        case _:
            return {str(random_json(random, 0)): random_json(random, depth - 1) for _ in range(random.randrange(5))}


def sound_json(random: Random) -> Any:
    """Any JSON value that may stand in a frame: no half of a surrogate pair."""
    while "\\ud800" in json.dumps(value := random_json(random)):
        pass
    return value


@attack("W13", "messages of any shape, known ones and random ones", 200, 24)
async def shapes(server: Server, random: Random, number: int) -> str:
    if number < len(SHAPES):
        sent = SHAPES[number]
    else:
        events = ["phx_join", "phx_leave", "heartbeat", "stream_query", "query", "get_history", "stop", "select"]
        parts = [random_json(random) for _ in range(random.choice([4, 5, 5, 5, 5, 6]))]
        if len(parts) > 3 and random.random() < 0.7:
            parts[2:4] = [random.choice(["phoenix", "proxy:x", "proxy:y"]), random.choice(events)]
        sent = json.dumps(parts).encode()
    async with opened(server) as socket:
        socket.send(TEXT, text("1", "j", "proxy:x", "phx_join", {}))
        await socket.receive()
        socket.send(TEXT, sent)
        socket.send(TEXT, text(None, "after", "phoenix", "heartbeat", {}))
        while True:
            opcode, payload = await socket.receive()
            if opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big")
                require(code in (1011, 1007), f"closed with {code} after {sent[:200]!r}")
                return f"closed {code}"
            told = json.loads(payload)
            require(told[3] != "phx_error", f"phx_error after {sent[:200]!r}")
            if told[1] == "after":
                return "answered or ignored"


CROWDED = b'[null,"1","phoenix","heartbeat",{"a":[' + b"[]," * 300_000 + b"[]]}]"


@attack("W13", "a megabyte of empty lists on each of 24 sockets, half of them joined", 10, 2)
async def crowded(server: Server, _: Random, __: int) -> str:
    async def send(joins: bool) -> str:
        async with opened(server) as socket:
            if joins:
                socket.send(TEXT, text("1", "j", "proxy:crowded", "phx_join", {}))
                await socket.receive()
            socket.send(TEXT, CROWDED)
            return await closed(socket, 1011)

    told = await asyncio.gather(*(send(number % 2 == 0) for number in range(24)))
    return " and ".join(sorted({*told}))


@attack("W14", "an unknown topic; a push to one that was not joined", 20, 4)
async def unknown_topic(server: Server, random: Random, number: int) -> str:
    topic = random.choice(["nope:1", "", "proxy", "phoenix:x", "room:lobby", "\0"])
    async with opened(server) as socket:
        if number % 2:
            topic = "proxy:unjoined"
            socket.send(TEXT, text("9", "5", topic, "stream_query", {"query": "hi"}))
        else:
            socket.send(TEXT, text("9", "5", topic, "phx_join", {}))
        told = await socket.receive_json()
        require(told[3] == "phx_reply" and told[4]["status"] == "error", f"{told}")
        socket.send(TEXT, HEARTBEAT)
        require((await socket.receive_json())[4]["status"] == "ok", "the socket is of no use any more")
        return str(told[4]["response"].get("reason"))


@attack("W15", "unknown events on a joined topic", 20, 3)
async def unknown_event(server: Server, random: Random, _: int) -> str:
    async with server.client() as client:
        await client.join("proxy:events")
        name = random.choice(
            ["evil", "phx_reply", "phx_close", "presence_state", "__proto__", "constructor", "a" * 1000]
        )
        await client.push("proxy:events", name, sound_json(random))
        await client.push("proxy:events", "get_history")
        frames = await client.until("history")
        require(all(frame[3] in ("error", "history", "phx_reply") for frame in frames), f"{frames}"[:200])
        return "told, channel in use" if len(frames) > 1 else "ignored, channel in use"


@attack("W16", "101 topics on one socket", 3, 1)
async def many_topics(server: Server, _: Random, __: int) -> str:
    async with server.client() as client:
        replies = [await client.join(f"proxy:many{number}") for number in range(MANY_TOPICS)]
        require(all(reply[4]["status"] == "ok" for reply in replies[:-1]), "one of the first 100 was refused")
        require(replies[-1][4]["status"] == "error", "the 101st was let in")
        for number in (0, 99):
            await client.push(f"proxy:many{number}", "get_history")
            await client.until("history")
        return str(replies[-1][4]["response"]["reason"])


async def streaming(client: Any, topic: str, tokens: int = 5) -> str:
    """Ask for a long answer and read so many tokens of it; its stream's id."""
    await client.join(topic)
    await client.push(topic, "stream_query", STORY)
    seen = 0
    while seen < tokens:
        frame = await client.receive()
        require(frame[3] not in ("stream_error", "error", "stream_complete"), f"{frame}"[:200])
        seen += frame[3] == "stream_token"
    return str(frame[4]["stream_id"])


@attack("W17", "a second join of the same topic while an answer comes", 10, 1)
async def second_join(server: Server, random: Random, _: int) -> str:
    topic = f"proxy:twice{random.getrandbits(40)}"
    async with server.client() as client:
        await streaming(client, topic)
        old = client.joined[topic]
        new = client.joined[topic] = f"new{random.getrandbits(20)}"
        await client.send(new, "j2", topic, "phx_join", {})
        frames = await client.until("phx_close")
        require(frames[-1][0] == old, "the old join was not closed")
        if all(frame[3] != "phx_reply" for frame in frames):
            frames += await client.until("phx_reply")
        reply = next(frame for frame in frames if frame[3] == "phx_reply")
        require((reply[0], reply[4]["status"]) == (new, "ok"), f"{reply}")
        await client.send(old, "s", topic, "get_history", {})  # of a join that is over: ignored
        await client.push(topic, "stop")
        await server.idle()
        return "old closed, new joined"


@attack("W18", "a leave while an answer comes", 10, 1)
async def leave(server: Server, random: Random, _: int) -> str:
    topic = f"proxy:left{random.getrandbits(40)}"
    async with server.client() as client:
        await streaming(client, topic)
        await client.push(topic, "phx_leave")
        await client.until("phx_close")
        await server.idle()
        await client.join(topic)
        await client.push(topic, "get_history")
        last = (await client.expect("history"))["messages"][-1]
        require(last["status"] in ("cancelled", "interrupted"), f"{last['status']}")
        require(last["content"], "what there was of the answer is gone")
        return f"kept as {last['status']}"


VERSIONS = {
    "vsn=9.9.9": 403, "vsn=1.0.0": 101, "": 101, "vsn=2.0.0": 101, "vsn=2.1.0": 403, "vsn=": 403, "vsn=2": 403,
    "vsn[]=2.0.0": 403, "vsn=2.0.0%00": 403, "vsn=-2.0.0": 403, "vsn=99999999999.0.0": 403,
}  # fmt: skip


@attack("W20", "versions of the serializer that there are not", 22, 11)
async def versions(server: Server, _: Random, number: int) -> str:
    params, status = [*VERSIONS.items()][number % len(VERSIONS)]
    async with opened(server, target=f"/socket/websocket?{params}") as socket:
        require(socket.status == status, f"{socket.status} to {params!r}")
        return str(status)


@attack("W23", "names of 64 kB, and those that mean something to JavaScript", 20, 4)
async def long_names(server: Server, random: Random, number: int) -> str:
    name = random.choice(["x" * 65536, "__proto__", "constructor", "é" * 30000, "\n\x1b[31m" * 1000])
    mark = server.look().log_bytes
    async with opened(server) as socket:
        frame = [None, None, "proxy:x", "phx_join", {}]
        frame[[1, 2, 3][number % 3]] = f"proxy:{name}" if number % 3 == 1 else name
        socket.send(TEXT, text(*frame))
        socket.send(TEXT, text(None, "after", "phoenix", "heartbeat", {}))
        while (await socket.receive_json())[1] != "after":
            pass
    require(server.look().log_bytes - mark < 4000, "a long name stands in the log")
    return "answered"


async def vanish(server: Server, topic: str, tokens: int = 5, max_tokens: int = 300) -> None:
    """Ask for a long answer and reset the connection in the middle of it."""
    socket = opened(server)
    await socket.request()
    await socket.answer()
    socket.send(TEXT, text("1", "1", topic, "phx_join", {}))
    socket.send(TEXT, text("1", "2", topic, "stream_query", {**STORY, "max_tokens": max_tokens}))
    seen = 0
    while seen < tokens:
        frame = await socket.receive_json()
        if frame[3] in ("error", "stream_error"):
            raise Broken(f"{frame}"[:200])
        seen += frame[3] == "stream_token"
    socket.abort()


async def gone(server: Server) -> None:
    """No socket is counted any more. Raises Broken."""

    async def none() -> bool:
        return (await server.health())["sockets"] == 0

    await soon("sockets are counted that are gone", none)
