"""What the models answer to the questions of tests/data/questions.jsonl, written down word by word.

This takes an hour; everything else that scripts/eval says is made from these records in seconds. The records are made
by the product's own parts: its search, its prompts, its engine, with the shipped settings.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web

from neuralbridge.app import MODELS
from neuralbridge.assistant.cache import PROMPT_VERSION
from neuralbridge.assistant.context import INSTRUCTION
from neuralbridge.assistant.evidence import Witness
from neuralbridge.assistant.models import LocalModel
from neuralbridge.sections import Model
from neuralbridge.store.conversations import Conversation
from neuralbridge.types import LOCAL_OWNER, Finish, Piece, Retrieval, Sampling
from neuralbridge.web.keys import SERVICES

AT_ONCE = 4
TOKENS = 256  # of an answer: those that have not ended by then run in circles
CANDIDATES = 20  # of each search, written down


async def record(
    app: web.Application, name: str, retrieval: Retrieval, questions: list[dict[str, Any]], path: Path
) -> list[dict[str, Any]]:
    """Ask a model every question, and write a line for each answer to `path`; all lines of these questions.

    What stands there already, of the same model file, prompts and question, is not asked again.
    """
    model = app[MODELS][name]
    await model.ready()
    made_by = {"digest": await digest(model), "prompt": PROMPT_VERSION, "instruction": INSTRUCTION}
    kept = [line for line in read(path) if line["made_by"] == made_by]
    done = {line["id"]: line for line in kept}
    left = [question for question in questions if question["id"] not in done]
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in kept)
        file.flush()
        services = app[SERVICES]
        witness = Witness(services.library, services.config.documents, services.metrics)
        ask = Asking(model, services.config.models[name], witness, retrieval, iter(left), file, made_by, len(left))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(ask.all())
    wanted = {question["id"] for question in questions}
    return [line for line in read(path) if line["id"] in wanted]


@dataclass
class Asking:
    """One model being asked, several questions at a time."""

    model: LocalModel
    settings: Model
    witness: Witness
    retrieval: Retrieval
    questions: Iterator[dict[str, Any]]
    file: TextIO
    made_by: dict[str, Any]
    left: int

    async def all(self) -> None:
        for question in self.questions:
            said = await self.answer(question["question"])
            self.file.write(json.dumps({"id": question["id"], "made_by": self.made_by, **said}) + "\n")
            self.file.flush()
            self.left -= 1
            if self.left % 20 == 0:
                print(f"{self.model.name}, {self.retrieval}: {self.left} questions left", flush=True)

    async def answer(self, query: str) -> dict[str, Any]:
        """What the search found and the model said, token by token."""
        evidence = await self.witness.evidence(query, None, self.retrieval, LOCAL_OWNER)
        chosen = self.settings.params.model_copy(update={"max_tokens": TOKENS, "seed": 1})
        sampling = Sampling(**chosen.model_dump(exclude_none=True))
        prompt = await self.model.prompts.build(
            Conversation(LOCAL_OWNER, "eval"), self.settings.system_prompt, query, TOKENS, evidence.passages
        )
        pieces: list[Any] = []
        finish: Finish | None = None
        async with aclosing(self.model.engine.generate(prompt.tokens, sampling)) as generation:
            async for event in generation:
                match event:
                    case Piece(text, tokens):
                        pieces.append([text, [[token.token, round(token.logprob, 5)] for token in tokens]])
                    case Finish():
                        finish = event
        assert finish is not None
        return {
            "pieces": pieces,
            "finish": asdict(finish),
            "context": [asdict(source) for source in prompt.context],
            "omitted": [asdict(source) for source in prompt.omitted],
            "nearest": [asdict(source) for source in evidence.nearest],
        }


async def digest(model: LocalModel) -> str:
    while (found := await model.digest()) is None:  # each look waits for a while
        print(f"{model.name}: reading the file", flush=True)
    return found


def read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
