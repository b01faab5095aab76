"""Parse the messages of a chat request: roles, texts, replaced parts, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from lumen_proxy.errors import ApiError
from tests.unit.proxy.test_wire_request import USER, read, refusal

EMPTY: list[Any] = [None, 1, []]
INVALID: dict[str, list[Any]] = {
    "messages": [None, [], "hi", {}, 1],
    "messages[0]": [[None], ["hi"], [[]]],
    "messages[0].role": [[{"content": "x"}], [{"role": "boss", "content": "x"}], [{"role": ["user"], "content": "x"}]],
    "messages[0].content": [
        *([{"role": "user", "content": content}] for content in EMPTY),
        [{"role": "user"}],
        *([{"role": role, "content": None}, USER] for role in ("system", "user", "tool")),
    ],
    "messages[0].content[0]": [[{"role": "user", "content": [1]}], [{"role": "user", "content": [{"text": "x"}]}]],
    "messages[0].content[0].text": [[{"role": "user", "content": [{"type": "text", "text": None}]}]],
    "messages[1].role": [[USER, {"role": "assistant", "content": "x"}]],
}


@pytest.mark.parametrize(
    ("param", "messages"), [(param, value) for param, values in INVALID.items() for value in values]
)
def test_invalid_messages(param: str, messages: object) -> None:
    """A refusal names the exact field."""
    assert refusal(messages=messages) == (400, "invalid_value", param)


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_blank_conversation(text: str) -> None:
    """At least one text must not be blank."""
    assert refusal(messages=[{"role": "user", "content": text}]) == (400, "invalid_value", "messages")


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
TOOL_CALL = {"role": "assistant", "content": [], "tool_calls": [{"id": "c"}]}
PLACEHOLDERS = {
    "image_url": "[image]",
    "input_image": "[image]",
    "input_audio": "[audio]",
    "file": "[file]",
    "video_url": "[video]",
    "thinking": "[attachment]",
}


@pytest.mark.parametrize("kind", PLACEHOLDERS)
@pytest.mark.parametrize("after", [[], [TOOL_CALL, {"role": "tool", "content": "x"}]], ids=["last", "tool-last"])
def test_parts_of_the_question_that_are_not_text(kind: str, after: list[dict[str, Any]]) -> None:
    """In the last user message an image is refused with the remedy, unless the setting replaces it."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": kind}]}, *after]
    assert refusal(messages=messages) == (400, "unsupported_value", "messages[0].content[1]")
    with pytest.raises(ApiError, match="set LUMEN_UNSUPPORTED=ignore"):
        read(messages=messages)
    replaced = read(messages=messages, ignore_unsupported=True)
    assert (replaced.messages[0].text, replaced.replaced_parts) == (f"x\n{PLACEHOLDERS[kind]}", 1)


@pytest.mark.parametrize("kind", PLACEHOLDERS)
@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_parts_of_older_turns_that_are_not_text(kind: str, role: str) -> None:
    """Clients repeat old images in each request: a placeholder replaces them, and they are counted."""
    old = {"role": role, "content": [{"type": kind}, {"type": "text", "text": "x"}, {"type": kind}]}
    request = read(messages=[old, USER])
    assert request.messages[0].text == f"{PLACEHOLDERS[kind]}\nx\n{PLACEHOLDERS[kind]}"
    assert request.replaced_parts == 2


@pytest.mark.parametrize("kind", ["text", "input_text", "output_text"])
def test_parts_that_are_text(kind: str) -> None:
    """Clients of the Responses API have other names for text parts; their text is sent, too."""
    request = read(messages=[{"role": "user", "content": [{"type": kind, "text": "a"}]}])
    assert (request.messages[0].text, request.replaced_parts) == ("a", 0)


def test_an_image_alone_can_be_replaced() -> None:
    """With the setting, a message with an image only is sent as the placeholder."""
    assert (
        read(messages=[{"role": "user", "content": [PICTURE]}], ignore_unsupported=True).messages[0].text == "[image]"
    )


@pytest.mark.parametrize("role", ["user", "tool", "function", "system", "developer"])
def test_the_role_of_the_last_message(role: str) -> None:
    """OpenAI and LM Studio accept instructions there; only an answer cannot be continued."""
    assert read(messages=[USER, {"role": role, "content": "x"}]).messages[-1].role == role


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_alone(role: str) -> None:
    """OpenAI and LM Studio answer a conversation without a user message; a blank one is refused."""
    assert read(messages=[{"role": role, "content": "Greet."}]).messages[0].text == "Greet."
    assert refusal(messages=[{"role": role, "content": " "}]) == (400, "invalid_value", "messages")


@pytest.mark.parametrize("role", ["assistant", "tool", "function"])
def test_empty_turns(role: str) -> None:
    """A call without text and a tool without output are valid, as text or as an empty list of parts."""
    contents: list[Any] = ["", []]
    assert [read(messages=[{"role": role, "content": it}, USER]).messages[0].text for it in contents] == ["", ""]


def test_lone_surrogates_become_replacement_characters() -> None:
    """Half of an emoji, cut by a client, must not end the conversation."""
    messages = [{"role": "user", "content": "a\ud83c"}, {"role": "assistant", "content": "\udf19b 🌙"}, USER]
    texts = [message.text for message in read(messages=messages, user="\ud800").messages]
    assert texts == ["a\ufffd", "\ufffdb 🌙", "hi"]


def test_texts_of_messages() -> None:
    """Parts are joined by newlines, null is allowed for an assistant, and its calls are kept."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "developer", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "날씨"}]},
        {"role": "tool", "content": "sunny", "tool_call_id": "x"},
        USER,
    ]
    texts = [message.text for message in read(messages=messages).messages]
    assert texts == ["a\nb", '[{"id": "날씨"}]', "sunny", "hi"]


def test_names_call_ids_and_refusals() -> None:
    """They are kept."""
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
    """Any other value is refused, and the message names the field."""
    assert refusal(messages=[{**USER, field: 1}]) == (400, "invalid_value", f"messages[0].{field}")


def test_fields_that_are_not_sent_are_listed() -> None:
    """Unknown fields of messages, once each; and the name of a lone message."""
    odd = {"role": "assistant", "content": "a", "audio": {"id": "x"}, "annotations": [], "cache": {"ttl": 1}}
    assert read(messages=[USER, odd, {**odd, "role": "user"}]).ignored == ("messages[].audio", "messages[].cache")
    assert read(messages=[{**USER, "name": "kim"}], seed=1).ignored == ("messages[].name", "seed")
