"""The files under deploy/ say what the program knows: names, statuses, times, paths."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lumen_proxy import __version__, config
from lumen_proxy.cli import main as cli
from lumen_proxy.errors import PERMANENT
from tests.unit.guides import GUIDES, ROOT, Guide

DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())
DRAIN_S = config.BY_FIELD["drain_s"].default
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
# Source: Microsoft's Task Scheduler schema, type settingsType; PT0S = no limit.
NO_LIMIT = "PT0S"


def read(name: str) -> str:
    """One of the files."""
    return (DEPLOY / name).read_text("utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_variables_exist(path: Path) -> None:
    """Every setting that is named is one."""
    named = set(re.findall(r"\b(?:LUMEN|PROXY|CLOUD_AI|SLACK)_[A-Z_]+\b", path.read_text("utf-8")))
    assert named <= set(config.BY_VARIABLE)


@pytest.mark.parametrize(
    "path", [path for path in FILES if not path.name.endswith("ignore")], ids=lambda path: path.name
)
def test_the_guides_name_it(path: Path) -> None:
    """Both quick starts name each file of the folder deploy."""
    assert all(f"`deploy/{path.name}`" in guide.text for guide in GUIDES.values())


@pytest.mark.parametrize("unit", ["lumen-proxy.service", "lumen-watch.service"])
def test_systemd_does_not_restart_in_vain(unit: str) -> None:
    """Exactly the permanent statuses prevent a restart; the command is one that the program has."""
    found = re.search(r"^RestartPreventExitStatus=(.*)$", read(unit), re.MULTILINE)
    assert found
    assert {int(word) for word in found[1].split()} == {int(status) for status in PERMANENT}
    command = re.search(r"^ExecStart=\S+/lumen-proxy (.*)$", read(unit), re.MULTILINE)
    assert command
    cli._parser().parse_args(command[1].split())  # noqa: SLF001 - raises for what it does not understand


@pytest.mark.parametrize("guide", GUIDES.values(), ids=GUIDES)
def test_the_guides_name_the_folders_of_the_service(guide: Guide) -> None:
    """A command about the service names the folders that its unit sets, its program, and starts nothing as root."""
    unit = read("lumen-proxy.service")
    program = re.findall(r"^ExecStart=(\S+)", unit, re.MULTILINE)[0]
    lines = [line for _, block in guide.blocks for line in block.splitlines() if line.startswith(f"sudo {program} ")]
    assert len(lines) == 2
    for line in lines:
        words = line.removeprefix(f"sudo {program} ").split()
        cli._parser().parse_args(words)  # noqa: SLF001 - raises for what it does not understand
        given = dict(pairwise(words))
        assert given["--log-dir"] == re.findall(r"LUMEN_LOG_DIR=(\S+)", unit)[0]
        assert given.get("--state-dir", "/var/lib/lumen-proxy") == re.findall(r"LUMEN_STATE_DIR=(\S+)", unit)[0]
        assert words[0] != "diagnose" or "--no-start" in words


def test_there_is_time_to_drain() -> None:
    """Whoever stops the proxy waits longer than it drains."""
    seconds = [r"TimeoutStopSec=(\d+)", r"terminationGracePeriodSeconds: (\d+)", r"docker run .*--stop-timeout (\d+)"]
    text = read("lumen-proxy.service") + read("kubernetes.yaml") + read("Dockerfile")
    assert all(int(re.findall(pattern, text)[0]) > DRAIN_S for pattern in seconds)


def test_nginx_waits_longer_than_the_proxy() -> None:
    """The proxy's own words about a time-out reach the client; a request that it takes, nginx takes."""
    text = read("nginx.conf")
    assert int(re.findall(r"proxy_read_timeout (\d+)s", text)[0]) > config.BY_FIELD["timeout_s"].default
    assert (
        int(re.findall(r"client_max_body_size (\d+)m", text)[0]) * config.MIB
        == config.BY_FIELD["max_body_bytes"].default
    )
    assert "non_idempotent" not in text


def test_kubernetes_asks_the_right_pages_by_an_allowed_name() -> None:
    """Liveness at /health, readiness at /ready; the kubelet's own Host would be refused."""
    probes = re.findall(
        r"(\w+)Probe:\n\s+httpGet: \{path: (/\w+),.*name: Host, value: (\w+)\}", read("kubernetes.yaml")
    )
    health, ready = ("/health", "localhost"), ("/ready", "localhost")
    assert {name: where for name, *where in probes} == {
        "startup": [*health],
        "liveness": [*health],
        "readiness": [*ready],
    }
    assert f"image: lumen-proxy:{__version__}" in read("kubernetes.yaml")


def test_the_windows_task_can_be_registered() -> None:
    """ASCII without a declared encoding; no time limit, no second instance; a command that the program has."""
    text = (DEPLOY / "lumen-proxy.task.xml").read_bytes()
    assert text.isascii()
    assert not text.startswith(b"<?xml")
    root = ET.fromstring(text)  # noqa: S314 - a file of ours
    assert root.tag == f"{TASK}Task"
    wanted = {"ExecutionTimeLimit": NO_LIMIT, "MultipleInstancesPolicy": "IgnoreNew"}
    assert {name: root.findtext(f"{TASK}Settings/{TASK}{name}") for name in wanted} == wanted
    run = root.find(f"{TASK}Actions/{TASK}Exec")
    assert run is not None
    assert (run.findtext(f"{TASK}Command") or "").endswith(r"\.venv\Scripts\lumen-proxy.exe")
    cli._parser().parse_args((run.findtext(f"{TASK}Arguments") or "").split())  # noqa: SLF001 - as above
