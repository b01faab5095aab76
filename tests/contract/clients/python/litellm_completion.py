"""LiteLLM as a client of an OpenAI-compatible server. A request with tools needs the package mcp, so none is sent."""

import json

import litellm
from city import City
from client_runner import JSON_OBJECT, KEY, LIMIT_TOKENS, MODEL, URL, ClientCalls, Output, question, run_acts


def connect(url: str, key: str) -> ClientCalls:
    """Default settings."""
    where = {"model": f"openai/{MODEL}", "api_base": url, "api_key": key}

    def plain(text: str, **more: object) -> Output:
        answer = litellm.completion(messages=question(text), **more, **where)
        yield answer.choices[0].message.content
        yield {"finish": answer.choices[0].finish_reason, "usage": answer.usage.model_dump()}
        yield {"metadata": getattr(answer, "lumen_metadata", None)}

    def stream(text: str, **more: object) -> Output:
        chunks = []
        for chunk in litellm.completion(messages=question(text), stream=True, **more, **where):
            chunks.append(chunk)
            for choice in chunk.choices:
                if choice.delta.content:
                    yield choice.delta.content
                if choice.finish_reason:
                    yield {"finish": choice.finish_reason}
            if usage := getattr(chunk, "usage", None):
                yield {"usage": usage.model_dump()}
        yield built(chunks)

    def answer_of(text: str, **more: object) -> object:
        return litellm.completion(messages=question(text), **more, **where).choices[0].message

    def joined(text: str, **more: object) -> object:
        chunks = list(litellm.completion(messages=question(text), stream=True, **more, **where))
        return litellm.stream_chunk_builder(chunks).choices[0].message

    more = {
        "json": lambda text: [{"parsed": json.loads(answer_of(text, response_format=JSON_OBJECT).content)}],
        "parse": lambda text: parsed(answer_of(text, response_format=City)),
        "parse-stream": lambda text: parsed(joined(text, response_format=City)),
        "limited": lambda text: plain(text, max_tokens=LIMIT_TOKENS),
    }
    return ClientCalls(plain, stream, lambda text: stream(text, stream_options={"include_usage": True}), more)


def parsed(message: object) -> Output:
    """The city of a message."""
    yield {"parsed": City.model_validate_json(message.content).model_dump()}


def built(chunks: list[object]) -> dict[str, object]:
    """The answer that LiteLLM joins from the chunks."""
    return {"built": litellm.stream_chunk_builder(chunks).choices[0].message.content}


def no_messages() -> Output:
    """A request without messages."""
    litellm.completion(messages=[], model=f"openai/{MODEL}", api_base=URL, api_key=KEY)
    yield "an answer"


run_acts(connect, {"no-messages": no_messages})
