"""One socket's Phoenix session as a state machine (phoenix-protocol.md section 3). Pure.

Feed it what arrives and act on the events it returns; send what `frames_to_send` hands out, in order. Heartbeats,
leaves, stale refs and unknown topics are dealt with inside.
"""

from dataclasses import dataclass

from neuralbridge.protocol.frames import FIRST_VALUES, SERIALIZERS, Frame, Json, same

TOPIC = "proxy:"
SUPABASE_PREFIX = "realtime:"  # Supabase's client puts it before every topic
MAX_CHANNELS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """A joined topic. `join_ref` is as the client sent it; pushes carry `push_ref`, which is never null."""

    topic: str
    session_id: str
    join_ref: Json
    push_ref: Json


@dataclass(frozen=True, slots=True)
class JoinRequested:
    """A client wants in: answer with `Session.accept` or `Session.refuse` before feeding anything else."""

    channel: Channel
    ref: Json
    payload: Json


@dataclass(frozen=True, slots=True)
class Received:
    """An event on a joined channel."""

    channel: Channel
    event: Json
    ref: Json
    payload: Json


@dataclass(frozen=True, slots=True)
class Left:
    """The client left the channel on purpose; the replies are on their way."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Replaced:
    """A newer join of the same topic has taken the channel's place."""

    channel: Channel


Event = JoinRequested | Received | Left | Replaced


class Session:
    """`version` is the serializer's, 1 or 2. Raises Malformed on input that is not a frame."""

    def __init__(self, version: int) -> None:
        self.most_values = FIRST_VALUES
        self._serializer = SERIALIZERS[version]
        self._channels: dict[str, Channel] = {}
        self._outgoing: list[str] = []

    @property
    def channels(self) -> list[Channel]:
        return list(self._channels.values())

    def receive_text(self, text: str) -> list[Event]:
        return self._receive(self._serializer.decode(text, self.most_values))

    def receive_binary(self, raw: bytes) -> list[Event]:
        return self._receive(self._serializer.decode_binary(raw, self.most_values))

    def frames_to_send(self) -> list[str]:
        frames, self._outgoing = self._outgoing, []
        return frames

    def accept(self, join: JoinRequested, response: Json) -> list[Event]:
        """Let the client in. A channel that it joined before under this topic makes room."""
        channel = join.channel
        old = self._channels.get(channel.topic)
        self._channels[channel.topic] = channel
        self._reply(channel.join_ref, join.ref, channel.topic, "ok", response)
        if old is None:
            return []
        # Clients read a phx_close without a join_ref, or with the new one, as closing the new channel, for good.
        if old.join_ref is not None and not same(old.join_ref, channel.join_ref):
            self._send(Frame(old.join_ref, old.join_ref, old.topic, "phx_close", {}))
        return [Replaced(old)]

    def refuse(self, join: JoinRequested, reason: str) -> None:
        self._reply(join.channel.join_ref, join.ref, join.channel.topic, "error", {"reason": reason})

    def push(self, channel: Channel, event: str, payload: Json) -> None:
        """Send an event on a channel; once the channel is left or replaced nothing is sent for it any more."""
        if self.is_open(channel):
            self._send(Frame(channel.push_ref, None, channel.topic, event, payload))

    def crash(self, channel: Channel) -> None:
        """Our fault: the channel ends, the client is told and will join again."""
        if self.is_open(channel):
            del self._channels[channel.topic]
            self._send(
                Frame(channel.join_ref, channel.join_ref, channel.topic, "phx_error", {"reason": "channel_crash"})
            )

    def is_open(self, channel: Channel) -> bool:
        return self._channels.get(channel.topic) is channel

    # Dispatch, in the order of section 3.1

    def _receive(self, frame: Frame) -> list[Event]:
        channel = self._channels.get(frame.topic) if isinstance(frame.topic, str) else None
        if frame.topic == "phoenix" and frame.event == "heartbeat":
            self._reply(None, frame.ref, frame.topic, "ok", {})
            return []
        if frame.event == "phx_join":
            return self._join(frame)
        if channel is not None:
            # socket.ex: a null join_ref is taken, a stale one is dropped without a word
            if frame.join_ref is not None and not same(frame.join_ref, channel.join_ref):
                return []
            if frame.event == "phx_leave":
                return self._leave(channel, frame)
            return [Received(channel, frame.event, frame.ref, frame.payload)]
        if frame.event == "phx_leave":  # leaving is idempotent
            self._reply(frame.join_ref, frame.ref, frame.topic, "ok", {})
            return []
        self._reply(None, frame.ref, frame.topic, "error", {"reason": "unmatched topic"})
        return []

    def _join(self, frame: Frame) -> list[Event]:
        session_id = session_of(frame.topic)
        if session_id is None:
            # The client's join_ref is echoed: one official client waits ten seconds for a reply that carries it.
            return self._refuse(frame, "unmatched topic")
        if session_id == "":
            return self._refuse(frame, "invalid_session_id")
        if frame.topic not in self._channels and len(self._channels) >= MAX_CHANNELS:
            return self._refuse(frame, "too many channels joined")
        push_ref = frame.ref if frame.join_ref is None else frame.join_ref
        channel = Channel(frame.topic, session_id, frame.join_ref, push_ref)
        return [JoinRequested(channel, frame.ref, frame.payload)]

    def _refuse(self, frame: Frame, reason: str) -> list[Event]:
        self._reply(frame.join_ref, frame.ref, frame.topic, "error", {"reason": reason})
        return []

    def _leave(self, channel: Channel, frame: Frame) -> list[Event]:
        del self._channels[channel.topic]
        self._reply(channel.push_ref, frame.ref, channel.topic, "ok", {})
        self._send(Frame(channel.join_ref, channel.join_ref, channel.topic, "phx_close", {}))
        return [Left(channel)]

    def _reply(self, join_ref: Json, ref: Json, topic: Json, status: str, response: Json) -> None:
        self._send(Frame(join_ref, ref, topic, "phx_reply", {"status": status, "response": response}))

    def _send(self, frame: Frame) -> None:
        self._outgoing.append(self._serializer.encode(frame))


def session_of(topic: Json) -> str | None:
    """The session id that a topic names, None when no such channel exists."""
    if not isinstance(topic, str):
        return None
    topic = topic.removeprefix(SUPABASE_PREFIX)
    return topic.removeprefix(TOPIC) if topic.startswith(TOPIC) else None
