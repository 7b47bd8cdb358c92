"""A model's own chat template, rendered in a child process: it came with a downloaded file and is not to be trusted.

The sandbox keeps a template from reaching anything; it does not keep it from taking forever or all memory, so the
child has a memory limit and is killed after `RENDER_SECONDS`. Message contents never go there: the template is
rendered around placeholders, which is also what lets its text be tokenised apart from the user's.
"""

import asyncio
import json
import re
import secrets
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from neuralbridge.assistant.tools import as_object
from neuralbridge.engine.engine import Engine
from neuralbridge.errors import EngineFailed
from neuralbridge.types import ChatMessage, Role

RENDER_SECONDS = 2.0
START_SECONDS = 20.0  # a new child first has to start, on a machine that may be busy
RENDERINGS_KEPT = 256

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{{ '<|im_start|>assistant\\n' }}"
)  # for a model that brings no template; the format most chat models know


@dataclass(frozen=True, slots=True)
class Layout:
    """A rendered template: its own text, and indices of the messages whose content stands there.

    A message may stand in several places. All stand somewhere, but for the system's, which some templates ignore.
    """

    parts: tuple[str | int, ...]


class TemplateFailed(EngineFailed):
    """The model's chat template cannot render a conversation of these roles."""


class ChatTemplate:
    """Renders the template of an engine's model. The same roles give the same layout all day, so layouts are kept."""

    def __init__(self, engine: Engine, today: Callable[[], date] = date.today) -> None:
        self._engine = engine
        self._today = today  # some templates tell the model the date
        self._layouts: dict[tuple[date, tuple[Role, ...]], Layout] = {}
        self._child: Process | None = None
        self._turn = asyncio.Lock()

    async def layout(self, roles: tuple[Role, ...]) -> Layout:
        """The layout for messages of these roles, up to where the assistant is to speak. Raises TemplateFailed."""
        key = (self._today(), roles)
        if key not in self._layouts:
            async with self._turn:
                if key not in self._layouts:
                    self._keep(key, await self._render([ChatMessage(role, "") for role in roles], []))
        return self._layouts[key]

    async def stop(self) -> None:
        if self._child is not None:
            if self._child.returncode is None:
                self._child.kill()
            await self._child.wait()
            self._child = None

    def _keep(self, key: tuple[date, tuple[Role, ...]], layout: Layout) -> None:
        if len(self._layouts) >= RENDERINGS_KEPT:
            del self._layouts[next(iter(self._layouts))]
        self._layouts[key] = layout

    async def layout_with_tools(self, messages: Sequence[ChatMessage], tools: list[dict[str, Any]]) -> Layout:
        """The layout for messages with calls of functions in them, and for the functions offered; not kept.

        What these say becomes part of the template's own text: whoever asks has made sure that it names no control
        tokens. Raises TemplateFailed.
        """
        async with self._turn:
            return await self._render([*messages], tools)

    async def _render(self, messages: list[ChatMessage], tools: list[dict[str, Any]]) -> Layout:
        nonce = secrets.token_hex(16)
        marks = [f"content{nonce}x{index}x" for index in range(len(messages))]
        shown = [as_shown(message, mark) for message, mark in zip(messages, marks, strict=True)]
        # Templates are written for transformers, where tools are always given, as None where there are none
        request = {"template": self._engine.chat_template or CHATML, "messages": shown, "tools": tools or None}
        reply = await self._ask_child({**request, **self._engine.template_tokens})
        if "error" in reply:
            raise TemplateFailed(f"The model's chat template failed: {reply['error']}")
        layout = cut(reply["text"], marks)
        for index, message in enumerate(messages):
            if index not in layout.parts and message.role != "system" and not message.calls:
                raise TemplateFailed(
                    f"The model's chat template leaves out message {index + 1}, of the {message.role}."
                )
        return layout

    async def _ask_child(self, request: dict[str, object]) -> dict[str, str]:
        line = await self._exchange(request)
        if not line:  # it may have been killed while it had nothing to do; a template that ends it does so again
            await self.stop()
            line = await self._exchange(request)
        if not line:
            await self.stop()
            raise TemplateFailed("The model's chat template ended the process that renders it.")
        reply: dict[str, str] = json.loads(line)
        return reply

    async def _exchange(self, request: dict[str, object]) -> bytes:
        """Send the child a line and return its line, an empty one when it has ended."""
        try:
            child = await self._running_child()
            assert child.stdin is not None and child.stdout is not None
            async with asyncio.timeout(RENDER_SECONDS):
                child.stdin.write(json.dumps(request).encode() + b"\n")
                await child.stdin.drain()
                return await child.stdout.readline()
        except ConnectionError:
            return b""
        except TimeoutError:
            await self.stop()
            raise TemplateFailed(f"The model's chat template took more than {RENDER_SECONDS:.0f} s.") from None
        except (OSError, ValueError) as error:  # it cannot be started, or its line was beyond the reader's limit
            await self.stop()
            raise TemplateFailed(f"The model's chat template could not be rendered: {error}") from error
        except asyncio.CancelledError:
            await self.stop()  # a half-read reply must not be taken for the next one
            raise

    async def _running_child(self) -> Process:
        if self._child is None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "neuralbridge.assistant.template_child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=16 * 1024 * 1024,
            )
            assert self._child.stdout is not None
            async with asyncio.timeout(START_SECONDS):
                # it says hello, so that its start is not taken for a slow template
                await self._child.stdout.readline()
        return self._child


def as_shown(message: ChatMessage, mark: str) -> dict[str, Any]:
    """A message as templates take it, `mark` in the place of its content."""
    shown: dict[str, Any] = {"role": message.role, "content": mark if message.content or not message.calls else ""}
    if message.calls:
        shown["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": as_object(call.arguments)}}
            for call in message.calls
        ]
    if message.answers is not None:
        shown["tool_call_id"] = message.answers
    return shown


def cut(text: str, marks: list[str]) -> Layout:
    """Split a rendering at its placeholders."""
    indices = {mark: index for index, mark in enumerate(marks)}
    parts = re.split(f"({'|'.join(map(re.escape, marks))})", text)
    return Layout(tuple(indices.get(part, part) for part in parts if part))
