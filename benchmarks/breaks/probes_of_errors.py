"""Probes of errors, and of the list of models."""

from __future__ import annotations

from tests.fixtures.faults.edits import in_responses
from tests.fixtures.faults.errors import in_lost
from tests.fixtures.faults.fault import Fault, table
from tests.fixtures.faults.http_behaviour import each_model, models_without
from tests.fixtures.faults.reference.http import Request, Response, as_json
from tests.fixtures.faults.reference.steps import Steps

DETAIL = {
    "detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "It is not what it should be"}]
}  # as FastAPI says it
TEXT_PLAIN = "text/plain"
NEVER_FAILS = "F2-messages-empty-never-fails"


def refused_as(status: int, body: bytes | None = None, media_type: str | None = None) -> Steps:
    """Bad requests are refused in another way; without a body in the same words."""

    def change(_: Request, sent: Response) -> None:
        if sent.status == 400:
            sent.status, sent.body = status, sent.body if body is None else body
            sent.set("Content-Type", media_type or "application/json")

    return in_responses(change)


def refused_by_a_cut(_: Request, sent: Response) -> None:
    """The connection ends without an answer: its head promises a body."""
    if sent.status == 400:
        sent.body, sent.close = b"", True
        sent.set("Content-Length", "5")


def lost_as(body: bytes, media_type: str) -> Steps:
    """An unknown address is refused in other words."""

    def change(_: Request, sent: Response) -> None:
        if isinstance(sent.body, bytes) and b"No such address" in sent.body:
            sent.body = body
            sent.set("Content-Type", media_type)

    return in_responses(change)


def listed_as_text(request: Request, sent: Response) -> None:
    """The list of models under another media type."""
    if request.path == "/v1/models":
        sent.set("Content-Type", TEXT_PLAIN)


def unauthorized_as(status: int) -> Steps:
    """A wrong key has another status."""

    def change(_: Request, sent: Response) -> None:
        if sent.status == 401:
            sent.status = status

    return in_responses(change)


ERRORS = table(
    Fault("refusal-422-detail", "a bad request is a 422 with `detail`", "F1.2", refused_as(422, as_json(DETAIL))),
    Fault("refusal-400-detail", "a bad request is a 400 with `detail`", "F1.2", refused_as(400, as_json(DETAIL))),
    Fault("refusal-500", "a bad request is a 500 in the envelope", NEVER_FAILS, refused_as(500)),
    Fault("refusal-413", "a bad request is a 413", "F2-messages-empty", refused_as(413)),
    Fault("refusal-cut", "a bad request has no answer", NEVER_FAILS, in_responses(refused_by_a_cut)),
    Fault("wrong-key-is-500", "a wrong key is a 500", "F3-wrong-key", unauthorized_as(500)),
    Fault("refusal-empty", "a bad request is a 400 without a body", "F1.8", refused_as(400, b"")),
    Fault(
        "refusal-as-text",
        "a bad request is refused in plain text",
        "F1.1",
        refused_as(400, b"is not what it should be", TEXT_PLAIN),
    ),
    Fault("envelope-as-text", "the envelope is called text/plain", "F1.1", refused_as(400, None, TEXT_PLAIN)),
    Fault(
        "error-a-string",
        "the error is a string",
        "F1.2",
        lost_as(as_json({"error": "No such address"}), "application/json"),
    ),
    Fault(
        "error-flat",
        "the error has no envelope",
        "F1.2",
        lost_as(as_json({"message": "No such address", "code": None}), "application/json"),
    ),
    Fault("message-missing", "an error has no message", "F1.9", in_lost(lambda error: error.pop("message"))),
    Fault(
        "error-message-null",
        "the message of an error is null",
        "F1.9",
        in_lost(lambda error: error.update(message=None)),
    ),
    Fault("type-missing", "an error has no type", "F1.4", in_lost(lambda error: error.pop("type"))),
    Fault("code-missing", "an error has no code", "F1.4", in_lost(lambda error: error.pop("code"))),
    Fault("param-list", "the param of an error is a list", "F1.4", in_lost(lambda error: error.update(param=["a"]))),
)
MODELS = table(
    Fault("models-null", "the models are null", "H3-list", Steps(models=lambda _: {"object": "list", "data": None})),
    Fault("models-of-strings", "the models are strings", "H3-list", each_model(lambda model: model["id"])),
    Fault("models-as-text", "the list of models is called text/plain", "H3-list", in_responses(listed_as_text)),
    Fault("models-without-id", "models have no id", "H3-list", models_without("id")),
    Fault(
        "models-without-object",
        "the list of models has no object",
        "H3-list-wire",
        Steps(models=lambda ms: {"data": ms}),
    ),
    Fault("models-without-created", "models have no `created`", "H3-list-wire", models_without("created")),
)
