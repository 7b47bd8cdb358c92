"""`neuralbridge ask`: what a pipe gets, what a terminal shows, and how it ends."""

import asyncio
import json
import signal
from asyncio.subprocess import PIPE
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest

from neuralbridge.commands.ask import question_from
from neuralbridge.errors import InvalidQuery, QueryTooLong
from neuralbridge.protocol.requests import LONGEST_QUERY
from tests.commands.command import run, started, terminal, until_answers
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner

DIM = "\x1b[2m"


class Stdin(TextIOWrapper):
    """Standard input: a pipe, or a terminal where one types."""

    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(BytesIO(content))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


# The question


@pytest.mark.parametrize(
    ("said", "piped", "asked"),
    [
        ("why?", b"", "why?"),
        ("why?", b" \n\n", "why?"),
        ("why?", b"notes\nmore\n\n", "notes\nmore\n\nwhy?"),
        (None, b"why?\n", "why?"),
        ("-", b"why?\n", "why?\n"),
        ("-", "\ufeffporquê?".encode(), "porquê?"),
        (None, b"", None),
    ],
)
def test_what_is_piped_in_stands_before_the_question_or_is_it(
    said: str | None, piped: bytes, asked: str | None
) -> None:
    assert question_from(said, Stdin(piped)) == asked


def test_a_terminal_is_read_only_for_a_dash() -> None:
    assert question_from("why?", Stdin(b"typed", terminal=True)) == "why?"
    assert question_from(None, Stdin(b"typed", terminal=True)) is None
    assert question_from("-", Stdin(b"typed", terminal=True)) == "typed"


def test_without_standard_input_there_is_the_question_alone() -> None:
    assert [question_from(said, None) for said in ("why?", None, "-")] == ["why?", None, None]


def test_as_much_as_a_question_may_have_is_read_and_no_more() -> None:
    assert question_from("-", Stdin("é".encode() * LONGEST_QUERY)) == "é" * LONGEST_QUERY
    for content in (b"x" * (LONGEST_QUERY + 1), b"x" * 10_000_000):
        stdin = Stdin(content)
        with pytest.raises(QueryTooLong, match="more than 32,000 characters"):
            question_from("why?", stdin)
        assert stdin.buffer.tell() <= 4 * LONGEST_QUERY + 1


def test_what_is_no_text_is_refused_with_the_place() -> None:
    with pytest.raises(InvalidQuery, match="byte 2"):
        question_from("why?", Stdin(b"ab\xff"))


# In a pipe


async def test_a_pipe_gets_the_answer_and_nothing_else(served: Served) -> None:
    assert await run("ask", "why?", "--url", served.url) == (0, "You asked: why?\n", "")


async def test_notes_that_are_piped_in_are_asked_about(served: Served) -> None:
    done = await run("ask", "summarise", "--url", served.url, piped=b"some notes\n")
    assert done == (0, "You asked: some notes\n\nsummarise\n", "")


async def test_controls_of_an_answer_go_through_a_pipe_as_they_are(serve: Serve) -> None:
    served = await serve(runner=FakeRunner(reply=lambda _: "a\x1b[31mb\n"))
    assert await run("ask", "why?", "--url", served.url) == (0, "a\x1b[31mb\n", "")


async def test_json_is_one_object_with_everything_that_is_known(served: Served) -> None:
    status, out, err = await run("ask", "why?", "--json", "--session", "trip", "--url", served.url)
    assert (status, err, out.count("\n")) == (0, "", 1)
    told = json.loads(out)
    assert told.keys() == {"session_id", "response", "metadata", "timestamp"}
    assert (told["session_id"], told["response"]) == ("trip", "You asked: why?")
    assert told["metadata"]["model_requested"] == "gpt-4"


async def test_a_session_goes_on_and_without_one_each_question_is_a_conversation(served: Served) -> None:
    sessions = []
    for arguments in ([], [], ["--session", "trip"], ["--session", "trip"]):
        _, out, _ = await run("ask", "why?", "--json", *arguments, "--url", served.url)
        sessions.append(json.loads(out)["session_id"])
    assert len({*sessions}) == 3
    async with served.client() as client:
        await client.join("proxy:trip")
        await client.push("proxy:trip", "get_history", {})
        assert (await client.expect("history"))["total_messages"] == 4


async def test_an_answer_that_gave_way_is_not_in_the_pipe(serve: Serve) -> None:
    served = await weak_then_better(serve)
    assert await run("ask", "How many?", "--url", served.url) == (0, "Twenty seven.\n", "")
    _, out, _ = await run("ask", "How many?", "--json", "--url", served.url)
    assert json.loads(out)["response"] == "Twenty seven."


async def weak_then_better(serve: Serve) -> Served:
    models: dict[str, Any] = {"small": {"path": "models/small.gguf"}, "large": {"path": "models/large.gguf"}}
    return await serve(
        runner=FakeRunner(reply=lambda _: "Nine moons."),
        others={"large": FakeRunner(reply=lambda _: "Twenty seven.")},
        models=models,
        cascade={"small": {"to": "large", "below": 0.99}},
    )


async def test_a_pipe_that_is_closed_early_ends_it_without_a_word(serve: Serve) -> None:
    served = await serve(runner=FakeRunner(reply=lambda _: "many words\n" * 50))
    process = await started("ask", "why?", "--url", served.url)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout._transport.close()  # type: ignore[attr-defined]  # asyncio has no other way to close a reading end
    assert await process.stderr.read() == b""
    assert await process.wait() == 1


# What goes wrong


@pytest.mark.parametrize("arguments", [[], ["-"], ["  "], ["--retrieval", "sometimes", "why?"], ["why?", "again?"]])
async def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    status, out, err = await run("ask", *arguments)
    assert (status, out) == (2, "")
    assert "Usage:" in err


async def test_a_question_that_is_refused_ends_with_the_servers_sentence(serve: Serve) -> None:
    served = await serve(routing={"default": "gpt-4", "unknown_model": "error"})
    status, out, err = await run("ask", "why?", "--model", "nobody", "--url", served.url)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("Error: ")
    assert "nobody" in err


async def test_a_server_that_is_not_there_is_one_line() -> None:
    said = "Error: http://127.0.0.1:1: no NeuralBridge server answers there.\n"
    assert await run("ask", "why?", "--url", "http://127.0.0.1:1") == (1, "", said)


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:4000", "ftp://127.0.0.1:1"])
async def test_what_is_no_address_of_a_server_is_one_line(url: str) -> None:
    status, out, err = await run("ask", "why?", "--url", url)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert url in err


async def test_a_question_that_is_no_text_is_one_line(served: Served) -> None:
    status, out, err = await run("ask", "wh\udcff?", "--url", served.url)
    assert (status, out) == (1, "")
    assert err == "Error: The question, or a name that goes with it, is not UTF-8 text.\n"


async def test_a_server_that_stops_meanwhile_is_told_of(serve: Serve) -> None:
    served = await serve()
    served.runner.hold()
    process = await started("ask", "why?", "--url", served.url)
    await until_answers(served, 1)
    stopping = asyncio.create_task(served.stop())
    out, err = await process.communicate()
    await stopping
    assert (process.returncode, out) == (1, b"")
    assert b"is lost" in err


async def test_an_interrupt_stops_the_answer_and_ends_with_130(served: Served) -> None:
    served.runner.hold()
    process = await started("ask", "why?", "--session", "trip", "--url", served.url, stdin=PIPE)
    assert process.stdin is not None
    process.stdin.close()
    await until_answers(served, 1)
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")
    served.runner.release()
    await until_answers(served, 0)
    async with served.client() as client:
        await client.join("proxy:trip")
        await client.push("proxy:trip", "get_history", {})
        statuses = [message["status"] for message in (await client.expect("history"))["messages"]]
    assert statuses == ["complete", "cancelled"]


# At a terminal


async def test_a_terminal_shows_every_piece_as_it_comes(served: Served) -> None:
    served.runner.hold()
    async with terminal("ask", "why?", "--url", served.url) as shown:
        await until_answers(served, 1)
        served.runner.step(6)  # one reads the question, then a byte each
        await shown.until("You a")
        served.runner.release()
        assert await shown.status() == 0
    assert shown.seen.startswith("sked: why?\n")
    assert f"{DIM}confidence 0." in shown.seen
    assert f"{DIM}small, " in shown.seen


async def test_no_color_is_obeyed(served: Served) -> None:
    async with terminal("ask", "why?", "--url", served.url, NO_COLOR="1") as shown:
        assert await shown.status() == 0
    assert "confidence 0." in shown.seen
    assert "\x1b" not in shown.seen


async def test_a_terminal_is_not_told_what_to_do_by_an_answer(serve: Serve) -> None:
    served = await serve(runner=FakeRunner(reply=lambda _: "a\x1b]0;owned\x07b\x9bc\r\td"))
    async with terminal("ask", "why?", "--url", served.url) as shown:
        assert await shown.status() == 0
    assert shown.seen.startswith("a]0;ownedbc\td\n")


async def test_an_answer_that_gives_way_is_told_of_between_the_two(serve: Serve) -> None:
    served = await weak_then_better(serve)
    async with terminal("ask", "How many?", "--url", served.url) as shown:
        assert await shown.status() == 0
    assert shown.seen.startswith(f"Nine moons.\n{DIM}not sure of that (confidence 0.")
    assert "this takes its place:\x1b[0m\nTwenty seven.\n" in shown.seen


async def test_an_interrupt_at_a_terminal_ends_with_130(served: Served) -> None:
    served.runner.hold()
    async with terminal("ask", "why?", "--url", served.url) as shown:
        await until_answers(served, 1)
        served.runner.step(6)
        await shown.until("You")
        await shown.interrupt()
        assert await shown.status() == 130
    assert "Traceback" not in shown.seen
    served.runner.release()
    await until_answers(served, 0)
