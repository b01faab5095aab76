"""The command line tool ``llm`` and its library, configured by extra-openai-models.yaml."""

import json
import os
import subprocess
import sys
from pathlib import Path

import llm
from client_runner import (
    EARLY_STREAM_URL,
    KEY,
    LIMIT_TOKENS,
    MODEL,
    SERVERS,
    TEXTS,
    URL,
    WRONG_PREFIX,
    ClientCalls,
    Output,
    run_acts,
)

USER = Path(os.environ["LLM_USER_PATH"])
VISITED = [url for server in SERVERS for url in (server["url"], server["url"] + WRONG_PREFIX)]
NAMES = {url: f"server-{number}" for number, url in enumerate(VISITED)} or {
    URL: "lumen",
    EARLY_STREAM_URL: "lumen-early-stream",
}


def configure() -> None:
    """Write the file; JSON is YAML. Without ``api_key_name`` the tool sends a dummy key."""
    USER.mkdir(parents=True)
    common = {"model_name": MODEL, "api_key_name": "lumen"}
    models = [{"model_id": name, "api_base": url, **common} for url, name in NAMES.items()]
    (USER / "extra-openai-models.yaml").write_text(json.dumps(models), "utf-8")


def connect(url: str, key: str) -> ClientCalls:
    """Default settings."""
    model = MODELS[NAMES[url]]

    def ask(text: str, *, stream: bool, **options: object) -> Output:
        response = model.prompt(text, stream=stream, key=key, **options)
        yield from filter(None, response)
        usage = response.usage()
        yield {"usage": {"prompt_tokens": usage.input, "completion_tokens": usage.output}}

    def stream(text: str) -> Output:
        return ask(text, stream=True)

    more = {"limited": lambda text: ask(text, stream=False, max_tokens=LIMIT_TOKENS)}
    return ClientCalls(lambda text: ask(text, stream=False), stream, stream, more)


def command() -> Output:
    """Run the tool with a question on its command line."""
    arguments = ["-m", "lumen", "--key", KEY, "--no-log", TEXTS["korean-nfc"]]
    environ = {**os.environ, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "llm", *arguments], capture_output=True, timeout=60, check=False, env=environ
    )
    yield done.stdout.decode("utf-8").rstrip("\r\n")
    yield {"exit_status": done.returncode, "stderr": done.stderr.decode("utf-8", "replace")}


configure()
MODELS = {model.model_id: model for model in llm.get_models()}  # reads the file once, `llm.get_model` each time
run_acts(connect, {"command": command})
