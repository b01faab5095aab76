"""Scenarios 1, 2 and 4 against servers of several kinds: healthy ones pass, and each fault fails exactly its checks.

Some servers are judged by a nested run of the suite, the others in this process, which takes half the time.
"""

from __future__ import annotations

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

from lumen_conformance.run import Run as OfSuite
from lumen_conformance.targets.parsers import split_command
from lumen_conformance.targets.target import Target
from tests.fixtures.suite_subprocess import SuiteRun, forwarder, run
from tests.recovery import test_01_process_kill, test_02_port_conflict, test_04_functional
from tests.unit.conformance.scenarios import JudgedScenario, judge

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these servers fork or share a socket, which Windows cannot")

FOREIGN = Path(__file__).parents[2] / "fixtures" / "foreign"
KILL, CONFLICT, WORK = SCENARIOS = (test_01_process_kill, test_02_port_conflict, test_04_functional)
FILES = {scenario: f"tests/recovery/{scenario.__name__.rpartition('.')[2]}.py" for scenario in SCENARIOS}
RESTARTED = {"1.3-forced-kill", "1.3.reaped", "1.4-automatic-restart", "1.5-health-after"}
CONFLICTED = {"2.1-dummy-occupies-port", "2.2-conflict-detected", "2.3-dummy-gone-port-free", "2.4-normal-start"}
WORKED = {"4.1-get-health", "4.2-post-chat", "4.3-openai-format", "4.4-response-time"}
ALWAYS = {"1.1-initial-start", "1.2-health-before"} | CONFLICTED | WORKED
WITH_RESTART, WITHOUT = "health,restart", "health"
# A sick replacement is waited for that long. A start takes 0.2 to 1 s here; ten times that for a busy machine.
START_S = 10

AT_ONCE = 4  # so many wait at the same time; more would make each other's starts slow
HAS_NODE = bool(shutil.which("node"))
SUPERVISED = ("prefork", "spawned", "reuseport", "cluster")
KINDS = (*SUPERVISED, "single")

JudgedHere = Callable[[str, str, ModuleType], JudgedScenario]
Fault = tuple[str, str]  # a kind of server, and its fault
Wrapping = tuple[str, bool]  # a kind of server, and whether a shell is above it


def need_node(kind: str) -> None:
    """Skip the running test where its server cannot run."""
    if kind == "cluster" and not HAS_NODE:
        pytest.skip("Node is not installed")


def command(kind: str, fault: str = "", *, wrapped: bool = False) -> str:
    """Return the command of one of the servers, or of a shell that starts it and waits for it."""
    if kind == "cluster":
        command_words = f"node '{FOREIGN / 'cluster.mjs'}' {{host}} {{port}} {fault}"
    else:
        command_words = f"'{sys.executable}' -m tests.fixtures.foreign.{kind} {{host}} {{port}} {fault}"
    return f'sh -c "{command_words}; exit $?"' if wrapped else command_words


def judged(folder: Path, command_words: str, can: str, *scenarios: ModuleType) -> SuiteRun:
    """Run these scenarios in a nested run of the suite."""
    options = (f"--proxy-command={command_words}", f"--proxy-can={can}", f"--proxy-start-timeout={START_S}")
    return run(folder, *options, tests=[FILES[scenario] for scenario in scenarios])


@pytest.fixture(scope="module")
def judged_here(run: OfSuite, tmp_path_factory: pytest.TempPathFactory) -> JudgedHere:
    """Judge a server in this process."""

    def judge_here(command_words: str, can: str, scenario: ModuleType) -> JudgedScenario:
        declared = frozenset({"launch", *can.split(",")})
        target = Target(
            command=split_command(command_words), tool=(), can=declared, profile="openai", foreign=True, start_s=START_S
        )  # fmt: skip
        return judge(run, scenario, target, tmp_path_factory.mktemp("judged"))

    return judge_here


# Below a shell each kind has all that it has alone, and a process above it; alone, a listener and a supervisor do.
HEALTHY = [*((kind, True) for kind in KINDS), ("single", False), ("prefork", False)]
IN_A_RUN = [("single", False), ("prefork", True)]


def named(rows: list[tuple[str, bool]]) -> list[str]:
    """Return the names of such rows."""
    return [f"{kind}-{'in-a-shell' if wrapped else 'alone'}" for kind, wrapped in rows]


@pytest.mark.parametrize(("kind", "wrapped"), IN_A_RUN, ids=named(IN_A_RUN))
def test_a_healthy_server_in_a_run(kind: str, wrapped: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a row
    """A run of the suite passes, and checks of capabilities that the server does not declare are skipped."""
    can, restarted = declared(kind) if kind in SUPERVISED else ("", set())
    ended = judged(tmp_path, command(kind, wrapped=wrapped), can, *SCENARIOS)
    passed = ALWAYS | restarted if can else ALWAYS - {"4.1-get-health"}
    assert (ended.status, ended.ids("passed")) == (0, passed), ended.output
    assert ended.ids("failed", "error", "warned", "not_judged") == set(), ended.output
    undeclared = {f"the target does not declare: {word}" for word in ("health", "restart")}
    assert undeclared & ended.reasons("skipped") == (set() if can else undeclared)


REST = [row for row in HEALTHY if row not in IN_A_RUN]


def declared(kind: str) -> tuple[str, set[str]]:
    """What a healthy server of this kind can do, and the checks of a restart that it passes."""
    return (WITH_RESTART, RESTARTED) if kind in SUPERVISED else (WITHOUT, set())


@pytest.fixture(scope="module")
def healthy(judged_here: JudgedHere) -> dict[Wrapping, list[JudgedScenario]]:
    """Each of these servers in every scenario; most of the time is a wait for a server that a shell does not stop."""
    rows = [row for row in REST if row[0] != "cluster" or HAS_NODE]

    def judge_row(row: Wrapping) -> list[JudgedScenario]:
        command_words, (can, _) = command(row[0], wrapped=row[1]), declared(row[0])
        return [judged_here(command_words, can, scenario) for scenario in SCENARIOS]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(rows, pool.map(judge_row, rows), strict=True))


@pytest.mark.parametrize(("kind", "wrapped"), REST, ids=named(REST))
def test_a_healthy_server(kind: str, wrapped: bool, healthy: dict[Wrapping, list[JudgedScenario]]) -> None:  # noqa: FBT001 -- a row
    """A healthy server of this kind passes all that it declares, also below a shell that only waits for it."""
    need_node(kind)
    ended = healthy[kind, wrapped]
    assert [(each.failed, each.not_judged) for each in ended] == [({}, set())] * len(SCENARIOS)
    assert set().union(*(each.passed for each in ended)) == ALWAYS | declared(kind)[1]


@dataclass(frozen=True)
class Sick:
    """A fault of a replacement: the check that fails, those that are not judged, and the text of the failure."""

    red: str
    not_judged: frozenset[str]
    found: str


KILLED = r"pid \d+ \(.*\), pid \d+ \(.*\) were killed"
WAITED = r"waited \d\d\.\d s for"  # 10 s, and more on a busy machine
SICK = {
    "never-restarts": Sick(
        "1.4-automatic-restart",
        frozenset({"1.5-health-after"}),
        rf"no restart: {KILLED}; {WAITED} a new process in its place; processes of it that are left: \d$",
    ),
    "never-answers": Sick(
        "1.5-health-after",
        frozenset(),
        rf"{KILLED}, pid \d+ \(.*\) replaced what was killed; {WAITED} an answer; .* on which it listens: none$",
    ),
    "leaves-port": Sick(
        "1.5-health-after",
        frozenset(),
        rf"{KILLED}, pid \d+ \(.*\) replaced what was killed; {WAITED} an answer; .* on which it listens: \d+",
    ),
}


def found_by(ended: SuiteRun, check: str) -> str:
    """Return what a failed check has found, as the terminal shows it."""
    message = re.search(
        rf"^{re.escape(check)} \(M\) broken: .*\n +expected: .*\n +found: +(.*)$", ended.output, re.MULTILINE
    )
    assert message, ended.output
    return message[1]


# Every kind and every fault; each row waits for the whole limit, so not all of the pairs.
ROWS = [*(("prefork", fault) for fault in SICK), *zip(SUPERVISED[1:], SICK, strict=True)]
MOVES: Fault = ("single", "moves")


@pytest.fixture(scope="module")
def waiting(judged_here: JudgedHere) -> dict[Fault, JudgedScenario]:
    """Each server that is awaited until the limit, all at the same time."""
    rows = [row for row in [MOVES, *ROWS] if row[0] != "cluster" or HAS_NODE]

    def judge_row(row: Fault) -> JudgedScenario:
        can, scenario = (WITHOUT, CONFLICT) if row == MOVES else (WITH_RESTART, KILL)
        return judged_here(command(*row), can, scenario)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(rows, pool.map(judge_row, rows), strict=True))


@pytest.mark.parametrize(("kind", "fault"), ROWS)
def test_a_sick_replacement(kind: str, fault: str, waiting: dict[Fault, JudgedScenario]) -> None:
    """A replacement that never comes, never answers or leaves the port fails one check, with its reason."""
    need_node(kind)
    sick, ended = SICK[fault], waiting[kind, fault]
    assert (set(ended.failed), ended.not_judged) == ({sick.red}, set(sick.not_judged))
    assert ended.passed == {"1.1-initial-start", "1.2-health-before"} | RESTARTED - sick.not_judged - {sick.red}
    assert re.search(sick.found, ended.failed[sick.red])


ABSENT = (
    r"^no restart: pid \d+ \(.*%s.*\) was killed; waited \d+\.\d s for a new process in its place; "
    r"no process of it is left$"
)


def test_a_restart_that_is_declared_and_absent(judged_here: JudgedHere) -> None:
    """A server of one process in a shell that declares a restart fails in 1.4 alone, without a restart."""
    ended = judged_here(command("single", wrapped=True), WITH_RESTART, KILL)
    assert (set(ended.failed), ended.not_judged) == ({"1.4-automatic-restart"}, {"1.5-health-after"})
    assert re.search(ABSENT % "single", ended.failed["1.4-automatic-restart"])


def test_a_restart_that_is_declared_and_absent_in_a_run(tmp_path: Path) -> None:
    """A run of the suite fails in 1.4 alone, with the same text; what would follow the restart is not judged."""
    ended = judged(tmp_path, forwarder(), WITH_RESTART, KILL)
    assert (ended.status, ended.ids("failed", "error")) == (1, {"1.4-automatic-restart"}), ended.output
    assert ended.ids("not_judged") == {"1.5-health-after", "1.5.forwarded"}
    assert re.search(ABSENT % "forwarder", found_by(ended, "1.4-automatic-restart")), ended.output


def test_a_server_that_needs_its_gateway(judged_here: JudgedHere) -> None:
    """A server that does not start without its gateway starts with it at each launch of scenario 2."""
    ended = judged_here(command("single", "needs-gateway"), WITHOUT, CONFLICT)
    assert (ended.passed, ended.failed) == (CONFLICTED, {})


HIDDEN = {"4.3-openai-format", "4.4-response-time"}
OUT_OF_ORDER = "^status 500, complete: .*out of order"
STILL_RUNS = r"^it still runs after \d\d\.\d s; ports on which it listens: \d+$"
FAULTY: dict[str, tuple[ModuleType, set[str], set[str], str]] = {
    "floors-usage": (WORK, {"4.3-openai-format"}, set(), r"^total_tokens \d+, for \d+ characters of text$"),
    "only-health": (WORK, {"4.2-post-chat"}, HIDDEN, OUT_OF_ORDER),
    "says-nothing": (WORK, {"4.2-post-chat"}, HIDDEN, "^no text in 21 answers"),
    "ends-with-0": (CONFLICT, {"2.2-conflict-detected"}, set(), "^exit status 0$"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_of_an_answer_or_a_start(fault: str, judged_here: JudgedHere) -> None:
    """Each fault fails the one check that claims the opposite, and what it hides is not judged."""
    scenario, red, not_judged, found = FAULTY[fault]
    ended = judged_here(command("single", fault), WITHOUT, scenario)
    assert (set(ended.failed), ended.not_judged) == (red, not_judged)
    (message,) = ended.failed.values()
    assert re.search(found, message)


def test_a_server_that_moves(waiting: dict[Fault, JudgedScenario]) -> None:
    """A server that serves on another port where its own is taken fails 2.2, which names that port."""
    ended = waiting[MOVES]
    assert (set(ended.failed), ended.not_judged) == ({"2.2-conflict-detected"}, set())
    assert re.search(STILL_RUNS, ended.failed["2.2-conflict-detected"])


def test_a_fault_in_a_run(tmp_path: Path) -> None:
    """A run fails in the check of a fault that begins after some chats, and what that hides is not judged."""
    ended = judged(tmp_path, command("single", "fails-later"), WITHOUT, WORK)
    assert (ended.status, ended.ids("failed", "error")) == (1, {"4.2-post-chat"}), ended.output
    assert ended.ids("not_judged") == HIDDEN, ended.output
    assert re.search(OUT_OF_ORDER, found_by(ended, "4.2-post-chat")), ended.output


def test_the_same_without_a_text_after_a_restart(judged_here: JudgedHere) -> None:
    """A server whose answers have no text after its restart fails 1.5, whatever its health is."""
    ended = judged_here(command("prefork", "says-nothing"), WITH_RESTART, KILL)
    assert set(ended.failed) == {"1.5-health-after"}
    assert "no text in status 200" in ended.failed["1.5-health-after"]
