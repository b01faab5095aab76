"""LangChain's ChatOpenAI."""

import json
from functools import partial

from city import City
from client_runner import LIMIT_TOKENS, MODEL, ClientCalls, Output, run_acts
from langchain_openai import ChatOpenAI

REASONING_MODEL = "o4-mini"  # LangChain sends instructions for this model with the role developer
BRIEF = "Be brief."
INSTRUCTION = ("system", BRIEF)


def connect(url: str, key: str) -> ClientCalls:
    """Default settings; usage in streams is an option when the base URL is not OpenAI's."""
    where = {"base_url": url, "api_key": key}
    chat = ChatOpenAI(**where, model=MODEL)

    def stream(text: str, **more: object) -> Output:
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

    def tools(text: str) -> Output:
        yield called(chat.bind_tools([now], tool_choice="required").invoke(text))

    def tools_stream(text: str) -> Output:
        whole = None
        for chunk in chat.bind_tools([now], tool_choice="required").stream(text):
            whole = chunk if whole is None else whole + chunk
        yield called(whole)

    asks = {
        "json": partial(in_json, chat),
        "parse": partial(parse, chat),
        "parse-stream": partial(parse_stream, chat),
        "turn": lambda text: ended(chat.invoke([("user", text), chat.invoke(text), ("user", text)])),
        "limited": lambda text: invoked(ChatOpenAI(**where, model=MODEL, max_tokens=LIMIT_TOKENS), text),
        "instructed": lambda text: invoked(ChatOpenAI(**where, model=REASONING_MODEL), [INSTRUCTION, ("user", text)]),
        "parts": lambda text: invoked(chat, [("user", [{"type": "text", "text": each} for each in (BRIEF, text)])]),
    }
    more = {"tools": tools, "tools-stream": tools_stream, **asks}
    return ClientCalls(partial(invoked, chat), stream, lambda text: stream(text, stream_usage=True), more)


def invoked(chat: ChatOpenAI, asked: object) -> Output:
    """One answer."""
    message = chat.invoke(asked)
    yield message.content
    yield {"finish": message.response_metadata.get("finish_reason"), "usage": counted(message.usage_metadata)}


def in_json(chat: ChatOpenAI, text: str) -> Output:
    """One answer in JSON."""
    yield {"parsed": chat.with_structured_output(None, method="json_mode").invoke(text)}


def parse(chat: ChatOpenAI, text: str) -> Output:
    """One answer that fits a schema."""
    yield {"parsed": chat.with_structured_output(City, method="json_schema").invoke(text).model_dump()}


def parse_stream(chat: ChatOpenAI, text: str) -> Output:
    """One streamed answer that fits a schema."""
    *_, last = chat.with_structured_output(City, method="json_schema").stream(text)
    yield {"parsed": last.model_dump()}


def ended(message: object) -> Output:
    """The finish_reason of a turn; its text is not recorded, because it may contain the history."""
    yield {"finish": message.response_metadata.get("finish_reason")}


def now() -> str:
    """The time."""
    return "noon"


def called(message: object) -> dict[str, object]:
    """The tools that a message calls."""
    return {"calls": [[call["name"], json.dumps(call["args"])] for call in message.tool_calls]}


def counted(usage: dict[str, int] | None) -> dict[str, int] | None:
    """Rename the counts of LangChain to those of the API."""
    if usage is None:
        return None
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
    return {ours: usage[theirs] for ours, theirs in names.items()}


run_acts(connect)
