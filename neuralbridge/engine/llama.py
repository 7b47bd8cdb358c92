"""llama.cpp through its low-level API. The only file that touches it.

A failed assertion inside ggml ends the whole process, so every size is checked here or in the scheduler before the
call. Calls through ctypes release the GIL: while a step is computed the event loop is free.
"""

import ctypes
import math
import secrets
import sys
from pathlib import Path

import llama_cpp
import numpy as np

from neuralbridge.engine.batch import Copy, Discard, Edit, Park, Share, Trim, Unpark
from neuralbridge.engine.grammar import Constraint, Grammar, GrammarFailed
from neuralbridge.engine.runner import DecodeFailed, Sampler, Stuck, Vocabulary
from neuralbridge.errors import ModelUnusable
from neuralbridge.types import Chosen, Sampling

MAX_ROWS = 512
PARKING_BYTES = 48 * 1024 * 1024  # memory for prefixes outside the cache
State = np.ndarray[tuple[int], np.dtype[np.uint8]]
Logits = np.ndarray[tuple[int], np.dtype[np.float32]]
CANDIDATE = np.dtype(llama_cpp.llama_token_data)
PENALTY_WINDOW = 64  # tokens the repeat penalties look back on, llama.cpp's default


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # llama_cpp's is untyped
def _discard(level: int, text: bytes, user_data: object) -> None:
    """llama.cpp logs every tensor it loads. What matters to an operator comes back as an error code."""


def _use_llama() -> None:
    llama_cpp.llama_log_set(_discard, None)  # the callback must stay referenced, or the process dies
    llama_cpp.llama_backend_init()


class LlamaVocabulary:
    """The vocabulary of a loaded model. llama.cpp only reads it, so every thread may."""

    def __init__(self, model: object) -> None:
        self._vocab = llama_cpp.llama_model_get_vocab(model)
        self.size: int = llama_cpp.llama_vocab_n_tokens(self._vocab)
        adds_first = llama_cpp.llama_vocab_get_add_bos(self._vocab)
        self.first: int | None = llama_cpp.llama_vocab_bos(self._vocab) if adds_first else None
        self._pieces: dict[int, bytes] = {}  # what was asked once: a call gives up the GIL, and it takes time to return
        self._ends: dict[int, bool] = {}

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        raw = text.encode("utf-8", "replace")
        room = len(raw) + 8  # no tokeniser makes more tokens than bytes, but for a space it may put in front
        tokens = (llama_cpp.llama_token * room)()
        amount = llama_cpp.llama_tokenize(self._vocab, raw, len(raw), tokens, room, False, special)
        assert amount >= 0, f"{len(raw)} bytes make {-amount} tokens"
        return tokens[:amount]

    def piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            buffer = ctypes.create_string_buffer(512)
            amount = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, 512, 0, False)
            piece = self._pieces[token] = buffer.raw[: max(amount, 0)]
        return piece

    def is_end(self, token: int) -> bool:
        end = self._ends.get(token)
        if end is None:
            end = self._ends[token] = bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))
        return end

    def template_tokens(self) -> dict[str, str]:
        """The texts of the tokens that chat templates may name."""
        named = {
            "bos_token": llama_cpp.llama_vocab_bos(self._vocab),
            "eos_token": llama_cpp.llama_vocab_eos(self._vocab),
        }
        return {
            name: llama_cpp.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace") if token >= 0 else ""
            for name, token in named.items()
        }


class LlamaSampler:
    """A chain of llama.cpp samplers, in llama.cpp's own order, and what goes before it: a logit bias and a grammar."""

    def __init__(self, sampling: Sampling, vocabulary_size: int) -> None:
        self.top = min(sampling.top_logprobs, vocabulary_size)
        self.biased = np.array([token for token, _ in sampling.logit_bias], np.int64)
        self.biases = np.array([bias for _, bias in sampling.logit_bias], np.float32)
        self.constraint: Constraint | None = None
        if sampling.grammar is not None:
            assert isinstance(sampling.grammar, Grammar)
            self.constraint = sampling.grammar.begin()
        self.plain = self.constraint is None and not sampling.logit_bias
        self.chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        for part in self._parts(sampling, vocabulary_size):
            llama_cpp.llama_sampler_chain_add(self.chain, part)

    @staticmethod
    def _parts(sampling: Sampling, vocabulary_size: int) -> list[object]:
        parts = []
        if sampling.repeat_penalty != 1 or sampling.frequency_penalty or sampling.presence_penalty:
            parts.append(
                llama_cpp.llama_sampler_init_penalties(
                    vocabulary_size,
                    PENALTY_WINDOW,
                    sampling.repeat_penalty,
                    sampling.frequency_penalty,
                    sampling.presence_penalty,
                )
            )
        if sampling.temperature == 0:
            return [*parts, llama_cpp.llama_sampler_init_greedy()]
        seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
        return [
            *parts,
            llama_cpp.llama_sampler_init_top_k(sampling.top_k),
            llama_cpp.llama_sampler_init_top_p(sampling.top_p, 1),
            llama_cpp.llama_sampler_init_min_p(sampling.min_p, 1),
            llama_cpp.llama_sampler_init_temp(sampling.temperature),
            llama_cpp.llama_sampler_init_dist(seed),
        ]

    def choose(self, logits: Logits) -> int:
        """The next token, of those that the grammar allows. Raises GrammarFailed."""
        if self.biased.size:
            logits = logits.copy()
            np.add.at(logits, self.biased, self.biases)
        if self.constraint is None:
            return self._sample(np.arange(logits.size), logits)
        allowed = np.flatnonzero(np.frombuffer(self.constraint.allowed(), np.uint8))
        if not allowed.size:
            raise GrammarFailed("the grammar allows no token")
        token = self._sample(allowed, logits[allowed])
        self.constraint.accept(token)
        return token

    def _sample(self, tokens: "np.ndarray[tuple[int], np.dtype[np.int64]]", logits: Logits) -> int:
        """Let the chain choose among some tokens; `logits` has theirs."""
        candidates = np.zeros(tokens.size, CANDIDATE)
        candidates["id"], candidates["logit"] = tokens, logits
        first = candidates.ctypes.data_as(llama_cpp.llama_token_data_p)
        array = llama_cpp.llama_token_data_array(data=first, size=tokens.size, selected=-1, sorted=False)
        llama_cpp.llama_sampler_apply(self.chain, ctypes.byref(array))
        assert 0 <= array.selected < array.size, "a chain ends with a sampler that chooses"
        token = int(array.data[array.selected].id)
        llama_cpp.llama_sampler_accept(self.chain, token)
        return token

    def close(self) -> None:
        if self.chain is not None:
            llama_cpp.llama_sampler_free(self.chain)  # frees its parts too
            self.chain = None


class LlamaRunner:
    """A model, its context of `cells` cache cells shared by `slots` sequences, and a batch, filled again each step."""

    def __init__(self, path: Path, slots: int, cells: int) -> None:
        _use_llama()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if self._model is None:
            raise ModelUnusable(f"{path}: llama.cpp cannot read this as a model.")
        self._context = llama_cpp.llama_init_from_model(self._model, self._context_parameters(slots, cells))
        if self._context is None:
            llama_cpp.llama_model_free(self._model)
            raise ModelUnusable(f"{path}: no room for a context of {cells:,} tokens; lower n_ctx.")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(MAX_ROWS, 0, 1)
        self._outputs: list[int] = []
        self._threads = 0  # as last set
        self._parked: dict[int, State] = {}
        self.parking = PARKING_BYTES // cell_bytes(self._model)
        vocabulary = LlamaVocabulary(self._model)
        self.vocabulary: Vocabulary = vocabulary
        self._vocabulary_size = vocabulary.size
        self.slots = slots
        self.cells: int = llama_cpp.llama_n_ctx(self._context)
        self.max_rows = MAX_ROWS
        recurrent = llama_cpp.llama_model_is_recurrent(self._model) or llama_cpp.llama_model_is_hybrid(self._model)
        self.can_trim = not recurrent
        template = llama_cpp.llama_model_chat_template(self._model, None)
        self.chat_template: str | None = template.decode("utf-8", "replace") if template else None
        self.template_tokens = vocabulary.template_tokens()

    @staticmethod
    def _context_parameters(slots: int, cells: int) -> object:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_batch = parameters.n_ubatch = MAX_ROWS
        parameters.n_seq_max = slots
        parameters.kv_unified = True
        parameters.swa_full = True  # sliding-window models keep all cells, so that a prefix can be cut and shared
        parameters.no_perf = True
        return parameters

    def edit(self, edit: Edit) -> None:
        match edit:
            case Trim(slot, length):
                removed = llama_cpp.llama_memory_seq_rm(self._memory, slot, length, -1)
                assert removed, "the scheduler trims in part only where can_trim"
            case Copy(source, target, length):
                llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, length)
            case Park(slot, key):
                self._parked[key] = self._state(slot)
            case Unpark(key, slot):
                self._set_state(slot, self._parked[key])
            case Discard(key):
                del self._parked[key]

    def reset(self) -> None:
        llama_cpp.llama_memory_clear(self._memory, False)
        self._parked.clear()

    def _state(self, slot: int) -> State:
        state = np.empty(llama_cpp.llama_state_seq_get_size(self._context, slot), np.uint8)
        written = llama_cpp.llama_state_seq_get_data(self._context, bytes_of(state), state.size, slot)
        assert written == state.size, f"{written} of {state.size} bytes of a sequence's state"
        return state

    def _set_state(self, slot: int, state: State) -> None:
        read = llama_cpp.llama_state_seq_set_data(self._context, bytes_of(state), state.size, slot)
        assert read == state.size, f"{read} of {state.size} bytes of a sequence's state"

    def decode(self, shares: list[Share], threads: int) -> None:
        batch, at = self._batch, 0
        self._outputs = []
        assert sum(len(share.tokens) for share in shares) <= MAX_ROWS
        for share in shares:
            for offset, token in enumerate(share.tokens):
                batch.token[at] = token
                batch.pos[at] = share.position + offset
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = share.slot
                batch.logits[at] = 0
                at += 1
            if share.sampled:
                batch.logits[at - 1] = 1
                self._outputs.append(at - 1)
        batch.n_tokens = at
        if threads != self._threads:
            llama_cpp.llama_set_n_threads(self._context, threads, threads)
            self._threads = threads
        code = llama_cpp.llama_decode(self._context, batch)
        if code != 0:
            if code < 0 or code == 2:  # only 0 and 1 promise that the cache is as it was
                for share in shares:
                    llama_cpp.llama_memory_seq_rm(self._memory, share.slot, share.position, -1)
            raise DecodeFailed(f"llama_decode returned {code} for {at} rows")

    def choose(self, samplers: list[Sampler]) -> list[Chosen | Stuck]:
        chosen: list[Chosen | Stuck] = []
        logits = np.ctypeslib.as_array(
            llama_cpp.llama_get_logits(self._context), shape=(len(self._outputs), self._vocabulary_size)
        )
        for row, output, sampler in zip(logits, self._outputs, samplers, strict=True):
            assert isinstance(sampler, LlamaSampler)
            try:
                token = self._sample(sampler, output) if sampler.plain else sampler.choose(row)
            except GrammarFailed as failure:
                chosen.append(Stuck(f"its grammar failed, {failure}"))
                continue
            total = log_total(row)
            top = likeliest(row, sampler.top, total) if sampler.top else ()
            chosen.append(Chosen(token, float(row[token]) - total, top))
        return chosen

    def _sample(self, sampler: LlamaSampler, output: int) -> int:
        """From all tokens, which llama.cpp does without a detour."""
        token: int = llama_cpp.llama_sampler_sample(sampler.chain, self._context, output)
        return token

    def sampler(self, sampling: Sampling) -> LlamaSampler:
        return LlamaSampler(sampling, self._vocabulary_size)

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


def bytes_of(state: State) -> object:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def cell_bytes(model: object) -> int:
    """Bytes of one token in the cache: a key and a value of 16-bit numbers for each layer and key-value head."""
    head = llama_cpp.llama_model_n_embd(model) // llama_cpp.llama_model_n_head(model)
    return int(4 * llama_cpp.llama_model_n_layer(model) * llama_cpp.llama_model_n_head_kv(model) * head)


def log_total(logits: Logits) -> float:
    """What to take from a logit to have the natural logarithm of its softmax; not a number when the logits are not."""
    highest = float(logits.max())
    return highest + math.log(float(np.exp(logits - highest).sum()))


def likeliest(logits: Logits, amount: int, total: float) -> tuple[tuple[int, float], ...]:
    """The `amount` likeliest tokens and their log-probabilities, best first; of equals the smaller id."""
    found = np.argpartition(-logits, amount - 1)[:amount]
    order = np.lexsort((found, -logits[found]))
    return tuple((int(token), float(logits[token]) - total) for token in found[order])


def _can_load(path: str) -> bool:
    """What the probe's child does: load the weights and let go of them. Without a GPU, whose memory it would take."""
    _use_llama()
    parameters = llama_cpp.llama_model_default_params()
    parameters.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
    if model is not None:
        llama_cpp.llama_model_free(model)
    return model is not None


if __name__ == "__main__":
    sys.exit(0 if _can_load(sys.argv[1]) else 1)
