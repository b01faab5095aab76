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
    "stop": ["", [], [""], ["a"] * 5, 1, [1], {}],
    "max_tokens": [0, -1, 1.5, "9", True],
    "max_completion_tokens": [0, "9"],
    "top_logprobs": [-1, 21],
    "seed": [1.5, 2**63],
    "user": [1, []],
    "tools": ["x", {}],
    "stream_options": ["x", []],
    "logit_bias": [[], {"1": 101}, {"1": -101}, {"1": 0.5}, {"1": True}, {"1": None}],
    "metadata": [[], {"a": 1}, {"a": None}],
    "safety_identifier": [1, "x" * 65],
    "functions": [{}, [{"name": "f"}] * 129],
    "reasoning_effort": [1, ["low"]],
    "service_tier": [1, True],
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


N: list[Any] = [2, 0, -1, 129, 1.0, "1", True, [], {}]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        *[("n", value, "unsupported_value") for value in N],
        ("response_format", {}, "unsupported_value"),
        ("response_format", {"type": None}, "unsupported_value"),
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


def test_the_ends_of_the_ranges_are_legal() -> None:
    """What OpenAI's limits allow is read, and told as ignored."""
    body: dict[str, Any] = {
        "logit_bias": {"1": -100, "2": 100.0},
        "metadata": {"a": "b"},
        "safety_identifier": "x" * 64,
        "reasoning_effort": "max",
        "service_tier": "on_demand",
        "seed": -(2**63),
    }
    assert read(**body, tools=[], functions=[]).ignored == tuple(sorted([*body, "functions", "tools"]))
    assert read(functions=[{"name": "f"}] * 128, tool_choice="none").ignored == ("functions", "tool_choice")


NULLS = sorted({*BAD_FIELDS, "n", "max_tokens", "x"})


@pytest.mark.parametrize("name", NULLS)
def test_null_is_absent(name: str) -> None:
    """Null is legal for every optional field and means nothing."""
    body: dict[str, Any] = {name: None}
    assert read(**body) == read()


def test_ignored_parameters_are_listed() -> None:
    """What is valid but without effect is named; what has an effect is not."""
    without: dict[str, Any] = {
        "temperature": 1,
        "max_tokens": 9,
        "max_completion_tokens": 9,
        "seed": 1,
        "foo": {"a": 1},
    }
    assert read(**without, stream=True, n=1, stop="x", user="u").ignored == tuple(sorted(without))


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


def test_who_says_it_and_to_which_call() -> None:
    """Names, the ids of calls, and what an assistant refused are kept."""
    messages = [
        {**USER, "name": "kim"},
        {"role": "assistant", "content": "a", "refusal": "b", "name": None},
        {"role": "tool", "content": "sunny", "tool_call_id": "c-1"},
        {"role": "function", "content": "rain", "name": "weather", "tool_call_id": "c-2"},
        USER,
    ]
    read_request = read(messages=messages)
    assert [message.label for message in read_request.messages] == ["kim", "", "c-1", "weather c-2", ""]
    assert read_request.messages[1].text == "a\nb"
    assert read_request.ignored == ()


@pytest.mark.parametrize("field", ["name", "tool_call_id", "refusal"])
def test_labels_are_strings(field: str) -> None:
    """Anything else is refused by its place."""
    assert refusal(messages=[{**USER, field: 1}]) == (400, "invalid_value", f"messages[0].{field}")


def test_what_no_text_can_carry_is_listed() -> None:
    """Unknown fields of messages, once each; and the name of a lone message, which is sent word by word."""
    odd = {"role": "assistant", "content": "a", "audio": {"id": "x"}, "annotations": [], "cache": {"ttl": 1}}
    assert read(messages=[USER, odd, {**odd, "role": "user"}]).ignored == ("messages[].audio", "messages[].cache")
    assert read(messages=[{**USER, "name": "kim"}], seed=1).ignored == ("messages[].name", "seed")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
NAMES = st.sampled_from([*BAD_FIELDS, "n", "messages", "tool_choice", "function_call", "x"])
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("user"), "content": st.just("hi")},
    optional=dict.fromkeys(("name", "tool_call_id", "refusal", "tool_calls", "x"), JSON_VALUES),
)


@given(st.dictionaries(NAMES, JSON_VALUES), st.lists(MESSAGES, min_size=1, max_size=2))
def test_any_json_is_a_request_or_a_refusal(body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    """No value of any field is an error of ours."""
    try:
        read(**{"messages": messages, **body})
    except ApiError as error:
        assert error.status == 400  # noqa: PT017 - either outcome is right
