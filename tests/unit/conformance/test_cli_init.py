"""`lumen-conformance init` writes a workflow and a baseline."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from lumen_conformance.cli import init
from lumen_conformance.cli import main as cli
from tests.fixtures.repository import ROOT

WORKFLOW = Path(".github", "workflows", "conformance.yml")
BASELINE = Path("conformance-baseline.txt")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
INSTALLED = {
    "github": ({"url": "https://github.com/a/b.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}, f"a/b@{COMMIT}"),
    "elsewhere": ({"url": "https://git.example/a/b", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}, init.PLACE),
    "folder": ({"url": "file:///a/b", "dir_info": {}}, init.PLACE),
    "index": (None, init.PLACE),
}


@pytest.mark.parametrize("case", INSTALLED)
def test_init_writes_two_files(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow has the commit that is installed; both files are written once, and a changed one is not replaced."""
    source, action = INSTALLED[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PathDistribution, "read_text", lambda *_: source and json.dumps(source))
    assert cli.main(["init"]) == 0
    text = WORKFLOW.read_text("utf-8")
    assert f"uses: {action}\n" in text
    assert "example.invalid" not in text
    WORKFLOW.write_text("changed", "utf-8")
    assert cli.main(["init"]) == 4
    assert WORKFLOW.read_text("utf-8") == "changed"


def test_an_unchanged_workflow_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`init` names `--action`, and `init --action` replaces what `init` wrote; an error names each changed file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PathDistribution, "read_text", lambda *_: None)
    assert cli.main(["init"]) == 0
    assert "--action" in capsys.readouterr().out
    BASELINE.write_text("F1.2  issue 17\n", "utf-8")  # its lines stay: only the workflow has the action
    assert cli.main(["init", "--action", f"a/b@{COMMIT}"]) == 0
    assert f"uses: a/b@{COMMIT}\n" in WORKFLOW.read_text("utf-8")
    assert BASELINE.read_text("utf-8") == "F1.2  issue 17\n"
    WORKFLOW.write_text("changed", "utf-8")
    assert cli.main(["init", "--action", f"a/b@{COMMIT}"]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_names_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files that somebody else wrote are named together, and none is written."""
    monkeypatch.chdir(tmp_path)
    WORKFLOW.parent.mkdir(parents=True)
    for path in (WORKFLOW, BASELINE):
        path.write_text("theirs", "utf-8")
    assert cli.main(["init"]) == 4
    message = capsys.readouterr().err
    assert [path for path in (WORKFLOW, BASELINE) if str(path) not in message] == []


def test_the_guide_shows_the_workflow() -> None:
    """The guide shows the file that `init` writes."""
    text = (ROOT / "docs" / "guide" / "ci.md").read_text("utf-8")
    assert f"```yaml\n{init.workflow(init.PLACE, init.BASELINE_FILE)}```" in text


def test_init_takes_a_pinned_action(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The action of ``--action`` is written, a version that may change is refused, and actionlint accepts the file."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "--action", "a/b@main"]) == 4
    assert not WORKFLOW.exists()
    assert cli.main(["init", "--action", f"a/b@{COMMIT}", "--baseline", "it's known: #1.txt"]) == 0
    text = WORKFLOW.read_text("utf-8")
    assert [line for line in text.splitlines() if "uses:" in line and not re.search(r"@[0-9a-f]{40}\b", line)] == []
    assert f"uses: a/b@{COMMIT}\n" in text
    ours = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert [action for action in re.findall(r"uses: (actions/.*)", text) if action not in ours] == []
    if (linter := Path(sys.executable).with_name("actionlint")).exists():  # it is in the environment of `make lint`
        done = subprocess.run([linter, WORKFLOW], capture_output=True, encoding="utf-8", timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, "")
