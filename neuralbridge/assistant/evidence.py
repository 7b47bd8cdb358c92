"""Whether a question is one for the user's documents, and which passages go with it."""

from dataclasses import dataclass

from neuralbridge.assistant.answerable import answerable
from neuralbridge.assistant.context import Source, source_of
from neuralbridge.assistant.curves import curves
from neuralbridge.assistant.language import in_portuguese
from neuralbridge.assistant.metrics import Metrics
from neuralbridge.errors import DocumentsUnavailable
from neuralbridge.retrieval.library import Library
from neuralbridge.retrieval.query import terms
from neuralbridge.sections import Documents
from neuralbridge.types import Retrieval
from neuralbridge.words import COURTESIES, REFERRING, fold, words

PASSAGES = 5  # at the most, for one question
NEAREST = 3  # named when there is no evidence
FEW_WORDS = 2  # of a question that have a meaning of their own
SAME_SUBJECT = 0.35  # a passage so much less relevant than the best is about something else

FOLDED_COURTESIES = frozenset(map(fold, COURTESIES))


@dataclass(frozen=True, slots=True)
class Evidence:
    """`passages` fit the question, the best first; `nearest` are the best there are, whether they fit or not.

    `answerable`: how probable it is that they answer it, None where that cannot be said; `looked`: documents were
    looked through for it; `settled`: doing so again would find the same; `nothing_there`: there was nothing to look
    through.
    """

    passages: tuple[Source, ...] = ()
    nearest: tuple[Source, ...] = ()
    answerable: float | None = None
    looked: bool = False
    settled: bool = True
    nothing_there: bool = False

    @property
    def strength(self) -> float:
        """How probable it is that they answer the question, as far as can be said."""
        best = max((source.score for source in self.passages), default=0.0)
        return best if self.answerable is None else self.answerable

    @property
    def sufficient(self) -> bool:
        """Whether there is enough to answer from documents alone."""
        enough: float = curves()["answerable"]["from"]
        return bool(self.passages) and (self.answerable is None or self.answerable >= enough)


class Witness:
    """Asks the library on behalf of a question."""

    def __init__(self, library: Library, settings: Documents, metrics: Metrics) -> None:
        self._library = library
        self._metrics = metrics
        self._settings = settings

    @property
    def ways(self) -> tuple[bool, float]:
        """The settings that decide what evidence there is."""
        return self._settings.enabled, self._settings.threshold

    async def evidence(self, query: str, before: str | None, retrieval: Retrieval, owner: str) -> Evidence:
        """Passages for an owner's question. `before` is the one before it, which a follow-up may need to be understood.

        Raises DocumentsUnavailable when documents are insisted on and not set up.
        """
        if retrieval == "off" or not self._settings.enabled:
            if retrieval == "strict":
                raise DocumentsUnavailable("Documents are switched off in config.yaml (documents: enabled).")
            return Evidence()
        try:
            found = await self._search(query, owner, patient=retrieval == "strict")
            if not found.passages and before is not None and follows_up(query):
                again = await self._search(f"{before} {query}", owner, patient=retrieval == "strict")
                found = again if again.passages else found
        except DocumentsUnavailable:
            if retrieval == "strict":
                raise
            return Evidence(looked=True, settled=False)
        return found

    async def _search(self, query: str, owner: str, patient: bool) -> Evidence:
        with self._metrics.searching():
            search = await self._library.search(query, PASSAGES, owner, signs=False, patient=patient)
        results = search.results
        best = results[0].score if results else 0.0
        threshold = max(self._settings.threshold, best - SAME_SUBJECT)
        sources = [source_of(found) for found in results]
        fitting = tuple(source for source in sources if source.score >= threshold)
        settled = search.by_meaning or not search.candidates
        nearest = tuple(sources[:NEAREST])
        return Evidence(fitting, nearest, answerable(query, results), True, settled, search.nothing_there)


def follows_up(query: str) -> bool:
    """Whether a question can hardly be understood without the one before it."""
    asked = [word for word in words(query) if word not in FOLDED_COURTESIES]
    return bool(asked) and (len(terms(query)) <= FEW_WORDS or any(word in REFERRING for word in asked))


def no_evidence(query: str, evidence: Evidence) -> str:
    """The answer when documents are insisted on and have none: it says so, and names the nearest passages."""
    portuguese = in_portuguese(query)
    if evidence.nothing_there:
        alone = "Você ainda não tem documentos em que uma resposta possa se apoiar."
        return alone if portuguese else "You have no documents yet that an answer could rest on."
    said = "Os seus documentos não respondem a isto." if portuguese else "Your documents do not answer this."
    if not evidence.nearest:
        return said
    closest = "O que há de mais próximo:" if portuguese else "The nearest passages in them:"
    page = "página" if portuguese else "page"
    lines = []
    for source in evidence.nearest:
        where = [source.source_document, *([f"{page} {source.page}"] if source.page else [])]
        where += [source.heading] if source.heading else []
        lines.append(f"- {', '.join(where)}: {beginning(source.text)}")
    return "\n".join([said, "", closest, *lines])


def beginning(text: str, length: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rpartition(" ")[0] + "…"
