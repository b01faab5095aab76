"""Requests of real clients to a real worker: they are answered, and fields without effect are listed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from tests.unit.proxy.client_requests import ANSWERED, REFUSED, ClientRequest
from tests.unit.proxy.running_proxy import RunningProxy, run_proxy
from tests.unit.proxy.test_drift import text_of
from tests.unit.proxy.test_proxy_streams import metadata

if TYPE_CHECKING:
    from lumen_conformance.gateway.server import ScriptedGateway
    from lumen_conformance.http.capture import Capture

TEXT = "네, 안녕하세요."


def send(served: RunningProxy, request: ClientRequest) -> Capture:
    """Send the body of a row."""
    return client.call(served.url, "POST", "/v1/chat/completions", json=request.body)


def assert_answered(capture: Capture, request: ClientRequest) -> None:
    """The answer has the requested form, and lists what was ignored and replaced."""
    assert capture.status == 200, capture.text
    form = "text/event-stream" if request.body.get("stream") else "application/json"
    assert capture.header("content-type") == f"{form}; charset=utf-8"
    assert text_of(capture) == TEXT
    details = metadata(capture)
    assert details["ignored_parameters"] == request.ignored.split()
    assert details["replaced_parts"] == request.replaced_parts
    assert details["requested_model"] == request.body["model"]


@pytest.mark.parametrize("name", ANSWERED)
def test_a_client_is_answered(gateway: ScriptedGateway, name: str) -> None:
    """With default settings, with one gateway call that has the persona of the model."""
    request = ANSWERED[name]
    gateway.standing = replies.answer_with(TEXT)
    with run_proxy(gateway.url) as served:
        assert_answered(send(served, request), request)
    (call,) = gateway.chats
    keys = {"lumen-sena": "pen", "lumen-elo": "square", "lumen-nuri": "earth"}
    named = [key for model, key in keys.items() if model in request.body["model"]]
    assert call.json().get("persona") == (named[0] if named else None)


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsupported_request_has_a_remedy(gateway: ScriptedGateway, name: str) -> None:
    """A 400 names the setting; with the setting the answer is text."""
    request = REFUSED[name]
    gateway.standing = replies.answer_with(TEXT)
    with run_proxy(gateway.url) as served:
        capture = send(served, request)
        error = json.loads(capture.body)["error"]
    assert (capture.status, error["type"]) == (400, "invalid_request_error")
    assert "LUMEN_UNSUPPORTED=ignore" in error["message"]
    assert error["param"]
    assert gateway.chats == ()
    with run_proxy(gateway.url, LUMEN_UNSUPPORTED="ignore") as served:
        assert_answered(send(served, request), request)
