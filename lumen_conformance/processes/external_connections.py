"""Connections of foreign servers to other machines: a note at the end of a run, never a failure.

The sockets of a launch are listed when it is ready and when it is stopped. A connection between these two times is not
listed, nor is a look-up of a name: no note is no proof that there was none.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lumen_conformance.inject.lumen_guard import is_local
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.processes.socket_table import list_sockets
from lumen_conformance.run import Run, run_of

KINDS = ("tcp", "tcp6", "udp", "udp6")


def list_external_addresses(family: Iterable[ProcessRef]) -> frozenset[str]:
    """Return the addresses beyond loopback to which these processes have connected sockets."""
    connected = (each for each in list_sockets(family, KINDS) if each.remote_port and not is_local(each.remote_ip))
    return frozenset(f"{each.remote_ip} port {each.remote_port}" for each in connected)


def record_external_connections(run: Run, family: Iterable[ProcessRef]) -> None:
    """Record the external addresses of these processes for the end of the run."""
    if found := list_external_addresses(family):
        with (run.folder / f"outside-{run.worker}.txt").open("a", encoding="utf-8") as file:
            file.writelines(f"{address}\n" for address in sorted(found))


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the addresses, each once."""
    files = run_of(config).folder.glob("outside-*.txt")
    found = sorted({line for file in files for line in file.read_text("utf-8").splitlines()})
    if found:
        terminalreporter.section("the target was connected beyond this machine")
        terminalreporter.line(f"seen when it was ready or stopped: {'; '.join(found)}")
