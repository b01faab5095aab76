"""The seven known issues that users have met, each with the command that fixes it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy.dependencies import NEW_VENV, PYTHON

if TYPE_CHECKING:
    from lumen_proxy.config import Settings

USUAL_PORT = 8080
HIGHEST_PORT = 65_535
ELSEWHERE = "{elsewhere}"  # replaced by the option that names the port next to the one in use
A_START = re.compile(r"lumen-proxy (?:start|restart)\b(?!.*--(?:no-)?sandbox)")
ABOUT_A_PORT = re.compile(r"lumen-proxy (?:start|stop|restart|status|diagnose)\b(?!.*--port)")


@dataclass(frozen=True)
class Case:
    """`do` is the next step, `see` the command that shows whether it is fixed."""

    id: str
    title: str
    do: str
    see: str


CASES = {
    case.id: case
    for case in (
        Case("proxy-connection", "local proxy connection failure", "lumen-proxy start", "lumen-proxy status"),
        Case(
            "cloud-ai-404",
            "Cloud AI 404: the path is wrong, or the service is switched off",
            "set CLOUD_AI_URL to the address that ends in /chat (the old one in /api/chat is gone)",
            "lumen-proxy diagnose --no-start",
        ),
        Case(
            "gateway-timeout",
            "Lumen Gateway time-out",
            "wait a minute and try again (a cold start takes seconds); if it still fails, check LUMEN_GATEWAY_URL",
            "lumen-proxy diagnose --no-start --within 60",
        ),
        Case(
            "proxy-timestamp",
            "proxy timestamp error: the old proxy, which fails on the gateway's timestamp, is still running",
            "stop the old proxy, then: lumen-proxy start",
            "lumen-proxy diagnose",
        ),
        Case(
            "venv-python-missing",
            "the virtual environment's Python is missing",
            f"{PYTHON} -m venv --clear {NEW_VENV}",
            "lumen-proxy check --venv .venv",
        ),
        Case(
            "flask-missing",
            "the Flask module is missing",
            f'{PYTHON} -m pip install "flask>=3,<4"',
            "lumen-proxy check",
        ),
        Case(
            "port-conflict",
            "port conflict",
            f"stop the program that owns the port, or choose another: lumen-proxy start {ELSEWHERE}",
            f"lumen-proxy status {ELSEWHERE}",
        ),
    )
}
NETWORK = {
    case.id: case
    for case in (
        Case(
            "proxy-407",
            "a proxy on the way to the channel asks for credentials (407)",
            "put them into its variable, http://USER:PASSWORD@HOST:PORT, then: lumen-proxy restart",
            "lumen-proxy diagnose --no-start",
        ),
        Case(
            "proxy-unsupported",
            "the environment names a proxy of a kind that is not supported, such as SOCKS",
            "name an http:// proxy, or add the channel's host to no_proxy, then: lumen-proxy restart",
            "lumen-proxy diagnose --no-start",
        ),
        Case(
            "captive-portal",
            "a web page instead of the channel's answer: a sign-in page, a filter, or a wrong address",
            "open a browser and sign in to the network; if it stays, check the address that was called",
            "lumen-proxy diagnose --no-start",
        ),
    )
}
KNOWN = CASES | NETWORK
"""The troubles of users, and those of networks."""


def on_port(text: str, settings: Settings) -> str:
    """The same advice with the port and sandbox of `settings`, so that a copied command is about the same proxy."""
    beside = settings.port + (1 if settings.port < HIGHEST_PORT else -1)
    text = text.replace(ELSEWHERE, f"--port {beside}{_in_folder(settings)}")
    if settings.sandboxed:
        text = A_START.sub(r"\g<0> --sandbox", text)
    named = selectors(settings)
    return ABOUT_A_PORT.sub(lambda found: f"{found[0]}{named}", text)


def selectors(settings: Settings) -> str:
    """The options by which a command finds the same proxy; a port that every command has anyway is left out."""
    is_usual = settings.port == USUAL_PORT and settings.origins.get("port") == "default"
    return ("" if is_usual else f" --port {settings.port}") + _in_folder(settings)


def _in_folder(settings: Settings) -> str:
    is_option = settings.origins.get("state_dir") == "option"
    return f" --state-dir {shlex.quote(str(settings.state_dir))}" if is_option else ""
