"""How well grammars hold the default model to a JSON Schema: random schemas, straight on the engine, eight at a time.

Asked: of 200 schemas with bounded strings at least 95 % are answered whole within 300 tokens, and each whole answer
parses and conforms. Conformity is checked by jsonschema as it comes, with Python's own regular expressions.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from jsonschema import Draft202012Validator

from neuralbridge.engine.conformance import violation
from neuralbridge.engine.engine import Engine
from neuralbridge.engine.llama import LlamaRunner
from neuralbridge.types import Finish, Piece, Sampling

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf"
AT_ONCE = 8
CELLS = 8192
MAX_TOKENS = 300
DEPTH = 3

Schema = dict[str, Any]

WORDS = (  # noqa: SIM905 # so it is read more easily
    "name title city country colour status kind age size price count score email phone street note tag level owner code"
    " month week rating weight height author series chapter topic format"
).split()
PATTERNS = (
    r"^[A-Z]{3}-[0-9]{4}$",
    r"^[a-z]+@[a-z]+\.(com|org)$",
    r"^#[0-9a-f]{6}$",
    r"^(red|green|blue)( (light|dark))?$",
    r"^[A-Z][a-z]{2,8}$",
    r"^\d{1,3}\.\d{1,3}$",
    r"^v[0-9]+(\.[0-9]+){0,2}$",
    r"^\w{3,12}$",
)


@dataclass(frozen=True)
class Answer:
    """What came of one schema. `fault` is why a whole answer does not conform."""

    schema: Schema
    text: str
    finish: Finish
    fault: str | None


class Schemas:
    """Random schemas. The same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # no secret, and to be repeated

    def object(self, depth: int = DEPTH) -> Schema:
        names = self._random.sample(WORDS, self._random.randint(1, 5))
        required = [name for name in names if self._random.random() < 0.7]
        schema: Schema = {
            "type": "object",
            "properties": {name: self._value(depth - 1) for name in names},
            "required": required,
        }
        if self._random.random() < 0.5:
            schema["additionalProperties"] = False
        return schema

    def _value(self, depth: int) -> Schema:
        simple = [self._enum, self._string, self._pattern, self._integer, self._number, self._format, self._const]
        nested = [self.object, self._array, self._union, self._reference]
        if depth > 0 and self._random.random() < 0.4:
            return self._random.choice(nested)(depth)
        return self._random.choice([*simple, lambda: {"type": self._random.choice(["boolean", "null"])}])()

    def _enum(self) -> Schema:
        values: list[Any] = [*self._random.sample(WORDS, 3), self._random.randint(-9, 99), None, True, 1.5]
        return {"enum": self._random.sample(values, self._random.randint(1, 5))}

    def _const(self) -> Schema:
        return {"const": self._random.choice([7, "fixed", False, [1, "two"], {"a": {"b": None}}])}

    def _string(self) -> Schema:
        least = self._random.choice([0, 0, 1, 5])
        return {"type": "string", "minLength": least, "maxLength": least + self._random.randint(1, 40)}

    def _pattern(self) -> Schema:
        return {"type": "string", "pattern": self._random.choice(PATTERNS), "maxLength": 30}

    def _format(self) -> Schema:
        return {"type": "string", "format": self._random.choice(["date", "date-time", "time", "uuid", "ipv4"])}

    def _integer(self) -> Schema:
        low = self._random.randint(-1000, 1000)
        schema: Schema = {"type": "integer", "minimum": low, "maximum": low + self._random.randint(0, 5000)}
        if self._random.random() < 0.2:
            schema = {"type": "integer", "exclusiveMinimum": 0, "multipleOf": self._random.choice([2, 5, 7])}
        return schema

    def _number(self) -> Schema:
        low = round(self._random.uniform(-100, 100), 2)
        high = round(low + self._random.uniform(0.5, 50), 2)
        return self._random.choice(
            [
                {"type": "number", "minimum": low, "maximum": high},
                {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": high},
                {"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 100},
                {"type": "number"},
            ]
        )

    def _array(self, depth: int) -> Schema:
        least = self._random.randint(0, 2)
        most = least + self._random.randint(0, 3)
        if self._random.random() < 0.25:
            return {
                "type": "array",
                "prefixItems": [self._value(0), self._value(0)],
                "items": False,
                "minItems": 2,
            }
        return {"type": "array", "items": self._value(depth - 1), "minItems": least, "maxItems": most}

    def _union(self, depth: int) -> Schema:
        if self._random.random() < 0.3:
            return {"type": ["string", "integer", "null"], "maxLength": 20, "minimum": 0, "maximum": 999}
        kinds = [
            {
                "type": "object",
                "properties": {"kind": {"const": kind}, "value": self._value(depth - 1)},
                "required": ["kind", "value"],
            }
            for kind in self._random.sample(WORDS, 2)
        ]
        return {"oneOf": kinds} if self._random.random() < 0.5 else {"anyOf": [*kinds, self._value(depth - 1)]}

    def _reference(self, depth: int) -> Schema:
        """Stands for one in $defs: `with_definitions` puts it there."""
        return {"$ref": self._value(depth - 1)}


def with_definitions(schema: Schema) -> Schema:
    """The schema with what its references stand for in its $defs."""
    definitions: dict[str, Schema] = {}

    def settle(value: Any) -> Any:
        if isinstance(value, list):
            return [settle(each) for each in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("$ref"), dict):
            name = f"part{len(definitions)}"
            definitions[name] = {}
            definitions[name] = settle(value["$ref"])
            return {"$ref": f"#/$defs/{name}"}
        return {key: settle(each) for key, each in value.items()}

    settled: Schema = settle(schema)
    return {**settled, "$defs": definitions} if definitions else settled


async def ask(engine: Engine, schema: Schema, seed: int) -> Answer:
    grammar = await engine.grammar(schema)
    parts = [
        ("<|im_start|>user\n", True),
        (f"Make up an example. Answer with JSON that conforms to this JSON Schema:\n{json.dumps(schema)}", False),
        ("<|im_end|>\n<|im_start|>assistant\n", True),
    ]
    prompt = [token for part in await engine.tokenize(parts) for token in part]
    text, finish = "", None
    async with aclosing(engine.generate(prompt, Sampling(max_tokens=MAX_TOKENS, seed=seed, grammar=grammar))) as events:
        async for event in events:
            match event:
                case Piece(more):
                    text += more
                case Finish():
                    finish = event
    assert finish is not None
    return Answer(schema, text, finish, fault(schema, text) if finish.reason == "stop" else None)


def fault(schema: Schema, text: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError as error:
        return str(error)
    checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    found = next(checker.iter_errors(value), None)
    ours = violation(schema, text)
    return ours if found is None else f"{found.json_path}: {found.message}; and here: {ours}"


async def measure(model: Path, amount: int, seed: int, say: Callable[[str], None]) -> None:
    schemas = Schemas(seed)
    wanted = [with_definitions(schemas.object()) for _ in range(amount)]
    engine = Engine(lambda: LlamaRunner(model, AT_ONCE, CELLS), max_waiting=AT_ONCE)
    engine.start()
    await engine.ready()
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask_in_turn(at: int, schema: Schema) -> Answer:
        async with gate:
            return await ask(engine, schema, at)

    started = time.perf_counter()
    answers = await asyncio.gather(*(ask_in_turn(at, schema) for at, schema in enumerate(wanted)))
    seconds = time.perf_counter() - started
    await engine.stop()
    stopped = [answer for answer in answers if answer.finish.reason == "stop"]
    conform = [answer for answer in stopped if answer.fault is None]
    tokens = sum(answer.finish.completion_tokens for answer in answers)
    for answer in answers:
        if answer not in conform:
            say(f"{answer.finish.reason}: {json.dumps(answer.schema)}\n    {answer.text}\n    {answer.fault or ''}")
    say(f"{amount} schemas, {tokens:,} tokens in {seconds:.0f} s")
    say(f"whole within {MAX_TOKENS} tokens: {len(stopped)} of {amount} = {len(stopped) / amount:.1%} (asked: >= 95 %)")
    say(f"of those, conform: {len(conform)} of {len(stopped)} = {len(conform) / len(stopped):.1%} (asked: 100 %)")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", type=Path, default=MODEL)
    options.add_argument("--amount", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    asyncio.run(measure(given.model, given.amount, given.seed, print))


if __name__ == "__main__":
    main()
