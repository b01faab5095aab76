"""``lumen-conformance run``: judge a server, and write the report."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import lumen_conformance
from lumen_conformance import suites
from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.output import add_output_options, output_arguments
from lumen_conformance.processes import interruption
from lumen_conformance.targets.options import PROXY_OPTIONS

SELECTIONS: Final = {
    "smoke": (("contract", "recovery"), "smoke"),
    "contract": (("contract",), "contract"),
    "recovery": (("recovery",), "recovery"),
    "all": (("contract", "recovery"), "contract or recovery"),
}
PREFIX: Final = "--proxy-"
# What the suite needs of pytest's plugins. Others that are installed beside it are not loaded: they could change a run.
NEEDED_PLUGINS: Final = frozenset(("metadata", "html", "html_fixtures", "timeout", "xdist", "xdist.looponfail"))
IGNORED_VARIABLES: Final = frozenset(("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"))
PLUGIN: Final = "lumen_conformance.plugin"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the selection, the options of the target (those of pytest without ``--proxy-``), and those of the output."""
    parser.usage = "%(prog)s [smoke|contract|recovery|all] (--url URL | --command CMD) [options] [-- PYTEST-ARGUMENTS]"
    parser.add_argument("selection", nargs="?", choices=SELECTIONS, default="all", help="which checks (default: all)")
    target = parser.add_argument_group("target", "give --url or --command")
    for name, how in PROXY_OPTIONS.items():
        # The name that pytest has is accepted too: error messages use it.
        target.add_argument(f"--{name.removeprefix(PREFIX)}", name, dest=_destination(name), **how)
    chosen = parser.add_argument_group("selection")
    chosen.add_argument(
        "--only", nargs="+", action="extend", metavar="ID", help="run these checks; * stands for any text"
    )
    chosen.add_argument("--skip", nargs="+", action="extend", metavar="ID", help="leave these checks out")
    chosen.add_argument("--shard", metavar="K/N", help="run part K of N parts; merge joins their reports")
    chosen.add_argument("-n", dest="workers", metavar="N", help="run N checks at the same time, or auto")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--baseline", metavar="FILE", help="known failures, each with a reason; they do not fail the run"
    )
    output.add_argument("--write-baseline", metavar="FILE", help="write what fails to FILE, as --baseline reads it")
    add_output_options(output)


def main(args: argparse.Namespace) -> int:
    """Run pytest with the suites of this package; return its exit status."""
    if not (args.proxy_url or args.proxy_command):
        raise CommandError("no target: give --url URL or --command 'CMD … {port}'")
    return run_pytest([*_selected(args), *_target(args), *output_arguments(args), *_paths(args)])


def run_pytest(arguments: list[str]) -> int:
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
    if os.name != "nt":
        interruption.block_signals()  # pytest is not ready for them before the plugin is configured
        os.execve(sys.executable, command, environ)
    return subprocess.run(command, env=environ, check=False).returncode


def _selected(args: argparse.Namespace) -> list[str]:
    words = ["-m", SELECTIONS[args.selection][1]]
    words += [f"--{name}={check}" for name in ("only", "skip") for check in getattr(args, name) or []]
    for option in ("shard", "baseline", "write_baseline"):
        value = getattr(args, option)
        words += [] if value is None else [f"--{option.replace('_', '-')}={value}"]
    words += ["-n", args.workers, "--dist", "loadfile"] if args.workers else []
    return [*words, *args.pytest_arguments]


def _target(args: argparse.Namespace) -> list[str]:
    """The options of the target as pytest's ``--proxy-`` options."""
    words: list[str] = []
    for name in PROXY_OPTIONS:
        value = getattr(args, _destination(name))
        if value is True:
            words.append(name)
        elif value:
            words += [f"{name}={each}" for each in (value if isinstance(value, list) else [value])]
    return words


def _paths(args: argparse.Namespace) -> list[str]:
    return [str(suites.folder() / name) for name in SELECTIONS[args.selection][0]]


def _destination(name: str) -> str:
    return name.removeprefix("--").replace("-", "_")
