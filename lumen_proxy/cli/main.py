"""The command line: commands and their exit statuses.

Each command imports what it needs: `check` must run where no package is installed, and `serve` must start fast.
"""

from __future__ import annotations

import contextlib
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

    from lumen_proxy.control.result import ControlResult


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    streams.prepare()
    try:
        args = _parse(argv)
        status: int = args.run(args)
        return status if args.command == "serve" else _check_output(status)  # `serve` does not depend on its output
    except SystemExit as end:  # of --help and --version
        raise SystemExit(_check_output(end.code)) from None
    except Fatal as error:
        streams.notify(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        streams.notify("interrupted")
        return Exit.SOFTWARE
    except Exception as error:  # noqa: BLE001 - an internal error is also one line, with an exit status of its own
        return _report(error)
    finally:
        streams.flush()


T = TypeVar("T")


def _check_output(status: T) -> T | Exit:
    """The status, but 74 if standard output could not be written."""
    streams.flush()
    if why := streams.output_error():
        streams.notify(f"cannot write standard output: {why}; the output is lost, redirect it to another place")
        return Exit.IO
    return status


def _report(error: Exception) -> Exit:
    """Print one line about an error that no command handles; return its exit status."""
    if line := import_failure.explain(error):
        streams.notify(line)
        return Exit.UNAVAILABLE
    if isinstance(error, OSError):
        streams.notify(f"{error.filename or 'system error'}: {error.strerror or error}")
        return Exit.OS
    streams.notify(f"internal error: {error!a}; please report it")
    return Exit.SOFTWARE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options. Raises Fatal (64), which names the help of the command."""
    parser = _parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        program = f"{parser.prog} {args.command}" if args.command else parser.prog
        raise options.usage_error(f"unrecognized arguments: {' '.join(unknown)}", program)
    return args


def _parser() -> argparse.ArgumentParser:
    parser = options.OptionParser(prog="lumen-proxy", description=lumen_proxy.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"lumen-proxy {lumen_proxy.__version__}")
    parser.set_defaults(run=lambda _: _print_help(parser))
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for name, (run, add_options) in COMMANDS.items():
        command = commands.add_parser(name, help=run.__doc__, description=run.__doc__, allow_abbrev=False)
        add_options(command)
        options.set_usage(command)
        command.set_defaults(run=run)
    return parser


def _print_help(parser: argparse.ArgumentParser) -> int:
    """Without a command: print the help to standard output like git and docker; return 64 for scripts."""
    streams.show(parser.format_help().rstrip())
    return Exit.USAGE


def _setting_options(args: argparse.Namespace) -> dict[str, str]:
    given = vars(args)
    return {s.field: given[s.field] for s in config.SETTINGS if given.get(s.field) is not None}


def _load(args: argparse.Namespace) -> config.Settings:
    settings = config.load(overrides=_setting_options(args))
    for warning in settings.warnings:
        streams.notify(warning)
    return settings.in_sandbox() if vars(args).get("sandbox") else settings


def _serve(args: argparse.Namespace) -> int:
    """Run in the foreground until stopped."""
    from lumen_proxy.control.start_check import check_startable  # noqa: PLC0415
    from lumen_proxy.supervisor.serve import serve  # noqa: PLC0415

    settings = _load(args).given_as_options(filter(None, (args.detached or "").split(",")))
    check_startable(settings)
    log_path = streams.log_path(settings.log_dir, settings.port)
    notify = streams.notify_in_log(settings.log_max_bytes, log_path) if args.detached is not None else streams.notify
    on_event = None
    if settings.slack_webhook_url or settings.webhook_url:
        from lumen_proxy.health.crash_alarm import CrashAlarm  # noqa: PLC0415

        on_event = CrashAlarm(settings).receive
    with contextlib.ExitStack() as stack:
        if settings.sandboxed:
            from lumen_proxy.sandbox import gateway  # noqa: PLC0415

            settings = stack.enter_context(gateway.embedded_channels(settings))
        return serve(
            settings, announce=streams.announce, notify=notify, on_journal_event=on_event, restart_lock=args.take_over
        )


def _named_port(settings: config.Settings) -> int | None:
    """The port that is given as an option; without it, some commands are about all instances."""
    return settings.port if settings.origins["port"] == "option" else None


def _print_result(result: ControlResult, *, as_json: bool) -> int:
    for problem in result.problems:
        streams.notify(problem)
    if as_json:
        streams.show(json.dumps(dataclasses.asdict(result)))
    elif result.said:
        streams.show(result.said)
    if result.note and not as_json:
        streams.notify(result.note)
    return result.exit_status


def _start(args: argparse.Namespace) -> int:
    """Start in the background and wait until ready."""
    from lumen_proxy.control.start import start  # noqa: PLC0415

    return _print_result(start(_load(args), streams.notify), as_json=args.json)


def _stop(args: argparse.Namespace) -> int:
    """Finish the requests in progress, then stop the proxy."""
    from lumen_proxy.control.stop import stop  # noqa: PLC0415

    return _print_result(stop(_load(args), streams.notify), as_json=args.json)


def _restart(args: argparse.Namespace) -> int:
    """Replace the running proxy by a new one with the same settings; options given here override them."""
    from lumen_proxy.control.restart import restart  # noqa: PLC0415

    show = streams.notify if args.json else streams.show
    result = restart(_setting_options(args), sandbox=args.sandbox, notify=streams.notify, show=show)
    return _print_result(result, as_json=args.json)


def _status(args: argparse.Namespace) -> int:
    """Show what is on the port.

    Exit status: 0 this proxy answers, 75 another program uses the port, 69 nothing answers.
    """
    from lumen_proxy.cli import tables  # noqa: PLC0415
    from lumen_proxy.control import instances  # noqa: PLC0415

    status = instances.inspect(_load(args))
    streams.show(json.dumps(dataclasses.asdict(status)) if args.json else tables.format_status(status))
    exit_statuses = {"running": Exit.OK, "another": Exit.PORT_IN_USE, "stranger": Exit.PORT_IN_USE}
    return exit_statuses.get(status.condition, Exit.UNAVAILABLE)


def _ps(args: argparse.Namespace) -> int:
    """List all instances of this user, or that of --port: those in the state directory, running or not."""
    from lumen_proxy.cli import tables  # noqa: PLC0415
    from lumen_proxy.control import instances  # noqa: PLC0415

    settings = _load(args)
    rows = instances.inspect_all(settings, _named_port(settings))
    as_json = args.json and json.dumps([dataclasses.asdict(row) for row in rows])
    streams.show(as_json or tables.format_instances(rows, settings))
    return Exit.OK


def _diagnose(args: argparse.Namespace) -> int:
    """Probe all channels at once; show what is wrong and what to do.

    Exit status: 0 if everything that the proxy uses is up, else 69.
    """
    from lumen_proxy.health import diagnosis  # noqa: PLC0415

    settings = _load(args)
    found = diagnosis.diagnose(
        settings,
        within_s=args.within or (settings.timeout_s if args.deep else diagnosis.WITHIN_S),
        deep=args.deep,
        start=args.start,
        venv=args.venv,
    )
    return diagnosis.report(found, as_json=args.json)


def _dashboard(args: argparse.Namespace) -> int:
    """Show all channels on one screen; with --watch refresh it."""
    from lumen_proxy.monitor import dashboard  # noqa: PLC0415

    settings = _load(args)
    if args.watch is None:
        return dashboard.show_once(settings, as_json=args.json)
    dashboard.run(settings, args.watch, as_json=args.json)
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
    """Kill a worker and show that the next request is answered. Needs no network."""
    from lumen_proxy.sandbox import demo  # noqa: PLC0415

    return demo.main()


def _check(args: argparse.Namespace) -> int:
    """Check a virtual environment: folder, interpreter and every package that the proxy needs."""
    from lumen_proxy.health import preflight  # noqa: PLC0415

    report = preflight.check_environment(args.venv or Path(sys.prefix))
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
    rows = tables.running_settings(settings) if args.running else tables.shell_settings(settings)
    streams.show(json.dumps({"settings": rows}, default=str) if args.json else tables.format_settings(rows))
    return Exit.OK


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], Callable[[argparse.ArgumentParser], None]]] = {
    "serve": (_serve, options.add_serve),
    "start": (_start, options.add_start),
    "stop": (_stop, options.add_report),
    "restart": (_restart, options.add_restart),
    "status": (_status, options.add_report),
    "ps": (_ps, options.add_report),
    "diagnose": (_diagnose, options.add_diagnose),
    "dashboard": (_dashboard, options.add_dashboard),
    "watch": (_watch, options.add_watch),
    "logs": (_logs, options.add_logs),
    "check": (_check, options.add_check),
    "config": (_config, options.add_config),
    "demo": (_demo, options.add_nothing),
}
