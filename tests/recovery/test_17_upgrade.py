"""Scenario 17: `restart` replaces a running proxy, and no client notices.

Setup: a proxy in the foreground, sixteen clients that send chats all the time, half of them on connections that they
keep, and a stream that the gateway holds until the new proxy serves. It is restarted with the same settings, and then
with another gateway. In two further stages a request does not end in time, and the new proxy fails.

`restart` is a command of our own proxy. On Windows it closes the port for a moment: docs/behaviour.md. The stages are
in `lumen_conformance.stages.upgrade` and `upgrade_failures`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.registry import MeasureFixture, check, expect
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.upgrade import OverdueEvidence, UpgradeEvidence, observe_overdue, observe_upgrade
from lumen_conformance.stages.upgrade_failures import PERMANENT, FailureEvidence, observe_failures
from lumen_conformance.stages.upgrade_load import CLIENTS
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target

ADR = "docs/adr/0023-handover.md"
CUT = FAILED = 70  # docs/behaviour.md: LUMEN_DRAIN_S
STATUSES = {"dies": FAILED, "permanent": PERMANENT, "hangs": FAILED, "killed": FAILED}
READY = re.compile(r"ready on (\S+) \(pid (\d+), instance (\w+)\)")


def skip_on_windows() -> None:
    """Skip where sockets cannot be passed to another process."""
    if WINDOWS:
        pytest.skip("on Windows a restart closes the port for a moment: docs/behaviour.md")


@stage(scenario=17)
def upgraded(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> UpgradeEvidence:
    """Restart under load with the same settings, then with another gateway; a stream runs across the first restart."""
    skip_on_windows()
    return observe_upgrade(launch, gateway, folder)


@stage(scenario=17)
def overdue(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> OverdueEvidence:
    """Restart while the gateway holds a stream for ever; the drain has a short deadline."""
    skip_on_windows()
    return observe_overdue(launch, gateway, folder)


@stage(scenario=17)
def failures(launch: Launcher, gateway: ScriptedGateway, folder: Path, target: Target) -> FailureEvidence:
    """Restart with a new proxy that fails, in several ways; stop the old proxy during the last restart."""
    skip_on_windows()
    return observe_failures(launch, gateway, folder, target)


@check("17.1-nobody-refused", title="업그레이드 중 연결 거부 없음", source=f"{ADR}: the sockets stay open")
def test_nobody_is_refused(upgraded: UpgradeEvidence, measure: MeasureFixture) -> None:
    """Two restarts under the load of sixteen clients refuse no connection."""
    measure(upgraded.load.refused, "refused", 0)
    measure(upgraded.load.answered, "answered", label="answered")
    expect(upgraded.load.refused == 0, "no connection is refused", f"{upgraded.load.refused} were refused")
    expect(upgraded.load.answered > CLIENTS, f"more than {CLIENTS} answers", f"{upgraded.load.answered} answers")


@check("17.2-nothing-cut", title="업그레이드 중 요청 끊김 없음", source=f"{ADR}: the old worker finishes its requests")
def test_nothing_is_cut(upgraded: UpgradeEvidence, measure: MeasureFixture) -> None:
    """No request is cut, on a new connection or on one that the client keeps."""
    measure(upgraded.load.cut, "cut", 0)
    expect(upgraded.load.cut == 0, "no request is cut", f"{upgraded.load.cut} were cut")


@check("17.3-status-200", source=f"{ADR}: a handover is no shutdown")
def test_each_answer_is_good(upgraded: UpgradeEvidence) -> None:
    """Each answer has the status 200: no client is told to come back later."""
    bad = upgraded.load.other
    expect(not bad, "each answer has the status 200", f"other ends: {', '.join(bad)}")


@check(
    "17.4-stream-completed",
    title="업그레이드를 넘긴 스트림 완료",
    source=f"{ADR}: the old worker finishes its requests",
)
def test_stream_is_completed(upgraded: UpgradeEvidence) -> None:
    """A stream that began before the restart ends after it, complete."""
    status, ended, tail = upgraded.stream
    expect(upgraded.held, "the stream is open when the new proxy is ready", "it had ended, or no new proxy was ready")
    is_complete = (status, ended) == (200, "complete") and '"finish_reason":"stop"' in tail and "[DONE]" in tail
    expect(is_complete, "a complete stream", f"status {status}, {ended}, its end: {tail!r}")


@check("17.5-another-instance", source=f"{ADR}: a new supervisor")
def test_another_instance_serves(upgraded: UpgradeEvidence) -> None:
    """After each restart another supervisor with another instance answers on the same port."""
    found = [one.before for one in upgraded.restarts] + [upgraded.restarts[-1].after]
    are_other = len({one.pid for one in found}) == len({one.name for one in found}) == 3 and found[-1].pid > 0
    expect(are_other, "three supervisors and three instances, one after the other", str(found))
    ends = [one.after for one in upgraded.restarts]
    expect(ends[0] == found[1], f"{ends[0]} answers until the next restart", f"{found[1]} answered")


@check("17.6-one-owner", title="업그레이드 중 잠금 소유자 하나", source=f"{ADR}: flock belongs to the open file")
def test_the_port_has_one_owner(upgraded: UpgradeEvidence, measure: MeasureFixture) -> None:
    """The lock is never free, and the state file names the instances one after the other."""
    seen = upgraded.ownership
    measure(seen.looks, "looks", label="looks at the lock")
    expect(seen.free == 0, "a lock that is always held", f"free in {seen.free} of {seen.looks} looks")
    names = (*(one.before.name for one in upgraded.restarts), upgraded.restarts[-1].after.name)
    expect(seen.owners == names, f"the owners {names}", f"the owners {seen.owners}")


@check("17.7-command", source="docs/behaviour.md: `restart`")
def test_the_command_says_what_it_did(upgraded: UpgradeEvidence, measure: MeasureFixture) -> None:
    """The command ends with status 0 and names the address, the PID and the instance of the new proxy."""
    for one in upgraded.restarts:
        measure(one.elapsed_s, "s", label="restart")
        expect(one.exit_status == 0, "exit status 0", f"exit status {one.exit_status}: {one.stderr}")
        expected = (upgraded.url, str(one.after.pid), one.after.name)
        expect(expected in READY.findall(one.stdout), f"a line about {expected}", f"{one.stdout!r}")


@check("17.8-old-gone", source=f"{ADR}: the command waits for the old proxy")
def test_old_processes_have_ended(upgraded: UpgradeEvidence) -> None:
    """When the command ends, no old process runs, and the first proxy has ended with status 0."""
    left = [process for one in upgraded.restarts for process in one.left]
    expect(not left, "no old process", f"running: {', '.join(left)}")
    expect(upgraded.old_exit == 0, "exit status 0 of the old proxy", f"exit status {upgraded.old_exit}")


@check("17.9-journal", source="docs/adr/0023-handover.md: the journal")
def test_the_journal_tells_the_handover(upgraded: UpgradeEvidence) -> None:
    """The journal of the old proxy names the new one, and has the drain and the end."""
    events = [name for name in upgraded.old_events if name in {"handed_over", "draining", "drained", "stopped"}]
    expect(
        events == ["handed_over", "drained", "stopped"], "handed_over, drained, stopped", ", ".join(events) or "none"
    )
    after = upgraded.restarts[0].after
    expect(upgraded.handed_over_to == after, f"handed over to {after}", f"handed over to {upgraded.handed_over_to}")


@check("17.10-new-setting", source="docs/behaviour.md: `restart`")
def test_a_changed_setting_is_used(upgraded: UpgradeEvidence) -> None:
    """After a restart with another gateway, that one gets all chats."""
    old, new = upgraded.chats_after
    expect(new > 0 and old == 0, "chats at the new gateway only", f"{new} at the new one, {old} at the old one")


@check("17.11-drain-deadline", source="docs/behaviour.md: LUMEN_DRAIN_S")
def test_a_drain_has_a_deadline(overdue: OverdueEvidence) -> None:
    """A request that does not end is cut at the drain deadline: the old proxy ends with 70, the restart with 0."""
    found = (overdue.restart.exit_status, overdue.old_exit, overdue.restart.left)
    expect(found == (0, CUT, ()), f"restart 0, old proxy {CUT}, no old process", str(found))
    status, ended, text = overdue.stream
    expect("[DONE]" not in text, "a stream without [DONE]", f"status {status}, {ended}, its end: {text!r}")


@check(
    "17.12-old-serves-on",
    title="새 프록시 실패 시 기존 프록시 유지",
    source=f"{ADR}: nothing changes before the commit",
)
def test_the_old_proxy_serves_on(failures: FailureEvidence) -> None:
    """If the new proxy dies, hangs or is killed while it boots, the old one keeps serving: same PID, same instance."""
    for fault, one in failures.failed.items():
        expect(
            one.restart.after == one.restart.before, f"{one.restart.before} serves ({fault})", str(one.restart.after)
        )
        expect(one.chats == (200, 200), f"chats answered meanwhile and afterwards ({fault})", f"statuses {one.chats}")
    expect(failures.chat_after_kill == 200, "its worker is replaced", f"a chat has status {failures.chat_after_kill}")
    owner = next(iter(failures.failed.values())).restart.before.name
    seen = failures.ownership
    expect((seen.free, seen.owners) == (0, (owner,)), f"a lock of {owner}", f"free {seen.free} times, {seen.owners}")


@check("17.13-failure-told", source="docs/behaviour.md: `restart`")
def test_the_command_says_why(failures: FailureEvidence) -> None:
    """A restart that fails ends with the status of the failure; it says why, and that the old proxy keeps serving."""
    for fault, one in failures.failed.items():
        status, lines = one.restart.exit_status, one.restart.stderr
        expect(status == STATUSES[fault], f"exit status {STATUSES[fault]} ({fault})", f"exit status {status}")
        kept = f"(pid {one.restart.before.pid}, instance {one.restart.before.name}) keeps serving"
        expect(kept in lines and len(lines.splitlines()) > 1, f"a reason, and {kept!r} ({fault})", f"{lines!r}")


@check("17.14-status-meanwhile", source="docs/behaviour.md: `restart`")
def test_status_names_the_old_proxy(failures: FailureEvidence) -> None:
    """While the new proxy boots, `status` shows the old one, which runs."""
    owner = failures.failed["killed"].restart.before.name
    expect(failures.shown == ("running", owner), f"running, instance {owner}", str(failures.shown))


@check("17.15-stop-wins", source="docs/behaviour.md: `restart`")
def test_a_stop_ends_a_restart(failures: FailureEvidence) -> None:
    """A stop while the new proxy boots ends both: nothing runs afterwards, and the restart says so with status 70."""
    expect(failures.stopped == (FAILED, 0, 0), f"restart {FAILED}, stop 0, old proxy 0", str(failures.stopped))
    expect("stopped the proxy" in failures.stopped_stderr, "a line about the stop", f"{failures.stopped_stderr!r}")
    expect(failures.is_port_free, "a free port", "the port is in use")
    expect(not failures.files, "an empty state folder", ", ".join(failures.files))
