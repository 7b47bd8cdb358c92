"""Whose an answer is: its owner reaches the engine, the documents and the citations, whichever way it was asked for."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from neuralbridge.assistant.checker import Checker
from neuralbridge.assistant.completions import Reply, Wish
from neuralbridge.assistant.events import Question
from neuralbridge.assistant.evidence import Evidence, Witness
from neuralbridge.engine.engine import Engine, Generation
from neuralbridge.errors import Overloaded
from neuralbridge.store.conversations import Conversation
from neuralbridge.types import Cancellation, ChatMessage, Sampling
from neuralbridge.web.keys import SERVICES, Services
from tests.conftest import SETTINGS, Serve
from tests.fakes import FakeRunner

ASKED = [ChatMessage("user", "why?")]


@dataclass
class Owners:
    """Who was named to whom; `shared` is what the engine was told beside."""

    engine: list[str] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    witness: list[str] = field(default_factory=list)
    checker: list[str] = field(default_factory=list)


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> Owners:
    owners = Owners()
    generate, evidence, receipt = Engine.generate, Witness.evidence, Checker.receipt

    def generating(self: Engine, prompt: list[int], sampling: Sampling, owner: str, shared: int) -> Generation:
        owners.engine.append(owner)
        owners.shared.append(shared)
        return generate(self, prompt, sampling, owner, shared)

    async def witnessing(self: Witness, query: str, before: str | None, retrieval: Any, owner: str) -> Evidence:
        owners.witness.append(owner)
        return await evidence(self, query, before, retrieval, owner)

    async def checking(self: Checker, attempt: Any, started: Any, owner: str) -> Any:
        owners.checker.append(owner)
        return await receipt(self, attempt, started, owner)

    monkeypatch.setattr(Engine, "generate", generating)
    monkeypatch.setattr(Witness, "evidence", witnessing)
    monkeypatch.setattr(Checker, "receipt", checking)
    return owners


async def ended(services: Services, reply: Reply) -> None:
    for choice in reply.choices:
        async for _ in choice.pieces():
            pass
        await services.completions.receipt(reply, choice)
    await reply.aclose()


async def test_a_chat_is_its_askers_through_and_through(serve: Serve, owners: Owners) -> None:
    services = (await serve()).server.app[SERVICES]
    await ended(services, await services.completions.chat(None, ASKED, Wish(choices=2), owner="ana"))
    assert owners == Owners(["ana", "ana"], [0, 0], ["ana"], ["ana", "ana"])


async def test_so_are_texts(serve: Serve, owners: Owners) -> None:
    services = (await serve()).server.app[SERVICES]
    await ended(services, await services.completions.text(None, ["one", "two"], Wish(), owner="ana"))
    assert owners == Owners(["ana", "ana"], [0, 0], [], ["ana", "ana"])


async def test_so_is_a_second_opinion(serve: Serve, owners: Owners) -> None:
    models = {**SETTINGS["models"], "large": {"path": "models/large.gguf"}}
    cascade = {"small": {"to": "large", "below": 0.99}}
    large = FakeRunner()
    served = await serve(models=models, cascade=cascade, others={"large": large})
    services = served.server.app[SERVICES]
    reply = await services.completions.chat(None, ASKED, Wish(), owner="ana")
    async for _ in reply.choices[0].pieces():
        pass
    receipt = await services.completions.receipt(reply, reply.choices[0])
    again = await services.completions.second_opinion(reply, receipt)
    assert again is not None
    await ended(services, again)
    await reply.aclose()
    assert (owners.engine, owners.checker) == (["ana", "ana"], ["ana", "ana"])


async def test_a_question_is_of_whoever_its_conversation_is_and_shares_its_system_prompt(
    serve: Serve, owners: Owners
) -> None:
    services = (await serve()).server.app[SERVICES]
    question = Question(Conversation("ana", "s"), "why?")
    async for _ in services.assistant.ask(question, Cancellation()):
        pass
    shared = len("system\nBe brief.\nuser\n") + 3
    assert owners == Owners(["ana"], [shared], ["ana"], ["ana"])


async def test_answers_of_one_user_are_limited_by_the_configuration(serve: Serve) -> None:
    runner = FakeRunner()
    served = await serve(runner=runner, limits={"answers_per_user": 2})
    completions = served.server.app[SERVICES].completions
    with pytest.raises(Overloaded, match="each user may have 2"):
        await completions.chat(None, ASKED, Wish(choices=3), owner="ana")
    reply = await completions.chat(None, ASKED, Wish(choices=3), owner="local")
    await reply.aclose()
    assert served.server.app[SERVICES].models.busy == 0
