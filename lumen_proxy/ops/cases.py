"""The seven troubles that users of the system have met, each with the one command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lumen_proxy.config import Settings

USUAL_PORT = 8080


@dataclass(frozen=True)
class Case:
    """`do` is the next step, `see` how to know that it is mended."""

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
            "wait a minute and look again (a cold start takes seconds); if it stays, check LUMEN_GATEWAY_URL",
            "lumen-proxy diagnose --no-start --within 60",
        ),
        Case(
            "proxy-timestamp",
            "proxy timestamp error: the old proxy, which stumbles over the gateway's timestamp, is still running",
            "stop the old proxy, then: lumen-proxy start",
            "lumen-proxy diagnose",
        ),
        Case(
            "venv-python-missing",
            "the virtual environment's Python is missing",
            "python -m venv --clear .venv",
            "lumen-proxy check --venv .venv",
        ),
        Case(
            "flask-missing",
            "the Flask module is missing",
            'python -m pip install "flask>=3,<4"',
            "lumen-proxy check",
        ),
        Case(
            "port-conflict",
            "port conflict",
            "stop the program that owns the port, or choose another: lumen-proxy start --port 8081",
            "lumen-proxy status",
        ),
    )
}


def on_port(text: str, settings: Settings) -> str:
    """The same advice for a proxy that is not on the usual port."""
    if settings.port == USUAL_PORT:
        return text
    for command in ("start", "restart", "status"):
        if text.endswith(f"lumen-proxy {command}"):
            return f"{text} --port {settings.port}"
    return text
