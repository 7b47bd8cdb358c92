"""Log lines carry their facts and nothing else: no secrets, no floods, and into files of a size."""

import logging
import resource
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuralbridge import logs
from neuralbridge.logs import Facts


def line(**said: object) -> str:
    record = logging.makeLogRecord({"msg": "a client was cut off", "levelname": "INFO", **said})
    return Facts("%(levelname)s: %(message)s").format(record)


def test_facts_follow_the_message() -> None:
    assert line(why="slow", answer=3) == "INFO: a client was cut off why='slow' answer='3'"


def test_a_fact_cannot_begin_a_line_of_its_own() -> None:
    assert line(why="x\nERROR: all is lost") == r"INFO: a client was cut off why='x\nERROR: all is lost'"


def test_a_fact_is_cut_at_a_length() -> None:
    assert len(line(why="x" * 10_000)) < 400


# What is nobody's business

CANARY = "canary4711"
TELLING = [
    f"GET /socket/websocket?auth_token={CANARY}&vsn=2.0.0",
    f"GET /socket/longpoll?token={CANARY}",
    f"Authorization: Bearer {CANARY}",
    f"{{'Authorization': 'Bearer {CANARY}', 'Host': 'x'}}",
    f"authorization: Basic {CANARY}==",
    f"<Header Cookie: nb_session={CANARY}; theme={CANARY}>",
    f"'Set-Cookie': 'nb_session={CANARY}; HttpOnly'",
    f"(b'Cookie', b'session={CANARY}; x={CANARY}')",
    f"x-api-key: {CANARY}",
    f"X-Auth-Token: {CANARY}",
    f"x-phoenix-authtoken: {CANARY}",
    f"phoenix, base64url.bearer.phx.{CANARY}",
    f"jwt eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}",
    f"1 validation error\n  input_value='{CANARY} is my question', input_type=str]",
    f"jwt_secret: {CANARY}",
    f'{{"token": "{CANARY}"}}',
]


@pytest.mark.parametrize("said", TELLING)
def test_secrets_are_masked_in_the_message_the_facts_and_the_traceback(said: str) -> None:
    assert CANARY not in line(msg=said)
    assert CANARY not in line(why=said)
    try:
        raise ValueError(said)
    except ValueError:
        assert CANARY not in line(exc_info=sys.exc_info())


@pytest.mark.parametrize("said", ["max_tokens=16 of 32", "the token was refused", "3 tokens: 1, 2, 3", "cookies"])
def test_what_is_no_secret_stays(said: str) -> None:
    assert said in line(msg=said)


def test_one_message_is_written_so_often_and_counted_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    sparing = logs.Sparing()
    now = [1000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])

    def written(message: str) -> logging.LogRecord | None:
        record = logging.makeLogRecord({"msg": message, "name": "x"})
        return record if sparing.filter(record) else None

    assert len([True for _ in range(2_000) if written("noise")]) == logs.OFTEN
    assert written("another") is not None
    now[0] += logs.PERIOD_SECONDS
    first = written("noise")
    assert first is not None
    assert vars(first)["left_out"] == 2_000 - logs.OFTEN


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[tuple[Path, logging.Logger]]:
    """A folder that the log goes into, small files at a time."""
    root = logging.getLogger()
    before, level = [*root.handlers], root.level
    root.setLevel(logging.INFO)
    logs.to_file(tmp_path / "data" / "logs", 4096, 2)
    yield tmp_path / "data" / "logs", root
    root.setLevel(level)
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()


def test_the_file_is_private_and_makes_room_for_the_next(filed: tuple[Path, logging.Logger]) -> None:
    folder, logger = filed
    for number in range(200):
        logger.info("line %d", number, extra={"why": "x" * 100})
    assert sorted(path.name for path in folder.iterdir()) == ["neuralbridge.log"]  # one message, written sparingly
    for number in range(200):
        logger.info(f"line {number} {'x' * 100}")  # noqa: G004  # each is a message of its own
    names = ["neuralbridge.log", "neuralbridge.log.1", "neuralbridge.log.2"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all(path.stat().st_size <= 4096 for path in folder.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_disk_that_takes_no_line_costs_the_line_alone(
    filed: tuple[Path, logging.Logger], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, logger = filed
    logger.info("before")
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, soft[1]))
    try:
        logger.info("lost")
        logger.info("lost too")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
    logger.info("after")
    assert "before" in (said := (folder / "neuralbridge.log").read_text())
    assert "after" in said
    assert capsys.readouterr().err.count("lines are lost") == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").write_text("a file")
    logs.to_file(tmp_path / "data" / "logs", 4096, 2)
    assert "there is no log file" in caplog.text
