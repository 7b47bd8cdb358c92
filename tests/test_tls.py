"""An encrypted server, for real: page and socket over it, and a refusal for whoever does not encrypt."""

import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest
import yaml

from neuralbridge.commands.running import server_that_runs
from neuralbridge.config import Config
from tests.conftest import SETTINGS
from tests.encrypted import trusting

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[1]
LISTENING = r"listening on https://(127\.0\.0\.1:(\d+))\nits certificate has the SHA-256 fingerprint ([0-9A-F:]{95})\n"


ASKS = """
import aiohttp, asyncio, sys
from pathlib import Path
from neuralbridge.commands.running import server_that_runs
from neuralbridge.config import Config
from tests.conftest import SETTINGS

async def main():
    async with server_that_runs(Config.model_validate(SETTINGS), Path("nowhere"), sys.argv[1]) as session:
        print((await session.get("/api/proxy/health")).status)

asyncio.run(main())
"""


@dataclass(frozen=True)
class Encrypted:
    host: str
    port: int
    fingerprint: str
    cert: Path
    log: Path

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    def trusting(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        return trusting(self.url, self.cert)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("tls")
    settings = {
        "version": 1,
        "server": {"port": 0, "tls": {"self_made": True}},
        "models": {"small": {"path": str(ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf")}},
        "routing": {"default": "small"},
        "documents": {"enabled": False},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "neuralbridge", "serve", "--config", str(folder / "config.yaml")]
    log = folder / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        assert server.stdout is not None
        said = server.stdout.readline() + server.stdout.readline()
        found = re.fullmatch(LISTENING, said)
        assert found, said + log.read_text()
        yield Encrypted(found[1], int(found[2]), found[3], folder / "data" / "tls" / "cert.pem", log)
        server.terminate()


async def test_the_page_and_its_socket_work_over_it(encrypted: Encrypted) -> None:
    async with encrypted.trusting() as http:
        async with http.get("/") as page:
            assert (page.status, page.content_type) == (200, "text/html")
        headers = {"Origin": encrypted.url}
        async with http.ws_connect("/socket/websocket?vsn=2.0.0", headers=headers) as client:
            await client.send_json(["1", "1", "proxy:tls", "phx_join", {}])
            assert (await client.receive_json())[4]["status"] == "ok"
            await client.send_json(["1", "2", "proxy:tls", "query", {"query": "Say hi.", "max_tokens": 5}])
            while (frame := await client.receive_json())[3] != "response":
                pass
        assert frame[4]["response"]


async def test_the_fingerprint_at_the_start_is_that_of_the_certificate_shown(encrypted: Encrypted) -> None:
    shown = ssl.get_server_certificate(("127.0.0.1", encrypted.port))
    assert sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest().upper() == encrypted.fingerprint.replace(":", "")
    assert "can read what is said here" not in encrypted.log.read_text()


async def test_who_does_not_know_the_certificate_is_warned(encrypted: Encrypted) -> None:
    async with aiohttp.ClientSession(encrypted.url) as http:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get("/")


def asked_by_a_command(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a process of its own: aiohttp reads the certificates that are trusted once, when it is imported."""
    command, environment = [sys.executable, "-c", ASKS, url], {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


async def test_a_command_with_the_data_folder_knows_the_certificate(encrypted: Encrypted) -> None:
    config = Config.model_validate({**SETTINGS, "server": {"tls": {"self_made": True}}})
    async with server_that_runs(config, encrypted.cert.parents[1], encrypted.url) as session:
        assert session is not None


def test_a_command_without_it_says_how_it_would_know_the_certificate(encrypted: Encrypted) -> None:
    told = asked_by_a_command(encrypted.url)
    assert told.returncode == 1
    assert re.search(r"ServerUnusable: .* its certificate is not known here\. .*--data-dir.*SSL_CERT_FILE", told.stderr)
    told = asked_by_a_command(encrypted.url, SSL_CERT_FILE=str(encrypted.cert))
    assert (told.returncode, told.stdout) == (0, "200\n"), told.stderr


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_newer_versions_of_tls_are_spoken(encrypted: Encrypted, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=str(encrypted.cert))
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", encrypted.port)) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        assert connection.version() == version.name.replace("_", ".")


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\xff\xff"])
async def test_who_does_not_encrypt_is_shown_out_and_nobody_else(encrypted: Encrypted, sent: bytes) -> None:
    before = encrypted.log.read_text()
    with socket.create_connection(("127.0.0.1", encrypted.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answered = b""
        try:
            while more := connection.recv(4096):
                answered += more
        except ConnectionResetError:
            pass
    assert not answered or answered[0] == 0x15  # a TLS alert: no word of HTTP in the clear
    async with encrypted.trusting() as http, http.get("/api/proxy/health") as health:
        assert health.status == 200
    assert "Traceback" not in encrypted.log.read_text()[len(before) :]
