"""A command without a network reaches loopback and nothing else; where that is impossible, one line says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.fixtures import network_namespace
from tests.fixtures.network_namespace import isolate_command

REPORT = """
import json, os, socket
names = [name for _, name in socket.if_nameindex()]
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname(), timeout=5).close()
print(json.dumps([names, os.getuid() if hasattr(os, "getuid") else 0, os.getpid()]))
"""


def ran(command: list[str]) -> tuple[subprocess.Popen[str], str, str]:
    """Return the process, its output and its errors."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    out, err = process.communicate(timeout=60)
    return process, out, err


def test_a_command_has_loopback_only() -> None:
    """It has one interface, which works, and the user and the PID that it would have without isolation."""
    if reason := network_namespace.refusal_of_command():
        pytest.skip(reason)
    process, out, _ = ran(isolate_command([sys.executable, "-c", REPORT]))
    assert json.loads(out) == [["lo"], os.getuid(), process.pid]


def test_exit_status_is_that_of_the_command() -> None:
    """The caller gets the end of the command itself."""
    assert ran(isolate_command([sys.executable, "-c", "raise SystemExit(7)"]))[0].returncode == 7


REFUSED = "from tests.fixtures import network_namespace as n; n.refusal = lambda: 'no right to'; n.main({command!r})"


@pytest.mark.skipif(os.name == "nt", reason="there a process does not become another")
def test_a_refusal_is_said() -> None:
    """Where the system does not allow it, the command runs all the same, after one line with the reason."""
    code = REFUSED.format(command=[sys.executable, "-c", "print('ran')"])
    _, out, err = ran([sys.executable, "-c", code])
    assert (out, err) == ("ran\n", "not off the network: no right to; the command runs with it\n")


def test_other_systems_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """On systems other than Linux the command stays unchanged."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert network_namespace.refusal() == "network namespaces are there on Linux only"


def test_no_command_is_an_error() -> None:
    """A missing command is an error."""
    process, _, err = ran(isolate_command([]))
    assert (process.returncode, "give the command" in err) == (1, True)
