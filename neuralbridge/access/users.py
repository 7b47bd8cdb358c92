"""Users: the names that everything kept belongs to, and what each may do."""

import re
from dataclasses import dataclass
from typing import Literal

from neuralbridge.errors import InvalidParams
from neuralbridge.types import LOCAL_OWNER

Role = Literal["admin", "user", "guest"]
ROLES: tuple[Role, ...] = ("admin", "user", "guest")
NAME = re.compile(r"[^\W_][\w.@+-]{0,63}")  # no blanks, no signs that mean something in a path or in SQL


@dataclass(frozen=True, slots=True)
class User:
    """`admin` sees how the server is and lets others in; `guest` asks, and brings nothing."""

    name: str
    role: Role


LOCAL = User(LOCAL_OWNER, "admin")  # everybody, where nobody has to say who they are; then the owner of what is here


def check_name(name: str) -> str:
    """Raises InvalidParams for what is no name of a user."""
    if not NAME.fullmatch(name):
        raise InvalidParams(
            f"A user's name has 1 to 64 letters, digits and . _ @ + -, and begins with a letter or digit, not {name[:80]!r}.",  # noqa: E501
            "user",
        )
    return name
