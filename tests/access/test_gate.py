import asyncio
from pathlib import Path

import pytest

from neuralbridge.access.gate import Gate
from neuralbridge.access.tokens import Tokens
from neuralbridge.access.users import LOCAL, User
from neuralbridge.config import Config
from neuralbridge.errors import NotAdmitted
from neuralbridge.settings import Applied, Settings
from tests.access.test_signed import SECRET, now, signed
from tests.conftest import SETTINGS

TOKEN = "t" * 32


def gate_with(tmp_path: Path, on_lan: bool = False, **auth: object) -> Gate:
    settings = Settings(Config.model_validate({**SETTINGS, "auth": auth}))
    return Gate(settings, Tokens(tmp_path), on_lan)


def test_a_server_of_this_machine_alone_asks_nobody(tmp_path: Path) -> None:
    gate = gate_with(tmp_path)
    assert not gate.required
    for token in (None, "anything"):
        assert gate.admit(token).user == LOCAL


@pytest.mark.parametrize(
    ("on_lan", "auth"),
    [(True, {}), (False, {"required": True}), (False, {"token": TOKEN}), (False, {"jwt_secret": SECRET})],
)
def test_others_are_asked(tmp_path: Path, on_lan: bool, auth: dict[str, object]) -> None:
    gate = gate_with(tmp_path, on_lan, **auth)
    assert gate.required
    with pytest.raises(NotAdmitted, match="asks for a token"):
        gate.admit(None)
    with pytest.raises(NotAdmitted, match="not valid here"):
        gate.admit("wrong")


def test_every_kind_of_token_says_who(tmp_path: Path) -> None:
    gate = gate_with(tmp_path, True, token=TOKEN, jwt_secret=SECRET)
    gate.trust("our own")
    assert gate.admit(TOKEN).user == LOCAL
    assert gate.admit("our own").user == LOCAL
    assert gate.admit(gate.tokens.new("ana", "guest")).user == User("ana", "guest")
    assert gate.admit(signed(sub="bob")).user == User("bob", "user")


def test_a_code_is_no_token(tmp_path: Path) -> None:
    gate = gate_with(tmp_path, True)
    with pytest.raises(NotAdmitted):
        gate.admit(gate.tokens.pair(User("ana", "user")))


def other_process(tmp_path: Path) -> Tokens:
    """The command line's tokens: it changes the same file, which a server reads a second later."""
    return Tokens(tmp_path)


@pytest.mark.parametrize("what", ["id", "user"])
def test_a_token_taken_back_pairs_nothing_in_the_second_before_that_is_known(tmp_path: Path, what: str) -> None:
    gate = gate_with(tmp_path, True)
    credential = gate.admit(gate.tokens.new("ana", "user"))
    other_process(tmp_path).revoke(credential.tie if what == "id" else "ana")
    assert gate.holds(credential)  # it is not known yet
    with pytest.raises(NotAdmitted):
        gate.pair(credential)
    assert other_process(tmp_path).listed() == []


def test_a_signed_token_taken_back_pairs_nothing(tmp_path: Path) -> None:
    gate = gate_with(tmp_path, True, jwt_secret=SECRET)
    credential = gate.admit(signed(sub="bob", iat=now() - 60))
    other_process(tmp_path).revoke("bob")
    with pytest.raises(NotAdmitted):
        gate.pair(credential)


@pytest.mark.parametrize("auth", [{"token": TOKEN}, {"jwt_secret": SECRET}], ids=["owner", "signed"])
def test_a_device_goes_with_the_secret_that_let_in_who_paired_it(tmp_path: Path, auth: dict[str, object]) -> None:
    token = TOKEN if "token" in auth else signed(sub="bob")  # which is good for a minute
    gate = gate_with(tmp_path, True, **auth)
    code = gate.pair(gate.admit(token))
    device, _ = gate.tokens.redeem(code, "phone")
    assert gate.admit(device).user == gate.admit(token).user
    changed = gate_with(tmp_path, True, **dict.fromkeys(auth, "another" * 8))
    changed.tokens.load()
    for each in (device, token):
        with pytest.raises(NotAdmitted):
            changed.admit(each)


def test_a_token_made_by_the_command_line_is_good_at_once(tmp_path: Path) -> None:
    gate = gate_with(tmp_path, True)
    assert gate.admit(other_process(tmp_path).new("ana", "user")).user == User("ana", "user")


def test_a_credential_does_not_show_its_token(tmp_path: Path) -> None:
    assert TOKEN not in repr(gate_with(tmp_path, token=TOKEN).admit(TOKEN))


def test_signed_tokens_of_a_user_are_taken_back_by_the_name(tmp_path: Path) -> None:
    gate = gate_with(tmp_path, jwt_secret=SECRET)
    before = signed(sub="ana", iat=now() - 10)
    gate.admit(before)
    gate.tokens.revoke("ana")
    for token in (before, signed(sub="ana", iat=None)):
        with pytest.raises(NotAdmitted):
            gate.admit(token)
    gate.admit(signed(sub="ana", iat=now() + 1))
    gate.admit(signed(sub="bob", iat=now() - 10))


async def test_whoever_lost_the_token_is_shown_out_within_seconds(tmp_path: Path) -> None:
    gate = gate_with(tmp_path, True)
    gate.start()
    try:
        other = Tokens(tmp_path)  # the command line's
        ana, bob = other.new("ana", "user"), other.new("bob", "user")
        gate.tokens.load()
        left = {"ana": asyncio.Event(), "bob": asyncio.Event()}
        with gate.inside(gate.admit(ana), left["ana"].set), gate.inside(gate.admit(bob), left["bob"].set):
            other.revoke("ana")
            async with asyncio.timeout(5):
                await left["ana"].wait()
            assert not left["bob"].is_set()
    finally:
        await gate.stop()


def test_whoever_has_another_role_now_is_shown_out(tmp_path: Path) -> None:
    gate = gate_with(tmp_path, jwt_secret=SECRET)
    left: list[str] = []
    with gate.inside(gate.admit(signed(sub="ana")), lambda: left.append("ana")):
        gate.look()
        assert left == []
        gate._settings.applied = Applied.of(Config.model_validate({**SETTINGS, "auth": {"jwt_secret": "x" * 40}}))
        gate.look()
        gate.look()
    assert left == ["ana"]


def test_the_local_user_is_shown_out_once_the_server_asks(tmp_path: Path) -> None:
    gate = gate_with(tmp_path)
    left: list[str] = []
    with gate.inside(gate.admit(None), lambda: left.append("local")):
        gate._settings.applied = Applied.of(Config.model_validate({**SETTINGS, "auth": {"required": True}}))
        gate.look()
    assert left == ["local"]


def test_whoever_left_by_themselves_is_not_shown_out(tmp_path: Path) -> None:
    gate = gate_with(tmp_path)
    with gate.inside(gate.admit(None), lambda: pytest.fail("gone already")):
        pass
    gate._settings.applied = Applied.of(Config.model_validate({**SETTINGS, "auth": {"required": True}}))
    gate.look()


def test_a_file_that_breaks_shows_nobody_out_and_lets_nobody_else_in(tmp_path: Path) -> None:
    gate = gate_with(tmp_path, True)
    token = gate.tokens.new("ana", "user")
    (tmp_path / "tokens.json").write_text("{")
    with gate.inside(gate.admit(token), lambda: pytest.fail("the token is good")):
        gate.look()
