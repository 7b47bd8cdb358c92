"""`neuralbridge chat`: a conversation at a terminal, and lines out of a pipe."""

import re
from asyncio.subprocess import PIPE
from signal import SIGINT

from tests.commands.command import run, started, terminal, until_answers
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner
from tests.web.test_documents_in_answers import PUMP, asking


async def history(served: Served, conversation: str) -> list[tuple[str, str]]:
    async with served.client() as client:
        await client.join(f"proxy:{conversation}")
        await client.push(f"proxy:{conversation}", "get_history", {})
        return [(each["content"], each["status"]) for each in (await client.expect("history"))["messages"]]


async def test_each_line_of_a_pipe_is_a_question_of_one_conversation(served: Served) -> None:
    done = await run("chat", "--session", "trip", "--url", served.url, piped=b"one\n\n  two  ")
    assert done == (0, "You asked: one\nYou asked: two\n", "")
    said = ["one", "You asked: one", "two", "You asked: two"]
    assert [content for content, _ in await history(served, "trip")] == said


async def test_a_new_conversation_knows_nothing_of_the_one_before(served: Served) -> None:
    status, _, err = await run("chat", "--session", "trip", "--url", served.url, piped=b"one\n/new\ntwo\n")
    found = re.fullmatch(r"([0-9a-f]{32}): a new conversation\n", err)
    assert status == 0
    assert found
    assert [content for content, _ in await history(served, "trip")] == ["one", "You asked: one"]
    assert [content for content, _ in await history(served, found[1])] == ["two", "You asked: two"]


async def test_help_lists_the_commands_and_so_does_one_that_there_is_not(served: Served) -> None:
    status, out, err = await run("chat", "--url", served.url, piped=b"/help\n/sing\n/quit\nnever asked\n")
    assert (status, out) == (0, "")
    assert err.count("/sources") == 2
    assert "There is no /sing." in err


async def test_a_path_is_a_question(served: Served) -> None:
    _, out, _ = await run("chat", "--url", served.url, piped=b"/etc/hosts is what?\n")
    assert out == "You asked: /etc/hosts is what?\n"


async def test_a_question_that_fails_is_told_and_the_next_one_is_asked(serve: Serve) -> None:
    served = await serve()
    long = b"x" * 32_001
    status, out, err = await run("chat", "--url", served.url, piped=long + b"\ntwo\n")
    assert (status, out) == (0, "You asked: two\n")
    assert err.startswith("Error: ")


async def test_sources_are_the_passages_of_the_last_answer(serve: Serve) -> None:
    served = await serve(runner=FakeRunner(cells=16_384, reply=lambda _: "Eighteen months."))
    async with asking(served, pump=PUMP):
        question = b"How long is the warranty of the XK-204 pump?\n"
        _, out, err = await run("chat", "--url", served.url, piped=b"/sources\n" + question + b"/sources\n")
    assert out.startswith("Eighteen months.")
    assert "drew on no documents" in err
    assert err.endswith(f"[1] pump.md (1.00)\n{PUMP}\n")


async def test_without_a_server_it_ends_in_one_line() -> None:
    said = "Error: http://127.0.0.1:1: no NeuralBridge server answers there.\n"
    assert await run("chat", "--url", "http://127.0.0.1:1", piped=b"one\n") == (1, "", said)


async def test_an_interrupt_stops_the_answer_and_the_conversation_goes_on(served: Served) -> None:
    served.runner.hold()
    async with terminal("chat", "--session", "trip", "--url", served.url) as shown:
        await shown.until("> ")
        shown.type("one\n")
        await until_answers(served, 1)
        served.runner.step(6)
        await shown.until("You")
        await shown.interrupt()
        await shown.until("stopped[^\n]*\n> ")
        served.runner.release()
        await until_answers(served, 0)
        shown.type("two\n")
        await shown.until("You asked: two\n")
        await shown.until("> ")
        shown.type("\x04")
        assert await shown.status() == 0
    assert "Traceback" not in shown.seen
    statuses = [status for _, status in await history(served, "trip")]
    assert statuses == ["complete", "cancelled", "complete", "complete"]


async def test_an_interrupt_takes_back_what_is_being_typed(served: Served) -> None:
    async with terminal("chat", "--session", "trip", "--url", served.url) as shown:
        await shown.until("> ")
        shown.type("never mind")
        await shown.until("never mind")
        await shown.interrupt()
        await shown.until("\n> ")
        shown.type("two\n/quit\n")
        assert await shown.status() == 0
    assert [content for content, _ in await history(served, "trip")] == ["two", "You asked: two"]


async def test_an_interrupt_in_a_pipe_ends_with_130(served: Served) -> None:
    served.runner.hold()
    process = await started("chat", "--url", served.url, stdin=PIPE)
    assert process.stdin is not None
    process.stdin.write(b"one\n")
    await until_answers(served, 1)
    process.send_signal(SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    served.runner.release()
    await until_answers(served, 0)
