"""Each setting is read, refuses invalid values, and has its effect."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_proxy.config import BY_VARIABLE, SETTINGS, load
from lumen_proxy.errors import Exit, Fatal
from tests.unit.proxy.running_proxy import USER, run_proxy
from tests.unit.proxy.test_proxy_streams import metadata

# Variable → a value that is not its default, and one that is refused (None: any text is valid).
EXAMPLES: dict[str, tuple[str, str | None]] = {
    "LUMEN_GATEWAY_URL": ("http://127.0.0.1:1", "gateway"),
    "PROXY_HOST": ("127.0.0.1", "example.org"),
    "PROXY_PORT": ("0", "65536"),
    "PROXY_API_KEY": ("sk-1", "line\nbreak"),
    "CLOUD_AI_URL": ("none", "cloud"),
    "CLOUD_AI_API_KEY": ("sk-2", "한글"),
    "SLACK_WEBHOOK_URL": ("http://127.0.0.1:1/slack", "slack"),
    "LUMEN_WEBHOOK_URL": ("http://127.0.0.1:1/hook", "hook"),
    "LUMEN_ALLOWED_HOSTS": ("a.example, b.example", "a.example, *"),
    "LUMEN_ALLOWED_ORIGINS": ("https://a.example", "https://a.example/"),
    "LUMEN_MODEL_STRICT": ("1", "maybe"),
    "LUMEN_HISTORY": ("last", "all"),
    "LUMEN_UNSUPPORTED": ("ignore", "drop"),
    "LUMEN_FALLBACK": ("cloud_ai", "on"),
    **dict.fromkeys(("LUMEN_MAX_BODY_BYTES", "LUMEN_MAX_RESPONSE_BYTES", "LUMEN_LOG_MAX_BYTES"), ("4096", "12")),
    "LUMEN_STANDBY": ("0", "maybe"),
    "LUMEN_STATE_DIR": ("/a/b", None),
    "LUMEN_LOG_DIR": ("/a/b", None),
    "LUMEN_LOG_LEVEL": ("debug", "loud"),
}
NUMBER = ("999", "-1")  # of all the others


@pytest.mark.parametrize("variable", BY_VARIABLE)
def test_setting(variable: str) -> None:
    """A value replaces the default, and its origin is the environment."""
    text, _ = EXAMPLES.get(variable, NUMBER)
    settings, row = load({variable: text}), BY_VARIABLE[variable]
    assert getattr(settings, row.field) == row.parse(text)
    assert getattr(settings, row.field) != row.default
    assert settings.origins[row.field] == "environment"


REFUSED = {variable: text for variable in BY_VARIABLE if (text := EXAMPLES.get(variable, NUMBER)[1]) is not None}


@pytest.mark.parametrize("variable", REFUSED)
def test_refused(variable: str) -> None:
    """An invalid value ends the program with 78, and the line names the variable."""
    with pytest.raises(Fatal, match=rf"^{variable}(=.*)? is invalid: expected ") as refused:
        load({variable: REFUSED[variable]})
    assert refused.value.exit_status is Exit.CONFIG


def test_examples_are_of_settings() -> None:
    """Each example is of an existing setting; only a path accepts any text."""
    assert set(EXAMPLES) <= {setting.variable for setting in SETTINGS}
    assert set(BY_VARIABLE) - set(REFUSED) == {"LUMEN_STATE_DIR", "LUMEN_LOG_DIR"}


def test_history_last(gateway: ScriptedGateway) -> None:
    """Only the last user message is sent."""
    messages = [USER, {"role": "assistant", "content": "네"}, {"role": "user", "content": "마지막"}]
    with run_proxy(gateway.url, LUMEN_HISTORY="last") as served:
        capture = client.call(served.url, "POST", "/v1/chat/completions", json={"messages": messages})
    assert capture.status == 200
    assert gateway.chats[0].message == "마지막"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("value", "status"), [("reject", 400), ("ignore", 200)])
def test_unsupported(gateway: ScriptedGateway, value: str, status: int, stream: bool) -> None:  # noqa: FBT001 -- a row
    """An unsupported field is refused, or ignored and listed."""
    fields: dict[str, Any] = {
        "tools": [{}],
        "tool_choice": "required",
        "n": 2,
        "response_format": {"type": "json_object"},
    }
    with run_proxy(gateway.url, LUMEN_UNSUPPORTED=value) as served:
        capture = served.chat(stream=stream, **fields)
    assert capture.status == status
    if status == 200:
        assert metadata(capture)["ignored_parameters"] == sorted(fields)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("model", "status"), [("openai/lumen-sena:latest", 200), ("openai/gpt-4o", 404)])
def test_model_strict(gateway: ScriptedGateway, model: str, status: int, stream: bool) -> None:  # noqa: FBT001 -- a row
    """A prefix and a tag are removed first; an unknown model is not found."""
    with run_proxy(gateway.url, LUMEN_MODEL_STRICT="1") as served:
        capture = served.chat(model=model, stream=stream)
    assert capture.status == status
    if status == 200:
        assert metadata(capture)["requested_model"] == model
        assert gateway.chats[0].json()["persona"] == "pen"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("limit", "status"), [("1024", 502), ("8388608", 200)])
def test_max_response_bytes(gateway: ScriptedGateway, limit: str, status: int, stream: bool) -> None:  # noqa: FBT001 -- a row
    """A larger answer of the gateway is refused."""
    with run_proxy(gateway.url, LUMEN_MAX_RESPONSE_BYTES=limit) as served:
        capture = served.chat("가" * 2000, stream=stream)
    assert capture.status == status
    if status != 200:
        assert json.loads(capture.body)["error"]["code"] == "gateway_invalid_response"


def test_sse_keepalive_s(gateway: ScriptedGateway) -> None:
    """The fourth comment is sent after three intervals: three of the default are 45 s, and the client waits 10 s."""
    gate = threading.Event()
    gateway.script(replies.gated(gate))
    with run_proxy(gateway.url, LUMEN_STREAM_COMMIT_S="0", LUMEN_SSE_KEEPALIVE_S="0.2") as served:
        capture = served.chat(stream=True, on_body=lambda body: gate.set() if body.count(b": keep-alive") > 3 else None)
    assert b"[DONE]" in capture.body
    assert capture.ended_s >= 3 * 0.2
