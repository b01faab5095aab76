"""Pydantic AI: an agent on the chat model."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from city import City
from client_runner import LIMIT_TOKENS, MODEL, ClientCalls, Output, drain, run_acts
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def connect(url: str, key: str) -> ClientCalls:
    """Default settings."""

    def agent(**more: object) -> Agent:
        return Agent(OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=url, api_key=key)), **more)

    def plain(text: object, **more: object) -> Output:
        result = agent(**more).run_sync(text)
        yield result.output
        yield {"finish": result.response.finish_reason, "usage": counted(result.usage)}

    async def pieces(text: str) -> AsyncIterator[object]:
        async with agent().run_stream(text) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                yield piece
            yield {"finish": result.response.finish_reason, "usage": counted(result.usage)}

    def stream(text: str) -> Output:
        return drain(pieces(text))

    def tools(text: str) -> Output:
        yield {"calls": [[type(agent(output_type=Now).run_sync(text).output).__name__, "{}"]]}

    async def called(text: str) -> AsyncIterator[object]:
        async with agent(output_type=Now).run_stream(text) as result:
            yield {"calls": [[type(await result.get_output()).__name__, "{}"]]}

    def parse(text: str) -> Output:
        yield {"parsed": agent(output_type=NativeOutput(City)).run_sync(text).output.model_dump()}

    async def parsed(text: str) -> AsyncIterator[object]:
        async with agent(output_type=NativeOutput(City)).run_stream(text) as result:
            yield {"parsed": (await result.get_output()).model_dump()}

    more = {
        "parse": parse,
        "parse-stream": lambda text: drain(parsed(text)),
        "tools": tools,
        "tools-stream": lambda text: drain(called(text)),
        "limited": lambda text: plain(text, model_settings={"max_tokens": LIMIT_TOKENS}),
        "instructed": lambda text: plain(text, instructions="Be brief."),
        "parts": lambda text: plain(["Be brief.", text]),
    }
    return ClientCalls(plain, stream, stream, more)


@dataclass
class Now:
    """The output type of the agent; it is sent as a tool that must be called."""


def counted(usage: object) -> dict[str, int]:
    """Rename the counts of Pydantic AI to those of the API; ``usage`` is a method in some releases."""
    usage = usage() if callable(usage) else usage
    return {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}


run_acts(connect)
