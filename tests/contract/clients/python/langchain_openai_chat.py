"""LangChain's ChatOpenAI."""

from langchain_openai import ChatOpenAI
from telling import MODEL, Seen, Talk, perform


def connect(url: str, key: str) -> Talk:
    """Everything at its defaults; usage in streams has to be asked for where the base URL is not OpenAI's own."""
    chat = ChatOpenAI(base_url=url, api_key=key, model=MODEL)

    def plain(text: str) -> Seen:
        message = chat.invoke(text)
        yield message.content
        yield {"finish": message.response_metadata["finish_reason"], "usage": counted(message.usage_metadata)}

    def stream(text: str, **more: object) -> Seen:
        for chunk in chat.stream(text, **more):
            if chunk.content:
                yield chunk.content
            if finish := chunk.response_metadata.get("finish_reason"):
                yield {"finish": finish}
            if chunk.usage_metadata:
                yield {"usage": counted(chunk.usage_metadata)}

    return Talk(plain, stream, lambda text: stream(text, stream_usage=True))


def counted(usage: dict[str, int]) -> dict[str, int]:
    """LangChain's words for the three counts, put back."""
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
    return {ours: usage[theirs] for ours, theirs in names.items()}


perform(connect)
