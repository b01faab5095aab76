"""``lumen-conformance run``: judge a server, and write the report."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import lumen_conformance
from lumen_conformance import suites
from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.output import add_output_options, output_arguments
from lumen_conformance.ports import WORKERS
from lumen_conformance.processes import interruption
from lumen_conformance.registry.option_table import BASELINE, BODIES, SELECTION, spelled_for_command
from lumen_conformance.targets.options import API_KEY_VARIABLE, PROXY_OPTIONS

SELECTIONS: Final = {
    "smoke": (("contract", "recovery"), "smoke"),
    "contract": (("contract",), "contract"),
    "recovery": (("recovery",), "recovery"),
    "all": (("contract", "recovery"), "contract or recovery"),
}
API_KEY: Final = "--proxy-api-key"
WORKER_WORDS: Final = ("auto", "logical")  # pytest-xdist counts the cores
# What the suite needs of pytest's plugins. Others that are installed beside it are not loaded: they could change a run.
NEEDED_PLUGINS: Final = frozenset(("metadata", "html", "html_fixtures", "timeout", "xdist", "xdist.looponfail"))
# Settings of another pytest, and one that removes the assertions and docstrings of the checks.
IGNORED_VARIABLES: Final = frozenset(
    ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTHONOPTIMIZE")
)
# Arguments of pytest with which no check runs.
WITHOUT_CHECKS: Final = frozenset((
    "--setup-plan", "--setup-only", "--collect-only", "--collectonly", "--co", "--fixtures", "--fixtures-per-test",
    "--funcargs", "--markers", "--cache-show", "--replay", "--help", "-h", "--version", "-V",
))  # fmt: skip
PLUGIN: Final = "lumen_conformance.plugin"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the selection, the options of the target (those of pytest without ``--proxy-``), and those of the output."""
    parser.usage = "%(prog)s [smoke|contract|recovery|all] (--url URL | --command CMD) [options] [-- PYTEST-ARGUMENTS]"
    parser.add_argument("selection", nargs="?", choices=SELECTIONS, default="all", help="which checks (default: all)")
    target = parser.add_argument_group("target", "give --url or --command")
    for name, how in PROXY_OPTIONS.items():
        # The name that pytest has is accepted too.
        names = (spelled_for_command(name), name)
        target.add_argument(*names, dest=_destination(name), **how | {"help": spelled_for_command(how["help"])})
    chosen = parser.add_argument_group("selection")
    for each in SELECTION:
        listed: dict[str, Any] = {"nargs": "+", "action": "extend"} if each.is_list else {}
        chosen.add_argument(each.name, metavar=each.metavar, help=each.text, **listed)
    chosen.add_argument(
        "-n", dest="workers", metavar="N", type=parse_workers, help="run N checks at the same time, or auto"
    )
    output = parser.add_argument_group("output")
    for each in (*BASELINE, *BODIES):
        output.add_argument(each.name, metavar=each.metavar, help=each.text)
    add_output_options(output)


def parse_workers(text: str) -> str:
    """Return the number of parallel workers as pytest-xdist takes it; raises ArgumentTypeError."""
    if text in WORKER_WORDS or (text.isascii() and text.isdigit() and 1 <= int(text) <= WORKERS):
        return text
    words = " or ".join(WORKER_WORDS)
    raise argparse.ArgumentTypeError(f"{text!r} is invalid: expected a whole number from 1 to {WORKERS}, or {words}")


def main(args: argparse.Namespace) -> int:
    """Run pytest with the suites of this package; return its exit status."""
    given = [name for name in ("url", "command") if getattr(args, f"proxy_{name}") is not None]
    if not given:
        raise CommandError("no target: give --url URL or --command 'CMD … {port}'")
    if len(given) > 1:
        raise CommandError("--url and --command are two targets: give one of them")
    if wrong := [word for word in args.pytest_arguments if word.partition("=")[0] in WITHOUT_CHECKS]:
        raise CommandError(f"{wrong[0]}: no check runs with it; remove it, or call pytest")
    words = [*_selected(args), *_target(args), *output_arguments(args), *_paths(args)]
    return run_pytest(words, {API_KEY_VARIABLE: args.proxy_api_key} if args.proxy_api_key else {})


def run_pytest(arguments: list[str], variables: Mapping[str, str] = MappingProxyType({})) -> int:
    """Run pytest with the configuration and the plugins of this package only; return its exit status.

    Where the system can do it, pytest replaces this process, so that a signal to this process reaches it.
    """
    package = Path(lumen_conformance.__file__).parent
    configured = ["-c", str(package / "suite.ini"), f"--rootdir={suites.folder()}", "-p", "no:cacheprovider"]
    others = {entry.name for entry in entry_points(group="pytest11")} - NEEDED_PLUGINS
    plugins = [word for name in (*(f"no:{name}" for name in sorted(others)), PLUGIN) for word in ("-p", name)]
    # -P: nothing is imported from the current folder.
    command = [sys.executable, "-P", "-m", "pytest", *configured, *plugins, "--progress", *arguments]
    environ = {name: value for name, value in os.environ.items() if name not in IGNORED_VARIABLES}
    environ |= variables
    if os.name != "nt":
        interruption.block_signals()  # pytest is not ready for them before the plugin is configured
        os.execve(sys.executable, command, environ)
    return wait_for_child(command, environ)


def wait_for_child(command: list[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end; return its exit status.

    Ctrl-C reaches both processes. This one goes on waiting: subprocess.run would kill the child 0.25 s later, before it
    has written its report. A handler that does nothing is not inherited, but SIG_IGN is.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(command, env=environ, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _selected(args: argparse.Namespace) -> list[str]:
    words = ["-m", SELECTIONS[args.selection][1]]
    words += [f"--{name}={check}" for name in ("only", "skip") for check in getattr(args, name) or []]
    for option in ("shard", "baseline", "write_baseline", "keep_bodies"):
        value = getattr(args, option)
        words += [] if value is None else [f"--{option.replace('_', '-')}={value}"]
    words += ["-n", args.workers, "--dist", "loadfile"] if args.workers else []
    return [*words, *args.pytest_arguments]


def _target(args: argparse.Namespace) -> list[str]:
    """The options of the target as pytest's ``--proxy-`` options."""
    words: list[str] = []
    for name in PROXY_OPTIONS:
        if name == API_KEY and getattr(args, _destination(name)):
            continue  # by a variable
        value = getattr(args, _destination(name))
        if value is True:
            words.append(name)
        elif value is not None and value is not False:
            words += [f"{name}={each}" for each in (value if isinstance(value, list) else [value])]
    return words


def _paths(args: argparse.Namespace) -> list[str]:
    return [str(suites.folder() / name) for name in SELECTIONS[args.selection][0]]


def _destination(name: str) -> str:
    return name.removeprefix("--").replace("-", "_")
