"""The mutants of the proxy and the damaged environments, each with the checks of recovery that it must fail."""

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
"""Checks beside the seventeen, for what not every server promises."""

MUTANTS: dict[str, frozenset[str]] = {
    name: frozenset(failed.split())
    for name, failed in {
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

ENVIRONMENT = "3"
"""The scenario that reads an environment and no proxy; the others read no environment."""

UNPROVEN = frozenset({"1.3"})
"""No mutant survives SIGKILL: tests/unit/conformance/test_recovery_records.py shows 1.3 fail on a record."""


def scenario_of(check: str) -> str:
    """The number of the scenario of a check."""
    return check.partition(".")[0]


def scenarios_of(mutant: str, *, whole: bool) -> tuple[str, ...]:
    """The scenarios that are run: those of the declared checks; ``whole`` adds the others that a proxy can fail."""
    declared = sorted({scenario_of(check) for check in MUTANTS[mutant]})
    return ("1", "2", "4") if whole and ENVIRONMENT not in declared else tuple(declared)


def table(failed_by_mutant: dict[str, frozenset[str]]) -> str:
    """The table mutant x check, in Markdown: x = failed, . = passed or not judged, empty = not run."""
    head = f"| {'mutant':28} | {' | '.join(SEVENTEEN)} | details |"
    rule = f"|{'-' * 30}|{'|'.join('-' * 5 for _ in SEVENTEEN)}|---|"
    rows = (
        f"| {name:28} | {' | '.join(_cell(name, check, failed) for check in SEVENTEEN)} "
        f"| {', '.join(sorted(failed - set(SEVENTEEN)))} |"
        for name, failed in failed_by_mutant.items()
    )
    return "\n".join([head, rule, *rows])


def _cell(mutant: str, check: str, failed: frozenset[str]) -> str:
    if scenario_of(check) not in scenarios_of(mutant, whole=True):
        return "   "
    return " x " if check in failed else " . "
