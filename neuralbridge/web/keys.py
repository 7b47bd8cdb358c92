"""The doorway from handlers to the object graph that `app.py` builds."""

import time
from dataclasses import dataclass, field

from aiohttp import web

from neuralbridge.access.gate import Gate
from neuralbridge.access.rates import Rates
from neuralbridge.assistant.answers import Answers
from neuralbridge.assistant.assistant import Assistant
from neuralbridge.assistant.completions import Completions
from neuralbridge.assistant.forgetting import Forgetter
from neuralbridge.assistant.metrics import Metrics
from neuralbridge.assistant.models import Models
from neuralbridge.catalog.names import Names
from neuralbridge.config import Config
from neuralbridge.exchange.transfer import Transfer
from neuralbridge.protocol.handshake import Doors
from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.watcher import Watcher
from neuralbridge.settings import Settings
from neuralbridge.store.cached_answers import CachedAnswers
from neuralbridge.store.conversations import Conversations
from neuralbridge.store.feedback import Feedback
from neuralbridge.store.history import History


@dataclass(slots=True)
class Services:
    """What handlers may use. `doors` is known once the server listens: it has the port."""

    config: Config
    settings: Settings
    models: Models
    assistant: Assistant
    answers: Answers
    completions: Completions
    conversations: Conversations
    doors: Doors
    gate: Gate
    rates: Rates
    library: Library
    watcher: Watcher
    cached: CachedAnswers
    feedback: Feedback
    forgetter: Forgetter
    history: History
    transfer: Transfer
    metrics: Metrics
    started_at: int = field(default_factory=lambda: int(time.time()))  # Unix time

    @property
    def names(self) -> Names:
        """As they apply now: the configuration may be edited meanwhile."""
        return self.settings.applied.names


SERVICES = web.AppKey("services", Services)
