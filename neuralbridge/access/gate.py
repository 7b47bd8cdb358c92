"""The gate: who comes in by which token, and who has to go once it is good no longer."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from neuralbridge.access.signed import prepare, read_signed
from neuralbridge.access.tokens import Token, Tokens, digest_of
from neuralbridge.access.users import LOCAL, User
from neuralbridge.errors import DataUnusable, NotAdmitted
from neuralbridge.sections import Auth
from neuralbridge.settings import Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # how often tokens are looked at again; those who have lost theirs are gone within five


@dataclass(frozen=True, slots=True)
class Credential:
    """Somebody who was let in, until Unix time `expires`; `token` is None for the local user of a server that asks
    nobody.
    """

    user: User
    token: str | None = field(default=None, repr=False)
    # What a device paired by it holds on to: the id of a token of ours, or a secret of the settings
    tie: str = ""
    expires: float | None = None


class Gate:
    """`on_lan`: other machines reach this server."""

    def __init__(
        self, settings: Settings, tokens: Tokens, on_lan: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self.tokens = tokens
        self._settings = settings
        self._on_lan = on_lan
        self._clock = clock
        self._inside: dict[object, tuple[Credential, Callable[[], None]]] = {}
        self._own: tuple[str, User] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def required(self) -> bool:
        """Whether everybody has to say who they are."""
        return self._settings.applied.auth.asked_for(self._on_lan)

    def admit(self, token: str | None) -> Credential:
        """Who comes with this token. Where nobody has to have one, it is not looked at. Raises NotAdmitted."""
        if not self.required:
            return Credential(LOCAL)
        if token is None:
            raise NotAdmitted("Sign in first: this server asks for a token.")
        credential = self._credential_of(token)
        if credential is None:
            raise NotAdmitted("This token is not valid here, or not any more.")
        return credential

    def holds(self, credential: Credential) -> bool:
        """Whether somebody who came in may stay, as who they were."""
        try:
            return self.admit(credential.token).user == credential.user
        except NotAdmitted:
            return False

    def pair(self, credential: Credential) -> str:
        """A code for another device of somebody who is in. Off the loop. Raises NotAdmitted and DataUnusable."""

        def check() -> None:  # with the file of tokens locked and read: memory may be a second behind
            if not self.holds(credential):
                raise NotAdmitted("This token is not valid here any more.")

        return self.tokens.pair(credential.user, credential.tie, credential.expires, check)

    def trust(self, token: str) -> None:
        """A token of this process's own making, for the admin's own programs on this machine."""
        self._own = (digest_of(token), LOCAL)

    def _credential_of(self, token: str) -> Credential | None:
        auth = self._settings.applied.auth
        digest = digest_of(token)
        if self._own is not None and hmac.compare_digest(self._own[0], digest):
            return Credential(self._own[1], token)
        if auth.token is not None and hmac.compare_digest(digest_of(auth.token), digest):
            return Credential(LOCAL, token, tie_of(auth.token))
        found = self.tokens.find(token) or self._made_just_now(token)
        if found is not None:
            good = found.kind != "pairing" and (not is_tie(found.of) or found.of in map(tie_of, secrets_of(auth)))
            # A paired device holds on to what it came by
            return Credential(found.owner, token, found.of or found.id, found.expires) if good else None
        signed = read_signed(token, auth, self._clock)
        if signed is None or signed.issued < self.tokens.revoked_at(signed.user.name):
            return None
        assert auth.jwt_secret is not None
        return Credential(signed.user, token, tie_of(auth.jwt_secret), signed.expires)

    def _made_just_now(self, token: str) -> Token | None:
        """Whoever makes a token uses it at once. The file is read only where it is another than before."""
        with suppress(DataUnusable):  # what was known goes on to hold, and `_watch` says so
            return self.tokens.find(token) if self.tokens.load() else None
        return None

    # Those inside

    @contextmanager
    def inside(self, credential: Credential, leave: Callable[[], None]) -> Iterator[None]:
        """Within, `leave` is called, once, when the credential is good no longer."""
        key = object()
        self._inside[key] = (credential, leave)
        try:
            yield
        finally:
            self._inside.pop(key, None)

    def start(self) -> None:
        """Begin to look after those inside. Raises DataUnusable where the tokens cannot be read."""
        self.tokens.load()
        prepare(self._settings.applied.auth)
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    async def _watch(self) -> None:
        failed = False
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.tokens.load)
                failed = False
            except DataUnusable as error:  # what was known goes on to hold
                if not failed:
                    logger.error("tokens cannot be read", extra={"why": str(error)})
                failed = True
            self.look()

    def look(self) -> None:
        """Show out whoever may not stay."""
        good: dict[Credential, bool] = {}
        for key, (credential, leave) in [*self._inside.items()]:
            if credential not in good:
                good[credential] = self.holds(credential)
            if not good[credential] and self._inside.pop(key, None) is not None:
                logger.info("somebody may not stay", extra={"user": credential.user.name})
                leave()


def secrets_of(auth: Auth) -> list[str]:
    return [each for each in (auth.token, auth.jwt_secret) if each is not None]


def tie_of(secret: str) -> str:
    """What tells a secret of the settings again, and is no id of a token."""
    return f"settings-{digest_of(secret)[:16]}"


def is_tie(of: str) -> bool:
    return of.startswith("settings-")
