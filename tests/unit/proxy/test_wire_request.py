"""Parse a chat request: what is accepted, and which field a refusal names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.errors import ApiError
from lumen_proxy.wire.chat_request import ChatRequest, parse

USER = {"role": "user", "content": "hi"}
DEEP = (
    b'{"messages": [{"role": "assistant", "tool_calls": '
    + b"[" * 900
    + b"]" * 900
    + b'}, {"role": "user", "content": "hi"}]}'
)


def read(*, ignore_unsupported: Any = False, strict_model: Any = False, **body: Any) -> ChatRequest:  # noqa: ANN401
    """Parse a request that is valid except for `body`."""
    data = json.dumps({"messages": [USER], **body}).encode()
    return parse(data, ignore_unsupported=ignore_unsupported, strict_model=strict_model)


def refusal(**body: Any) -> tuple[int, str | None, str | None]:  # noqa: ANN401
    """Status, code and param of the error for `body`."""
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


BAD_FIELDS: dict[str, list[Any]] = {
    "model": [1, [], {}],
    "stream": ["false", 0, 1],
    "temperature": [-0.1, 2.1, "1", True],
    "top_p": [-1, 1.5, "x"],
    "presence_penalty": [-2.1, 3],
    "frequency_penalty": [-3, 2.5],
    "stop": [[""], ["a", ""], ["a"] * 5, 0, 1, [1], {}, False],
    "max_tokens": [0, -2, -0.5, 1.5, "9", "-1", True, []],
    "max_completion_tokens": [0, -2, "9"],
    "top_logprobs": [-1, 21],
    "seed": ["1", True, []],
    "user": [1, []],
    "tools": ["x", {}],
    "tool_choice": [1, True, []],
    "function_call": [1, ["f"]],
    "stream_options": ["x", ["include_usage"]],
    "logit_bias": [["1"], "", {"1": 101}, {"1": -101}, {"1": 0.5}, {"1": True}, {"1": None}],
    "metadata": ["x", ["a"], 1],
    "safety_identifier": [1, "x" * 65],
    "functions": [{}, [{"name": "f"}] * 129],
    "reasoning_effort": [1, ["low"]],
    "service_tier": [1, True],
    "response_format": ["text"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_FIELDS.items() for value in values])
def test_invalid_fields(name: str, value: object) -> None:
    """A wrong type or a value out of OpenAI's range is refused, and the message names the field."""
    assert refusal(**{name: value}) == (400, "invalid_value", name)


def test_include_usage_must_be_a_boolean() -> None:
    """The message names the nested field."""
    param = "stream_options.include_usage"
    assert refusal(stream_options={"include_usage": "yes"}) == (400, "invalid_value", param)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
FORCED: dict[str, list[Any]] = {
    "tool_choice": [
        "required",
        "any",
        {"type": "function", "function": {"name": "f"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}},
        {},
    ],
    "function_call": ["f", {"name": "f"}],
}
N: list[Any] = [2, 0, -1, 129, 1.5, "1", True, [], {}]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        *[("n", value, "unsupported_value") for value in N],
        ("response_format", {}, "unsupported_value"),
        ("response_format", {"type": None}, "unsupported_value"),
        ("response_format", {"type": "json_object"}, "unsupported_value"),
        ("response_format", {"type": "json_schema", "json_schema": {}}, "unsupported_value"),
        *[(name, value, "unsupported_parameter") for name, values in FORCED.items() for value in values],
    ],
)
def test_unsupported_fields(name: str, value: object, code: str) -> None:
    """They are refused, not ignored without notice."""
    assert refusal(tools=[TOOL], **{name: value}) == (400, code, name)


IGNORABLE = [(name, value) for name, values in FORCED.items() for value in values] + [
    ("n", 2),
    ("n", 128),
    ("response_format", {"type": "json_object"}),
    ("response_format", {"type": "json_schema", "json_schema": {}}),
]


@pytest.mark.parametrize(("name", "value"), IGNORABLE)
def test_unsupported_fields_can_be_ignored(name: str, value: object) -> None:
    """The refusal names the setting; with it the request is answered, and the field listed."""
    with pytest.raises(ApiError, match=r"LUMEN_UNSUPPORTED=ignore"):
        read(**{name: value})
    assert name in read(ignore_unsupported=True, **{name: value}).ignored


@pytest.mark.parametrize("value", [0, 129, 1.5, "2", True])
def test_an_invalid_n_is_always_refused(value: object) -> None:
    """As OpenAI does."""
    with pytest.raises(ApiError) as caught:
        read(ignore_unsupported=True, n=value)
    assert (caught.value.code, caught.value.param) == ("unsupported_value", "n")


FREE: list[Any] = [None, "auto", "none", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}]


@pytest.mark.parametrize("choice", FREE)
@pytest.mark.parametrize(("tools", "name"), [("tools", "tool_choice"), ("functions", "function_call")])
def test_tools_are_accepted(tools: str, name: str, choice: object) -> None:
    """No call is required, so the protocol allows text; the tools are listed as ignored."""
    assert read(**{tools: [TOOL]}).ignored == (tools,)
    ignored = {tools, name} if choice else {tools}
    assert read(**{tools: [TOOL], name: choice}).ignored == tuple(sorted(ignored))
    assert read(**{name: choice}).ignored == ((name,) if choice else ())  # LM Studio ignores a choice without tools


def test_the_ends_of_the_ranges_are_legal() -> None:
    """Values at OpenAI's limits are accepted, and listed as ignored."""
    body: dict[str, Any] = {
        "logit_bias": {"1": -100, "2": 100.0},
        "metadata": {"a": "b"},
        "safety_identifier": "x" * 64,
        "reasoning_effort": "max",
        "service_tier": "on_demand",
        "seed": -(2**63),
        "max_tokens": 1,
        "max_completion_tokens": -1,
    }
    assert read(**body, tools=[], functions=[]).ignored == tuple(sorted([*body, "functions", "tools"]))
    assert read(functions=[{"name": "f"}] * 128, tool_choice="none").ignored == ("functions", "tool_choice")


# Values that OpenAI or another server accepts, and that clients of this server send to any server.
LENIENT: dict[str, list[Any]] = {
    "max_tokens": [-1, 100.0],  # the curl example of LM Studio; JSON of Lua writes 100 as 100.0
    "max_completion_tokens": [-1],
    "seed": [2**64 - 1, 1.5, -1],  # llama.cpp: unsigned 64 bits, -1 for a random seed
    "logit_bias": [[]],  # PHP writes an empty object as a list
    "metadata": [[], {"a": {"b": 1}, "c": None}],  # LiteLLM and Langfuse nest objects; LM Studio ignores it
    "top_k": [40],  # LM Studio
    "repeat_penalty": [1.1],  # LM Studio
    "ttl": [300],  # LM Studio
    "parallel_tool_calls": [False],  # without tools, too: LM Studio ignores it, OpenAI refuses it
    "store": [False],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in LENIENT.items() for value in values])
def test_values_that_other_servers_accept(name: str, value: object) -> None:
    """They have no effect here, so they are accepted and listed."""
    assert read(**{name: value}).ignored == (name,)


@pytest.mark.parametrize(
    "body",
    [
        {"n": 1.0},
        {"stop": ""},
        {"stop": []},
        {"stream": False, "stream_options": {"include_usage": True}},  # LM Studio ignores it without a stream
        {"stream_options": []},  # PHP's empty object
        {"stream_options": {}},
        {"response_format": {"type": "text"}},
    ],
    ids=str,
)
def test_empty_values_mean_the_default(body: dict[str, Any]) -> None:
    """Clients send them for a setting without a value; they change nothing and are not listed."""
    requested = read(**body)
    assert (requested.stops, requested.ignored) == ((), ())


NULLS = sorted({*BAD_FIELDS, "n", "max_tokens", "x"})


@pytest.mark.parametrize("name", NULLS)
def test_null_is_absent(name: str) -> None:
    """Null is legal for each optional field."""
    body: dict[str, Any] = {name: None}
    assert read(**body) == read()


def test_ignored_parameters_are_listed() -> None:
    """Valid fields without effect are listed; fields with an effect are not."""
    without: dict[str, Any] = {
        "temperature": 1,
        "max_tokens": 9,
        "max_completion_tokens": 9,
        "seed": 1,
        "foo": {"a": 1},
    }
    assert read(**without, stream=True, n=1, stop="x", user="u").ignored == tuple(sorted(without))


@pytest.mark.parametrize(
    ("requested", "served", "persona"),
    [
        (None, "lumen-gateway", None),
        ("lumen-gateway", "lumen-gateway", None),
        ("lumen-lua", "lumen-lua", "moon"),
        ("lumen-elo", "lumen-elo", "square"),
        ("lumen-nuri", "lumen-nuri", "earth"),
        ("lumen-sena", "lumen-sena", "pen"),
        ("lumen-sena:latest", "lumen-sena", "pen"),
        ("openai/lumen-sena", "lumen-sena", "pen"),
        ("lumen/lumen-sena:latest", "lumen-sena", "pen"),
        ("openrouter/openai/lumen-lua", "lumen-lua", "moon"),
        ("openai/lumen-gateway", "lumen-gateway", None),
        ("gpt-4o", "lumen-gateway", None),
        ("openai/gpt-4o:latest", "lumen-gateway", None),
        ("lumen-sena/other", "lumen-gateway", None),
        ("", "lumen-gateway", None),
    ],
)
def test_models(requested: str | None, served: str, persona: str | None) -> None:
    """A persona model sends its key; the default model serves an unknown one, and both names are known."""
    request = read(model=requested)
    assert (request.requested_model, request.model, request.persona) == (requested, served, persona)


@pytest.mark.parametrize("name", ["gpt-4o", "openai/gpt-4o", "gpt-4o:lumen-sena", "lumen-sena/x", "", "lumen-"])
def test_strict_models(name: str) -> None:
    """With LUMEN_MODEL_STRICT an unknown model is not found."""
    with pytest.raises(ApiError) as caught:
        read(strict_model=True, model=name)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


@pytest.mark.parametrize("name", [None, "lumen-sena", "lumen-sena:latest", "openai/lumen-sena", "a/b/lumen-sena:x"])
def test_strict_models_with_prefix_or_tag(name: str | None) -> None:
    """A model with a prefix or a tag is found."""
    assert read(strict_model=True, model=name).requested_model == name


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
)
NAMES = st.sampled_from([*BAD_FIELDS, "n", "messages", "tool_choice", "function_call", "x"])
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("user"), "content": st.just("hi")},
    optional=dict.fromkeys(("name", "tool_call_id", "refusal", "tool_calls", "x"), JSON_VALUES),
)


@given(st.dictionaries(NAMES, JSON_VALUES), st.lists(MESSAGES, min_size=1, max_size=2))
def test_any_json_is_a_request_or_a_refusal(body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    """For any value of any field there is no other exception."""
    try:
        read(**{"messages": messages, **body})
    except ApiError as error:
        assert error.status == 400  # noqa: PT017 - either outcome is right
