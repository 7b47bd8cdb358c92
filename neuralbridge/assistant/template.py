"""A model's own chat template, rendered in a child process: it came with a downloaded file and is not to be trusted.

The sandbox keeps a template from reaching anything; it does not keep it from taking forever or all memory, so the
child has a memory limit and is killed after `RENDER_SECONDS`. Message contents never go there: the template is
rendered around placeholders, which is also what lets its text be tokenised apart from the user's.
"""

import asyncio
import json
import secrets
import sys
from dataclasses import dataclass

from neuralbridge.engine.engine import Engine
from neuralbridge.errors import EngineFailed
from neuralbridge.types import Role

RENDER_SECONDS = 2.0
START_SECONDS = 20.0  # a new child first has to start, on a machine that may be busy
RENDERINGS_KEPT = 256

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{{ '<|im_start|>assistant\\n' }}"
)  # for a model that brings no template; the format most chat models know


@dataclass(frozen=True, slots=True)
class Layout:
    """A rendered template: its own text, and indices of the messages whose content stands there."""

    parts: tuple[str | int, ...]


class TemplateFailed(EngineFailed):
    """The model's chat template cannot render a conversation of these roles."""


class ChatTemplate:
    """Renders the template of an engine's model. The same roles give the same layout, so layouts are kept."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._layouts: dict[tuple[Role, ...], Layout] = {}
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def layout(self, roles: tuple[Role, ...]) -> Layout:
        """The layout for messages of these roles, up to where the assistant is to speak. Raises TemplateFailed."""
        found = self._layouts.get(roles)
        if found is None:
            async with self._turn:
                found = await self._render(roles)
            if len(self._layouts) >= RENDERINGS_KEPT:
                del self._layouts[next(iter(self._layouts))]
            self._layouts[roles] = found
        return found

    async def stop(self) -> None:
        if self._child is not None:
            if self._child.returncode is None:
                self._child.kill()
            await self._child.wait()
            self._child = None

    async def _render(self, roles: tuple[Role, ...]) -> Layout:
        nonce = secrets.token_hex(16)
        marks = [f"content{nonce}x{index}x" for index in range(len(roles))]
        messages = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
        source = self._engine.chat_template or CHATML
        reply = await self._ask_child({"template": source, "messages": messages, **self._engine.template_tokens})
        if "error" in reply:
            raise TemplateFailed(f"The model's chat template failed: {reply['error']}")
        return cut(reply["text"], marks)

    async def _ask_child(self, request: dict[str, object]) -> dict[str, str]:
        try:
            if self._child is None:
                async with asyncio.timeout(START_SECONDS):
                    self._child = await self._start()
            child = self._child
            assert child.stdin is not None and child.stdout is not None
            async with asyncio.timeout(RENDER_SECONDS):
                child.stdin.write(json.dumps(request).encode() + b"\n")
                await child.stdin.drain()
                line = await child.stdout.readline()
        except TimeoutError:
            await self.stop()
            raise TemplateFailed(f"The model's chat template took more than {RENDER_SECONDS:.0f} s.") from None
        except (OSError, ValueError) as error:  # the child has died, or its line was beyond the reader's limit
            await self.stop()
            raise TemplateFailed(f"The model's chat template could not be rendered: {error}") from error
        except asyncio.CancelledError:
            await self.stop()  # a half-read reply must not be taken for the next one
            raise
        if not line:
            await self.stop()
            raise TemplateFailed("The model's chat template ended the process that renders it.")
        reply: dict[str, str] = json.loads(line)
        return reply

    @staticmethod
    async def _start() -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "neuralbridge.assistant.template_child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=16 * 1024 * 1024,
        )
        assert child.stdout is not None
        await child.stdout.readline()  # it says hello, so that its start is not taken for a slow template
        return child


def cut(text: str, marks: list[str]) -> Layout:
    """Split a rendering at its placeholders."""
    parts: list[str | int] = []
    rest = text
    for index in sorted(range(len(marks)), key=lambda index: text.find(marks[index])):
        before, mark, after = rest.partition(marks[index])
        if mark:
            parts += [before, index]
            rest = after
    return Layout(tuple(part for part in [*parts, rest] if part != ""))
