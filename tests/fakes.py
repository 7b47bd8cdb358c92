"""A scripted model for the layers above it. What it says next depends only on what its cache holds, so a mistake in the
book of slots and cells shows as a wrong answer.

Its vocabulary is bytes, plus the two control tokens of ChatML.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from neuralbridge.engine.batch import Copy, Discard, Edit, Park, Share, Trim, Unpark
from neuralbridge.engine.runner import DecodeFailed, Sampler
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.types import Chosen, Sampling
from neuralbridge.words import is_stop_word, words

START, END = 256, 257
CONTROL = {"<|im_start|>": START, "<|im_end|>": END}
LOGPROB = -0.25
GATE_SECONDS = 30.0
TOOLS_TEMPLATE = (  # in the style of models that know tools
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<tool_call> marks a call"
    "<|im_end|>\n{% endif %}{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content }}"
    "{% for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{{ '<|im_start|>assistant\n' }}"
)


class FakeVocabulary:
    size = 258
    first: int | None = None

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        parts = re.split("|".join(map(re.escape, CONTROL)), text) if special else [text]
        marks = re.findall("|".join(map(re.escape, CONTROL)), text) if special else []
        tokens = list(parts[0].encode("utf-8", "replace"))
        for mark, part in zip(marks, parts[1:], strict=True):
            tokens += [CONTROL[mark], *part.encode("utf-8", "replace")]
        return tokens

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < START else b""

    def is_end(self, token: int) -> bool:
        return token == END


class FakeSampler:
    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self.closed = False

    def close(self) -> None:
        assert not self.closed
        self.closed = True


def echo(question: str) -> str:
    return f"You asked: {question}"


class FakeRunner:
    """`reply` maps the last question to the answer. `hold` stops the steps of answers; `step` lets some happen."""

    def __init__(self, slots: int = 4, cells: int = 4096, reply: Callable[[str], str] = echo) -> None:
        self.vocabulary = FakeVocabulary()
        self.chat_template: str | None = None
        self.template_tokens = {"bos_token": "", "eos_token": "<|im_end|>"}
        self.slots = slots
        self.cells = cells
        self.max_rows = 512
        self.can_trim = True
        self.parking = 600
        self._parked: dict[int, list[int]] = {}
        self.reply = reply
        self.logprob = LOGPROB  # of every token
        self.fails: Callable[[Share], bool] = lambda share: False
        self.decoded = 0  # tokens computed so far
        self.samplers: list[FakeSampler] = []
        self.closed = False
        self._cache: dict[int, list[int]] = {slot: [] for slot in range(slots)}
        self._outputs: list[int] = []
        self._open = threading.Event()
        self._open.set()
        self._permits = threading.Semaphore(0)
        self._held = threading.Event()  # a step came while they were held
        self._holds_load = False

    # For tests

    def hold(self, load: bool = False) -> None:
        """From now on a step happens only when `step` allows it; those that are part of loading only with `load`."""
        self._holds_load = load
        self._held.clear()
        self._open.clear()

    async def until_held(self) -> None:
        """Wait for a step that `hold` keeps waiting."""
        assert await asyncio.to_thread(self._held.wait, GATE_SECONDS), "no step came"

    def step(self, amount: int = 1) -> None:
        self._permits.release(amount)

    def release(self) -> None:
        self._open.set()
        self._permits.release()

    def kept(self) -> list[list[int]]:
        """What there is in the cache and parked."""
        return [tokens for tokens in (*self._cache.values(), *self._parked.values()) if tokens]

    # For the engine

    def edit(self, edit: Edit) -> None:
        match edit:
            case Trim(slot, length):
                assert length <= len(self._cache[slot])
                del self._cache[slot][length:]
            case Copy(source, target, length):
                assert not self._cache[target], "a copy goes to an empty slot"
                assert length <= len(self._cache[source])
                self._cache[target] = self._cache[source][:length]
            case Park(slot, key):
                self._parked[key] = list(self._cache[slot])
            case Unpark(key, slot):
                assert not self._cache[slot], "what was parked comes back to an empty slot"
                self._cache[slot] = list(self._parked[key])
            case Discard(key):
                del self._parked[key]

    def reset(self) -> None:
        self._parked.clear()
        for cache in self._cache.values():
            cache.clear()

    def decode(self, shares: list[Share], threads: int) -> None:
        if not self._open.is_set() and (self._holds_load or not is_of_load(shares)):
            self._held.set()
            assert self._permits.acquire(timeout=GATE_SECONDS), "no test let the step happen"
        if any(self.fails(share) for share in shares):
            raise DecodeFailed("the fake was told to fail")
        assert sum(len(share.tokens) for share in shares) <= self.max_rows
        for share in shares:
            assert share.position == len(self._cache[share.slot]), "positions follow each other"
            self._cache[share.slot] += share.tokens
            self.decoded += len(share.tokens)
        self._outputs = [share.slot for share in shares if share.sampled]

    def choose(self, samplers: list[Sampler]) -> list[Chosen]:
        assert len(samplers) == len(self._outputs)
        assert not any(isinstance(sampler, FakeSampler) and sampler.closed for sampler in samplers)
        return [
            Chosen(token, self.logprob, self._alternatives(token, sampler))
            for token, sampler in zip(
                map(self._next, map(self._cache.__getitem__, self._outputs)), samplers, strict=True
            )
        ]

    def sampler(self, sampling: Sampling) -> Sampler:
        sampler = FakeSampler(sampling)
        self.samplers.append(sampler)
        return sampler

    def close(self) -> None:
        self.closed = True

    def _alternatives(self, token: int, sampler: Sampler) -> tuple[tuple[int, float], ...]:
        """The chosen token and the letters of the alphabet, each less likely than the one before."""
        wanted = sampler.sampling.top_logprobs if isinstance(sampler, FakeSampler) else 0
        others = (each for each in b"abcdefghijklmnopqrstuvwxyz" if each != token)
        return tuple(zip([token, *others][:wanted], (self.logprob - at for at in range(wanted)), strict=True))

    def _next(self, tokens: list[int]) -> int:
        """The next byte of the reply to the last question in the cache."""
        marks = [at for at, token in enumerate(tokens) if token == START]
        if len(marks) < 2:
            return END
        asked = bytes(tokens[marks[-2] + 1 : marks[-1] - 2]).decode()  # before "<|im_end|>\n"
        said = bytes(tokens[marks[-1] + 1 :]).removeprefix(b"assistant\n")
        reply = self.reply(asked.removeprefix("user\n")).encode()
        return reply[len(said)] if len(said) < len(reply) else END


def is_of_load(shares: list[Share]) -> bool:
    """Whether a worker only times its steps, which it does before the first question."""
    return all(share.sequence.id == 0 for share in shares)


def place_of(word: str) -> int:
    """Where a word counts in the vectors of FakeEmbedder."""
    return int.from_bytes(sha256(word.encode()).digest()[:4]) % FakeEmbedder.dimensions


class FakeEmbedder:
    """Hashes words to dimensions: texts with the same words are near each other. Counts what it embedded."""

    dimensions = 64

    def __init__(self, folder: Path, busy: Callable[[], bool] = lambda: False) -> None:
        self.folder = folder
        self.embedded: list[str] = []
        self.stopped = False

    @property
    def model(self) -> str:
        return f"{self.folder.name}:fake"

    loaded = True

    async def load(self) -> None:
        pass

    def check(self) -> None:
        pass

    async def embed_query(self, text: str) -> Matrix:
        return self._vector(text)

    async def embed_urgently(self, texts: Sequence[str]) -> Matrix:
        return np.array([self._vector(text) for text in texts], np.float32)

    async def embed(self, texts: Sequence[str]) -> Matrix:
        self.embedded += texts
        return np.array([self._vector(text) for text in texts], np.float32).reshape(len(texts), self.dimensions)

    async def count(self, texts: Sequence[str]) -> tuple[list[int], int]:
        return [len(words(text)) for text in texts], 256

    async def stop(self) -> None:
        self.stopped = True

    def _vector(self, text: str) -> Matrix:
        vector = np.full(self.dimensions, 1e-3, np.float32)
        for word in words(text):
            if not is_stop_word(word):
                vector[place_of(word)] += 1
        return np.asarray(vector / np.linalg.norm(vector), np.float32)
