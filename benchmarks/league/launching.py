"""Start one server of the league: write its configuration for this launch, then become it.

Usage: ``launching.py NAME HOST PORT GATEWAY_URL``. The gateway speaks OpenAI's own words below ``/v1``. Retries
and cool-downs are off, so that the suite sees what a client sees and one staged failure does not colour the next check.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = "gpt-4o-mini"
KEY_BEHIND = "sk-league-of-the-gateway"
KEY = "sk-league"  # of those servers that ask for one
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def litellm(folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """LiteLLM's proxy, without database or telemetry."""
    behind = {"model": f"openai/{MODEL}", "api_base": f"{gateway_url}/v1", "api_key": KEY_BEHIND}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": behind}],
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "general_settings": {"master_key": KEY},  # without one this release does not start
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }
    written = folder / "litellm.yaml"
    written.write_text(json.dumps(config), "utf-8")  # JSON is YAML
    options = ["--config", str(written), "--host", host, "--port", port, "--telemetry", "False"]
    return [_script("litellm", "litellm"), *options]


def lm_proxy(folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """lm-proxy with one connection."""
    written = folder / "config.toml"
    written.write_text(
        f'host = "{host}"\nport = {port}\n'
        f'[connections.gateway]\napi_type = "open_ai"\napi_base = "{gateway_url}/v1/"\napi_key = "{KEY_BEHIND}"\n'
        f'[routing]\n"{MODEL}" = "gateway.{MODEL}"\n'
        f'[groups.default]\napi_keys = ["{KEY}"]\n',
        "utf-8",
    )
    return [_script("lm-proxy", "lm-proxy"), "--config", str(written)]


def portkey(folder: Path, host: str, port: str, gateway_url: str) -> list[str]:  # noqa: ARG001 -- told by each request
    """Portkey's gateway, without its console; each request names the provider and its address."""
    node = shutil.which("node") or "node"
    server = ROOT / ".venv-league-portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return [node, str(server), f"--port={port}", "--headless"]


SERVERS: dict[str, Callable[[Path, str, str, str], list[str]]] = {
    "litellm": litellm,
    "lm-proxy": lm_proxy,
    "portkey": portkey,
}


def _script(name: str, script: str) -> str:
    return str(ROOT / f".venv-league-{name}" / SCRIPTS / script)


def main() -> None:
    """Become the server."""
    name, host, port, gateway_url = sys.argv[1:]
    folder = Path(os.environ["LUMEN_STATE_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    command = SERVERS[name](folder, host, port, gateway_url)
    os.execvp(command[0], command)  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    main()
