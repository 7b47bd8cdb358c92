"""Vectors 51 to 64 of phoenix-protocol.md: what is no frame ends the socket with the right code and without a word."""

import json
import time

import pytest

from neuralbridge.protocol.frames import FIRST_VALUES, MOST_VALUES, V1, V2, Malformed
from tests.conftest import Served
from tests.web.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TARGET, TEXT, RawSocket, encode, text
from tests.web.wire import connected

V1_TARGET = "/socket/websocket"
HEARTBEAT = text(None, "7", "phoenix", "heartbeat", {})
BEAT = [None, "7", "phoenix", "phx_reply", {"status": "ok", "response": {}}]
JOIN = text("1", "1", "proxy:s", "phx_join", {})
LIMIT = 1024 * 1024


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(said, id=f"v{number}-{said[:12]!r}")
        for number, saids in {
            51: [b"hello", b"", b'{"topic":"x"}', b'["1","1","t","e"]', b"42", b"null", b"[]", b'"x"'],
            64: [
                b'[null,NaN,"phoenix","heartbeat",{}]',
                b'[null,"5","phoenix","heartbeat",{"x":Infinity}]',
                b'[null,"5","phoenix","heartbeat",-Infinity]',
                b'[null,1e400,"phoenix","heartbeat",{}]',
                b'[null,-1e400,"phoenix","heartbeat",{}]',
                b'[null,"\\ud800","phoenix","heartbeat",{}]',
                b'[null,"\\udc00\\ud800","phoenix","heartbeat",{}]',
                b'[null,"5","phoenix","heartbeat",{"\\ud800":1}]',
                b"[" * 100_000,
                b"[" * 100_000 + b"]" * 100_000,
                b'{"a":' * 100_000,
                b'[null,"5","phoenix","heartbeat",' + b"[" * 900 + b"]" * 900 + b"]",
                b"[null," + b"9" * 5000 + b',"phoenix","heartbeat",{}]',
                b'\xef\xbb\xbf[null,"5","phoenix","heartbeat",{}]',
                b'[null,"5","phoenix","heartbeat",{}] []',
                b'[null,\'5\',"phoenix","heartbeat",{}]',
            ],
        }.items()
        for said in saids
    ],
)
async def test_text_that_is_no_frame_closes_with_1011_and_no_frame_first(served: Served, said: bytes) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, said)
        assert await raw.close_code() == 1011


@pytest.mark.parametrize(
    "ref",
    ["9" * 4000, "-0.0", "1E5", '"\\ud83d\\ude00"', '"\\u0000"', '"é\\u2028"', "[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]"],
)
async def test_v64_odd_but_valid_json_is_echoed_by_a_living_writer(served: Served, ref: str) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, f'[null,{ref},"phoenix","heartbeat",{{}}]'.encode())
        assert await raw.receive_json() == [None, json.loads(ref), *BEAT[2:]]


@pytest.mark.parametrize(
    "said",
    [
        [None, "5", "phoenix", "heartbeat", {}],
        {"topic": "phoenix", "event": "heartbeat", "payload": {}},
        {"topic": "phoenix", "event": "heartbeat", "ref": 0},
        {"topic": "phoenix", "payload": {}, "ref": 0},
        {"event": "heartbeat", "payload": {}, "ref": 0},
        "x",
    ],
)
async def test_v53_in_v1_all_four_keys_are_required(served: Served, said: object) -> None:
    async with RawSocket(served.url, V1_TARGET) as raw:
        raw.send(TEXT, json.dumps(said).encode())
        assert await raw.close_code() == 1011


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xfe\x00",
        b"",
        b"\x00",
        b"\x00\x05\x01",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x01\x07\x0a7phoenixheartbeat",  # the event is said to be one longer than it is
        b"\x00\x00\x01\x01\x097\xffheartbeat",
        b"\x01\x00\x01\x07\x09\x027phoenixheartbeatok",
        b"\x02\x07\x09phoenixheartbeat",
        b"\x03\x00\x00",
        b"\x03\x00\x00\x00\x00\x00",
        b"\x03\x00\x01\x07\x09\x00\x017phoenixheartbeat{",  # payload said to be JSON
        b"\x04\x00\x01\x07\x097phoenixheartbeat",
        HEARTBEAT,
    ],
)
async def test_v55_binary_that_is_no_push_closes_with_1011(served: Served, said: bytes) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(BINARY, said)
        assert await raw.close_code() == 1011


@pytest.mark.parametrize("said", [b"\xff\xfe", HEARTBEAT.replace(b"7", b"\xc3"), b'"\xed\xa0\x80"'])
async def test_v60_text_that_is_not_utf8_closes_with_1007(served: Served, said: bytes) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, said)
        assert await raw.close_code() == 1007


async def test_v61_a_frame_over_the_limit_closes_with_1009(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, b"x" * (LIMIT + 1))
        assert await raw.close_code() == 1009


async def test_v61_a_frame_at_the_limit_is_judged_as_json(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, b"x" * LIMIT)
        assert await raw.close_code() == 1011


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize(
    ("target", "opcode", "beat", "own"),
    [
        (V1_TARGET, TEXT, b'{"topic":"phoenix","event":"heartbeat","ref":1,"payload":[%s]}', 5),
        (V1_TARGET, BINARY, b'{"topic":"phoenix","event":"heartbeat","ref":1,"payload":[%s]}', 5),
        (TARGET, TEXT, b'[null,"7","phoenix","heartbeat",[%s]]', 6),
        (TARGET, BINARY, b"\x03\x00\x01\x07\x09\x00\x017phoenixheartbeat[%s]", 1),
    ],
)
async def test_before_a_join_a_frame_has_few_values(
    served: Served, target: str, opcode: int, beat: bytes, own: int, more: int
) -> None:
    async with RawSocket(served.url, target) as raw:
        raw.send(opcode, beat % b",".join([b"0"] * (FIRST_VALUES - own + 1 + more)))
        if more:
            assert await raw.close_code() == 1011
        else:
            assert await raw.receive_json()


async def test_a_join_that_was_refused_is_none(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, text("1", "1", "proxy:", "phx_join", {}))
        assert (await raw.receive_json())[4]["status"] == "error"
        raw.send(TEXT, text(None, "7", "phoenix", "heartbeat", [0] * FIRST_VALUES))
        assert await raw.close_code() == 1011


async def test_after_a_join_a_long_text_is_one_value(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, JOIN)
        await raw.receive_json()
        raw.send(TEXT, text(None, "7", "phoenix", "heartbeat", {"text": "a, [b]\n" * 100_000}))
        assert await raw.receive_json() == BEAT


async def test_a_frame_of_too_many_values_closes_with_1011(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, JOIN)
        await raw.receive_json()
        raw.send(TEXT, text(None, "7", "phoenix", "heartbeat", [0] * (MOST_VALUES - 5)))
        assert await raw.receive_json() == BEAT
        raw.send(TEXT, text(None, "7", "phoenix", "heartbeat", [0] * (MOST_VALUES - 4)))
        assert await raw.close_code() == 1011


def test_no_frame_is_parsed_for_long() -> None:
    many = "[[],[" + "[]," * 330_000 + "1]]"
    kind_3 = b"\x03\x00\x01\x07\x05\x00\x01" + b"7phoenixquery" + many.encode()
    for read, given in (V1().decode, many), (V2().decode, many), (V2().decode_binary, kind_3):
        began = time.perf_counter()
        with pytest.raises(Malformed, match="more than 10,000 commas and brackets"):
            read(given)
        assert time.perf_counter() - began < 0.05


async def test_v61_fragments_that_are_too_much_together_close_with_1009(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, b"x" * LIMIT, final=False)
        raw.send(CONTINUATION, b"x")
        assert await raw.close_code() == 1009


async def test_v61_an_ordinary_client_learns_why(served: Served) -> None:
    async with connected(served) as client:
        await client.send(None, "r" * LIMIT, "phoenix", "heartbeat", {})
        assert await client.close_code() == 1009


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(encode(TEXT, HEARTBEAT, reserved=4), id="compressed-without-agreement"),
        pytest.param(encode(TEXT, HEARTBEAT, reserved=2), id="reserved-bit-2"),
        pytest.param(encode(TEXT, HEARTBEAT, reserved=1), id="reserved-bit-3"),
        pytest.param(encode(3, HEARTBEAT), id="opcode-3"),
        pytest.param(encode(11, b""), id="opcode-11"),
        pytest.param(encode(CONTINUATION, HEARTBEAT), id="orphan-continuation"),
        pytest.param(encode(TEXT, b"[", final=False) + encode(TEXT, HEARTBEAT), id="message-inside-a-message"),
        pytest.param(encode(PING, b"x" * 126), id="long-ping"),
        pytest.param(encode(PING, b"x", final=False), id="ping-in-parts"),
    ],
)
async def test_v62_a_broken_frame_closes_with_1002(served: Served, sent: bytes) -> None:
    async with RawSocket(served.url) as raw:
        raw.writer.write(sent)
        assert await raw.close_code() == 1002


async def test_v62_an_unmasked_frame_is_answered_as_aiohttp_tolerates_it(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, HEARTBEAT, mask=False)
        assert await raw.receive_json() == BEAT


async def test_v63_a_message_in_parts_with_a_ping_between(served: Served) -> None:
    async with RawSocket(served.url) as raw:
        raw.send(TEXT, HEARTBEAT[:10], final=False)
        raw.send(PING, b"are you there")
        raw.send(CONTINUATION, HEARTBEAT[10:])
        assert await raw.receive() == (PONG, b"are you there")
        assert await raw.receive_json() == BEAT


async def test_v51_other_sockets_do_not_notice(served: Served) -> None:
    async with connected(served, "proxy:s") as client, RawSocket(served.url, TARGET) as raw:
        raw.send(TEXT, b"hello")
        raw.send(CLOSE, b"")
        assert await raw.close_code() == 1011
        assert await client.fence() == []


@pytest.mark.parametrize("frames", [0, 1])
async def test_v64_nothing_of_a_malformed_socket_is_answered_afterwards(served: Served, frames: int) -> None:
    async with RawSocket(served.url) as raw:
        raw.writer.write(encode(TEXT, b"hello") + encode(TEXT, HEARTBEAT) * frames + encode(CLOSE, b"\x03\xe8"))
        assert await raw.close_code() == 1011
        assert await raw.ended() == b""
