import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from neuralbridge.access.signed import LEEWAY_SECONDS, LONGEST_SECONDS, read_signed
from neuralbridge.access.users import User
from neuralbridge.sections import Auth

SECRET = "s" * 64
AUTH = Auth(jwt_secret=SECRET)


def now() -> float:
    return time.time()


def signed(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    given = {"sub": "ana", "exp": now() + 600, **claims}
    return jwt.encode({k: v for k, v in given.items() if v is not None}, secret, algorithm)


def test_a_signed_token_says_who_and_until_when() -> None:
    found = read_signed(signed(role="guest", iat=1_700_000_000), AUTH)
    assert found is not None
    assert found.user == User("ana", "guest")
    assert found.issued == 1_700_000_000


def test_without_a_role_it_is_a_user() -> None:
    found = read_signed(signed(), AUTH)
    assert found is not None
    assert found.user.role == "user"


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part(header)}.{part({'sub': 'ana', 'exp': now() + 600})}.{signature}"


# Made when a test runs: they have times in them
FORGED: dict[str, Callable[[], str]] = {
    "none": lambda: unsigned({"alg": "none"}),
    "None": lambda: unsigned({"alg": "None"}),
    "nOnE": lambda: unsigned({"alg": "nOnE", "typ": "JWT"}),
    "a list": lambda: unsigned({"alg": ["HS256"]}),
    "no signature": lambda: unsigned({"alg": "HS256"}),
    "another signature": lambda: unsigned({"alg": "HS256"}, "AAAA"),
    "RS256": lambda: unsigned({"alg": "RS256"}, "AAAA"),
    "no algorithm": lambda: unsigned({"typ": "JWT"}, "AAAA"),
    "HS512": lambda: signed(algorithm="HS512"),
    "another secret": lambda: signed(secret="t" * 64),
    "dots": lambda: "..",
    "letters": lambda: "a.b.c",
    "long": lambda: "x" * 10_000 + ".y.z",
    "nothing": lambda: "",
}


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_not_signed_with_our_secret_is_nobodys(kind: str) -> None:
    assert read_signed(FORGED[kind](), AUTH) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"sub": None},
        {"exp": 1_700_000_000},
        {"exp": "soon"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"sub": 5},
        {"sub": ""},
        {"sub": "a b"},
        {"sub": "../x"},
        {"role": "root"},
        {"role": ["admin"]},
        {"sub": "local"},  # everything from before there were users is this one's
    ],
)
def test_claims_that_do_not_hold_are_nobodys(claims: dict[str, Any]) -> None:
    assert read_signed(signed(**claims), AUTH) is None


def test_the_owner_of_the_machine_is_an_admin() -> None:
    found = read_signed(signed(sub="local", role="admin"), AUTH)
    assert found is not None
    assert found.user == User("local", "admin")


def test_it_is_good_for_a_day_at_the_most() -> None:
    assert read_signed(signed(exp=now() + LONGEST_SECONDS), AUTH) is not None
    assert read_signed(signed(exp=now() + LONGEST_SECONDS + 10 * LEEWAY_SECONDS), AUTH) is None


def test_clocks_may_differ_a_little() -> None:
    assert read_signed(signed(exp=now() - LEEWAY_SECONDS / 2), AUTH) is not None
    assert read_signed(signed(exp=now() - LEEWAY_SECONDS * 2), AUTH) is None


def test_audience_and_issuer_are_held_to_where_they_are_configured() -> None:
    auth = Auth(jwt_secret=SECRET, jwt_audience="office", jwt_issuer="desk")
    assert read_signed(signed(aud="office", iss="desk"), auth) is not None
    assert read_signed(signed(aud=["x", "office"], iss="desk"), auth) is not None
    for wrong in ({}, {"aud": "office"}, {"iss": "desk"}, {"aud": "x", "iss": "desk"}, {"aud": "office", "iss": "x"}):
        assert read_signed(signed(**wrong), auth) is None
    assert read_signed(signed(aud="anybody"), AUTH) is not None


def test_without_a_secret_none_is_taken() -> None:
    assert read_signed(signed(), Auth()) is None
