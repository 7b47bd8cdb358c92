"""Functions that an asker offers to the model, and the calls the model writes. Pure.

Each family of models writes calls its own way, which its chat template shows. Two are understood: an object between
<tool_call> marks (Hermes, Qwen), and an object alone (Llama 3). A model whose template knows no functions is told of
them in words, and writes objects alone.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from neuralbridge.engine.text import undecided
from neuralbridge.types import Call, ChatMessage

OPENING, CLOSING = "<tool_call>", "</tool_call>"
Choice = Literal["none", "auto", "required"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What an asker offers: functions as JSON Schema says them, and whether one of them must be called.

    `choice` may be the name of the one that must be called.
    """

    functions: tuple[dict[str, Any], ...] = ()
    choice: Choice | str = "auto"
    parallel: bool = True  # several may be called at once

    def __bool__(self) -> bool:
        return bool(self.functions) and self.choice != "none"

    @property
    def forced(self) -> bool:
        return bool(self) and self.choice != "auto"

    @property
    def shown(self) -> list[dict[str, Any]]:
        """As templates take them."""
        return [{"type": "function", "function": function} for function in self.functions]

    @property
    def names(self) -> list[str]:
        return [function["name"] for function in self.functions]

    def schema(self) -> dict[str, Any]:
        """Of a call to one of the functions that may be called."""
        wanted = [f for f in self.functions if self.choice in ("auto", "required", f["name"])]
        if len(wanted) == 1:
            return call_schema(wanted[0])
        return {"anyOf": [call_schema(function, f"#/anyOf/{place}") for place, function in enumerate(wanted)]}


NO_TOOLS = Tools()


def call_schema(function: dict[str, Any], place: str = "#") -> dict[str, Any]:
    """Of a call of it, where the schema stands at `place` in the whole."""
    parameters = {"type": "object", **function.get("parameters", {})}
    parameters.pop("$id", None)  # references would be looked for there
    return {
        "type": "object",
        "properties": {
            "name": {"const": function["name"]},
            "arguments": moved(parameters, f"{place}/properties/arguments"),
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def moved(schema: Any, place: str) -> Any:
    """A schema that comes to stand at `place` in a larger one: that is where its references lead now."""
    if isinstance(schema, list):
        return [moved(each, place) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {key: moved(each, place) for key, each in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
        inside["$ref"] = place + reference[1:]
    return inside


def supported(template: str | None) -> bool:
    """Whether a chat template shows the model the functions it is given."""
    return template is not None and "tools" in template


def marked(template: str | None) -> bool:
    """Whether the model writes its calls between marks."""
    return template is not None and OPENING in template


OFFER = """You can call functions. To call one, answer with JSON alone, such as {"name": "...", "arguments": {...}}.
Functions, in JSON:
"""


def in_words(messages: Sequence[ChatMessage], tools: Tools) -> list[ChatMessage]:
    """Functions, calls and what came of them as plain messages, for a model whose template knows none of these."""
    names = {call.id: call.name for message in messages for call in message.calls}
    told = [ChatMessage("system", OFFER + "\n".join(map(as_json, tools.functions)))] if tools else []
    for message in messages:
        if message.calls:
            calls = [as_json({"name": call.name, "arguments": as_object(call.arguments)}) for call in message.calls]
            told.append(ChatMessage("assistant", "\n".join([*[message.content] * bool(message.content), *calls])))
        elif message.role == "tool":
            name = names.get(message.answers or "", "The function")
            told.append(ChatMessage("user", f"{name} gave: {message.content}"))
        else:
            told.append(message)
    return told


def as_object(arguments: str) -> object:
    """Templates write arguments as JSON themselves; what is none is given as it stands.

    Some clients write none at all for a function without parameters.
    """
    try:
        return json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError):
        return arguments


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


class CallReader:
    """Divides an answer into text and calls, as it grows. `forced`: it is one call and nothing else."""

    def __init__(self, tools: Tools, marks: bool) -> None:
        self.calls: list[Call] = []
        self._tools = tools
        self._marks = marks
        self._text = ""
        self._said = False

    def feed(self, text: str) -> str:
        """The text that can be shown; from where a call may have begun, it is held back."""
        self._text += text
        if self._tools.forced or self._may_be_call():  # also without the marks: small models forget them
            return ""
        if not self._marks:
            return self._release(len(self._text))
        at = self._text.find(OPENING)
        return self._release(at if at >= 0 else len(self._text) - undecided(self._text, (OPENING,)))

    def finish(self) -> str:
        """What was held back and is no call; then `calls` are complete."""
        held, self._text = self._text, ""
        if self._tools.forced or not self._marks or OPENING not in held:
            call = read_call(held, self._tools)
            self.calls = [call] if call else []
            return "" if call else held
        rest = ""
        while OPENING in held:
            before, _, after = held.partition(OPENING)
            written, behind = divided(after)
            call = read_call(written, self._tools)
            if call and (self._tools.parallel or not self.calls):
                self.calls.append(call)
            rest, held = (rest + before, behind) if call else (rest + before + OPENING, after)
        rest += held
        return rest if rest.strip() or not self.calls else ""

    def _may_be_call(self) -> bool:
        return not self._said and self._text.lstrip()[:1] in ("", "{")

    def _release(self, end: int) -> str:
        said, self._text = self._text[:end], self._text[end:]
        self._said = self._said or bool(said)
        return said


def divided(text: str) -> tuple[str, str]:
    """What stands behind an opening mark: up to the closing one, if it comes, and behind that."""
    blanks = len(text) - len(text.lstrip())
    try:
        _, end = json.JSONDecoder().raw_decode(text, blanks)  # its strings may hold the mark
    except (ValueError, RecursionError):
        end = 0
    before, _, behind = text[end:].partition(CLOSING)
    return text[:end] + before, behind


def read_call(text: str, tools: Tools) -> Call | None:
    """The call that a text is, None when it is none of a function that was offered."""
    try:
        said = json.loads(text)
        if not isinstance(said, dict) or said.get("name") not in tools.names:
            return None
        arguments = said.get("arguments", said.get("parameters"))
        if isinstance(arguments, str):  # some write JSON in JSON
            arguments = json.loads(arguments)
        if not isinstance(arguments, dict | None):
            return None
        # Escapes stay escapes: one may stand for half a character
        written = json.dumps(arguments or {}, ensure_ascii="\\u" in text, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return Call(said["name"], written, f"call_{uuid.uuid4().hex[:24]}")
