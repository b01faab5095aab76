"""The keys of the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import Mock

import pytest

from lumen_proxy.console import formatting
from lumen_proxy.control.result import ControlResult
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.health import diagnosis
from lumen_proxy.health.alerts import Delivery
from lumen_proxy.monitor import dashboard
from lumen_proxy.monitor.dashboard import HELP, Dashboard
from tests.unit.proxy.test_monitor_dashboard import SIZES, board


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys start, stop after a confirmation, show help and quit."""
    done: list[str] = []

    def act(name: str) -> Callable[..., ControlResult]:
        def called(*_: object) -> ControlResult:
            done.append(name)
            return ControlResult("started", Exit.OK, 8080, f"lumen-proxy: {name} done")

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
    ("error", "text"), [(Fatal("cannot start", Exit.OS), "cannot start"), (ValueError("odd"), "internal error")]
)
def test_an_exception_of_an_action_is_shown(
    monkeypatch: pytest.MonkeyPatch, key: str, error: Exception, text: str
) -> None:
    """The message is the exception, not "starting..."."""
    monkeypatch.setattr(dashboard, "start", Mock(side_effect=error))
    monkeypatch.setattr(dashboard, "stop", Mock(side_effect=error))
    one = board()
    for pressed in key:
        one.press(pressed)
    assert text in one.screen()[-2]


def test_a_failed_action_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the problem of the failed command."""

    def refused(*_: object) -> ControlResult:
        return ControlResult("failed", Exit.PORT_IN_USE, 8080, problems=("in use by nc (pid 7)",))

    monkeypatch.setattr(dashboard, "start", refused)
    one = board()
    one.press("s")
    assert "in use by nc (pid 7)" in one.screen()[-2]


def pages_of(one: Dashboard, width: int, height: int) -> list[list[str]]:
    """All screens of a page."""
    found = [one.screen(width, height)]
    while "space: next" in found[-1][-1]:
        one.press(" ")
        found.append(one.screen(width, height))
    return found


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_page_is_shown_in_parts(monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    """The space bar shows the next part; each word is shown once; then the channels return."""
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


def test_the_help_is_complete() -> None:
    """The last line of the help is on the screen."""
    one = board()
    one.press("h")
    assert "goes down or comes back." in " ".join(" ".join(one.screen()).split())


def test_no_line_of_the_help_is_wrapped() -> None:
    """Each line of the help fits into 80 columns, and the thresholds are named."""
    assert max(map(len, HELP)) <= 80
    assert any("local proxy 0.2 s, 1 s; other channels 2 s, 10 s" in line for line in HELP)


def test_any_other_key_closes_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other key closes a page, which starts at its beginning the next time."""
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
    ("error", "text"), [(Fatal("cannot look", Exit.OS), "cannot look"), (ValueError("odd"), "internal error")]
)
def test_a_failed_diagnosis_is_shown(monkeypatch: pytest.MonkeyPatch, error: Exception, text: str) -> None:
    """The message is the exception, not "diagnosing..."."""

    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(diagnosis, "diagnose", fails)
    one = board()
    one.press("d")
    assert text in one.screen()[-2]


def test_a_failed_alert_is_shown() -> None:
    """The message shows an alert that was not delivered, and none that was."""
    one = board()
    one.show_delivery(Delivery("Slack", ok=True, attempts=1, why="200"))
    assert one.message == ""
    one.show_delivery(Delivery("Slack", ok=False, attempts=1, why="404"))
    assert one.screen()[-2] == "alert not delivered to Slack: 404, after 1 attempts"
