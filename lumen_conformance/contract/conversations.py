"""Conversations that a proxy has to forward. The questions of users begin differently in each."""

from __future__ import annotations

from typing import Any

Messages = list[dict[str, Any]]

PARTS = [{"type": "text", "text": "second question"}, {"type": "text", "text": "its rest"}]
CALL: dict[str, Any] = {
    "id": "call_7",
    "type": "function",
    "function": {"name": "weather_of", "arguments": '{"city": "Seoul"}'},
}
SECOND_CALL = CALL | {"id": "call_8", "function": {"name": "weather_of", "arguments": '{"city": "Busan"}'}}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAIBAQCzzHJ7AAAAAElFTkSuQmCC"  # fmt: skip  # noqa: E501 -- one picture


def user(content: object, **more: object) -> dict[str, Any]:
    """A message of a user."""
    return {"role": "user", "content": content, **more}


def assistant(content: object, **more: object) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": content, **more}


def result(call: dict[str, Any], content: object) -> dict[str, Any]:
    """The result of a tool call."""
    return {"role": "tool", "tool_call_id": call["id"], "content": content}


def text(content: str) -> dict[str, str]:
    """A text part."""
    return {"type": "text", "text": content}


CONVERSATIONS: dict[str, Messages] = {
    "lone": [user("  안녕,\n\nwhat is 1 + 1?\t")],
    "system": [{"role": "system", "content": "be brief"}, user("hi")],
    "history": [
        {"role": "system", "content": "first instruction"},
        user("first question"),
        assistant("first answer"),
        user("second question"),
    ],
    "parts": [user(PARTS)],
    "developer": [{"role": "developer", "content": "be polite"}, user("whom do I obey?")],
    "tools": [
        user("is it raining in Seoul?"),
        assistant(None, tool_calls=[CALL]),
        result(CALL, "23 degrees, dry"),
    ],
}
# Conversations that a server may refuse with an error, as its model may lack the feature; it never loses a part.
UNUSUAL_CONVERSATIONS: dict[str, Messages] = {
    "systems": [
        {"role": "system", "content": "answer in Korean"},
        {"role": "system", "content": "answer in one word"},
        user("how many instructions are there?"),
    ],
    "late-system": [
        user("an early question"),
        assistant("an early answer"),
        {"role": "system", "content": "from now on be formal"},
        user("a late question"),
    ],
    "two-users": [user("one of two questions"), user("the other of two questions")],
    "names": [user("this is Kim in Seoul", name="kim"), user("that is Lee in Busan", name="lee")],
    "assistant-parts": [
        user("what did you say in parts?"),
        assistant([text("a first part"), text("a second part")]),
        user("now say it again"),
    ],
    "assistant-empty": [user("was there an answer?"), assistant(""), user("please try again")],
    "call-without-content": [
        user("does it rain in Seoul now?"),
        {"role": "assistant", "tool_calls": [CALL]},
        result(CALL, "it does"),
    ],
    "text-and-call": [
        user("look up the weather, please"),
        assistant("I am looking it up", tool_calls=[CALL]),
        result(CALL, "it is dry"),
    ],
    "two-calls": [
        user("compare the two cities"),
        assistant(None, tool_calls=[CALL, SECOND_CALL]),
        result(CALL, "dry in Seoul"),
        result(SECOND_CALL, "wet in Busan"),
    ],
    "result-parts": [
        user("and what does the tool say?"),
        assistant(None, tool_calls=[CALL]),
        result(CALL, [text("23 degrees"), text("no wind")]),
    ],
    "image": [user([text("describe this picture"), {"type": "image_url", "image_url": {"url": PIXEL}}])],
}
