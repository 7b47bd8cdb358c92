"""JSON Web Tokens: signed by whoever has the secret of config.yaml, and good for a day at the most."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from neuralbridge.access.users import LOCAL, NAME, ROLES, User
from neuralbridge.sections import Auth

LEEWAY_SECONDS = 30  # clocks differ
LONGEST_SECONDS = 24 * 3600  # they cannot be taken back one by one
SPARED = ["HS256"]  # and no other, whatever a token says of itself (RFC 8725, 3.1)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a token says; times are Unix time."""

    user: User
    issued: float
    expires: float


def prepare(auth: Auth) -> None:
    """Load what reads signed tokens, where there may be some: the first of them would hold up the event loop for it.

    It takes 9 MB, as cryptography comes with it.
    """
    if auth.jwt_secret is not None:
        import_module("jwt")


def read_signed(token: str, auth: Auth, clock: Callable[[], float] = time.time) -> Signed | None:
    """What a token says if it is signed with our secret and good now, else None."""
    if auth.jwt_secret is None or token.count(".") != 2:
        return None
    import jwt  # see `prepare`

    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            auth.jwt_secret,
            algorithms=SPARED,
            audience=auth.jwt_audience,
            issuer=auth.jwt_issuer,
            options={"require": ["exp", "sub"], "verify_aud": auth.jwt_audience is not None},
            leeway=LEEWAY_SECONDS,
        )
        expires, issued = float(claims["exp"]), float(claims.get("iat", 0))
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    name, role = claims["sub"], claims.get("role", "user")
    if not isinstance(name, str) or not NAME.fullmatch(name) or role not in ROLES:
        return None
    if name == LOCAL.name and role != "admin":  # everything from before there were users is this one's
        return None
    if not expires <= clock() + LONGEST_SECONDS + LEEWAY_SECONDS:
        return None
    return Signed(User(name, role), issued, expires)
