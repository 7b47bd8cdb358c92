"""More connections than anybody needs: too many of them, too many files, and TLS that never comes about (L2, L9)."""

import asyncio
import resource
import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest

from neuralbridge import listener
from neuralbridge.protocol.handshake import Doors
from neuralbridge.server import listen
from neuralbridge.web.keys import SERVICES
from tests.attacks.conftest import Logged
from tests.attacks.exchange import connect, ended
from tests.attacks.probe import serves
from tests.conftest import Serve, Served
from tests.encrypted import trusting
from tests.served_process import served_process

FEW = 100  # files
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def is_open(client: Client) -> bool:
    """Whether the server keeps this connection."""
    try:
        async with asyncio.timeout(0.2):
            return await client[0].read(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


async def close(*clients: Client) -> None:
    for _, writer in clients:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in clients), return_exceptions=True)


async def test_l1_a_connection_too_many_is_closed_at_once(serve: Serve, logged: Logged) -> None:
    """L1, L2: of this machine only the whole is counted."""
    served = await serve(limits={"connections": 8, "connections_per_address": 2})
    clients = [await connect(served) for _ in range(8)]
    assert all(await asyncio.gather(*map(is_open, clients)))
    more = [await connect(served) for _ in range(200)]
    assert {await ended(reader) for reader, _ in more} == {b""}
    assert all(await asyncio.gather(*map(is_open, clients)))
    await close(*clients, *more)
    await serves(served)
    assert 0 < logged().count("a connection too many was refused") < 50
    assert "Traceback" not in logged()


async def test_l1_one_address_has_not_all_of_them(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """L1"""
    monkeypatch.setattr(listener, "is_here", lambda _: False)  # as if from the LAN
    served = await serve(limits={"connections": 8, "connections_per_address": 3})
    clients = [await connect(served) for _ in range(4)]
    assert [await is_open(client) for client in clients] == [True, True, True, False]
    await close(clients[0])
    async with asyncio.timeout(30):
        while not await is_open(again := await connect(served)):
            pass  # it is not yet known to be gone
    await close(again, *clients[1:])
    await serves(served)


async def test_l9_what_is_closed_is_not_counted(served: Served) -> None:
    """L9: more connections in a row than there may be at once."""
    async with aiohttp.ClientSession(served.url) as http:
        for _ in range(300):
            async with http.get("/api/proxy/health", headers={"Connection": "close"}) as health:
                assert health.status == 200
    await serves(served)


async def test_l2_a_full_table_of_files_ends_nothing(tmp_path: Path) -> None:
    """L2: 160 connections where 100 files may be open; those behind wait in the kernel, which has room for as many."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))

    limits = {"connections": 1000, "connections_per_address": 1000}
    async with served_process(tmp_path / "data", before=few, limits=limits) as served:
        await serves(served)
        before = served.open_files()
        clients = [await connect(served) for _ in range(160)]
        assert served.open_files() == FEW
        await close(*clients)
        await serves(served, seconds=5.0)
        assert served.open_files() <= before + 5
        assert served.log.count("\n") < 200
        assert "no connection can be taken in for now" in served.log
        assert "Traceback" not in served.log


# With TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Certificate and key of 127.0.0.1, in one file."""
    path = tmp_path / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=nb -addext"
    command = ["openssl", *made.split(), "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


async def test_tls_is_counted_before_it_is_spoken(
    serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    """L1, H1 with TLS: greetings that never end are few, and not for long."""
    monkeypatch.setattr(listener, "HANDSHAKE_SECONDS", 2.0)
    plain = await serve(limits={"connections": 5})
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    config = plain.server.app[SERVICES].config
    anywhere = config.server.model_copy(update={"port": 0})
    await listen(plain.server.runner, config.model_copy(update={"server": anywhere}), context)
    port = plain.server.runner.addresses[1][1]
    plain.server.app[SERVICES].doors = Doors(port)
    address = f"https://127.0.0.1:{port}"

    class Encrypted:
        url = address

    silent = [await connect(Encrypted) for _ in range(7)]
    assert await asyncio.gather(*map(is_open, silent)) == [True] * 5 + [False] * 2
    async with asyncio.timeout(30):
        assert {await ended(reader) for reader, _ in silent} == {b""}
    await close(*silent)
    noise = await connect(Encrypted)
    noise[1].write(b"GET / HTTP/1.1\r\n\r\n")
    await ended(noise[0])
    await close(noise)
    async with trusting(address, certificate) as http:
        async with http.get("/api/proxy/health") as health:
            assert health.status == 200
        async with http.ws_connect("/socket/websocket?vsn=2.0.0") as socket:
            await socket.send_json([None, "1", "phoenix", "heartbeat", {}])
            assert (await socket.receive_json())[1] == "1"
    assert "Traceback" not in logged()
