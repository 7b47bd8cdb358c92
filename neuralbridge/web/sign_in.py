"""Signing in: a token, or the code that another device shows, becomes a cookie that no script can read."""

import asyncio
import time
from datetime import UTC, datetime

from aiohttp import hdrs, web
from yarl import URL

from neuralbridge import machine, qr
from neuralbridge.access.rates import address_of
from neuralbridge.access.tokens import PAIRING_SECONDS, Token
from neuralbridge.access.users import LOCAL, User
from neuralbridge.errors import InvalidParams, NotAdmitted, NotFound
from neuralbridge.protocol import sign_in as told
from neuralbridge.protocol.handshake import host_is_loopback
from neuralbridge.protocol.knowledge import parse
from neuralbridge.web.identity import CREDENTIAL, admit, cookie_name, token_of, user_of
from neuralbridge.web.json_api import JSON_BYTES, Handler, answered, read_json, rendered
from neuralbridge.web.keys import SERVICES, Services

COOKIE_SECONDS = 180 * 24 * 3600  # of a token that is good for longer
LABEL_CHARACTERS = 100


def add_sign_in_routes(app: web.Application) -> None:
    for method, path, handler in SESSION:
        app.router.add_route(method, f"/api/{path}", answered(handler))


async def who(request: web.Request) -> web.Response:
    """Who asks, as far as that is known."""
    credential = request.get(CREDENTIAL)
    return rendered(state(request.app[SERVICES], credential.user if credential else None))


async def sign_in(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    wanted = parse(told.SignIn, await read_json(request, JSON_BYTES))
    if not services.gate.required:
        return rendered(state(services, LOCAL))
    token = wanted.token.strip() if wanted.token else None
    if wanted.code:
        token = await redeemed(request, wanted.code)
    if token is None:
        raise InvalidParams("Sign in with a token, or with the code that another device shows.", "token")
    credential = admit(services, request, token)
    response = rendered(state(services, credential.user))
    response.set_cookie(
        cookie_name(services), token, max_age=COOKIE_SECONDS, httponly=True, samesite="Strict", secure=request.secure
    )
    return response


async def redeemed(request: web.Request, code: str) -> str:
    """The token of a code that another device shows. Raises NotAdmitted and RateLimited."""
    services, label = request.app[SERVICES], request.headers.get(hdrs.USER_AGENT, "")[:LABEL_CHARACTERS]
    try:
        token, _ = await asyncio.to_thread(services.gate.tokens.redeem, code, label)
    except NotFound as error:
        services.rates.count("failed_sign_ins", address_of(request.remote or ""))
        raise NotAdmitted(str(error)) from error
    return token


async def sign_out(request: web.Request) -> web.Response:
    """Forget the cookie, and the token of a device that was paired: nobody else has it."""
    services, token = request.app[SERVICES], token_of(request)
    found = services.gate.tokens.find(token) if token else None
    if found is not None and found.kind == "device":
        await asyncio.to_thread(services.gate.tokens.revoke, found.id)
    response = web.Response(status=204)
    response.del_cookie(cookie_name(services), httponly=True, samesite="Strict", secure=request.secure)
    return response


async def pair(request: web.Request) -> web.Response:
    """A code for another device of the same user, as an address and as a picture of it."""
    services = request.app[SERVICES]
    if not services.gate.required:
        raise InvalidParams("This server asks nobody to sign in, and no other device reaches it.")
    credential = request[CREDENTIAL]
    code = await asyncio.to_thread(services.gate.pair, credential)
    url = f"{reached_at(request.url.origin(), services.config.server.host)}/#/pair/{code}"
    expires = datetime.fromtimestamp(time.time() + PAIRING_SECONDS, UTC)
    when, reachable = expires.isoformat(timespec="seconds"), not host_is_loopback(URL(url).host or "")
    return rendered(told.Pairing(url=url, svg=qr.svg(url), expires_at=when, reachable=reachable))


def reached_at(origin: URL, host: str) -> URL:
    """The address that other devices use for what this one calls `origin`, of a server that listens on `host`."""
    addresses = [] if host == "localhost" else machine.addresses(host)
    return origin.with_host(str(addresses[0])) if host_is_loopback(origin.host or "") and addresses else origin


async def tokens(request: web.Request) -> web.Response:
    """The tokens of a user; an admin sees everybody's."""
    token = token_of(request)
    found = request.app[SERVICES].gate.tokens.find(token) if token else None
    return rendered(told.TokenList(tokens=[entry(each, each == found) for each in await visible(request)]))


async def revoke(request: web.Request) -> web.Response:
    """Take a token back: what it let in is closed within seconds. Raises NotFound."""
    id = request.match_info["id"]
    if not any(each.id == id for each in await visible(request)):
        raise NotFound(f"There is no token {id[:40]!r}.")
    await asyncio.to_thread(request.app[SERVICES].gate.tokens.revoke, id)
    return web.Response(status=204)


async def visible(request: web.Request) -> list[Token]:
    user = user_of(request)
    listed = await asyncio.to_thread(request.app[SERVICES].gate.tokens.listed)
    return [each for each in listed if user.role == "admin" or each.user == user.name]


def state(services: Services, user: User | None) -> told.SessionState:
    return told.SessionState(
        authentication=services.gate.required,
        user=user.name if user else None,
        role=user.role if user else None,
    )


def entry(token: Token, current: bool) -> told.TokenEntry:
    return told.TokenEntry(
        id=token.id,
        user=token.user,
        role=token.role,
        kind=token.kind,
        label=token.label,
        current=current,
        created_at=moment(token.created),
        expires_at=moment(token.expires) if token.expires is not None else None,
    )


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


SESSION: tuple[tuple[str, str, Handler], ...] = (
    (hdrs.METH_GET, "session", who),
    (hdrs.METH_POST, "session", sign_in),
    (hdrs.METH_DELETE, "session", sign_out),
    (hdrs.METH_POST, "session/pairing", pair),
    (hdrs.METH_GET, "tokens", tokens),
    (hdrs.METH_DELETE, "tokens/{id}", revoke),
)
