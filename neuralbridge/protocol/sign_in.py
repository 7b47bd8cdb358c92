"""Signing in over HTTP. The models are the documentation: docs/http.md."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LONGEST_TOKEN = 8 * 1024


class SignIn(BaseModel):
    """`POST /api/session`: one of the two."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    token: str | None = Field(None, min_length=1, max_length=LONGEST_TOKEN, description="a token")
    code: str | None = Field(None, min_length=1, max_length=100, description="the code that another device shows")


class SessionState(BaseModel):
    """`GET /api/session`: whether this server asks for a token, and who asks."""

    authentication: bool
    user: str | None
    role: Literal["admin", "user", "guest"] | None


class Pairing(BaseModel):
    """`POST /api/session/pairing`: where the other device signs in, once, until then."""

    url: str
    svg: str = Field(description="the address as a QR code, an SVG image")
    expires_at: str
    reachable: bool = Field(description="whether other machines reach the address; else it is for this one only")


class TokenEntry(BaseModel):
    """A token, as far as it is known: the token itself is not."""

    id: str
    user: str
    role: Literal["admin", "user", "guest"]
    kind: Literal["token", "device", "pairing"]
    label: str = Field(description="of a device, how its browser calls itself")
    current: bool = Field(description="whether it is the one that asks")
    created_at: str
    expires_at: str | None


class TokenList(BaseModel):
    """`GET /api/tokens`."""

    tokens: list[TokenEntry]
