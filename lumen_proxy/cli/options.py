"""The options of each command, what they accept, and how `--help` shows them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from lumen_proxy import config
from lumen_proxy.config import parsers
from lumen_proxy.errors import Exit, Fatal

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PERIOD_S = 5.0  # as in the original system
SHORTEST_S, LONGEST_S = 0.1, 86_400.0  # of a deadline or a period


COMMON = ("port", "host", "gateway_url")
GROUPS = {  # title → fields; with those above, each setting that is no secret is in one of them
    "channels": ("cloud_ai_url", "fallback", "connect_timeout_s"),
    "who may call": ("allowed_hosts", "allowed_origins"),
    "requests": (
        "model_strict", "history", "unsupported", "max_message_chars", "max_body_bytes", "max_response_bytes",
        "header_timeout_s",
    ),
    "load and time-outs": (
        "timeout_s", "max_concurrency", "max_queue", "queue_timeout_s", "breaker_failures", "breaker_open_s",
    ),
    "streams": ("stream_commit_s", "sse_keepalive_s"),
    "supervisor": (
        "standby", "max_restarts", "restart_window_s", "restart_backoff_s", "watchdog_s", "drain_s", "state_dir",
    ),
    "logs": ("log_dir", "log_level", "log_max_bytes", "log_keep", "log_days"),
}  # fmt: skip
PLACEHOLDERS = {
    "integer": "NUMBER", "seconds": "SECONDS", "switch": "{1,0}", "url_or_none": "URL", "gateway": "URL",
    "bind": "ADDRESS", "hosts": "NAMES", "origins": "ORIGINS", "path": "FOLDER",
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: one line, status 64."""

    def error(self, message: str) -> NoReturn:
        """Raise Fatal (64)."""
        raise invalid(message, self.prog)


def invalid(message: str, program: str) -> Fatal:
    """The error (64) about an option of `program`, which is the name of ours and that of the command."""
    return Fatal(f"{message}; see: {program} --help", Exit.USAGE)


def common(parser: argparse.ArgumentParser) -> None:
    """Name the group that is shown first, and keep the usage short: argparse would list some fifty options in it."""
    parser._optionals.title = "common options"  # noqa: SLF001 - there is no public way to name this group
    arguments = "".join(f" [{action.metavar}]" for action in parser._actions if not action.option_strings)  # noqa: SLF001
    parser.usage = f"{parser.prog}{arguments} [OPTION]..."


def settings(parser: argparse.ArgumentParser) -> None:
    """Every setting that is no secret: a command line is visible to every user of the machine."""
    for field in COMMON:
        _add(parser, config.BY_FIELD[field])
    for title, fields in GROUPS.items():
        group = parser.add_argument_group(title)
        for field in fields:
            _add(group, config.BY_FIELD[field])
    secrets = ", ".join(setting.variable for setting in config.SETTINGS if setting.secret)
    parser.epilog = f"Secrets are set by variable only: {secrets}."


def _add(group: argparse._ActionsContainer, setting: config.Setting) -> None:
    """One setting, with what it accepts and its default."""
    option = "--" + setting.field.replace("_", "-")
    words = setting.parse.choices
    placeholder = f"{{{','.join(words)}}}" if words else PLACEHOLDERS[setting.parse.kind]
    accepted = "" if words else f"; {setting.parse.expected}"
    meaning = f"{setting.meaning}{accepted}; default: {setting.shown_default} [{setting.variable}]".replace("%", "%%")
    group.add_argument(option, dest=setting.field, metavar=placeholder, help=meaning)


def serve(parser: argparse.ArgumentParser) -> None:
    """For the foreground."""
    parser.add_argument("--sandbox", action="store_true", help="answer from an embedded gateway; needs no network")
    # Of `start`: standard error is a file of ours, and these fields were options.
    parser.add_argument("--detached", nargs="?", const="", help=argparse.SUPPRESS)
    settings(parser)


def start(parser: argparse.ArgumentParser) -> None:
    """For the background, with every setting."""
    parser.add_argument("--sandbox", action="store_true", help="answer from an embedded gateway; needs no network")
    report(parser)


def restart(parser: argparse.ArgumentParser) -> None:
    """For the background, with the settings of the running proxy unless they are given anew."""
    parser.add_argument(
        "--sandbox",
        action=argparse.BooleanOptionalAction,
        help="answer from an embedded gateway, or from the configured one; default: as the running proxy does",
    )
    report(parser)


def show_config(parser: argparse.ArgumentParser) -> None:
    """Of this shell, or of what runs."""
    parser.add_argument("--running", action="store_true", help="what the running proxy uses, instead of this shell")
    report(parser)


def report(parser: argparse.ArgumentParser) -> None:
    """For commands whose result is text or JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    settings(parser)


def check(parser: argparse.ArgumentParser) -> None:
    """Which environment."""
    parser.add_argument("--venv", type=Path, metavar="DIR", help="the environment to check; default: the running one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _read_by(parse: parsers.SettingParser[T]) -> Callable[[str], T]:
    """A parser of settings for argparse, which would hide the text of a ValueError."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except ValueError as expected:
            raise argparse.ArgumentTypeError(f"{text!a} is invalid: expected {expected}") from None

    return read


_seconds = _read_by(parsers.seconds(SHORTEST_S, LONGEST_S))
_count = _read_by(parsers.integer(0))


def diagnose(parser: argparse.ArgumentParser) -> None:
    """What is asked, and for how long."""
    parser.add_argument("--deep", action="store_true", help="send real chat requests, which may cost money")
    parser.add_argument(
        "--start", action=argparse.BooleanOptionalAction, default=True, help="start the proxy if it is not running"
    )
    parser.add_argument(
        "--within",
        type=_seconds,
        metavar="SECONDS",
        help="one deadline for all probes; default: 15, with --deep the value of --timeout-s",
    )
    parser.add_argument("--venv", type=Path, metavar="DIR", help="an environment to check; default: the running one")
    start(parser)


def dashboard(parser: argparse.ArgumentParser) -> None:
    """Once, or again and again."""
    parser.add_argument(
        "--watch",
        nargs="?",
        const=PERIOD_S,
        type=_seconds,
        metavar="SECONDS",
        help="refresh every so many seconds; default: 5",
    )
    start(parser)


def watch(parser: argparse.ArgumentParser) -> None:
    """How often."""
    parser.add_argument(
        "seconds",
        nargs="?",
        default=PERIOD_S,
        type=_seconds,
        metavar="SECONDS",
        help="seconds between checks; default: 5",
    )
    report(parser)


def logs(parser: argparse.ArgumentParser) -> None:
    """How much of them."""
    parser.add_argument("-f", "--follow", action="store_true", help="show new lines until Ctrl-C")
    parser.add_argument(
        "-n", "--lines", type=_count, default=100, metavar="NUMBER", help="number of lines to show; default: 100"
    )
    parser.add_argument("--local", action="store_true", help="show local times; default: UTC")
    report(parser)


def nothing(_: argparse.ArgumentParser) -> None:
    """Add none."""
