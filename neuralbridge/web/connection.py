"""One client, whatever its transport: its Phoenix session, and a channel for each topic it joined."""

from collections.abc import Callable
from functools import partial

from neuralbridge.access.users import User
from neuralbridge.assistant.answers import Answers
from neuralbridge.errors import BridgeError, RateLimited
from neuralbridge.protocol import pushes
from neuralbridge.protocol.frames import MOST_VALUES
from neuralbridge.protocol.handshake import present
from neuralbridge.protocol.requests import LONGEST_SESSION_ID, JoinRequest
from neuralbridge.protocol.session import Channel, Event, JoinRequested, Left, Received, Replaced, Session
from neuralbridge.store.conversations import Conversation, Conversations
from neuralbridge.store.feedback import Feedback
from neuralbridge.web.channel import ProxyChannel
from neuralbridge.web.visitor import Visitor, why

UNCOUNTED = ("ping",)  # signs of life


class Connection:
    """`send` takes text frames, must not block, and is called in the order the client is to see them.

    Who `visitor` is was said when it connected, or is said in its joins; each may be somebody else's.
    """

    def __init__(
        self,
        version: int,
        user_id: str | None,
        visitor: Visitor,
        answers: Answers,
        conversations: Conversations,
        feedback: Feedback,
        send: Callable[[list[str]], None],
    ) -> None:
        self._session = Session(version)
        self._user_id = user_id
        self._visitor = visitor
        self._answers = answers
        self._conversations = conversations
        self._feedback = feedback
        self._send = send
        self._channels: dict[Channel, ProxyChannel] = {}

    async def receive(self, message: str | bytes) -> None:
        """Act on one message. Raises Malformed."""
        if isinstance(message, str):
            events = self._session.receive_text(message)
        else:
            events = self._session.receive_binary(message)
        self._flush()
        for event in events:
            await self._act(event)

    def close(self) -> None:
        """The client is gone. Its answers go on."""
        self._visitor.close()
        for channel in self._channels.values():
            channel.drop()
        self._channels.clear()

    async def _act(self, event: Event) -> None:
        match event:
            case JoinRequested():
                self._join(event)
            case Received(channel):
                await self._hear(event)
            case Left(channel):
                self._channels.pop(channel).leave()
            case Replaced(channel):
                self._channels.pop(channel).drop()

    async def _hear(self, received: Received) -> None:
        channel = self._channels[received.channel]
        try:
            if received.event not in UNCOUNTED:
                self._visitor.spoke(channel.user)
        except RateLimited as error:
            self._push(received.channel, "error", pushes.error_push(error, ref=received.ref).payload())
            return
        await channel.receive(received)

    def _join(self, join: JoinRequested) -> None:
        session_id = join.channel.session_id
        if not isinstance(join.payload, dict):
            self._session.refuse(join, "join crashed")
        elif len(session_id) > LONGEST_SESSION_ID or "\0" in session_id:
            self._session.refuse(join, "failed_to_start_conversation")
        else:
            wanted = JoinRequest.model_validate(join.payload)
            try:
                user = self._visitor.admit(present(wanted.auth_token))
                self._visitor.spoke(user)
            except BridgeError as error:
                self._session.refuse(join, why(error))
            else:
                self._open(join, wanted, user)
        self._flush()

    def _open(self, join: JoinRequested, wanted: JoinRequest, user: User) -> None:
        channel = join.channel
        self._session.most_values = MOST_VALUES  # also while the reply is on its way
        handler = ProxyChannel(
            user,
            Conversation(user.name, channel.session_id),
            self._answers,
            self._conversations,
            self._feedback,
            push=partial(self._push, channel),
            crashed=partial(self._crash, channel),
        )

        def accept(response: dict[str, object]) -> None:
            for event in self._session.accept(join, response):
                assert isinstance(event, Replaced)
                self._channels.pop(event.channel).drop()
            self._channels[channel] = handler

        handler.join(wanted, self._user_id, accept)

    def _push(self, channel: Channel, event: str, payload: dict[str, object]) -> None:
        self._session.push(channel, event, payload)
        self._flush()

    def _crash(self, channel: Channel) -> None:
        self._channels.pop(channel, None)
        self._session.crash(channel)
        self._flush()

    def _flush(self) -> None:
        frames = self._session.frames_to_send()
        if frames:
            self._send(frames)
