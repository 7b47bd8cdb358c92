"""Starts the server for a LAN, in a network namespace of its own, and looks who comes in. For test_lan."""

import asyncio
import fcntl
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from tests.visit import ROOT, bring_loopback_up

ADDRESS = "10.77.0.1"
SIOCSIFADDR = 0x8916
RUN = [sys.executable, "-m", "neuralbridge"]


def have_address() -> None:
    """Another address for the loopback interface: to the server, whoever comes by it is somebody else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        address = struct.pack("16sH2s4s8x", b"lo:1", socket.AF_INET, b"\0\0", socket.inet_aton(ADDRESS))
        fcntl.ioctl(any_socket, SIOCSIFADDR, address)


@contextmanager
def serving(data: Path, log: Path) -> Iterator[tuple[int, list[str]]]:
    """A server on all addresses: its port, and what it printed besides where it listens."""
    command = [*RUN, "serve", "--host", "0.0.0.0", "--port", "4321", "--data-dir", str(data)]
    with (
        log.open("ab") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT) as server,
    ):
        try:
            assert server.stdout is not None
            lines = [server.stdout.readline()]
            lines += [server.stdout.readline()] if not (data / "tokens.json").exists() else []
            assert server.stdout.readline() == f"other devices reach it at http://{ADDRESS}:4321\n"
            yield 4321, lines
        finally:
            server.terminate()


async def statuses(port: int, token: str) -> dict[str, int]:
    """What becomes of requests, by what is special about them."""
    url, name = f"http://{ADDRESS}:{port}", socket.gethostname().partition(".")[0].lower()
    signed = {"Authorization": f"Bearer {token}"}
    asked: dict[str, dict[str, str]] = {
        "nobody": {},
        "wrong": {"Authorization": "Bearer wrong"},
        "owner": signed,
        "by name": {**signed, "Host": f"{name}:{port}"},
        "by mdns": {**signed, "Host": f"{name}.local:{port}"},
        "rebound": {**signed, "Host": f"evil.example:{port}"},
        "rebound to loopback": {**signed, "Host": f"127.0.0.1.nip.io:{port}"},
        "user in host": {**signed, "Host": f"user@{ADDRESS}:{port}"},
        "other port": {**signed, "Host": f"{ADDRESS}:81"},
        "all addresses": {**signed, "Host": f"0.0.0.0:{port}"},
        "forwarded": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
    }
    found = {}
    async with aiohttp.ClientSession() as http:
        for what, headers in asked.items():
            async with http.get(f"{url}/api/models", headers=headers) as response:
                found[what] = response.status
        sockets = {"socket": "", "wrong socket": "&auth_token=wrong", "signed socket": f"&auth_token={token}"}
        for what, query in sockets.items():
            try:
                async with http.ws_connect(f"{url}/socket/websocket?vsn=2.0.0{query}") as client:
                    await client.send_json(["1", "1", "proxy:lan", "phx_join", {}])
                    reply = (await client.receive_json())[4]
                    found[what] = 101 if reply["status"] == "ok" else 0
            except aiohttp.WSServerHandshakeError as error:
                found[what] = error.status
    return found


def command(data: Path, config: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    given = [*RUN, *arguments, "--config", str(config), "--data-dir", str(data)]
    return subprocess.run(given, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def main(folder: Path) -> None:
    bring_loopback_up()
    have_address()
    data, log, config = folder / "data", folder / "log", folder / "config.yaml"
    text = (ROOT / "config.yaml").read_text()
    text = text.replace("path: models/", f"path: {ROOT}/models/").replace("host: 127.0.0.1 ", "host: 0.0.0.0 ")
    config.write_text(text.replace("port: 4000", "port: 4321"))
    with serving(data, log) as (port, lines):
        token = lines[1].split()[-1]
        seen = {"printed": lines[1].rpartition(" ")[0], "statuses": asyncio.run(statuses(port, token))}
        asked = command(data, config, "ask", "Say hello.")
        paired = command(data, config, "pair", "--user", "ana")
        listed = command(data, config, "token", "list")
        seen |= {"asked": asked.returncode, "paired": paired.stdout, "listed": listed.stdout}
        seen["modes"] = {path.name: path.stat().st_mode & 0o777 for path in data.iterdir() if "token" in path.name}
    with serving(data, log):
        pass
    kept = [path for path in (*data.rglob("*"), log) if path.is_file()]
    seen["told"] = [str(path) for path in kept if token.encode() in path.read_bytes()]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
