"""The doorway from handlers to the object graph that `app.py` builds."""

from dataclasses import dataclass

from aiohttp import web

from neuralbridge.assistant.answers import Answers
from neuralbridge.assistant.assistant import Assistant
from neuralbridge.config import Config
from neuralbridge.exchange.transfer import Transfer
from neuralbridge.protocol.handshake import Doors
from neuralbridge.retrieval.library import Library
from neuralbridge.store.cached_answers import CachedAnswers
from neuralbridge.store.conversations import Conversations
from neuralbridge.store.feedback import Feedback
from neuralbridge.store.history import History


@dataclass(slots=True)
class Services:
    """What handlers may use. `doors` is known once the server listens: it has the port."""

    config: Config
    assistant: Assistant
    answers: Answers
    conversations: Conversations
    doors: Doors
    library: Library
    cached: CachedAnswers
    feedback: Feedback
    history: History
    transfer: Transfer


SERVICES = web.AppKey("services", Services)
