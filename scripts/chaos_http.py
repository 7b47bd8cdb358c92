"""Attacks on the HTTP port: section 2.2 of the catalogue."""

import asyncio
import gzip
import json
import re
from random import Random

from chaos_attack import attack
from chaos_server import TOKEN, Server, require
from chaos_websocket import received

from tests.attacks.exchange import connect, request
from tests.attacks.smuggled import CANARY, CHAT, HEALTH, JSON, smuggled

ADMIN = f"Authorization: Bearer {TOKEN}"
SLOW = 200
NOISES = 500  # connections of one try
BODY_PATHS = (CHAT, "/v1/completions", "/v1/embeddings", "/api/proxy/query", "/api/knowledge/ingest", "/api/feedback")


async def statuses(server: Server, sent: bytes, seconds: float = 10.0) -> list[int]:
    """The statuses of all that is answered within so long. Raises Broken where what was sent comes back."""
    reader, writer = await connect(server)
    try:
        writer.write(sent)
        answer = await received(reader, seconds)
    finally:
        writer.close()
    require(CANARY.encode() not in answer, f"the answer has what was sent: {answer[:300]!r}")
    require(b"Traceback" not in answer, "a traceback in the answer")
    return [int(each[:3]) for each in re.split(rb"(?:^|\r\n)HTTP/1\.[01] ", answer)[1:]]


async def refused(server: Server, sent: bytes, *allowed: int) -> str:
    """The one status that it gets. Raises Broken for another one than these, or for more than one answer."""
    got = await statuses(server, sent)
    require(len(got) <= 1, f"{len(got)} answers to {sent[:100]!r}")
    require(not got or got[0] in allowed, f"{got} to {sent[:120]!r}")
    return str(got[0]) if got else "closed"


@attack("H1", "200 connections that send nothing, or a byte of a header each second", 1, 0)
async def slowloris(server: Server, _: Random, __: int) -> str:
    ends = [await connect(server) for _ in range(SLOW)]

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        while not writer.is_closing():
            writer.write(b"a")
            await asyncio.sleep(1)  # the attack is its slowness

    drips = [asyncio.create_task(drip(writer)) for _, writer in ends[::2]]
    try:
        await server.probe()
        loop = asyncio.get_running_loop()
        began = loop.time()
        left = await asyncio.gather(*(received_end(reader) for reader, _ in ends))
        require(not any(left), f"{sum(left)} of {SLOW} are open after 20 s")
        return f"all closed in {loop.time() - began:.0f} s"
    finally:
        for task in drips:
            task.cancel()
        for _, writer in ends:
            writer.close()


async def head(reader: asyncio.StreamReader, seconds: float = 10.0) -> bytes:
    """Of the next answer; empty where the connection ends without one. Raises TimeoutError."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def received_end(reader: asyncio.StreamReader, seconds: float = 20.0) -> bool:
    """Whether the server still has not closed after so long."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(65536):
                pass
    except TimeoutError:
        return True
    except ConnectionError:
        pass
    return False


@attack("H2", "a body of which two bytes come", 5, 0)
async def slow_body(server: Server, _: Random, number: int) -> str:
    path = BODY_PATHS[number % len(BODY_PATHS)]
    reader, writer = await connect(server)
    writer.write(request(server, "POST", path, JSON, ADMIN, "Content-Length: 1000", body=b'{"'))
    still = await received_end(reader, 32)
    writer.close()
    require(not still, f"{path} waits for more than 30 s")
    return "closed within 30 s"


@attack("H3", "heads of any size", 30, 6)
async def huge_head(server: Server, random: Random, number: int) -> str:
    size = random.randrange(9_000, 60_000)
    heads = [
        request(server, "GET", HEALTH, f"X: {CANARY}" + "a" * size),
        request(server, "GET", HEALTH, *(f"X{each}: {CANARY}" for each in range(200 + number))),
        request(server, "GET", HEALTH, f"Cookie: {CANARY}=b; " + "a=b; " * 8000),
        request(server, "GET", f"/{CANARY}" + "a" * (300_000 + size)),
        request(server, "GET", HEALTH, f"{CANARY}{'n' * size}: a"),
        request(server, "GET", HEALTH, *(f"Cookie: {CANARY}{each}=\x01;;" for each in range(60))),
    ]
    mark = server.look().log_bytes
    told = await refused(server, heads[number % len(heads)], 200, 400, 414, 431)
    require(server.look().log_bytes - mark < 1000, "more than a line of log")
    return told


@attack("H4", "smuggled requests: lengths, chunks, folds, NUL, bare line feeds, hosts", 72, 18)
async def smuggling(server: Server, _: Random, number: int) -> str:
    name, sent = [*smuggled(server, ADMIN).items()][number % 18]
    got = await statuses(server, sent)
    require(len(got) <= 1, f"{len(got)} answers: {name}")
    require(not got or got[0] in (400, 421, 501), f"{got}: {name}")
    return str(got[0]) if got else "closed"


@attack("H6", "bodies of twice the limit, of 1 TB by their own word, endless in chunks", 12, 1)
async def big_body(server: Server, _: Random, number: int) -> str:
    path = BODY_PATHS[number % 2]
    before = server.look().memory_mb
    reader, writer = await connect(server)
    match number % 3:
        case 0:
            writer.write(request(server, "POST", path, JSON, ADMIN, f"Content-Length: {10**12}", body=b"{}"))
        case 1:
            writer.write(request(server, "POST", path, JSON, ADMIN, f"Content-Length: {2**28}", body=b"{}"))
        case _:
            writer.write(request(server, "POST", path, JSON, ADMIN, "Transfer-Encoding: chunked"))
            for _ in range(64):
                writer.write(b"100000\r\n" + b" " * 2**20 + b"\r\n")
    answer = await head(reader)
    writer.close()
    require(not answer or b" 413 " in answer[:40], f"{answer[:100]!r}")
    require(server.look().memory_mb < before + 100, "it was kept in memory")
    return "413" if answer else "closed"


@attack("H8", "compressed bodies: 50 MB in 51 kB, broken ones, unknown codings", 24, 6)
async def compressed(server: Server, _: Random, number: int) -> str:
    coding = ["gzip", "deflate", "br", "zstd", "x", "gzip, gzip"][number % 6]
    body = [gzip.compress(bytes(50_000_000), 9), b"\x1f\x8bnonsense", b""][number // 6 % 3]
    lines = (JSON, ADMIN, f"Content-Encoding: {coding}", f"Content-Length: {len(body)}")
    before = server.look().memory_mb
    sent = request(server, "POST", BODY_PATHS[number // 2 % len(BODY_PATHS)], *lines, body=body)
    told = await refused(server, sent, 400, 413, 415)
    require(server.look().memory_mb < before + 60, "it was unpacked")
    return told


BODIES: list[bytes] = [
    b"null",
    b"[]",
    b'"x"',
    b"7",
    b"",
    b"{",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"messages": NaN, "query": NaN}',
    b'{"messages": [{"role": "user", "content": "hi"}], "query": "hi", "temperature": 1e400}',
    b'{"messages": [{"role": "user", "content": "hi"}], "query": "hi", "temperature": Infinity}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"messages": ' + b"9" * 5_000 + b', "query": 1}',
    b'{"messages": [], "messages": 7, "query": "a", "query": 7}',
]


@attack("H10", "JSON that is no request: null, NaN, 1e400, 100,000 deep, 5,000 digits", 90, 15)
async def bodies(server: Server, _: Random, number: int) -> str:
    body, path = BODIES[number % len(BODIES)], BODY_PATHS[number // len(BODIES) % len(BODY_PATHS)]
    sent = request(server, "POST", path, JSON, ADMIN, f"Content-Length: {len(body)}", body=body)
    return await refused(server, sent, 400, 404, 413, 422)


CROWDED = b'{"source_document":"m","content":"x","query":"x","more":[' + b"[]," * 8_000_000 + b"[]]}"


@attack("H10", "24 MB of empty lists wherever JSON is taken", 12, 2)
async def crowded(server: Server, _: Random, number: int) -> str:
    path = BODY_PATHS[number % len(BODY_PATHS)]
    sent = request(server, "POST", path, JSON, ADMIN, f"Content-Length: {len(CROWDED)}", body=CROWDED)
    return await refused(server, sent, 400, 413)


LINES: dict[str, tuple[int, ...]] = {
    "TRACE / HTTP/1.1": (401, 405),
    "PUT / HTTP/1.1": (401, 405),
    "DELETE / HTTP/1.1": (401, 405),
    "CONNECT evil.example:443 HTTP/1.1": (400, 401, 404, 405, 421),
    "OPTIONS * HTTP/1.1": (200, 401, 204, 404, 405),
    "get / HTTP/1.1": (400, 405),
    "GET / HTTP/2.0": (400, 505),
    "GET / HTTP/1.2": (400, 505),
    "GET / HTTP/0.9": (400, 505),
    "GET /": (400, 505),
    "PRI * HTTP/2.0": (400, 505),
    "G\x00T / HTTP/1.1": (400,),
    "GET / HTTP/1.1 x": (400,),
}


@attack("H11", "methods and versions that are not ours", 26, 13)
async def methods(server: Server, _: Random, number: int) -> str:
    line, allowed = [*LINES.items()][number % len(LINES)]
    sent = f"{line}\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode()
    return await refused(server, sent, *allowed)


UPS = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "....//", "..%5c", "..\\", "%c0%ae%c0%ae/", "..;/", "./../"]


@attack("H12", "ways out of the folder of static files", 120, 12)
async def traversal(server: Server, random: Random, number: int) -> str:
    """The canary lies beside the folder: the project's own config.yaml and README."""
    up = UPS[number % len(UPS)]
    start = random.choice(["/", "/static/", "/static/js/", "/static//", "//static/"])
    end = random.choice(["config.yaml", "README.md", "etc/passwd", "config.yaml%00.js", "there-is-no-such-file"])
    sent = request(server, "GET", start + up * random.choice([1, 2, 3, 8]) + end, ADMIN)
    reader, writer = await connect(server)
    writer.write(sent)
    answer = await received(reader, 10)
    writer.close()
    status = int(answer[9:12])
    require(status in (400, 404), f"{status} to {sent[:100]!r}")
    require(b"root:" not in answer and b"data_dir" not in answer, "the file came")
    return str(status)


REDIRECTS = [
    "//evil.example/",
    "/\\evil.example",
    "/%2f%2fevil.example",
    "//evil.example/%2e%2e",
    "/.evil.example",
    "/%0d%0aLocation:%20//evil.example",
]


@attack("H13", "paths and hosts that a redirect could be made of", 24, 6)
async def redirects(server: Server, _: Random, number: int) -> str:
    reader, writer = await connect(server)
    writer.write(request(server, "GET", REDIRECTS[number % len(REDIRECTS)], ADMIN, "X-Forwarded-Host: evil.example"))
    answer = await received(reader, 10)
    writer.close()
    head = answer.partition(b"\r\n\r\n")[0].lower()
    require(b"\nlocation:" not in head, f"it redirects: {head[:300]!r}")
    return answer[9:12].decode()


@attack("H15", "markup, escapes and 5,000 broken cookies", 20, 5)
async def reflection(server: Server, _: Random, number: int) -> str:
    sent = [
        request(server, "GET", f"/<script>{CANARY}</script>", ADMIN),
        request(server, "GET", f"/static/%3Cimg%20src=x%20onerror={CANARY}%3E", ADMIN),
        request(server, "GET", f"/api/knowledge/documents/%3Cb%3E{CANARY}", ADMIN),
        request(server, "GET", f"/{CANARY}", ADMIN, "User-Agent: \x1b[31m\x1b]0;owned\x07"),
        request(server, "GET", "/nothing", ADMIN, "Cookie: " + "=\\;" * 2500),
    ][number % 5]
    mark = server.look().log_bytes
    reader, writer = await connect(server)
    writer.write(sent)
    answer = await received(reader, 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    require(b"<script>" not in body and b"<img" not in body, "markup comes back")
    require(b"nosniff" in head, "no nosniff")
    with server.log.open("rb") as log:
        log.seek(mark)
        told = log.read()
    require(b"\x1b" not in told and told.count(b"\n") < 10, f"{told[:200]!r} in the log")
    return answer[9:12].decode()


@attack("H16", f"{NOISES} connections at once with TLS, random bytes or other protocols", 6, 1)
async def noise(server: Server, random: Random, _: int) -> str:
    hello = b"\x16\x03\x01\x00\xdc\x01\x00\x00\xd8\x03\x03" + bytes(range(214))
    kinds = [hello, b"SSH-2.0-x\r\n\r\n", b"\x00" * 100, b"*1\r\n$4\r\nPING\r\n\r\n"]
    gate = asyncio.Semaphore(50)

    async def one() -> None:
        async with gate:
            try:
                reader, writer = await connect(server)
                writer.write(random.choice([*kinds, random.randbytes(200)]))
                writer.write_eof()
                await received(reader, 10)
                writer.close()
            except ConnectionError:
                pass  # refused, which is as good

    await asyncio.gather(*(one() for _ in range(NOISES)))
    return "refused"


def as_json(**body: object) -> bytes:
    return json.dumps(body).encode()
