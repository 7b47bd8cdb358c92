"""Somebody at a socket: who they are once they have said so, how long that may take, how often they may speak."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from aiohttp import web

from neuralbridge.access.gate import Credential
from neuralbridge.access.rates import address_of
from neuralbridge.access.users import User
from neuralbridge.errors import BridgeError, NotAdmitted, RateLimited
from neuralbridge.protocol.handshake import Greeting, Refused
from neuralbridge.web.identity import admit, count, token_of
from neuralbridge.web.keys import SERVICES

UNSIGNED = web.AppKey("unsigned", Counter[str])  # sockets of nobody known yet, by address


class Visitor:
    """`leave` ends the connection; it is called when they may not stay, or have not said who they are in time."""

    def __init__(self, request: web.Request, credential: Credential | None, leave: Callable[[], None]) -> None:
        self._request = request
        self._services = request.app[SERVICES]
        self._credential = credential
        self._leave = leave
        self._stay = ExitStack()
        self._known = {credential}
        if credential is None:
            self._wait_for_token()
        else:
            self._stay.enter_context(self._services.gate.inside(credential, leave))

    def admit(self, token: str | None) -> User:
        """Who joins: by the token of the join, or else as who connected. Raises NotAdmitted and RateLimited."""
        if token is None and self._credential is not None:
            return self._credential.user
        credential = admit(self._services, self._request, token)
        if self._credential is None:
            self._stay.close()  # the clock
            self._credential = credential
        if credential not in self._known:
            self._known.add(credential)
            self._stay.enter_context(self._services.gate.inside(credential, self._leave))
        return credential.user

    def spoke(self, user: User) -> None:
        """Count a message. Raises RateLimited."""
        count(self._services, self._request, "messages", user)

    def close(self) -> None:
        """They are gone."""
        self._stay.close()

    def _wait_for_token(self) -> None:
        seconds = self._services.config.limits.sign_in_seconds
        clock = asyncio.get_running_loop().call_later(seconds, self._leave)
        address, unsigned = address_of(self._request.remote or ""), self._request.app[UNSIGNED]
        unsigned[address] += 1

        def known() -> None:
            clock.cancel()
            unsigned[address] -= 1
            if not unsigned[address]:
                del unsigned[address]

        self._stay.callback(known)


def credential_of(request: web.Request, greeting: Greeting) -> Credential | None:
    """Who connects; None while nobody knows, which is not for long and not for many. Raises Refused."""
    services = request.app[SERVICES]
    token = greeting.token or token_of(request)
    try:
        return admit(services, request, token)
    except RateLimited as error:
        raise Refused(429, str(error)) from error
    except NotAdmitted as error:
        if token is not None:
            raise Refused(403, str(error)) from error
    address = address_of(request.remote or "")
    if request.app[UNSIGNED][address] >= services.config.limits.unsigned_per_address:
        raise Refused(429, "too many sockets have not said who they are")
    return None


def why(error: BridgeError) -> str:
    """The reason of a refused join, in the words of the wire."""
    return "rate_limited" if isinstance(error, RateLimited) else "unauthorized"
