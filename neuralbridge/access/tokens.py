"""Tokens that were made for users, in a file of the data folder: never themselves, only what tells them again.

The server and the command line both change the file, each under its lock; the server looks every second what it says.
"""

import fcntl
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from neuralbridge.access.users import Role, User, check_name
from neuralbridge.errors import DataUnusable, InvalidParams, NotFound

PREFIX = "nb_"  # so that scanners for secrets find it
TOKEN_BYTES = 32
ID_BYTES = 4
MOST_TOKENS = 10_000
MOST_PAIRINGS = 16  # open ones of a user; the oldest make room
PAIRING_SECONDS = 600.0
FILE = "tokens.json"
LOCAL_TOKEN = "local.token"  # noqa: S105  # left for commands of the user that the server runs as, anew at each start

Kind = Literal["token", "device", "pairing"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a user, by its SHA-256. Times are Unix time.

    A `pairing` is good for one token of a `device`, which lasts until `until` and no longer than what it was paired
    with: `of` is the id of a token, or stands for a secret of the settings.
    """

    id: str
    digest: str
    user: str
    role: Role
    created: float
    expires: float | None = None
    kind: Kind = "token"
    label: str = ""
    of: str = ""
    until: float | None = None

    @property
    def owner(self) -> User:
        return User(self.user, self.role)

    def expired(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires


@dataclass(frozen=True, slots=True)
class Kept:
    """All of the file. `revoked`: signed tokens of these users are good only if they were made after that time."""

    tokens: tuple[Token, ...] = ()
    revoked: tuple[tuple[str, float], ...] = ()


FORM = TypeAdapter(Kept)


class Tokens:
    """The tokens in the data folder `data`. `clock` gives Unix time."""

    def __init__(self, data: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = data / FILE
        self._clock = clock
        self._kept = Kept()
        self._stamp: tuple[int, int, int] | None = None

    # What the server asks all the time, from memory

    def find(self, token: str) -> Token | None:
        """Whose token this is. Compares with all of them, each in constant time."""
        digest = digest_of(token)
        found = [each for each in self._kept.tokens if hmac.compare_digest(each.digest, digest)]
        return next((each for each in found if not each.expired(self._clock())), None)

    def revoked_at(self, user: str) -> float:
        """Since when signed tokens of this user are good."""
        return max((since for name, since in self._kept.revoked if name == user), default=0.0)

    @property
    def any_admin(self) -> bool:
        return any(each.role == "admin" and each.kind != "pairing" for each in self._good())

    # Reading and changing the file: off the loop

    def load(self) -> bool:
        """Read the file if it is another than before; whether it was. Raises DataUnusable."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            changed, self._kept, self._stamp = self._stamp is not None, Kept(), None
            return changed
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp == self._stamp:
            return False
        self._kept, self._stamp = read(self._path), stamp
        return True

    def listed(self) -> list[Token]:
        """Those that are good, the oldest first."""
        self.load()
        return [each for each in self._good() if each.kind != "pairing"]

    def new(self, user: str, role: Role, seconds: float | None = None, label: str = "") -> str:
        """Make a token, for so many seconds or for good. It is nowhere but in what this returns.

        Raises InvalidParams and DataUnusable.
        """
        return self._add(check_name(user), role, "token", seconds, label)

    def pair(
        self, user: User, of: str = "", until: float | None = None, check: Callable[[], None] = lambda: None
    ) -> str:
        """Make a code that another device can get one token of this user for, good as long as what it is `of`.

        `check` is called with the file locked and read; what it raises, this raises. Raises DataUnusable.
        """
        return self._add(user.name, user.role, "pairing", PAIRING_SECONDS, "", of, until, check)

    def redeem(self, code: str, label: str) -> tuple[str, Token]:
        """The token for a code, which is used up. Raises NotFound."""
        token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)

        def change(kept: Kept) -> tuple[Kept, Token]:
            pairing = next((each for each in self._good() if each.digest == digest_of(code)), None)
            if pairing is None or pairing.kind != "pairing":
                raise NotFound("This code was used already, or its time is over: make a new one.")
            made = self._made(token, pairing.user, pairing.role, "device", None, label)
            made = replace(made, expires=pairing.until, of=pairing.of)
            rest = (each for each in kept.tokens if each.id != pairing.id)
            return replace(kept, tokens=(*rest, made)), made

        return token, self._change(change)

    def revoke(self, what: str) -> list[Token]:
        """Take back the token of that id with those that were paired by it, or all of the user of that name, signed
        ones included. Raises InvalidParams for what is neither, NotFound for what looks like an id and is none.
        """

        def change(kept: Kept) -> tuple[Kept, list[Token]]:
            is_id = any(each.id == what for each in kept.tokens)
            gone = [each for each in kept.tokens if what in ((each.id, each.of) if is_id else (each.user,))]
            if not is_id:
                check_name(what)
                if not gone and re.fullmatch(f"[0-9a-f]{{{2 * ID_BYTES}}}", what):
                    raise NotFound(f"There is no token {what}, and no token of a user of that name.")
                others = tuple(each for each in kept.revoked if each[0] != what)
                kept = replace(kept, revoked=(*others, (what, self._clock())))
            return replace(kept, tokens=tuple(each for each in kept.tokens if each not in gone)), gone

        return self._change(change)

    # Inside

    def _good(self) -> Iterator[Token]:
        now = self._clock()
        return (each for each in self._kept.tokens if not each.expired(now))

    def _made(self, token: str, user: str, role: Role, kind: Kind, seconds: float | None, label: str) -> Token:
        now = self._clock()
        expires = None if seconds is None else now + seconds
        return Token(secrets.token_hex(ID_BYTES), digest_of(token), user, role, now, expires, kind, label[:100])

    def _add(
        self,
        user: str,
        role: Role,
        kind: Kind,
        seconds: float | None,
        label: str,
        of: str = "",
        until: float | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> str:
        token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)

        def change(kept: Kept) -> tuple[Kept, None]:
            check()
            good = [*self._good()]
            open_codes = [each for each in good if each.kind == "pairing" and each.user == user]
            spare = open_codes[: max(0, len(open_codes) - MOST_PAIRINGS + 1)] if kind == "pairing" else []
            rest = [each for each in good if each not in spare]
            if len(rest) >= MOST_TOKENS:
                raise InvalidParams(f"There are {MOST_TOKENS:,} tokens, the most there may be: revoke some.")
            made = replace(self._made(token, user, role, kind, seconds, label), of=of, until=until)
            return replace(kept, tokens=(*rest, made)), None

        self._change(change)
        return token

    def _change(self, change: Callable[[Kept], tuple[Kept, T]]) -> T:
        with self._locked():
            self.load()
            kept, result = change(self._kept)
            write(self._path, kept)
            self.load()
        return result

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, whichever process makes it. Raises DataUnusable."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise DataUnusable(f"{self._path}: the file of tokens cannot be written ({error.strerror}).") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def digest_of(token: str) -> str:
    """A token has 256 random bits: nothing slow is needed to keep it from being guessed."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read(path: Path) -> Kept:
    """Raises DataUnusable: nobody is let in by a file that cannot be understood."""
    try:
        return FORM.validate_json(path.read_bytes())
    except OSError as error:
        raise DataUnusable(f"{path}: the file of tokens cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise DataUnusable(
            f"{path}: the file of tokens is damaged. Move it away; `neuralbridge token new` makes new ones."
        ) from error


def write(path: Path, kept: Kept) -> None:
    """Replace the file as a whole. Raises DataUnusable."""
    new = path.with_suffix(".new")
    try:
        file = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(json.dumps(asdict(kept), indent=1).encode())
            out.flush()
            os.fsync(out.fileno())
        new.replace(path)
    except OSError as error:
        raise DataUnusable(f"{path}: the file of tokens cannot be written ({error.strerror}).") from error
