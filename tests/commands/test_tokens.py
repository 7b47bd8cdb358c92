from pathlib import Path

import pytest
from click.testing import CliRunner

from neuralbridge.access.tokens import Tokens
from neuralbridge.cli import main
from neuralbridge.commands.tokens import pairing, seconds_of
from neuralbridge.data_folder import claim, listening
from neuralbridge.errors import BridgeError, InvalidParams
from neuralbridge.sections import Server


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("version: 1\nmodels:\n  small:\n    path: models/small.gguf\nrouting:\n  default: small\n")
    return path


def run(config: Path, *arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, [*arguments, "--config", str(config)])
    return done.exit_code, done.stdout, done.stderr


def test_a_token_is_made_listed_and_taken_back(config: Path, tmp_path: Path) -> None:
    status, token, said = run(config, "token", "new", "--user", "ana", "--expires", "30d")
    assert status == 0
    assert "Nobody is asked for it yet" in said
    tokens = Tokens(tmp_path / "data")
    tokens.load()
    found = tokens.find(token.strip())
    assert found is not None
    assert (found.user, found.role) == ("ana", "user")
    assert found.expires == pytest.approx(found.created + 30 * 86400)
    assert found.id in run(config, "token", "list")[1]
    assert run(config, "token", "revoke", found.id)[:2] == (0, f"Taken back: 1 token of {found.id}.\n")
    assert run(config, "token", "list")[1] == ""


def test_what_takes_nothing_back_says_so(config: Path) -> None:
    status, out, error = run(config, "token", "revoke", "1f0c9a72")
    assert (status, out) == (1, "")
    assert "There is no token 1f0c9a72" in error
    status, out, error = run(config, "token", "revoke", "ana")
    assert (status, out) == (0, "")
    assert "no token of a user ana; signed ones" in error


def test_the_server_that_runs_counts_and_not_what_is_configured(config: Path, tmp_path: Path) -> None:
    with claim(tmp_path / "data"), listening(tmp_path / "data", "0.0.0.0", 4321):
        assert run(config, "token", "new")[2] == ""
        told = run(config, "pair")
    assert (told[0], ":4321/#/pair/nb_" in told[1]) == (0, True), told


def test_the_owner_of_the_machine_is_an_admin_unless_said_otherwise(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text() + "server:\n  bind: lan\n")
    assert run(config, "token", "new")[2] == ""
    run(config, "token", "new", "--role", "guest")
    assert [each.role for each in Tokens(tmp_path / "data").listed()] == ["admin", "guest"]


def test_what_is_no_user_or_time_is_refused_by_its_name(config: Path) -> None:
    for arguments, said in [
        (("--user", "a b"), "A user's name has 1 to 64"),
        (("--expires", "soon"), "--expires is a number of minutes"),
        (("--role", "root"), "'--role'"),
    ]:
        status, out, error = run(config, "token", "new", *arguments)
        assert status == 2
        assert out == ""
        assert said in error


@pytest.mark.parametrize(("text", "seconds"), [("45m", 2700), ("12h", 43200), ("30d", 2592000), ("4w", 2419200)])
def test_a_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5h", "1y", "99999999d"])
def test_another_is_none(text: str) -> None:
    with pytest.raises(InvalidParams):
        seconds_of(text)


def test_a_phone_is_shown_where_to_sign_in(tmp_path: Path) -> None:
    shown = pairing(tmp_path, Server(host="10.0.0.7", port=4000), "ana", None)
    url = next(line for line in shown.splitlines() if line.startswith("http"))
    assert url.startswith("http://10.0.0.7:4000/#/pair/nb_")
    assert "█" in shown or "▀" in shown
    token, made = Tokens(tmp_path).redeem(url.rpartition("/")[2], "phone")
    assert (made.user, made.role) == ("ana", "user")
    assert token != url


def test_no_phone_reaches_a_server_of_this_machine_alone(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match=r"listens on 127\.0\.0\.1, where no other device reaches it"):
        pairing(tmp_path, Server(), "ana", None)
