"""The commands of section 2 of both guides, run in a shell."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping

import pytest

from lumen_conformance.processes.child_process import ChildProcess
from tests.operations.conftest import Desk
from tests.unit.guides import GUIDES, Guide

STEPS_S = 90.0  # six commands, each half a second here
needs_a_shell = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="the column of bash, with curl"
)
ROW_OR_BLOCK = re.compile(r"(?ms)^```sh\n(?P<block>.*?)^```$|^\|[^|\n]*\| `(?P<cell>[^`]+)` \| `[^`]+` \|$")
NO_NETWORK = "lumen-proxy start --sandbox"


def steps(text: str) -> list[str]:
    """The commands of a section, in their order."""
    return [found["block"] or found["cell"] for found in ROW_OR_BLOCK.finditer(text)]


def run_all(desk: Desk, commands: list[str], env: Mapping[str, str | None]) -> ChildProcess:
    """Run the commands up to the first that fails; only the program and the port are replaced."""
    launch, folder = desk.launch, desk.launch.next_folder()
    script = f'lumen-proxy() {{ "{sys.executable}" -m lumen_proxy "$@"; }}\nset -ex\n' + "\n".join(commands)
    script = script.replace("localhost:8080", f"localhost:{desk.port}").replace("curl ", "curl --fail --silent ")
    command = ["bash", "-c", script]
    child = launch.keep(ChildProcess(launch.run_tags, "guide", command, desk.environ(env), folder))
    assert child.wait_exit(STEPS_S) == 0, child.log_tails()
    return child


def answer_in(child: ChildProcess) -> str:
    """The answer in the output."""
    shown = child.stdout.read_text("utf-8")
    answer, _ = json.JSONDecoder().raw_decode(shown[shown.index('{"id"') :])
    return str(answer["choices"][0]["message"]["content"])


@needs_a_shell
@pytest.mark.parametrize("guide", GUIDES.values(), ids=GUIDES)
def test_by_hand(desk: Desk, guide: Guide) -> None:
    """The commands of section 2.3 work as written."""
    commands = steps(guide.section("2.3"))
    assert [commands[0], commands[-1]] == ["lumen-proxy start", "lumen-proxy stop"]
    child = run_all(desk, commands, {})
    assert "안녕하세요" in answer_in(child)
    assert desk.run("status").exit_status == 69


@needs_a_shell
@pytest.mark.parametrize("guide", GUIDES.values(), ids=GUIDES)
def test_without_a_network(desk: Desk, guide: Guide) -> None:
    """After the advised start in sandbox mode, 2.1 and 2.3 work as written and call no cloud address."""
    assert NO_NETWORK in guide.section("2.")
    commands = [NO_NETWORK, *(step for number in ("2.1", "2.3") for step in steps(guide.section(number)))]
    nowhere = {"LUMEN_GATEWAY_URL": "http://127.0.0.1:9", "CLOUD_AI_URL": "http://127.0.0.1:9/chat"}
    assert answer_in(run_all(desk, commands, nowhere))
    assert not desk.gateway.calls
    assert not desk.cloud_ai.calls
