"""Grammars: what an answer may go on with, so that it conforms to a JSON Schema. The only file that knows llguidance.

llguidance says which tokens are allowed; it aborts nothing and raises nothing, but a matcher that met an error allows
only the end of the answer from then on, so each call is followed by a question whether that happened.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Self

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from neuralbridge.engine.runner import Vocabulary
from neuralbridge.engine.schema import Schema, check, narrowed
from neuralbridge.errors import SchemaRefused

ANY_OBJECT: Schema = {"type": "object"}
# One space after a comma or a colon, as models have read most JSON, or none. With more, small ones run away in it.
COMMA, COLON = ", ?", ": ?"
FORCED_STEPS = 8  # of a new grammar are tried, to see whether it leads anywhere
PATTERNS_KEPT = 256
MAX_MESSAGE = 300


class GrammarFailed(Exception):
    """The grammar cannot go on: it became too large, or a token was to be accepted that it does not allow."""


class Constraint:
    """The place of one sequence in its grammar. It sees generated tokens only."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def allowed(self) -> bytes:
        """A byte for each token of the vocabulary, zero where it may not come next. Raises GrammarFailed."""
        allowed = self._matcher.compute_logit_bias()
        self._raise_failure()
        return allowed

    def accept(self, token: int) -> None:
        """Go on behind a token. Raises GrammarFailed."""
        self._matcher.consume_token(token)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._matcher.is_error():
            raise GrammarFailed(first_words(self._matcher.get_error()))


class Grammar:
    """A compiled JSON Schema, for one vocabulary. Any number of sequences begin with it."""

    def __init__(self, schema: str, vocabulary: Vocabulary, matcher: LLMatcher) -> None:
        self.schema = schema
        self.vocabulary = vocabulary
        self._matcher = matcher

    def begin(self) -> Constraint:
        return Constraint(self._matcher.deep_copy())

    def __deepcopy__(self, memo: object) -> Self:
        """Nothing of it changes, and what is compiled cannot be copied by Python."""
        return self


class Compiler:
    """Makes grammars for a vocabulary. Blocking, up to seconds for a large schema: call it on a thread."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer: LLTokenizer | None = None  # takes half a second, so it waits for the first schema

    def compile(self, schema: Schema | bool | None) -> Grammar:
        """None stands for any JSON object. Raises SchemaRefused."""
        if schema is False:
            raise SchemaRefused("The schema is false: no answer conforms to it.")
        wanted = ANY_OBJECT if schema is None else {} if schema is True else schema
        check(wanted)
        if self._tokenizer is None:
            self._tokenizer = LLTokenizer(
                TokenizerWrapper(Tokens(self._vocabulary)),
                n_vocab=self._vocabulary.size,
                eos_token=ends_of(self._vocabulary),
                slices=LLTokenizer.json_slices(),
            )
        matcher = compiled(narrowed(wanted), self._tokenizer)
        try_out(matcher.deep_copy())
        return Grammar(json.dumps(wanted), self._vocabulary, matcher)


class Tokens:
    """A vocabulary as llguidance wants it: the bytes of every token, and a way from text to tokens."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        ends = ends_of(vocabulary)
        self.eos_token_id = ends[0]
        self.bos_token_id = vocabulary.first
        self.tokens = [vocabulary.piece(token) for token in range(vocabulary.size)]
        # Control tokens stand for no text, and no text is to become one
        self.special_token_ids = sorted({*ends, *(token for token, piece in enumerate(self.tokens) if not piece)})
        self._vocabulary = vocabulary
        self._by_bytes = {piece: token for token, piece in enumerate(self.tokens) if piece}
        self._longest = max(map(len, self._by_bytes), default=0)

    def __call__(self, text: bytes) -> list[int]:
        """Token ids of exactly this text. Some models put a space in front, which no grammar would allow."""
        tokens = self._vocabulary.tokenize(text.decode("utf-8", "replace"), special=False)
        if b"".join(self.tokens[token] for token in tokens) == text:
            return tokens
        return [*self._greedily(text)]

    def _greedily(self, text: bytes) -> Iterator[int]:
        """The longest token first, as far as there are any."""
        at = 0
        while at < len(text):
            longest = min(self._longest, len(text) - at)
            length = next((n for n in range(longest, 0, -1) if text[at : at + n] in self._by_bytes), 0)
            if length == 0:
                return
            yield self._by_bytes[text[at : at + length]]
            at += length


def ends_of(vocabulary: Vocabulary) -> list[int]:
    """The tokens that end an answer. Raises SchemaRefused where there are none."""
    ends = [token for token in range(vocabulary.size) if vocabulary.is_end(token)]
    if not ends:
        raise SchemaRefused("This model has no token that ends an answer, so it cannot be held to a schema.")
    return ends


def compiled(schema: Schema, tokenizer: LLTokenizer) -> LLMatcher:
    """A matcher at its beginning. Raises SchemaRefused."""
    try:
        source = LLMatcher.grammar_from_json_schema(
            json.dumps(schema),
            overrides={"whitespace_flexible": False, "item_separator": COMMA, "key_separator": COLON},
        )
    except ValueError as error:
        raise SchemaRefused(f"The schema cannot be read: {first_words(str(error))}.") from None
    matcher = LLMatcher(tokenizer, source, log_level=0)
    if matcher.is_error():
        raise SchemaRefused(f"The schema is not supported: {first_words(matcher.get_error())}.")
    return matcher


def try_out(matcher: LLMatcher) -> None:
    """Go where the grammar leaves no choice. Raises SchemaRefused when that leads nowhere."""
    for _ in range(FORCED_STEPS):
        allowed = matcher.compute_logit_bias()
        if matcher.is_error():
            raise SchemaRefused(f"The schema is not supported: {first_words(matcher.get_error())}.")
        if not any(allowed):
            raise SchemaRefused("No answer conforms to the schema.")
        forced = matcher.compute_ff_tokens()
        if not forced or matcher.is_stopped():
            return
        matcher.consume_tokens(forced)


def first_words(message: str) -> str:
    """What llguidance has to say, without the state and the grammar that follow, and in words of this house."""
    message = message.partition("\n<state>")[0].strip()
    pattern = re.match(r"regex parse error:\s*(?P<pattern>.*?)\n.*error: (?P<why>.*)", message, re.DOTALL)
    if pattern:
        message = f"the pattern {pattern['pattern'].strip()}: {pattern['why']}"
    if message.startswith("oneOf constraints"):
        message = "oneOf whose alternatives may hold at once (anyOf is supported)"
    return " ".join(message.split())[:MAX_MESSAGE].rstrip(".")


class Bytes:
    """The smallest vocabulary: a token for each byte, and an end."""

    size = 257
    first: int | None = None

    def tokenize(self, text: str, *, special: bool) -> list[int]:  # noqa: ARG002  # there is nothing special
        return [*text.encode()]

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""

    def is_end(self, token: int) -> bool:
        return token == 256


@lru_cache(PATTERNS_KEPT)
def matcher_of(pattern: str) -> LLMatcher:
    return compiled({"type": "string", "pattern": pattern}, byte_tokenizer())


@lru_cache(1)
def byte_tokenizer() -> LLTokenizer:
    return LLTokenizer(TokenizerWrapper(Tokens(Bytes())), n_vocab=Bytes.size, eos_token=[256], slices=[])


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of a schema is found in a text, in time that grows with the text only."""
    matcher = matcher_of(pattern).deep_copy()
    quoted = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
    return matcher.consume_tokens([*quoted]) and matcher.is_accepting()
