"""The command line: commands, options and exit statuses; each command's work is done elsewhere.

Imports are made by the command that needs them: `check` must run where nothing is installed, and
`serve` must not wait for what it does not use.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import lumen_proxy
from lumen_proxy import config, dependencies, import_failure, options
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ops import console

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from lumen_proxy.ops import control


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    console.prepare()
    try:
        args = _parser().parse_args(argv)
        status: int = COMMANDS[args.command][0](args)
    except Fatal as verdict:
        console.tell(str(verdict))
        return verdict.exit_status
    except KeyboardInterrupt:
        console.tell("interrupted")
        return Exit.SOFTWARE
    except Exception as error:  # noqa: BLE001 - a defect of ours is one line too, and its status says so
        return _failed(error)
    finally:
        console.settle()
    return status


def _failed(error: Exception) -> Exit:
    """Print one line about an error that no command handles; return its exit status."""
    if line := import_failure.explain(error):
        console.tell(line)
        return Exit.UNAVAILABLE
    if isinstance(error, OSError):
        console.tell(f"{error.filename or 'the system says'}: {error.strerror or error}")
        return Exit.OS
    console.tell(f"internal error: {error!a}; please report it")
    return Exit.SOFTWARE


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(prog="lumen-proxy", description=lumen_proxy.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"lumen-proxy {lumen_proxy.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (run, add_options) in COMMANDS.items():
        command = commands.add_parser(name, help=run.__doc__, description=run.__doc__, allow_abbrev=False)
        add_options(command)
    return parser


def _load(args: argparse.Namespace) -> config.Settings:
    given = vars(args)
    overrides = {s.field: given[s.field] for s in config.SETTINGS if given.get(s.field) is not None}
    settings = config.load(overrides=overrides)
    for warning in settings.warnings:
        console.tell(warning)
    return settings.in_sandbox() if given.get("sandbox") else settings


def _serve(args: argparse.Namespace) -> int:
    """Run in the foreground until told to stop."""
    from lumen_proxy.supervisor.serve import serve  # noqa: PLC0415

    settings = _load(args)
    if missing := dependencies.missing():
        raise Fatal(dependencies.describe_missing(missing), Exit.UNAVAILABLE)
    tell = console.tell_below(settings.log_max_bytes) if args.detached else console.tell
    if not settings.sandboxed:
        return serve(settings, announce=console.announce, tell=tell)
    from lumen_proxy.ops import sandbox  # noqa: PLC0415

    with sandbox.instead_of_the_cloud(settings) as settings:
        return serve(settings, announce=console.announce, tell=tell)


def _tell(outcome: control.Outcome, *, as_json: bool) -> int:
    for problem in outcome.problems:
        console.tell(problem)
    if as_json:
        console.show(json.dumps(dataclasses.asdict(outcome)))
    elif outcome.said:
        console.show(outcome.said)
    return outcome.exit_status


def _start(args: argparse.Namespace) -> int:
    """Start in the background and wait until ready."""
    from lumen_proxy.ops import control  # noqa: PLC0415

    return _tell(control.start(_load(args)), as_json=args.json)


def _stop(args: argparse.Namespace) -> int:
    """Finish what is in flight, then end."""
    from lumen_proxy.ops import control  # noqa: PLC0415

    return _tell(control.stop(_load(args)), as_json=args.json)


def _restart(args: argparse.Namespace) -> int:
    """Stop, then start; in its sandbox if it was there."""
    from lumen_proxy.ops import control  # noqa: PLC0415
    from lumen_proxy.supervisor import state  # noqa: PLC0415

    settings = _load(args)
    runs = state.holder(settings.state_dir, settings.port)
    if runs and runs.sandbox and not settings.sandboxed:
        settings = settings.in_sandbox()
        console.tell("stays in its sandbox; to leave it: lumen-proxy stop, then: lumen-proxy start")
    stopped = control.stop(settings)
    if not args.json:
        _tell(stopped, as_json=False)
    return _tell(control.start(settings), as_json=args.json)


def _status(args: argparse.Namespace) -> int:
    """Tell what is on the port. 0 if it is ours and answers, 75 if a stranger has it, else 69."""
    from lumen_proxy.ops import control  # noqa: PLC0415

    seen = control.look(_load(args))
    if args.json:
        console.show(json.dumps(dataclasses.asdict(seen)))
    else:
        known = {name: value for name, value in dataclasses.asdict(seen).items() if value is not None}
        console.show(", ".join(f"{name} {value}" for name, value in known.items()))
    statuses = {"running": Exit.OK, "another": Exit.PORT_IN_USE, "stranger": Exit.PORT_IN_USE}
    return statuses.get(seen.condition, Exit.UNAVAILABLE)


def _diagnose(args: argparse.Namespace) -> int:
    """Ask all channels at once; tell what is wrong and what to do. 0 if all is green, else 69."""
    from lumen_proxy.ops import diagnose  # noqa: PLC0415

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
    """Show all channels on one screen, with --watch again and again."""
    from lumen_proxy.ops import dashboard  # noqa: PLC0415

    settings = _load(args)
    if args.watch is None:
        return dashboard.once(settings, as_json=args.json)
    dashboard.watch(settings, args.watch, as_json=args.json)
    return Exit.OK


def _watch(args: argparse.Namespace) -> int:
    """Look at all channels again and again; send an alert when one goes down or is back."""
    from lumen_proxy.ops import watching  # noqa: PLC0415

    watching.run(_load(args), args.seconds, as_json=args.json)
    return Exit.OK


def _logs(args: argparse.Namespace) -> int:
    """Print the newest lines of journal and logs, across rotations, in order of time."""
    from lumen_proxy.ops import logs  # noqa: PLC0415

    logs.show(_load(args).log_dir, last=args.lines, follow=args.follow, as_json=args.json)
    return Exit.OK


def _demo(_: argparse.Namespace) -> int:
    """Show a worker being killed and the next question being answered. Needs no network."""
    from lumen_proxy.ops import demo  # noqa: PLC0415

    return demo.main()


def _check(args: argparse.Namespace) -> int:
    """Check a virtual environment: folder, interpreter and every package that the proxy needs."""
    from lumen_proxy.supervisor import preflight  # noqa: PLC0415

    report = preflight.examine(args.venv or Path(sys.prefix))
    if args.json:
        console.show(report.as_json())
    else:
        for line in report.lines():
            console.show(line)
    return Exit.OK if report.ok else Exit.UNAVAILABLE


def _config(args: argparse.Namespace) -> int:
    """Print every setting, its value and where it came from."""
    settings = _load(args)
    rows = []
    for setting in config.SETTINGS:
        value = getattr(settings, setting.field)
        shown = "(secret)" if setting.secret and value else value
        rows.append((setting.variable, shown, settings.origins[setting.field]))
    if args.json:
        listed = [dict(zip(("variable", "value", "origin"), row, strict=True)) for row in rows]
        console.show(json.dumps({"settings": listed}, default=str))
    else:
        for variable, shown, origin in rows:
            console.show(f"{variable:26} {'(none)' if shown in (None, ()) else config.typed(shown)}  [{origin}]")
    return Exit.OK


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], Callable[[argparse.ArgumentParser], None]]] = {
    "serve": (_serve, options.serve),
    "start": (_start, options.start),
    "stop": (_stop, options.report),
    "restart": (_restart, options.start),
    "status": (_status, options.report),
    "diagnose": (_diagnose, options.diagnose),
    "dashboard": (_dashboard, options.dashboard),
    "watch": (_watch, options.watch),
    "logs": (_logs, options.logs),
    "check": (_check, options.check),
    "config": (_config, options.report),
    "demo": (_demo, options.nothing),
}
