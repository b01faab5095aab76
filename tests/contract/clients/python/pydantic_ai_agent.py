"""Pydantic AI: an agent on the chat model."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from telling import LIMIT_TOKENS, MODEL, Seen, Talk, drained, perform


def connect(url: str, key: str) -> Talk:
    """Everything at its defaults."""

    def agent(**more: object) -> Agent:
        return Agent(OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=url, api_key=key)), **more)

    def plain(text: object, **more: object) -> Seen:
        result = agent(**more).run_sync(text)
        yield result.output
        yield {"finish": result.response.finish_reason, "usage": counted(result.usage)}

    async def pieces(text: str) -> AsyncIterator[object]:
        async with agent().run_stream(text) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                yield piece
            yield {"finish": result.response.finish_reason, "usage": counted(result.usage)}

    def stream(text: str) -> Seen:
        return drained(pieces(text))

    def tools(text: str) -> Seen:
        yield {"calls": [[type(agent(output_type=Now).run_sync(text).output).__name__, "{}"]]}

    async def called(text: str) -> AsyncIterator[object]:
        async with agent(output_type=Now).run_stream(text) as result:
            yield {"calls": [[type(await result.get_output()).__name__, "{}"]]}

    more = {
        "tools": tools,
        "tools-stream": lambda text: drained(called(text)),
        "limited": lambda text: plain(text, model_settings={"max_tokens": LIMIT_TOKENS}),
        "instructed": lambda text: plain(text, instructions="Be brief."),
        "parts": lambda text: plain(["Be brief.", text]),
    }
    return Talk(plain, stream, stream, more)


@dataclass
class Now:
    """What the model has to fill in; sent as a tool that must be called."""


def counted(usage: object) -> dict[str, int]:
    """Pydantic AI's words for the counts, put back; a method in some releases, a value in others."""
    usage = usage() if callable(usage) else usage
    return {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}


perform(connect)
