"""The command line tool ``llm`` and its library, told of the proxy in extra-openai-models.yaml."""

import json
import os
import subprocess
import sys
from pathlib import Path

import llm
from telling import HASTY_URL, KEY, LIMIT_TOKENS, MODEL, SERVERS, TEXTS, URL, WRONG_PREFIX, Seen, Talk, perform

USER = Path(os.environ["LLM_USER_PATH"])
VISITED = [url for server in SERVERS for url in (server["url"], server["url"] + WRONG_PREFIX)]
NAMES = {url: f"server-{number}" for number, url in enumerate(VISITED)} or {URL: "lumen", HASTY_URL: "lumen-hasty"}


def configure() -> None:
    """The file as a user writes it; JSON is YAML. Without a name for its key, the tool would send a dummy."""
    USER.mkdir(parents=True)
    common = {"model_name": MODEL, "api_key_name": "lumen"}
    models = [{"model_id": name, "api_base": url, **common} for url, name in NAMES.items()]
    (USER / "extra-openai-models.yaml").write_text(json.dumps(models), "utf-8")


def connect(url: str, key: str) -> Talk:
    """Everything at its defaults."""
    model = MODELS[NAMES[url]]

    def ask(text: str, *, stream: bool, **options: object) -> Seen:
        response = model.prompt(text, stream=stream, key=key, **options)
        yield from filter(None, response)
        usage = response.usage()
        yield {"usage": {"prompt_tokens": usage.input, "completion_tokens": usage.output}}

    def stream(text: str) -> Seen:
        return ask(text, stream=True)

    more = {"limited": lambda text: ask(text, stream=False, max_tokens=LIMIT_TOKENS)}
    return Talk(lambda text: ask(text, stream=False), stream, stream, more)


def command() -> Seen:
    """The tool itself, with a question on its command line."""
    arguments = ["-m", "lumen", "--key", KEY, "--no-log", TEXTS["korean-nfc"]]
    environ = {**os.environ, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "llm", *arguments], capture_output=True, timeout=60, check=False, env=environ
    )
    yield done.stdout.decode("utf-8").rstrip("\r\n")
    yield {"exit_status": done.returncode, "stderr": done.stderr.decode("utf-8", "replace")}


configure()
MODELS = {model.model_id: model for model in llm.get_models()}  # reads the file once, `llm.get_model` each time
perform(connect, {"command": command})
