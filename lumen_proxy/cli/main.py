"""The command line: commands, options and exit statuses; each command's work is done elsewhere.

Imports are made by the command that needs them: `check` must run where nothing is installed, and
`serve` must not wait for what it does not use.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import lumen_proxy
from lumen_proxy import config, import_failure
from lumen_proxy.cli import options
from lumen_proxy.console import streams
from lumen_proxy.errors import Exit, Fatal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from lumen_proxy.control import start_stop


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    streams.prepare()
    try:
        args = _parsed(argv)
        status: int = args.run(args)
        return status if args.command == "serve" else _unless_lost(status)  # what serves does not depend on its output
    except SystemExit as end:  # of --help and --version
        raise SystemExit(_unless_lost(end.code)) from None
    except Fatal as verdict:
        streams.tell(str(verdict))
        return verdict.exit_status
    except KeyboardInterrupt:
        streams.tell("interrupted")
        return Exit.SOFTWARE
    except Exception as error:  # noqa: BLE001 - a defect of ours is one line too, and its status says so
        return _failed(error)
    finally:
        streams.settle()


T = TypeVar("T")


def _unless_lost(status: T) -> T | Exit:
    """The status, but 74 if standard output could not be written."""
    streams.settle()
    if why := streams.undelivered():
        streams.tell(f"standard output could not be written: {why}; the output is lost, send it to another place")
        return Exit.IO
    return status


def _failed(error: Exception) -> Exit:
    """Print one line about an error that no command handles; return its exit status."""
    if line := import_failure.explain(error):
        streams.tell(line)
        return Exit.UNAVAILABLE
    if isinstance(error, OSError):
        streams.tell(f"{error.filename or 'the system says'}: {error.strerror or error}")
        return Exit.OS
    streams.tell(f"internal error: {error!a}; please report it")
    return Exit.SOFTWARE


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options. Raises Fatal (64), which names the help of the command and not that of the program."""
    parser = _parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        program = f"{parser.prog} {args.command}" if args.command else parser.prog
        raise options.invalid(f"unrecognized arguments: {' '.join(unknown)}", program)
    return args


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(prog="lumen-proxy", description=lumen_proxy.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"lumen-proxy {lumen_proxy.__version__}")
    parser.set_defaults(run=lambda _: _overview(parser))
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for name, (run, add_options) in COMMANDS.items():
        command = commands.add_parser(name, help=run.__doc__, description=run.__doc__, allow_abbrev=False)
        add_options(command)
        options.common(command)
        command.set_defaults(run=run)
    return parser


def _overview(parser: argparse.ArgumentParser) -> int:
    """No command: help for people, on standard output like git and docker; 64 for a script that named none."""
    streams.show(parser.format_help().rstrip())
    return Exit.USAGE


def _given(args: argparse.Namespace) -> dict[str, str]:
    given = vars(args)
    return {s.field: given[s.field] for s in config.SETTINGS if given.get(s.field) is not None}


def _load(args: argparse.Namespace) -> config.Settings:
    settings = config.load(overrides=_given(args))
    for warning in settings.warnings:
        streams.tell(warning)
    return settings.in_sandbox() if vars(args).get("sandbox") else settings


def _serve(args: argparse.Namespace) -> int:
    """Run in the foreground until stopped."""
    from lumen_proxy.control.start_check import check_startable  # noqa: PLC0415
    from lumen_proxy.supervisor.serve import serve  # noqa: PLC0415

    settings = _load(args).given_as_options(filter(None, (args.detached or "").split(",")))
    check_startable(settings)
    words = streams.log_of(settings.log_dir, settings.port)
    tell = streams.tell_below(settings.log_max_bytes, words) if args.detached is not None else streams.tell
    if not settings.sandboxed:
        return serve(settings, announce=streams.announce, tell=tell)
    from lumen_proxy.sandbox import gateway  # noqa: PLC0415

    with gateway.instead_of_the_cloud(settings) as settings:
        return serve(settings, announce=streams.announce, tell=tell)


def _named_port(settings: config.Settings) -> int | None:
    """The port that is given as an option, for commands that are about all instances without it."""
    return settings.port if settings.origins["port"] == "option" else None


def _tell(outcome: start_stop.Outcome, *, as_json: bool) -> int:
    for problem in outcome.problems:
        streams.tell(problem)
    if as_json:
        streams.show(json.dumps(dataclasses.asdict(outcome)))
    elif outcome.said:
        streams.show(outcome.said)
    if outcome.note and not as_json:
        streams.tell(outcome.note)
    return outcome.exit_status


def _start(args: argparse.Namespace) -> int:
    """Start in the background and wait until ready."""
    from lumen_proxy.control import turns  # noqa: PLC0415

    return _tell(turns.start(_load(args), streams.tell), as_json=args.json)


def _stop(args: argparse.Namespace) -> int:
    """Finish the requests in progress, then stop the proxy."""
    from lumen_proxy.control import turns  # noqa: PLC0415

    return _tell(turns.stop(_load(args), streams.tell), as_json=args.json)


def _restart(args: argparse.Namespace) -> int:
    """Stop, then start with the same settings; options given here override them."""
    from lumen_proxy.control import restart  # noqa: PLC0415

    show = streams.tell if args.json else streams.show
    outcome = restart.restart(_given(args), sandbox=args.sandbox, tell=streams.tell, show=show)
    return _tell(outcome, as_json=args.json)


def _status(args: argparse.Namespace) -> int:
    """Show what is on the port.

    Exit status: 0 this proxy answers, 75 another program uses the port, 69 nothing answers.
    """
    from lumen_proxy.cli import tables  # noqa: PLC0415
    from lumen_proxy.control import instances  # noqa: PLC0415

    seen = instances.look(_load(args))
    streams.show(json.dumps(dataclasses.asdict(seen)) if args.json else tables.status(seen))
    statuses = {"running": Exit.OK, "another": Exit.PORT_IN_USE, "stranger": Exit.PORT_IN_USE}
    return statuses.get(seen.condition, Exit.UNAVAILABLE)


def _ps(args: argparse.Namespace) -> int:
    """List all instances of this user, or that of --port: those in the state directory, running or not."""
    from lumen_proxy.cli import tables  # noqa: PLC0415
    from lumen_proxy.control import instances  # noqa: PLC0415

    settings = _load(args)
    rows = instances.look_at_all(settings, _named_port(settings))
    as_json = args.json and json.dumps([dataclasses.asdict(seen) for seen in rows])
    streams.show(as_json or tables.instances(rows, settings))
    return Exit.OK


def _diagnose(args: argparse.Namespace) -> int:
    """Probe all channels at once; show what is wrong and what to do.

    Exit status: 0 if everything that the proxy uses is up, else 69.
    """
    from lumen_proxy.health import diagnosis as diagnose  # noqa: PLC0415

    settings = _load(args)
    diagnosis = diagnose.examine(
        settings,
        within_s=args.within or (settings.timeout_s if args.deep else diagnose.WITHIN_S),
        deep=args.deep,
        start=args.start,
        venv=args.venv,
    )
    return diagnose.report(diagnosis, as_json=args.json)


def _dashboard(args: argparse.Namespace) -> int:
    """Show all channels on one screen; with --watch refresh it."""
    from lumen_proxy.monitor import dashboard  # noqa: PLC0415

    settings = _load(args)
    if args.watch is None:
        return dashboard.once(settings, as_json=args.json)
    dashboard.watch(settings, args.watch, as_json=args.json)
    return Exit.OK


def _watch(args: argparse.Namespace) -> int:
    """Probe all channels periodically; send an alert when one goes down or comes back."""
    from lumen_proxy.monitor import watch  # noqa: PLC0415

    watch.run(_load(args), args.seconds, as_json=args.json)
    return Exit.OK


def _logs(args: argparse.Namespace) -> int:
    """Print the newest lines of journal and logs, of all ports or of --port, in order of time."""
    from lumen_proxy.logs import reader  # noqa: PLC0415

    settings = _load(args)
    follower = reader.Follower(settings.log_dir, _named_port(settings))
    reader.show(follower, last=args.lines, follow=args.follow, as_json=args.json, local=args.local)
    return Exit.OK


def _demo(_: argparse.Namespace) -> int:
    """Show that the next request is answered after a worker was killed. Needs no network."""
    from lumen_proxy.sandbox import demo  # noqa: PLC0415

    return demo.main()


def _check(args: argparse.Namespace) -> int:
    """Check a virtual environment: folder, interpreter and every package that the proxy needs."""
    from lumen_proxy.supervisor import preflight  # noqa: PLC0415

    report = preflight.examine(args.venv or Path(sys.prefix))
    if args.json:
        streams.show(report.as_json())
    else:
        for line in report.lines():
            streams.show(line)
    return Exit.OK if report.ok else Exit.UNAVAILABLE


def _config(args: argparse.Namespace) -> int:
    """Print every setting, its value and its source, for this shell or (--running) for the running proxy."""
    from lumen_proxy.cli import tables  # noqa: PLC0415

    settings = _load(args)
    rows = tables.settings_of_the_running(settings) if args.running else tables.settings_of(settings)
    streams.show(json.dumps({"settings": rows}, default=str) if args.json else tables.config(rows))
    return Exit.OK


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], Callable[[argparse.ArgumentParser], None]]] = {
    "serve": (_serve, options.serve),
    "start": (_start, options.start),
    "stop": (_stop, options.report),
    "restart": (_restart, options.restart),
    "status": (_status, options.report),
    "ps": (_ps, options.report),
    "diagnose": (_diagnose, options.diagnose),
    "dashboard": (_dashboard, options.dashboard),
    "watch": (_watch, options.watch),
    "logs": (_logs, options.logs),
    "check": (_check, options.check),
    "config": (_config, options.show_config),
    "demo": (_demo, options.nothing),
}
