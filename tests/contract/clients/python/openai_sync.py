"""The OpenAI library of Python, as most programs use it."""

import openai
from telling import KEY, MODEL, TEXTS, URL, Seen, Talk, perform, question


def connect(url: str, key: str) -> Talk:
    """Everything at its defaults, retries included."""
    create = openai.OpenAI(base_url=url, api_key=key).chat.completions.create

    def plain(text: str) -> Seen:
        answer = create(model=MODEL, messages=question(text))
        yield answer.choices[0].message.content
        yield {"finish": answer.choices[0].finish_reason, "usage": answer.usage.model_dump()}
        yield {"metadata": answer.model_extra["lumen_metadata"]}

    def stream(text: str, **more: object) -> Seen:
        for chunk in create(model=MODEL, messages=question(text), stream=True, **more):
            for choice in chunk.choices:
                if choice.delta.content:
                    yield choice.delta.content
                if choice.finish_reason:
                    yield {"finish": choice.finish_reason}
            if chunk.usage:
                yield {"usage": chunk.usage.model_dump()}

    return Talk(plain, stream, lambda text: stream(text, stream_options={"include_usage": True}))


client = openai.OpenAI(base_url=URL, api_key=KEY)


def no_messages() -> Seen:
    """The emptiest question."""
    client.chat.completions.create(model=MODEL, messages=[])
    yield "an answer"


def models() -> Seen:
    """The list, and each of it by its name."""
    listed = client.models.list().data
    yield {"listed": [model.id for model in listed], "found": [client.models.retrieve(model.id).id for model in listed]}


def unknown_model() -> Seen:
    """A model that is not in the list."""
    yield client.models.retrieve("no-such-model").id


def headers() -> Seen:
    """The answer beneath the answer."""
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=question(TEXTS["korean-nfc"]))
    answer = raw.parse()
    yield {"request_id": raw.headers.get("x-request-id"), "own_request_id": answer._request_id}  # noqa: SLF001 -- its documented name
    yield answer.choices[0].message.content


def helper() -> Seen:
    """The stream helper, which checks more than the plain stream does."""
    with client.chat.completions.stream(model=MODEL, messages=question(TEXTS["korean-nfc"])) as stream:
        for event in stream:
            if event.type == "content.delta":
                yield event.delta
        yield {"finish": stream.get_final_completion().choices[0].finish_reason}


more = {
    "no-messages": no_messages,
    "models": models,
    "unknown-model": unknown_model,
    "headers": headers,
    "helper": helper,
}
perform(connect, more)
