"""The output of the program for the seven known issues of the guides, with the example values of the guides."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lumen_conformance.stages import virtual_environments
from lumen_proxy import dependencies
from lumen_proxy.config import load
from lumen_proxy.control.instances import PortStatus
from lumen_proxy.errors import Fatal
from lumen_proxy.health import cloud_verdicts, diagnosis, probes, verdicts
from lumen_proxy.health.http_probe import MS, ProbeResult, send_probe
from lumen_proxy.health.verdicts import ChannelStatus
from lumen_proxy.supervisor import listener

SETTINGS = load({})
PROXY_URL = "http://127.0.0.1:8080"
OWNER = "python3 (pid 4242)"  # the example of the guides
OLD_PYTHON = "/opt/python3.12/bin"
CHECK_S = 60.0  # takes 0.2 s on an idle machine
GATEWAY_URL, CLOUD_AI_URL = "https://gateway.example", "https://ion.example"


def section(status: ChannelStatus) -> list[str]:
    """The lines of `diagnose` about one channel, without the symbol, which depends on the console."""
    whole = list(diagnosis.format_lines(diagnosis.Diagnosis(SETTINGS, (status,), ())))
    lines = whole[2 : whole.index("", 2)]  # between title and summary
    return [lines[0].partition(" ")[2], *lines[1:]]


def _get(path: str, **answer: object) -> ProbeResult:
    return ProbeResult("GET", path, **answer)  # type: ignore[arg-type]


def proxy_connection(_: Path) -> list[str]:
    """No proxy runs."""
    call = _get(f"{PROXY_URL}/health", trouble="refused")
    return section(verdicts.judge_proxy(PortStatus("stopped", 8080, PROXY_URL), SETTINGS, (call,)))


def cloud_ai_404(_: Path) -> list[str]:
    """The old address of Cloud AI."""
    chat = _get(f"{CLOUD_AI_URL}/api/chat", status=404, ms=41.0)
    health = _get(f"{CLOUD_AI_URL}/health", status=200, ms=38.0, body=b'{"status": "healthy"}')
    return section(cloud_verdicts.judge_cloud("cloud_ai", chat, health))


def gateway_timeout(_: Path) -> list[str]:
    """The gateway does not respond until the default deadline."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        chat, health = (send_probe("GET", f"{url}/{page}", within_s=0.1) for page in ("chat", "health"))
    deadline = f"{diagnosis.WITHIN_S * probes.MARGIN * MS:.0f} ms"
    lines = section(cloud_verdicts.judge_cloud("gateway", chat, health))
    return [re.sub(r"\d+ ms", deadline, line.replace(url, GATEWAY_URL)) for line in lines]


def proxy_timestamp(_: Path) -> list[str]:
    """The old proxy answers with its error."""
    body = b'{"error": {"message": "Invalid isoformat string: timestamp", "type": "internal_error", "code": 500}}'
    call = _get(f"{PROXY_URL}/health", status=500, ms=3.0, body=body)
    return section(verdicts.judge_proxy(PortStatus("stranger", 8080, PROXY_URL, owner=OWNER), SETTINGS, (call,)))


def port_conflict(_: Path) -> list[str]:
    """Another program on the port: the output of the start and of the diagnosis."""
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        with pytest.raises(Fatal) as refusal:
            listener.bind("127.0.0.1", port)
    error = re.sub(r"by .* \(pid \d+\)", f"by {OWNER}", str(refusal.value)).replace(f":{port}:", ":8080:")
    status = PortStatus("stranger", 8080, PROXY_URL, owner=OWNER)
    call = _get(f"{PROXY_URL}/health", status=404, ms=3.0)
    return [f"lumen-proxy: {error}", *section(verdicts.judge_proxy(status, SETTINGS, (call,)))]


def venv_python_missing(folder: Path) -> list[str]:
    """The base Python does not exist: the output of `check` by another Python and of the diagnosis."""
    diagnosed = _damaged(folder, "interpreter-dangling", "home-gone")
    command = [sys.executable, "-m", "lumen_proxy", "check", "--venv", ".venv"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=CHECK_S, check=False)
    return [re.sub(r"\S+/no-such-python", OLD_PYTHON, line) for line in (*done.stdout.splitlines(), *diagnosed)]


def flask_missing(folder: Path) -> list[str]:
    """An environment without Flask: the output of the start and of the diagnosis."""
    flask = dependencies.BY_MODULE["flask"]
    error = re.sub(r"\S+ -m pip", ".venv/bin/python -m pip", dependencies.describe_missing([flask]))
    return [f"lumen-proxy: {error}", *_damaged(folder, "flask-missing")]


def _damaged(folder: Path, *damages: str) -> list[str]:
    venv = virtual_environments.create_healthy(folder / ".venv")
    for damage in damages:
        virtual_environments.DAMAGES[damage](venv)
    probe = probes._judge_environment(venv)  # noqa: SLF001 - a full diagnosis would also probe the channels
    return [line.replace(str(venv), ".venv") for line in section(probe)]


OUTPUTS: dict[str, Callable[[Path], list[str]]] = {
    "proxy-connection": proxy_connection,
    "cloud-ai-404": cloud_ai_404,
    "gateway-timeout": gateway_timeout,
    "proxy-timestamp": proxy_timestamp,
    "venv-python-missing": venv_python_missing,
    "flask-missing": flask_missing,
    "port-conflict": port_conflict,
}
