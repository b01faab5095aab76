"""Answers, from the Lumen protocol to the OpenAI protocol."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.errors import ApiError
from lumen_proxy.wire.allowed_hosts import host_name, is_loopback
from lumen_proxy.wire.api_errors import ERROR_TABLE, api_error, gateway_status
from lumen_proxy.wire.openai import Completion, model, models, request_id, until_stop, usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.text(), st.text())
def test_the_total_is_the_sum(prompt: str, completion: str) -> None:
    """Prompt and completion tokens."""
    counted = usage(prompt, completion)
    assert counted["total_tokens"] == counted["prompt_tokens"] + counted["completion_tokens"]


@given(st.text(), st.booleans())
def test_chunks_are_the_whole_in_pieces(text: str, include_usage: bool) -> None:  # noqa: FBT001
    """First the role, deltas that join to the text, one finish with the metadata, and usage only if requested."""
    completion = Completion(1, "lumen-gateway", text, usage("x", text), {"channel": "gateway"})
    chunks = list(completion.chunks(include_usage=include_usage))
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert choices[0]["delta"]["role"] == "assistant"
    assert "".join(choice["delta"].get("content", "") for choice in choices) == text
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert choices[-1]["delta"] == {}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk.get("usage") for chunk in chunks if "usage" in chunk] == (
        [None] * len(choices) + [usage("x", text)] if include_usage else []
    )
    finish = chunks[-2] if include_usage else chunks[-1]
    assert finish["lumen_metadata"] == {"channel": "gateway"}
    assert completion.whole()["choices"][0]["message"]["content"] == text


@given(st.text(), st.lists(st.text(min_size=1), max_size=4))
def test_stop_strings_never_appear(text: str, stops: list[str]) -> None:
    """The text ends before the first stop string."""
    kept = until_stop(text, tuple(stops))
    assert text.startswith(kept)
    assert not any(stop in kept for stop in stops)


@pytest.mark.parametrize("sane", ["a", "req-1_2.3", "x" * 128, "{}:/"])
def test_a_valid_request_id_is_kept(sane: str) -> None:
    """Printable ASCII without spaces, up to 128 characters."""
    assert request_id(sane) == sane


@pytest.mark.parametrize("insane", [None, "", "a b", "x" * 129, "é", "a\tb", "a\x7f"])
def test_an_invalid_request_id_is_replaced(insane: str | None) -> None:
    """It could break a log line or a header."""
    assert request_id(insane).startswith("req_")


def test_models_are_listed_and_found() -> None:
    """Each listed model is found by its name; another is not."""
    assert [model(entry["id"]) for entry in models()["data"]] == models()["data"]
    with pytest.raises(ApiError) as caught:
        model("gpt-4o")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        *[(status, 502, "gateway_misconfigured") for status in (301, 302, 307, 308, 404, 405, 410)],
        *[(status, 504, "gateway_timeout") for status in (408, 504)],
        *[(status, 400, "gateway_rejected") for status in (400, 422)],
        *[(status, 502, "gateway_auth_failed") for status in (401, 403)],
        *[(status, 502, "gateway_error") for status in (500, 502, 501)],
        *[(status, 502, "gateway_invalid_response") for status in (201, 204, 600)],
        (413, 400, "context_length_exceeded"),
        (429, 429, "rate_limit_exceeded"),
        (503, 503, "gateway_unavailable"),
    ],
)
def test_every_gateway_status_has_its_row(status: int, expected: int, code: str) -> None:
    """Each status of the gateway becomes an error of the table."""
    error = gateway_status(status, None, NOW)
    assert (error.status, error.code) == (expected, code)
    assert ("Retry-After" in error.headers) == (status in {429, 503})


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        ("7", "7"),
        ("0", "1"),
        ("-5", "1"),
        ("9999", "120"),
        ((NOW + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT"), "30"),
        ((NOW - timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT"), "1"),
        ("soon", "5"),
        ("1.5", "5"),
        ("9" * 400, "120"),
        ("9" * 5000, "5"),
        ("Fri, 31 Dec 9999 23:59:59 -2359", "120"),
        ("Mon, 01 Jan 0001 00:00:00 +2359", "1"),
        (None, "5"),
    ],
)
def test_retry_after_is_passed_on_within_bounds(sent: str | None, passed_on: str) -> None:
    """1 to 120 seconds, from seconds or a date; else a default."""
    assert gateway_status(503, sent, NOW).headers == {"Retry-After": passed_on}


def test_errors_do_not_share_their_headers() -> None:
    """A change of one error does not change the table."""
    api_error("circuit_open").headers["Retry-After"] = "99"
    assert api_error("circuit_open").headers == {"Retry-After": "5"}


@pytest.mark.parametrize("code", ERROR_TABLE)
def test_every_problem_is_an_envelope(code: str) -> None:
    """Four keys; message and type are not empty."""
    error = api_error(code).body()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["type"] in {"invalid_request_error", "permission_error", "rate_limit_error", "server_error"}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:8080", "localhost"),
        ("localhost.", "localhost"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8080", "::1"),
        ("[::1]", "::1"),
        ("evil.example:80", "evil.example"),
        ("", None),
        ("a b", None),
        ("user@localhost", None),
        ("localhost, evil", None),
        ("localhost/x", None),
        ("::1", None),
        ("localhost:80x", None),
    ],
)
def test_host_names(header: str, name: str | None) -> None:
    """The name in a Host header, or None if it is malformed."""
    assert host_name(header) == name


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_names(host: str) -> None:
    """These mean this machine."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "localhost.evil.example", "10.0.0.1", "::", "127.0.0.1.nip.io"])  # noqa: S104
def test_other_names(host: str) -> None:
    """These do not."""
    assert not is_loopback(host)
