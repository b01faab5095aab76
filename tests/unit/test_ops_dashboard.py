"""The dashboard without a terminal: what fits on it, and what keys mean."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from lumen_proxy import config
from lumen_proxy.errors import Exit
from lumen_proxy.ops import control, marks
from lumen_proxy.ops.asking import Call
from lumen_proxy.ops.dashboard import Dashboard
from lumen_proxy.ops.diagnose import Diagnosis
from lumen_proxy.ops.verdicts import Probe

SETTINGS = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"})
LONG = "한국어로 길게 " * 30
SIZES = [(80, 24), (120, 40), (60, 16)]


def at_once(work: Callable[[], None]) -> None:
    """In the foreground."""
    work()


def board(*probes: Probe) -> Dashboard:
    """A dashboard that has looked once."""
    one = Dashboard(SETTINGS, in_background=at_once)
    default = [Probe(channel, "up", "running", (Call("GET", "http://127.0.0.1", 200, 5.0),)) for channel in CHANNELS]
    one.saw(Diagnosis(SETTINGS, probes or tuple(default), ()), {channel: [1.0, None, 5_000.0] for channel in CHANNELS})
    return one


CHANNELS = ("proxy", "cloud_ai", "gateway")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits(width: int, height: int) -> None:
    """However much there is to say: no line is wider than the screen, and there are no more lines than it has."""
    probes = [
        Probe(channel, "down", LONG, (Call("GET", f"http://{LONG}", 404, 9e9),), None, LONG) for channel in CHANNELS
    ]
    one = board(*probes)
    one.message = LONG
    screen = one.screen(width, height)
    assert len(screen) == height
    assert max(map(marks.columns, screen)) <= width


def test_every_channel_has_a_word_and_a_curve() -> None:
    """Light, word, name, time, curve."""
    text = "\n".join(board().screen())
    for name in ("Local proxy", "Cloud AI", "Lumen Gateway"):
        assert re.search(rf"UP +{name} +5 ms +\S\S\S", text)
    assert "Verdict    ALL GREEN" in text


def test_before_the_first_look() -> None:
    """It says that it is looking."""
    assert "looking..." in Dashboard(SETTINGS).screen()


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start at once; stop only after a yes; help and back; quit."""
    done: list[str] = []

    def act(name: str) -> Callable[..., control.Outcome]:
        def called(*_: object) -> control.Outcome:
            done.append(name)
            return control.Outcome("started", Exit.OK, 8080, f"lumen-proxy: {name} done")

        return called

    monkeypatch.setattr(control, "start", act("start"))
    monkeypatch.setattr(control, "stop", act("stop"))
    one = board()
    for key in "sxnxYxq":
        one.press(key)
    assert (done, one.quit) == (["start", "stop"], False)
    one.press("h")
    assert any("this help" in line for line in one.screen())
    one.press("q")
    assert not one.quit, "any key leaves the help"
    one.press("q")
    assert one.quit


def test_an_action_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own words, at the bottom."""

    def refused(*_: object) -> control.Outcome:
        return control.Outcome("failed", Exit.PORT_IN_USE, 8080, problems=("in use by nc (pid 7)",))

    monkeypatch.setattr(control, "start", refused)
    one = board()
    one.press("s")
    assert "in use by nc (pid 7)" in one.screen()[-2]


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("한글", 4), ("🟢", 2), ("e\u0301", 1)])
def test_columns(text: str, columns: int) -> None:
    """As a terminal counts them."""
    assert marks.columns(text) == columns


def test_clipping_keeps_the_width_and_harms_no_terminal() -> None:
    """Wide letters are not cut in half; control characters do nothing."""
    assert marks.clip("한국어", 5) == "한국~"
    assert marks.clip("\x1b[2Jabc", 20) == "?[2Jabc"


def test_the_curve() -> None:
    """From none to full; x where nothing came."""
    assert marks.curve([0.0, None, 100.0, 9_999.0], 10, 100.0)[1] == "x"
    assert len(marks.curve([1.0] * 50, 10, 100.0)) == 10
