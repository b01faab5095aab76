"""The dashboard: all channels on one screen of any size, refreshed periodically, with keys for common actions."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from lumen_proxy.console import formatting, streams, terminal
from lumen_proxy.control.start import start
from lumen_proxy.control.stop import stop
from lumen_proxy.errors import Fatal
from lumen_proxy.health import diagnosis
from lumen_proxy.health.verdicts import SLOW_MS
from lumen_proxy.monitor import layout, watch
from lumen_proxy.monitor.watch import Monitor

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.control.result import ControlResult
    from lumen_proxy.errors import Exit
    from lumen_proxy.health.alerts import Delivery
    from lumen_proxy.health.diagnosis import Diagnosis

FRAME = 3  # lines: heading and rule above, menu below
HIGH_LINES = 16  # a lower screen has no rule and no empty line for messages
MESSAGE_LINES = 3  # at most
KEY_S = 0.2  # the longest time until a key or a new diagnosis is handled
SLOW = "; ".join(
    f"{name} {warn / 1000:g} s, {alert / 1000:g} s"
    for name, (warn, alert) in (("local proxy", SLOW_MS["proxy"]), ("other channels", SLOW_MS["gateway"]))
)
HELP = (
    "s  start the proxy if it is not running",
    "x  stop the proxy (asks first)",
    "d  diagnose: every address called and what to do next; space: next page",
    "h  this help",
    "q  quit; so does Ctrl-C",
    "",
    "UP      answers                     curve: the last response times",
    "DOWN    does not answer             x: no answer",
    "OFF     switched off, not probed",
    f"slow, very slow from: {SLOW}",
    "",
    "Each refresh is free: GET on the chat addresses, no chat request is sent.",
    "Alerts go to SLACK_WEBHOOK_URL and LUMEN_WEBHOOK_URL",
    "when a channel goes down or comes back.",
)


@dataclass
class Dashboard:
    """The content of the screen and the effect of keys. It does not access the terminal."""

    settings: Settings
    period_s: float | None = None  # None: without refresh
    diagnosis: Diagnosis | None = None
    past: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    probed_at: str = "-"
    message: str = ""
    page: list[str] | None = None  # shown instead of the channels
    page_number: int = 0  # the screen of the page that is shown
    size: tuple[int, int] = terminal.USUAL_SIZE  # of the last screen
    is_confirming_stop: bool = False
    is_done: bool = False
    in_background: Callable[[Callable[[], None]], None] = lambda work: threading.Thread(
        target=work, daemon=True
    ).start()

    def update(self, found: Diagnosis, past: Mapping[str, Sequence[float | None]]) -> None:
        """Show a new diagnosis."""
        self.diagnosis, self.past = found, {channel: list(values) for channel, values in past.items()}
        self.probed_at = datetime.now().astimezone().strftime("%H:%M:%S")

    def press(self, key: str) -> None:
        """Handle a key."""
        if self.is_confirming_stop:
            self.is_confirming_stop, self.message = False, ""
            if key.lower() == "y":
                self._act("stopping", lambda: stop(self.settings))
        elif self.page is not None:
            self._turn(key)
        elif key in {"q", "\x1b", "\x03"}:
            self.is_done = True
        elif key in {"h", "?"}:
            self._open(HELP)
        elif key == "s":
            self._act("starting", lambda: start(self.settings))
        elif key == "x":
            self.is_confirming_stop, self.message = (
                True,
                f"Stop the proxy on port {self.settings.port}? [y] yes, any other key: no",
            )
        elif key == "d":
            self.message = "diagnosing..."
            self.in_background(self._diagnose)

    def show_delivery(self, delivery: Delivery) -> None:
        """Show that an alert was not delivered."""
        if not delivery.ok:
            self.message = watch.describe_failed_delivery(delivery)

    def _open(self, page: Iterable[str]) -> None:
        self.page_number, self.page = 0, list(page)

    def _turn(self, key: str) -> None:
        self.page_number += 1
        if key not in {" ", "\r", "\n"} or self.page_number >= len(self._pages()):
            self.page = None

    def _pages(self) -> list[list[str]]:
        """The page in parts of the size of the last screen."""
        lines = [piece for line in self.page or () for piece in formatting.wrap(line, self.size[0])]
        room = self._room()
        return [lines[at : at + room] for at in range(0, len(lines), room)]

    def _act(self, activity: str, command: Callable[[], ControlResult]) -> None:
        def act() -> None:
            try:
                result = command()
                text = result.said or " ".join(result.problems) or result.did
            except Exception as error:  # noqa: BLE001 - nothing else reports an error of a thread
                text = _describe(error)
            self.message = text.removeprefix(streams.PREFIX)

        self.message = f"{activity}..."
        self.in_background(act)

    def _diagnose(self) -> None:
        try:
            found = diagnosis.diagnose(self.settings)
            self._open(formatting.COLOUR.sub("", line) for line in diagnosis.format_lines(found))
            self.message = ""
        except Exception as error:  # noqa: BLE001 - nothing else reports an error of a thread
            self.message = _describe(error)

    def screen(self, width: int = terminal.USUAL_SIZE[0], height: int = terminal.USUAL_SIZE[1]) -> list[str]:
        """The lines of the screen, the verdict first; at most `height` lines of at most `width` columns."""
        self.size = (width, height)
        message, room = self._message(), self._room()
        body, foot = self._body(room) if self.page is None else self._visible_page()
        heading = layout.format_heading(self.diagnosis, self.probed_at, self.period_s, width)
        rule = [layout.draw_rule(width)] if self._is_high() else []
        lines = [heading, *rule, *body[:room], *[""] * (room - len(body)), *message, foot]
        return [formatting.fit(line, width) for line in lines[:height]]

    def _message(self) -> list[str]:
        most = MESSAGE_LINES if self._is_high() else 1
        return layout.wrap_lines(self.message, self.size[0], most) if self.message or self._is_high() else []

    def _is_high(self) -> bool:
        return self.size[1] >= HIGH_LINES

    def _room(self) -> int:
        """The number of lines between heading and message."""
        frame = FRAME if self._is_high() else FRAME - 1
        return max(self.size[1] - frame - len(self._message()), 1)

    def _visible_page(self) -> tuple[list[str], str]:
        """The visible part of the page, and its menu."""
        pages = self._pages()
        number = min(self.page_number, len(pages) - 1)
        return pages[number], layout.format_page_menu(number + 1, len(pages), self.size[0])

    def _body(self, room: int) -> tuple[list[str], str]:
        """The channels and the menu."""
        width = self.size[0]
        lines = layout.fit_lines(self.diagnosis, self.past, width, room) if self.diagnosis else []
        return lines, layout.format_menu(width)


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, Fatal) else f"internal error: {error!a}; please report it"


def show_once(settings: Settings, *, as_json: bool) -> Exit:
    """Probe once and print the result. No line is clipped."""
    found = diagnosis.probe_once(settings)
    if as_json:
        streams.show(json.dumps(found.as_json()))
        return found.exit_status
    past: dict[str, deque[float | None]] = {}
    watch.record_times(past, found.channels)
    streams.show("\n".join(layout.all_lines(found, past)))
    return found.exit_status


def run(settings: Settings, period_s: float, *, as_json: bool) -> None:
    """Refresh until q or Ctrl-C: on the full screen of a terminal if there is one, else as lines."""
    monitor = Monitor(settings, "dashboard", period_s)
    if not as_json:
        streams.announce(watch.format_announcement(settings, period_s))
    with contextlib.suppress(KeyboardInterrupt), terminal.stop_signals_as_interrupt():
        if as_json or not terminal.is_interactive():
            _print(monitor, as_json=as_json)
        else:
            _interact(Dashboard(settings, period_s), monitor)
    monitor.close()


def _print(monitor: Monitor, *, as_json: bool) -> None:
    for found, _ in monitor.run():
        streams.show(json.dumps(found.as_json()) if as_json else watch.format_summary(found))
        if streams.is_output_lost():
            break


def _interact(board: Dashboard, monitor: Monitor) -> None:
    results: queue.SimpleQueue[Diagnosis | Exception] = queue.SimpleQueue()

    def probe() -> None:
        try:
            for found, _ in monitor.run():
                results.put(found)
        except Exception as error:  # noqa: BLE001 - raised again where the terminal is restored
            results.put(error)

    monitor.sender.on_delivery = board.show_delivery  # the screen covers standard error
    threading.Thread(target=probe, daemon=True).start()
    with terminal.Terminal() as screen:
        while not board.is_done:
            while not results.empty():
                result = results.get()
                if isinstance(result, Exception):
                    raise result
                board.update(result, monitor.past)
            screen.draw(board.screen(*terminal.size()))
            if key := screen.key(KEY_S):
                board.press(key)
    monitor.sender.on_delivery = watch.report_failed_delivery
