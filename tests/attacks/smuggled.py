"""Requests that two readers may cut apart at different places: each is one request with another one behind it."""

from tests.attacks.exchange import request
from tests.attacks.probe import Server

CANARY = "canary4711"
CHAT = "/v1/chat/completions"
HEALTH = "/api/proxy/health"
JSON = "Content-Type: application/json"


def smuggled(server: Server, *fields: str) -> dict[str, bytes]:
    """By what is wrong with them; `fields` stand in the head of those that have a body."""
    second = request(server, "GET", HEALTH)

    def post(*lines: str, body: bytes = b"0\r\n\r\n") -> bytes:
        return request(server, "POST", CHAT, JSON, *fields, *lines, body=body + second)

    return {
        "length and chunks": post("Content-Length: 4", "Transfer-Encoding: chunked"),
        "two lengths": post("Content-Length: 4", "Content-Length: 5"),
        "the same length twice": post("Content-Length: 5", "Content-Length: 5"),
        "negative length": post("Content-Length: -1"),
        "signed length": post("Content-Length: +5"),
        "hexadecimal length": post("Content-Length: 0x5"),
        "endless length": post("Content-Length: " + "9" * 30),
        "chunked twice": post("Transfer-Encoding: chunked, chunked"),
        "another coding": post("Transfer-Encoding: xchunked"),
        "identity": post("Transfer-Encoding: identity, chunked"),
        "a chunk's size that is none": post("Transfer-Encoding: chunked", body=b"zz\r\n\r\n"),
        "a chunk beyond all sizes": post("Transfer-Encoding: chunked", body=b"f" * 17 + b"\r\n"),
        "folded": request(server, "GET", HEALTH, f"X: {CANARY}\r\n {CANARY}"),
        "NUL": request(server, "GET", HEALTH, f"X: {CANARY}\0"),
        "a blank before the colon": request(server, "GET", HEALTH, f"X : {CANARY}"),
        "bare line feeds": request(server, "GET", HEALTH).replace(b"\r\n", b"\n"),
        "two hosts": request(server, "GET", HEALTH, "Host: evil.example"),
        "no host": request(server, "GET", HEALTH, host=False),
    }
