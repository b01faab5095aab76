"""Scenario 15: bad input ends the start with the documented exit status and one line, and does no other harm."""

from __future__ import annotations

from pathlib import Path

from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.registry import Check, check, check_each
from lumen_conformance.stages import virtual_environments
from lumen_conformance.targets.launch import Launcher

REFUSAL_BUDGET_S = 10.0  # a start of the interpreter, 0.1 s here, and a search for the process that holds the port


def uncreatable_folder(tmp_path: Path, name: str) -> str:
    """Return a directory that not even root can create: its parent is a regular file."""
    (tmp_path / "file").write_text("not a directory")
    return str(tmp_path / "file" / name)


REFUSALS: dict[str, tuple[dict[str, str], tuple[str, ...], int, tuple[str, ...]]] = {
    "15.1-port-not-a-number": ({"PROXY_PORT": "eighty"}, (), 78, ("PROXY_PORT", "eighty")),
    "15.2-port-option-not-a-number": ({}, ("--port", "eighty"), 64, ("--port", "eighty")),
    "15.3-port-out-of-range": ({"PROXY_PORT": "70000"}, (), 78, ("PROXY_PORT", "65535")),
    "15.4-gateway-malformed": ({"LUMEN_GATEWAY_URL": "gateway"}, (), 78, ("LUMEN_GATEWAY_URL", "https://")),
    "15.5-gateway-port-malformed": ({"LUMEN_GATEWAY_URL": "http://127.0.0.1:x"}, (), 78, ("LUMEN_GATEWAY_URL",)),
    "15.6-misspelt-variable": ({"LUMEN_TIMEOUT": "5"}, (), 78, ("LUMEN_TIMEOUT", "LUMEN_TIMEOUT_S")),
    "15.7-unknown-option": ({}, ("--prot", "1"), 64, ("--prot",)),
    "15.8-open-without-key": ({"PROXY_HOST": "0.0.0.0"}, (), 77, ("0.0.0.0", "PROXY_API_KEY")),  # noqa: S104 - must be refused
    "15.15-gateway-label-empty": ({"LUMEN_GATEWAY_URL": "http://a..b"}, (), 78, ("LUMEN_GATEWAY_URL", "a..b")),
    "15.16-proxy-port-malformed": (
        {"LUMEN_GATEWAY_URL": "http://gateway.invalid", "http_proxy": "http://127.0.0.1:x"},
        (),
        78,
        ("http_proxy", "127.0.0.1:x", "unset"),
    ),
    "15.17-socks-proxy": (
        {"LUMEN_GATEWAY_URL": "http://gateway.invalid", "ALL_PROXY": "socks5://127.0.0.1:1080"},
        (),
        78,
        ("ALL_PROXY", "socks5://127.0.0.1:1080", "http://", "no_proxy"),
    ),
    "15.18-bundle-missing": (
        {"LUMEN_GATEWAY_URL": "https://gateway.invalid", "REQUESTS_CA_BUNDLE": "no-such-file.pem"},
        (),
        78,
        ("REQUESTS_CA_BUNDLE", "no-such-file.pem", "unset"),
    ),
}
"""Id → environment, arguments, exit status, texts in the line."""


def describe_refusal(check_id: str) -> Check:
    problem = check_id.partition("-")[2].replace("-", " ").capitalize()
    return Check(
        check_id,
        claim=f"{problem}: the start ends with exit status {REFUSALS[check_id][2]} and one line that names it.",
    )


@check_each(
    "case",
    {describe_refusal(check_id): case for check_id, case in REFUSALS.items()},
    source="sysexits(3): EX_USAGE is 64, EX_NOPERM 77, EX_CONFIG 78; docs/behaviour.md: Settings",
)
def test_bad_input_is_refused(
    launch: Launcher, case: tuple[dict[str, str], tuple[str, ...], int, tuple[str, ...]]
) -> None:
    """Bad input ends the start with its documented exit status and one line that names it."""
    environ, arguments, status, texts = case
    port = {} if {"PROXY_PORT", "--port"} & {*environ, *arguments} else {"PROXY_PORT": "0"}
    done = launch.run("serve", *arguments, env={**port, **environ}, within_s=REFUSAL_BUDGET_S)
    assert_refused(done.exit_status, done.stderr, status, texts)


@check_each(
    "variable",
    {"15.9-state-dir-unwritable": "LUMEN_STATE_DIR", "15.10-log-dir-unwritable": "LUMEN_LOG_DIR"},
    source="sysexits(3): EX_CANTCREAT is 73",
)
def test_unwritable_directory(launch: Launcher, tmp_path: Path, variable: str) -> None:
    """A directory that cannot be created ({variable}) ends the start with exit status 73 and one line with the path."""
    folder = uncreatable_folder(tmp_path, "state")
    done = launch.run("serve", env={"PROXY_PORT": "0", variable: folder}, within_s=REFUSAL_BUDGET_S)
    assert_refused(done.exit_status, done.stderr, 73, (variable, folder))


@check("15.11-port-taken", source="sysexits(3): EX_TEMPFAIL is 75; bind(2): EADDRINUSE")
def test_port_taken(launch: Launcher, squat: Squatters) -> None:
    """A taken port ends the start with exit status 75 and one line with the owner, which is not harmed."""
    squatter = squat("banner")
    done = launch.run("serve", env={"PROXY_PORT": str(squatter.port)}, within_s=REFUSAL_BUDGET_S)
    assert_refused(done.exit_status, done.stderr, 75, (f":{squatter.port}", f"pid {squatter.pid}"))
    assert squatter.answer() == squatter.banner


BROKEN = {
    "15.12-environment-broken": ("flask-missing", ("flask", "pip install")),
    "15.13-dependency-missing": ("werkzeug-missing", ("werkzeug", 'pip install "werkzeug>=3,<4"')),
    "15.14-module-torn": ("flask-torn", ("'Flask'", 'pip install --force-reinstall "flask>=3,<4"')),
}
"""Id → damage, texts in the line."""


@check_each(
    "case",
    BROKEN,
    source="sysexits(3): EX_UNAVAILABLE is 69; docs/adr/0011-safe-path.md: an exception while a package is imported",
)
def test_environment_broken(launch: Launcher, tmp_path: Path, case: tuple[str, tuple[str, ...]]) -> None:
    """A broken environment ({row}) ends the start with exit status 69 and one line with the module and the repair."""
    damage, texts = case
    folder = virtual_environments.create_healthy(tmp_path / "venv", "lumen-proxy")
    virtual_environments.DAMAGES[damage](folder)
    tool = (str(virtual_environments.interpreter(folder)), "-m", "lumen_proxy")
    done = launch.run("serve", env={"PROXY_PORT": "0"}, tool=tool, within_s=REFUSAL_BUDGET_S)
    assert_refused(done.exit_status, done.stderr, 69, texts)


def assert_refused(exit_status: int, message: str, status: int, texts: tuple[str, ...]) -> None:
    assert exit_status == status, message
    (line,) = message.splitlines()
    assert line.startswith("lumen-proxy: ")
    assert [text for text in texts if text.lower() not in line.lower()] == [], line
