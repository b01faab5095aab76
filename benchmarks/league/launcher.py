"""Start one server of the league: write its configuration for this launch, then become it.

Usage: ``launcher.py NAME HOST PORT GATEWAY_URL``. The gateway speaks OpenAI's own words below ``/v1``. Retries,
cool-downs and caches are off, so that the suite sees what a client sees and one staged failure does not change the
next check. Each function returns the command of its server; what the server reads from its environment is set there.
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
ANSWER = "This is a recorded answer."  # of those mocks that have no answer of their own


def aimock(folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """AIMock with one recorded answer to every question."""
    recorded = {"match": {}, "response": {"content": ANSWER}}
    return [*_aimock(host, port), "--fixtures", _written(folder, "fixtures.json", json.dumps({"fixtures": [recorded]}))]


def aimock_proxy(folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """AIMock, which forwards what it has no recorded answer to: here everything."""
    recorded = {"match": {"userMessage": "no test asks this question"}, "response": {"content": ANSWER}}
    written = _written(folder, "fixtures.json", json.dumps({"fixtures": [recorded]}))
    return [*_aimock(host, port), "--proxy-only", "--fixtures", written, "--provider-openai", gateway_url]


def fakellm(folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """FakeLLM without rules: it echoes the question."""
    written = _written(folder, "fakellm.yaml", "version: 1\ndefaults: {fallback: deterministic_echo}\nrules: []\n")
    return [_script("fakellm", "fakellm"), "serve", "--host", host, "--port", port, "--config", written]


def litellm(folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """LiteLLM's proxy, without database or telemetry."""
    behind = {"model": f"openai/{MODEL}", "api_base": f"{gateway_url}/v1", "api_key": KEY_BEHIND}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": behind}],
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "general_settings": {"master_key": KEY},  # without one this release does not start
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }
    written = _written(folder, "litellm.yaml", json.dumps(config))  # JSON is YAML
    options = ["--config", written, "--host", host, "--port", port, "--telemetry", "False"]
    return [_script("litellm", "litellm"), *options]


def litserve(_folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """LitServe with two HTTP processes and two workers, which run a stub of a model."""
    return [_script("litserve", "python"), str(Path(__file__).with_name("litserve_server.py")), host, port]


def llama(_folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """The server of llama.cpp, as xllamacpp embeds it, with a model of 135 million parameters."""
    return [_script("llama", "python"), str(Path(__file__).with_name("llama_server.py")), host, port]


def llm_katan(_folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """LLM Katan with its echo."""
    options = ["--model", MODEL, "--backend", "echo", "--providers", "openai", "--host", host, "--port", port]
    return [_script("llm-katan", "llm-katan"), *options]


def llm_mock_api(_folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """llm-mock-api without rules."""
    return [_script("llm-mock-api", "llm-mock-api"), "start", "--host", host, "--port", port, "--fallback", ANSWER]


def llmock(_folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """LLMock without injected faults."""
    return [_script("llmock", "llmock"), "serve", "--host", host, "--port", port]


def lm_proxy(folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """lm-proxy with one connection."""
    written = _written(
        folder,
        "config.toml",
        f'host = "{host}"\nport = {port}\n'
        f'[connections.gateway]\napi_type = "open_ai"\napi_base = "{gateway_url}/v1/"\napi_key = "{KEY_BEHIND}"\n'
        f'[routing]\n"{MODEL}" = "gateway.{MODEL}"\n'
        f'[groups.default]\napi_keys = ["{KEY}"]\n',
    )
    return [_script("lm-proxy", "lm-proxy"), "--config", written]


def mlflow(folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """MLflow's gateway with its default of two workers, which gunicorn supervises."""
    os.environ.update({"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true"})
    behind = {"openai_api_base": f"{gateway_url}/v1", "openai_api_key": KEY_BEHIND}
    model = {"provider": "openai", "name": MODEL, "config": behind}
    config = {"endpoints": [{"name": MODEL, "endpoint_type": "llm/v1/chat", "model": model}]}
    written = _written(folder, "gateway.yaml", json.dumps(config))
    return [_script("mlflow", "mlflow"), "gateway", "start", "--config-path", written, "--host", host, "--port", port]


def mock_llm(_folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """Mock-LLM with its own rules: it echoes the question."""
    os.environ.update({"HOST": host, "PORT": port})
    return _node("mock-llm", "@dwmkerr/mock-llm/dist/main.js")


def mockllm(folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """MockLLM, by uvicorn, as its own command always reloads."""
    responses = {"responses": {}, "defaults": {"unknown_response": ANSWER}}
    os.environ["MOCKLLM_RESPONSES_FILE"] = _written(folder, "responses.yml", json.dumps(responses))
    return [_script("mockllm", "uvicorn"), "mockllm.server:app", "--host", host, "--port", port]


def mocktopus(folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """Mocktopus with one recorded answer to every question."""
    rule = {"type": "llm.openai", "when": {"model": "*"}, "respond": {"content": ANSWER}}
    written = _written(folder, "scenario.yaml", json.dumps({"version": 1, "rules": [rule]}))
    return [_script("mocktopus", "mocktopus"), "serve", "--host", host, "--port", port, "--scenario", written]


def openai_forward(_folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """openai-forward, by uvicorn, as its own command listens on every address."""
    os.environ["FORWARD_CONFIG"] = json.dumps([{"base_url": gateway_url, "route": "/", "type": "openai"}])
    return [_script("openai-forward", "uvicorn"), "openai_forward.app:app", "--host", host, "--port", port]


def optillm(_folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """OptiLLM without an approach of its own: it forwards."""
    os.environ.update({"OPENAI_API_KEY": KEY_BEHIND, "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    options = ["--host", host, "--port", port, "--base-url", f"{gateway_url}/v1", "--approach", "none"]
    return [_script("optillm", "optillm"), *options]


def portkey(_folder: Path, _host: str, port: str, _gateway_url: str) -> list[str]:
    """Portkey's gateway, without its console; each request names the provider and its address."""
    return [*_node("portkey", "@portkey-ai/gateway/build/start-server.js"), f"--port={port}", "--headless"]


def router_gateway(_folder: Path, host: str, port: str, gateway_url: str) -> list[str]:
    """ai-model-router with one provider and no storage, so without a cache."""
    os.environ.update({"OPENAI_API_KEY": KEY_BEHIND, "OPENAI_BASE_URL": f"{gateway_url}/v1"})
    os.environ.update({"ROUTER_HOST": host, "ROUTER_PORT": port})
    return [_script("router-gateway", "ai-model-router"), "serve"]


def stubllm(folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """StubLLM with one recorded answer to every question."""
    recorded = {"name": "any", "match": {"provider": "any"}, "response": {"content": ANSWER}}
    written = _written(folder, "fixtures.yaml", json.dumps({"fixtures": [recorded]}))
    return [_script("stubllm", "stubllm"), "serve", "--host", host, "--port", port, "--fixture-file", written]


def xpyd_sim(_folder: Path, host: str, port: str, _gateway_url: str) -> list[str]:
    """xPyD-sim without the delays of a real accelerator, so that a run takes a minute."""
    delays = [f"--{name}-delay-ms=1" for name in ("prefill", "kv-transfer")] + ["--decode-delay-per-token-ms=1"]
    return [_script("xpyd-sim", "xpyd-sim"), "serve", "--host", host, "--port", port, "--model", MODEL, *delays]


SERVERS: dict[str, Callable[[Path, str, str, str], list[str]]] = {
    "aimock": aimock,
    "aimock-proxy": aimock_proxy,
    "fakellm": fakellm,
    "litellm": litellm,
    "litserve": litserve,
    "llama": llama,
    "llm-katan": llm_katan,
    "llm-mock-api": llm_mock_api,
    "llmock": llmock,
    "lm-proxy": lm_proxy,
    "mlflow": mlflow,
    "mock-llm": mock_llm,
    "mockllm": mockllm,
    "mocktopus": mocktopus,
    "openai-forward": openai_forward,
    "optillm": optillm,
    "portkey": portkey,
    "router-gateway": router_gateway,
    "stubllm": stubllm,
    "xpyd-sim": xpyd_sim,
}


def _aimock(host: str, port: str) -> list[str]:
    return [*_node("aimock", "@copilotkit/aimock/dist/cli.js"), "--host", host, "--port", port]


def _written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def _script(environment: str, script: str) -> str:
    return str(ROOT / f".venv-league-{environment}" / SCRIPTS / script)


def _node(environment: str, script: str) -> list[str]:
    return [shutil.which("node") or "node", str(ROOT / f".venv-league-{environment}" / "node_modules" / script)]


def main() -> None:
    """Become the server."""
    name, host, port, gateway_url = sys.argv[1:]
    folder = Path(os.environ["LUMEN_STATE_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PYTHONPATH", None)  # the path of the league, no concern of the server
    command = SERVERS[name](folder, host, port, gateway_url)
    os.execvp(command[0], command)  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    main()
