import contextlib
import json
import threading
from pathlib import Path

import pytest

from neuralbridge.access.tokens import FILE, MOST_PAIRINGS, PAIRING_SECONDS, Tokens
from neuralbridge.access.users import User
from neuralbridge.errors import DataUnusable, InvalidParams, NotFound


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Tokens:
    return Tokens(tmp_path / "data", clock)


def test_a_token_is_its_users_and_nowhere_to_be_read(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.new("ana", "guest")
    found = tokens.find(token)
    assert found is not None
    assert found.owner == User("ana", "guest")
    assert len(token) == 3 + 43  # 32 bytes
    assert token not in (tmp_path / "data" / FILE).read_text()
    assert tokens.find(token + "x") is None
    assert tokens.find("\ud800") is None


def test_the_file_is_for_its_owner_alone(tokens: Tokens, tmp_path: Path) -> None:
    tokens.new("ana", "user")
    assert (tmp_path / "data" / FILE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_token_is_good_until_it_expires(tokens: Tokens, clock: Clock) -> None:
    token = tokens.new("ana", "user", seconds=60)
    clock.now += 59
    assert tokens.find(token) is not None
    clock.now += 1
    assert tokens.find(token) is None
    assert tokens.listed() == []


def test_what_another_process_changed_is_seen(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    assert not tokens.load()
    token = Tokens(tmp_path / "data", clock).new("ana", "user")
    assert tokens.find(token) is None
    assert tokens.load()
    assert tokens.find(token) is not None
    assert not tokens.load()
    Tokens(tmp_path / "data", clock).revoke("ana")
    assert tokens.load()
    assert tokens.find(token) is None


def test_a_token_is_taken_back_by_its_id_and_a_user_by_the_name(tokens: Tokens, clock: Clock) -> None:
    first, second, other = tokens.new("ana", "user"), tokens.new("ana", "user"), tokens.new("bob", "user")
    gone = tokens.find(first)
    assert gone is not None
    assert tokens.revoke(gone.id) == [gone]
    assert tokens.find(first) is None
    assert tokens.find(second) is not None
    assert tokens.revoked_at("ana") == 0.0  # signed ones go on
    assert len(tokens.revoke("ana")) == 1
    assert tokens.find(second) is None
    assert tokens.find(other) is not None
    assert tokens.revoked_at("ana") == clock.now


def test_a_code_is_good_for_one_device(tokens: Tokens) -> None:
    code = tokens.pair(User("ana", "user"))
    token, made = tokens.redeem(code, "A phone" * 100)
    assert (made.owner, made.kind, len(made.label)) == (User("ana", "user"), "device", 100)
    assert tokens.find(token) == made
    assert tokens.find(code) is None
    with pytest.raises(NotFound, match="used already"):
        tokens.redeem(code, "")


def test_a_code_has_its_time(tokens: Tokens, clock: Clock) -> None:
    code = tokens.pair(User("ana", "user"))
    clock.now += PAIRING_SECONDS
    with pytest.raises(NotFound):
        tokens.redeem(code, "")


def test_a_token_is_no_code(tokens: Tokens) -> None:
    with pytest.raises(NotFound):
        tokens.redeem(tokens.new("ana", "user"), "")


def test_open_codes_are_few(tokens: Tokens) -> None:
    codes = [tokens.pair(User("ana", "user")) for _ in range(MOST_PAIRINGS + 1)]
    tokens.redeem(codes[-1], "")
    with pytest.raises(NotFound):
        tokens.redeem(codes[0], "")


def test_codes_taken_at_once_are_taken_once(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    code = tokens.pair(User("ana", "user"))
    made: list[str] = []

    def take() -> None:
        with contextlib.suppress(NotFound):
            made.append(Tokens(tmp_path / "data", clock).redeem(code, "")[0])

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_damaged_file_lets_nobody_in_and_stays(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.new("ana", "user")
    path = tmp_path / "data" / FILE
    path.write_text("{")
    with pytest.raises(DataUnusable, match=r"tokens\.json: the file of tokens is damaged"):
        Tokens(tmp_path / "data").load()
    with pytest.raises(DataUnusable):
        tokens.new("bob", "user")
    assert path.read_text() == "{"
    assert tokens.find(token) is not None  # what was known goes on to hold


def test_a_role_that_there_is_not_is_damage(tokens: Tokens, tmp_path: Path) -> None:
    tokens.new("ana", "user")
    path = tmp_path / "data" / FILE
    kept = json.loads(path.read_text())
    kept["tokens"][0]["role"] = "root"
    path.write_text(json.dumps(kept))
    with pytest.raises(DataUnusable):
        Tokens(tmp_path / "data").load()


def test_a_user_has_a_name(tokens: Tokens) -> None:
    with pytest.raises(InvalidParams, match="A user's name"):
        tokens.new("a b", "user")
    with pytest.raises(InvalidParams):
        tokens.revoke("a b")


def test_a_device_lasts_no_longer_than_what_it_was_paired_with(tokens: Tokens, clock: Clock) -> None:
    first = tokens.new("ana", "user", seconds=3600)
    of = tokens.find(first)
    assert of is not None
    token, made = tokens.redeem(tokens.pair(of.owner, of.id, of.expires), "")
    assert made.expires == of.expires
    assert {each.id for each in tokens.revoke(of.id)} == {of.id, made.id}
    assert tokens.find(token) is None
