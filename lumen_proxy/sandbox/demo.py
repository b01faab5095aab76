"""The command `demo`: it sends a question, kills the worker, and sends another question, which is also answered.

It uses no network: the proxy runs in sandbox mode, on a free port, with its files in a temporary folder.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lumen_proxy import safe_path
from lumen_proxy.console import streams
from lumen_proxy.errors import Exit, Fatal

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_S = 30.0  # limit of each step; a step takes milliseconds
QUESTIONS = ("안녕하세요, 오늘 어떻게 지내세요?", "방금 무슨 일이 있었나요?")


def main() -> int:
    """Run the demo; 0 if every step succeeded."""
    import psutil  # noqa: PLC0415

    streams.prepare()
    with tempfile.TemporaryDirectory(prefix="lumen-demo-") as folder, _run_proxy(Path(folder)) as address:
        _print_step("started", f"a proxy on http://{address} in sandbox mode: embedded gateway, no network")
        before = _call(address, "GET", "/health")
        _print_step("asked", QUESTIONS[0])
        _print_step("answered", _ask(address, QUESTIONS[0]))
        psutil.Process(before["pid"]).kill()
        killed = time.monotonic()
        _print_step("killed", f"the worker (pid {before['pid']}) with SIGKILL")
        _print_step("asked", QUESTIONS[1])
        answer = _ask(address, QUESTIONS[1])
        waited_ms = (time.monotonic() - killed) * 1000
        after = _call(address, "GET", "/health")
        _print_step("answered", answer)
        _print_step("waited", f"{waited_ms:.0f} ms from the kill to the answer; no connection was refused")
        _print_step(
            "recovered", f"worker pid {before['pid']} -> {after['pid']}, same port, restarts: {after['restarts']}"
        )
    return Exit.OK


def _print_step(name: str, text: str) -> None:
    streams.show(f"{streams.choose_glyph('●', '*')} {name:9} {text}")


@contextlib.contextmanager
def _run_proxy(folder: Path) -> Iterator[str]:
    """Run a proxy during the block; yield its host and port."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LUMEN_", "PROXY_"))}
    environ |= {"LUMEN_STATE_DIR": str(folder), "LUMEN_LOG_DIR": str(folder), "PROXY_PORT": "0"}
    command = [*safe_path.command("lumen_proxy"), "serve", "--sandbox"]
    with (folder / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=errors)
    timer = threading.Timer(STEP_S, process.kill)
    try:
        timer.start()
        line = (process.stdout.readline() if process.stdout else b"").decode("ascii", "replace")
        timer.cancel()
        if " ready on " not in line:
            raise Fatal("the proxy did not start: " + (folder / "errors.txt").read_text("utf-8").strip(), Exit.SOFTWARE)
        yield urlsplit(line.split(" ready on ")[1].split()[0]).netloc
    finally:
        timer.cancel()
        process.terminate()
        timer = threading.Timer(STEP_S, process.kill)  # the worker ends with its supervisor
        timer.start()
        process.communicate()
        timer.cancel()


def _ask(address: str, question: str) -> str:
    body = {"model": "lumen-gateway", "messages": [{"role": "user", "content": question}]}
    content: str = _call(address, "POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"]
    if question not in content:
        raise Fatal("the answer does not repeat the question", Exit.SOFTWARE)
    return content


def _call(address: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection(address, timeout=STEP_S)
    with contextlib.closing(connection):
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    if response.status != http.HTTPStatus.OK:
        raise Fatal(f"{method} {path} gave {response.status}: {answer}", Exit.SOFTWARE)
    return answer
