"""What a question is that edits, regenerates or continues, once it is known where it stands. Pure."""

from dataclasses import replace

from neuralbridge.assistant.events import Question
from neuralbridge.catalog.names import Names
from neuralbridge.errors import ModelNotFound
from neuralbridge.store.conversations import Place


def in_full(question: Question, place: Place, names: Names) -> Question:
    """The question with all that its place says of it. An answer that goes on does so with what it had, once."""
    if place.question is None:
        return question
    question = replace(question, query=place.question.content)
    if place.answer is None:
        return question
    model = known(place.answer.metadata.get("model_requested"), names)
    return replace(question, model=model, retrieval="off", cache=False, revisable=False)


def known(model: object, names: Names) -> str | None:
    """The name if it still leads somewhere, else None: the default's."""
    if not isinstance(model, str):
        return None
    try:
        names.resolve(model)
    except ModelNotFound:
        return None
    return model
