"""Foreign targets: the suite judges any launched command, and the check of a fault fails."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import read_page
from tests.fixtures.suite_subprocess import SuiteRun, forwarder, run

AREAS = ("tests/contract/test_e_stream.py", "tests/contract/test_f_http.py", "tests/contract/test_f_late.py",
         "tests/contract/test_g_forwarding.py", "tests/contract/test_h_connections.py",
         "tests/contract/test_f_errors.py", "tests/contract/test_h_models.py",
         "tests/contract/test_h_requests.py")  # fmt: skip
SOME = AREAS[1:4]  # a hundred checks: nothing is asked where the target is never ready
CAN = "--proxy-can=models,tools,n"


def judged(folder: Path, fault: str, *chosen: str, tests: Iterable[str] = AREAS) -> SuiteRun:
    """Judge the example server with this fault, in the modules where it fails."""
    return run(folder, f"--proxy-command={forwarder(fault)}", CAN, *chosen, tests=tests)


# Fault → checks that fail, checks of tier S that are reported, which are asked, where. `test_targets_guide` judges the
# correct server, and `own-404` by all of its file.
FAULTS: dict[str, tuple[set[str], set[str], str, tuple[str, ...]]] = {
    "buffers": (set(), {"E9"}, "E1 or E9", AREAS[:1]),
    "drops-retry-after": (set(), {"G8-forwarded-retry-after"}, "G8", AREAS[3:4]),
    "says-stop": ({"F5.3"}, {"F5.2"}, "F5", AREAS[2:3]),
    "own-404": ({"F1.2"}, {"H1-slash-chat"}, "F1 or slash", AREAS[4:]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, tmp_path: Path) -> None:
    """Each fault fails its own checks; a fault of tier S is reported, and the run passes."""
    failed, reported, which, where = FAULTS[fault]
    ended = judged(tmp_path, fault, "-k", which, tests=where)
    assert (ended.ids("failed", "error"), ended.ids("warned")) == (failed, reported), ended.output
    assert ended.status == bool(failed), ended.output
    shape = r"[\w.-]+ \([MS]\) broken(, by \S+)?: .*; found ."
    assert [why for why in ended.reasons("failed") | ended.reasons("warned") if not re.match(shape, why)] == []


def test_strict_is_reported_never_red(tmp_path: Path) -> None:
    """A check of tier S is reported for a foreign target, and the run passes."""
    ended = run(
        tmp_path, f"--proxy-command={forwarder('no-request-id')}", "-k", "test_request_id", "-m", "contract",
        tests=("tests/contract/test_f_errors.py",),
    )  # fmt: skip
    assert (ended.status, ended.ids("warned"), ended.ids("failed")) == (0, {"F8"}, set()), ended.output


def test_strict_is_red_in_our_own_profile(tmp_path: Path) -> None:
    """The same check fails the run of a target with the profile of our own proxy."""
    ended = run(
        tmp_path, f"--proxy-command={forwarder('no-request-id')}", "--proxy-profile=lumen", "-k", "F8 and refusal",
        tests=("tests/contract/test_f_errors.py",),
    )  # fmt: skip
    assert (ended.status, ended.ids("failed")) == (1, {"F8"}), ended.output


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """The run against a server that is declared to need a key and does not check it."""
    can = ("--proxy-can=auth", "--proxy-api-key=k", "-k", "F3-no-key or F3-right-key")
    return run(tmp_path_factory.mktemp("keyless"), f"--proxy-command={forwarder()}", *can, tests=AREAS[1:2])


def test_a_failure_is_reported(keyless: SuiteRun) -> None:
    """A failure has what was expected, what was found, the first bytes, and a command that repeats the request."""
    assert (keyless.status, keyless.ids("failed"), keyless.ids("passed")) == (1, {"F3-no-key"}, {"F3-right-key"})
    message = re.search(
        r"F3-no-key \(M\) broken: .*\n"
        r" +expected: a status from 400 to 499\n +found: +status 200, complete, the text '안녕'\n"
        r" +bytes: +b'\{.*\(status 200, complete\)\n +repeat: +(curl .*)",
        keyless.output,
    )
    assert message, keyless.output
    assert "-X POST" in message[1]
    assert "/v1/chat/completions --data-binary" in message[1]
    assert "uthorization" not in message[1]
    (reason,) = keyless.reasons("failed")
    assert re.search(r"^F3-no-key \(M\) broken: .*; found status 200, complete, the text '안녕'$", reason)
    assert "During handling of the above exception" not in keyless.output


def test_a_long_body_is_kept(tmp_path: Path) -> None:
    """A request that is too long for a command line is a file of evidence, which the command names."""
    named = ("--proxy-profile=lumen", "-k", "exact-413", f"--evidence-dir={tmp_path}")
    ended = run(tmp_path, f"--proxy-command={forwarder()}", *named, tests=AREAS[1:2])
    assert ended.ids("failed") == {"F3-exact-413"}, ended.output
    (body,) = tmp_path.glob("evidence-*/request-*.bin")
    assert body.stat().st_size > 1_048_576
    assert f"--data-binary @{body}" in ended.output
    assert str(body) in [path for each in ended.verdicts for path in each["evidence"]]


def test_a_server_without_its_gateway_fails_checks(tmp_path: Path) -> None:
    """A server that answers without its gateway fails checks; none of them is an ERROR of the suite."""
    tests = [*AREAS[:5], "tests/contract/test_d_sse.py", "tests/contract/test_g_turns.py"]
    ended = run(tmp_path, f"--proxy-command={forwarder('alone')}", CAN, tests=tests)
    assert (ended.status, ended.ids("error")) == (1, set()), ended.output
    assert ended.ids("failed") > {"D1.1", "E1.1", "G1-forwarded-lone"}
    assert re.search(r"expected: +exactly one request to the gateway, POST.*\n +found: +none; status 200", ended.output)
    assert [word for word in ("KeyError", "IndexError", "JSONDecodeError") if word in ended.output] == []


NEVER_READY = {
    "dies": (forwarder("dies"), ["forwarder.py", "exit status 3", "no license found"]),
    "not-there": ("no-such-server-at-all --port {port}", ["no-such-server-at-all", "cannot be launched"]),
}


@pytest.mark.parametrize("name", NEVER_READY)
def test_never_ready_is_one_error(name: str, tmp_path: Path) -> None:
    """A target that never becomes ready is one error with command, end and log; all other tests are skipped."""
    command, texts = NEVER_READY[name]
    ended = run(tmp_path, f"--proxy-command={command}", tests=SOME)
    assert (ended.status, len(ended.ids("error")), ended.ids("failed", "passed")) == (1, 1, set()), ended.output
    assert "the target never became ready:" in ended.output
    assert [word for word in texts if word not in ended.output] == []


def test_never_ready_is_one_error_on_any_number_of_workers(tmp_path: Path) -> None:
    """Parallel workers report it once, too."""
    ended = run(tmp_path, f"--proxy-command={forwarder('dies')}", "-n2", tests=SOME)
    assert (ended.status, len(ended.ids("error"))) == (1, 1), ended.output


# That a server that is not there is told as one that dies, wherever it is needed first, is seen in the scenarios alone.
@pytest.mark.parametrize(("selection", "name"), [("recovery", "dies"), ("recovery", "not-there"), ("smoke", "dies")])
def test_never_ready_is_one_error_of_every_selection(selection: str, name: str, tmp_path: Path) -> None:
    """Stages of a target that never becomes ready do not run: one error, the rest skipped, nothing failed."""
    declared = (f"--proxy-command={NEVER_READY[name][0]}", "--proxy-can=health,restart", "-m", selection)
    ended = run(tmp_path, *declared, tests=("tests/recovery", "tests/contract"))
    assert (ended.status, len(ended.ids("error")), ended.ids("failed")) == (1, 1, set()), ended.output
    assert "the target never became ready:" in ended.output


SCENARIOS = ("tests/recovery/test_01_process_kill.py", "tests/recovery/test_02_port_conflict.py",
             "tests/recovery/test_04_functional.py", "tests/recovery/test_10_stop.py")  # fmt: skip


@pytest.mark.skipif("not hasattr(__import__('os'), 'fork')", reason="this supervisor forks, which Windows cannot")
def test_a_supervised_server_recovers(tmp_path: Path) -> None:
    """A server that replaces its child passes scenarios 1, 2 and 4; checks that need a journal are skipped."""
    ended = run(
        tmp_path, f"--proxy-command={forwarder('forks')}", "--proxy-can=health,restart", tests=SCENARIOS
    )  # fmt: skip
    assert (ended.status, ended.ids("failed", "error")) == (0, set()), ended.output
    assert {"1.5.1-forwarded", "4.1.1-free", "4.2.1-forwarded"} <= ended.ids("passed")
    assert (
        len(ended.ids("passed")) == 17
    )  # 13 of the seventeen, without scenario 3, and 1.3.1-reaped beside these three
    journal = "journal (only our own proxy has it)"
    undeclared = {f"the target does not declare: {names}" for names in (journal, "drain", f"drain, {journal}")}
    assert ended.reasons("skipped") == undeclared


@pytest.mark.skipif("__import__('os').name == 'nt'", reason="this launcher is a line of sh")
def test_who_never_starts_respects_no_port(tmp_path: Path) -> None:
    """A server that was ready once, and then fails at every start, has not detected a conflict."""
    once = tmp_path / "once"
    command = f'sh -c "test -e {once} && exit 3; touch {once}; exec {forwarder()}"'
    ended = run(tmp_path, f"--proxy-command={command}", tests=SCENARIOS[1:2])
    assert (ended.status, ended.ids("failed")) == (1, {"2.4-normal-start"}), ended.output
    assert ended.ids("not_judged") == {"2.2-conflict-detected"}


KNOWN = "F1.2  upstream issue 17: another shape of errors\n\n# a remark\n"


def test_a_known_failure_is_not_red(tmp_path: Path) -> None:
    """A failure in the baseline is counted apart and reported with its reason, and the run passes."""
    (tmp_path / "known.txt").write_text(KNOWN, "utf-8")
    ended = run(
        tmp_path, f"--proxy-command={forwarder('own-404')}", f"--baseline={tmp_path / 'known.txt'}", "-k", "F1.2",
        tests=AREAS[5:6],
    )  # fmt: skip
    assert (ended.status, ended.ids("baselined"), ended.ids("failed")) == (0, {"F1.2"}, set()), ended.output
    assert re.search(r"1 baselined", ended.output)
    assert "issue 17" in read_page(tmp_path / "report.html")


def test_a_stale_baseline_is_red(tmp_path: Path) -> None:
    """A check in the baseline that passes fails the run, with the line to remove."""
    (tmp_path / "known.txt").write_text(KNOWN, "utf-8")
    ended = run(
        tmp_path, f"--proxy-command={forwarder()}", f"--baseline={tmp_path / 'known.txt'}", "-k", "F1.2",
        tests=AREAS[5:6],
    )  # fmt: skip
    assert (ended.status, ended.ids("failed")) == (1, {"F1.2"}), ended.output
    assert f"{tmp_path / 'known.txt'} lists F1.2" in ended.output


REFUSED = {
    "our-own": ((), ("F1.2",), "is for a foreign target"),
    "unknown": ((f"--proxy-command={forwarder()}",), ("F8-nobody", "Z9"), "no check has the id F8-nobody, Z9"),
    "unknown-in-parallel": ((f"--proxy-command={forwarder()}", "-n1"), ("Z9",), "no check has the id Z9"),
}
# Ids are looked up where all tests are collected: pytest is given their folder, and leaves out those without a check.
WITHOUT_CHECKS = tuple(f"--ignore=tests/{name}" for name in ("unit", "operations", "matrix", "mutants"))


@pytest.mark.parametrize("name", REFUSED)
def test_a_baseline_that_cannot_be_meant(name: str, tmp_path: Path) -> None:
    """A baseline for our own proxy, or with an unknown id, is a usage error in one line."""
    options, listed, texts = REFUSED[name]
    lines = [f"{check_id} some reason\n" for check_id in (*listed, "1.3-forced-kill")]
    (tmp_path / "known.txt").write_text("".join(lines), "utf-8")
    chosen = ("-m", "contract", "-k", "F8", f"--baseline={tmp_path / 'known.txt'}", *WITHOUT_CHECKS)
    ended = run(tmp_path, *chosen, *options, tests=["tests"])
    assert (ended.status, texts in ended.output, ended.ids("passed")) == (4, True, set()), ended.output


@pytest.mark.parametrize("where", ["", "file/below"], ids=["folder", "below-a-file"])
def test_verdicts_that_cannot_be_written(where: str, tmp_path: Path) -> None:
    """A file of verdicts that cannot be written is a usage error before anything runs."""
    (tmp_path / "file").touch()
    ended = run(tmp_path, f"--verdicts={tmp_path / where}", "-k", "F8", tests=AREAS[:1])
    assert (ended.status, "--verdicts=" in ended.output, "Traceback" in ended.output) == (4, True, False), ended.output
