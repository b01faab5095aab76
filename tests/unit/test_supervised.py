"""The page of supervised servers says what was measured, and a cut is explained by a kill or not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the measurements need descriptors of processes (Linux)"
)


@pytest.fixture(autouse=True)
def path_of_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import each other by this path."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def crash(spawns: int, late: int, *, gave_up_s: float | None = None, listens: bool = True) -> dict[str, Any]:
    """A crash loop of 40 s with so many starts, and so many of them in its second half."""
    status = None if gave_up_s is None else 70
    return {
        "crash_spawns": spawns, "crash_spawns_late": late, "crash_elapsed_s": gave_up_s or 40.0,
        "crash_gave_up_s": gave_up_s, "crash_exit_status": status, "crash_listens": listens,
        "crash_processor_share": None if gave_up_s else 0.1,
    }  # fmt: skip


CRASHES: dict[str, tuple[dict[str, Any], str]] = {
    "gives-up": (crash(4, 1, gave_up_s=1.7), "gives up after 4 starts, 1.7 s, exit status 70"),
    "stops-trying": (crash(4, 0, listens=False), "no start after 4; the supervisor stays, and does not listen"),
    "backs-off": (crash(9, 2), "with back-off: 0.1 starts a second"),
    "goes-on": (crash(40, 20), "continues: 1.0 starts a second"),
    "spins": (crash(400, 200), "busy loop: 10.0 starts a second"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_how_a_crash_loop_ends(name: str) -> None:
    """The page tells a supervisor that gives up from one that goes on, with a back-off, a pause or none."""
    from supervised.page import crash_loop  # noqa: PLC0415 -- see path_of_the_benchmarks

    row, expected = CRASHES[name]
    assert crash_loop(row).startswith(expected)


def test_the_page_is_up_to_date() -> None:
    """The page is made of the figures beside it."""
    from supervised import page  # noqa: PLC0415 -- see path_of_the_benchmarks

    written = "\n".join(page.lines(page.read())) + "\n"
    assert page.PAGE.read_text("utf-8") == written, "say: PYTHONPATH=benchmarks python -m supervised pages"


def test_a_cut_is_explained_by_a_kill_or_not() -> None:
    """A kill explains a cut whose connection was open until the process had ended; it is in flight at the signal."""
    from client_load import LoadQuestion  # noqa: PLC0415 -- see path_of_the_benchmarks
    from kills import Storm  # noqa: PLC0415
    from supervised.launch import Killing  # noqa: PLC0415
    from supervised.servers import SERVERS  # noqa: PLC0415

    storm = Storm(SERVERS[0])
    in_flight = LoadQuestion(0.9, 1.0, 2.01, "cut")
    sent_while_ending = LoadQuestion(2.001, 2.002, 2.01, "cut")
    not_sent_yet = LoadQuestion(1.9, 2.02, 2.03, "cut")
    long_after = LoadQuestion(2.5, 2.6, 2.7, "cut")
    answered = LoadQuestion(1.9, 1.95, 2.2, "answered", 200)
    storm.count([in_flight, sent_while_ending, not_sent_yet, long_after, answered], [Killing(2.0, 2.01, 1)])
    assert (storm.in_flight, storm.ends["cut"], storm.cut_unsent, storm.cut_otherwise) == (2, 4, 1, 1)
