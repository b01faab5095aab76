"""Restarts whose new proxy fails, and a stop in the middle of a restart."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry.journal_event import JournalEvent
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.stages.upgrade import COMMAND_S, END_S, Commands, RestartObservation, observe_restart
from lumen_conformance.stages.upgrade_load import Ownership, OwnershipMonitor
from lumen_conformance.targets.journal import JournalMark
from lumen_conformance.targets.launch import CommandResult, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

WORKER = "lumen_proxy.worker"  # in the command line of a worker
LIMITS = "lumen_proxy.supervisor.time_limits"
BOOT_LIMIT_S = 0.3  # this worker never boots, so the limit of the product, 30 s, only takes time
LATER_S = 5.0  # the new proxy is killed or stopped before; it only takes time where that fails
# It ends with its supervisor, which holds the other end of its standard input: the parent-death signal is not set yet.
HANGS = "poll = select.poll(); poll.register(0, 0); poll.poll()"
PERMANENT = 78  # a worker that ends with it is not started again
FAULTS = {
    "dies": ("os._exit(1)", ""),
    "permanent": (f"os._exit({PERMANENT})", ""),
    "hangs": (HANGS, f"BOOT_S={BOOT_LIMIT_S}"),
    "killed": (HANGS, f"BOOT_S={LATER_S}"),
}


@dataclass(frozen=True)
class FailedRestart(StageStep):
    """A restart whose new proxy fails; the statuses of a chat while it boots and of one after it."""

    restart: RestartObservation
    chats: tuple[int | None, int | None]


@dataclass(frozen=True)
class FailureEvidence:
    """The evidence of restarts that fail, by the fault, and of a stop in the middle of the last one.

    `chat_after_kill`: the status of a chat after a kill of the worker of the old proxy. `shown`: condition and instance
    of `status`, while the new proxy boots. `stopped`: exit statuses of the restart that was stopped, of the command
    `stop`, and of the old proxy. `files`: what is left in the state folder.
    """

    failed: dict[str, FailedRestart]
    ownership: Ownership
    chat_after_kill: int | None
    shown: tuple[str, str]
    stopped: tuple[int, int, int | None]
    stopped_stderr: str
    is_port_free: bool
    files: tuple[str, ...]


def fault_in_worker(folder: Path, target: Target, program: str, limits: str) -> dict[str, str]:
    """Return the variables with which each worker runs `program` before the product; `limits` changes time limits.

    The product has no switch for this: a module `sitecustomize` on the path does it.
    """
    folder.mkdir()
    lines = ["import os, select, sys", f"if {WORKER!r} in sys.orig_argv:", f"    {program}"]
    if limits:
        change = f"lambda module: vars(module).update({limits})"
        lines += ["import lumen_mutation", f"lumen_mutation.after_import({LIMITS!r}, {change})"]
    (folder / "sitecustomize.py").write_text("\n".join([*lines, ""]), "utf-8")
    return {"PYTHONPATH": os.pathsep.join([target.environ(folder, "").get("PYTHONPATH", ""), str(folder)])}


def observe_failures(launch: Launcher, gateway: ScriptedGateway, folder: Path, target: Target) -> FailureEvidence:
    """Restart with each fault in the new proxy; then stop the old proxy while a new one boots."""
    proxy = launch(gateway=gateway, env=Commands.environ(folder))
    commands, watch = Commands(launch, folder, proxy.port), OwnershipMonitor(folder / "state", proxy.port)
    faults = {name: fault_in_worker(folder / name, target, *fault) for name, fault in FAULTS.items()}
    shown: list[str] = []

    def restart(name: str) -> CommandResult:
        return commands.run("restart", gateway_url=gateway.url, env=faults[name])

    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder / "state")  # a killed proxy leaves files, which are evidence
        stack.callback(commands.run, "stop", gateway_url=gateway.url)
        pool = stack.enter_context(ThreadPoolExecutor(1))

        def wait_for_new(running: Future[Any], mark: JournalMark) -> tuple[JournalEvent, ...]:
            """Wait until a new proxy has started, or the restart has ended."""
            observe(
                "a new one boots",
                lambda: proxy.journal.events(mark, "started"),
                within_s=COMMAND_S,
                give_up=lambda: "the restart has ended" if running.done() else None,
            )
            return proxy.journal.events(mark, "started")

        def fail(name: str) -> FailedRestart:
            mark = proxy.journal.mark()
            running = pool.submit(observe_restart, proxy, lambda: restart(name))
            started = wait_for_new(running, mark)
            meanwhile = proxy.chat("아직 있어요?").status
            if started and name == "killed":
                shown[:] = [commands.run("status", "--json", gateway_url=gateway.url).stdout]
                ProcessRef.of(started[0]["supervisor_pid"]).kill()
            return FailedRestart(running.result(), (meanwhile, proxy.chat("아직도요?").status))

        with watch.running():
            failed = {name: fail(name) for name in FAULTS}
            if worker := proxy.health().pid:
                ProcessRef.of(worker).kill()
            chat_after_kill = proxy.chat("다시 왔어요?").status
        mark = proxy.journal.mark()
        restarting = pool.submit(restart, "killed")
        wait_for_new(restarting, mark)
        stop = commands.run("stop", gateway_url=gateway.url)
        restarted = restarting.result()
        return FailureEvidence(
            failed,
            watch.ownership(),
            chat_after_kill,
            _read_status(shown),
            (restarted.exit_status, stop.exit_status, proxy.observe_exit(END_S)),
            restarted.stderr,
            is_port_free(proxy.port),
            tuple(path.name for path in (folder / "state").iterdir()),
        )


def _read_status(shown: list[str]) -> tuple[str, str]:
    try:
        status = json.loads(shown[0])
        return str(status["condition"]), str(status["instance"])
    except (IndexError, ValueError, KeyError):
        return "", ""
