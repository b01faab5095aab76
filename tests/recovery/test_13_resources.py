"""Scenario 13: descriptors run out, the disk is full, nobody reads the output; the proxy serves on.

Setup: limits are set on the running processes, so that also those of root have them. Without a free descriptor a worker
can accept no connection; chats that a gate holds at the gateway keep it so. With a limit of 0 bytes for files every
write to a file fails, as on a full disk. The output is closed, or its encoding has no Korean and no symbols.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lumen_conformance.gateway.replies import gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.registry import MeasureFixture, NotJudged, check, expect
from lumen_conformance.stages import resources
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import describe_response, observe_start, read_text
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

OURS = pytest.mark.needs("journal")
FORWARDS = pytest.mark.needs("gateway")
HELD = 6  # chats at the gateway: below the limit of eight calls
WINDOW_S = 1.5  # three pauses of a worker that cannot accept
# A worker that spins is runnable all the time. A worker that waits is runnable for 6 % of it here, with 36 processes
# for two processors; half of the time is far from both.
SHARE_BUDGET = 0.5
ANSWER_S = 20.0  # a descriptor is free when the held chats are answered; the pause of a worker is half a second
SPARE, IDLE = 8, 40  # free descriptors, and clients that connect and send nothing
WITH_WATCHDOG = {"LUMEN_WATCHDOG_S": "1"}  # within the window: a worker without descriptors is not hung
MAX_BYTES, KEEP = 1024, 2  # the smallest log
REQUESTS = 40  # lines of about 200 bytes: more than twice what the files of a log may have
LINES_S = 10.0  # a line is written within 0.2 s
SMALL_LOG = {"LUMEN_LOG_MAX_BYTES": str(MAX_BYTES), "LUMEN_LOG_KEEP": str(KEEP), "LUMEN_LOG_LEVEL": "info"}
STOP_BUDGET_S = 8.0  # no work is left


@dataclass(frozen=True)
class DescriptorEvidence:
    """The evidence: held chats, a client that came meanwhile, the processor time, and a client among idle ones."""

    held: tuple[int | None, ...]
    waiting: int | None
    waiting_s: float
    busiest_share: float
    is_same_worker: bool
    among_idle: int | None
    among_idle_s: float
    died: int


@stage(scenario=13, needs=("gateway",))
def descriptors(launch: Launcher, gateway: ScriptedGateway, target: Target) -> DescriptorEvidence:
    """Take all free descriptors of the processes that serve, then leave a few, with idle clients in their way."""
    resources.need_limits()
    proxy = launch(gateway=gateway, env=WITH_WATCHDOG)
    worker, gate = proxy.worker(), threading.Event()
    serving = proxy.serving_processes() if target.foreign else (worker,)  # ours has a supervisor and a standby as well
    gateway.standing = gated(gate)
    with ThreadPoolExecutor(HELD + 1) as pool:
        held = [pool.submit(proxy.chat, f"{number}번째 질문", timeout_s=ANSWER_S) for number in range(HELD)]
        gateway.until_called(HELD)
        resources.limit_descriptors(serving, 0)
        waiting = pool.submit(proxy.call, "GET", target.probe_path, timeout_s=ANSWER_S)
        before, start_s = resources.runnable_s(serving), time.monotonic()
        observe("it ends", proxy.end_reason, within_s=WINDOW_S)
        share = resources.busiest_share(before, resources.runnable_s(serving), time.monotonic() - start_s)
        gate.set()
        statuses = tuple(chat.result().status for chat in held)
        resources.limit_descriptors(serving, SPARE)
    with ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=ANSWER_S))
        among_idle = proxy.call("GET", target.probe_path, timeout_s=ANSWER_S)
    return DescriptorEvidence(
        held=statuses,
        waiting=waiting.result().status,
        waiting_s=waiting.result().elapsed_s,
        busiest_share=share,
        is_same_worker=worker.state() == "running",
        among_idle=among_idle.status,
        among_idle_s=among_idle.elapsed_s,
        died=len(proxy.journal.events(name="worker_died")),
    )


@check("13.1-held-chats-end", source="accept(2): EMFILE is about new connections only")
@FORWARDS
def test_held_chats_are_answered(descriptors: DescriptorEvidence) -> None:
    """Chats in progress are answered although no descriptor is free."""
    expect(descriptors.held == (200,) * HELD, f"{HELD} answers with status 200", f"statuses {descriptors.held}")


@check("13.2-waiting-client", source="accept(2): EMFILE; docs/behaviour.md: Gateway calls: a lack of descriptors")
@FORWARDS
def test_waiting_client_is_answered(descriptors: DescriptorEvidence, measure: MeasureFixture) -> None:
    """A client that came without a free descriptor is answered when there is one, without a restart."""
    measure(descriptors.waiting_s, "s", ANSWER_S)
    expect(descriptors.waiting == 200, f"status 200 within {ANSWER_S:g} s", f"status {descriptors.waiting}")


@check(
    "13.3-no-spin",
    tier="S",  # no client notices it
    source="accept(2): EMFILE; a listening socket stays readable, so a loop without a pause spins",
)
@FORWARDS
def test_no_busy_loop(descriptors: DescriptorEvidence, measure: MeasureFixture) -> None:
    """Without a free descriptor no thread of the processes that serve is busy."""
    if not descriptors.is_same_worker:
        raise NotJudged("the process has ended", ("13.4-lack-of-descriptors-is-no-crash",))
    share = descriptors.busiest_share
    measure(100 * share, "%", 100 * SHARE_BUDGET)
    expect(share < SHARE_BUDGET, f"a thread that is runnable for less than {SHARE_BUDGET:.0%}", f"{share:.0%}")


@check("13.4-lack-of-descriptors-is-no-crash", source="docs/behaviour.md: LUMEN_WATCHDOG_S; accept(2): EMFILE")
@FORWARDS
def test_same_process(descriptors: DescriptorEvidence) -> None:
    """The process that served before the lack of descriptors serves after it: it has not ended, nor was it replaced."""
    found = f"running: {descriptors.is_same_worker}, deaths in the journal: {descriptors.died}"
    expect(descriptors.is_same_worker and not descriptors.died, "the same process", found)


@check("13.5-idle-clients-give-way", source="docs/behaviour.md: /health: at once when everything is full")
@OURS
def test_idle_clients_give_way(descriptors: DescriptorEvidence, measure: MeasureFixture) -> None:
    """With more idle clients than descriptors /health is answered."""
    measure(descriptors.among_idle_s, "s", ANSWER_S)
    found = f"status {descriptors.among_idle}"
    expect(descriptors.among_idle == 200, f"status 200 beside {IDLE} idle clients", found)


@dataclass(frozen=True)
class DiskEvidence:
    """The evidence: a log at its limits, what was served on a full disk, and the log when there is space again."""

    sizes: dict[str, int]
    newest_kept: bool
    chats: tuple[str, ...]
    is_same_worker: bool
    after_kill: str
    was_replaced: bool
    lost: float
    resumed: bool


@stage(scenario=13, needs=("journal", "restart"))
def disk(launch: Launcher, gateway: ScriptedGateway) -> DiskEvidence:
    """Fill a small log, then the disk; kill the worker there; then make space again."""
    resources.need_limits()
    proxy = launch(gateway=gateway, env=SMALL_LOG)
    folder, worker = proxy.journal.folder, proxy.worker()
    with proxy.connection() as connection:
        for number in range(REQUESTS):
            connection.call("GET", "/v1/models", headers=[("x-request-id", f"request-{number:02d}")])
    newest_kept = sees(folder, f"request-{REQUESTS - 1:02d}")
    sizes = resources.list_sizes(folder)
    resources.limit_files(proxy.processes(), 0)
    first, lost = describe(proxy, "첫 질문"), read_lost(proxy)  # by then the line of the first was not written
    chats = (first, describe(proxy, "둘째 질문"))
    is_same = proxy.health().pid == worker.pid
    worker.kill()
    after_kill = describe(proxy, "다시 왔어요")
    replaced = proxy.health().pid not in {0, worker.pid}
    read_lost(proxy)  # by then the line of that chat was not written
    resources.unlimit_files(proxy.processes())
    proxy.call("GET", "/v1/models", headers=[("x-request-id", "request-resumed")])
    return DiskEvidence(sizes, newest_kept, chats, is_same, after_kill, replaced, lost, sees(folder, "request-resumed"))


def sees(folder: Path, text: str) -> bool:
    """Wait for a line with this text in any log."""
    return bool(
        observe("a log has it", lambda: any(text in read(log) for log in folder.glob("*.jsonl*")), within_s=LINES_S)
    )


def read(file: Path) -> str:
    """Return the text of a log; a file that was just renamed has none."""
    try:
        return file.read_text("utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return ""


def describe(proxy: LaunchedTarget, question: str) -> str:
    """Return an empty text when the question is answered with its text, else what came."""
    chat = proxy.chat(question, timeout_s=ANSWER_S)
    return "" if chat.status == 200 and question in read_text(chat) else describe_response(chat)


def read_lost(proxy: LaunchedTarget) -> float:
    """Return how many lines could not be written, by /metrics: when it is above 0, or in the end."""

    def lost() -> float:
        lines = proxy.call("GET", "/metrics").text.splitlines()
        values = (line.rpartition(" ")[2] for line in lines if line.startswith("lumen_log_lost "))
        return float(next(values, "0"))

    return observe("a lost line is counted", lost, within_s=LINES_S) or 0.0


@check("13.6-log-cap", source="docs/behaviour.md: LUMEN_LOG_MAX_BYTES, LUMEN_LOG_KEEP")
@OURS
def test_log_cap_holds(disk: DiskEvidence, measure: MeasureFixture) -> None:
    """No file of a log is larger than its limit, and no log has more files than its number."""
    measure(sum(disk.sizes.values()), "B")
    large = {name: size for name, size in disk.sizes.items() if size > MAX_BYTES}
    expect(not large, f"files of at most {MAX_BYTES} bytes", f"sizes {large}")
    logs = [name.partition(".jsonl")[0] for name in disk.sizes]
    many = {log: logs.count(log) for log in logs if logs.count(log) > 1 + KEEP}
    expect(not many, f"at most {1 + KEEP} files of each log", f"files {many}")


@check("13.7-newest-line", source="docs/behaviour.md: LUMEN_LOG_MAX_BYTES: size at which a log file is rotated")
@OURS
def test_newest_line_is_kept(disk: DiskEvidence) -> None:
    """A log at its limits has the newest line."""
    expect(disk.newest_kept, f"the line of request {REQUESTS - 1}", f"files {disk.sizes}")


@check("13.8-full-disk-serves", source="write(2): ENOSPC, EFBIG")
@OURS
def test_full_disk_serves(disk: DiskEvidence) -> None:
    """On a full disk chats are answered, and by the same worker."""
    bad = [found for found in disk.chats if found]
    expect(not bad, f"{len(disk.chats)} answers", "; ".join(bad))
    expect(disk.is_same_worker, "the worker from before", "another worker")


@check("13.9-full-disk-restarts", source="write(2): ENOSPC, EFBIG; docs/guide/recovery.md: Scenario 1")
@OURS
def test_full_disk_restarts(disk: DiskEvidence) -> None:
    """On a full disk a killed worker is replaced, and the next chat is answered."""
    expect(not disk.after_kill, "an answer after the kill", disk.after_kill)
    expect(disk.was_replaced, "another worker", "the same worker")


@check("13.10-log-resumes", source="docs/behaviour.md: LUMEN_LOG_DIR")
@OURS
def test_log_resumes(disk: DiskEvidence) -> None:
    """When there is space again, the log has the next request."""
    expect(disk.resumed, "the line of the next request", "no line")


@check("13.11-lost-lines-counted", source="docs/behaviour.md: /metrics")
@OURS
def test_lost_lines_are_counted(disk: DiskEvidence) -> None:
    """On a full disk /metrics counts the lines that could not be written."""
    if any(disk.chats) or not disk.is_same_worker:
        raise NotJudged("the worker that counts them has ended", ("13.8-full-disk-serves",))
    expect(disk.lost > 0, "log_lost above 0 in /metrics", f"{disk.lost:g}")


@dataclass(frozen=True)
class OutputVariant:
    """An output: how a shell opens it, and the encoding of Python's streams."""

    redirection: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)


def encoded(name: str) -> OutputVariant:
    """Return an output that can show only the characters of an encoding."""
    return OutputVariant("", {"PYTHONIOENCODING": f"{name}:strict", "PYTHONUTF8": "0", "LUMEN_STANDBY": "0"})


@dataclass(frozen=True)
class OutputEvidence:
    """The evidence: why it did not start, what a chat got, and how it stopped."""

    problem: str
    chat: str
    exit_status: int | None


@stage(
    scenario=13,
    variants={
        "closed": OutputVariant(">&-", {"LUMEN_STANDBY": "0"}),
        "ascii": encoded("ascii"),
        "cp949": encoded("cp949"),
        "cp1252": encoded("cp1252"),
    },
)
def output(launch: Launcher, gateway: ScriptedGateway, target: Target, variant: OutputVariant) -> OutputEvidence:
    """Launch with this output, ask, and stop."""
    if target.foreign and not variant.redirection:
        pytest.skip("only our own proxy gets an encoding")
    shell = ("sh", "-c", f'exec "$@" {variant.redirection}', "sh") if variant.redirection else ()
    proxy = launch(
        ready=False, gateway=gateway, env=variant.environ, target=replace(target, command=(*shell, *target.command))
    )
    start = observe_start(proxy, target.start_s)
    if start.problem:
        return OutputEvidence(start.problem, "", None)
    chat = describe(proxy, "들려요?")
    proxy.stop()
    return OutputEvidence("", chat, proxy.observe_exit(STOP_BUDGET_S))


@check(
    "13.12-output-serves",
    tier="S",  # no client notices it: a server that does not start serves nobody
    source="write(2): EBADF; docs/behaviour.md: standard output that cannot be written",
)
@FORWARDS
def test_output_serves(output: OutputEvidence) -> None:
    """A server whose output is closed, or cannot be encoded, starts and answers."""
    expect(not output.problem, "a start", output.problem)
    expect(not output.chat, "an answer", output.chat)


@check("13.13-output-stops", source="docs/adr/0003-supervisor-holds-the-socket.md: a stop ends with 0")
@OURS
def test_output_stops(output: OutputEvidence) -> None:
    """A stop of such a server ends with status 0."""
    if output.problem:
        raise NotJudged("it did not start", ("13.12-output-serves",))
    expect(output.exit_status == 0, "exit status 0", f"exit status {output.exit_status}")
