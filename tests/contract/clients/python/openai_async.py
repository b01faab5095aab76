"""The OpenAI library of Python, asynchronous: several questions at once on one client."""

import asyncio
from collections.abc import AsyncIterator

import openai
from telling import KEY, MODEL, TEXTS, URL, Talk, drained, perform, question


def connect(url: str, key: str) -> Talk:
    """Each act has an event loop of its own, and so a client of its own."""

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

    return Talk(
        lambda text: drained(plain(text)),
        lambda text: drained(stream(text)),
        lambda text: drained(stream(text, stream_options={"include_usage": True})),
    )


async def at_once() -> AsyncIterator[object]:
    """Every text three times on one client, all at once, every other one as a stream."""
    texts = [f"{text} {number}" for text in TEXTS.values() for number in range(3)]
    async with openai.AsyncOpenAI(base_url=URL, api_key=KEY) as client:
        answers = await asyncio.gather(*(one_of_many(client, number, text) for number, text in enumerate(texts)))
    yield {"asked": texts, "answered": answers}


async def one_of_many(client: openai.AsyncOpenAI, number: int, text: str) -> str:
    """Ask plainly or with a stream."""
    answer = await client.chat.completions.create(model=MODEL, messages=question(text), stream=bool(number % 2))
    if number % 2:
        return "".join([choice.delta.content or "" async for chunk in answer for choice in chunk.choices])
    return answer.choices[0].message.content


perform(connect, {"at-once": lambda: drained(at_once())})
