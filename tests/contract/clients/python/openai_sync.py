"""The OpenAI library of Python, as most programs use it."""

import openai
from telling import KEY, MODEL, TEXTS, URL, Seen, Talk, perform, question

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
FORCED = {"tools": [TOOL], "tool_choice": "required"}


def connect(url: str, key: str) -> Talk:
    """Everything at its defaults, retries included."""
    client = openai.OpenAI(base_url=url, api_key=key)
    create = client.chat.completions.create

    def plain(text: str, **more: object) -> Seen:
        answer = create(model=MODEL, messages=question(text), **more)
        choice = answer.choices[0]
        yield choice.message.content
        yield {"finish": choice.finish_reason, "usage": answer.usage and answer.usage.model_dump()}
        yield {"metadata": (answer.model_extra or {}).get("lumen_metadata")}
        if choice.message.tool_calls:
            yield {"calls": [[call.function.name, call.function.arguments] for call in choice.message.tool_calls]}

    def stream(text: str, **more: object) -> Seen:
        for chunk in create(model=MODEL, messages=question(text), stream=True, **more):
            for choice in chunk.choices:
                if choice.delta.content:
                    yield choice.delta.content
                if choice.finish_reason:
                    yield {"finish": choice.finish_reason}
            if chunk.usage:
                yield {"usage": chunk.usage.model_dump()}

    def helper(text: str, **more: object) -> Seen:
        """The stream helper, which checks more than the plain stream does."""
        with client.chat.completions.stream(model=MODEL, messages=question(text), **more) as stream:
            for event in stream:
                if event.type == "content.delta":
                    yield event.delta
            final = stream.get_final_completion().choices[0]
            yield {"finish": final.finish_reason, "built": final.message.content}
            if final.message.tool_calls:
                yield {"calls": [[call.function.name, call.function.arguments] for call in final.message.tool_calls]}

    def models(_: str) -> Seen:
        """The list, and each of it by its name."""
        listed = client.models.list().data
        yield {"listed": [model.id for model in listed], "found": [client.models.retrieve(each.id).id for each in listed]}

    def unknown_model(_: str) -> Seen:
        """A model that is not in the list."""
        yield client.models.retrieve("no-such-model").id

    def two(text: str) -> Seen:
        """Two answers to one question."""
        yield {"answers": [choice.message.content for choice in create(model=MODEL, messages=question(text), n=2).choices]}

    more = {
        "helper": helper,
        "models": models,
        "unknown-model": unknown_model,
        "two": two,
        "tools": lambda text: plain(text, **FORCED),
        "tools-stream": lambda text: helper(text, **FORCED),
    }
    return Talk(plain, stream, lambda text: stream(text, stream_options={"include_usage": True}), more)


def no_messages() -> Seen:
    """The emptiest question."""
    openai.OpenAI(base_url=URL, api_key=KEY).chat.completions.create(model=MODEL, messages=[])
    yield "an answer"


def headers() -> Seen:
    """The answer beneath the answer."""
    completions = openai.OpenAI(base_url=URL, api_key=KEY).chat.completions
    raw = completions.with_raw_response.create(model=MODEL, messages=question(TEXTS["korean-nfc"]))
    answer = raw.parse()
    yield {"request_id": raw.headers.get("x-request-id"), "own_request_id": answer._request_id}  # noqa: SLF001 -- its documented name
    yield answer.choices[0].message.content


perform(connect, {"no-messages": no_messages, "headers": headers}, ("models", "unknown-model", "helper"))
