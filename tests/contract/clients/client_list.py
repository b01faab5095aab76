"""The clients: how to run each, which releases are pinned, and which errors it raises.

Error classes have the full names that a program would catch. A code of None is one that the client loses.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from .versions import HERE, LANGUAGES, OPENAI_3, PYTHON, missing, pinned


@dataclass(frozen=True)
class ExpectedError:
    """The error that a client raises; None for a status or a code that it does not have."""

    name: str
    status: int | None
    code: str | None


@dataclass(frozen=True)
class Client:
    """A client and its script.

    ``home``      where it is installed, see `versions.PACKAGES`
    ``packages``  the packages of the client, first the one with its name
    ``raises``    act → the error that it raises, for the acts of all clients that end with an error
    ``also``      a description of the acts beyond those of all clients
    ``short``     a description of its limitations
    ``hides``     the fields that it does not return: ``finish`` (the finish_reason), ``total_tokens``
    ``obeys``     whether it obeys x-should-retry
    """

    home: str
    script: str
    packages: tuple[str, ...]
    raises: Mapping[str, ExpectedError]
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
        """The folders before its environment on the module path."""
        return (str(OPENAI_3),) if self.home == "openai-3" else ()

    @property
    def releases(self) -> dict[str, str]:
        """The pinned version of each package."""
        pins = pinned(self.home)
        return {name: pins[name] for name in self.packages}

    @property
    def missing(self) -> str | None:
        """Why the client cannot run, or None."""
        return missing(self.home)


LOST = "gateway_connection_lost"


def expected_errors(
    *, bad: str, key: str, away: str, lost: str, late: ExpectedError, loses_code_of: tuple[str, ...] = ()
) -> dict[str, ExpectedError]:
    """The errors of a client for the acts of all clients that end with an error, by its error classes."""
    rows = {
        "blank": ExpectedError(bad, 400, "invalid_value"),
        "blank-stream": ExpectedError(bad, 400, "invalid_value"),
        "wrong-key": ExpectedError(key, 401, "invalid_api_key"),
        "away": ExpectedError(away, 503, "gateway_unavailable"),
        "lost": ExpectedError(lost, 502, LOST),
        "lost-stream": ExpectedError(lost, 502, LOST),
        "late": late,
    }
    return rows | {act: ExpectedError(rows[act].name, rows[act].status, None) for act in loses_code_of}


OPENAI = expected_errors(
    bad="openai.BadRequestError",
    key="openai.AuthenticationError",
    away="openai.InternalServerError",
    lost="openai.InternalServerError",
    late=ExpectedError("openai.APIError", None, LOST),
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
        expected_errors(
            bad=f"{LANGCHAIN}.OpenAIInvalidRequestError",
            key=f"{LANGCHAIN}.OpenAIAuthenticationError",
            away=f"{LANGCHAIN}.OpenAIAPIError",
            lost=f"{LANGCHAIN}.OpenAIAPIError",
            late=ExpectedError("openai.APIError", None, LOST),
        ),
    ),
    "litellm": Client(
        "python",
        "litellm_completion.py",
        ("litellm", "openai"),
        expected_errors(
            bad="litellm.exceptions.BadRequestError",
            key="litellm.exceptions.AuthenticationError",
            away="litellm.exceptions.ServiceUnavailableError",
            lost="litellm.exceptions.BadGatewayError",
            late=ExpectedError("litellm.exceptions.MidStreamFallbackError", 500, None),
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
        short="does not say why an answer ended",
        hides=("finish", "total_tokens"),
    ),
    "pydantic-ai": Client(
        "python",
        "pydantic_ai_agent.py",
        ("pydantic-ai-slim", "openai"),
        expected_errors(
            bad="pydantic_ai.exceptions.ModelHTTPError",
            key="pydantic_ai.exceptions.ModelHTTPError",
            away="pydantic_ai.exceptions.ModelHTTPError",
            lost="pydantic_ai.exceptions.ModelHTTPError",
            late=ExpectedError("openai.APIError", None, LOST),
        ),
        hides=("total_tokens",),
    ),
    "openai-node": Client(
        "node",
        "openai.mjs",
        ("openai",),
        expected_errors(
            bad="BadRequestError",
            key="AuthenticationError",
            away="InternalServerError",
            lost="InternalServerError",
            late=ExpectedError("APIError", None, LOST),
        ),
        also=MODELS,
    ),
    "ai-sdk": Client(
        "node",
        "ai_sdk.mjs",
        ("ai", "@ai-sdk/openai-compatible"),
        expected_errors(
            bad="APICallError",
            key="APICallError",
            away="RetryError",
            lost="RetryError",
            late=ExpectedError("StreamProviderError", None, LOST),
        ),
        also="maxRetries: 0",
        short="asks again although x-should-retry is false, unless maxRetries is 0",
        obeys=False,
    ),
}
