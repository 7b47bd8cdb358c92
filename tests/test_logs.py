"""Log lines carry their facts and nothing else."""

import logging

from neuralbridge.logs import Facts


def line(**extra: object) -> str:
    record = logging.makeLogRecord({"msg": "a client was cut off", "levelname": "INFO", **extra})
    return Facts("%(levelname)s: %(message)s").format(record)


def test_facts_follow_the_message() -> None:
    assert line(why="slow", answer=3) == "INFO: a client was cut off why='slow' answer='3'"


def test_a_fact_cannot_begin_a_line_of_its_own() -> None:
    assert line(why="x\nERROR: all is lost") == r"INFO: a client was cut off why='x\nERROR: all is lost'"


def test_a_fact_is_cut_at_a_length() -> None:
    assert len(line(why="x" * 10_000)) < 400
