"""The files under deploy/: read by their own tools where these are installed; two replicas really run behind nginx.

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
from lumen_conformance.gateway.server import Gateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import call
from lumen_conformance.processes.children import Child
from lumen_conformance.targets.launch import Launched, Launches
from lumen_conformance.waiting import until
from tests.fixtures.repository import ROOT
from tests.operations.conftest import gateway_lives

DEPLOY = ROOT / "deploy"
NAME, KEY = "lumen.example", "key-of-the-replicas"
SOON_S = 30.0
TOOL_S = 60.0
COMMENT = b": keep-alive"
QUESTIONS = 12  # enough for both replicas to get some, however they are chosen
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
AROUND = "pid {0}/pid; error_log stderr; events {{}} http {{ access_log off; {1} include {0}/lumen.conf; }}"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: nothing to put replicas behind")


def linted(*command: str) -> str:
    """What a linter says; skips when it is not installed, fails when it objects."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=TOOL_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", ["lumen-proxy.service", "lumen-watch.service"])
def test_systemd_reads_the_unit(tmp_path: Path, unit: str) -> None:
    """No objection and no warning; the program stands in for the one that is installed later."""
    text = (DEPLOY / unit).read_text("utf-8")
    (tmp_path / unit).write_text(text.replace("/opt/lumen-proxy/.venv/bin/lumen-proxy", f'"{sys.executable}"'), "utf-8")
    assert linted("systemd-analyze", "verify", "--man=no", str(tmp_path / unit)) == ""


def test_installing_again_keeps_the_secrets(tmp_path: Path) -> None:
    """The command at the top of the unit makes the file once, for root alone, and empties it never."""
    text = (DEPLOY / "lumen-proxy.service").read_text("utf-8")
    (command,) = re.findall(r"^#   (.* /etc/lumen-proxy\.env)$", text, re.MULTILINE)
    secrets = tmp_path / "lumen-proxy.env"
    for content in ("", "PROXY_API_KEY=canary\n"):
        linted("sh", "-c", command.replace("/etc/lumen-proxy.env", shlex.quote(str(secrets))))
        assert secrets.read_text() == content or not content
        secrets.write_text("PROXY_API_KEY=canary\n")
    assert secrets.stat().st_mode & 0o777 == 0o600


def configured(folder: Path, text: str) -> list[str]:
    """A command line of nginx for the file of deploy/ in a configuration that writes to `folder` only."""
    folder.mkdir()
    paths = " ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    (folder / "lumen.conf").write_text(text, "utf-8")
    (folder / "nginx.conf").write_text(AROUND.format(folder, paths), "utf-8")
    return [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]


@needs_nginx
def test_nginx_reads_its_file(tmp_path: Path) -> None:
    """The whole file, with a certificate of its own."""
    names = {name: tmp_path / f"lumen.{name}" for name in ("key", "crt")}
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}")
    linted(*request, "-keyout", str(names["key"]), "-out", str(names["crt"]))
    text = (DEPLOY / "nginx.conf").read_text("utf-8").replace("/etc/nginx/", f"{tmp_path}/")
    said = linted(*configured(tmp_path / "nginx", text), "-t")
    assert "test is successful" in said
    assert "[warn]" not in said


Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Front:
    """nginx, and two replicas behind it."""

    url: str
    replicas: tuple[Launched, ...]
    gateway: Gateway

    def ask(self, method: str, path: str, *, headers: Headers = (), **more: object) -> Capture:
        """Ask as a client from outside does: by name, with the key."""
        headers = (("Host", NAME), ("Authorization", f"Bearer {KEY}"), *headers)
        return call(self.url, method, path, headers=headers, timeout_s=SOON_S, **more)  # type: ignore[arg-type]

    def chat(self, text: str, *, headers: Headers = ()) -> Capture:
        """One question."""
        body = {"messages": [{"role": "user", "content": text}]}
        return self.ask("POST", "/v1/chat/completions", headers=headers, json=body)


@contextmanager
def opened(launch: Launches, folder: Path) -> Iterator[Front]:
    """Two replicas as the file wants them, and nginx with that file; only ports and TLS are replaced."""
    env = {
        "PROXY_API_KEY": KEY,
        "LUMEN_ALLOWED_HOSTS": NAME,
        "LUMEN_STREAM_COMMIT_S": "0",
        "LUMEN_SSE_KEEPALIVE_S": "0.5",
    }
    with Gateway(gateway_lives) as gateway, launch.run_tags.answering(gateway.url):
        replicas = tuple(launch(env=env, gateway=gateway) for _ in range(2))
        port = launch.reserve_port()
        argv = balanced(folder, replicas, port)
        nginx = launch.keep(Child(launch.run_tags, "nginx", argv, dict(os.environ), launch.next_folder()))
        one = Front(f"http://127.0.0.1:{port}", replicas, gateway)
        until("nginx answers", lambda: one.ask("GET", "/v1/models").status == 200, within_s=SOON_S, alive=nginx.dead)
        yield one
        nginx.end()


def balanced(folder: Path, replicas: tuple[Launched, ...], listen: int) -> list[str]:
    """A command line of nginx with the file, in front of these replicas."""
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    for replica, port in zip(replicas, ("8081", "8082"), strict=True):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{replica.port}")
    text = re.sub(r"ssl_\w+ .*;\n", "", text).replace("listen 8443 ssl;", f"listen 127.0.0.1:{listen};")
    return [*configured(folder / "nginx", text), "-g", "daemon off; master_process off;"]


@pytest.fixture
def own_front(launch: Launches, tmp_path: Path) -> Iterator[Front]:
    """One whose replicas may be stopped."""
    with opened(launch, tmp_path) as front:
        yield front


@pytest.fixture(scope="module")
def front(module_launch: Launches, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One that is only asked."""
    with opened(module_launch, tmp_path_factory.mktemp("front")) as front:
        yield front


@needs_nginx
def test_any_replica_answers_any_question(own_front: Front) -> None:
    """Both take their share; each question is one call of the gateway, by the id that its caller gave it.

    One is stopped then: every question is still answered, and still asked once.
    """
    front = own_front
    ids = [f"canary-{number:02}" for number in range(QUESTIONS)]
    answers = [front.chat(f"안녕하세요 {name}", headers=(("X-Request-Id", name),)) for name in ids]
    assert [answer.status for answer in answers] == [200] * QUESTIONS
    assert len(front.gateway.chats) == QUESTIONS
    assert [answer.header("x-request-id") for answer in answers] == ids
    first = {name for name in ids if name in logged(front.replicas[0])}
    assert [front.chat(f"{number}").status for number in range(QUESTIONS)] == [200] * QUESTIONS
    assert len(front.gateway.chats) == 2 * QUESTIONS
    second = {name for name in ids if name in logged(front.replicas[1])}
    assert first
    assert second
    assert sorted([*first, *second]) == ids


def logged(replica: Launched) -> str:
    """The log of its worker, once what was answered is in it."""
    assert replica.end().exit_status == 0
    (log,) = replica.journal.folder.glob("worker-*.jsonl")
    return log.read_text("utf-8")


@needs_nginx
def test_a_question_without_an_id_gets_one(front: Front) -> None:
    """One for each."""
    found = {front.ask("GET", "/v1/models").header("x-request-id") for _ in range(2)}
    assert len(found - {None, ""}) == 2


@needs_nginx
@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/%68ealth", "//ready", "/v1/../metrics"])
def test_what_tells_of_processes_stays_inside(front: Front, path: str) -> None:
    """A replica is asked by nginx from its own machine, so it would tell its PIDs to anybody outside."""
    refused = front.ask("GET", path)
    assert refused.status == 403
    assert b"pid" not in refused.body


@needs_nginx
def test_streams_are_not_held_back(front: Front) -> None:
    """A third comment is with the client before the gateway has answered: it answers only because that came.

    (The first piece comes with the head in any case, buffered or not.)
    """
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
