"""Restarts of a running proxy, under load and while a request does not end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.replies import echo, gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.process_tree import ProcessRef, list_running, list_tree
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.stages.upgrade_load import (
    CLIENT_TIMEOUT_S,
    CLIENTS,
    Load,
    Ownership,
    OwnershipMonitor,
    UpgradeClients,
)
from lumen_conformance.targets.launch import CommandResult, Launcher
from lumen_conformance.targets.launched_target import LaunchedTarget
from lumen_conformance.waiting import observe

COMMAND_S = 90.0  # a restart waits for a boot (45 s at most) and for a drain; on a quiet machine it takes a second
END_S = 5.0  # the command waits for the end of the old proxy: nothing is left to wait for, but a busy machine
# The gate opens when the new proxy is ready, and the held stream then needs milliseconds; the rest is for a busy
# machine.
DRAIN_S = 10.0
SHORT_DRAIN_S = 0.2
ANSWER_AFTER_S = 0.02  # of the gateway; the proxy and its clients need a few milliseconds for a chat
TAIL_CHARS = 2000  # of a stream: its last events
HELD = "이 답은 업그레이드 뒤에 옵니다"


@dataclass(frozen=True)
class ServingInstance:
    """Who answers: the supervisor and the name of the instance, as /health says."""

    pid: int
    name: str

    @classmethod
    def of(cls, proxy: LaunchedTarget) -> ServingInstance:
        """Return who answers now: no wait is needed, as no connection is refused."""
        health = proxy.health()
        return cls(health.supervisor_pid, health.instance)


@dataclass(frozen=True)
class RestartObservation(StageStep):
    """One restart: who answered before and after it, and which of the old processes ran at its end."""

    before: ServingInstance
    after: ServingInstance
    exit_status: int
    stdout: str
    stderr: str
    elapsed_s: float
    left: tuple[str, ...]


def observe_restart(proxy: LaunchedTarget, run: Callable[[], CommandResult]) -> RestartObservation:
    """Run a command that restarts a proxy, and observe what it replaces."""
    before = ServingInstance.of(proxy)
    old = list_tree(ProcessRef.of(before.pid)) if before.pid else ()
    done = run()
    left = tuple(map(str, list_running(old)))
    return RestartObservation(
        before, ServingInstance.of(proxy), done.exit_status, done.stdout, done.stderr, done.elapsed_s, left
    )


@dataclass(frozen=True)
class Commands:
    """Commands of our proxy about one instance: its port and its folders."""

    launch: Launcher
    folder: Path
    port: int

    @classmethod
    def environ(cls, folder: Path) -> dict[str, str]:
        """Return the variables by which a launch and its commands share their folders."""
        return {"LUMEN_STATE_DIR": str(folder / "state"), "LUMEN_LOG_DIR": str(folder / "log")}

    def run(self, name: str, *options: str, gateway_url: str, env: dict[str, str] | None = None) -> CommandResult:
        """Run one command to its end."""
        environ = {**self.environ(self.folder), **(env or {})}
        arguments = (name, "--port", str(self.port), *options)
        return self.launch.run(*arguments, env=environ, gateway=gateway_url, within_s=COMMAND_S)


@dataclass(frozen=True)
class UpgradeEvidence(StageStep):
    """The evidence of two restarts under load; `held`: the stream had not ended when the new proxy was ready."""

    url: str
    restarts: tuple[RestartObservation, ...]
    load: Load
    ownership: Ownership
    held: bool
    stream: tuple[int | None, str, str]
    old_exit: int | None
    old_events: tuple[str, ...]
    handed_over_to: ServingInstance | None
    chats_after: tuple[int, int]


def answer_late(exchange: Exchange) -> None:
    """Answer after a while, so that most clients have a request in flight at any time."""
    if exchange.hold(at_most_s=ANSWER_AFTER_S):
        echo(exchange)


def observe_upgrade(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> UpgradeEvidence:
    """Restart under load with the same settings, then with another gateway; a stream runs across the first restart."""
    gate = threading.Event()

    def hold_one(exchange: Exchange) -> None:
        (gated(gate, answer_late) if HELD in exchange.call.message else answer_late)(exchange)

    gateway.standing = hold_one
    limits = {"LUMEN_DRAIN_S": str(DRAIN_S), "LUMEN_MAX_CONCURRENCY": str(2 * CLIENTS)}
    proxy = launch(gateway=gateway, env={**Commands.environ(folder), **limits})
    commands, clients, watch = (
        Commands(launch, folder, proxy.port),
        UpgradeClients(proxy),
        OwnershipMonitor(folder / "state", proxy.port),
    )
    with ExitStack() as stack:
        stack.callback(commands.run, "stop", gateway_url=gateway.url)
        stack.callback(gate.set)
        other, pool = stack.enter_context(ScriptedGateway(answer_late)), stack.enter_context(ThreadPoolExecutor(2))
        with watch.running(), clients.running():
            stream = pool.submit(proxy.chat, HELD, stream=True, timeout_s=COMMAND_S)
            is_held = observe("it is held", lambda: count_held(gateway), within_s=CLIENT_TIMEOUT_S)
            clients.wait_answers()
            mark = proxy.journal.mark()
            first = pool.submit(observe_restart, proxy, lambda: commands.run("restart", gateway_url=gateway.url))
            observe("it is ready", lambda: proxy.journal.events(mark, "ready") or first.done(), within_s=COMMAND_S)
            is_held = is_held and not stream.done() and not first.done()
            gate.set()
            same = first.result()
            changed = observe_restart(proxy, lambda: commands.run("restart", gateway_url=other.url))
            calls = len(gateway.chats)
            clients.wait_answers()
        answer, events = stream.result(), proxy.journal.events(mark)
        handed = next((event for event in events if event.name == "handed_over"), None)
        return UpgradeEvidence(
            proxy.url,
            (same, changed),
            clients.load(),
            watch.ownership(),
            bool(is_held),
            (answer.status, answer.ended, answer.body.decode("utf-8", "replace")[-TAIL_CHARS:]),
            proxy.observe_exit(END_S),
            tuple(event.name for event in events if event.instance == same.before.name),
            ServingInstance(handed["to_pid"], handed["to_instance"]) if handed else None,
            (len(gateway.chats) - calls, len(other.chats)),
        )


@dataclass(frozen=True)
class OverdueEvidence(StageStep):
    """The evidence of a restart while a request does not end; `stream` is its status, its end and its text."""

    restart: RestartObservation
    stream: tuple[int | None, str, str]
    old_exit: int | None


def observe_overdue(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> OverdueEvidence:
    """Restart while the gateway holds a stream for ever; the drain has a short deadline."""
    gate = threading.Event()
    gateway.standing = gated(gate)
    proxy = launch(gateway=gateway, env={**Commands.environ(folder), "LUMEN_DRAIN_S": str(SHORT_DRAIN_S)})
    commands = Commands(launch, folder, proxy.port)
    with ExitStack() as stack:
        stack.callback(commands.run, "stop", gateway_url=gateway.url)
        stack.callback(gate.set)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        stream = pool.submit(proxy.chat, HELD, stream=True, timeout_s=COMMAND_S)
        observe("it is held", lambda: count_held(gateway), within_s=CLIENT_TIMEOUT_S)
        done = observe_restart(proxy, lambda: commands.run("restart", gateway_url=gateway.url))
        old_exit = proxy.observe_exit(END_S)
        gate.set()
        answer = stream.result()
        text = answer.body.decode("utf-8", "replace")[-TAIL_CHARS:]
        return OverdueEvidence(done, (answer.status, answer.ended, text), old_exit)


def count_held(gateway: ScriptedGateway) -> int:
    """Return how many held requests the gateway has."""
    return sum(HELD in call.message for call in gateway.chats)
