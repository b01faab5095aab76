"""Requests that clients really send, to a real worker: answered, and what has no effect is disclosed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from tests.unit.proxy.client_requests import ANSWERED, REFUSED, ClientRequest
from tests.unit.proxy.serving import Serving, serving
from tests.unit.proxy.test_drift import said
from tests.unit.proxy.test_proxy_streams import metadata

if TYPE_CHECKING:
    from lumen_conformance.gateway.server import ScriptedGateway
    from lumen_conformance.http.capture import Capture

TEXT = "네, 안녕하세요."


def ask(served: Serving, request: ClientRequest) -> Capture:
    """Send the body of a row."""
    return client.call(served.url, "POST", "/v1/chat/completions", json=request.body)


def assert_answered(got: Capture, request: ClientRequest) -> None:
    """A text in the form that was asked for, with what was ignored and replaced."""
    assert got.status == 200, got.text
    form = "text/event-stream" if request.body.get("stream") else "application/json"
    assert got.header("content-type") == f"{form}; charset=utf-8"
    assert said(got) == TEXT
    told = metadata(got)
    assert told["ignored_parameters"] == request.ignored.split()
    assert told["replaced_parts"] == request.replaced_parts
    assert told["requested_model"] == request.body["model"]


@pytest.mark.parametrize("name", ANSWERED)
def test_a_client_is_answered(gateway: ScriptedGateway, name: str) -> None:
    """With default settings, for one call of the gateway, which knows the persona of the model."""
    request = ANSWERED[name]
    gateway.standing = replies.answer_with(TEXT)
    with serving(gateway.url) as served:
        assert_answered(ask(served, request), request)
    (call,) = gateway.chats
    keys = {"lumen-sena": "pen", "lumen-elo": "square", "lumen-nuri": "earth"}
    named = [key for model, key in keys.items() if model in request.body["model"]]
    assert call.json().get("persona") == (named[0] if named else None)


@pytest.mark.parametrize("name", REFUSED)
def test_a_client_is_told_the_remedy(gateway: ScriptedGateway, name: str) -> None:
    """What the gateway cannot do is a 400 that names the remedy; with the setting it is answered in text."""
    request = REFUSED[name]
    gateway.standing = replies.answer_with(TEXT)
    with serving(gateway.url) as served:
        got = ask(served, request)
        error = json.loads(got.body)["error"]
    assert (got.status, error["type"]) == (400, "invalid_request_error")
    assert "LUMEN_UNSUPPORTED=ignore" in error["message"]
    assert error["param"]
    assert gateway.chats == ()
    with serving(gateway.url, LUMEN_UNSUPPORTED="ignore") as served:
        assert_answered(ask(served, request), request)
