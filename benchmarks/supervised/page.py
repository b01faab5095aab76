"""The page of the recovery of supervised servers, and the figures beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from supervised.servers import ALL, ROOT, SupervisedServer

PAGE = ROOT / "docs" / "league-recovery.md"
FIGURES = PAGE.with_suffix(".json")
HEAD = Path(__file__).with_name("head.md")
STORM = Path(__file__).with_name("storm.md")
BUSY_PER_S = 5.0  # starts; a loop with any pause has fewer
QUIET = 2.0  # load: the measurement itself keeps two cores busy
Row = dict[str, Any]
COLUMNS = (
    "server",
    "version",
    "kills",
    "next answer",
    "refused",
    "hang noticed",
    "crash loop",
    "stop",
    "orphans",
    "suite",
)
STORM_COLUMNS = (
    "server", "kills", "answered", "refused", "in flight", "cut", "not by a kill", "gap", "growth", "zombies",
)  # fmt: skip


def read() -> dict[str, Row]:
    """Return the figures that are kept, by the name of the server."""
    return dict(json.loads(FIGURES.read_text("utf-8"))) if FIGURES.exists() else {}


def write(rows: dict[str, Row]) -> None:
    """Write figures and page."""
    ordered = {server.name: rows[server.name] for server in ALL if server.name in rows}
    FIGURES.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8", newline="\n")
    PAGE.write_text("\n".join(lines(ordered)) + "\n", "utf-8", newline="\n")


def lines(rows: dict[str, Row]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield HEAD.read_text("utf-8").rstrip("\n")
    yield ""
    yield from (f"- {each}" for each in _conditions(rows))
    yield ""
    known = [(server, rows[server.name]) for server in ALL if server.name in rows]
    yield from _table(COLUMNS, (_cells(server, row) for server, row in known))
    yield STORM.read_text("utf-8").rstrip("\n")
    yield ""
    yield from _table(STORM_COLUMNS, (_storm_cells(server, row) for server, row in known if "storm_kills" in row))
    yield from (f"- {server.title}: {server.note}." for server, _ in known if server.note)
    for server, row in known:
        if row.get("suite_failed"):
            yield f"\n## {server.title}: checks that failed\n"
            yield from (f"- {check}: {_one_line(reason)}" for check, reason in row["suite_failed"].items())


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    columns = tuple(columns)
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _conditions(rows: dict[str, Row]) -> list[str]:
    return sorted({_condition(row) for row in rows.values() if "when" in row})


def _condition(row: Row) -> str:
    busy = "; the machine was busy, so these times are far longer than on a quiet one" if row["load"][0] > QUIET else ""
    return f"{row['when']}, {row['where']}, load {row['load'][0]}{busy}"


def _cells(server: SupervisedServer, row: Row) -> Iterator[str]:
    yield server.title
    yield server.version or "-"
    yield str(row.get("gap_kills", "-"))
    yield _range(row.get("gap_median_s"), row.get("gap_worst_s")) + (", then none" if row.get("gap_silent") else "")
    yield str(row.get("gap_refused", "-"))
    yield _hang(row)
    yield crash_loop(row)
    yield _stop(row)
    yield _orphans(row)
    yield _suite(row)


def _range(median_s: float | None, worst_s: float | None) -> str:
    return "-" if median_s is None or worst_s is None else f"{median_s:.3f} s, {worst_s:.3f} s"


def _storm_cells(server: SupervisedServer, row: Row) -> Iterator[str]:
    yield server.title
    yield f"{row['storm_kills']}{', then ' + row['storm_trouble'] if row['storm_trouble'] else ''}"
    yield from (str(row[f"storm_{name}"]) for name in ("answered", "refused", "in_flight", "cut", "cut_otherwise"))
    yield _range(row["storm_gap_median_s"], row["storm_gap_worst_s"])
    yield f"{row['storm_growth_mib']} MiB, {row['storm_growth_descriptors']} descriptors"
    yield str(row["storm_zombies"])


def _hang(row: Row) -> str:
    if "hang_noticed_s" not in row:
        return "-"
    seconds = row["hang_noticed_s"]
    return f"never within {row['hang_watched_s']:g} s" if seconds is None else f"{seconds:.1f} s"


def crash_loop(row: Row) -> str:
    """Return how a crash loop ends: gives up, stops trying, continues with back-off, or busily."""
    if "crash_spawns" not in row:
        return "-"
    spawns, late, elapsed_s = row["crash_spawns"], row["crash_spawns_late"], row["crash_elapsed_s"]
    if row["crash_gave_up_s"] is not None:
        return f"gives up after {spawns} starts, {row['crash_gave_up_s']:.1f} s, exit status {row['crash_exit_status']}"
    share = f"{100 * row['crash_processor_share']:.0f} % of a core"
    if not late:
        port = "listens on" if row["crash_listens"] else "does not listen"
        return f"no start after {spawns}; the supervisor stays, and {port}; {share}"
    per_s = late / (elapsed_s / 2)
    kind = "busy loop" if per_s >= BUSY_PER_S else "with back-off" if late < (spawns - late) / 2 else "continues"
    return f"{kind}: {per_s:.1f} starts a second; {share}"


def _stop(row: Row) -> str:
    if "stop_answered" not in row:
        return "-"
    return f"{'answered' if row['stop_answered'] else 'cut'}, {row['stop_exit_status']}"


def _orphans(row: Row) -> str:
    if "orphans" not in row:
        return "-"
    return f"{row['orphans']}{', they answer' if row['orphans_answer'] else ''}"


def _suite(row: Row) -> str:
    counts = row.get("suite")
    if counts is None:
        return "-"
    named = ("passed", "failed", "warned", "error", "not_judged")
    applied = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in named if name in counts)
    return f"{applied}, {counts.get('skipped', 0)} do not apply"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
