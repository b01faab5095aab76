"""All channels on one screen of 80 x 24, looked at again every few seconds, with the usual actions a key away."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from lumen_proxy import __version__
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ops import addresses, console, control, diagnose, marks, probes, terminal, watching
from lumen_proxy.ops.alerts import webhooks
from lumen_proxy.ops.diagnose import Diagnosis
from lumen_proxy.ops.verdicts import SLOW_MS
from lumen_proxy.ops.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.ops.alerts import Delivery
    from lumen_proxy.ops.verdicts import Probe

CURVE_COLUMNS = 30
INDENT = " " * 10
FRAME = 3  # lines: head and rule above, menu below
MESSAGE_LINES = 3  # at most
MOST_LINES = (9, 3, 2, 1)  # that one line of the channels may take, the first that fits
KEY_S = 0.2  # how long a key or a new look may wait to be seen
MENU = "[s] start  [x] stop  [d] diagnose  [h] help  [q] quit"
HELP = (
    "s  start the proxy if it is not running",
    "x  stop the proxy; asks first",
    "d  diagnose: every address really called, and what to do next; space turns the page",
    "h  this help",
    "q  quit; so does Ctrl-C",
    "",
    "UP      answers                     slow, very slow: above its two thresholds",
    "DOWN    does not, and why           curve: the last looks, x = no answer",
    "OFF     not configured",
    "",
    "Each look asks for free: GET on the chat addresses, no chat call is made.",
    "Alerts go to SLACK_WEBHOOK_URL and LUMEN_WEBHOOK_URL when a channel goes down or is back.",
)


@dataclass
class Dashboard:
    """What is shown and what keys do; knows nothing of the terminal."""

    settings: Settings
    period_s: float | None = None  # None: one look only
    diagnosis: Diagnosis | None = None
    past: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    seen_at: str = "-"
    message: str = ""
    page: list[str] | None = None  # shown instead of the channels
    turned: int = 0  # so many screens of it were seen
    size: tuple[int, int] = terminal.USUAL_SIZE  # of the last screen
    asking: bool = False  # for a yes to stop
    quit: bool = False
    in_background: Callable[[Callable[[], None]], None] = lambda work: threading.Thread(
        target=work, daemon=True
    ).start()

    def saw(self, diagnosis: Diagnosis, past: Mapping[str, Sequence[float | None]]) -> None:
        """Take a new look."""
        self.diagnosis, self.past = diagnosis, {channel: list(values) for channel, values in past.items()}
        self.seen_at = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")

    def press(self, key: str) -> None:
        """Do what a key means now."""
        if self.asking:
            self.asking, self.message = False, ""
            if key.lower() == "y":
                self._act("stopping", lambda: control.stop(self.settings))
        elif self.page is not None:
            self._turn(key)
        elif key in {"q", "\x1b", "\x03"}:
            self.quit = True
        elif key in {"h", "?"}:
            self._open(HELP)
        elif key == "s":
            self._act("starting", lambda: control.start(self.settings))
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
        lines = [piece for line in self.page or () for piece in marks.wrap(line, self.size[0])]
        room = self._room()
        return [lines[at : at + room] for at in range(0, len(lines), room)]

    def _act(self, doing: str, what: Callable[[], control.Outcome]) -> None:
        def act() -> None:
            try:
                outcome = what()
                words = outcome.said or " ".join(outcome.problems) or outcome.did
            except Fatal as verdict:
                words = str(verdict)
            self.message = words.removeprefix(console.PREFIX)

        self.message = f"{doing}..."
        self.in_background(act)

    def _diagnose(self) -> None:
        try:
            found = diagnose.examine(self.settings)
            self._open(marks.COLOUR.sub("", line) for line in diagnose.lines(found))
            self.message = ""
        except Fatal as verdict:
            self.message = str(verdict)
        except Exception as error:  # noqa: BLE001 - in the background nobody else would tell
            self.message = f"internal error: {error!a}; please report it"

    def screen(self, width: int = terminal.USUAL_SIZE[0], height: int = terminal.USUAL_SIZE[1]) -> list[str]:
        """The whole screen; no line is wider, and there are no more of them."""
        self.size = (width, height)
        rule = console.glyph("─", "-") * width
        every = f"every {self.period_s:g} s  " if self.period_s else ""
        head = f"Lumen dashboard  lumen-proxy {__version__}  {every}last look {self.seen_at}"
        body, foot = (self._channels(), MENU) if self.page is None else self._read()
        room = self._room()
        lines = [head, rule, *body[:room], *[""] * (room - len(body)), *self._message(), foot]
        return [marks.fit(line, width) for line in lines]

    def _message(self) -> list[str]:
        return _folded(self.message, self.size[0], MESSAGE_LINES)

    def _room(self) -> int:
        """Lines between head and message."""
        return max(self.size[1] - FRAME - len(self._message()), 1)

    def _read(self) -> tuple[list[str], str]:
        """The part of a page that is looked at, and how to go on."""
        pages = self._pages()
        number = min(self.turned, len(pages) - 1)
        more = f"page {number + 1} of {len(pages)}; space: next page, " if number + 1 < len(pages) else ""
        return pages[number], f"{more}any {'other ' if more else ''}key: back"

    def _channels(self) -> list[str]:
        """The channels: nothing is cut where there is room, and the verdict at the end is seen in any case."""
        body, room = self._body(), self._room()
        for most in MOST_LINES:
            lines = [piece for line in body for piece in _folded(line, self.size[0], most)]
            if len(lines) <= room:
                return lines
        return [line for line in lines if line]

    def _body(self) -> list[str]:
        if self.diagnosis is None:
            return ["looking..."]
        lines: list[str] = []
        for probe in self.diagnosis.probes:
            next_step = f"next: {probe.advice}" if probe.state == "down" else ""
            lines += [self._channel(probe), f"{INDENT}{_called(probe)}", f"{INDENT}{next_step}".rstrip()]
        facts = self.diagnosis.probes[0].facts
        known = [f"{name} {facts[key]}" for name, key in FACTS if key in facts]
        told = " and ".join(webhooks(self.settings)) or "not configured"
        lines += [f"Proxy      {', '.join(known) or 'not running'}", f"Alerts     {told}", *self.diagnosis.notes, ""]
        return [*lines, "Verdict    " + marks.paint(self.diagnosis.verdict, "down" if self.diagnosis.red else "up")]

    def _channel(self, probe: Probe) -> str:
        light = marks.pad(marks.symbol(marks.LIGHTS, probe.state), 2)
        state = marks.paint(f"{light} {marks.WORDS[probe.state]:5}", probe.state)
        ms = "-" if probe.ms is None or probe.state == "down" else f"{probe.ms:.0f} ms"
        curve = marks.curve(self.past.get(probe.channel, ()), CURVE_COLUMNS, SLOW_MS[probe.channel][1])
        pace = marks.paint(probe.pace, probe.pace)
        return f"{state}  {probe.name:14} {ms:>9}  {marks.pad(curve, CURVE_COLUMNS)}  {pace}".rstrip()


FACTS = (("pid", "pid"), ("worker", "worker_pid"), ("restarts", "restarts"), ("breaker", "breaker"))


def _called(probe: Probe) -> str:
    """What was found, and at which address."""
    if not probe.calls:
        return probe.said
    call = probe.calls[0]
    return f"{probe.said} ({call.method} {call.url} -> {call.status or call.trouble})"


def _folded(line: str, width: int, most: int) -> list[str]:
    """In at most so many lines. What has colours is a line of ours, and short."""
    if "\x1b" in line:
        return [line]
    lines = marks.wrap(line, width)
    return [*lines[: most - 1], " ".join([lines[most - 1], *map(str.strip, lines[most:])])] if lines[most:] else lines


def once(settings: Settings, *, as_json: bool) -> Exit:
    """One look, printed."""
    asked, notes = addresses.in_use(settings)
    diagnosis = Diagnosis(settings, probes.probe(asked, within_s=diagnose.WITHIN_S), notes)
    if as_json:
        console.show(json.dumps(diagnosis.as_json()))
        return diagnosis.exit_status
    board = Dashboard(settings)
    board.saw(diagnosis, {probe.channel: [probe.ms] for probe in diagnosis.probes})
    columns, lines = terminal.size()
    console.show("\n".join(board.screen(columns, max(lines, terminal.USUAL_SIZE[1]))[:-2]).rstrip())
    return diagnosis.exit_status


def watch(settings: Settings, period_s: float, *, as_json: bool) -> None:
    """Look again and again until q or Ctrl-C: on a whole terminal if there is one, else in lines."""
    looking = Watch(settings, "dashboard", period_s)
    if not as_json:
        console.announce(watching.announcement(settings, period_s))
    with contextlib.suppress(KeyboardInterrupt), terminal.stopped_like_ctrl_c():
        if as_json or not terminal.is_whole():
            _print(looking, as_json=as_json)
        else:
            _interact(Dashboard(settings, period_s), looking)
    looking.close()


def _print(looking: Watch, *, as_json: bool) -> None:
    for diagnosis, _ in looking.looks():
        console.show(json.dumps(diagnosis.as_json()) if as_json else watching.summary(diagnosis))
        if console.is_unheard():
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
