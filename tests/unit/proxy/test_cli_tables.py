"""Tables for people."""

from __future__ import annotations

import pytest

from lumen_proxy import config
from lumen_proxy.cli import tables
from lumen_proxy.control.instances import PortStatus

STRANGER = PortStatus(
    "stranger", 80, "http://127.0.0.1:80", owner="a\x1b[31mb (pid 5)", state="taken by another program"
)
RUNNING = PortStatus(
    "running", 8080, "http://127.0.0.1:8080", 42, "abc", 43, 2, 1, 7_501.2, state="running",
    gateway="https://gateway.example", sandbox=False, last_failure="worker 41 ended with signal 9 at 09:29:08",
)  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"), (0.4, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3_600, "1 h 0 min"), (7_501.2, "2 h 5 min"),
        (90_061, "1 d 1 h"),
    ],
)  # fmt: skip
def test_durations_have_two_units_at_most(seconds: float | None, shown: str) -> None:
    """A duration has at most two units; an unknown one is a dash."""
    assert tables.format_duration(seconds) == shown


def test_a_status_has_a_line_for_each_known_field() -> None:
    """`status` has a line for each known field, without control characters."""
    lines = tables.format_status(RUNNING).splitlines()
    assert [line[14:] for line in lines if line.startswith(("uptime", "worker pid"))] == ["2 h 5 min", "43"]
    assert tables.format_status(STRANGER).splitlines() == [
        "port          80",
        "url           http://127.0.0.1:80",
        "state         taken by another program",
        "owner         a?[31mb (pid 5)",
    ]


def test_instances_are_in_columns() -> None:
    """Each column of `ps` is as wide as its longest cell; unknown cells are dashes."""
    heading, first, second = tables.format_instances([STRANGER, RUNNING], config.load({})).splitlines()
    for name in ("STATE", "PID", "GATEWAY", "LAST FAILURE"):
        at = heading.index(name)
        assert first[at - 1] == second[at - 1] == " "
        assert " " not in {first[at], second[at]}
    assert second.endswith("off      worker 41 ended with signal 9 at 09:29:08")
