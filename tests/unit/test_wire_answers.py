"""Answers: from Lumen's language to OpenAI's."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.errors import ApiError
from lumen_proxy.wire import lumen
from lumen_proxy.wire.address import host_name, is_loopback
from lumen_proxy.wire.compression import decompressed
from lumen_proxy.wire.openai import Completion, model, models, request_id, until_stop, usage
from lumen_proxy.wire.problems import PROBLEMS, gateway_status, problem

GOOD = {
    "success": True,
    "persona": {"name": "세나"},
    "response": "안녕",
    "sources": ["cache"],
    "timestamp": "2025-10-24",
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def answer(**changes: object) -> lumen.Answer:
    """Read a good gateway answer with changes."""
    return lumen.gateway_answer(json.dumps(GOOD | changes).encode())


def test_a_gateway_answer() -> None:
    """All that the gateway says is passed on."""
    assert answer(extra=1) == lumen.Answer("안녕", {"name": "세나"}, ["cache"], "2025-10-24")


@pytest.mark.parametrize("absent", ["success", "persona", "sources", "timestamp", "error"])
def test_an_answer_may_lack_what_is_not_needed(absent: str) -> None:
    """A response is enough; what is absent is not worth a warning."""
    body = {name: value for name, value in GOOD.items() if name != absent}
    for told in (answer(**{absent: None}), lumen.gateway_answer(json.dumps(body).encode())):
        assert (told.text, told.warnings) == ("안녕", ())


DEEP = json.loads("[" * 900 + "]" * 900)
DROPPED: list[tuple[str, object, str]] = [
    ("success", "true", "success: expected true or false"),
    ("success", 1, "success: expected true or false"),
    ("persona", "세나", "persona: expected an object with a name"),
    ("persona", {}, "persona: expected an object with a name"),
    ("persona", {"name": 1}, "persona: expected an object with a name"),
    ("persona", [], "persona: expected an object with a name"),
    ("persona", {"name": "x", "type": DEEP}, "persona: expected an object with a name"),
    ("sources", "cache", "sources: expected a list of strings"),
    ("sources", {"a": 1}, "sources: expected a list of strings"),
    ("sources", [{"title": "t"}], "sources: expected a list of strings"),
    ("sources", ["cache", 1], "sources: expected a list of strings"),
    ("timestamp", 1761268140, "timestamp: expected a string"),
    ("timestamp", 1761268140.5, "timestamp: expected a string"),
    ("timestamp", {}, "timestamp: expected a string"),
]


@pytest.mark.parametrize(("field", "value", "warning"), DROPPED)
def test_drift_is_dropped_and_named(field: str, value: object, warning: str) -> None:
    """A field of another type is dropped, the others and the text stay."""
    told, good = answer(**{field: value}), answer()
    assert (told.text, told.warnings) == ("안녕", (warning,))
    for name in {"persona", "sources", "timestamp"} - {field}:
        assert getattr(told, name) == getattr(good, name)
    assert field == "success" or not getattr(told, field)


NULL = "NaN, Infinity or a number that is too large: read as null"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000])
def test_numbers_that_are_none(number: str) -> None:
    """Python's json writes NaN; no client may get it. It is null, wherever it is, and named once."""
    data = f'{{"response": "hi", "persona": {{"name": "x", "score": {number}}}, "other": [{number}]}}'
    told = lumen.gateway_answer(data.encode())
    assert (told.text, told.persona, told.warnings) == ("hi", {"name": "x", "score": None}, (NULL,))


SURROGATES = [
    (b'{"response": "a\\ud800b"}', "a\ufffdb", ("response: lone surrogate replaced by U+FFFD",)),
    (b'{"response": "a\xed\xa0\x80b"}', "a\ufffdb", ("response: lone surrogate replaced by U+FFFD",)),
    (b'{"response": "\xed\xa0\xbc\xed\xbc\x99"}', "🌙", ()),  # a pair, each half encoded as if it were a character
    (b'{"response": "\\ud83c\\udf19"}', "🌙", ()),
    (b'{"response": "a", "x\\ud800": "\\ud800"}', "a", ("an unknown field: lone surrogate replaced by U+FFFD",)),
]


@pytest.mark.parametrize(("data", "text", "warnings"), SURROGATES)
def test_lone_surrogates_of_an_answer(data: bytes, text: str, warnings: tuple[str, ...]) -> None:
    """Escaped or encoded, each becomes U+FFFD, and its field is named; pairs are characters."""
    told = lumen.gateway_answer(data)
    assert (told.text, told.warnings) == (text, warnings)


def test_surrogates_beside_the_text() -> None:
    """Each field is named, and what is passed on can be written as UTF-8."""
    told = answer(persona={"name": "\ud800"}, sources=["\udc00"], timestamp="\ud800")
    assert (told.persona, told.sources, told.timestamp) == ({"name": "\ufffd"}, ["\ufffd"], "\ufffd")
    assert [warning.partition(":")[0] for warning in told.warnings] == ["persona", "sources", "timestamp"]


def test_bytes_before_the_json_and_a_key_twice() -> None:
    """A byte order mark is skipped; of a key twice the last counts, as for most readers."""
    assert lumen.gateway_answer(b'\xef\xbb\xbf{"response": "a", "response": "b"}').text == "b"


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip-in-two-members": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
    "gzip-padded": lambda data: gzip.compress(data) + b"\0" * 9,
}


@pytest.mark.parametrize("coding", COMPRESSED)
def test_compressed_answers(coding: str) -> None:
    """Compressed although it was asked not to: the data tell, whatever a header says."""
    assert lumen.gateway_answer(COMPRESSED[coding](json.dumps(GOOD).encode())) == answer()


@pytest.mark.parametrize(("spare", "read"), [(0, True), (-1, False)])
def test_the_limit_is_of_the_decompressed_size(spare: int, read: bool) -> None:  # noqa: FBT001 -- a row
    """A small body that decompresses to more than the limit is too large, and is not decompressed further."""
    data = json.dumps({"response": "x" * 100_000}).encode()
    limit = len(data) + spare
    assert len(gzip.compress(data)) < limit // 100
    assert len(decompressed(gzip.compress(data), 10)) == 11
    if read:
        assert len(lumen.gateway_answer(gzip.compress(data), max_bytes=limit).text) == 100_000
        return
    for body in (data, gzip.compress(data), zlib.compress(data)):
        with pytest.raises(ApiError, match=f"larger than {limit} bytes") as caught:
            lumen.gateway_answer(body, max_bytes=limit)
        assert caught.value.code == "gateway_invalid_response"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"success": False, "error": "x"}, "gateway_declined"),
        ({"success": False, "response": None}, "gateway_declined"),
        ({"response": ""}, "gateway_empty_response"),
        ({"response": " \n"}, "gateway_empty_response"),
    ],
)
def test_answers_that_are_none(changes: dict[str, object], code: str) -> None:
    """What is no answer never becomes one."""
    with pytest.raises(ApiError) as caught:
        answer(**changes)
    assert caught.value.code == code
    assert caught.value.headers == {"x-should-retry": "false"}


@pytest.mark.parametrize("value", [None, 1, ["x"], {"text": "x"}, True, float("nan")])
def test_a_response_that_is_no_string(value: object) -> None:
    """The one field that is needed is named."""
    with pytest.raises(ApiError, match=r"from the gateway: field `response` is missing or not a string") as caught:
        answer(response=value)
    assert (caught.value.code, caught.value.headers) == ("gateway_invalid_response", {"x-should-retry": "false"})
    with pytest.raises(ApiError, match=r"from Cloud AI: field `response` or `content` is missing or not a string"):
        lumen.cloud_answer(json.dumps({"response": value}).encode())


NO_JSON = [b"", b"<html>", b'{"success": true', b'{"response": "\xbe\xc8"}', b"\x1f\x8b", gzip.compress(b"{}")[:-9]]
NO_JSON += [b"\x78\x9c{}", gzip.compress(b"") * 101, b"[" * 100_000]


@pytest.mark.parametrize(
    ("data", "reason"),
    [*[(data, "not JSON") for data in NO_JSON], *[(data, "not a JSON object") for data in (b"[]", b"null", b"1")]],
)
def test_bodies_that_are_no_object(data: bytes, reason: str) -> None:
    """HTML with status 200 is an invalid response, for either channel, and the reason is told."""
    for read in (lumen.gateway_answer, lumen.cloud_answer):
        with pytest.raises(ApiError, match=f": {reason}") as caught:
            read(data)
        assert caught.value.code == "gateway_invalid_response"


@given(
    st.binary(max_size=50)
    | st.dictionaries(st.text(), st.text()).map(lambda it: gzip.compress(json.dumps(it).encode()))
)
def test_any_bytes_are_an_answer_or_an_invalid_response(data: bytes) -> None:
    """No bytes of a gateway are an error of ours."""
    for read in (lumen.gateway_answer, lumen.cloud_answer):
        try:
            read(data)
        except ApiError as error:
            assert error.status == 502  # noqa: PT017 - either outcome is right


def test_both_forms_of_cloud_ai() -> None:
    """Either form is read, with the persona where it is told."""
    first = lumen.cloud_answer(b'{"response": "a", "model": "m", "timestamp": "t"}')
    second = lumen.cloud_answer(b'{"content": "b", "persona_used": "Elro", "metadata": {}, "confidence": 0.5}')
    assert first == lumen.Answer("a", None, [], "t")
    assert second == lumen.Answer("b", {"name": "Elro"}, [], None)


def test_drift_of_cloud_ai() -> None:
    """Either form, with fields of other types, or with both texts, of which one is a string."""
    for text in (
        {"response": "a"},
        {"content": "a"},
        {"response": None, "content": "a"},
        {"response": [], "content": "a"},
    ):
        told = lumen.cloud_answer(json.dumps({**text, "persona_used": ["x"], "timestamp": 1, "model": 2}).encode())
        warnings = ("persona_used: expected a string", "timestamp: expected a string")
        assert told == lumen.Answer("a", None, [], None, warnings)


def test_gateway_requests_have_only_what_is_known() -> None:
    """Optional fields are absent, not null."""
    assert lumen.gateway_request("m", None, None) == {"message": "m"}
    assert lumen.gateway_request("m", "pen", "u") == {"message": "m", "persona": "pen", "user_id": "u"}


@given(st.text(), st.text())
def test_the_total_is_the_sum(prompt: str, completion: str) -> None:
    """Prompt + completion = total, always."""
    counted = usage(prompt, completion)
    assert counted["total_tokens"] == counted["prompt_tokens"] + counted["completion_tokens"]


@given(st.text(), st.booleans())
def test_chunks_are_the_whole_in_pieces(text: str, include_usage: bool) -> None:  # noqa: FBT001
    """Role first, deltas that join to the text, one finish with the metadata, and usage only when asked for."""
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
def test_a_sane_request_id_is_kept(sane: str) -> None:
    """Printable ASCII without spaces, up to 128 characters."""
    assert request_id(sane) == sane


@pytest.mark.parametrize("insane", [None, "", "a b", "x" * 129, "é", "a\tb", "a\x7f"])
def test_another_request_id_is_replaced(insane: str | None) -> None:
    """Anything else could break a log or a header."""
    assert request_id(insane).startswith("req_")


def test_models_are_listed_and_found() -> None:
    """Each listed model can be asked for by name; another is not found."""
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
    """A status of the gateway is translated, never passed through by accident."""
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
    """1 to 120 seconds, from seconds or from a date; else a default."""
    assert gateway_status(503, sent, NOW).headers == {"Retry-After": passed_on}


def test_errors_do_not_share_their_headers() -> None:
    """Changing one error leaves the table alone."""
    problem("circuit_open").headers["Retry-After"] = "99"
    assert problem("circuit_open").headers == {"Retry-After": "5"}


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_is_an_envelope(code: str) -> None:
    """Four keys; message and type are not empty."""
    error = problem(code).body()["error"]
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
    """The name in a Host header, or None when it is malformed."""
    assert host_name(header) == name


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_names(host: str) -> None:
    """These mean this machine."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "localhost.evil.example", "10.0.0.1", "::", "127.0.0.1.nip.io"])  # noqa: S104
def test_other_names(host: str) -> None:
    """These do not."""
    assert not is_loopback(host)
