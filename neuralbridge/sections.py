"""The sections of config.yaml, each by itself: its settings, their defaults and what they may be.

What one section asks of another is neuralbridge.config.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from neuralbridge.types import Params, Retrieval
from neuralbridge.yaml_file import Where

SECRET_BYTES = 32
BINDS = {"loopback": "127.0.0.1", "lan": "0.0.0.0"}  # noqa: S104  # and then everybody has to say who they are
ENDINGS = ("-####-##-##", "-########", "@########", "-####", ":latest", "-latest")


class Contradiction(ValueError):
    """Two settings do not go together. `where` is the one to correct."""

    def __init__(self, where: Where, value: str, expected: str) -> None:
        super().__init__(expected)
        self.where = where
        self.value = value


def openable(value: str) -> str:
    """Refuses what the system cannot even be asked for: nothing, a NUL, half a surrogate pair."""
    if not value or not value.isprintable():
        raise ValueError("the path of a file or folder")
    return value


def printable(value: str) -> str:
    """Names stand in headers and in lines of a log."""
    if not value.isprintable():
        raise ValueError("a name of printable characters")
    return value


def listed(value: object) -> object:
    """YAML's lists as the tuples that settings are."""
    return tuple(value) if isinstance(value, list) else value


def parameter(value: str) -> str:
    if value not in Params.model_fields:
        raise ValueError(f"one of {', '.join(Params.model_fields)}")
    return value


def ending(value: str) -> str:
    """Refuses what looks like a regular expression: it would never be found, or be searched for without end."""
    if not 1 <= len(value) <= 40 or any(letter in value for letter in "\\$^*+?|()[]{}"):
        raise ValueError("1 to 40 characters as they stand, # for any digit, such as -####-##-##")
    return value


def long_form(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


def rate(value: str) -> str:
    """Refuses what the counters could not read."""
    if not re.fullmatch(r"[1-9]\d{0,6}/(second|minute|hour|day)", value):
        raise ValueError("a number of times per second, minute, hour or day, such as 30/minute")
    return value


def secret(value: str) -> str:
    """Refuses what could be guessed."""
    if len(value.encode()) < SECRET_BYTES or not value.isprintable():
        raise ValueError(f"at least {SECRET_BYTES} bytes that nobody can guess, such as `openssl rand -hex 32` prints")
    return value


FilePath = Annotated[str, AfterValidator(openable)]
NameText = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(printable)]
NameTexts = Annotated[tuple[NameText, ...], BeforeValidator(listed)]
Parameters = Annotated[tuple[Annotated[str, AfterValidator(parameter)], ...], BeforeValidator(listed)]
Texts = Annotated[tuple[str, ...], BeforeValidator(listed)]
Seconds = Annotated[float, Field(gt=0)]
Rate = Annotated[str, AfterValidator(rate)]
Secret = Annotated[str, AfterValidator(secret)]
Endings = Annotated[tuple[Annotated[str, AfterValidator(ending)], ...], BeforeValidator(listed)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Model(Section):
    """A model file and how it is run."""

    path: FilePath
    n_ctx: Annotated[int, Field(ge=256, le=1_048_576)] = 8192
    parallel: Annotated[int, Field(ge=1, le=256)] = 16
    params: Params = Params()
    system_prompt: str | None = None
    aliases: NameTexts = ()


class LitellmParams(Section):
    """`use` in LiteLLM's words."""

    model: str


class Name(Section):
    """A name that clients ask for, or with `*` many."""

    model_name: NameText
    use: str
    litellm_params: LitellmParams | None = None
    params: Params = Params()
    drop_params: Parameters = ()
    force_params: Params = Params()
    system_prompt: str | None = None
    retrieval: Retrieval | None = None
    cache: bool | None = None
    hidden: bool = False
    examples: NameTexts = ()

    @model_validator(mode="before")
    @classmethod
    def used(cls, value: object) -> object:
        """What LiteLLM's words say stands in `use` too."""
        if isinstance(value, dict) and "use" not in value and isinstance(value.get("litellm_params"), dict):
            return {**value, "use": value["litellm_params"].get("model", "")}
        return value


class GroupAlias(Section):
    """Another name for a name."""

    model: str
    hidden: bool = False


GroupAliases = dict[NameText, Annotated[GroupAlias, BeforeValidator(long_form)]]
Fallbacks = Annotated[tuple[dict[str, NameTexts], ...], BeforeValidator(listed)]


class Cascade(Section):
    """Which model gives a second opinion, and on answers of what confidence."""

    to: str
    below: Annotated[float, Field(gt=0, lt=1)] = 0.55


class Answers(Section):
    """What becomes of a weak answer."""

    extract_below: Annotated[float, Field(ge=0, lt=1)] = 0.3


class Cache(Section):
    """Answers that are given again."""

    enabled: bool = True
    entries: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    hours: Annotated[float, Field(gt=0, le=100_000)] = 720.0
    rephrased: bool = False


class Routing(Section):
    """Which model answers to a name, where `model_list` alone does not say it."""

    default: str
    unknown_model: Literal["default", "error", "nearest"] = "default"
    echo: Literal["requested", "served"] = "requested"
    case_sensitive: bool = False
    strip_suffix: Endings = ENDINGS
    model_group_alias: GroupAliases = {}
    fallbacks: Fallbacks = ()
    context_window_fallbacks: Fallbacks = ()


class Tls(Section):
    """Encrypted connections: with a certificate of the user's, or one that the server makes for itself."""

    self_made: bool = False
    cert: FilePath | None = None
    key: FilePath | None = None

    @property
    def on(self) -> bool:
        return self.self_made or self.cert is not None

    @model_validator(mode="after")
    def one_certificate(self) -> "Tls":
        if (self.cert is None) != (self.key is None):
            missing = "key" if self.key is None else "cert"
            raise Contradiction(("server", "tls", missing), "nothing", "cert and key together")
        if self.self_made and self.cert is not None:
            raise Contradiction(("server", "tls", "self_made"), "true", "false beside a cert")
        return self


class Server(Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 4000
    allowed_hosts: Texts = ()
    allowed_origins: Texts = ()
    longpoll: bool = True
    max_frame_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    idle_seconds: Seconds = 60.0
    tls: Tls = Tls()
    mdns: bool = False

    @model_validator(mode="before")
    @classmethod
    def bound(cls, value: object) -> object:
        """`bind` says in a word what `host` says as an address."""
        if not isinstance(value, dict) or "bind" not in value:
            return value
        rest = {name: each for name, each in value.items() if name != "bind"}
        bind = value["bind"]
        if "host" in value:
            raise Contradiction(("server", "bind"), str(bind), "either bind or host")
        if bind not in BINDS:
            raise Contradiction(("server", "bind"), str(bind)[:40], f"one of {', '.join(BINDS)}")
        return {**rest, "host": BINDS[bind]}

    @field_validator("host")
    @classmethod
    def an_address(cls, value: str) -> str:
        if value != "localhost":
            try:
                ip_address(value)
            except ValueError:
                raise ValueError("an address, such as 127.0.0.1 (this machine alone) or 0.0.0.0 (the LAN)") from None
        return value

    @property
    def on_lan(self) -> bool:
        """Whether other machines reach it."""
        return self.host != "localhost" and not ip_address(self.host).is_loopback


class Auth(Section):
    """Who may come in. Without `required` that depends on where the server listens."""

    required: bool | None = None
    token: Secret | None = None
    jwt_secret: Secret | None = None
    jwt_audience: str | None = None
    jwt_issuer: str | None = None

    def asked_for(self, on_lan: bool) -> bool:
        """Whether clients have to say who they are."""
        configured = self.token is not None or self.jwt_secret is not None
        return on_lan or (configured if self.required is None else self.required)


class Limits(Section):
    waiting_questions: Annotated[int, Field(ge=1, le=100_000)] = 64
    waiting_per_conversation: Annotated[int, Field(ge=1, le=1_000)] = 8
    unwatched_seconds: Seconds = 300.0
    resume_seconds: Annotated[float, Field(ge=0)] = 300.0
    answer_seconds: Seconds = 300.0
    connections: Annotated[int, Field(ge=4, le=100_000)] = 256
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 64
    unsigned_per_address: Annotated[int, Field(ge=1, le=100_000)] = 32
    sign_in_seconds: Seconds = 10.0
    body_idle_seconds: Seconds = 10.0
    body_seconds: Seconds = 30.0
    body_bytes_per_second: Annotated[int, Field(ge=1)] = 100_000
    answers_per_user: Annotated[int, Field(ge=1, le=100_000)] = 6
    documents_bytes_per_user: Annotated[int, Field(ge=1024)] = 2 * 1024**3
    failed_sign_ins: Rate = "10/minute"
    requests: Rate = "600/minute"
    messages: Rate = "1200/minute"
    uploads: Rate = "30/minute"
    erasures: Rate = "6/hour"


class Logs(Section):
    """What is written down beside what the terminal shows, and for how long."""

    file: bool = True
    bytes: Annotated[int, Field(ge=4096)] = 10_000_000
    files: Annotated[int, Field(ge=1, le=1_000)] = 10


class Retention(Section):
    """What is deleted by itself; None keeps it."""

    conversations_days: Annotated[float, Field(gt=0)] | None = None
    jobs_days: Annotated[float, Field(gt=0)] | None = 90.0


class Documents(Section):
    """The user's documents: how they are read, and where they are looked for by themselves."""

    enabled: bool = True
    embedder: FilePath = "models/all-minilm-l6-v2"
    watch: Annotated[tuple[FilePath, ...], BeforeValidator(listed)] = ()
    retrieval: Retrieval = "auto"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_file_bytes: Annotated[int, Field(ge=1024, le=4 * 1024**3)] = 50 * 1024 * 1024
    max_passages: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    read_seconds: Annotated[float, Field(gt=0)] = 60.0
    read_memory_bytes: Annotated[int, Field(ge=256 * 1024**2)] = 1024 * 1024 * 1024
    waiting: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    watched_for: Literal["admin", "everybody"] = "admin"
