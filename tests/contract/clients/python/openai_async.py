"""The asynchronous OpenAI library of Python, with concurrent questions on one client."""

import asyncio
from collections.abc import AsyncIterator

import openai
from client_runner import KEY, MODEL, TEXTS, URL, ClientCalls, drain, question, run_acts


def connect(url: str, key: str) -> ClientCalls:
    """Default settings; each act has its own event loop and its own client."""

    async def plain(text: str) -> AsyncIterator[object]:
        async with openai.AsyncOpenAI(base_url=url, api_key=key) as client:
            answer = await client.chat.completions.create(model=MODEL, messages=question(text))
            yield answer.choices[0].message.content
            yield {"finish": answer.choices[0].finish_reason, "usage": answer.usage and answer.usage.model_dump()}

    async def stream(text: str, **more: object) -> AsyncIterator[object]:
        async with openai.AsyncOpenAI(base_url=url, api_key=key) as client:
            asked = client.chat.completions.create(model=MODEL, messages=question(text), stream=True, **more)
            async for chunk in await asked:
                for choice in chunk.choices:
                    if choice.delta.content:
                        yield choice.delta.content
                    if choice.finish_reason:
                        yield {"finish": choice.finish_reason}
                if chunk.usage:
                    yield {"usage": chunk.usage.model_dump()}

    return ClientCalls(
        lambda text: drain(plain(text)),
        lambda text: drain(stream(text)),
        lambda text: drain(stream(text, stream_options={"include_usage": True})),
    )


async def at_once() -> AsyncIterator[object]:
    """Ask every text three times at once on one client, every second time as a stream."""
    texts = [f"{text} {number}" for text in TEXTS.values() for number in range(3)]
    async with openai.AsyncOpenAI(base_url=URL, api_key=KEY) as client:
        answers = await asyncio.gather(*(one_of_many(client, number, text) for number, text in enumerate(texts)))
    yield {"asked": texts, "answered": answers}


async def one_of_many(client: openai.AsyncOpenAI, number: int, text: str) -> str:
    """Ask for a plain answer or a stream."""
    answer = await client.chat.completions.create(model=MODEL, messages=question(text), stream=bool(number % 2))
    if number % 2:
        return "".join([choice.delta.content or "" async for chunk in answer for choice in chunk.choices])
    return answer.choices[0].message.content


run_acts(connect, {"at-once": lambda: drain(at_once())})
