"""The steps of the action and of the workflows, run by bash as a runner of GitHub runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from tests.fixtures.nested_pytest import inherited
from tests.fixtures.repository import ROOT
from tests.fixtures.suite_subprocess import RUN_BUDGET_S

pytestmark = pytest.mark.skipif(os.name == "nt" or not shutil.which("bash"), reason="the steps are scripts of bash")

SERVER = f"{sys.executable} -P -m lumen_conformance.examples.forwarder {{host}} {{port}} {{gateway_url}}"
KEY = "plugh-of-the-action"
JUDGE: Final = {
    "COMMAND": "", "URL": "", "MODEL": "", "CONFORMANCE_API_KEY": "", "SELECTION": "contract", "CAPABILITIES": "",
    "BASELINE": "", "MORE": "", "PROFILE": "openai", "OUTPUT": "report",
}  # fmt: skip
RECORDER = """\
#!/bin/sh
printf '%s\\n' "$@" > arguments
printf %s "$CONFORMANCE_API_KEY" > key
exit 1
"""


@dataclass(frozen=True)
class Step:
    """A step of the action, as text."""

    text: str

    @classmethod
    def of(cls, name: str) -> Step:
        """Return the step with this id."""
        steps = re.split(r"^    - ", (ROOT / "action.yml").read_text("utf-8"), flags=re.MULTILINE)
        (found,) = (text for text in steps if re.search(rf"^ +id: {name}$", text, re.MULTILINE))
        return cls(found)

    @property
    def variables(self) -> set[str]:
        """The variables that the action sets for it."""
        found = re.search(r"^      env:.*\n((?:        .*\n)+)", self.text, re.MULTILINE)
        return set(re.findall(r"^ +(\w+):", found[1], re.MULTILINE)) if found else set()

    def run(self, folder: Path, environ: Mapping[str, str]) -> tuple[int, str, dict[str, str]]:
        """Run the script; return its exit status, its output and the outputs of the step."""
        assert self.variables <= set(environ), "the test sets every variable of the step"
        script, outputs = folder / "step.sh", folder / "outputs"
        script.write_text(dedent(self.text.partition("      run: |\n")[2]), "utf-8")
        outputs.touch()
        files = {
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "GITHUB_JOB": "judge",
        }
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]  # as `shell: bash` says
        done = subprocess.run(
            command, cwd=folder, env={**inherited(), **files, **environ}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding="utf-8", timeout=RUN_BUDGET_S, check=False,
        )  # fmt: skip
        lines = outputs.read_text("utf-8").splitlines()
        return done.returncode, done.stdout, dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize(
    ("given", "artifact"),
    [
        ({}, "lumen-conformance-judge-0"),
        ({"JOB_NUMBER": "2"}, "lumen-conformance-judge-2"),
        ({"ARTIFACT": "mine", "JOB_NUMBER": "2"}, "mine"),
    ],
    ids=["alone", "matrix", "named"],
)
def test_the_name_of_the_artifact(tmp_path: Path, given: dict[str, str], artifact: str) -> None:
    """Each job of a matrix has its own artifact."""
    status, output, outputs = Step.of("names").run(
        tmp_path, {"OUTPUT": "my report", "ARTIFACT": "", "JOB_NUMBER": "", **given}
    )
    assert status == 0, output
    assert outputs == {"folder": "my report", "report": "my report/report.html", "artifact": artifact}


@pytest.mark.parametrize("name", ["OUTPUT", "ARTIFACT"])
def test_a_line_end_in_a_name(tmp_path: Path, name: str) -> None:
    """A line end in an input is refused in one line, and sets no output of its own."""
    environ = {"OUTPUT": "a", "ARTIFACT": "b", "JOB_NUMBER": "0", name: "a\nreport=elsewhere"}
    status, output, outputs = Step.of("names").run(tmp_path, environ)
    assert (status, outputs) == (4, {})
    assert output == f"::error::{name} has a line end or a control character: give it on one line\n"


def test_the_arguments_of_the_command(tmp_path: Path) -> None:
    """Inputs become arguments as they are, the key reaches the command by a variable, and the exit status is kept."""
    program = tmp_path / "program"
    program.write_text(RECORDER)
    program.chmod(0o755)
    given = {"COMMAND": "a 'b c' $(touch evil) {port}", "CONFORMANCE_API_KEY": KEY, "CAPABILITIES": "n,tools"}
    given["MORE"] = "--health-path=/ready\n\n--env=GREETING=안녕 $(touch evil)\n"
    status, output, _ = Step.of("run").run(tmp_path, {**JUDGE, **given, "PROGRAM": str(program)})
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert status == 1, output
    assert arguments == [
        "run", "contract", "--output=report", "--junit=report/junit.xml", f"--github-summary={tmp_path / 'summary.md'}",
        "--profile=openai", "-n", "auto", "--command=a 'b c' $(touch evil) {port}", "--can=n,tools",
        "--health-path=/ready", "--env=GREETING=안녕 $(touch evil)",
    ]  # fmt: skip
    assert (tmp_path / "key").read_text() == KEY
    assert not (tmp_path / "evil").exists()


def test_a_server_is_judged(tmp_path: Path) -> None:
    """The step judges a server with the real command: summary, JUnit, report, and the key of the input is accepted."""
    (tmp_path / "temporary").mkdir()
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m lumen_conformance "$@" --only C1.1\n')
    program.chmod(0o755)
    given = {"PROGRAM": str(program), "COMMAND": SERVER, "CONFORMANCE_API_KEY": KEY, "CAPABILITIES": "health,models"}
    environ = {**JUDGE, **given, "PYTEST_DEBUG_TEMPROOT": str(tmp_path / "temporary")}
    status, output, _ = Step.of("run").run(tmp_path, environ)
    assert status == 0, output
    assert json.loads((tmp_path / "report" / "summary.json").read_text("utf-8"))["word"] == "PASSED"
    assert {path.name for path in (tmp_path / "report").iterdir()} >= {"junit.xml", "report.html", "verdicts.jsonl"}
    assert ": PASSED" in (tmp_path / "summary.md").read_text("utf-8")
    assert KEY not in output


def test_linters_are_listed_once() -> None:
    """CI and pre-commit call `make lint`, and name no linter of it themselves."""
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    linters = set(re.findall(r"^\t\$\(BIN\)/([\w-]+)", recipe, re.MULTILINE))
    assert {"ruff", "mypy", "actionlint", "zizmor"} <= linters
    for name in (".github/workflows/ci.yml", ".pre-commit-config.yaml"):
        lines = (ROOT / name).read_text("utf-8").splitlines()
        called = {line.partition(": ")[2] for line in lines if re.search(r"\b(run|entry): ", line)}
        assert "make lint" in called
        assert {each for each in called if each.split()[0] in linters} == set()
