"""The OpenAPI document of everything over HTTP, made of the models that read requests and write answers. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from neuralbridge.protocol import (
    answers,
    conversations,
    exchange,
    knowledge,
    me,
    models,
    openai,
    openai_replies,
    proxy,
    pushes,
    sign_in,
)
from neuralbridge.protocol.requests import FeedbackRequest

REFERENCE = "#/components/schemas/{model}"
Model = type[BaseModel]
EVENTS, METRICS = "text/event-stream", "text/plain; version=0.0.4; charset=utf-8"
WRITTEN_OUT = ("application/x-ndjson", "text/markdown")


@dataclass(frozen=True)
class Operation:
    """What one method at one path takes and gives. `gives` by status: a model, media types, or None for no body."""

    method: str
    path: str
    says: str
    gives: dict[int, Model | tuple[str, ...] | None]
    takes: Model | None = None  # as JSON in the body
    query: Model | None = None
    files: bool = False  # or multipart/form-data instead
    file: bool = False  # the body is a file, or multipart/form-data with one
    stream: bool = False  # or server-sent events instead
    errors: tuple[int, ...] = ()
    refusal: Model = knowledge.Refusal
    headers: dict[str, str] = field(default_factory=dict)  # optional ones, with what they are for


def v1(method: str, path: str, says: str, gives: Model, takes: Model | None = None, **more: Any) -> Operation:
    errors = (400, 403, 404, 413, 500, 503) if takes else (400, 403, 404)
    reply = openai_replies.ErrorReply
    return Operation(method, f"/v1/{path}", says, {200: gives}, takes, errors=errors, refusal=reply, **more)


def original(
    method: str, path: str, says: str, gives: Model | tuple[str, ...] | None, takes: Model | None = None, **more: Any
) -> Operation:
    """Of the original's HTTP API, which tells errors in its own way."""
    status = 200 if gives is not None else 204
    return Operation(method, path, says, {status: gives}, takes, refusal=proxy.Refused, **more)


SESSION = {"x-neuralbridge-session": "Continues a conversation that the server keeps; its name."}
OPERATIONS: tuple[Operation, ...] = (
    v1("GET", "models", "The names that answer.", openai_replies.ModelList),
    v1("GET", "models/{name}", "One name.", openai_replies.ModelCard),
    v1(
        "GET",
        "models/resolve",
        "Where a name leads, and why.",
        openai_replies.Resolved,
        query=openai.ResolveRequest,
    ),
    v1(
        "POST",
        "chat/completions",
        "The next message of a conversation.",
        openai_replies.ChatCompletion,
        openai.ChatRequest,
        stream=True,
        headers=SESSION,
    ),
    v1(
        "POST",
        "completions",
        "How a text goes on.",
        openai_replies.TextCompletion,
        openai.CompletionRequest,
        stream=True,
    ),
    v1("POST", "embeddings", "Vectors of texts.", openai_replies.Embeddings, openai.EmbeddingsRequest),
    Operation(
        "POST",
        "/api/knowledge/ingest",
        "Take a document in: a text, or files.",
        {201: knowledge.Ingested, 202: knowledge.Accepted},
        knowledge.IngestRequest,
        files=True,
        errors=(400, 403, 409, 413, 415, 422, 429, 500, 503),
    ),
    Operation("GET", "/api/knowledge/folders", "The folders that are followed.", {200: knowledge.FolderList}),
    Operation("GET", "/api/knowledge/jobs", "How documents are getting on.", {200: knowledge.JobList}),
    Operation(
        "GET", "/api/knowledge/jobs/{id}", "How a document is getting on.", {200: knowledge.JobState}, errors=(404,)
    ),
    Operation(
        "GET",
        "/api/knowledge/documents",
        "The documents.",
        {200: knowledge.DocumentList},
        query=knowledge.ListRequest,
        errors=(400,),
    ),
    Operation(
        "GET",
        "/api/knowledge/documents/{id}",
        "A document with its text.",
        {200: knowledge.DocumentText},
        query=knowledge.PartRequest,
        errors=(400, 404),
    ),
    Operation(
        "PATCH",
        "/api/knowledge/documents/{id}",
        "Rename or pin a document.",
        {200: knowledge.DocumentEntry},
        knowledge.EditRequest,
        errors=(400, 403, 404, 413),
    ),
    Operation("DELETE", "/api/knowledge/documents/{id}", "Forget a document.", {204: None}, errors=(403, 404)),
    Operation(
        "GET",
        "/api/knowledge/search",
        "Passages of the documents.",
        {200: knowledge.Results},
        query=knowledge.SearchRequest,
        errors=(400, 503),
    ),
    Operation(
        "POST",
        "/api/knowledge/explain",
        "Why something is not found.",
        {200: knowledge.Explanation},
        knowledge.ExplainRequest,
        errors=(400, 403, 413, 503),
    ),
    Operation(
        "POST",
        "/api/feedback",
        "Rate an answer.",
        {200: answers.FeedbackTaken},
        FeedbackRequest,
        errors=(400, 403, 404, 413),
    ),
    Operation("GET", "/api/cache/stats", "Answers that are kept.", {200: answers.CacheStats}),
    Operation("DELETE", "/api/cache", "Forget kept answers.", {200: answers.Cleared}, errors=(403,)),
    Operation("GET", "/api/models", "The models of this machine, and the names for them.", {200: models.LocalModels}),
    Operation("GET", "/api/proxy/health", "How the server is.", {200: proxy.Health}),
    original(
        "POST",
        "/api/proxy/query",
        "A question, answered at once in its conversation.",
        proxy.QueryAnswered,
        proxy.ProxyQuery,
        errors=(400, 403, 404, 413, 429, 500, 503),
    ),
    original("GET", "/api/proxy/stats", "Figures since the start.", proxy.Stats),
    original(
        "GET",
        "/api/conversations",
        "The conversations, or those in which something was said.",
        conversations.ConversationList,
        query=conversations.ListRequest,
        errors=(400,),
    ),
    original(
        "GET",
        "/api/conversations/export",
        "All conversations as one file.",
        WRITTEN_OUT,
        query=conversations.ExportRequest,
        errors=(400,),
    ),
    original(
        "POST",
        "/api/conversations/import",
        "Take in conversations of ours, or of ChatGPT's export.",
        exchange.ImportReport,
        file=True,
        errors=(400, 403, 413, 429),
    ),
    original(
        "GET", "/api/conversations/{session_id}", "A conversation.", conversations.ConversationEntry, errors=(404,)
    ),
    original(
        "PATCH",
        "/api/conversations/{session_id}",
        "Rename or pin a conversation.",
        conversations.ConversationEntry,
        conversations.ConversationEdit,
        errors=(400, 403, 404, 413),
    ),
    original("DELETE", "/api/conversations/{session_id}", "Forget a conversation.", None, errors=(403, 404)),
    original(
        "GET",
        "/api/conversations/{session_id}/history",
        "What was said in a conversation.",
        pushes.History,
        query=conversations.HistoryPage,
        errors=(400, 404),
    ),
    original(
        "GET",
        "/api/conversations/{session_id}/export",
        "A conversation as a file.",
        WRITTEN_OUT,
        query=conversations.ExportRequest,
        errors=(400, 404),
    ),
    Operation("GET", "/api/session", "Who asks, as far as that is known.", {200: sign_in.SessionState}),
    Operation(
        "POST",
        "/api/session",
        "Sign in: by a token, or by the code that another device shows. Sets a cookie.",
        {200: sign_in.SessionState},
        sign_in.SignIn,
        errors=(400, 401, 403, 413, 429),
    ),
    Operation("DELETE", "/api/session", "Sign out.", {204: None}, errors=(403,)),
    Operation(
        "POST",
        "/api/session/pairing",
        "A code for another device of the same user.",
        {200: sign_in.Pairing},
        errors=(400, 403),
    ),
    Operation("GET", "/api/tokens", "One's own tokens; an admin's: everybody's.", {200: sign_in.TokenList}),
    Operation("DELETE", "/api/tokens/{id}", "Take a token back.", {204: None}, errors=(403, 404)),
    Operation("DELETE", "/api/me", "Delete everything of one's own.", {200: me.Forgotten}, errors=(403, 429)),
    Operation(
        "DELETE",
        "/api/users/{user}",
        "Delete everything of a user's; for admins.",
        {200: me.Forgotten},
        errors=(400, 403, 429),
    ),
    Operation("GET", "/metrics", "For Prometheus.", {200: (METRICS,)}),
)


def document(version: str, operations: Sequence[Operation] = OPERATIONS) -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "NeuralBridge", "version": version, "description": "The channel is in docs/wire.md."},
        "paths": paths,
        "components": {"schemas": schemas(operations)},
    }


def schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    """Every model by its name. All as they are read: what is written has no fields of other names."""
    models = {
        model
        for operation in operations
        for model in (operation.takes, operation.refusal, *operation.gives.values())
        if isinstance(model, type)
    }
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "validation") for model in ordered], ref_template=REFERENCE)
    found: dict[str, Any] = definitions["$defs"]
    return found


def described(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "summary": operation.says,
        "operationId": re.sub(r"\W+", "_", f"{operation.method.lower()}{operation.path}").strip("_"),
        "parameters": [*path_parameters(operation.path), *query_parameters(operation.query)],
        "responses": {
            **{str(status): given(body, operation.stream) for status, body in operation.gives.items()},
            **{str(status): refusal(operation, status) for status in operation.errors},
        },
    }
    told["parameters"] += [
        {
            "name": name,
            "in": "header",
            "description": says,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
        for name, says in operation.headers.items()
    ]
    if operation.takes is not None:
        content: dict[str, Any] = {"application/json": {"schema": reference(operation.takes)}}
        if operation.files:
            content["multipart/form-data"] = {"schema": FILES}
        told["requestBody"] = {"required": True, "content": content}
    if operation.file:
        content = {"multipart/form-data": {"schema": A_FILE}, "application/octet-stream": {"schema": BINARY}}
        told["requestBody"] = {"required": True, "content": content}
    return told


BINARY = {"type": "string", "format": "binary"}
A_FILE = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}
FILES = {
    "type": "object",
    "properties": {
        "key": {"type": "string", "description": "where the next file comes from"},
        "modified": {"type": "string", "description": "its date, ISO 8601"},
        "file": {"type": "string", "format": "binary"},
    },
    "required": ["file"],
}


def reference(model: Model) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def given(body: Model | tuple[str, ...] | None, stream: bool) -> dict[str, Any]:
    if body is None:
        return {"description": "Done."}
    if isinstance(body, tuple):
        kinds = {kind.partition(";")[0]: {"schema": {"type": "string"}} for kind in body}
        return {"description": "As it says.", "content": kinds}
    content: dict[str, Any] = {"application/json": {"schema": reference(body)}}
    if stream:
        content[EVENTS] = {"schema": {"description": "The data of each event is JSON, but for the last: [DONE]."}}
    return {"description": (body.__doc__ or "As it says.").strip().partition("\n")[0], "content": content}


def refusal(operation: Operation, status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": reference(operation.refusal)}}
    return {"description": REFUSALS[status], "content": content}


REFUSALS = {
    400: "A field, or the body, is wrong: the message names it.",
    401: "There is no token, or none that is good.",
    403: "Pages of that origin may not do this, or the role of who asks does not allow it.",
    404: "There is no such thing.",
    409: "It is there already.",
    413: "The body is too large.",
    415: "Of no kind that is read.",
    422: "A document cannot be read.",
    429: "The queue is full; Retry-After says when to come back.",
    500: "Our mistake; the log has the details.",
    503: "Not now: busy (Retry-After says when to come back), or not set up.",
}


def path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def query_parameters(model: Model | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=REFERENCE)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": described_as}
        for name, described_as in schema["properties"].items()
    ]
