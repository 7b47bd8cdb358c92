"""Phoenix frames, both serializers (phoenix-protocol.md section 2): text or bytes to `Frame` and back.

Refs may be any JSON value and come back with value and type unchanged.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

from neuralbridge.protocol.values import values_exceed

Json = Any  # what json.loads gives
MAX_DEPTH = 64  # of nested arrays and objects; deeper input is malformed, so that an echo can always be encoded
FIRST_VALUES = 1_000  # before a join, from anybody: they keep the loop for 2 ms, and a join has a dozen
MOST_VALUES = 10_000  # afterwards: 15 ms; a megabyte of them would be half a second
PUSH, SUPABASE_PUSH = 0, 3


class Malformed(Exception):
    """The input is not a frame; the socket closes with 1011."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. `payload` is bytes when it came as a binary push."""

    join_ref: Json
    ref: Json
    topic: Json
    event: Json
    payload: Json


class Serializer(Protocol):
    def decode(self, text: str, most: int = MOST_VALUES) -> Frame: ...

    def decode_binary(self, raw: bytes, most: int = MOST_VALUES) -> Frame: ...

    def encode(self, frame: Frame) -> str: ...


class V1:
    """Objects with `topic`, `event`, `payload`, `ref`. A binary message is read as the text it holds."""

    def decode(self, text: str, most: int = MOST_VALUES) -> Frame:
        message = parse(text, most)
        if not isinstance(message, dict) or not {"topic", "event", "payload", "ref"} <= message.keys():
            raise Malformed("expected an object with topic, event, payload and ref")
        return Frame(message.get("join_ref"), message["ref"], message["topic"], message["event"], message["payload"])

    def decode_binary(self, raw: bytes, most: int = MOST_VALUES) -> Frame:
        return self.decode(utf8(raw), most)

    def encode(self, frame: Frame) -> str:
        return dump({"topic": frame.topic, "event": frame.event, "payload": frame.payload, "ref": frame.ref})


class V2:
    """Arrays `[join_ref, ref, topic, event, payload]`, and binary pushes."""

    def decode(self, text: str, most: int = MOST_VALUES) -> Frame:
        message = parse(text, most)
        if not isinstance(message, list) or len(message) < 5:
            raise Malformed("expected an array of at least five elements")
        return Frame(*message[:5])

    def decode_binary(self, raw: bytes, most: int = MOST_VALUES) -> Frame:
        if not raw or raw[0] not in (PUSH, SUPABASE_PUSH):
            raise Malformed("expected a binary push")
        if raw[0] == PUSH:
            (join_ref, ref, topic, event), payload = fields(raw, 4)
            return Frame(join_ref or None, ref or None, topic, event, payload)
        # Supabase's user broadcast: its event and payload stand for themselves here
        if len(raw) < 7:
            raise Malformed("truncated")
        (join_ref, ref, topic, event, _), payload = fields(raw, 5, skip=1)
        told = parse(utf8(payload), most) if raw[6] == 1 else payload
        return Frame(join_ref or None, ref or None, topic, event, told)

    def encode(self, frame: Frame) -> str:
        return dump([frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload])


SERIALIZERS: Final[dict[int, Serializer]] = {1: V1(), 2: V2()}


def fields(raw: bytes, amount: int, skip: int = 0) -> tuple[list[str], bytes]:
    """The length-prefixed strings of a binary header (one byte each, after the kind), and what follows them."""
    at = 1 + amount + skip
    values = []
    for size in raw[1 : 1 + amount]:
        values.append(utf8(raw[at : at + size]))
        at += size
    if len(raw) < at or len(raw) < 1 + amount + skip:
        raise Malformed("truncated")
    return values, raw[at:]


def utf8(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error


def parse(text: str, most: int = MOST_VALUES) -> Json:
    """Strict JSON. Python's parser also takes NaN, infinities, lone surrogates, any depth and amount; we do not."""
    if values_exceed(text, most):
        raise Malformed(f"more than {most:,} commas and brackets")
    try:
        value = json.loads(text, parse_constant=reject_constant, parse_float=finite)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, or an integer of thousands of digits
        raise Malformed(str(error)) from error
    if text.count("[") + text.count("{") > MAX_DEPTH and depth_exceeds(value, MAX_DEPTH):
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    if "\\u" in text and has_lone_surrogate(value):
        raise Malformed("a lone surrogate")
    return value


def dump(value: Json) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def same(one: Json, other: Json) -> bool:
    """Equal in value and type: 1, 1.0, "1" and true are four different refs."""
    return dump(one) == dump(other)


def reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is out of range")
    return number


def depth_exceeds(value: Json, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [
            part
            for each in level
            if isinstance(each, list | dict)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def has_lone_surrogate(value: Json) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
