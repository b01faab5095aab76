"""Scenarios 1, 2 and 4 against servers of every kind: healthy ones pass, and each fault fails exactly its checks.

Some servers are judged by a run of the suite, the others in this process, which takes half of the time.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.parsers import split_command
from lumen_conformance.targets.target import Target
from tests.fixtures.scenario_run import ScenarioResult, recovery, run_scenario
from tests.fixtures.suite_subprocess import SuiteRun, forwarder, run
from tests.recovery import test_01_process_kill, test_02_port_conflict, test_04_functional

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these servers fork or share a socket, which Windows cannot")

FOREIGN = Path(__file__).parents[2] / "fixtures" / "foreign"
KILL, CONFLICT, FUNCTIONAL = SCENARIOS = (test_01_process_kill, test_02_port_conflict, test_04_functional)
FILES = {scenario: f"tests/recovery/{scenario.__name__.rpartition('.')[2]}.py" for scenario in SCENARIOS}
RESTARTED = {"1.3-forced-kill", "1.3.1-reaped", "1.4-automatic-restart", "1.5-health-after"}
CONFLICTED = {"2.1-dummy-occupies-port", "2.2-conflict-detected", "2.3-dummy-gone-port-free", "2.4-normal-start"}
WORKED = {"4.1-get-health", "4.2-post-chat", "4.3-openai-format", "4.4-response-time"}
ALWAYS = {"1.1-initial-start", "1.2-health-before"} | CONFLICTED | WORKED
WITH_RESTART, HEALTH = "health,restart", "health"
# How long a replacement is waited for. A start takes 0.2 to 1 s here; ten times that for a busy machine.
START_S = 10

AT_ONCE = 4  # servers; with more of them each start takes longer
HAS_NODE = bool(shutil.which("node"))
SUPERVISED = ("prefork", "spawned", "reuseport", "cluster")
KINDS = (*SUPERVISED, "single")

Judge = Callable[[str, str, ModuleType], ScenarioResult]
Fault = tuple[str, str]  # a kind of server, and its fault
Launch = tuple[str, bool]  # a kind of server, and whether a shell starts it


def need_node(kind: str) -> None:
    """Skip the running test where Node is needed and not installed."""
    if kind == "cluster" and not HAS_NODE:
        pytest.skip("Node is not installed")


def command(kind: str, fault: str = "", *, wrapped: bool = False) -> str:
    """The command of a server, or of a shell that starts it and waits for it."""
    if kind == "cluster":
        line = f"node '{FOREIGN / 'cluster.mjs'}' {{host}} {{port}} {fault}"
    else:
        line = f"'{sys.executable}' -m tests.fixtures.foreign.{kind} {{host}} {{port}} {fault}"
    return f'sh -c "{line}; exit $?"' if wrapped else line


def judge_in_run(folder: Path, line: str, can: str, *scenarios: ModuleType) -> SuiteRun:
    """Run the suite with these scenarios against a command."""
    options = (f"--proxy-command={line}", f"--proxy-can={can}", f"--proxy-start-timeout={START_S}")
    return run(folder, *options, tests=[FILES[scenario] for scenario in scenarios])


@pytest.fixture(scope="module")
def judge(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Judge a server in this process, by its command, its capabilities and a scenario."""
    recovery()  # pytest collects in this thread
    base, numbers = tmp_path_factory.mktemp("scenarios"), itertools.count()  # threads race for a folder of mktemp

    def judge_command(line: str, can: str, scenario: ModuleType) -> ScenarioResult:
        declared = frozenset({"launch", *can.split(",")})
        target = Target(
            command=split_command(line), tool=(), can=declared, profile="openai", foreign=True, start_s=START_S
        )  # fmt: skip
        return run_scenario(run, scenario, target, base / str(next(numbers)))

    return judge_command


# Below a shell each kind has the same processes and one above; alone, one kind with and one without a supervisor.
HEALTHY = [*((kind, True) for kind in KINDS), ("single", False), ("prefork", False)]
IN_A_RUN = [("single", False), ("prefork", True)]


def ids_of(rows: list[Launch]) -> list[str]:
    """The ids of the parameters."""
    return [f"{kind}-{'in-a-shell' if wrapped else 'alone'}" for kind, wrapped in rows]


@pytest.mark.parametrize(("kind", "wrapped"), IN_A_RUN, ids=ids_of(IN_A_RUN))
def test_a_healthy_server_in_a_run(kind: str, wrapped: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a row
    """A run of the suite passes, and checks of undeclared capabilities are skipped with that reason."""
    can, restarted = declared(kind) if kind in SUPERVISED else ("", set())
    ended = judge_in_run(tmp_path, command(kind, wrapped=wrapped), can, *SCENARIOS)
    passed = ALWAYS | restarted if can else ALWAYS - {"4.1-get-health"}
    assert (ended.status, ended.ids("passed")) == (0, passed), ended.output
    assert ended.ids("failed", "error", "warned", "not_judged") == set(), ended.output
    undeclared = {f"the target does not declare: {word}" for word in ("health", "restart")}
    assert undeclared & ended.reasons("skipped") == (set() if can else undeclared)


REST = [row for row in HEALTHY if row not in IN_A_RUN]


def declared(kind: str) -> tuple[str, set[str]]:
    """The capabilities of a healthy server of this kind, and the checks of a restart that it passes."""
    return (WITH_RESTART, RESTARTED) if kind in SUPERVISED else (HEALTH, set())


@pytest.fixture(scope="module")
def healthy(judge: Judge) -> dict[Launch, list[ScenarioResult]]:
    """Each of these servers in every scenario. Most of the time is a wait for servers that no shell stops."""
    rows = [row for row in REST if row[0] != "cluster" or HAS_NODE]

    def judge_row(row: Launch) -> list[ScenarioResult]:
        line, (can, _) = command(row[0], wrapped=row[1]), declared(row[0])
        return [judge(line, can, scenario) for scenario in SCENARIOS]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(rows, pool.map(judge_row, rows), strict=True))


@pytest.mark.parametrize(("kind", "wrapped"), REST, ids=ids_of(REST))
def test_a_healthy_server(kind: str, wrapped: bool, healthy: dict[Launch, list[ScenarioResult]]) -> None:  # noqa: FBT001 -- a row
    """A healthy server of this kind passes the checks that apply to it, also when a shell starts it."""
    need_node(kind)
    ended = healthy[kind, wrapped]
    assert [(each.failed, each.ids("not_judged")) for each in ended] == [({}, set())] * len(SCENARIOS)
    assert set().union(*(each.ids("passed") for each in ended)) == ALWAYS | declared(kind)[1]


@dataclass(frozen=True)
class FaultyReplacement:
    """A fault of a replacement: the check that fails, those that are not judged, and a pattern of the failure."""

    failed: str
    not_judged: frozenset[str]
    found: str


KILLED = r"pid \d+ \(.*\), pid \d+ \(.*\) were killed"
WAITED = r"waited \d\d\.\d s for"  # 10 s, and more on a busy machine
REPLACEMENTS = {
    "never-restarts": FaultyReplacement(
        "1.4-automatic-restart",
        frozenset({"1.5-health-after"}),
        rf"no restart: {KILLED}; {WAITED} a new process in its place; processes of it that are left: \d$",
    ),
    "never-answers": FaultyReplacement(
        "1.5-health-after",
        frozenset(),
        rf"{KILLED}, pid \d+ \(.*\) replaced what was killed; {WAITED} an answer; .* on which it listens: none$",
    ),
    "leaves-port": FaultyReplacement(
        "1.5-health-after",
        frozenset(),
        rf"{KILLED}, pid \d+ \(.*\) replaced what was killed; {WAITED} an answer; .* on which it listens: \d+",
    ),
}


def found_by(ended: SuiteRun, check: str) -> str:
    """What a failed check has found, as the terminal shows it."""
    found = re.search(
        rf"^{re.escape(check)} \(M\) broken: .*\n +expected: .*\n +found: +(.*)$", ended.output, re.MULTILINE
    )
    assert found, ended.output
    return found[1]


# Every kind and every fault, but not all pairs: each row waits for the whole limit.
ROWS = [*(("prefork", fault) for fault in REPLACEMENTS), *zip(SUPERVISED[1:], REPLACEMENTS, strict=True)]
MOVES: Fault = ("single", "moves")


@pytest.fixture(scope="module")
def waiting(judge: Judge) -> dict[Fault, ScenarioResult]:
    """The servers that are waited for until the limit, some at the same time."""
    rows = [row for row in [MOVES, *ROWS] if row[0] != "cluster" or HAS_NODE]

    def judge_row(row: Fault) -> ScenarioResult:
        can, scenario = (HEALTH, CONFLICT) if row == MOVES else (WITH_RESTART, KILL)
        return judge(command(*row), can, scenario)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(rows, pool.map(judge_row, rows), strict=True))


@pytest.mark.parametrize(("kind", "fault"), ROWS)
def test_a_faulty_replacement(kind: str, fault: str, waiting: dict[Fault, ScenarioResult]) -> None:
    """A replacement that never starts, never answers or leaves the port fails one check, which says so."""
    need_node(kind)
    replacement, ended = REPLACEMENTS[fault], waiting[kind, fault]
    assert (set(ended.failed), ended.ids("not_judged")) == ({replacement.failed}, set(replacement.not_judged))
    passed = {"1.1-initial-start", "1.2-health-before"} | RESTARTED - replacement.not_judged - {replacement.failed}
    assert ended.ids("passed") == passed
    assert re.search(replacement.found, ended.failed[replacement.failed])


ABSENT = (
    r"^no restart: pid \d+ \(.*%s.*\) was killed; waited \d+\.\d s for a new process in its place; "
    r"no process is left to wait for$"
)


def test_a_restart_that_is_declared_and_absent(judge: Judge) -> None:
    """A server of one process that declares a restart fails 1.4 only: no process restarts it."""
    ended = judge(command("single", wrapped=True), WITH_RESTART, KILL)
    assert (set(ended.failed), ended.ids("not_judged")) == ({"1.4-automatic-restart"}, {"1.5-health-after"})
    assert re.search(ABSENT % "single", ended.failed["1.4-automatic-restart"])


def test_a_restart_that_is_declared_and_absent_in_a_run(tmp_path: Path) -> None:
    """A run of the suite fails 1.4 only, with the same text; checks after the restart are not judged."""
    ended = judge_in_run(tmp_path, forwarder(), WITH_RESTART, KILL)
    assert (ended.status, ended.ids("failed", "error")) == (1, {"1.4-automatic-restart"}), ended.output
    assert ended.ids("not_judged") == {"1.5-health-after", "1.5.1-forwarded"}
    assert re.search(ABSENT % "forwarder", found_by(ended, "1.4-automatic-restart")), ended.output


def test_a_server_that_needs_its_gateway(judge: Judge) -> None:
    """Each launch of scenario 2 has a gateway, for servers that do not start without one."""
    ended = judge(command("single", "needs-gateway"), HEALTH, CONFLICT)
    assert (ended.ids("passed"), ended.failed) == (CONFLICTED, {})


NOT_JUDGED = {"4.3-openai-format", "4.4-response-time"}
OUT_OF_ORDER = "^status 500, complete: .*out of order"
STILL_RUNS = r"^it still runs after \d\d\.\d s; ports on which it listens: \d+$"
TRIES_AGAIN = r"it still runs after .* it listens on no port, and the last line of its log is 'cannot listen on 127"
FAULTY: dict[str, tuple[ModuleType, set[str], set[str], str]] = {
    "floors-usage": (FUNCTIONAL, {"4.3-openai-format"}, set(), r"^total_tokens \d+, for \d+ characters of text$"),
    "only-health": (FUNCTIONAL, {"4.2-post-chat"}, NOT_JUDGED, OUT_OF_ORDER),
    "says-nothing": (FUNCTIONAL, {"4.2-post-chat"}, NOT_JUDGED, "^no text in 21 answers"),
    "ends-with-0": (CONFLICT, {"2.2-conflict-detected"}, set(), "^exit status 0$"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_of_an_answer_or_a_start(fault: str, judge: Judge) -> None:
    """Each fault fails the one check that is about it; checks that need a passed one are not judged."""
    scenario, failed, not_judged, found = FAULTY[fault]
    ended = judge(command("single", fault), HEALTH, scenario)
    assert (set(ended.failed), ended.ids("not_judged")) == (failed, not_judged)
    (text,) = ended.failed.values()
    assert re.search(found, text)


def test_a_server_that_moves(waiting: dict[Fault, ScenarioResult]) -> None:
    """A server that serves on another port where its own is taken fails 2.2, which names that port."""
    ended = waiting[MOVES]
    assert (set(ended.failed), ended.ids("not_judged")) == ({"2.2-conflict-detected"}, set())
    assert re.search(STILL_RUNS, ended.failed["2.2-conflict-detected"])


@pytest.mark.parametrize(("can", "word"), [(WITH_RESTART, "skipped"), (HEALTH, "failed")], ids=["restart", "none"])
def test_a_supervisor_that_tries_again(judge: Judge, can: str, word: str) -> None:
    """A supervisor that starts its program again and again need not end at a taken port, if it declares restart."""
    ended = judge(f"sh '{FOREIGN / 'loop.sh'}' {command('single')}", can, CONFLICT)
    conflict = ended.outcomes["2.2-conflict-detected"]
    assert (conflict.word, ended.ids("passed")) == (word, CONFLICTED - {"2.2-conflict-detected"})
    found = conflict.failure.found if conflict.failure else conflict.reason
    assert re.search(TRIES_AGAIN, found), found


def test_a_fault_in_a_run(tmp_path: Path) -> None:
    """A run of the suite fails the check of a fault that begins after some chats; others are not judged."""
    ended = judge_in_run(tmp_path, command("single", "fails-later"), HEALTH, FUNCTIONAL)
    assert (ended.status, ended.ids("failed", "error")) == (1, {"4.2-post-chat"}), ended.output
    assert ended.ids("not_judged") == NOT_JUDGED, ended.output
    assert re.search(OUT_OF_ORDER, found_by(ended, "4.2-post-chat")), ended.output


def test_no_text_after_a_restart(judge: Judge) -> None:
    """A server that answers without text after its restart fails 1.5, even if its health is good."""
    ended = judge(command("prefork", "says-nothing"), WITH_RESTART, KILL)
    assert set(ended.failed) == {"1.5-health-after"}
    assert "no text in status 200" in ended.failed["1.5-health-after"]
