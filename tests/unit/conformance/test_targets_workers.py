"""Servers of several processes: which of them listens, which may serve, and which gave an answer."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target

SERVER = Path(__file__).with_name("many_processes.py")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="these servers fork, which Windows cannot")
Start = Callable[[str], LaunchedTarget]


@pytest.fixture
def start(run: Run, tmp_path: Path) -> Iterator[Start]:
    """A factory: launch the server in a mode."""
    with ExitStack() as stack:

        def launch(mode: str) -> LaunchedTarget:
            command = (sys.executable, str(SERVER), "{port}", mode)
            target = Target(command=command, can=frozenset({"health", "launch"}), foreign=True)
            return stack.enter_context(Launcher(run, target, tmp_path / "launch"))()

        yield launch


MODES = ("forked", "primary", "closes")


@pytest.mark.parametrize("mode", MODES)
def test_who_answers_is_a_worker(start: Start, mode: str) -> None:
    """The process that answers is found by its connection, whichever process listens; it is never the parent."""
    proxy = start(mode)
    workers = [ref for ref in proxy.processes() if ref != proxy.ref]
    assert len(workers) == 2
    assert proxy.answering_process() in workers
    assert proxy.worker() in workers


@pytest.mark.parametrize("mode", MODES)
def test_workers_may_serve(start: Start, mode: str) -> None:
    """The workers may serve, also where the parent alone listens."""
    proxy = start(mode)
    assert set(proxy.serving_processes()) == {ref for ref in proxy.processes() if ref != proxy.ref}


def test_one_process_does_it_all(start: Start) -> None:
    """A server of one process listens, may serve and answers with that process."""
    proxy = start("alone")
    found = {proxy.answering_process(), proxy.worker(), *proxy.serving_processes(), *proxy.listeners()}
    assert found == {proxy.ref}


CLUSTER = """
const cluster = require("cluster"), http = require("http");
if (cluster.isPrimary) for (let n = 0; n < 2; n++) cluster.fork();
else http.createServer((_, answer) => answer.end(String(process.pid))).listen(process.env.PROXY_PORT, "127.0.0.1");
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_a_cluster_of_node(run: Run, tmp_path: Path) -> None:
    """In a cluster of Node.js the primary listens and its workers answer; the answering worker is found."""
    (tmp_path / "cluster.js").write_text(CLUSTER, "utf-8")
    target = Target(command=("node", str(tmp_path / "cluster.js")), can=frozenset({"health", "launch"}), foreign=True)
    with Launcher(run, target, tmp_path / "launch") as launches:
        proxy = launches()
        workers = {ref for ref in proxy.processes() if ref != proxy.ref}
        assert proxy.listeners() == (proxy.ref,)
        assert proxy.answering_process() in workers
        assert set(proxy.serving_processes()) == workers
        assert proxy.end().orphans == ()


def test_a_server_that_has_ended_has_no_serving_process(start: Start) -> None:
    """A server that has ended has no process that answers or may serve."""
    proxy = start("alone")
    proxy.end()
    assert (proxy.answering_process(), proxy.serving_processes(), proxy.listeners()) == (None, (), ())
