"""Scenario 13: descriptors run out, the disk is full, nobody reads the output; the proxy serves on.

Setup: limits are set on the running processes, so that also those of root have them. Without a free descriptor a worker
can accept no connection; chats that a gate holds at the gateway keep it so. With a limit of 0 bytes for files every
write to a file fails, as on a full disk. The output is closed, or its encoding has no Korean and no symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.registry import MeasureFixture, NotJudged, check, expect
from lumen_conformance.stages.descriptors import ANSWER_S, HELD, IDLE, DescriptorEvidence, take_descriptors
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.full_disk import KEEP, MAX_BYTES, REQUESTS, DiskEvidence, describe_chat, fill_disk
from lumen_conformance.stages.observations import observe_start
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target

OURS = pytest.mark.needs("journal")
FORWARDS = pytest.mark.needs("gateway")
# A worker that spins is runnable all the time. A worker that waits is runnable for 6 % of it here, with 36 processes
# for two processors; half of the time is far from both.
SHARE_BUDGET = 0.5
STOP_BUDGET_S = 8.0  # no work is left


@stage(scenario=13, needs=("gateway",))
def descriptors(launch: Launcher, gateway: ScriptedGateway) -> DescriptorEvidence:
    """Take all free descriptors of the processes that serve, then leave a few, with idle clients in their way."""
    return take_descriptors(launch, gateway)


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


@stage(scenario=13, needs=("journal", "restart"))
def disk(launch: Launcher, gateway: ScriptedGateway) -> DiskEvidence:
    """Fill a small log, then the disk; kill the worker there; then make space again."""
    return fill_disk(launch, gateway)


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
class OutputEvidence(StageStep):
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
    chat = describe_chat(proxy, "들려요?")
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
