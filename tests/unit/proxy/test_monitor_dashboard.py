"""The dashboard without a terminal: what fits on it, and what keys mean."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from unittest.mock import Mock

import pytest

from lumen_proxy import config
from lumen_proxy.console import formatting, keyboard
from lumen_proxy.control.result import CommandResult
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.health import diagnosis
from lumen_proxy.health.alerts import Delivery
from lumen_proxy.health.diagnosis import Diagnosis
from lumen_proxy.health.http_probe import ProbeResult
from lumen_proxy.health.verdicts import ChannelStatus
from lumen_proxy.monitor import dashboard, layout, watch
from lumen_proxy.monitor.dashboard import HELP, Dashboard

SETTINGS = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x", "LUMEN_FALLBACK": "cloud_ai"})
LONG = "한국어로 길게 " * 30
CALLED = (ProbeResult("GET", "http://127.0.0.1/chat", 404, 5.0),)
SIZES = [(80, 24), (200, 60), (120, 10), (40, 12), (40, 24), (20, 5)]


def at_once(work: Callable[[], None]) -> None:
    """In the foreground."""
    work()


def board(*channels: ChannelStatus) -> Dashboard:
    """A dashboard that has looked once."""
    one = Dashboard(SETTINGS, in_background=at_once)
    one.update(Diagnosis(SETTINGS, channels or UP, ()), {channel: [1.0, None, 5_000.0] for channel in CHANNELS})
    return one


CHANNELS = ("proxy", "cloud_ai", "gateway")
UP = tuple(
    ChannelStatus(channel, "up", "running", (ProbeResult("GET", "http://127.0.0.1", 200, 5.0),)) for channel in CHANNELS
)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits(width: int, height: int) -> None:
    """However much there is to say: no line is wider than the screen, and there are no more lines than it has."""
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
    """At any size, with a long message, and while a page is read."""
    one = board(ChannelStatus("proxy", "down", LONG, (), None, LONG), *UP[1:])
    one.page, one.message = page, message
    assert one.screen(width, height)[0].startswith("Verdict: DOWN: Loca")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_channel_is_on_the_screen(width: int, height: int) -> None:
    """At any size the state and the name of the three channels are shown; details give way first."""
    screen = "\n".join(
        board(*(ChannelStatus(channel, "down", LONG, (), None, LONG) for channel in CHANNELS)).screen(width, height)
    )
    for name in ("Local p", "Cloud A", "Lumen G"):
        assert re.search(rf"DOWN +{name}", screen)


@pytest.mark.parametrize(("width", "keys"), [(80, "[q] quit"), (40, "q quit"), (20, "q")])
def test_the_keys_are_on_the_screen(width: int, keys: str) -> None:
    """A narrow screen has a shorter menu, not a cut one."""
    assert board().screen(width, 12)[-1].endswith(keys)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_with_colours(monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    """A colour takes no column and does not keep a line from being cut."""
    monkeypatch.setattr(formatting, "has_colour", lambda: True)
    plain = [formatting.COLOUR.sub("", line) for line in board().screen(width, height)]
    assert max(map(formatting.measure_width, plain)) <= width


def test_what_is_said_next_is_not_cut() -> None:
    """Three channels that are down, in 80 x 24: every word of every advice is on the screen."""
    advice = "set CLOUD_AI_URL to the address that ends in /chat (the old one in /api/chat is gone), then look"
    call = ProbeResult("GET", "https://ion-api-64076350717.us-central1.run.app/api/chat", 404, 9.0)
    one = board(*(ChannelStatus(channel, "down", "404: wrong path", (call,), None, advice) for channel in CHANNELS))
    words = " ".join(" ".join(one.screen()).split())
    assert words.count(f"next: {advice}") == 3
    assert "Verdict: DOWN: Local proxy, Cloud AI, Lumen Gateway" in words
    assert "~" not in words


def test_one_look_promises_no_other() -> None:
    """The head tells the period of a watch only."""
    assert "every" not in board().screen()[0]
    assert "every 5 s" in Dashboard(SETTINGS, period_s=5.0).screen()[0]


def test_every_channel_has_a_word_and_a_curve() -> None:
    """Light, word, name, time, curve."""
    text = "\n".join(board().screen())
    for name in ("Local proxy", "Cloud AI", "Lumen Gateway"):
        assert re.search(rf"UP +{name} +5 ms +\S\S\S", text)
    assert "Verdict: ALL GREEN" in text


def test_a_channel_that_is_not_asked_has_no_curve() -> None:
    """Not configured is no failed look: no x, and nothing is kept of it."""
    past: dict[str, deque[float | None]] = {}
    watch.record_times(
        past,
        [
            ChannelStatus("cloud_ai", "unset", "not configured"),
            *UP[:1],
            ChannelStatus("gateway", "down", "lost", CALLED),
        ],
    )
    assert past == {"proxy": deque([5.0]), "gateway": deque([None])}
    text = "\n".join(
        layout.all_lines(Diagnosis(SETTINGS, (ChannelStatus("cloud_ai", "unset", "not configured"),), ()), past)
    )
    assert re.search(r"OFF +Cloud AI +-$", text, re.MULTILINE)


def test_no_line_of_a_watch_or_a_diagnosis_controls_the_terminal() -> None:
    """What a channel said and what a note repeats of it is shown without control characters."""
    evil = "x\x1b[2J\u202e"
    status = ChannelStatus("gateway", "down", evil, CALLED, None, evil, notes=(evil,))
    found = Diagnosis(SETTINGS, (status,), (evil,))
    lines = [*watch.format_lines(found, [("down", status)], first=True), *diagnosis.format_lines(found)]
    assert any("x?[2J?" in line for line in lines)
    assert [line for line in lines if not line.isprintable()] == []


def test_one_look_is_not_cut() -> None:
    """What is printed has no screen: every command is whole and in one line."""
    advice = f"lumen-proxy check --venv {'/long' * 100}"
    note = f"to use the same: lumen-proxy restart --gateway-url http://{'g' * 300}"
    down = ChannelStatus("proxy", "down", f"does not start: {LONG.strip()}", CALLED, None, advice)
    lines = layout.all_lines(Diagnosis(SETTINGS, (down, *UP[1:]), (note,)), {})
    assert lines[0] == "Verdict: DOWN: Local proxy"
    assert sum(line.endswith(f"next: {advice}") for line in lines) == 1
    assert sum(note in line for line in lines) == 1
    assert any(LONG.strip() in line for line in lines)
    assert any(LONG.strip() in line for line in diagnosis.format_lines(Diagnosis(SETTINGS, (down,), ())))


@pytest.mark.parametrize("code", ["\x1b[2J", "\x1b[8m", "\r"])
def test_control_characters_of_others_do_not_reach_the_terminal(code: str) -> None:
    """A server, or a module that cannot be imported, decides what a message says; colours are the dashboard's own."""
    one = board(ChannelStatus("proxy", "down", f"says {code}!", (), None, f"do {code}!"), *UP[1:])
    assert one.diagnosis
    for lines in (one.screen(), layout.all_lines(one.diagnosis, {}), [*diagnosis.format_lines(one.diagnosis)]):
        assert code not in "\n".join(lines)
        assert "do ?" in "\n".join(lines)


def test_before_the_first_look() -> None:
    """It says that it is looking."""
    assert Dashboard(SETTINGS).screen()[0].startswith("Verdict: probing...")


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start at once; stop only after a yes; help and back; quit."""
    done: list[str] = []

    def act(name: str) -> Callable[..., CommandResult]:
        def called(*_: object) -> CommandResult:
            done.append(name)
            return CommandResult("started", Exit.OK, 8080, f"lumen-proxy: {name} done")

        return called

    monkeypatch.setattr(dashboard, "start", act("start"))
    monkeypatch.setattr(dashboard, "stop", act("stop"))
    one = board()
    for key in "sxnxYxq":
        one.press(key)
    assert (done, one.is_done) == (["start", "stop"], False)
    one.press("h")
    assert any("this help" in line for line in one.screen())
    one.press("q")
    assert not one.is_done, "any key leaves the help"
    one.press("q")
    assert one.is_done


@pytest.mark.parametrize("key", ["s", "xy"], ids=["start", "stop"])
@pytest.mark.parametrize(
    ("error", "words"), [(Fatal("cannot start", Exit.OS), "cannot start"), (ValueError("odd"), "internal error")]
)
def test_an_action_that_raises_is_told(monkeypatch: pytest.MonkeyPatch, key: str, error: Exception, words: str) -> None:
    """Whatever it raises is in the message; the screen does not stay at "starting..."."""
    monkeypatch.setattr(dashboard, "start", Mock(side_effect=error))
    monkeypatch.setattr(dashboard, "stop", Mock(side_effect=error))
    one = board()
    for pressed in key:
        one.press(pressed)
    assert words in one.screen()[-2]


def test_an_action_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own words, at the bottom."""

    def refused(*_: object) -> CommandResult:
        return CommandResult("failed", Exit.PORT_IN_USE, 8080, problems=("in use by nc (pid 7)",))

    monkeypatch.setattr(dashboard, "start", refused)
    one = board()
    one.press("s")
    assert "in use by nc (pid 7)" in one.screen()[-2]


def pages_of(one: Dashboard, width: int, height: int) -> list[list[str]]:
    """All screens of a page, turned by the space bar."""
    found = [one.screen(width, height)]
    while "space: next" in found[-1][-1]:
        one.press(" ")
        found.append(one.screen(width, height))
    return found


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_page_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    """The space bar turns it; every word is shown once, in order; after the last piece come the channels again."""
    report = [f"{'  ' * (number % 3)}line {number} {'word ' * number}".rstrip() for number in range(30)]
    monkeypatch.setattr(diagnosis, "diagnose", lambda _: None)
    monkeypatch.setattr(diagnosis, "format_lines", lambda _: [*report, "Verdict: ALL GREEN"])
    one = board()
    one.press("d")
    pages = pages_of(one, width, height)
    assert all(len(page) == height for page in pages)
    assert all(formatting.measure_width(line) <= width for page in pages for line in page)
    shown = " ".join(line for page in pages for line in page[1:-1] if line.strip("─")).split()
    assert shown == " ".join([*report, "Verdict: ALL GREEN"]).split()
    one.press(" ")
    assert one.page is None


def test_the_help_is_whole() -> None:
    """Its last words are on the screen."""
    one = board()
    one.press("h")
    assert "goes down or comes back." in " ".join(" ".join(one.screen()).split())


def test_no_line_of_the_help_is_wrapped() -> None:
    """Its two columns stay columns at the usual width, and the times of slow channels are named."""
    assert max(map(len, HELP)) <= 80
    assert any("local proxy 0.2 s, 1 s; other channels 2 s, 10 s" in line for line in HELP)


def test_any_other_key_leaves_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its beginning, too; it begins at its beginning the next time."""
    monkeypatch.setattr(diagnosis, "diagnose", lambda _: None)
    monkeypatch.setattr(diagnosis, "format_lines", lambda _: [f"line {number}" for number in range(50)])
    one = board()
    for keys in ("db", "d \x1b", "d \r\n"):
        for key in keys:
            one.press(key)
        assert one.page is None, keys
    one.press("d")
    assert "line 0" in one.screen()


@pytest.mark.parametrize(
    ("error", "words"), [(Fatal("cannot look", Exit.OS), "cannot look"), (ValueError("odd"), "internal error")]
)
def test_a_diagnosis_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    """It does not say for ever that it is diagnosing."""

    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(diagnosis, "diagnose", fails)
    one = board()
    one.press("d")
    assert words in one.screen()[-2]


def test_an_alert_that_did_not_arrive_is_told() -> None:
    """On the screen, as standard error would be painted over; one that arrived is no news."""
    one = board()
    one.show_delivery(Delivery("Slack", ok=True, attempts=1, why="200"))
    assert one.message == ""
    one.show_delivery(Delivery("Slack", ok=False, attempts=1, why="404"))
    assert one.screen()[-2] == "alert not delivered to Slack: 404, after 1 attempts"


@pytest.mark.parametrize("obeys", [True, False])
def test_colour_is_for_terminals_that_obey(monkeypatch: pytest.MonkeyPatch, obeys: bool) -> None:  # noqa: FBT001
    """An old console of Windows would print the sequences as they are."""
    monkeypatch.setattr(formatting, "is_terminal", lambda: True)
    monkeypatch.setattr(keyboard, "enable_escape_sequences", lambda: obeys)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert (formatting.paint("UP", "up") != "UP") is obeys


def test_the_curve() -> None:
    """From none to full; x where nothing came."""
    assert formatting.draw_curve([0.0, None, 100.0, 9_999.0], 10, 100.0)[1] == "x"
    assert len(formatting.draw_curve(deque([1.0] * 50), 10, 100.0)) == 10
