"""The guide "judge your own server": its commands work, and its options exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.contract.prerequisites import PROFILE_RESPONSIBLE_CHECKS, RESPONSIBLE_CHECKS
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.options import PROXY_OPTIONS
from lumen_conformance.targets.target import CAPABILITIES
from tests.fixtures.nested_pytest import inherited
from tests.fixtures.suite_subprocess import FORWARDER, RUN_BUDGET_S, SuiteRun, run

ROOT = Path(__file__).resolve().parents[3]
PAGES = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "docs" / "guide").glob("*.md"))}
INDEX = (ROOT / "docs" / "judge-your-own-server.md").read_text("utf-8")
GUIDE = "\n".join(
    text for name, text in PAGES.items() if name != "recipes"
)  # tests/operations/test_recipes.py runs these
BLOCKS = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
RUN = "lumen-conformance run "
AS_PYTEST = {f"--{name.removeprefix('--proxy-')}": name for name in PROXY_OPTIONS}
KNOWN = re.search(r"```text\n(.*?)```", PAGES["baseline"], re.DOTALL)
FEW = ("tests/contract/test_e_stream.py",)
AREAS = tuple(
    f"tests/contract/test_{name}.py"
    for name in ("e_stream", "f_errors", "f_http", "f_late", "g_forwarding", "h_connections", "h_models", "h_requests")
)


def command(*texts: str) -> list[str]:
    """Return the one command of the guide that has all these texts, as arguments of pytest."""
    (found,) = [line for line in COMMANDS if line.startswith(RUN) and all(text in line for text in texts)]
    selection, *options = shlex.split(found.removeprefix(RUN))
    return ["-m", selection, *(_ours(AS_PYTEST.get(word, word)) for word in options)]


def _ours(word: str) -> str:
    """Return a command with the interpreter of this environment in the place of `python`."""
    return f"'{sys.executable}' {word.removeprefix('python ')}" if word.startswith("python ") else word


def ran(folder: Path, arguments: list[str], tests: tuple[str, ...] = FEW) -> SuiteRun:
    """Run a command of the guide on a few files: the whole contract would prove nothing more about the guide."""
    return run(folder, *arguments, tests=tests)


def test_names_of_rows() -> None:
    """The guide names the kind of each exchange."""
    names = {*RESPONSIBLE_CHECKS, *(name for profile in PROFILE_RESPONSIBLE_CHECKS.values() for name in profile)}
    table = GUIDE.partition("| name | exchange |\n")[2].partition("\n\n")[0]
    text = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert text == names, sorted(text ^ names)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """The run of the first command, against the correct example server."""
    return ran(tmp_path_factory.mktemp("healthy"), command("contract", "health,models,tools,n"), AREAS)


def test_a_correct_server_is_green(healthy: SuiteRun) -> None:
    """A correct foreign server passes; checks of capabilities that it does not declare are skipped with their names."""
    assert (healthy.status, healthy.ids("failed", "error", "warned")) == (0, set()), healthy.output
    assert len(healthy.ids("passed")) > 100
    assert healthy.reasons("skipped") == {
        "the target does not declare: auth",
        "a request of 1.0 MiB was sent and answered with status 200: it is not too large for this target",
        "not applicable: G11-usage compares the counts with those of the gateway",
        "not applicable: the answer calls a tool",
        "not applicable: the request requires a tool call",
        "not applicable: the stream has one tool call",
    }


def test_what_is_ours_is_left_out(healthy: SuiteRun) -> None:
    """Checks of the profile of our own proxy are not selected."""
    assert not {each for each in healthy.ids("passed", "skipped") if each.startswith(("H5", "G4", "D6", "F3-exact"))}
    assert FORWARDER.stem in healthy.output


def test_our_own_by_command(tmp_path: Path) -> None:
    """Our own proxy passes by command as a foreign server, judged by the profile openai.

    These are the checks that need a capability. `test_by_url` runs the others.
    """
    ours = f"'{sys.executable}' -m lumen_proxy serve --port {{port}}"
    ended = run(tmp_path, "-m", "contract and needs", f"--proxy-command={ours}", "--proxy-can=models,health")
    assert (ended.status, ended.ids("failed", "error")) == (0, set()), ended.output
    assert len(ended.ids("passed")) > 30  # 33 today; the bound leaves room for checks that are removed
    assert "H3-each" in ended.ids("passed")


def test_by_url(tmp_path: Path, launch: Launcher, gateway: ScriptedGateway) -> None:
    """Our own proxy passes by URL with the named model only, within the announced number of calls."""
    proxy = launch(gateway=gateway)
    arguments = [word.replace("127.0.0.1:8081", f"127.0.0.1:{proxy.port}") for word in command("--url")]
    before = len(gateway.chats)
    ended = run(tmp_path, *arguments)
    spent = len(gateway.chats) - before
    said = re.search(r"by URL: at most (\d+) chat calls of lumen-gateway at", ended.output)
    assert (ended.status, ended.ids("failed", "error")) == (0, set()), ended.output
    assert said
    assert 0 < spent <= int(said[1])
    assert {call.json().get("persona") for call in gateway.chats[before:]} == {None}
    assert "many or very large requests: by URL only with --proxy-load" in ended.reasons("skipped")
    assert "the target does not declare: gateway" in ended.reasons("skipped")


def test_by_url_with_nobody_there(tmp_path: Path) -> None:
    """A URL without a server is one error."""
    arguments = [word.replace("127.0.0.1:8081", "127.0.0.1:9") for word in command("--url")]
    ended = ran(tmp_path, arguments)
    assert (ended.status, len(ended.ids("error")), ended.ids("failed", "passed")) == (1, 1, set()), ended.output
    assert "is not ready: not answered: no program listens on this port" in ended.output


def test_a_red_run_and_its_baseline(tmp_path: Path) -> None:
    """The faulty server of the guide fails in the one check that the guide names, and passes with its baseline."""
    errors = ("tests/contract/test_f_errors.py",)
    red = ran(tmp_path / "red", command("own-404", "--output before")[:-2], errors)
    assert (red.status, red.ids("failed", "error")) == (1, {"F1.2"}), red.output
    assert KNOWN
    (tmp_path / "known.txt").write_text(KNOWN[1], "utf-8")
    arguments = [word.replace("known.txt", str(tmp_path / "known.txt")) for word in command("--baseline")]
    green = ran(tmp_path / "green", [*arguments, "-k", "F1.2"], errors)  # the others have just passed
    assert (green.status, green.ids("baselined")) == (0, {"F1.2"}), green.output


@pytest.mark.skipif("not hasattr(__import__('os'), 'fork')", reason="this supervisor forks, which Windows cannot")
def test_recovery(tmp_path: Path) -> None:
    """The recovery command of the guide passes."""
    ended = ran(tmp_path, command("recovery"), ("tests/recovery/test_01_process_kill.py",))
    assert (ended.status, ended.ids("failed", "error")) == (0, set()), ended.output


def test_the_help_tells_what_each_word_means() -> None:
    """The help of --proxy-can has a meaning for each capability, and says which ones only our own proxy has."""
    text = str(PROXY_OPTIONS["--proxy-can"]["help"])
    assert set(re.findall(r"\b([a-z]+): \w", text.partition("commas: ")[2])) == set(CAPABILITIES)
    for word in ("journal", "venv"):
        assert re.search(rf"\b{word}: [^;]*only our own proxy", text)


def test_options_of_the_guide() -> None:
    """The guide names every option about a target, and every capability and no others."""
    assert {name for name in AS_PYTEST if not re.search(rf"{name}\b", GUIDE)} == set()
    table = PAGES["capabilities"].partition("| capability | meaning |\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == set(CAPABILITIES)


def test_the_index_has_every_page() -> None:
    """The index links to each page of the guide, and to no other."""
    assert set(re.findall(r"\]\(guide/([a-z-]+)\.md\)", INDEX)) == set(PAGES)


def test_a_check_of_your_own(tmp_path: Path) -> None:
    """The check of the guide passes in a folder with nothing else, by the command of the guide."""
    (module,) = re.findall(r"```python\n(.*?)```", PAGES["own-check"], re.DOTALL)
    (tmp_path / "test_own.py").write_text(module, "utf-8")
    (line,) = [line for line in COMMANDS if line.startswith("python -m pytest -p lumen_conformance.plugin")]
    arguments = [sys.executable, *(_ours(word) for word in shlex.split(line)[1:])]
    done = subprocess.run(
        arguments,
        cwd=tmp_path,
        env=inherited(),
        capture_output=True,
        encoding="utf-8",
        timeout=RUN_BUDGET_S,
        check=False,
    )
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr
