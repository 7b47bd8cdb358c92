"""The doorway from handlers to the object graph that `app.py` builds."""

from dataclasses import dataclass

from aiohttp import web

from neuralbridge.assistant.answers import Answers
from neuralbridge.assistant.assistant import Assistant
from neuralbridge.config import Config
from neuralbridge.protocol.handshake import Doors
from neuralbridge.retrieval.library import Library
from neuralbridge.settings import Settings
from neuralbridge.store.cached_answers import CachedAnswers
from neuralbridge.store.conversations import Conversations
from neuralbridge.store.feedback import Feedback


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
    settings: Settings


SERVICES = web.AppKey("services", Services)
