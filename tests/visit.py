"""Starts the server, asks, brings a document, asks about it; prints what it saw as JSON. For test_no_network."""

import asyncio
import fcntl
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[1]
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def bring_loopback_up() -> None:
    """What `ip link set lo up` does; a new namespace has it down, and iproute2 is not on every machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


async def visit(url: str) -> dict[str, object]:
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{url}/socket/websocket?vsn=2.0.0") as client:
            await client.send_json(["1", "1", "proxy:visit", "phx_join", {}])
            asked = {"query": "What is the capital of France?", "temperature": 0}
            await client.send_json(["1", "2", "proxy:visit", "query", asked])
            while (frame := await client.receive_json())[3] != "response":
                pass
            document = {"content": "The warranty of the XK-204 pump lasts 27 months.", "source_document": "pump.md"}
            async with http.post(f"{url}/api/knowledge/ingest", json=document) as taken:
                assert taken.status == 201, await taken.text()
            asked = {"query": "How long is the warranty of the XK-204 pump?", "temperature": 0}
            await client.send_json(["1", "3", "proxy:visit", "query", asked])
            while (informed := await client.receive_json())[3] != "response":
                pass
        async with http.get(f"{url}/api/proxy/health") as health:
            interfaces = [name for _, name in socket.if_nameindex()]
            return {
                "interfaces": interfaces,
                "response": frame[4]["response"],
                "informed": informed[4]["response"],
                "sources": [source["source_document"] for source in informed[4]["metadata"]["sources"]],
                "health": await health.json(),
            }


def main(data: str) -> None:
    bring_loopback_up()
    command = [sys.executable, "-m", "neuralbridge", "serve", "--port", "0", "--data-dir", data]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            print(json.dumps(asyncio.run(visit(server.stdout.readline().split()[-1]))))
        finally:
            server.terminate()


if __name__ == "__main__":
    main(sys.argv[1])
