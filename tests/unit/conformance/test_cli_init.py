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
COMMIT = "0123456789abcdef0123456789abcdef01234567"
INSTALLED = {
    "github": ({"url": "https://github.com/a/b.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}, f"a/b@{COMMIT}"),
    "elsewhere": ({"url": "https://git.example/a/b", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}, init.PLACE),
    "folder": ({"url": "file:///a/b", "dir_info": {}}, init.PLACE),
    "index": (None, init.PLACE),
}


@pytest.mark.parametrize("case", INSTALLED)
def test_init_writes_two_files(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow has the commit that is installed; both files are written once, and none is replaced."""
    source, action = INSTALLED[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PathDistribution, "read_text", lambda *_: source and json.dumps(source))
    assert cli.main(["init"]) == 0
    text = WORKFLOW.read_text("utf-8")
    assert f"uses: {action}\n" in text
    assert "example.invalid" not in text
    WORKFLOW.unlink()
    assert cli.main(["init"]) == 4
    assert not WORKFLOW.exists()


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
