"""All channels on one screen of any size, refreshed every few seconds, with the usual actions a key away."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from lumen_proxy.console import formatting, streams, terminal
from lumen_proxy.control import start_stop, turns
from lumen_proxy.errors import Fatal
from lumen_proxy.health import diagnosis as diagnose
from lumen_proxy.health.verdicts import SLOW_MS
from lumen_proxy.monitor import layout
from lumen_proxy.monitor import watch as watching
from lumen_proxy.monitor.watch import Watch

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.errors import Exit
    from lumen_proxy.health.alerts import Delivery
    from lumen_proxy.health.diagnosis import Diagnosis

FRAME = 3  # lines: head and rule above, menu below
HIGH_LINES = 16  # a lower screen has no rule and no empty line for messages
MESSAGE_LINES = 3  # at most
KEY_S = 0.2  # how long a key or a new look may wait to be seen
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
    "OFF     switched off, not asked",
    f"slow, very slow from: {SLOW}",
    "",
    "Each refresh is free: GET on the chat addresses, no chat request is sent.",
    "Alerts go to SLACK_WEBHOOK_URL and LUMEN_WEBHOOK_URL",
    "when a channel goes down or comes back.",
)


@dataclass
class Dashboard:
    """What is shown and what keys do; it does not use the terminal itself."""

    settings: Settings
    period_s: float | None = None  # None: one look only
    diagnosis: Diagnosis | None = None
    past: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    seen_at: str = "-"
    message: str = ""
    page: list[str] | None = None  # shown instead of the channels
    turned: int = 0  # screens of it that were read
    size: tuple[int, int] = terminal.USUAL_SIZE  # of the last screen
    asking: bool = False  # whether to stop
    quit: bool = False
    in_background: Callable[[Callable[[], None]], None] = lambda work: threading.Thread(
        target=work, daemon=True
    ).start()

    def saw(self, diagnosis: Diagnosis, past: Mapping[str, Sequence[float | None]]) -> None:
        """Take a new look."""
        self.diagnosis, self.past = diagnosis, {channel: list(values) for channel, values in past.items()}
        self.seen_at = datetime.now().astimezone().strftime("%H:%M:%S")

    def press(self, key: str) -> None:
        """Do what a key means now."""
        if self.asking:
            self.asking, self.message = False, ""
            if key.lower() == "y":
                self._act("stopping", lambda: turns.stop(self.settings))
        elif self.page is not None:
            self._turn(key)
        elif key in {"q", "\x1b", "\x03"}:
            self.quit = True
        elif key in {"h", "?"}:
            self._open(HELP)
        elif key == "s":
            self._act("starting", lambda: turns.start(self.settings))
        elif key == "x":
            self.asking, self.message = True, f"Stop the proxy on port {self.settings.port}? [y] yes, any other key: no"
        elif key == "d":
            self.message = "diagnosing..."
            self.in_background(self._diagnose)

    def told(self, delivery: Delivery) -> None:
        """Show that an alert did not arrive."""
        if not delivery.ok:
            self.message = watching.undelivered(delivery)

    def _open(self, page: Iterable[str]) -> None:
        self.turned, self.page = 0, list(page)

    def _turn(self, key: str) -> None:
        self.turned += 1
        if key not in {" ", "\r", "\n"} or self.turned >= len(self._pages()):
            self.page = None

    def _pages(self) -> list[list[str]]:
        """What is shown instead of the channels, in pieces as large as the last screen."""
        lines = [piece for line in self.page or () for piece in formatting.wrap(line, self.size[0])]
        room = self._room()
        return [lines[at : at + room] for at in range(0, len(lines), room)]

    def _act(self, doing: str, what: Callable[[], start_stop.Outcome]) -> None:
        def act() -> None:
            try:
                outcome = what()
                words = outcome.said or " ".join(outcome.problems) or outcome.did
            except Exception as error:  # noqa: BLE001 - nothing else reports an error of a thread
                words = _described(error)
            self.message = words.removeprefix(streams.PREFIX)

        self.message = f"{doing}..."
        self.in_background(act)

    def _diagnose(self) -> None:
        try:
            found = diagnose.examine(self.settings)
            self._open(formatting.COLOUR.sub("", line) for line in diagnose.lines(found))
            self.message = ""
        except Exception as error:  # noqa: BLE001 - nothing else reports an error of a thread
            self.message = _described(error)

    def screen(self, width: int = terminal.USUAL_SIZE[0], height: int = terminal.USUAL_SIZE[1]) -> list[str]:
        """The whole screen, the verdict first; no line is wider, and there are no more of them."""
        self.size = (width, height)
        message, room = self._message(), self._room()
        body, foot = self._body(room) if self.page is None else self._read()
        head = layout.head(self.diagnosis, self.seen_at, self.period_s, width)
        rule = [layout.rule(width)] if self._is_high() else []
        lines = [head, *rule, *body[:room], *[""] * (room - len(body)), *message, foot]
        return [formatting.fit(line, width) for line in lines[:height]]

    def _message(self) -> list[str]:
        most = MESSAGE_LINES if self._is_high() else 1
        return layout.folded(self.message, self.size[0], most) if self.message or self._is_high() else []

    def _is_high(self) -> bool:
        return self.size[1] >= HIGH_LINES

    def _room(self) -> int:
        """Lines between head and message."""
        around = FRAME if self._is_high() else FRAME - 1
        return max(self.size[1] - around - len(self._message()), 1)

    def _read(self) -> tuple[list[str], str]:
        """The part of a page that is read now, and how to go on."""
        pages = self._pages()
        number = min(self.turned, len(pages) - 1)
        return pages[number], layout.page_menu(number + 1, len(pages), self.size[0])

    def _body(self, room: int) -> tuple[list[str], str]:
        """The channels and the menu."""
        width = self.size[0]
        lines = layout.fitted(self.diagnosis, self.past, width, room) if self.diagnosis else []
        return lines, layout.menu(width)


def _described(error: Exception) -> str:
    return str(error) if isinstance(error, Fatal) else f"internal error: {error!a}; please report it"


def once(settings: Settings, *, as_json: bool) -> Exit:
    """One look, printed: no line is cut, whatever the size of the terminal."""
    diagnosis = diagnose.glance(settings)
    if as_json:
        streams.show(json.dumps(diagnosis.as_json()))
        return diagnosis.exit_status
    past: dict[str, deque[float | None]] = {}
    watching.record(past, diagnosis.probes)
    streams.show("\n".join(layout.whole(diagnosis, past)))
    return diagnosis.exit_status


def watch(settings: Settings, period_s: float, *, as_json: bool) -> None:
    """Look again and again until q or Ctrl-C: on a whole terminal if there is one, else in lines."""
    looking = Watch(settings, "dashboard", period_s)
    if not as_json:
        streams.announce(watching.announcement(settings, period_s))
    with contextlib.suppress(KeyboardInterrupt), terminal.stopped_like_ctrl_c():
        if as_json or not terminal.is_whole():
            _print(looking, as_json=as_json)
        else:
            _interact(Dashboard(settings, period_s), looking)
    looking.close()


def _print(looking: Watch, *, as_json: bool) -> None:
    for diagnosis, _ in looking.looks():
        streams.show(json.dumps(diagnosis.as_json()) if as_json else watching.summary(diagnosis))
        if streams.is_unheard():
            break


def _interact(board: Dashboard, looking: Watch) -> None:
    seen: queue.SimpleQueue[Diagnosis | Exception] = queue.SimpleQueue()

    def look() -> None:
        try:
            for diagnosis, _ in looking.looks():
                seen.put(diagnosis)
        except Exception as error:  # noqa: BLE001 - raised again where the terminal is put in order
            seen.put(error)

    looking.messenger.told = board.told  # what standard error says is overwritten
    threading.Thread(target=look, daemon=True).start()
    with terminal.Terminal() as screen:
        while not board.quit:
            while not seen.empty():
                found = seen.get()
                if isinstance(found, Exception):
                    raise found
                board.saw(found, looking.past)
            screen.draw(board.screen(*terminal.size()))
            if key := screen.key(KEY_S):
                board.press(key)
    looking.messenger.told = watching.told
