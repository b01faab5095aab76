"""The options of each command and their help."""

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

PERIOD_S = 5.0  # of `watch` and the dashboard
SHORTEST_S, LONGEST_S = 0.1, 86_400.0  # of a deadline or a period


COMMON = ("port", "host", "gateway_url")
GROUPS = {  # title → fields; COMMON and these contain each setting that is not a secret
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


class OptionParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit status 64."""

    def error(self, message: str) -> NoReturn:
        """Raise Fatal (64)."""
        raise usage_error(message, self.prog)


def usage_error(message: str, program: str) -> Fatal:
    """The error (64) for invalid options. `program` is the name of the program and of the command."""
    return Fatal(f"{message}; see: {program} --help", Exit.USAGE)


def set_usage(parser: argparse.ArgumentParser) -> None:
    """Name the first group of options, and shorten the usage line: argparse would list some fifty options."""
    parser._optionals.title = "common options"  # noqa: SLF001 - there is no public way to name this group
    arguments = "".join(f" [{action.metavar}]" for action in parser._actions if not action.option_strings)  # noqa: SLF001
    parser.usage = f"{parser.prog}{arguments} [OPTION]..."


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add each setting that is not a secret: other users of the machine can see a command line."""
    for field in COMMON:
        _add(parser, config.BY_FIELD[field])
    for title, fields in GROUPS.items():
        group = parser.add_argument_group(title)
        for field in fields:
            _add(group, config.BY_FIELD[field])
    secrets = ", ".join(setting.variable for setting in config.SETTINGS if setting.secret)
    parser.epilog = f"Secrets are set by variable only: {secrets}."


def _add(group: argparse._ActionsContainer, setting: config.Setting) -> None:
    """Add one setting with its accepted values and its default."""
    option = "--" + setting.field.replace("_", "-")
    choices = setting.parse.choices
    placeholder = f"{{{','.join(choices)}}}" if choices else PLACEHOLDERS[setting.parse.kind]
    accepted = "" if choices else f"; {setting.parse.expected}"
    meaning = f"{setting.meaning}{accepted}; default: {setting.shown_default} [{setting.variable}]".replace("%", "%%")
    group.add_argument(option, dest=setting.field, metavar=placeholder, help=meaning)


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    parser.add_argument("--sandbox", action="store_true", help="answer from an embedded gateway; needs no network")
    # `start` uses this: standard error is the console log, and these settings were given as options.
    parser.add_argument("--detached", nargs="?", const="", help=argparse.SUPPRESS)
    # `restart` uses this: the port is handed over by the instance that has it. The value is the descriptor of the lock
    # of restarts, which is closed when this instance serves.
    parser.add_argument("--take-over", type=int, help=argparse.SUPPRESS)
    add_settings(parser)


def add_start(parser: argparse.ArgumentParser) -> None:
    """Add the options of `start`."""
    parser.add_argument("--sandbox", action="store_true", help="answer from an embedded gateway; needs no network")
    add_report(parser)


def add_restart(parser: argparse.ArgumentParser) -> None:
    """Add the options of `restart`."""
    parser.add_argument(
        "--sandbox",
        action=argparse.BooleanOptionalAction,
        help="answer from an embedded gateway, or from the configured one; default: as the running proxy does",
    )
    add_report(parser)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the options of `config`."""
    parser.add_argument(
        "--running", action="store_true", help="show the settings of the running proxy, not of this shell"
    )
    add_report(parser)


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that prints text or JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings(parser)


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add the options of `check`."""
    parser.add_argument("--venv", type=Path, metavar="DIR", help="the environment to check; default: the running one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _for_argparse(parse: parsers.SettingParser[T]) -> Callable[[str], T]:
    """A parser for argparse, which hides the text of a ValueError."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except ValueError as expected:
            raise argparse.ArgumentTypeError(f"{text!a} is invalid: expected {expected}") from None

    return read


_seconds = _for_argparse(parsers.seconds(SHORTEST_S, LONGEST_S))
_count = _for_argparse(parsers.integer(0))


def add_diagnose(parser: argparse.ArgumentParser) -> None:
    """Add the options of `diagnose`."""
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
    add_start(parser)


def add_dashboard(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dashboard`."""
    parser.add_argument(
        "--watch",
        nargs="?",
        const=PERIOD_S,
        type=_seconds,
        metavar="SECONDS",
        help="refresh every so many seconds; default: 5",
    )
    add_start(parser)


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Add the options of `watch`."""
    parser.add_argument(
        "seconds",
        nargs="?",
        default=PERIOD_S,
        type=_seconds,
        metavar="SECONDS",
        help="seconds between checks; default: 5",
    )
    add_report(parser)


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Add the options of `logs`."""
    parser.add_argument("-f", "--follow", action="store_true", help="show new lines until Ctrl-C")
    parser.add_argument(
        "-n", "--lines", type=_count, default=100, metavar="NUMBER", help="number of lines to show; default: 100"
    )
    parser.add_argument("--local", action="store_true", help="show local times; default: UTC")
    add_report(parser)


def add_nothing(_: argparse.ArgumentParser) -> None:
    """Add no options."""
