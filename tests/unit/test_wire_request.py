"""Reading a chat request: what is accepted, and which field a refusal names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.errors import ApiError
from lumen_proxy.wire.request import ChatRequest, parse

USER = {"role": "user", "content": "hi"}
DEEP = (
    b'{"messages": [{"role": "assistant", "tool_calls": '
    + b"[" * 900
    + b"]" * 900
    + b'}, {"role": "user", "content": "hi"}]}'
)


def read(*, allow_tools: bool = False, strict_model: bool = False, **body: Any) -> ChatRequest:  # noqa: ANN401
    """Parse a request that is valid but for `body`."""
    return parse(json.dumps({"messages": [USER], **body}).encode(), allow_tools=allow_tools, strict_model=strict_model)


def refusal(**body: Any) -> tuple[int, str | None, str | None]:  # noqa: ANN401
    """Status, code and param of the error that `body` makes."""
    with pytest.raises(ApiError) as caught:
        read(**body)
    assert caught.value.type == "invalid_request_error"
    return caught.value.status, caught.value.code, caught.value.param


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"x"', b"1", b'{"messages": NaN}', b"\xff", DEEP])
def test_not_a_json_object(data: bytes) -> None:
    """Anything but one JSON object is invalid_json."""
    with pytest.raises(ApiError) as caught:
        parse(data)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_json", None)


INVALID: dict[str, list[Any]] = {
    "messages": [None, [], "hi", {}, 1],
    "messages[0]": [[None], ["hi"], [[]]],
    "messages[0].role": [[{"content": "x"}], [{"role": "boss", "content": "x"}], [{"role": ["user"], "content": "x"}]],
    "messages[0].content": [[{"role": "user"}], [{"role": "user", "content": 1}], [{"role": "user", "content": []}]],
    "messages[0].content[0]": [[{"role": "user", "content": [1]}], [{"role": "user", "content": [{"text": "x"}]}]],
    "messages[0].content[0].text": [[{"role": "user", "content": [{"type": "text", "text": None}]}]],
    "messages[1].role": [[USER, {"role": "assistant", "content": "x"}], [USER, {"role": "system", "content": "x"}]],
}


@pytest.mark.parametrize(
    ("param", "messages"), [(param, value) for param, values in INVALID.items() for value in values]
)
def test_invalid_messages(param: str, messages: object) -> None:
    """A refusal names the very place."""
    assert refusal(messages=messages) == (400, "invalid_value", param)


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_blank_conversation(text: str) -> None:
    """There must be something to ask."""
    assert refusal(messages=[{"role": "user", "content": text}]) == (400, "invalid_value", "messages")


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_parts_that_are_not_text(kind: str) -> None:
    """Pictures, sound and files are refused, not dropped."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": kind}]}]
    assert refusal(messages=messages) == (400, "unsupported_value", "messages[0].content[1]")


BAD_FIELDS: dict[str, list[Any]] = {
    "model": [1, [], {}],
    "stream": ["false", 0, 1],
    "temperature": [-0.1, 2.1, "1", True],
    "top_p": [-1, 1.5, "x"],
    "presence_penalty": [-2.1, 3],
    "frequency_penalty": [-3, 2.5],
    "n": [0, -1, "1", 1.0, True, 129],
    "stop": ["", [], [""], ["a"] * 5, 1, [1], {}],
    "max_tokens": [0, -1, 1.5, "9", True],
    "max_completion_tokens": [0, "9"],
    "top_logprobs": [-1, 21],
    "seed": [1.5, 2**63],
    "user": [1, []],
    "tools": ["x", {}],
    "stream_options": ["x", []],
    "logit_bias": [[]],
    "response_format": ["text"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_FIELDS.items() for value in values])
def test_invalid_fields(name: str, value: object) -> None:
    """A wrong type or a value out of OpenAI's range is refused by name."""
    assert refusal(**{name: value}) == (400, "invalid_value", name)


def test_include_usage_must_be_a_boolean() -> None:
    """The nested field is named."""
    param = "stream_options.include_usage"
    assert refusal(stream_options={"include_usage": "yes"}) == (400, "invalid_value", param)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("n", 2, "unsupported_value"),
        ("response_format", {"type": "json_object"}, "unsupported_value"),
        ("response_format", {"type": "json_schema", "json_schema": {}}, "unsupported_value"),
        ("tools", [{"type": "function"}], "unsupported_parameter"),
        ("functions", [{"name": "f"}], "unsupported_parameter"),
    ],
)
def test_what_the_gateway_cannot_do(name: str, value: object, code: str) -> None:
    """It is refused rather than ignored in silence."""
    assert refusal(**{name: value}) == (400, code, name)


def test_tools_can_be_ignored() -> None:
    """With tool_choice none, or by setting, tools are ignored and listed."""
    assert read(tools=[{}], tool_choice="none").ignored == ("tool_choice", "tools")
    assert read(tools=[{}], tool_choice={"type": "x"}, allow_tools=True).ignored == ("tool_choice", "tools")


NULLS = [
    "model",
    "stream",
    "stream_options",
    "n",
    "stop",
    "user",
    "temperature",
    "tools",
    "response_format",
    "seed",
    "x",
]


@pytest.mark.parametrize("name", NULLS)
def test_null_is_absent(name: str) -> None:
    """Null is legal for every optional field and means nothing."""
    body: dict[str, Any] = {name: None}
    assert read(**body) == read()


def test_ignored_parameters_are_listed() -> None:
    """What is valid but without effect is named; what has an effect is not."""
    read_request = read(temperature=1, max_tokens=9, seed=1, foo={"a": 1}, stream=True, n=1, stop="x", user="u")
    assert read_request.ignored == ("foo", "max_tokens", "seed", "temperature")


@pytest.mark.parametrize(
    ("asked", "served", "persona"),
    [
        (None, "lumen-gateway", None),
        ("lumen-gateway", "lumen-gateway", None),
        ("lumen-lua", "lumen-lua", "moon"),
        ("lumen-elo", "lumen-elo", "square"),
        ("lumen-nuri", "lumen-nuri", "earth"),
        ("lumen-sena", "lumen-sena", "pen"),
        ("gpt-4o", "lumen-gateway", None),
        ("", "lumen-gateway", None),
    ],
)
def test_models(asked: str | None, served: str, persona: str | None) -> None:
    """A persona model sends its key; an unknown one is served by the default, and both names are known."""
    request = read(model=asked)
    assert (request.requested_model, request.model, request.persona) == (asked, served, persona)


def test_strict_models() -> None:
    """With LUMEN_MODEL_STRICT an unknown model is not found."""
    with pytest.raises(ApiError) as caught:
        read(strict_model=True, model="gpt-4o")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_texts_of_messages() -> None:
    """Parts are joined by newline, null is allowed for an assistant, and what it called is kept."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "developer", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "날씨"}]},
        {"role": "tool", "content": "sunny", "tool_call_id": "x"},
        USER,
    ]
    texts = [message.text for message in read(messages=messages).messages]
    assert texts == ["a\nb", '[{"id": "날씨"}]', "sunny", "hi"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
NAMES = st.sampled_from([*BAD_FIELDS, "messages", "functions", "tool_choice", "function_call", "metadata", "x"])


@given(st.dictionaries(NAMES, JSON_VALUES))
def test_any_json_is_a_request_or_a_refusal(body: dict[str, Any]) -> None:
    """No value of any field is an error of ours."""
    try:
        read(**body)
    except ApiError as error:
        assert error.status == 400  # noqa: PT017 - either outcome is right
