"""Known issues and their fixes: seven of users, three of networks."""

from __future__ import annotations

from dataclasses import dataclass

from lumen_proxy.control.advice import NEXT_PORT
from lumen_proxy.dependencies import NEW_VENV, PYTHON


@dataclass(frozen=True)
class KnownIssue:
    """`fix` is the next step, `check` the command that shows whether the issue is fixed."""

    id: str
    title: str
    fix: str
    check: str


USER_ISSUES = {
    issue.id: issue
    for issue in (
        KnownIssue("proxy-connection", "local proxy connection failure", "lumen-proxy start", "lumen-proxy status"),
        KnownIssue(
            "cloud-ai-404",
            "Cloud AI 404: the path is wrong, or the service is switched off",
            "set CLOUD_AI_URL to the address that ends in /chat (/api/chat no longer exists)",
            "lumen-proxy diagnose --no-start",
        ),
        KnownIssue(
            "gateway-timeout",
            "Lumen Gateway time-out",
            "wait a minute and try again (a cold start takes seconds); if it still fails, check LUMEN_GATEWAY_URL",
            "lumen-proxy diagnose --no-start --within 60",
        ),
        KnownIssue(
            "proxy-timestamp",
            "proxy timestamp error: the old proxy, which fails on the gateway's timestamp, is still running",
            "stop the old proxy, then: lumen-proxy start",
            "lumen-proxy diagnose",
        ),
        KnownIssue(
            "venv-python-missing",
            "the virtual environment's Python is missing",
            f"{PYTHON} -m venv --clear {NEW_VENV}",
            "lumen-proxy check --venv .venv",
        ),
        KnownIssue(
            "flask-missing",
            "the Flask module is missing",
            f'{PYTHON} -m pip install "flask>=3,<4"',
            "lumen-proxy check",
        ),
        KnownIssue(
            "port-conflict",
            "port conflict",
            f"stop the program that owns the port, or choose another: lumen-proxy start {NEXT_PORT}",
            f"lumen-proxy status {NEXT_PORT}",
        ),
    )
}
NETWORK_ISSUES = {
    issue.id: issue
    for issue in (
        KnownIssue(
            "proxy-407",
            "a proxy on the way to the channel asks for credentials (407)",
            "put them into its variable, http://USER:PASSWORD@HOST:PORT, then: lumen-proxy restart",
            "lumen-proxy diagnose --no-start",
        ),
        KnownIssue(
            "proxy-unsupported",
            "the environment names a proxy of a kind that is not supported, such as SOCKS",
            "name an http:// proxy, or add the channel's host to no_proxy, then: lumen-proxy restart",
            "lumen-proxy diagnose --no-start",
        ),
        KnownIssue(
            "captive-portal",
            "a web page instead of the channel's answer: a sign-in page, a filter, or a wrong address",
            "open a browser and sign in to the network; if it stays, check the address that was called",
            "lumen-proxy diagnose --no-start",
        ),
    )
}
ALL_ISSUES = USER_ISSUES | NETWORK_ISSUES
