"""The negative twin of each of the seventeen checks: a fault, and the very set of checks that it must turn red."""

from __future__ import annotations

SEVENTEEN = (
    *(f"1.{number}" for number in range(1, 6)),
    *(f"2.{number}" for number in range(1, 5)),
    *(f"3.{number}" for number in range(1, 5)),
    *(f"4.{number}" for number in range(1, 5)),
)

TWINS: dict[str, frozenset[str]] = {
    name: frozenset(red.split())
    for name, red in {
        "dies-at-boot": "1.1 1.2 1.3 1.4 1.5 2.4 4.1 4.2 4.3 4.4",
        "health-says-sick": "1.2 1.5 4.1",
        "health-names-nobody": "1.1 1.3 1.4 1.5",
        "never-reaps": "1.3",
        "never-restarts": "1.4 1.5",
        "restarts-too-late": "1.4 1.5",
        "generation-stands-still": "1.4",
        "restarts-on-another-port": "1.4 1.5",
        "restarts-not-counted": "1.5",
        "dummy-has-no-banner": "2.1",
        "moves-to-another-port": "2.2",
        "binds-elsewhere-then-refuses": "2.2",
        "calls-a-stranger-running": "2.2",
        "conflict-ends-with-1": "2.2",
        "conflict-names-no-owner": "2.2",
        "conflict-is-a-traceback": "2.2",
        "kills-the-squatter": "2.2 2.3",
        "leaves-a-stale-lock": "2.4",
        "folder-missing": "3.1 3.2 3.3 3.4",
        "home-gone": "3.1",
        "interpreter-missing": "3.2 3.3 3.4",
        "interpreter-dangling": "3.2 3.3 3.4",
        "flask-missing": "3.3",
        "flask-too-old": "3.3",
        "requests-missing": "3.4",
        "requests-too-old": "3.4",
        "health-costs-a-call": "4.1",
        "health-breaks-its-schema": "4.1",
        "health-shows-secrets": "4.1",
        "answer-is-canned": "1.5 4.2",
        "asks-the-gateway-twice": "4.2",
        "answers-health-but-not-chat": "1.5 4.2 4.3 4.4",
        "created-is-a-float": "4.3",
        "usage-is-missing": "4.3",
        "one-answer-is-slow": "4.4",
        "share-not-told": "4.4",
    }.items()
}


def table(red_by_twin: dict[str, frozenset[str]]) -> str:
    """The table twin × check, in Markdown: x = red, · = green."""
    head = f"| {'twin':28} | {' | '.join(SEVENTEEN)} |"
    rule = f"|{'-' * 30}|{'|'.join('-' * 5 for _ in SEVENTEEN)}|"
    rows = (
        f"| {name:28} | {' | '.join(' x ' if check in red else ' . ' for check in SEVENTEEN)} |"
        for name, red in red_by_twin.items()
    )
    return "\n".join([head, rule, *rows])
