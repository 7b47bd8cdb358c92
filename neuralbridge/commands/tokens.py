"""`neuralbridge token` and `neuralbridge pair`: who may come in. A running server sees what changes."""

import re
from datetime import UTC, datetime
from pathlib import Path

from neuralbridge import machine, qr
from neuralbridge.access.tokens import PAIRING_SECONDS, Token, Tokens
from neuralbridge.access.users import LOCAL, Role, User, check_name
from neuralbridge.errors import BridgeError, InvalidParams
from neuralbridge.sections import Server

UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def new_token(data: Path, user: str, role: Role | None, expires: str | None) -> str:
    """A new token, which is kept nowhere. Raises InvalidParams and DataUnusable."""
    return Tokens(data).new(user, role or usual_role(user), seconds_of(expires) if expires else None)


def usual_role(user: str) -> Role:
    return LOCAL.role if user == LOCAL.name else "user"


def seconds_of(text: str) -> float:
    """A time such as 30d. Raises InvalidParams."""
    found = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip())
    if found is None or int(found[1]) == 0:
        raise InvalidParams(f"--expires is a number of minutes, hours, days or weeks, such as 30d, not {text!r}.")
    return int(found[1]) * UNITS[found[2]]


def told(token: Token) -> str:
    """A line of the list."""
    until = f"until {moment(token.expires)}" if token.expires is not None else "for good"
    line = f"{token.id}  {token.user}  {token.role}  {token.kind}  since {moment(token.created)}, {until}"
    return f"{line}  {token.label}".rstrip()


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def pairing(data: Path, server: Server, user: str, role: Role | None) -> str:
    """What to show: the address where another device signs in, as a picture too.

    Raises BridgeError where no other device reaches the server.
    """
    if not server.on_lan:
        raise BridgeError(
            f"The server listens on {server.host}, where no other device reaches it; start it with --host 0.0.0.0, "
            "or say bind: lan in config.yaml."
        )
    addresses = [str(each) for each in machine.addresses(server.host)]
    if not addresses:
        raise BridgeError("This machine has no address on a network.")
    code = Tokens(data).pair(User(check_name(user), role or usual_role(user)))
    url = f"{machine.url_of(addresses[0], server.port, server.tls.on)}/#/pair/{code}"
    minutes = round(PAIRING_SECONDS / 60)
    return f"{qr.terminal(url)}\n{url}\n\nGood once, for {minutes} minutes, for {user}."
