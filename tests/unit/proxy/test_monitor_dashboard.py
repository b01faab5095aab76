"""The dashboard without a terminal: its layout and its keys."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

import pytest

from lumen_proxy import config
from lumen_proxy.console import formatting, keyboard
from lumen_proxy.health import diagnosis
from lumen_proxy.health.diagnosis import Diagnosis
from lumen_proxy.health.http_probe import ProbeResult
from lumen_proxy.health.verdicts import ChannelStatus
from lumen_proxy.monitor import layout, watch
from lumen_proxy.monitor.dashboard import Dashboard

SETTINGS = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x", "LUMEN_FALLBACK": "cloud_ai"})
LONG = "한국어로 길게 " * 30
FAILED_REQUEST = (ProbeResult("GET", "http://127.0.0.1/chat", 404, 5.0),)
SIZES = [(80, 24), (200, 60), (120, 10), (40, 12), (40, 24), (20, 5)]


def run_now(work: Callable[[], None]) -> None:
    """Run the work in the foreground."""
    work()


def board(*channels: ChannelStatus) -> Dashboard:
    """A dashboard with one diagnosis."""
    one = Dashboard(SETTINGS, in_background=run_now)
    one.update(Diagnosis(SETTINGS, channels or UP, ()), {channel: [1.0, None, 5_000.0] for channel in CHANNELS})
    return one


CHANNELS = ("proxy", "cloud_ai", "gateway")
UP = tuple(
    ChannelStatus(channel, "up", "running", (ProbeResult("GET", "http://127.0.0.1", 200, 5.0),)) for channel in CHANNELS
)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits(width: int, height: int) -> None:
    """No line is wider than the screen and there are no more lines than the screen has."""
    probes = [
        ChannelStatus(channel, "down", LONG, (ProbeResult("GET", f"http://{LONG}", 404, 9e9),), None, LONG)
        for channel in CHANNELS
    ]
    one = board(*probes)
    one.message = LONG
    screen = one.screen(width, height)
    assert len(screen) == height
    assert max(map(formatting.measure_width, screen)) <= width


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("message", ["", LONG], ids=["quiet", "message"])
@pytest.mark.parametrize("page", [None, ["help"]], ids=["channels", "page"])
def test_the_verdict_is_in_the_first_line(width: int, height: int, page: list[str] | None, message: str) -> None:
    """The verdict is in the first line at each size, with a long message and with a page."""
    one = board(ChannelStatus("proxy", "down", LONG, (), None, LONG), *UP[1:])
    one.page, one.message = page, message
    assert one.screen(width, height)[0].startswith("Verdict: DOWN: Loca")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_channel_is_on_the_screen(width: int, height: int) -> None:
    """State and name of the three channels are shown at each size."""
    screen = "\n".join(
        board(*(ChannelStatus(channel, "down", LONG, (), None, LONG) for channel in CHANNELS)).screen(width, height)
    )
    for name in ("Local p", "Cloud A", "Lumen G"):
        assert re.search(rf"DOWN +{name}", screen)


@pytest.mark.parametrize(("width", "keys"), [(80, "[q] quit"), (40, "q quit"), (20, "q")])
def test_the_keys_are_on_the_screen(width: int, keys: str) -> None:
    """A narrow screen has a shorter menu."""
    assert board().screen(width, 12)[-1].endswith(keys)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_with_colours(monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    """A colour takes no column, and a coloured line is clipped."""
    monkeypatch.setattr(formatting, "has_colour", lambda: True)
    plain = [formatting.COLOUR.sub("", line) for line in board().screen(width, height)]
    assert max(map(formatting.measure_width, plain)) <= width


def test_advice_is_not_clipped() -> None:
    """The advice for three channels that are down fits on a screen of 80 x 24."""
    advice = "set CLOUD_AI_URL to the address that ends in /chat (/api/chat no longer exists), then look"
    call = ProbeResult("GET", "https://ion-api-64076350717.us-central1.run.app/api/chat", 404, 9.0)
    one = board(*(ChannelStatus(channel, "down", "404: wrong path", (call,), None, advice) for channel in CHANNELS))
    text = " ".join(" ".join(one.screen()).split())
    assert text.count(f"next: {advice}") == 3
    assert "Verdict: DOWN: Local proxy, Cloud AI, Lumen Gateway" in text
    assert "~" not in text


def test_the_period_is_shown_with_watch_only() -> None:
    """The heading has the period only if the dashboard refreshes."""
    assert "every" not in board().screen()[0]
    assert "every 5 s" in Dashboard(SETTINGS, period_s=5.0).screen()[0]


def test_every_channel_has_a_word_and_a_curve() -> None:
    """Each channel has a word, a name, a time and a curve."""
    text = "\n".join(board().screen())
    for name in ("Local proxy", "Cloud AI", "Lumen Gateway"):
        assert re.search(rf"UP +{name} +5 ms +\S\S\S", text)
    assert "Verdict: ALL GREEN" in text


def test_a_channel_that_is_switched_off_has_no_curve() -> None:
    """A channel that is switched off has no recorded times."""
    past: dict[str, deque[float | None]] = {}
    watch.record_times(
        past,
        [
            ChannelStatus("cloud_ai", "unset", "not configured"),
            *UP[:1],
            ChannelStatus("gateway", "down", "lost", FAILED_REQUEST),
        ],
    )
    assert past == {"proxy": deque([5.0]), "gateway": deque([None])}
    text = "\n".join(
        layout.all_lines(Diagnosis(SETTINGS, (ChannelStatus("cloud_ai", "unset", "not configured"),), ()), past)
    )
    assert re.search(r"OFF +Cloud AI +-$", text, re.MULTILINE)


def test_watch_and_diagnose_print_no_control_characters() -> None:
    """Texts of channels are printed without control characters."""
    evil = "x\x1b[2J\u202e"
    status = ChannelStatus("gateway", "down", evil, FAILED_REQUEST, None, evil, notes=(evil,))
    found = Diagnosis(SETTINGS, (status,), (evil,))
    lines = [*watch.format_lines(found, [("down", status)], first=True), *diagnosis.format_lines(found)]
    assert any("x?[2J?" in line for line in lines)
    assert [line for line in lines if not line.isprintable()] == []


def test_printed_lines_are_complete() -> None:
    """Without a screen each command is complete and in one line."""
    advice = f"lumen-proxy check --venv {'/long' * 100}"
    note = f"to use the same: lumen-proxy restart --gateway-url http://{'g' * 300}"
    down = ChannelStatus("proxy", "down", f"does not start: {LONG.strip()}", FAILED_REQUEST, None, advice)
    lines = layout.all_lines(Diagnosis(SETTINGS, (down, *UP[1:]), (note,)), {})
    assert lines[0] == "Verdict: DOWN: Local proxy"
    assert sum(line.endswith(f"next: {advice}") for line in lines) == 1
    assert sum(note in line for line in lines) == 1
    assert any(LONG.strip() in line for line in lines)
    assert any(LONG.strip() in line for line in diagnosis.format_lines(Diagnosis(SETTINGS, (down,), ())))


@pytest.mark.parametrize("code", ["\x1b[2J", "\x1b[8m", "\r"])
def test_control_characters_of_others_do_not_reach_the_terminal(code: str) -> None:
    """Control characters in texts of servers are replaced on the screen and in printed lines."""
    one = board(ChannelStatus("proxy", "down", f"says {code}!", (), None, f"do {code}!"), *UP[1:])
    assert one.diagnosis
    for lines in (one.screen(), layout.all_lines(one.diagnosis, {}), [*diagnosis.format_lines(one.diagnosis)]):
        assert code not in "\n".join(lines)
        assert "do ?" in "\n".join(lines)


def test_before_the_first_diagnosis() -> None:
    """Before the first diagnosis the heading says so."""
    assert Dashboard(SETTINGS).screen()[0].startswith("Verdict: probing...")


@pytest.mark.parametrize("supported", [True, False])
def test_colour_needs_escape_sequences(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:  # noqa: FBT001
    """There is no colour if the terminal does not interpret escape sequences."""
    monkeypatch.setattr(formatting, "is_terminal", lambda: True)
    monkeypatch.setattr(keyboard, "enable_escape_sequences", lambda: supported)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert (formatting.paint("UP", "up") != "UP") is supported


def test_the_curve() -> None:
    """The curve has bars, and x for a missing response."""
    assert formatting.draw_curve([0.0, None, 100.0, 9_999.0], 10, 100.0)[1] == "x"
    assert len(formatting.draw_curve(deque([1.0] * 50), 10, 100.0)) == 10
