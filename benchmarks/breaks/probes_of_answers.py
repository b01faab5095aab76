"""Probes of answers that are not streamed."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable

from tests.fixtures.faults.answers import set_usage, with_member
from tests.fixtures.faults.edits import in_plain, in_plain_bytes, message_of
from tests.fixtures.faults.fault import Fault, table
from tests.fixtures.faults.reference.steps import Json


def plain(name: str, defect: str, check: str, change: Callable[[Json], object]) -> Fault:
    """A probe of plain answers."""
    return Fault(name, defect, check, in_plain(change))


def details(value: object) -> Callable[[Json], object]:
    """Details of usage that are no object."""
    return lambda answer: answer["usage"].update(prompt_tokens_details=value, completion_tokens_details=value)


def written(value: bytes) -> Callable[[bytes], bytes]:
    """A `created` that is written like this."""
    return lambda body: re.sub(rb'"created": ?\d+', b'"created": ' + value, body)


ANSWERS = table(
    Fault("created-of-5000-digits", "`created` has 5,000 digits", "B1.6", in_plain_bytes(written(b"9" * 5_000))),
    Fault("created-beyond-double", "`created` is 1e999", "B2.1", in_plain_bytes(written(b"1e999"))),
    Fault("created-of-400-digits", "`created` has 400 digits", "B2.1", in_plain_bytes(written(b"9" * 400))),
    plain(
        "tokens-of-400-digits", "a token count has 400 digits", "B2.3", lambda a: set_usage(a, prompt_tokens=10**399)
    ),
    Fault("integer-beyond-double", "an integer of 400 digits", "B1.7", with_member(b"9" * 400)),
    Fault("byte-order-mark-in-answer", "a byte order mark before an answer", "B1.5", in_plain_bytes(BOM_UTF8.__add__)),
    plain("choices-empty", "the choices are an empty list", "C2.4", lambda a: a.update(choices=[])),
    plain("choices-missing", "there are no choices", "C2.4", lambda a: a.pop("choices")),
    plain("id-number", "the id is a number", "C2.1", lambda a: a.update(id=7)),
    plain("model-empty", "the model is empty", "C2.6", lambda a: a.update(model="")),
    plain("model-missing", "there is no model", "C2.3", lambda a: a.pop("model")),
    plain("object-missing", "there is no object", "C2.2", lambda a: a.pop("object")),
    plain("message-null", "the message is null", "C2.5", lambda a: a["choices"][0].update(message=None)),
    plain("role-of-a-user", "the role is user", "C4.1", lambda a: message_of(a).update(role="user")),
    plain("index-missing", "the choice has no index", "C2.5", lambda a: a["choices"][0].pop("index")),
    plain("index-string", "the index is a string", "B2.2", lambda a: a["choices"][0].update(index="0")),
    plain("usage-null", "the usage is null", "C5.1", lambda a: a.update(usage=None)),
    plain(
        "usage-strings",
        "token counts are strings",
        "B2.3",
        lambda a: a.update(usage={name: str(count) for name, count in a["usage"].items()}),
    ),
    plain("usage-negative", "a token count is negative", "C5.2", lambda a: a["usage"].update(prompt_tokens=-1)),
    plain("tokens-half", "a token count is 1.5", "B2.3", lambda a: a["usage"].update(completion_tokens=1.5)),
    plain("usage-details-string", "details of usage are a string", "C2.5", details("none")),
    plain("usage-details-list", "details of usage are a list", "C2.5", details([])),
    plain("created-null", "`created` is null", "C2.6", lambda a: a.update(created=None)),
    plain("created-missing", "there is no `created`", "C2.6", lambda a: a.pop("created")),
    plain("created-half", "`created` has a fraction", "B2.1", lambda a: a.update(created=a["created"] + 0.5)),
    plain("created-iso", "`created` is a date in words", "B2.1", lambda a: a.update(created="2026-01-01T00:00:00Z")),
    plain(
        "function-call-string", "`function_call` is a string", "C2.5", lambda a: message_of(a).update(function_call="x")
    ),
    plain(
        "logprobs-string",
        "`logprobs.content` is a string",
        "C2.5",
        lambda a: a["choices"][0].update(logprobs={"content": "x"}),
    ),
    plain("annotations-object", "`annotations` is an object", "C2.5", lambda a: message_of(a).update(annotations={})),
    plain(
        "annotations-strings", "`annotations` are strings", "C2.5", lambda a: message_of(a).update(annotations=["x"])
    ),
    plain("audio-string", "`audio` is a string", "C2.5", lambda a: message_of(a).update(audio="x")),
    plain("service-tier-number", "`service_tier` is a number", "C2.5", lambda a: a.update(service_tier=1)),
    plain(
        "half-a-pair-in-text",
        "the text ends amid a surrogate pair",
        "B1.4",
        lambda a: message_of(a).update(content=message_of(a)["content"] + "\ud83d"),
    ),
    plain("finish-reason-missing", "there is no finish_reason", "C4.4", lambda a: a["choices"][0].pop("finish_reason")),
    plain("finish-reason-empty", '`finish_reason: ""`', "C4.3", lambda a: a["choices"][0].update(finish_reason="")),
    plain(
        "error-only",
        "an answer is an error and nothing else",
        "C1.3",
        lambda a: [a.pop(name) for name in list(a)] + [a.update(error={"message": "quota"})],
    ),
)
