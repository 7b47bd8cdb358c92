"""Vectors 1 to 15 of phoenix-protocol.md: what is decided before a socket opens. Each test carries its number."""

import json

import pytest

from neuralbridge.protocol.handshake import greet
from tests.conftest import Serve, Served
from tests.web.raw import TEXT, UPGRADE, RawSocket

NO_UPGRADE: dict[str, str | None] = dict.fromkeys(UPGRADE)
SOCKET = "/socket/websocket"
V2_HEARTBEAT = [None, "5", "phoenix", "heartbeat", {}]
V2_REPLY = [None, "5", "phoenix", "phx_reply", {"status": "ok", "response": {}}]
V1_HEARTBEAT = {"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": 0}
V1_REPLY = {"topic": "phoenix", "event": "phx_reply", "payload": {"status": "ok", "response": {}}, "ref": 0}


async def test_v01_upgrade_opens_the_socket_without_protocol_or_extensions(served: Served) -> None:
    async with RawSocket(served.url, f"{SOCKET}?vsn=2.0.0&user_id=u&auth_token=t") as raw:
        assert raw.status == 101
        assert not {"sec-websocket-protocol", "sec-websocket-extensions"} & raw.headers.keys()


async def test_v01_firefox_asks_to_keep_the_connection_alive_too(served: Served) -> None:
    headers = {"Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket"}
    async with RawSocket(served.url, headers=headers) as raw:
        assert raw.status == 101


async def test_a_trailing_slash_is_the_same_place(served: Served) -> None:
    async with RawSocket(served.url, f"{SOCKET}/?vsn=2.0.0") as raw:
        assert raw.status == 101


@pytest.mark.parametrize(
    "headers",
    [
        NO_UPGRADE,
        {"Connection": "close"},
        {"Upgrade": "h2c"},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": "7, 13"},
    ],
)
async def test_v02_a_request_that_is_no_upgrade_is_400(served: Served, headers: dict[str, str | None]) -> None:
    async with RawSocket(served.url, headers=headers) as raw:
        assert raw.status == 400


@pytest.mark.parametrize("headers", [{}, NO_UPGRADE])
async def test_v03_the_version_is_judged_before_the_upgrade(served: Served, headers: dict[str, str | None]) -> None:
    async with RawSocket(served.url, f"{SOCKET}?vsn=3.0.0", headers=headers) as raw:
        assert (raw.status, raw.body) == (403, b"")


@pytest.mark.parametrize(
    "query",
    [
        *("vsn=2.0", "vsn=2", "vsn=", "vsn=abc", "vsn=2.1.0", "vsn=2.0.0-rc.1"),
        *("vsn=02.0.0", "vsn[]=2.0.0", "vsn=1.1.0", "vsn=0.9.0", "vsn=12.0.0", "vsn=21.0.0", "vsn=2.0.0%0A"),
        "vsn=9.9.9&user_id[a]=1",
    ],
)
async def test_v04_a_version_that_is_not_spoken_is_403(served: Served, query: str) -> None:
    async with RawSocket(served.url, f"{SOCKET}?{query}") as raw:
        assert (raw.status, raw.body) == (403, b"")


@pytest.mark.parametrize(
    ("query", "said", "heard"),
    [
        pytest.param("vsn=2.0.9", V2_HEARTBEAT, V2_REPLY, id="v05-2.0.9-is-V2"),
        pytest.param("vsn=1.0.5", V1_HEARTBEAT, V1_REPLY, id="v05-1.0.5-is-V1"),
        pytest.param("", V1_HEARTBEAT, V1_REPLY, id="v06-none-is-V1"),
        pytest.param("vsn=1.0.0&vsn=2.0.0", V2_HEARTBEAT, V2_REPLY, id="v07-the-last-counts"),
        pytest.param("vsn=3.0.0&vsn=2.0.0", V2_HEARTBEAT, V2_REPLY, id="v07-the-last-counts-alone"),
        pytest.param("user_id=undefined&&vsn=2.0.0&api_key=k&log_level=info", V2_HEARTBEAT, V2_REPLY, id="stray"),
    ],
)
async def test_the_version_chooses_the_serializer(served: Served, query: str, said: object, heard: object) -> None:
    async with RawSocket(served.url, f"{SOCKET}?{query}") as raw:
        raw.send(TEXT, json.dumps(said).encode())
        opcode, payload = await raw.receive()
        assert (opcode, json.loads(payload)) == (TEXT, heard)


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS", "DELETE"])
async def test_v08_other_methods_are_400(served: Served, method: str) -> None:
    async with RawSocket(served.url, method=method, headers=NO_UPGRADE) as raw:
        assert (raw.status, raw.body) == (400, b"")


async def test_v09_the_mount_point_alone_is_404(served: Served) -> None:
    async with RawSocket(served.url, "/socket?vsn=2.0.0") as raw:
        assert raw.status == 404


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        pytest.param("//ok.com", "http://evil.com", 403, id="v10"),
        pytest.param("//ok.com", "https://ok.com", 101, id="v10"),
        pytest.param("//ok.com", None, 101, id="v10"),
        pytest.param("//ok.com", "null", 403, id="v10"),
        pytest.param("//ok.com", "https://ok.com.evil.com", 403),
        pytest.param("//ok.com", "https://evil.com/ok.com", 403),
        pytest.param("//ok.com", "https://ok.com@evil.com", 403),
        pytest.param("https://ok.com", "http://ok.com", 403),
        pytest.param("//ok.com:888", "http://ok.com:888", 101),
        pytest.param("//ok.com:888", "http://ok.com", 403),
        pytest.param("//*.ok.com", "https://ok.com", 101, id="v11"),
        pytest.param("//*.ok.com", "https://a.ok.com", 101, id="v11"),
        pytest.param("//*.ok.com", "https://xok.com", 403, id="v11"),
    ],
)
async def test_listed_origins_may_connect(serve: Serve, allowed: str, origin: str | None, status: int) -> None:
    served = await serve(server={"allowed_origins": [allowed]})
    async with RawSocket(served.url, headers={"Origin": origin}) as raw:
        assert raw.status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:5173", 101),
        ("http://127.0.0.1:1", 101),
        ("https://localhost", 101),
        ("http://[::1]:3000", 101),
        ("http://localhost.evil.com", 403),
        ("http://127.0.0.1.evil.com", 403),
        ("http://localhost@evil.com", 403),
        ("http://[::1].evil.com", 403),
        ("http://evil.com[::1]", 403),
        ("http://localhost:99999", 403),
        ("file://localhost", 403),
        ("localhost", 403),
        ("null", 403),
    ],
)
async def test_without_a_list_only_loopback_origins_may_connect(served: Served, origin: str, status: int) -> None:
    async with RawSocket(served.url, headers={"Origin": origin}) as raw:
        assert raw.status == status


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.com"}, {"Origin": "http://evil.com", **NO_UPGRADE}])
async def test_a_refusal_for_the_origin_is_empty(served: Served, headers: dict[str, str | None]) -> None:
    async with RawSocket(served.url, f"{SOCKET}?vsn=9.0.0", headers=headers) as raw:
        assert (raw.status, raw.body) == (403, b"")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "127.0.0.1:1", "[::1].evil.com"),
        *("{ours}#.evil.com", "{ours}?.evil.com", "{ours}/.evil.com", "{ours}%.evil.com", "evil.com@{ours}"),
        *("[::1%evil.com]:{port}", "{ours}\\.evil.com", "{ours}:1", "127.0.0.1 :{port}"),
    ],
)
async def test_a_foreign_host_name_opens_nothing(served: Served, host: str) -> None:
    ours = served.url.removeprefix("http://")
    named = host.format(ours=ours, port=ours.partition(":")[2])
    async with RawSocket(served.url, headers={"Host": named}) as raw:
        assert raw.status == 421


@pytest.mark.parametrize("token", ["*", "d", "/w"])
async def test_v12_a_refused_connect_is_403_and_nothing_is_upgraded(served: Served, token: str) -> None:
    headers = {"Sec-WebSocket-Protocol": f"phoenix, base64url.bearer.phx.{token}"}
    async with RawSocket(served.url, headers=headers) as raw:
        assert (raw.status, raw.body) == (403, b"")
        assert "upgrade" not in raw.headers


async def test_ids_that_are_no_scalars_are_400(served: Served) -> None:
    async with RawSocket(served.url, f"{SOCKET}?vsn=2.0.0&user_id[a]=1") as raw:
        assert raw.status == 400


async def test_v13_phoenix_is_echoed_and_the_token_beside_it_read(served: Served) -> None:
    headers = {"Sec-WebSocket-Protocol": "phoenix, base64url.bearer.phx.dG9r"}
    async with RawSocket(served.url, headers=headers) as raw:
        assert (raw.status, raw.headers["sec-websocket-protocol"]) == (101, "phoenix")


@pytest.mark.parametrize(
    ("query", "protocols", "headers", "token"),
    [
        ([], ["phoenix", "base64url.bearer.phx.dG9r"], {}, "tok"),
        ([], ["phoenix", "base64url.bearer.phx.Pz8_"], {}, "???"),
        ([], ["phoenix", "base64url.bearer.phx.Pz8/"], {}, "???"),
        ([("auth_token", "t")], [], {}, "t"),
        ([("auth_token", "undefined")], [], {}, None),
        ([("auth_token", "null")], [], {"x-auth-token": "t"}, "t"),
        ([], [], {"x-api-key": "t"}, "t"),
        ([], [], {"x-phoenix-authtoken": "t"}, "t"),
    ],
)
def test_v13_the_token_is_found_wherever_clients_put_it(
    query: list[tuple[str, str]], protocols: list[str], headers: dict[str, str], token: str | None
) -> None:
    assert greet(query, protocols, headers).token == token


async def test_v14_unknown_protocols_alone_open_the_socket_without_an_echo(served: Served) -> None:
    async with RawSocket(served.url, headers={"Sec-WebSocket-Protocol": "foo"}) as raw:
        assert raw.status == 101
        assert "sec-websocket-protocol" not in raw.headers


async def test_v15_compression_is_declined(served: Served) -> None:
    async with RawSocket(served.url, headers={"Sec-WebSocket-Extensions": "permessage-deflate"}) as raw:
        assert raw.status == 101
        assert "sec-websocket-extensions" not in raw.headers
