"""Attacks on who may come in: origins, hosts, tokens, other people's things; sections 2.3 and 2.4 of the catalogue."""

import asyncio
import base64
import json
import re
import secrets
import time
from random import Random
from typing import Any

import aiohttp
import jwt
from aiohttp import web
from chaos_attack import attack
from chaos_http import ADMIN, CHAT, JSON, as_json, statuses
from chaos_server import ROOT, SECRET, SETTINGS, TOKEN, Server, bearer, require, signed, soon

from neuralbridge.access.tokens import Tokens
from neuralbridge.web.routes import add_routes
from tests.attacks.exchange import request
from tests.web.raw import RawSocket

INGEST = "/api/knowledge/ingest"
EVIL = [
    "https://evil.example",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "http://evil.example:4000",
    "null",
    "file://",
    "chrome-extension://abcdefgh",
    "http://127.0.0.1@evil.example",
    "http://[::1].evil.example",
    "",
]


@attack("X1, X2", "sockets and changes from pages of other origins, null among them", 60, 10)
async def foreign_origin(server: Server, _: Random, number: int) -> str:
    origin = EVIL[number % (len(EVIL) - 1)]
    async with RawSocket(server.url, headers={**bearer(), "Origin": origin}) as socket:
        require(socket.status == 403, f"{socket.status} to a socket of {origin!r}")
    body = as_json(query="hi", max_tokens=1)
    for path in ("/api/proxy/query", CHAT):
        sent = request(
            server, "POST", path, JSON, ADMIN, f"Origin: {origin}", f"Content-Length: {len(body)}", body=body
        )
        got = await statuses(server, sent)
        require(got == [403], f"{got} to {path} of {origin!r}")
    return "403"


@attack("X4", "no origin and no token", 10, 2)
async def no_token(server: Server, _: Random, number: int) -> str:
    if number % 2:
        body = as_json(query="hi", max_tokens=1)
        sent = request(server, "POST", "/api/proxy/query", JSON, f"Content-Length: {len(body)}", body=body)
        got = await statuses(server, sent)
        require(got == [401], f"{got}")
        return "401"
    async with server.client(None) as client:
        reply = await client.join("proxy:nobody")
        require(reply[4]["status"] == "error", "somebody unknown joined")
        return f"join: {reply[4]['response'].get('reason')}"


HOSTS = [
    "evil.example", "127.0.0.1.nip.io:{port}", "localhost.evil.example:{port}", "user@localhost:{port}", "127.0.0.1:81",
    "", "localhost:{port}/", "[::1", "evil.example:{port}",
]  # fmt: skip


@attack("X5", "hosts that are not this server's, on HTTP and on the socket", 54, 6)
async def rebinding(server: Server, _: Random, number: int) -> str:
    host = HOSTS[number // 2 % len(HOSTS)].format(port=server.port)
    if number % 2:
        sent = request(server, "GET", "/api/proxy/health", ADMIN, f"Host: {host}", host=False)
    else:
        upgrade = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        sent = request(server, "GET", "/socket/websocket?vsn=2.0.0", ADMIN, *upgrade, f"Host: {host}", host=False)
        sent = sent.replace(b"Connection: close", b"Connection: Upgrade, close")
    got = await statuses(server, sent)
    require(got and got[0] in (400, 421), f"{got} to Host {host!r}")
    return str(got[0])


@attack("X7", "questions as a page's form sends them", 20, 4)
async def simple_request(server: Server, random: Random, number: int) -> str:
    kind = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""][number % 4]
    name = f"form{random.getrandbits(60)}"
    body = as_json(query="hi", session_id=name, max_tokens=1)
    lines = [ADMIN, f"Content-Length: {len(body)}", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"]
    sent = request(server, "POST", "/api/proxy/query", *lines, *([f"Content-Type: {kind}"] if kind else []), body=body)
    got = await statuses(server, sent)
    require(got and got[0] in (400, 403, 415), f"{got} to {kind!r}")
    async with server.http() as http, http.get(f"/api/conversations/{name}") as found:
        require(found.status == 404, "it was asked")
    return str(got[0])


@attack("X8", "a file from a page of another origin", 10, 2)
async def drive_by(server: Server, random: Random, _: int) -> str:
    name = f"drive{random.getrandbits(60)}.txt"
    form = aiohttp.FormData()
    form.add_field("file", b"words of another page", filename=name)
    async with server.http(Origin="https://evil.example") as http, http.post(INGEST, data=form) as refused:
        require(refused.status == 403, f"{refused.status}")
    async with server.http() as http, http.get("/api/knowledge/jobs") as jobs:
        require(name not in await jobs.text(), "it was taken")
    return "403"


def routes() -> list[tuple[str, str, str]]:
    """Every route as method, path with something in its places, and pattern."""
    app = web.Application()
    add_routes(app, ROOT / "static")
    return [
        (route.method if route.method != "*" else "GET", re.sub(r"\{[^}]*\}", "x", place.canonical), place.canonical)
        for route in app.router.routes()
        if (place := route.resource) is not None
    ]


@attack("X9, X11", "every route asked by another origin: CORS, framing, sniffing", 1, 1)
async def cors(server: Server, _: Random, __: int) -> str:
    asked = 0
    async with server.http(Origin="https://evil.example") as http:
        for method, path, _place in routes():
            for verb in {"GET", "OPTIONS", method} - {"DELETE"}:
                more = {"Access-Control-Request-Method": "POST"} if verb == "OPTIONS" else {}
                async with http.request(verb, path, headers=more, allow_redirects=False) as response:
                    asked += 1
                    require("Access-Control-Allow-Origin" not in response.headers, f"{verb} {path} is open to all")
                    require(response.status < 500, f"{response.status} to {verb} {path}")
                    policy = response.headers.get("Content-Security-Policy", "")
                    require("frame-ancestors 'none'" in policy, f"{verb} {path} may be framed")
                    require(response.headers.get("X-Content-Type-Options") == "nosniff", f"{verb} {path} is sniffed")
                    require(response.headers.get("Cross-Origin-Resource-Policy") == "same-origin", f"{verb} {path}")
    return f"{asked} answers, none of them for others"


SPOOFS = [
    "X-Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "Forwarded: for=127.0.0.1;host=localhost",
    "X-Forwarded-Host: localhost",
    "X-Forwarded-User: local",
    "X-Original-URL: /",
]


@attack("X12", "headers of proxies that there are not", 24, 6)
async def spoofed(server: Server, _: Random, number: int) -> str:
    sent = request(server, "GET", "/api/knowledge/documents", SPOOFS[number % len(SPOOFS)])
    got = await statuses(server, sent)
    require(got == [401], f"{got}")
    return "401"


PUBLIC = {"/", "/sw.js", "/static/{name}", "/api/proxy/health", "/api/session"} | {
    f"/socket/{kind}{slash}" for kind in ("websocket", "longpoll") for slash in ("", "/")
}


@attack("A1", "every route without a token, by every method, with slashes", 1, 1)
async def unprotected(server: Server, _: Random, __: int) -> str:
    asked = 0
    for method, path, place in routes():
        if place in PUBLIC or method == "OPTIONS":
            continue
        for verb, shape in ((method, path), (method, f"{path}/"), (method, f"/{path}"), ("HEAD", path)):
            (status,) = await statuses(server, request(server, verb, shape))
            asked += 1
            allowed = (401,) if (verb, shape) == (method, path) else (401, 404, 405)
            require(status in allowed, f"{status} to {verb} {shape} without a token")
    async with server.http(None) as http, http.get("/api/proxy/health") as brief:
        require(set(await brief.json()) == {"status", "version"}, "health tells strangers more than that it is")
    return f"{asked} requests, none of them let in"


def tampered() -> list[str]:
    """JWTs that must not be good: tricks with the algorithm, then with the claims."""
    now = int(time.time())
    claims: dict[str, Any] = {"sub": "local", "role": "admin", "iat": now, "exp": now + 600}

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    good = jwt.encode(claims, SECRET, "HS256")
    head, body, signature = good.split(".")
    return [
        *(f"{part({'alg': name, 'typ': 'JWT'})}.{body}." for name in ("none", "None", "NONE", "HS256", "RS256")),
        *(f"{part({'alg': name})}.{body}.{signature}" for name in (["HS256"], None, "HS512", "", {"a": 1})),
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}..{signature}",
        f"{head}.{part({**claims, 'sub': 'other'})}.{signature}",
        jwt.encode(claims, "another secret, and as long as it should be", "HS256"),
        jwt.encode(claims, SECRET, "HS512"),
        jwt.encode(claims, SECRET, "HS256", headers={"jku": "http://127.0.0.1:9/", "kid": "../../dev/null"}) + "x",
        *(
            jwt.encode({**claims, **change}, SECRET, "HS256")
            for change in (
                {"exp": now - 120},
                {"nbf": now + 600},
                {"iat": now + 600, "nbf": now + 600},
                {"exp": "soon"},
                {"exp": now + 10**9},
                {"exp": 1e300},
                {"sub": 7},
                {"sub": "../x"},
                {"sub": "a" * 65},
                {"role": "root"},
                {"sub": "local", "role": "user"},
            )
        ),
        jwt.encode({"sub": "local", "role": "admin"}, SECRET, "HS256"),
        jwt.encode({"role": "admin", "exp": now + 600}, SECRET, "HS256"),
        f"{head}.{part({**claims, 'exp': float('nan')})}.{signature}",
        "",
        "x" * 7000,
        TOKEN[:-1],
        TOKEN.upper(),
        f"{TOKEN}x",
    ]


@attack("A3, A4", "tokens that are forged, over, of another key, without an end", 70, 35)
async def forged(server: Server, _: Random, number: int) -> str:
    tokens = tampered()
    token = tokens[number % len(tokens)]
    got = await statuses(server, request(server, "GET", "/api/knowledge/documents", f"Authorization: Bearer {token}"))
    require(got == [401], f"{got} to {token[:80]!r}")
    async with server.client(None) as client:
        reply = await client.join("proxy:forged", {"token": token})
        require(reply[4]["status"] == "error", f"a join was let in by {token[:80]!r}")
    return "401, join refused"


@attack("A6", "signing in by each way, and looking for the token afterwards", 1, 1)
async def leaked(server: Server, _: Random, __: int) -> str:
    token = signed("leaky")
    for headers in (bearer(token), {"X-Auth-Token": token}, {"X-Api-Key": token}):
        async with aiohttp.ClientSession(server.url, headers=headers) as http, http.get("/api/models") as response:
            require(response.status == 200, f"{response.status} by {[*headers]}")
    async with RawSocket(server.url, target=f"/socket/websocket?vsn=2.0.0&auth_token={token}") as socket:
        require(socket.status == 101, f"{socket.status} by the address")
    async with server.http(None) as http:
        async with http.get(f"/nothing?auth_token={token}") as missing:
            require(token not in await missing.text(), "an error has the token")
        async with http.post("/api/session", json={"token": token}) as signed_in:
            require(token not in await signed_in.text(), "the answer has the token")
            cookie = signed_in.headers.get("Set-Cookie", "")
            require("HttpOnly" in cookie and "SameSite=Strict" in cookie, f"the cookie is {cookie[-60:]!r}")
        async with http.get("/") as page:
            require(token not in await page.text(), "the page has the token")
    for path in server.folder.rglob("*"):
        if path.is_file() and path != server.config:
            kept = path.read_bytes()
            require(token.encode() not in kept and TOKEN.encode() not in kept, f"a token stands in {path.name}")
    return "in no file, log or answer"


@attack("A8", "another user reads, continues, renames, deletes, rates, stops", 3, 1)
async def others(server: Server, random: Random, _: int) -> str:
    name = f"private{random.getrandbits(60)}"
    ana, ben = signed("ana"), signed("ben")
    async with server.http(ana) as http:
        asked = {"query": "My name is Ana.", "session_id": name, "max_tokens": 3}
        async with http.post("/api/proxy/query", json=asked) as response:
            require(response.status == 200, f"{response.status}")
            answer = (await response.json())["metadata"]["message_id"]
        document = {"content": f"The secret of {name} is 4711.", "source_document": f"{name}.md"}
        async with http.post("/api/knowledge/ingest", json=document) as response:
            require(response.status == 201, f"{response.status}: {(await response.text())[:200]}")
            taken = await response.json()
    tried = 0
    async with server.http(ben) as http:
        for verb, path, body in (
            ("GET", f"/api/conversations/{name}", None),
            ("GET", f"/api/conversations/{name}/history", None),
            ("GET", f"/api/conversations/{name}/export", None),
            ("PATCH", f"/api/conversations/{name}", {"title": "mine"}),
            ("DELETE", f"/api/conversations/{name}", None),
            ("POST", "/api/feedback", {"message_id": answer, "rating": "down"}),
            ("GET", f"/api/knowledge/documents/{taken['document_id']}", None),
            ("PATCH", f"/api/knowledge/documents/{taken['document_id']}", {"pinned": True}),
            ("DELETE", f"/api/knowledge/documents/{taken['document_id']}", None),
            ("GET", f"/api/knowledge/jobs/{taken['processing_job_id']}", None),
        ):
            async with http.request(verb, path, json=body) as response:
                tried += 1
                require(response.status == 404, f"{response.status} to {verb} {path} of another user")
        for path in (
            *("/api/conversations", "/api/conversations?q=Ana", "/api/conversations/export"),
            *("/api/knowledge/jobs", "/api/knowledge/documents", "/api/knowledge/search?q=secret+4711"),
        ):
            async with http.get(path) as response:
                tried += 1
                require(name not in await response.text(), f"{path} lists what is another user's")
    async with server.client(ben) as client:
        await client.join(f"proxy:{name}")
        await client.push(f"proxy:{name}", "get_history")
        require((await client.expect("history"))["messages"] == [], "another user's history")
    async with server.http(ana) as http, http.get(f"/api/conversations/{name}") as response:
        require(response.status == 200, "it is gone")
    return f"{tried} requests: 404 or not listed"


@attack("A11", "the admin's token changed in config.yaml while its sockets are open", 2, 1)
async def revoked(server: Server, _: Random, __: int) -> str:
    passing = f"passing-{secrets.token_hex(32)}"
    server.write_config(auth={**SETTINGS["auth"], "token": passing})

    async def passes() -> bool:
        async with server.http(passing) as http, http.get("/api/models") as response:
            return response.status == 200

    await soon("the new token is not taken", passes)
    device = await paired(server, passing)
    async with server.client(passing) as client:
        await client.join("proxy:revoked")
        began = time.monotonic()
        server.write_config(auth=SETTINGS["auth"])
        code = await client.close_code()
        taken = time.monotonic() - began
    require(code in (1001, 1008), f"closed with {code}")
    require(taken < 5, f"closed after {taken:.1f} s")
    for what, token in (("the old token", passing), ("a device that it paired", device)):
        got = await statuses(server, request(server, "GET", "/api/models", f"Authorization: Bearer {token}"))
        require(got == [401], f"{got} by {what}")
    return f"closed {code} within 5 s, then 401"


async def paired(server: Server, token: str) -> str:
    """The token of a device that was paired by this one, and is good."""
    async with server.http(token) as http, http.post("/api/session/pairing", json={}) as response:
        code = (await response.json())["url"].rpartition("/")[2]
    async with server.http(None) as http, http.post("/api/session", json={"code": code}) as response:
        device = next(iter(response.cookies.values())).value
    async with server.http(device) as http, http.get("/api/models") as response:
        require(response.status == 200, "a paired device is not let in")
    return device


@attack("A11", "devices paired by a token while that is taken back", 10, 2)
async def pairing_meanwhile(server: Server, _: Random, __: int) -> str:
    """The command line takes it back; the server knows a second later."""
    tokens = Tokens(server.data)
    token = tokens.new("eve", "user")
    found = tokens.find(token)
    require(found is not None, "no token was made")
    codes: list[str] = []

    async def pair() -> None:
        async with server.http(token) as http:
            while True:
                async with http.post("/api/session/pairing", json={}) as response:
                    if response.status != 200:
                        return
                    codes.append((await response.json())["url"].rpartition("/")[2])

    pairing = asyncio.create_task(pair())
    await soon("no device can be paired", lambda: asyncio.sleep(0, bool(codes)))
    await asyncio.to_thread(tokens.revoke, found.id if found else "")
    await pairing
    async with server.http(None) as http, http.post("/api/session", json={"code": codes[-1]}) as response:
        require(response.status == 401, f"{response.status} by a code of a token that was taken back")
    require(not [each for each in tokens.listed() if each.user == "eve"], "a device of theirs is left")
    return "401 by their codes, no device left"


@attack("A14", "names of conversations, documents, jobs and answers that are guessed", 20, 2)
async def guessed(server: Server, random: Random, _: int) -> str:
    places = ("conversations/{}", "knowledge/documents/{}", "knowledge/jobs/{}", "conversations/{}/history")
    async with server.http(signed("guesser")) as http:
        for _try in range(50):
            place = random.choice(places)
            guess = random.choice([str(random.randrange(1000)), f"{random.getrandbits(128):032x}", "%27%20OR%201=1--"])
            async with http.get(f"/api/{place.format(guess)}") as response:
                require(response.status in (400, 404), f"{response.status} to {place} {guess!r}")
    return "404 x50"
