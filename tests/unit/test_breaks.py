"""The evidence of tier M is what the kept record says, and only a difference is one."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from tests.fixtures.check_ids import summarize_ids
from tests.fixtures.faults.reference.http import Refused
from tests.fixtures.faults.reference.steps import Steps

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
EVIDENCE = ("client: ", "recorded: ", "harm: ")
AGAIN = "say: PYTHONPATH=benchmarks python -m breaks pages"


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules of the benchmark, which is a script's own package on its own path."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from breaks import differences, harms, kinds, moves, page, probes, record, selection, servers, tiers, visits  # noqa: PLC0415 -- as above

    return SimpleNamespace(
        differences=differences, harms=harms, kinds=kinds, moves=moves, page=page, probes=probes, record=record,
        selection=selection, servers=servers, tiers=tiers, visits=visits,
    )  # fmt: skip


def visit(breaks: SimpleNamespace, **more: Any) -> Any:  # noqa: ANN401 -- a class of the package
    """A visit that went well."""
    plain: dict[str, Any] = {"pieces": ("hello ", "you"), "fields": {}, "error": None}
    where = {"server": "s", "act": "plain", "began_s": 0.0, "ended_s": 1.0, "asked": 1, "paid": 1}
    return breaks.visits.Visit(**plain | where | more)


def describe_differences(breaks: SimpleNamespace, observed: Any, healthy: Any) -> list[tuple[str, str]]:  # noqa: ANN401 -- same
    """What differs."""
    return [(each.kind, each.word) for each in breaks.differences.differences(observed, healthy)]


def raised(breaks: SimpleNamespace, message: str) -> Any:  # noqa: ANN401 -- same
    """An error as a client tells it."""
    return breaks.differences.Raised("E", (), 400, None, message)


def test_alike_is_no_difference(breaks: SimpleNamespace) -> None:
    """Two visits that went the same way differ in nothing, however long they took."""
    assert describe_differences(breaks, visit(breaks, ended_s=9.0), visit(breaks)) == []


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"pieces": ("hello ",)}, "loses text"),
        ({"pieces": ("hello ", "hello ", "you")}, "doubles text"),
        ({"hangs": True}, "hangs"),
        ({"waits": True}, "waits"),
        ({"paid": 3}, "pays again"),
        ({"asked": 3}, "asks again"),
    ],
)
def test_breaks(breaks: SimpleNamespace, changed: dict[str, Any], word: str) -> None:
    """Text that is lost or doubled, an end that never comes, and a second payment break a client."""
    assert describe_differences(breaks, visit(breaks, **changed), visit(breaks)) == [("breaks", word)]


@pytest.mark.parametrize(
    ("observed", "healthy", "expected"),
    [
        ("hello\ufffd", "hello", ("differs", "changes text")),  # all of it came, and one character more
        ("helloo", "hello", ("differs", "changes text")),
        ("[{'text': 'hello'}]", "hello", ("differs", "changes text")),
        ("hel\ufffdo", "hello", ("breaks", "changes text")),  # one character is lost, another is in its place
        ("[object Object]", "hello", ("breaks", "changes text")),
        ("hehelhello", "hello", ("breaks", "doubles text")),
        ("hellohello", "hello", ("breaks", "doubles text")),
        ("hell", "hello", ("breaks", "loses text")),
    ],
)
def test_other_text(breaks: SimpleNamespace, observed: str, healthy: str, expected: tuple[str, str]) -> None:
    """Text is doubled only when it repeats; one character beside the whole text breaks nobody."""
    assert describe_differences(breaks, visit(breaks, pieces=(observed,)), visit(breaks, pieces=(healthy,))) == [
        expected
    ]


def test_error_of_a_program(breaks: SimpleNamespace) -> None:
    """A text that a program cannot print has a word of its own: the client has raised nothing."""
    error = msgspec.structs.replace(raised(breaks, "no surrogates"), by="program")
    assert describe_differences(breaks, visit(breaks, error=error), visit(breaks)) == [("breaks", "cannot be printed")]


def test_evidence_wins(breaks: SimpleNamespace) -> None:
    """A client that breaks on a fault decides the tier of its check, also where a sentence is kept for the check."""
    record = Mock(clients={"openai": "openai 1"}, broken=Mock(return_value={"openai": "hangs"}))
    for check in ("F2-body-null", "H4-health"):
        assert breaks.tiers.tier_of(check, "S", ["fault"], record).tier == "M"
    record.broken.return_value = {}
    for check in ("F2-body-null", "F2-body-null-never-fails"):
        assert breaks.tiers.tier_of(check, "M", ["fault"], record).tier == "S"


def test_errors_of_clients_come_first(breaks: SimpleNamespace) -> None:
    """What a client does is told before what a program prints, of one client and among several."""
    difference = breaks.differences.Difference
    printed = difference("breaks", "cannot be printed", "prints nothing")
    raises = difference("breaks", "raises", "raises E")
    found = {"one": {"s": {"plain": [printed]}}, "two": {"s": {"plain": [printed], "turn": [raises]}}}
    broken = breaks.record.BreaksRecord({}, {}, found).broken("s")
    assert list(broken.items()) == [("two", "raises E"), ("one", "prints nothing")]


def test_recorded_clients_are_read(breaks: SimpleNamespace) -> None:
    """Each recorded client stands in the evidence of its check."""
    told = {check: row["evidence"] for check, row in kept().items()}
    assert {check for check, text in breaks.harms.RECORDED.items() if text not in told.get(check, "")} == set()


@pytest.mark.parametrize("changed", [{"fields": {"finish": "length"}}, {"fields": {"usage": {"total_tokens": 1}}}])
def test_differs(breaks: SimpleNamespace, changed: dict[str, Any]) -> None:
    """Another reason to finish, or another usage, breaks nothing."""
    assert [kind for kind, _ in describe_differences(breaks, visit(breaks, **changed), visit(breaks))] == ["differs"]


@pytest.mark.parametrize("step", ["call", "forward"])
def test_crash_of_a_server_is_no_evidence(breaks: SimpleNamespace, step: str) -> None:
    """A run ends when a server crashes while it asks the gateway: the client would ask again, and pay again."""
    record = breaks.servers.ServerLog()
    steps = record.watched(replace(Steps(), **{step: Mock(side_effect=ValueError("out of range"))}))
    with pytest.raises(ValueError, match="out of range"):
        getattr(steps, step)(None, SimpleNamespace(method="POST"))
    with pytest.raises(RuntimeError, match=r"model-empty.*out of range"):
        breaks.visits.check_undisturbed({"reference": breaks.servers.ServerLog(), "model-empty": record})


def test_failure_of_the_gateway_is_evidence(breaks: SimpleNamespace) -> None:
    """A run goes on when the gateway fails, or the client leaves: faults are about both."""
    record = breaks.servers.ServerLog()
    for failure in (Refused(502, None, "away"), ConnectionResetError(), HTTPException()):
        steps = record.watched(Steps(call=Mock(side_effect=failure)))
        with pytest.raises(type(failure)):
            steps.call()
    breaks.visits.check_undisturbed({"reference": record})


def test_reason_that_was_given_is_lost(breaks: SimpleNamespace) -> None:
    """A client loses a reason that the server gave; of one that the server did not give it cannot."""
    healthy = visit(breaks, error=raised(breaks, "400: too hot"), reason="too hot")
    lost = visit(breaks, error=raised(breaks, "400"), reason="too hot")
    none = visit(breaks, error=raised(breaks, "400"))
    assert describe_differences(breaks, lost, healthy) == [("breaks", "loses the reason")]
    assert describe_differences(breaks, none, healthy) == [("differs", "no reason")]


def test_probes_name_checks(breaks: SimpleNamespace) -> None:
    """Each probe names a check of tier M, or of the strict layer, that exists."""
    assert {probe.check for probe in breaks.probes.PROBES.values()} <= breaks.tiers.today().keys()


def test_healthy_variants_break_nobody(breaks: SimpleNamespace) -> None:
    """Of a server that only does things otherwise, no client breaks: or the fault is in how clients are asked."""
    record = breaks.record.BreaksRecord.read()
    healthy = [each.name for each in breaks.selection.selection() if not each.fault.check]
    assert {name: record.broken(name) for name in healthy if record.broken(name)} == {}


def test_every_reported_kind_is_closed(breaks: SimpleNamespace) -> None:
    """Each kind of public report has a check, and at least two faults that prove its checks."""
    from tests.fixtures.faults.catalogue import FAULTS  # noqa: PLC0415 -- beside its only use

    faults = {
        kind.title: [fault for fault in FAULTS.values() if kind.has(fault.check)] for kind in breaks.kinds.REPORTED
    }
    assert {title for title, found in faults.items() if len(found) < 2} == set()


def test_record_has_every_client(breaks: SimpleNamespace) -> None:
    """The record was made with the releases that are pinned."""
    from tests.contract.clients.client_list import CLIENTS  # noqa: PLC0415 -- beside its only use

    record = breaks.record.BreaksRecord.read()
    assert record.clients == {name: breaks.record.releases(name) for name in CLIENTS}


def test_pages_follow_from_the_record(breaks: SimpleNamespace) -> None:
    """docs/breaks.md and tiers.json are what the record and the present faults give."""
    record, selected = breaks.record.BreaksRecord.read(), breaks.selection.selection()
    found = breaks.tiers.tiers(record, selected)
    assert kept() == breaks.tiers.as_json(found), AGAIN
    page = "\n".join(breaks.page.page(record, selected, found)) + "\n"
    assert (BENCHMARKS.parent / "docs" / "breaks.md").read_text("utf-8") == page, AGAIN


def test_tiers_of_the_code_are_those_of_the_evidence(breaks: SimpleNamespace) -> None:
    """Each check has the tier that its evidence gives: tiers.json has every check of tier M, and no other one."""
    now = {check: tier for check, tier in breaks.tiers.today().items() if tier == "M"}
    assert now == {check: row["tier"] for check, row in kept().items()}, AGAIN


def test_clients_have_the_same_servers(breaks: SimpleNamespace) -> None:
    """Each client was asked of the same servers, and of none that does not exist; docs/breaks.md lists new ones."""
    selected = {each.name for each in breaks.selection.selection()}
    served = breaks.record.BreaksRecord.read().served
    assert {client: set(names) - selected for client, names in served.items() if set(names) - selected} == {}
    assert len({frozenset(names) for names in served.values()}) == 1


def test_breaks_are_of_tier_m(breaks: SimpleNamespace) -> None:
    """A fault on which a client breaks is named by a check of tier M: none of tier S has a break in the record."""
    record, now = breaks.record.BreaksRecord.read(), breaks.tiers.today()
    faults = [each.fault for each in breaks.selection.selection() if each.fault.check and record.has(each.name)]
    broken = {fault.name: fault.check for fault in faults if record.broken(fault.name)}
    assert {name: check for name, check in broken.items() if now[check] != "M"} == {}


def test_tier_m_has_evidence() -> None:
    """Each check of tier M has a client that breaks, a recorded one, or harm."""
    without = {check: row["evidence"] for check, row in kept().items() if not row["evidence"].startswith(EVIDENCE)}
    assert without == {}


def test_moves_have_the_tiers_of_the_code(breaks: SimpleNamespace) -> None:
    """Each move ends at the tier that the check has."""
    now, moves = breaks.tiers.today(), breaks.moves.MOVES
    assert {move.check: move.now for move in moves} == {move.check: now.get(move.check, "") for move in moves}
    assert [move.check for move in moves if move.before == move.now] == []


def test_moves_copy_no_evidence(breaks: SimpleNamespace) -> None:
    """A move to tier M may leave its reason to the evidence in tiers.json; a reason of its own is not a copy of it."""
    moves = breaks.moves.MOVES
    assert [move.check for move in moves if not move.reason and move.now != "M"] == []
    assert [move.check for move in moves if move.reason.startswith(EVIDENCE)] == []


def test_ids_in_a_line() -> None:
    """Few ids are told one by one, many by how they begin and end."""
    assert summarize_ids(["A1", "B2"]) == "A1, B2"
    assert summarize_ids(["F2-a", "F2-b", "F2-c", "F2-d"]) == "F2-… (4)"
    assert summarize_ids([f"F2-{name}-status" for name in "abcd"]) == "F2-…-status (4)"


def kept() -> dict[str, Any]:
    """tiers.json."""
    found: dict[str, Any] = json.loads((BENCHMARKS / "breaks" / "tiers.json").read_text("utf-8"))
    return found
