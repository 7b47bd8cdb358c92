"""What people say of answers. A bad word also takes an answer out of the cache."""

from neuralbridge.store.cached_answers import CachedAnswers
from neuralbridge.store.feedback import Feedback, Rating


class Ratings:
    """Takes ratings."""

    def __init__(self, feedback: Feedback, cached: CachedAnswers) -> None:
        self._feedback = feedback
        self._cached = cached

    async def put(self, owner: str, message: str, rating: int, comment: str) -> Rating:
        """Rate an answer: 1, -1 or 0. Raises NotFound when the owner has no such answer."""
        rated = await self._feedback.put(owner, message, rating, comment)
        if rating < 0:
            await self._cached.drop_message(message)
        return rated
