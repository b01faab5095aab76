"""All channels on one screen of 80 x 24, looked at again every few seconds, with the usual actions a key away."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from lumen_proxy import __version__
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ops import addresses, console, control, diagnose, marks, probes, terminal, watching
from lumen_proxy.ops.diagnose import Diagnosis
from lumen_proxy.ops.verdicts import SLOW_MS
from lumen_proxy.ops.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.ops.verdicts import Probe

CURVE_COLUMNS = 30
INDENT = " " * 10
COLOUR = re.compile(r"\x1b\[\d*m")
KEY_S = 0.2  # how long a key or a new look may wait to be seen
MENU = "[s] start  [x] stop  [d] diagnose  [h] help  [q] quit"
HELP = (
    "s  start the proxy if it is not running",
    "x  stop the proxy; asks first",
    "d  diagnose: every address really called, and what to do next",
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
    period_s: float = watching.PERIOD_S
    diagnosis: Diagnosis | None = None
    past: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    seen_at: str = "-"
    message: str = ""
    page: list[str] | None = None  # shown instead of the channels
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
            self.page = None
        elif key in {"q", "\x1b", "\x03"}:
            self.quit = True
        elif key in {"h", "?"}:
            self.page = list(HELP)
        elif key == "s":
            self._act("starting", lambda: control.start(self.settings))
        elif key == "x":
            self.asking, self.message = True, f"Stop the proxy on port {self.settings.port}? [y] yes, any other key: no"
        elif key == "d":
            self.message = "diagnosing..."
            self.in_background(self._diagnose)

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
        self.page = [COLOUR.sub("", line) for line in diagnose.lines(diagnose.examine(self.settings))]
        self.message = ""

    def screen(self, width: int = 80, height: int = 24) -> list[str]:
        """The whole screen; no line is wider, and there are no more of them."""
        rule = console.glyph("─", "-") * width
        head = f"Lumen dashboard  lumen-proxy {__version__}  every {self.period_s:g} s  last look {self.seen_at}"
        if self.page is not None:
            body, foot = self.page[: height - 4], "any key: back"
        else:
            body, foot = self._body(), MENU
        lines = [marks.clip(head, width), rule, *body]
        lines = lines[: height - 2] + [""] * (height - 2 - len(lines))
        return [*(_fit(line, width) for line in lines), _fit(self.message, width), _fit(foot, width)]

    def _body(self) -> list[str]:
        if self.diagnosis is None:
            return ["looking..."]
        lines: list[str] = []
        for probe in self.diagnosis.probes:
            next_step = f"next: {probe.advice}" if probe.state == "down" else ""
            lines += [self._channel(probe), f"{INDENT}{_called(probe)}", f"{INDENT}{next_step}".rstrip()]
        facts = self.diagnosis.probes[0].facts
        known = [f"{name} {facts[key]}" for name, key in FACTS if key in facts]
        alerts = " and ".join(diagnose.alerts_to(self.settings)) or "not configured"
        lines += [f"Proxy      {', '.join(known) or 'not running'}", f"Alerts     {alerts}", *self.diagnosis.notes, ""]
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


def _fit(line: str, width: int) -> str:
    """Lines with colours are made to fit where they are made."""
    return line if "\x1b" in line else marks.clip(line, width)


def once(settings: Settings, *, as_json: bool) -> Exit:
    """One look, printed."""
    asked, notes = addresses.in_use(settings)
    diagnosis = Diagnosis(settings, probes.probe(asked, within_s=diagnose.WITHIN_S), notes)
    if as_json:
        console.show(json.dumps(diagnosis.as_json()))
        return diagnosis.exit_status
    board = Dashboard(settings)
    board.saw(diagnosis, {probe.channel: [probe.ms] for probe in diagnosis.probes})
    console.show("\n".join(board.screen()[:-2]).rstrip())
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

    threading.Thread(target=look, daemon=True).start()
    with terminal.Terminal() as screen:
        while not board.quit:
            while not seen.empty():
                found = seen.get()
                if isinstance(found, Exception):
                    raise found
                board.saw(found, looking.past)
            screen.draw(board.screen(*screen.size))
            if key := screen.key(KEY_S):
                board.press(key)
