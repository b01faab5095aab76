"""Scenarios 1, 2 and 4 judge servers of every kind: the healthy pass, and each fault is red in exactly its checks."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.outer import Run, run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these servers fork or share a socket, which Windows cannot")

FOREIGN = Path(__file__).parents[1] / "fixtures" / "foreign"
KILL, CONFLICT, WORK = (
    f"tests/recovery/test_{name}.py" for name in ("01_process_kill", "02_port_conflict", "04_functional")
)
RESTARTED = {"1.3-forced-kill", "1.3.reaped", "1.4-automatic-restart", "1.5-health-after"}
CONFLICTED = {"2.1-dummy-occupies-port", "2.2-conflict-detected", "2.3-dummy-gone-port-free", "2.4-normal-start"}
WORKED = {"4.1-get-health", "4.2-post-chat", "4.3-openai-format", "4.4-response-time"}
ALWAYS = {"1.1-initial-start", "1.2-health-before"} | CONFLICTED | WORKED
WITH_RESTART, WITHOUT = "--proxy-can=health,restart", "--proxy-can=health"
# A sick replacement is waited for that long. A start takes 0.2 to 1 s here; ten times that for a busy machine.
START_S = 10

SUPERVISED = ("prefork", "spawned", "reuseport", "cluster")
KINDS = (*SUPERVISED, "single")


def command(kind: str, fault: str = "", *, wrapped: bool = False) -> str:
    """The command of one of the servers, or of a shell that starts it and waits for it."""
    if kind == "cluster":
        if not shutil.which("node"):
            pytest.skip("Node is not installed")
        words = f"node '{FOREIGN / 'cluster.mjs'}' {{host}} {{port}} {fault}"
    else:
        words = f"'{sys.executable}' -m tests.fixtures.foreign.{kind} {{host}} {{port}} {fault}"
    return f'sh -c "{words}; exit $?"' if wrapped else words


def judged(folder: Path, words: str, can: str, *tests: str) -> Run:
    """What these scenarios come to."""
    return run(folder, f"--proxy-command={words}", can, f"--proxy-start-timeout={START_S}", tests=tests)


# Below a shell each kind has all that it has alone, and a process above it; alone, a listener and a supervisor do.
HEALTHY = [*((kind, True) for kind in KINDS), ("single", False), ("prefork", False)]


@pytest.mark.parametrize(
    ("kind", "wrapped"), HEALTHY, ids=[f"{kind}-{'in-a-shell' if wrapped else 'alone'}" for kind, wrapped in HEALTHY]
)
def test_a_healthy_server(kind: str, wrapped: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a row
    """A healthy server of this kind passes all that it declares, also below a shell that only waits for it."""
    can, restarted = (WITH_RESTART, RESTARTED) if kind in SUPERVISED else (WITHOUT, set())
    ended = judged(tmp_path, command(kind, wrapped=wrapped), can, KILL, CONFLICT, WORK)
    assert (ended.status, ended.ids("passed")) == (0, ALWAYS | restarted), ended.output
    assert ended.ids("failed", "error", "warned", "not_judged") == set(), ended.output


@dataclass(frozen=True)
class Sick:
    """A fault of a replacement: the one check that is red, those that are not judged, and the words of the failure."""

    red: str
    not_judged: frozenset[str]
    found: str


KILLED = r"pid \d+ \(.*\), pid \d+ \(.*\) were killed"
WAITED = r"waited \d\d\.\d s for"  # 10 s, and more on a busy machine
SICK = {
    "never-restarts": Sick(
        "1.4-automatic-restart",
        frozenset({"1.5-health-after"}),
        rf"nobody restarts it: {KILLED}; {WAITED} a new process in its place; processes of it that are left: \d$",
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


def found_by(ended: Run, check: str) -> str:
    """What a red check has found, as the terminal shows it."""
    told = re.search(
        rf"^{re.escape(check)} \(M\) broken: .*\n +expected: .*\n +found: +(.*)$", ended.output, re.MULTILINE
    )
    assert told, ended.output
    return told[1]


# Every kind and every fault; each row waits for the whole limit, so not all of the pairs.
ROWS = [*(("prefork", fault) for fault in SICK), *zip(SUPERVISED[1:], SICK, strict=True)]


@pytest.mark.parametrize(("kind", "fault"), ROWS)
def test_a_sick_replacement(kind: str, fault: str, tmp_path: Path) -> None:
    """A replacement that never comes, never answers or leaves the port is red in one check, in words."""
    sick = SICK[fault]
    ended = judged(tmp_path, command(kind, fault), WITH_RESTART, KILL)
    assert (ended.status, ended.ids("failed", "error")) == (1, {sick.red}), ended.output
    assert ended.ids("not_judged") == sick.not_judged, ended.output
    assert ended.ids("passed") == {"1.1-initial-start", "1.2-health-before"} | RESTARTED - sick.not_judged - {sick.red}
    assert re.search(sick.found, found_by(ended, sick.red)), ended.output


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "in-a-shell"])
def test_a_restart_that_is_declared_and_absent(wrapped: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a row
    """A server of one process that declares a restart is killed, and fails in 1.4 alone, as nobody restarts it."""
    ended = judged(tmp_path, command("single", wrapped=wrapped), WITH_RESTART, KILL)
    assert (ended.status, ended.ids("failed", "error")) == (1, {"1.4-automatic-restart"}), ended.output
    assert ended.ids("not_judged") == {"1.5-health-after"}
    assert re.search(
        r"^nobody restarts it: pid \d+ \(.*single.*\) was killed; waited \d+\.\d s for a new process in its place; "
        r"no process of it is left$",
        found_by(ended, "1.4-automatic-restart"),
    ), ended.output


def test_a_server_that_needs_its_gateway(tmp_path: Path) -> None:
    """A server that does not start without its gateway finds it at each launch of scenario 2."""
    ended = judged(tmp_path, command("single", "needs-gateway"), WITHOUT, CONFLICT)
    assert (ended.status, ended.ids("passed")) == (0, CONFLICTED), ended.output


HIDDEN = {"4.3-openai-format", "4.4-response-time"}
OUT_OF_ORDER = "^status 500, complete: .*out of order"
STILL_RUNS = r"^it still runs after \d\d\.\d s; ports on which it listens: \d+$"
FAULTY: dict[str, tuple[str, set[str], set[str], str]] = {
    "floors-usage": (WORK, {"4.3-openai-format"}, set(), r"^total_tokens \d+, for \d+ characters of text$"),
    "fails-later": (WORK, {"4.2-post-chat"}, HIDDEN, OUT_OF_ORDER),
    "only-health": (WORK, {"4.2-post-chat"}, HIDDEN, OUT_OF_ORDER),
    "says-nothing": (WORK, {"4.2-post-chat"}, HIDDEN, "^no text in 21 answers"),
    "ends-with-0": (CONFLICT, {"2.2-conflict-detected"}, set(), "^exit status 0$"),
    "moves": (CONFLICT, {"2.2-conflict-detected"}, set(), STILL_RUNS),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_of_an_answer_or_a_start(fault: str, tmp_path: Path) -> None:
    """Each fault is red in the one check that claims the contrary, and what it hides is not judged."""
    scenario, red, not_judged, found = FAULTY[fault]
    ended = judged(tmp_path, command("single", fault), WITHOUT, scenario)
    assert (ended.status, ended.ids("failed", "error")) == (1, red), ended.output
    assert ended.ids("not_judged") == not_judged, ended.output
    assert re.search(found, found_by(ended, *red)), ended.output


def test_the_same_without_a_text_after_a_restart(tmp_path: Path) -> None:
    """A server that answers no text after its restart is red in 1.5, whatever it says of its health."""
    ended = judged(tmp_path, command("prefork", "says-nothing"), WITH_RESTART, KILL)
    assert (ended.status, ended.ids("failed", "error")) == (1, {"1.5-health-after"}), ended.output
    assert "no text in status 200" in found_by(ended, "1.5-health-after")
