"""`logs`: one story out of many files, and it goes on."""

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
    """After many requests the logs have rotated; what is left comes in order of time, journal and log together."""
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


def test_following_misses_nothing_across_rotations(desk: Desk) -> None:
    """Each request is shown once, although the file that it was written to has been renamed since."""
    proxy = desk.launch(port=desk.port, gateway=desk.gateway, env={**desk.env, **SMALL})
    follower = desk.background("logs", "-f", "--json")
    until("it shows the start", lambda: b"started" in follower.stdout.read_bytes(), within_s=SOON_S)
    asked = [f"canary-{number:02}" for number in range(20)]
    for name in asked:
        call(proxy.url, "GET", "/health", headers=(("x-request-id", name),))
        until(f"{name} is shown", partial(_is_shown, follower, name), within_s=SOON_S)
    follower.stop()
    follower.wait_exit(SOON_S)
    shown = [json.loads(line).get("request_id", "") for line in follower.stdout.read_text("utf-8").splitlines()]
    assert [name for name in shown if name.startswith("canary")] == asked
    assert len(list((desk.folder / "log").glob("worker-*"))) > 1, "nothing has rotated"


def _is_shown(follower: ChildProcess, name: str) -> bool:
    return name.encode() in follower.stdout.read_bytes()


def test_nothing_to_show(desk: Desk) -> None:
    """No logs yet: nothing is printed, and that is no failure."""
    done = desk.run("logs")
    assert (done.exit_status, done.stdout, done.stderr) == (0, "", "")


def test_two_instances_share_a_folder_and_no_file(desk: Desk) -> None:
    """Each on its port writes a journal of its own, so that neither loses what the other rotates; all are read."""
    proxies = [desk.launch(env={**desk.env, "PROXY_PORT": "0"}, gateway=desk.gateway) for _ in range(2)]
    for proxy in proxies:
        proxy.end()
    lines = [json.loads(line) for line in desk.run("logs", "--json", "-n", "1000").stdout.splitlines()]
    stopped = {line["log"]: line["instance"] for line in lines if line["event"] == "stopped"}
    assert stopped == {f"journal-{proxy.port}": proxy.ready.instance for proxy in proxies if proxy.ready}


def test_a_log_folder_that_is_deleted_is_made_again(desk: Desk) -> None:
    """Worker's log and journal go on in a new folder; the follower shows them."""
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


def test_a_port_that_is_given_is_the_only_one_shown(desk: Desk) -> None:
    """`--port` selects the files of one instance; PROXY_PORT alone does not."""
    proxies = [desk.launch(env={**desk.env, "PROXY_PORT": "0"}, gateway=desk.gateway) for _ in range(2)]
    for proxy in proxies:
        call(proxy.url, "GET", "/v1/models")
        proxy.end()
    port = proxies[0].port
    lines = [json.loads(line) for line in desk.run("logs", "--json", "--port", str(port)).stdout.splitlines()]
    assert {line["log"] for line in lines} == {f"journal-{port}", f"worker-{port}"}


def test_looks_are_not_logged(desk: Desk) -> None:
    """A watch asks for /health, /ready and /metrics every few seconds; what is answered with 200 is for debug only."""
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
