"""Grammars: what an answer may go on with, so that it conforms to a JSON Schema. The only file that knows llguidance.

llguidance says which tokens are allowed; it aborts nothing and raises nothing, but a matcher that met an error allows
only the end of the answer from then on, so each call is followed by a question whether that happened.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Self, TypeVar

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from neuralbridge.engine.runner import Vocabulary
from neuralbridge.engine.schema import Schema, check, narrowed
from neuralbridge.errors import SchemaRefused

T = TypeVar("T")

ANY_OBJECT: Schema = {"type": "object"}
# One space after a comma or a colon, as models have read most JSON, or none. With more, small ones run away in it.
COMMA, COLON = ", ?", ": ?"
QUOTE, BACKSLASH, POINT, DIGITS = *b'"\\.', b"0123456789"
# To a small model, a third is 0.3333 without an end. With more digits than a double keeps, 0.1000000000000000001 would
# be above 0.1 to a grammar, and the same to whoever reads it.
MAX_DIGITS, MAX_WITH_DECIMALS = 20, 14  # and then one more, where a bound needs it
LIBRARY_OPTIONS = "x-guidance"  # a keyword by which a schema could make llguidance overlook others
FORCED_STEPS = 8  # of a new grammar are tried, to see whether it leads anywhere
PATTERNS_KEPT = 256
MAX_MESSAGE, MAX_PATTERN = 300, 100


class GrammarFailed(Exception):
    """The grammar cannot go on: it became too large, or a token was to be accepted that it does not allow."""


class Number:
    """How many digits the number has with which a JSON text ends so far. Those within strings do not count."""

    def __init__(self) -> None:
        self.digits = 0
        self._has_point = False
        self._in_string = False
        self._escaped = False

    def feed(self, piece: bytes) -> None:
        for byte in piece:
            if self._in_string:
                self._in_string = self._escaped or byte != QUOTE
                self._escaped = not self._escaped and byte == BACKSLASH
            else:
                self._in_string = byte == QUOTE
                self._has_point = byte == POINT or (self._has_point and byte in DIGITS)
                self.digits = self.digits + (byte in DIGITS) if self._has_point or byte in DIGITS else 0

    @property
    def long(self) -> bool:
        """Whether more digits would make it no better."""
        return self.digits >= (MAX_WITH_DECIMALS if self._has_point else MAX_DIGITS)


class Constraint:
    """The place of one sequence in its grammar. It sees generated tokens only."""

    def __init__(self, matcher: LLMatcher, tokens: "Tokens") -> None:
        self._matcher = matcher
        self._tokens = tokens
        self._number = Number()

    def allowed(self) -> bytes:
        """A byte for each token of the vocabulary, zero where it may not come next. Raises GrammarFailed."""
        allowed = self._do(self._matcher.compute_logit_bias)
        return self._shortened(allowed) if self._number.long else allowed

    def accept(self, token: int) -> None:
        """Go on behind a token. Raises GrammarFailed."""
        self._do(lambda: self._matcher.consume_token(token))
        self._number.feed(self._tokens.tokens[token])

    def _shortened(self, allowed: bytes) -> bytes:
        """Let a number end. Where the schema wants more of it, let it go where it can end: zeros make no multiple."""
        without = self._tokens.without_digits(allowed)
        if any(without):
            return without
        last = {token for token in self._tokens.single_digits if allowed[token] and self._may_end_after(token)}
        return bytes(may if token in last else 0 for token, may in enumerate(allowed)) if last else allowed

    def _may_end_after(self, token: int) -> bool:
        ahead = self._matcher.deep_copy()
        return ahead.consume_token(token) and any(self._tokens.without_digits(ahead.compute_logit_bias()))

    def _do(self, step: Callable[[], T]) -> T:
        try:
            done = step()
        except BaseException as error:  # a panic in Rust is not even an Exception, and still this sequence's alone
            raise GrammarFailed(first_words(str(error))) from error
        if self._matcher.is_error():
            raise GrammarFailed(first_words(self._matcher.get_error()))
        return done


class Grammar:
    """A compiled JSON Schema, for one vocabulary. Any number of sequences begin with it."""

    def __init__(self, schema: str, tokens: "Tokens", matcher: LLMatcher) -> None:
        self.schema = schema
        self._tokens = tokens
        self._matcher = matcher

    @property
    def vocabulary(self) -> Vocabulary:
        return self._tokens.vocabulary

    def begin(self) -> Constraint:
        return Constraint(self._matcher.deep_copy(), self._tokens)

    def __deepcopy__(self, memo: object) -> Self:
        """Nothing of it changes, and what is compiled cannot be copied by Python."""
        return self


class Compiler:
    """Makes grammars for a vocabulary. Blocking, up to seconds for a large schema: call it on a thread."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokens: Tokens | None = None  # they take up to a second, so they wait for the first schema

    def compile(self, schema: Schema | bool | None) -> Grammar:
        """None stands for any JSON object. Raises SchemaRefused."""
        if schema is False:
            raise SchemaRefused("The schema is false: no answer conforms to it.")
        wanted = ANY_OBJECT if schema is None else {} if schema is True else schema
        check(wanted)
        if self._tokens is None:
            self._tokens = Tokens(self._vocabulary)
        matcher = self._tokens.matcher(narrowed(wanted))
        try_out(matcher.deep_copy())
        return Grammar(json.dumps(wanted), self._tokens, matcher)


class Tokens:
    """A vocabulary as llguidance wants it: the bytes of every token, and a way from text to tokens.

    Raises SchemaRefused for a vocabulary without an end token.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        ends = [token for token in range(vocabulary.size) if vocabulary.is_end(token)]
        if not ends:
            raise SchemaRefused("This model has no token that ends an answer, so it cannot be held to a schema.")
        self.eos_token_id = ends[0]
        self.bos_token_id = vocabulary.first
        self.tokens = [vocabulary.piece(token) for token in range(vocabulary.size)]
        # Control tokens stand for no text, and no text is to become one
        self.special_token_ids = sorted({*ends, *(token for token, piece in enumerate(self.tokens) if not piece)})
        self.digits = [token for token, piece in enumerate(self.tokens) if piece[:1].isdigit()]
        self.single_digits = [token for token in self.digits if len(self.tokens[token]) == 1]
        self._by_bytes = {piece: token for token, piece in enumerate(self.tokens) if piece}
        self._longest = max(map(len, self._by_bytes), default=0)
        self._tokenizer = LLTokenizer(
            TokenizerWrapper(self), n_vocab=vocabulary.size, eos_token=ends, slices=LLTokenizer.json_slices()
        )

    def without_digits(self, allowed: bytes) -> bytes:
        shorter = bytearray(allowed)
        for token in self.digits:
            shorter[token] = 0
        return bytes(shorter)

    def matcher(self, schema: Schema) -> LLMatcher:
        """At the beginning of what conforms to a schema. Raises SchemaRefused."""
        alone = {keyword: value for keyword, value in schema.items() if keyword != LIBRARY_OPTIONS}
        try:
            source = LLMatcher.grammar_from_json_schema(
                json.dumps(alone),
                overrides={"whitespace_flexible": False, "item_separator": COMMA, "key_separator": COLON},
            )
        except ValueError as error:
            raise SchemaRefused(f"The schema cannot be read: {first_words(str(error))}.") from None
        matcher = LLMatcher(self._tokenizer, source, log_level=0)
        if matcher.is_error():
            raise SchemaRefused(f"The schema is not supported: {first_words(matcher.get_error())}.")
        return matcher

    def __call__(self, text: bytes) -> list[int]:
        """Token ids of exactly this text. Some models put a space in front, which no grammar would allow."""
        tokens = self.vocabulary.tokenize(text.decode("utf-8", "replace"), special=False)
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
        message = f"the pattern {pattern['pattern'].strip():.{MAX_PATTERN}}: {pattern['why']}"
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
    return bytes_alone().matcher({"type": "string", "pattern": pattern})


@lru_cache(1)
def bytes_alone() -> Tokens:
    return Tokens(Bytes())


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of a schema is found in a text, in time that grows with the text only."""
    matcher = matcher_of(pattern).deep_copy()
    quoted = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
    return matcher.consume_tokens([*quoted]) and matcher.is_accepting()
