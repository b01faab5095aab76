"""The files under deploy/: their own tools accept them, and two replicas run behind nginx.

(`make lint` reads those of the container and of Kubernetes.)
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.gateway.replies import gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import call
from lumen_conformance.processes.child_process import ChildProcess
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.waiting import until
from tests.fixtures.repository import ROOT
from tests.operations.conftest import healthy_gateway

DEPLOY = ROOT / "deploy"
NAME, KEY = "lumen.example", "key-of-the-replicas"
SOON_S = 30.0
TOOL_S = 60.0
COMMENT = b": keep-alive"
QUESTIONS = 12  # enough for both replicas to get some, however they are chosen
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
NGINX_CONF = "pid {0}/pid; error_log stderr; events {{}} http {{ access_log off; {1} include {0}/lumen.conf; }}"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: nothing to put replicas behind")


def linted(*command: str) -> str:
    """The output of a linter. Skips if it is not installed, fails if it reports an error."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=TOOL_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", ["lumen-proxy.service", "lumen-watch.service"])
def test_systemd_reads_the_unit(tmp_path: Path, unit: str) -> None:
    """The unit has no error and no warning for systemd; the program is replaced by one that exists."""
    text = (DEPLOY / unit).read_text("utf-8")
    (tmp_path / unit).write_text(text.replace("/opt/lumen-proxy/.venv/bin/lumen-proxy", f'"{sys.executable}"'), "utf-8")
    assert linted("systemd-analyze", "verify", "--man=no", str(tmp_path / unit)) == ""


def test_installing_again_keeps_the_secrets(tmp_path: Path) -> None:
    """The command at the top of the unit creates the file once, readable by root only, and keeps its content."""
    text = (DEPLOY / "lumen-proxy.service").read_text("utf-8")
    (command,) = re.findall(r"^#   (.* /etc/lumen-proxy\.env)$", text, re.MULTILINE)
    secrets = tmp_path / "lumen-proxy.env"
    for content in ("", "PROXY_API_KEY=canary\n"):
        linted("sh", "-c", command.replace("/etc/lumen-proxy.env", shlex.quote(str(secrets))))
        assert secrets.read_text() == content or not content
        secrets.write_text("PROXY_API_KEY=canary\n")
    assert secrets.stat().st_mode & 0o777 == 0o600


def configure_nginx(folder: Path, text: str) -> list[str]:
    """Write a configuration that includes the file of deploy/ and writes to `folder` only; return the command line."""
    folder.mkdir()
    paths = " ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    (folder / "lumen.conf").write_text(text, "utf-8")
    (folder / "nginx.conf").write_text(NGINX_CONF.format(folder, paths), "utf-8")
    return [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]


@needs_nginx
def test_nginx_reads_its_file(tmp_path: Path) -> None:
    """The whole file is valid for nginx."""
    names = {name: tmp_path / f"lumen.{name}" for name in ("key", "crt")}
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}")
    linted(*request, "-keyout", str(names["key"]), "-out", str(names["crt"]))
    text = (DEPLOY / "nginx.conf").read_text("utf-8").replace("/etc/nginx/", f"{tmp_path}/")
    output = linted(*configure_nginx(tmp_path / "nginx", text), "-t")
    assert "test is successful" in output
    assert "[warn]" not in output


Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Front:
    """Two replicas behind nginx."""

    url: str
    replicas: tuple[LaunchedTarget, ...]
    gateway: ScriptedGateway

    def ask(self, method: str, path: str, *, headers: Headers = (), **more: object) -> Capture:
        """Send a request as an external client does: with the host name and the key."""
        headers = (("Host", NAME), ("Authorization", f"Bearer {KEY}"), *headers)
        return call(self.url, method, path, headers=headers, timeout_s=SOON_S, **more)  # type: ignore[arg-type]

    def chat(self, text: str, *, headers: Headers = ()) -> Capture:
        """Send one question."""
        body = {"messages": [{"role": "user", "content": text}]}
        return self.ask("POST", "/v1/chat/completions", headers=headers, json=body)


@contextmanager
def run_nginx(launch: Launcher, folder: Path) -> Iterator[Front]:
    """Run two replicas and nginx with the file; only ports and TLS are replaced."""
    env = {
        "PROXY_API_KEY": KEY,
        "LUMEN_ALLOWED_HOSTS": NAME,
        "LUMEN_STREAM_COMMIT_S": "0",
        "LUMEN_SSE_KEEPALIVE_S": "0.5",
    }
    with ScriptedGateway(healthy_gateway) as gateway, launch.run_tags.allow_ports(gateway.url):
        replicas = tuple(launch(env=env, gateway=gateway) for _ in range(2))
        port = launch.reserve_port()
        argv = nginx_command(folder, replicas, port)
        nginx = launch.keep(ChildProcess(launch.run_tags, "nginx", argv, dict(os.environ), launch.next_folder()))
        one = Front(f"http://127.0.0.1:{port}", replicas, gateway)
        until(
            "nginx answers",
            lambda: one.ask("GET", "/v1/models").status == 200,
            within_s=SOON_S,
            give_up=nginx.end_reason,
        )
        yield one
        nginx.end()


def nginx_command(folder: Path, replicas: tuple[LaunchedTarget, ...], listen: int) -> list[str]:
    """The command line of nginx with the file, in front of these replicas."""
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    for replica, port in zip(replicas, ("8081", "8082"), strict=True):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{replica.port}")
    text = re.sub(r"ssl_\w+ .*;\n", "", text).replace("listen 8443 ssl;", f"listen 127.0.0.1:{listen};")
    return [*configure_nginx(folder / "nginx", text), "-g", "daemon off; master_process off;"]


@pytest.fixture
def own_front(launch: Launcher, tmp_path: Path) -> Iterator[Front]:
    """Replicas behind nginx that a test may stop."""
    with run_nginx(launch, tmp_path) as front:
        yield front


@pytest.fixture(scope="module")
def front(module_launch: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Replicas behind nginx for tests that only send requests."""
    with run_nginx(module_launch, tmp_path_factory.mktemp("front")) as front:
        yield front


@needs_nginx
def test_each_replica_answers(own_front: Front) -> None:
    """Both replicas answer; each question is one gateway call and keeps its id, also after one replica has stopped."""
    front = own_front
    ids = [f"canary-{number:02}" for number in range(QUESTIONS)]
    answers = [front.chat(f"안녕하세요 {name}", headers=(("X-Request-Id", name),)) for name in ids]
    assert [answer.status for answer in answers] == [200] * QUESTIONS
    assert len(front.gateway.chats) == QUESTIONS
    assert [answer.header("x-request-id") for answer in answers] == ids
    first = {name for name in ids if name in read_log(front.replicas[0])}
    assert [front.chat(f"{number}").status for number in range(QUESTIONS)] == [200] * QUESTIONS
    assert len(front.gateway.chats) == 2 * QUESTIONS
    second = {name for name in ids if name in read_log(front.replicas[1])}
    assert first
    assert second
    assert sorted([*first, *second]) == ids


def read_log(replica: LaunchedTarget) -> str:
    """The log of the worker after the replica has ended."""
    assert replica.end().exit_status == 0
    (log,) = replica.journal.folder.glob("worker-*.jsonl")
    return log.read_text("utf-8")


@needs_nginx
def test_a_question_without_an_id_gets_one(front: Front) -> None:
    """A request without an id gets one from nginx."""
    found = {front.ask("GET", "/v1/models").header("x-request-id") for _ in range(2)}
    assert len(found - {None, ""}) == 2


@needs_nginx
@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/%68ealth", "//ready", "/v1/../metrics"])
def test_process_data_is_not_public(front: Front, path: str) -> None:
    """Paths that show PIDs are refused by nginx: for a replica its requests come from the same machine."""
    refused = front.ask("GET", path)
    assert refused.status == 403
    assert b"pid" not in refused.body


@needs_nginx
def test_streams_are_not_buffered(front: Front) -> None:
    """The client receives three comments before the gateway answers; the first one comes with the head in any case."""
    came, pieces = threading.Event(), []

    def third(piece: bytes) -> None:
        pieces.append(piece)
        if b"".join(pieces).count(COMMENT) >= 3:
            came.set()

    body = {"messages": [{"role": "user", "content": "안녕하세요"}], "stream": True}
    with front.gateway.scripted(gated(came)):
        streamed = front.ask("POST", "/v1/chat/completions", json=body, on_body=third)
    assert (streamed.status, streamed.ended) == (200, "complete")
    assert b"data: [DONE]" in streamed.body
