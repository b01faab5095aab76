"""The negative twin of each of the seventeen checks and of their details: a fault, and what it must turn red."""

from __future__ import annotations

SEVENTEEN = (
    *(f"1.{number}" for number in range(1, 6)),
    *(f"2.{number}" for number in range(1, 5)),
    *(f"3.{number}" for number in range(1, 5)),
    *(f"4.{number}" for number in range(1, 5)),
)

DETAILS = (
    *("1.1.instance", "1.2.status", "1.3.reaped", "1.4.generation", "1.5.forwarded", "1.5.counted"),
    *("2.2.message", "2.2.nowhere-else", "2.4.nothing-left"),
    *("4.1.free", "4.1.schema", "4.2.forwarded", "4.4.share"),
)
"""Checks of their own beside one of the seventeen, by number: what not every server promises."""

TWINS: dict[str, frozenset[str]] = {
    name: frozenset(red.split())
    for name, red in {
        "dies-at-boot": "1.1 2.4 4.2",
        "health-is-slow": "1.2",
        "health-says-sick": "1.2.status 1.5.counted 4.1.schema",
        "health-names-nobody": "1.1.instance 1.4.generation",
        "never-reaps": "1.3.reaped",
        "never-restarts": "1.4",
        "restarts-too-late": "1.4",
        "generation-stands-still": "1.4.generation",
        "restarts-on-another-port": "1.5",
        "restarts-not-counted": "1.5.counted",
        "dummy-has-no-banner": "2.1",
        "moves-to-another-port": "2.2 2.2.message 2.2.nowhere-else",
        "binds-elsewhere-then-refuses": "2.2.nowhere-else",
        "calls-a-stranger-running": "2.2 2.2.message",
        "conflict-ends-with-1": "2.2.message",
        "conflict-names-no-owner": "2.2.message",
        "conflict-is-a-traceback": "2.2.message",
        "kills-the-squatter": "2.2 2.2.message 2.2.nowhere-else 2.3",
        "leaves-a-stale-lock": "2.4",
        "leaves-a-file": "2.4.nothing-left",
        "folder-missing": "3.1 3.2 3.3 3.4",
        "home-gone": "3.1",
        "interpreter-missing": "3.2 3.3 3.4",
        "interpreter-dangling": "3.2 3.3 3.4",
        "flask-missing": "3.3",
        "flask-too-old": "3.3",
        "requests-missing": "3.4",
        "requests-too-old": "3.4",
        "health-costs-a-call": "4.1.free",
        "health-breaks-its-schema": "4.1.schema",
        "health-shows-secrets": "4.1",
        "answer-is-canned": "1.5.forwarded 4.2.forwarded",
        "asks-the-gateway-twice": "4.2.forwarded",
        "answers-health-but-not-chat": "1.5 4.2",
        "created-is-a-float": "4.3",
        "usage-is-missing": "4.3",
        "usage-is-floored": "4.3",
        "one-answer-is-slow": "4.4",
        "share-not-told": "4.4.share",
    }.items()
}

ENVIRONMENT = "3."
"""How the checks of scenario 3 begin."""

UNSEEN = frozenset({"1.3"})
"""No fault of a server survives SIGKILL: tests/unit/conformance/test_recovery_records.py shows 1.3 fail on a record."""


def is_of_environment(twin: str) -> bool:
    """Whether only scenario 3 is staged, which reads an environment and no proxy; the others read no environment."""
    return all(check.startswith(ENVIRONMENT) for check in TWINS[twin])


def table(red_by_twin: dict[str, frozenset[str]]) -> str:
    """The table twin × check, in Markdown: x = red, . = green, empty = not asked."""
    head = f"| {'twin':28} | {' | '.join(SEVENTEEN)} | details |"
    rule = f"|{'-' * 30}|{'|'.join('-' * 5 for _ in SEVENTEEN)}|---|"
    rows = (
        f"| {name:28} | {' | '.join(_cell(name, check, red) for check in SEVENTEEN)} "
        f"| {', '.join(sorted(red - set(SEVENTEEN)))} |"
        for name, red in red_by_twin.items()
    )
    return "\n".join([head, rule, *rows])


def _cell(twin: str, check: str, red: frozenset[str]) -> str:
    if check.startswith(ENVIRONMENT) != is_of_environment(twin):
        return "   "
    return " x " if check in red else " . "
