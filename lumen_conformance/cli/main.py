"""The command ``lumen-conformance``: its subcommands and their options."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

import lumen_conformance
from lumen_conformance.cli import compare, init, list_checks, merge, run
from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.exit_status import DESCRIPTION, ExitStatus
from lumen_conformance.processes import standard_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {"run": run, "list": list_checks, "init": init, "compare": compare, "merge": merge}


class Parser(argparse.ArgumentParser):
    """Reports invalid options in one line, with exit status 4 as pytest does."""

    def error(self, message: str) -> NoReturn:
        """Print the message and where to read on."""
        _print_error(f"{self.prog}: {message}; see {self.prog} --help")
        raise SystemExit(ExitStatus.USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit status."""
    standard_streams.open_missing()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a console may lack a character
    try:
        with standard_streams.report_lost_output():
            return _run(sys.argv[1:] if argv is None else argv)
    except standard_streams.LostOutput as lost:
        return _report_lost_output(lost.error)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED


def _run(argv: Sequence[str]) -> int:
    words, passed_on = _split(argv)
    try:
        args = _parser().parse_args(words)
    except SystemExit as ended:  # of --help, --version and invalid options
        return int(ended.code or 0)
    args.pytest_arguments = passed_on
    if passed_on and args.subcommand != "run":
        return _report(args, f"arguments behind -- are for run only: remove {' '.join(passed_on)}")
    try:
        return int(COMMANDS[args.subcommand].main(args))
    except CommandError as error:
        return _report(args, str(error))
    except OSError as error:
        if error.filename is None:
            return _report(args, error.strerror or str(error), ExitStatus.INTERNAL_ERROR)
        return _report(args, f"{error.filename}: {error.strerror}; name another file or folder")


def _report_lost_output(error: OSError) -> int:
    """Drop the rest of the output; a reader that has ended, such as head, has read enough."""
    standard_streams.drop(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return ExitStatus.INTERRUPTED
    _print_error(f"lumen-conformance: the output cannot be written: {error.strerror}; write it to another file")
    return ExitStatus.INTERNAL_ERROR


def _print_error(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        standard_streams.drop(sys.stderr)


def _report(args: argparse.Namespace, message: str, status: ExitStatus = ExitStatus.USAGE) -> int:
    _print_error(f"lumen-conformance {args.subcommand}: {message}")
    return status


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what stands before the first ``--``, and what stands behind it; argparse cannot keep the two apart."""
    at = argv.index("--") if "--" in argv else len(argv)
    return list(argv[:at]), list(argv[at + 1 :])


def _parser() -> Parser:
    parser = Parser(
        prog="lumen-conformance",
        description=lumen_conformance.__doc__,
        epilog=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {lumen_conformance.__version__}")
    subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").partition("\n")[0].partition(": ")[2]
        module.add_options(
            subparsers.add_parser(
                name,
                help=summary,
                description=summary[:1].upper() + summary[1:],
                epilog=DESCRIPTION,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )
    return parser
