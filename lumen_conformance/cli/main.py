"""The command ``lumen-conformance``: its subcommands and their options."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import lumen_conformance
from lumen_conformance.cli import compare, init, list_checks, merge, run
from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.exit_status import DESCRIPTION, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {"run": run, "list": list_checks, "init": init, "compare": compare, "merge": merge}


class Parser(argparse.ArgumentParser):
    """Reports invalid options in one line, with exit status 4 as pytest does."""

    def error(self, message: str) -> NoReturn:
        """Print the message and where to read on."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(ExitStatus.USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a console may lack a character
    words, passed_on = _split(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(words)
    args.pytest_arguments = passed_on
    if passed_on and args.subcommand != "run":
        return _report(args, f"arguments behind -- are for run only: remove {' '.join(passed_on)}")
    try:
        status = int(COMMANDS[args.subcommand].main(args))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has read enough; what follows is not needed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.INTERRUPTED
    except CommandError as error:
        return _report(args, str(error))
    except OSError as error:
        return _report(args, f"{error.filename}: {error.strerror}; name another file or folder")
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    return status


def _report(args: argparse.Namespace, message: str) -> int:
    print(f"lumen-conformance {args.subcommand}: {message}", file=sys.stderr)
    return ExitStatus.USAGE


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
        summary = (module.__doc__ or "").splitlines()[0].partition(": ")[2]
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
