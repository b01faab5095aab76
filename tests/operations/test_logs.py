"""`logs` merges many files and follows them."""

from __future__ import annotations

import json
import shutil
from functools import partial

from lumen_conformance.http.client import call
from lumen_conformance.processes.child_process import ChildProcess
from lumen_conformance.waiting import until
from tests.operations.conftest import Desk

SOON_S = 20.0
SMALL = {"LUMEN_LOG_MAX_BYTES": "2048", "LUMEN_LOG_KEEP": "3", "LUMEN_LOG_LEVEL": "debug"}  # debug: /health, too


def test_rotations_are_read_as_one(desk: Desk) -> None:
    """Journal and rotated logs are printed together in order of time."""
    proxy = desk.launch(port=desk.port, gateway=desk.gateway, env={**desk.env, **SMALL})
    for _ in range(60):
        proxy.health()
    until("the log has rotated", lambda: len(list((desk.folder / "log").glob("worker-*"))) == 4, within_s=SOON_S)
    proxy.end()
    done = desk.run("logs", "--json", "--lines", "1000")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["log"] for line in lines} == {f"journal-{desk.port}", f"worker-{desk.port}"}
    stamps = [line["ts"] for line in lines]
    assert stamps == sorted(stamps)
    written = sum(
        len(path.read_bytes().splitlines()) for path in (desk.folder / "log").iterdir() if ".jsonl" in path.name
    )
    assert len(lines) == written
    assert len(desk.run("logs", "-n", "3").stdout.splitlines()) == 3


def test_follow_prints_each_line_once(desk: Desk) -> None:
    """With -f each request is printed once, although its file was renamed by a rotation."""
    proxy = desk.launch(port=desk.port, gateway=desk.gateway, env={**desk.env, **SMALL})
    follower = desk.background("logs", "-f", "--json")
    until("it shows the start", lambda: b"started" in follower.stdout.read_bytes(), within_s=SOON_S)
    names = [f"canary-{number:02}" for number in range(20)]
    for name in names:
        call(proxy.url, "GET", "/health", headers=(("x-request-id", name),))
        until(f"{name} is shown", partial(_is_shown, follower, name), within_s=SOON_S)
    follower.stop()
    follower.wait_exit(SOON_S)
    shown = [json.loads(line).get("request_id", "") for line in follower.stdout.read_text("utf-8").splitlines()]
    assert [name for name in shown if name.startswith("canary")] == names
    assert len(list((desk.folder / "log").glob("worker-*"))) > 1, "nothing has rotated"


def _is_shown(follower: ChildProcess, name: str) -> bool:
    return name.encode() in follower.stdout.read_bytes()


def test_nothing_to_show(desk: Desk) -> None:
    """Without logs nothing is printed and the exit status is 0."""
    done = desk.run("logs")
    assert (done.exit_status, done.stdout, done.stderr) == (0, "", "")


def test_two_instances_share_a_folder_and_no_file(desk: Desk) -> None:
    """Each instance writes its own journal, and `logs` reads all of them."""
    proxies = [desk.launch(env={**desk.env, "PROXY_PORT": "0"}, gateway=desk.gateway) for _ in range(2)]
    for proxy in proxies:
        proxy.end()
    lines = [json.loads(line) for line in desk.run("logs", "--json", "-n", "1000").stdout.splitlines()]
    stopped = {line["log"]: line["instance"] for line in lines if line["event"] == "stopped"}
    assert stopped == {f"journal-{proxy.port}": proxy.ready.instance for proxy in proxies if proxy.ready}


def test_a_deleted_log_folder_is_created_again(desk: Desk) -> None:
    """After the log folder was deleted, log and journal continue in a new folder, and `logs -f` prints them."""
    proxy = desk.launch(port=desk.port, gateway=desk.gateway, env=desk.env)
    follower = desk.background("logs", "-f", "--json")
    until("it shows the start", lambda: b"started" in follower.stdout.read_bytes(), within_s=SOON_S)
    shutil.rmtree(desk.folder / "log")
    call(proxy.url, "GET", "/v1/models", headers=(("x-request-id", "canary-after"),))
    until("a request is shown", partial(_is_shown, follower, "canary-after"), within_s=SOON_S)
    proxy.end()
    until("the end is shown", partial(_is_shown, follower, '"event": "stopped"'), within_s=SOON_S)
    assert {path.name for path in (desk.folder / "log").iterdir()} >= {
        f"{n}-{desk.port}.jsonl" for n in ("worker", "journal")
    }


def test_port_selects_one_instance(desk: Desk) -> None:
    """`--port` selects the files of one instance; PROXY_PORT alone does not."""
    proxies = [desk.launch(env={**desk.env, "PROXY_PORT": "0"}, gateway=desk.gateway) for _ in range(2)]
    for proxy in proxies:
        call(proxy.url, "GET", "/v1/models")
        proxy.end()
    port = proxies[0].port
    lines = [json.loads(line) for line in desk.run("logs", "--json", "--port", str(port)).stdout.splitlines()]
    assert {line["log"] for line in lines} == {f"journal-{port}", f"worker-{port}"}


def test_probes_are_logged_at_debug_only(desk: Desk) -> None:
    """Requests to /health, /ready and /metrics that get 200 are logged at the level `debug`."""
    shown = {}
    for level in ("info", "debug"):
        proxy = desk.launch(port=desk.port, gateway=desk.gateway, env={**desk.env, "LUMEN_LOG_LEVEL": level})
        for path in ("/health", "/ready", "/metrics", "/v1/models"):
            call(proxy.url, "GET", path)
        proxy.end()
        lines = [json.loads(line) for line in desk.run("logs", "--json", "-n", "1000").stdout.splitlines()]
        shown[level] = {line["route"]: line["level"] for line in lines if line["event"] == "request"}
        shutil.rmtree(desk.folder / "log")
    assert shown["info"] == {"/models": "info"}
    assert shown["debug"] == {"/models": "info", "/health": "debug", "/ready": "debug", "/metrics": "debug"}
