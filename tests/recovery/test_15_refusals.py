"""Scenario 15: bad input ends the start with the documented exit status and one line, and does no other harm.

Setup: one start for each kind of bad input. In two of them another server holds the port: it must still answer after
the refusal. One of these two has a bad setting as well, which must be reported instead of the port: so the proxy checks
its settings before it opens the port.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.registry import Check, check_each, expect
from lumen_conformance.stages import virtual_environments
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target

REFUSAL_BUDGET_S = 10.0  # a start of the interpreter, 0.1 s here, and a search for the process that holds the port
NOT_HERE = "192.0.2.1"  # RFC 5737: an address of documentation, which no machine has
GATEWAY = {"LUMEN_GATEWAY_URL": "http://gateway.invalid"}
PIP = "pip install"


@dataclass(frozen=True)
class BadInput:
    """One start that must be refused, and the texts of the line.

    ``{folder}`` is a directory that not even root can create: its parent is a regular file. ``{port}`` and ``{owner}``
    are those of a server that listens on the port already, if one of them is used. `damage` is that of the environment.
    """

    status: int
    texts: tuple[str, ...]
    environ: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    damage: str = ""


def option(status: int, *arguments: str, texts: tuple[str, ...]) -> BadInput:
    """Return a start with these options."""
    return BadInput(status, texts, {}, arguments)


def broken(damage: str, *texts: str) -> BadInput:
    """Return a start in a damaged environment."""
    return BadInput(69, texts, {}, damage=damage)


BAD_INPUTS: dict[str, BadInput] = {
    "15.1-port-not-a-number": BadInput(78, ("PROXY_PORT", "eighty"), {"PROXY_PORT": "eighty"}),
    "15.2-port-option-not-a-number": option(64, "--port", "eighty", texts=("--port", "eighty")),
    "15.3-port-out-of-range": BadInput(78, ("PROXY_PORT", "65535"), {"PROXY_PORT": "70000"}),
    "15.4-gateway-malformed": BadInput(78, ("LUMEN_GATEWAY_URL", "https://"), {"LUMEN_GATEWAY_URL": "gateway"}),
    "15.5-gateway-port-malformed": BadInput(78, ("LUMEN_GATEWAY_URL",), {"LUMEN_GATEWAY_URL": "http://127.0.0.1:x"}),
    "15.6-misspelt-variable": BadInput(78, ("LUMEN_TIMEOUT", "LUMEN_TIMEOUT_S"), {"LUMEN_TIMEOUT": "5"}),
    "15.7-unknown-option": option(64, "--prot", "1", texts=("--prot",)),
    "15.8-open-without-key": BadInput(77, ("0.0.0.0", "PROXY_API_KEY"), {"PROXY_HOST": "0.0.0.0"}),  # noqa: S104 - must be refused
    "15.9-state-dir-unwritable": BadInput(73, ("LUMEN_STATE_DIR", "{folder}"), {"LUMEN_STATE_DIR": "{folder}"}),
    "15.10-log-dir-unwritable": BadInput(73, ("LUMEN_LOG_DIR", "{folder}"), {"LUMEN_LOG_DIR": "{folder}"}),
    "15.11-port-taken": BadInput(75, (":{port}", "pid {owner}"), {"PROXY_PORT": "{port}"}),
    "15.12-environment-broken": broken("flask-missing", "flask", PIP),
    "15.13-dependency-missing": broken("werkzeug-missing", "werkzeug", f'{PIP} "werkzeug>=3,<4"'),
    "15.14-module-torn": broken("flask-torn", "'Flask'", f'{PIP} --force-reinstall "flask>=3,<4"'),
    "15.15-gateway-label-empty": BadInput(78, ("LUMEN_GATEWAY_URL", "a..b"), {"LUMEN_GATEWAY_URL": "http://a..b"}),
    "15.16-proxy-port-malformed": BadInput(
        78, ("http_proxy", "127.0.0.1:x", "unset"), {**GATEWAY, "http_proxy": "http://127.0.0.1:x"}
    ),
    "15.17-socks-proxy": BadInput(
        78,
        ("ALL_PROXY", "socks5://127.0.0.1:1080", "http://", "no_proxy"),
        {**GATEWAY, "ALL_PROXY": "socks5://127.0.0.1:1080"},
    ),
    "15.18-bundle-missing": BadInput(
        78,
        ("REQUESTS_CA_BUNDLE", "no-such-file.pem", "unset"),
        {"LUMEN_GATEWAY_URL": "https://gateway.invalid", "REQUESTS_CA_BUNDLE": "no-such-file.pem"},
    ),
    "15.20-address-not-here": BadInput(
        71, (NOT_HERE, "--host"), {"PROXY_HOST": NOT_HERE, "PROXY_API_KEY": "a-key-for-15.20"}
    ),
    "15.21-before-the-port": BadInput(
        78, ("LUMEN_HISTORY", "never"), {"LUMEN_HISTORY": "never", "PROXY_PORT": "{port}"}
    ),
    "15.22-origin-malformed": BadInput(
        78, ("LUMEN_ALLOWED_ORIGINS", "example.com/"), {"LUMEN_ALLOWED_ORIGINS": "example.com/"}
    ),
}


@dataclass(frozen=True)
class RefusalEvidence(StageStep):
    """The evidence: how the start ended, and what the owner of the port answered before and after.

    ``exit_status`` is None if it still ran after `REFUSAL_BUDGET_S`. ``texts`` are those of the input, filled in.
    """

    exit_status: int | None
    message: str
    texts: tuple[str, ...]
    banner: str = ""
    banner_after: str = ""


@stage(scenario=15, needs=("journal",), variants={name.partition("-")[2]: row for name, row in BAD_INPUTS.items()})
def refusal(launch: Launcher, target: Target, squat: Squatters, folder: Path, variant: BadInput) -> RefusalEvidence:
    """Start once with bad input."""
    (folder / "file").write_text("not a directory")
    names = {"folder": str(folder / "file" / "new")}
    squatter = squat("banner") if "{port}" in variant.environ.values() else None
    if squatter:
        names |= {"port": str(squatter.port), "owner": str(squatter.pid)}
    tool = (str(damaged(folder / "venv", variant.damage)), "-m", "lumen_proxy") if variant.damage else target.tool
    started = launch(
        ready=False,
        target=replace(target, command=(*tool, "serve", *variant.arguments)),
        env={"PROXY_PORT": "0"} | {name: value.format_map(names) for name, value in variant.environ.items()},
        gateway=variant.environ.get("LUMEN_GATEWAY_URL"),
    )
    exit_status = started.observe_exit(REFUSAL_BUDGET_S)
    started.end()
    message = started.stderr.read_text("utf-8", errors="backslashreplace")
    texts = tuple(text.format_map(names) for text in variant.texts)
    if squatter is None:
        return RefusalEvidence(exit_status, message, texts)
    return RefusalEvidence(exit_status, message, texts, squatter.banner, squatter.answer() or "")


def damaged(folder: Path, damage: str) -> Path:
    """Create a damaged environment; return its interpreter."""
    virtual_environments.create_healthy(folder, "lumen-proxy")
    virtual_environments.DAMAGES[damage](folder)
    return virtual_environments.interpreter(folder)


def describe_refusal(check_id: str) -> Check:
    """Return the check of one input, with its claim."""
    problem = check_id.partition("-")[2].replace("-", " ").capitalize()
    status = BAD_INPUTS[check_id].status
    return Check(check_id, claim=f"{problem}: the start ends with exit status {status} and one line that names it.")


@check_each(
    "refusal",
    {describe_refusal(check_id): check_id.partition("-")[2] for check_id in BAD_INPUTS},
    source="sysexits(3): EX_USAGE is 64, EX_UNAVAILABLE 69, EX_OSERR 71, EX_CANTCREAT 73, EX_TEMPFAIL 75, EX_NOPERM 77,"
    " EX_CONFIG 78; docs/behaviour.md: Settings",
    is_stage=True,
)
def test_bad_input_is_refused(refusal: RefusalEvidence, check_id: Check) -> None:
    """Bad input ends the start with its documented exit status and one line that names it."""
    status = BAD_INPUTS[check_id.id].status
    expect(refusal.exit_status == status, f"exit status {status}", f"{refusal.exit_status}: {refusal.message!r}")
    lines = refusal.message.splitlines()
    expect(len(lines) == 1, "one line on standard error", f"{len(lines)} lines: {refusal.message!r}")
    expect(lines[0].startswith("lumen-proxy: "), "a line that begins with the name of the program", repr(lines[0]))
    for text in refusal.texts:
        expect(text.lower() in lines[0].lower(), f"a line with {text!r}", repr(lines[0]))


@check_each(
    "refusal",
    {"15.19-owner-unharmed": "port-taken"},
    source="docs/adr/0003-supervisor-holds-the-socket.md: nothing is killed and nothing moves",
    is_stage=True,
)
def test_nobody_is_harmed(refusal: RefusalEvidence) -> None:
    """The server that holds the port answers after the refusal as before."""
    expect(refusal.banner_after == refusal.banner, f"the answer {refusal.banner!r}", refusal.banner_after or "none")
