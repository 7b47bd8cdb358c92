"""Who asks, found once for each request before anything else looks at it, and what who may do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from aiohttp import hdrs, web

from neuralbridge.access.gate import Credential
from neuralbridge.access.rates import address_of, is_loopback
from neuralbridge.access.users import LOCAL, User
from neuralbridge.errors import Forbidden, NotAdmitted
from neuralbridge.protocol.handshake import TOKEN_HEADERS
from neuralbridge.web.keys import SERVICES, Services

CREDENTIAL = web.RequestKey("credential", Credential)

PAGE = frozenset({"/", "/sw.js", "/static/{name}"})  # a hundred small files, asked for all at once: no rate counts them
# What needs no token: the page, which asks for one, how to sign in, and sockets, which have ways of their own
PUBLIC = PAGE | {
    *("/api/proxy/health", "/api/session"),
    *("/socket/websocket", "/socket/websocket/", "/socket/longpoll", "/socket/longpoll/"),
}
FOR_ADMINS = frozenset(
    {
        (hdrs.METH_GET, "/metrics"),
        (hdrs.METH_GET, "/api/knowledge/folders"),
        (hdrs.METH_DELETE, "/api/users/{user}"),
    }
)
NOT_FOR_GUESTS = frozenset(
    {
        (hdrs.METH_POST, "/api/knowledge/ingest"),
        (hdrs.METH_PATCH, "/api/knowledge/documents/{id}"),
        (hdrs.METH_DELETE, "/api/knowledge/documents/{id}"),
        (hdrs.METH_POST, "/api/conversations/import"),
        (hdrs.METH_POST, "/api/session/pairing"),
    }
)
# What has a rate of its own: the disk is written anew for an erasure
RATED = {
    "/api/knowledge/ingest": "uploads",
    "/api/conversations/import": "uploads",
    "/api/me": "erasures",
}


def user_of(request: web.Request) -> User:
    """The user who asks; of a path that needs no token, one that has none is nobody. Raises NotAdmitted."""
    credential: Credential | None = request.get(CREDENTIAL)
    if credential is None:
        raise NotAdmitted("Sign in first: this server asks for a token.")
    return credential.user


@asynccontextmanager
async def identified(request: web.Request) -> AsyncIterator[None]:
    """Within, it is known who asks; whoever loses the token meanwhile is cut off.

    Raises NotAdmitted, Forbidden and RateLimited.
    """
    services = request.app[SERVICES]
    place = place_of(request)
    if place in PAGE:
        yield
        return
    if place in PUBLIC or request.method == hdrs.METH_OPTIONS:  # browsers ask with that, and send no token
        with suppress(NotAdmitted):
            # A cookie whose time is over comes by itself, with everything; a wrong token in a header is a try
            named = header_token_of(request)
            request[CREDENTIAL] = admit(services, request, named) if named else services.gate.admit(token_of(request))
        known = request.get(CREDENTIAL)
        count(services, request, "requests", known.user if known else None)
        yield
        return
    credential = request[CREDENTIAL] = admit(services, request, token_of(request))
    check_role(credential.user, request.method, place)
    count(services, request, "requests", credential.user)
    if place in RATED:
        count(services, request, RATED[place], credential.user)
    task = asyncio.current_task()
    assert task is not None
    with services.gate.inside(credential, partial(end, task)):
        yield


def end(task: "asyncio.Task[object]") -> None:
    """Give up a request under way; aiohttp closes its connection."""
    task.cancel()


def admit(services: Services, request: web.Request, token: str | None) -> Credential:
    """Who comes with this token; one that is wrong is counted. Raises NotAdmitted and RateLimited."""
    try:
        return services.gate.admit(token)
    except NotAdmitted:
        if token is not None:
            services.rates.count("failed_sign_ins", address_of(request.remote or ""))
        raise


def count(services: Services, request: web.Request, rate: str, user: User | None) -> None:
    """Count one more, for a user or else for an address; the local user has no rates. Raises RateLimited."""
    if user is not None:
        if user.name != LOCAL.name:
            services.rates.count(rate, f"user {user.name}")  # a name may look like an address
    elif not is_loopback(request.remote or ""):
        services.rates.count(rate, address_of(request.remote or ""))


def token_of(request: web.Request) -> str | None:
    """The token that comes in a header or in the cookie; never in the address, but for sockets."""
    return header_token_of(request) or request.cookies.get(cookie_name(request.app[SERVICES])) or None


def header_token_of(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return next((request.headers[name] for name in TOKEN_HEADERS if request.headers.get(name)), None)


def cookie_name(services: Services) -> str:
    """With the port: browsers show a cookie to every server of a host."""
    return f"neuralbridge-{services.doors.port}"


def place_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def check_role(user: User, method: str, place: str) -> None:
    """Raises Forbidden."""
    method = hdrs.METH_GET if method == hdrs.METH_HEAD else method
    if (method, place) in FOR_ADMINS and user.role != "admin":
        raise Forbidden(f"This is for admins; {user.name} is a {user.role}.")
    if (method, place) in NOT_FOR_GUESTS and user.role == "guest":
        raise Forbidden("Guests ask; they bring, change and share nothing.")
