"""Serve a stub of a model with LitServe: ``litserve_server.py HOST PORT``, in the environment of it.

LitServe is a library: its users write ``predict`` and ``encode_response``. These here are as in its documentation.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    LitAPI = object
else:
    LitAPI = importlib.import_module("litserve").LitAPI

ANSWER = ("This ", "is ", "a ", "recorded ", "answer.")
PROCESSES = 2  # of HTTP, and as many that run the model


class ModelInput(Protocol):
    """What LitServe makes of the body of a request; of its fields the stub reads this one."""

    messages: list[object]


class Stub(LitAPI):
    """A model with one answer, in parts."""

    def setup(self, device: str) -> None:
        """Load nothing."""

    def predict(self, request: ModelInput) -> Iterator[dict[str, object]]:
        """Yield the parts, the last with the counts."""
        asked = sum(len(str(message).split()) for message in request.messages)
        for part in ANSWER[:-1]:
            yield {"role": "assistant", "content": part}
        counts = {"prompt_tokens": asked, "completion_tokens": len(ANSWER), "total_tokens": asked + len(ANSWER)}
        yield {"role": "assistant", "content": ANSWER[-1], **counts}


def main() -> None:
    """Serve until killed."""
    litserve: Any = importlib.import_module("litserve")
    model: Any = Stub  # its base takes the options
    host, port = sys.argv[1:]
    server = litserve.LitServer(model(spec=litserve.OpenAISpec()), accelerator="cpu", workers_per_device=PROCESSES)
    server.run(host=host, port=int(port), num_api_servers=PROCESSES, generate_client_file=False)


if __name__ == "__main__":
    main()
