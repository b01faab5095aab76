"""The options of each command, and what may stand behind them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from lumen_proxy import config
from lumen_proxy.errors import Exit, Fatal

PERIOD_S = 5.0  # as in the original system
SHORTEST_S, LONGEST_S = 0.1, 86_400.0  # of a deadline or a period


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: one line, status 64."""

    def error(self, message: str) -> NoReturn:
        """Raise Fatal (64)."""
        raise Fatal(f"{message}; see: {self.prog} --help", Exit.USAGE)


def settings(parser: argparse.ArgumentParser) -> None:
    """Every setting that is no secret: a command line is visible to every user of the machine."""
    for setting in config.SETTINGS:
        if not setting.secret:
            option = "--" + setting.field.replace("_", "-")
            meaning = f"{setting.meaning} [{setting.variable}]".replace("%", "%%")
            parser.add_argument(option, dest=setting.field, metavar="VALUE", help=meaning)


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
    """For what can be told to people or to programs."""
    parser.add_argument("--json", action="store_true", help="for programs")
    settings(parser)


def check(parser: argparse.ArgumentParser) -> None:
    """Which environment."""
    parser.add_argument("--venv", type=Path, metavar="DIR", help="the environment to check; default: the running one")
    parser.add_argument("--json", action="store_true", help="for programs")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not SHORTEST_S <= value <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!a} is not seconds from {SHORTEST_S:g} to {LONGEST_S:g}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!a} is not a whole number")
    return int(text)


def diagnose(parser: argparse.ArgumentParser) -> None:
    """What is asked, and for how long."""
    parser.add_argument("--deep", action="store_true", help="make real chat calls, which may cost money")
    parser.add_argument(
        "--start", action=argparse.BooleanOptionalAction, default=True, help="start the proxy if it is not running"
    )
    parser.add_argument("--within", type=_seconds, metavar="SECONDS", help="one deadline for everything that is asked")
    parser.add_argument("--venv", type=Path, metavar="DIR", help="an environment to check; default: the running one")
    start(parser)


def dashboard(parser: argparse.ArgumentParser) -> None:
    """Once, or again and again."""
    parser.add_argument(
        "--watch", nargs="?", const=PERIOD_S, type=_seconds, metavar="SECONDS", help="look again and again; default: 5"
    )
    start(parser)


def watch(parser: argparse.ArgumentParser) -> None:
    """How often."""
    parser.add_argument("seconds", nargs="?", default=PERIOD_S, type=_seconds, metavar="SECONDS", help="default: 5")
    report(parser)


def logs(parser: argparse.ArgumentParser) -> None:
    """How much of them."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("-n", "--lines", type=_count, default=100, metavar="NUMBER", help="how many; default: 100")
    report(parser)


def nothing(_: argparse.ArgumentParser) -> None:
    """Add none."""
