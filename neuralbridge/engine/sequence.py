"""One generation in the making: its tokens, how the next one is chosen, and the text they make. Pure."""

from neuralbridge.engine.text import TextStream
from neuralbridge.types import Chosen, Finish, FinishReason, Piece, Reading, Sampling


class Sequence:
    """Tokens of a prompt and of the answer so far. Ids grow, so the smaller id is the older sequence.

    `owner` is the user it is of; what was computed of the prompt's first `shared` tokens may serve any owner.
    """

    def __init__(self, id: int, prompt: list[int], sampling: Sampling, owner: str = "", shared: int = 0) -> None:
        self.id = id
        self.owner = owner
        self.shared = min(shared, len(prompt))  # never of an answer
        self.tokens = list(prompt)
        self.prompt_tokens = len(prompt)
        self.sampling = sampling
        self._cached_tokens: int | None = None
        self._text = TextStream(sampling.stop)

    @property
    def completion_tokens(self) -> int:
        return len(self.tokens) - self.prompt_tokens

    def admitted(self, cached_tokens: int) -> None:
        """Note how much of the prompt was found computed. What a paused sequence finds of itself does not count."""
        if self._cached_tokens is None:
            self._cached_tokens = cached_tokens

    def reading(self, computed: int) -> list[Reading]:
        """How far the prompt is read. What is paused in mid-answer is read again, and says nothing of that."""
        return [] if self.completion_tokens else [Reading(computed, self.prompt_tokens)]

    def append(self, chosen: Chosen, piece: bytes | None) -> list[Piece | Finish]:
        """Take the next token; `piece` is its bytes, None for an end token. Returns what that makes known.

        The end token counts as a completion token: the model computed it, and its probability is part of the answer's.
        """
        self.tokens.append(chosen.token)
        text = self._text.feed(piece) if piece is not None else self._text.flush()
        if piece is None or self._text.stopped:
            return [Piece(text, (chosen,)), self.finish("stop")]
        if self.completion_tokens >= self.sampling.max_tokens:
            return [Piece(text + self._text.flush(), (chosen,)), self.finish("length")]
        return [Piece(text, (chosen,))]

    def cut(self, reason: FinishReason) -> list[Piece | Finish]:
        """End here, with the text that was still held back."""
        return [Piece(self._text.flush(), ()), self.finish(reason)]

    def finish(self, reason: FinishReason) -> Finish:
        return Finish(reason, self.prompt_tokens, self._cached_tokens or 0, self.completion_tokens)


def age(sequence: Sequence) -> int:
    return sequence.id
