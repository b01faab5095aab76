"""The Lumen protocol: requests to both channels, and their answers, valid and with unexpected fields."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.errors import ApiError
from lumen_proxy.wire import lumen
from lumen_proxy.wire.compression import decompress

GOOD = {
    "success": True,
    "persona": {"name": "세나"},
    "response": "안녕",
    "sources": ["cache"],
    "timestamp": "2025-10-24",
}


def answer(**changes: object) -> lumen.GatewayAnswer:
    """Parse a valid gateway answer with changes."""
    return lumen.gateway_answer(json.dumps(GOOD | changes).encode())


def test_a_gateway_answer() -> None:
    """All its fields are returned."""
    assert answer(extra=1) == lumen.GatewayAnswer("안녕", {"name": "세나"}, ["cache"], "2025-10-24")


@pytest.mark.parametrize("absent", ["success", "persona", "sources", "timestamp", "error"])
def test_only_the_response_is_required(absent: str) -> None:
    """There is no warning for other fields that are missing."""
    body = {name: value for name, value in GOOD.items() if name != absent}
    for parsed in (answer(**{absent: None}), lumen.gateway_answer(json.dumps(body).encode())):
        assert (parsed.text, parsed.warnings) == ("안녕", ())


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
    """A field of another type is dropped; the others and the text stay."""
    parsed, good = answer(**{field: value}), answer()
    assert (parsed.text, parsed.warnings) == ("안녕", (warning,))
    for name in {"persona", "sources", "timestamp"} - {field}:
        assert getattr(parsed, name) == getattr(good, name)
    assert field == "success" or not getattr(parsed, field)


NULL = "NaN, Infinity or a number that is too large: read as null"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000])
def test_numbers_that_json_does_not_have(number: str) -> None:
    """NaN, as Python's json writes it, becomes null, with one warning."""
    data = f'{{"response": "hi", "persona": {{"name": "x", "score": {number}}}, "other": [{number}]}}'
    parsed = lumen.gateway_answer(data.encode())
    assert (parsed.text, parsed.persona, parsed.warnings) == ("hi", {"name": "x", "score": None}, (NULL,))


SURROGATES = [
    (b'{"response": "a\\ud800b"}', "a\ufffdb", ("response: lone surrogate replaced by U+FFFD",)),
    (b'{"response": "a\xed\xa0\x80b"}', "a\ufffdb", ("response: lone surrogate replaced by U+FFFD",)),
    (b'{"response": "\xed\xa0\xbc\xed\xbc\x99"}', "🌙", ()),  # a pair, each surrogate encoded like a character
    (b'{"response": "\\ud83c\\udf19"}', "🌙", ()),
    (b'{"response": "a", "x\\ud800": "\\ud800"}', "a", ("an unknown field: lone surrogate replaced by U+FFFD",)),
]


@pytest.mark.parametrize(("data", "text", "warnings"), SURROGATES)
def test_lone_surrogates_of_an_answer(data: bytes, text: str, warnings: tuple[str, ...]) -> None:
    """Each becomes U+FFFD, escaped or encoded, and a warning names the field; pairs are characters."""
    parsed = lumen.gateway_answer(data)
    assert (parsed.text, parsed.warnings) == (text, warnings)


def test_surrogates_in_other_fields() -> None:
    """A warning names each field, and the result can be encoded as UTF-8."""
    parsed = answer(persona={"name": "\ud800"}, sources=["\udc00"], timestamp="\ud800")
    assert (parsed.persona, parsed.sources, parsed.timestamp) == ({"name": "\ufffd"}, ["\ufffd"], "\ufffd")
    assert [warning.partition(":")[0] for warning in parsed.warnings] == ["persona", "sources", "timestamp"]


def test_bytes_before_the_json_and_a_key_twice() -> None:
    """A byte order mark is skipped; the last value of a repeated key is used, as most parsers do."""
    assert lumen.gateway_answer(b'\xef\xbb\xbf{"response": "a", "response": "b"}').text == "b"


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip-in-two-members": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
    "gzip-padded": lambda data: gzip.compress(data) + b"\0" * 9,
}


@pytest.mark.parametrize("coding", COMPRESSED)
def test_compressed_answers(coding: str) -> None:
    """The data decide, not the header."""
    assert lumen.gateway_answer(COMPRESSED[coding](json.dumps(GOOD).encode())) == answer()


@pytest.mark.parametrize(("spare", "read"), [(0, True), (-1, False)])
def test_the_limit_is_of_the_decompressed_size(spare: int, read: bool) -> None:  # noqa: FBT001 -- a row
    """A body that decompresses to more than the limit is refused, and not decompressed further."""
    data = json.dumps({"response": "x" * 100_000}).encode()
    limit = len(data) + spare
    assert len(gzip.compress(data)) < limit // 100
    assert len(decompress(gzip.compress(data), 10)) == 11
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
def test_invalid_answers(changes: dict[str, object], code: str) -> None:
    """Each is an error."""
    with pytest.raises(ApiError) as caught:
        answer(**changes)
    assert caught.value.code == code
    assert caught.value.headers == {"x-should-retry": "false"}


@pytest.mark.parametrize("value", [None, 1, ["x"], {"text": "x"}, True, float("nan")])
def test_a_response_that_is_not_a_string(value: object) -> None:
    """The message names the one required field."""
    with pytest.raises(ApiError, match=r"from the gateway: field `response` is missing or not a string") as caught:
        answer(response=value)
    assert (caught.value.code, caught.value.headers) == ("gateway_invalid_response", {"x-should-retry": "false"})
    with pytest.raises(ApiError, match=r"from Cloud AI: field `response` or `content` is missing or not a string"):
        lumen.cloud_answer(json.dumps({"response": value}).encode())


NO_JSON = [
    b"",
    b"<html>",
    b'{"success": true',
    b'{"response": "\xbe\xc8"}',
    b"\x1f\x8b",
    gzip.compress(b"{}", mtime=0)[:-9],
]
NO_JSON += [b"\x78\x9c{}", gzip.compress(b"", mtime=0) * 101, b"[" * 100_000]


@pytest.mark.parametrize(
    ("data", "reason"),
    [*[(data, "not JSON") for data in NO_JSON], *[(data, "not a JSON object") for data in (b"[]", b"null", b"1")]],
)
def test_bodies_that_are_not_an_object(data: bytes, reason: str) -> None:
    """HTML with status 200 is an invalid response of either channel, with the reason."""
    for read in (lumen.gateway_answer, lumen.cloud_answer):
        with pytest.raises(ApiError, match=f": {reason}") as caught:
            read(data)
        assert caught.value.code == "gateway_invalid_response"


@given(
    st.binary(max_size=50)
    | st.dictionaries(st.text(), st.text()).map(lambda it: gzip.compress(json.dumps(it).encode()))
)
def test_any_bytes_are_an_answer_or_an_invalid_response(data: bytes) -> None:
    """For any bytes there is no other exception."""
    for read in (lumen.gateway_answer, lumen.cloud_answer):
        try:
            read(data)
        except ApiError as error:
            assert error.status == 502  # noqa: PT017 - either outcome is right


def test_both_forms_of_cloud_ai() -> None:
    """Either form is parsed, with the persona if there is one."""
    first = lumen.cloud_answer(b'{"response": "a", "model": "m", "timestamp": "t"}')
    second = lumen.cloud_answer(b'{"content": "b", "persona_used": "Elro", "metadata": {}, "confidence": 0.5}')
    assert first == lumen.GatewayAnswer("a", None, [], "t")
    assert second == lumen.GatewayAnswer("b", {"name": "Elro"}, [], None)


def test_unexpected_fields_of_cloud_ai() -> None:
    """Either form, with fields of other types, or with both texts, of which one is a string."""
    for text in (
        {"response": "a"},
        {"content": "a"},
        {"response": None, "content": "a"},
        {"response": [], "content": "a"},
    ):
        parsed = lumen.cloud_answer(json.dumps({**text, "persona_used": ["x"], "timestamp": 1, "model": 2}).encode())
        warnings = ("persona_used: expected a string", "timestamp: expected a string")
        assert parsed == lumen.GatewayAnswer("a", None, [], None, warnings)


def test_gateway_requests_have_only_what_is_known() -> None:
    """Optional fields are absent, not null."""
    assert lumen.gateway_request("m", None, None) == {"message": "m"}
    assert lumen.gateway_request("m", "pen", "u") == {"message": "m", "persona": "pen", "user_id": "u"}
