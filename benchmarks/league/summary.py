"""The verdicts of one server as one JSON line, for programs: the results of both layers, counts, causes and time."""

from __future__ import annotations

import json
from typing import Any

from league.causes import causes_of, name_of
from league.runs import KEPT, ServerResult, kept
from league.servers import SERVERS

SUMMARY = KEPT / "summary.jsonl"


def write(outcome: ServerResult) -> None:
    """Write the line of this server; those of others stay."""
    lines = _read() | {outcome.server.name: line(outcome)}
    SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines.values()), "utf-8")


def outcomes() -> list[ServerResult]:
    """The last outcome of each server that was judged here."""
    lines = _read()
    known = [(server, lines[server.name]) for server in SERVERS if server.name in lines]
    return [
        kept(server, row["elapsed_s"], row["trouble"], row["day"])
        if row["counts"]
        else ServerResult(server, elapsed_s=row["elapsed_s"], trouble=row["trouble"], day=row["day"])
        for server, row in known
    ]


def _read() -> dict[str, dict[str, Any]]:
    lines = SUMMARY.read_text("utf-8").splitlines() if SUMMARY.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def line(outcome: ServerResult) -> dict[str, Any]:
    """What a program reads about one server; ``causes`` holds what clients break on, the largest cause first."""
    return {
        "name": outcome.server.name,
        "server": outcome.server.title,
        "version": outcome.server.version,
        "day": outcome.day,
        "layers": outcome.layers,
        "counts": dict(outcome.counts),
        "elapsed_s": round(outcome.elapsed_s, 1),
        "trouble": outcome.trouble,
        "causes": [
            {"cause": each.name, "sentence": each.sentence, "checks": [name_of(check) for check in each.failed]}
            for each in causes_of(outcome, "M")
        ],
    }
