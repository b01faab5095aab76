"""The OpenAI library of Python, as most programs use it."""

import json
from functools import partial

import openai
from city import City
from client_runner import JSON_OBJECT, KEY, MODEL, TEXTS, URL, ClientCalls, Output, question, run_acts

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
FORCED = {"tools": [TOOL], "tool_choice": "required"}


def connect(url: str, key: str) -> ClientCalls:
    """Default settings, including retries."""
    client = openai.OpenAI(base_url=url, api_key=key)
    more = {
        "helper": partial(helper, client),
        "models": partial(models, client),
        "unknown-model": partial(unknown_model, client),
        "two": partial(two, client),
        "turn": partial(turn, client),
        "tools": partial(plain, client, **FORCED),
        "tools-stream": partial(helper, client, **FORCED),
        "json": partial(in_json, client),
        "parse": partial(parse, client),
        "parse-stream": partial(parse_stream, client),
    }
    usage = partial(stream, client, stream_options={"include_usage": True})
    return ClientCalls(partial(plain, client), partial(stream, client), usage, more)


def plain(client: openai.OpenAI, text: str, **more: object) -> Output:
    """One answer."""
    answer = client.chat.completions.create(model=MODEL, messages=question(text), **more)
    choice = answer.choices[0]
    yield choice.message.content
    yield {"finish": choice.finish_reason, "usage": answer.usage and answer.usage.model_dump()}
    yield {"metadata": (answer.model_extra or {}).get("lumen_metadata")}
    yield called(choice.message)


def turn(client: openai.OpenAI, text: str) -> Output:
    """A conversation: the first answer is sent back with another question."""
    answer = client.chat.completions.create(model=MODEL, messages=question(text)).choices[0].message.content
    past = [*question(text), {"role": "assistant", "content": answer}]
    again = client.chat.completions.create(model=MODEL, messages=[*past, *question(text)])
    yield {"finish": again.choices[0].finish_reason}


def stream(client: openai.OpenAI, text: str, **more: object) -> Output:
    """One streamed answer."""
    for chunk in client.chat.completions.create(model=MODEL, messages=question(text), stream=True, **more):
        for choice in chunk.choices:
            if choice.delta.content:
                yield choice.delta.content
            if choice.finish_reason:
                yield {"finish": choice.finish_reason}
        if chunk.usage:
            yield {"usage": chunk.usage.model_dump()}


def helper(client: openai.OpenAI, text: str, **more: object) -> Output:
    """The stream helper, which validates more than a stream."""
    with client.chat.completions.stream(model=MODEL, messages=question(text), **more) as events:
        for event in events:
            if event.type == "content.delta":
                yield event.delta
        final = events.get_final_completion().choices[0]
    yield {"finish": final.finish_reason, "built": final.message.content}
    yield called(final.message)


def in_json(client: openai.OpenAI, text: str) -> Output:
    """One answer in JSON, which the program reads."""
    answer = client.chat.completions.create(model=MODEL, messages=question(text), response_format=JSON_OBJECT)
    yield {"parsed": json.loads(answer.choices[0].message.content)}


def parse(client: openai.OpenAI, text: str) -> Output:
    """One answer that fits a schema."""
    answer = client.chat.completions.parse(model=MODEL, messages=question(text), response_format=City)
    yield {"parsed": answer.choices[0].message.parsed.model_dump()}


def parse_stream(client: openai.OpenAI, text: str) -> Output:
    """One streamed answer that fits a schema."""
    with client.chat.completions.stream(model=MODEL, messages=question(text), response_format=City) as events:
        final = events.get_final_completion().choices[0]
    yield {"parsed": final.message.parsed.model_dump()}


def called(message: object) -> dict[str, object]:
    """The tools that a message calls; nothing when there are none."""
    calls = [[call.function.name, call.function.arguments] for call in message.tool_calls or ()]
    return {"calls": calls} if calls else {}


def models(client: openai.OpenAI, _: str) -> Output:
    """List the models, and retrieve each by its name."""
    listed = [model.id for model in client.models.list().data]
    yield {"listed": listed, "found": [client.models.retrieve(name).id for name in listed]}


def unknown_model(client: openai.OpenAI, _: str) -> Output:
    """Retrieve a model that is not in the list."""
    yield client.models.retrieve("no-such-model").id


def two(client: openai.OpenAI, text: str) -> Output:
    """Two answers to one question."""
    answer = client.chat.completions.create(model=MODEL, messages=question(text), n=2)
    yield {"answers": [choice.message.content for choice in answer.choices]}


def no_messages() -> Output:
    """A request without messages."""
    openai.OpenAI(base_url=URL, api_key=KEY).chat.completions.create(model=MODEL, messages=[])
    yield "an answer"


def headers() -> Output:
    """The raw response of an answer."""
    completions = openai.OpenAI(base_url=URL, api_key=KEY).chat.completions
    raw = completions.with_raw_response.create(model=MODEL, messages=question(TEXTS["korean-nfc"]))
    answer = raw.parse()
    yield {"request_id": raw.headers.get("x-request-id"), "own_request_id": answer._request_id}  # noqa: SLF001 -- its documented name
    yield answer.choices[0].message.content


run_acts(connect, {"no-messages": no_messages, "headers": headers}, ("models", "unknown-model", "helper"))
