"""The clients, one row each: how to run one, which releases are pinned, and what it raises.

Classes have the full names that a program would catch; a code of None is one that the client loses on the way.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from .versions import HERE, LANGUAGES, OPENAI_3, PYTHON, missing, pinned


@dataclass(frozen=True)
class Raise:
    """What a client raises for one refusal; None is what it does not tell."""

    name: str
    status: int | None
    code: str | None


@dataclass(frozen=True)
class Client:
    """A client and its script.

    ``home``      where it is installed, see `versions.PACKAGES`
    ``packages``  what is installed, the one that it is called by first
    ``raises``    act → what comes of it, for each refusal that all clients are led into
    ``also``      acts beyond those of all clients, in words
    ``short``     where it falls short of what it is told, in words
    ``hides``     what it does not tell its user: ``finish`` (why an answer ended), ``total_tokens``
    ``obeys``     whether it obeys x-should-retry
    """

    home: str
    script: str
    packages: tuple[str, ...]
    raises: Mapping[str, Raise]
    also: str = "-"
    short: str = "-"
    hides: tuple[str, ...] = ()
    obeys: bool = True

    def argv(self) -> tuple[str, ...]:
        """The interpreter and the script."""
        interpreter = str(PYTHON) if self.language == "Python" else shutil.which("node") or "node"
        return (interpreter, str(HERE / self.language.lower() / self.script))

    @property
    def language(self) -> str:
        """Python or Node."""
        return LANGUAGES[self.home]

    @property
    def folders(self) -> tuple[str, ...]:
        """What goes before its environment on the path of modules."""
        return (str(OPENAI_3),) if self.home == "openai-3" else ()

    @property
    def releases(self) -> dict[str, str]:
        """Package to version, as pinned."""
        pins = pinned(self.home)
        return {name: pins[name] for name in self.packages}

    @property
    def missing(self) -> str | None:
        """Why it cannot be run here, or None."""
        return missing(self.home)


LOST = "gateway_connection_lost"


def raising(
    *, bad: str, key: str, away: str, lost: str, late: Raise, loses_code_of: tuple[str, ...] = ()
) -> dict[str, Raise]:
    """The refusals, by the classes of one client."""
    rows = {
        "blank": Raise(bad, 400, "invalid_value"),
        "blank-stream": Raise(bad, 400, "invalid_value"),
        "wrong-key": Raise(key, 401, "invalid_api_key"),
        "away": Raise(away, 503, "gateway_unavailable"),
        "lost": Raise(lost, 502, LOST),
        "lost-stream": Raise(lost, 502, LOST),
        "late": late,
    }
    return rows | {act: Raise(rows[act].name, rows[act].status, None) for act in loses_code_of}


OPENAI = raising(
    bad="openai.BadRequestError",
    key="openai.AuthenticationError",
    away="openai.InternalServerError",
    lost="openai.InternalServerError",
    late=Raise("openai.APIError", None, LOST),
)
LANGCHAIN = "langchain_openai.chat_models.base"
MODELS = "models, one and all; raw headers; the stream helper; no messages; an unknown model; the proxy's own fields"

CLIENTS = {
    "openai": Client("python", "openai_sync.py", ("openai",), OPENAI, also=MODELS),
    "openai-3": Client("openai-3", "openai_sync.py", ("openai",), OPENAI, also=MODELS),
    "openai-async": Client("python", "openai_async.py", ("openai",), OPENAI, also="nine questions at once"),
    "langchain-openai": Client(
        "python",
        "langchain_openai_chat.py",
        ("langchain-openai", "openai"),
        raising(
            bad=f"{LANGCHAIN}.OpenAIInvalidRequestError",
            key=f"{LANGCHAIN}.OpenAIAuthenticationError",
            away=f"{LANGCHAIN}.OpenAIAPIError",
            lost=f"{LANGCHAIN}.OpenAIAPIError",
            late=Raise("openai.APIError", None, LOST),
        ),
    ),
    "litellm": Client(
        "python",
        "litellm_completion.py",
        ("litellm", "openai"),
        raising(
            bad="litellm.exceptions.BadRequestError",
            key="litellm.exceptions.AuthenticationError",
            away="litellm.exceptions.ServiceUnavailableError",
            lost="litellm.exceptions.BadGatewayError",
            late=Raise("litellm.exceptions.MidStreamFallbackError", 500, None),
            loses_code_of=("wrong-key", "away", "lost", "lost-stream"),
        ),
        also="no messages; the proxy's own fields",
        short="loses the code of a 401 and of a 5xx",
    ),
    "llm": Client(
        "python",
        "llm_models.py",
        ("llm", "openai"),
        OPENAI,
        also="the command itself",
        short="does not tell why an answer ended",
        hides=("finish", "total_tokens"),
    ),
    "pydantic-ai": Client(
        "python",
        "pydantic_ai_agent.py",
        ("pydantic-ai-slim", "openai"),
        raising(
            bad="pydantic_ai.exceptions.ModelHTTPError",
            key="pydantic_ai.exceptions.ModelHTTPError",
            away="pydantic_ai.exceptions.ModelHTTPError",
            lost="pydantic_ai.exceptions.ModelHTTPError",
            late=Raise("openai.APIError", None, LOST),
        ),
        hides=("total_tokens",),
    ),
    "openai-node": Client(
        "node",
        "openai.mjs",
        ("openai",),
        raising(
            bad="BadRequestError",
            key="AuthenticationError",
            away="InternalServerError",
            lost="InternalServerError",
            late=Raise("APIError", None, LOST),
        ),
        also=MODELS,
    ),
    "ai-sdk": Client(
        "node",
        "ai_sdk.mjs",
        ("ai", "@ai-sdk/openai-compatible"),
        raising(
            bad="APICallError",
            key="APICallError",
            away="RetryError",
            lost="RetryError",
            late=Raise("StreamProviderError", None, LOST),
        ),
        also="maxRetries: 0",
        short="asks again although x-should-retry is false, unless maxRetries is 0",
        obeys=False,
    ),
}
