"""LangChain's ChatOpenAI."""

import json
from functools import partial

from langchain_openai import ChatOpenAI
from telling import LIMIT_TOKENS, MODEL, Seen, Talk, perform

REASONING_MODEL = "o4-mini"  # the instructions of a model that is called so are sent as a developer's
BRIEF = "Be brief."
INSTRUCTION = ("system", BRIEF)


def connect(url: str, key: str) -> Talk:
    """Everything at its defaults; usage in streams has to be asked for where the base URL is not OpenAI's own."""
    where = {"base_url": url, "api_key": key}
    chat = ChatOpenAI(**where, model=MODEL)

    def stream(text: str, **more: object) -> Seen:
        whole = None
        for chunk in chat.stream(text, **more):
            whole = chunk if whole is None else whole + chunk
            if chunk.content:
                yield chunk.content
            if finish := chunk.response_metadata.get("finish_reason"):
                yield {"finish": finish}
            if chunk.usage_metadata:
                yield {"usage": counted(chunk.usage_metadata)}
        yield {"built": whole and whole.content}

    def tools(text: str) -> Seen:
        yield called(chat.bind_tools([now], tool_choice="required").invoke(text))

    def tools_stream(text: str) -> Seen:
        whole = None
        for chunk in chat.bind_tools([now], tool_choice="required").stream(text):
            whole = chunk if whole is None else whole + chunk
        yield called(whole)

    asks = {
        "turn": lambda text: ended(chat.invoke([("user", text), chat.invoke(text), ("user", text)])),
        "limited": lambda text: invoked(ChatOpenAI(**where, model=MODEL, max_tokens=LIMIT_TOKENS), text),
        "instructed": lambda text: invoked(ChatOpenAI(**where, model=REASONING_MODEL), [INSTRUCTION, ("user", text)]),
        "parts": lambda text: invoked(chat, [("user", [{"type": "text", "text": each} for each in (BRIEF, text)])]),
    }
    more = {"tools": tools, "tools-stream": tools_stream, **asks}
    return Talk(partial(invoked, chat), stream, lambda text: stream(text, stream_usage=True), more)


def invoked(chat: ChatOpenAI, asked: object) -> Seen:
    """One answer."""
    message = chat.invoke(asked)
    yield message.content
    yield {"finish": message.response_metadata.get("finish_reason"), "usage": counted(message.usage_metadata)}


def ended(message: object) -> Seen:
    """Why a turn of a conversation ended; its text tells the past in the server's own words."""
    yield {"finish": message.response_metadata.get("finish_reason")}


def now() -> str:
    """The time."""
    return "noon"


def called(message: object) -> dict[str, object]:
    """The tools that a message calls."""
    return {"calls": [[call["name"], json.dumps(call["args"])] for call in message.tool_calls]}


def counted(usage: dict[str, int] | None) -> dict[str, int] | None:
    """LangChain's words for the three counts, put back."""
    if usage is None:
        return None
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
    return {ours: usage[theirs] for ours, theirs in names.items()}


perform(connect)
