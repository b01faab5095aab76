"""The catalogue of faults is whole: no check without a fault, no known defect without a check that names it."""

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from lumen_conformance.checks.catalogue import CLAIMS
from lumen_conformance.contract.bad_requests import BAD_REQUESTS
from lumen_conformance.registry.declaration import check_of
from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import COMPANIONS, FAILURES, matches
from tests.fixtures.faults.numbers import ALSO, NUMBERS
from tests.matrix.check_table import of_judge, rows_table
from tests.matrix.fault_run import SHORTER, SLOW, TABLES, function_of
from tests.matrix.in_process_runner import contract
from tests.matrix.matrix import declared_table, variants_table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "fault-matrix.md"
CHECKS = DOCS.with_name("contract-checks.md")
# What only somebody who knows the suite, or Python, would understand.
OF_THE_SUITE = (
    r"urn:", r"<class", r" object at 0x", r"\bset\(\)", r"Traceback", r"\bassert ", r"\bAssertionError\b",
    r"\w+\.\w+\(", r" is not None", r"\blambda\b", r"\bself\.", r"frozenset\(", r"PosixPath\(",
)  # fmt: skip
# Checks that no fault turns red, each with the reason; the list can only shrink.
UNPROVEN: dict[str, str] = {}


def checks() -> frozenset[str]:
    """Every check of either profile."""
    return contract("lumen").checks | contract("openai").checks


def test_every_check_has_a_fault() -> None:
    """No check is without a fault that fails it."""
    proven = {check for check in checks() if any(fault.declares(check) for fault in FAULTS.values())}
    assert checks() - proven == set(UNPROVEN)


def test_every_claim_of_a_judge_is_a_check() -> None:
    """No judge is left out of the contract; that of F2 is asked in every row of F2."""
    assert set(CLAIMS) - checks() == {"F2.status"}


def test_every_known_defect_has_a_fault() -> None:
    """No number of the catalogue is without a fault, and no fault has a number that nobody knows."""
    assert {fault.number for fault in FAULTS.values()} - {""} == {*NUMBERS, *ALSO}


def test_named_checks_exist() -> None:
    """Each fault is named by a check of its profile, and each pattern of its companions means some."""
    for fault in FAULTS.values():
        known = contract(fault.profile).checks
        assert fault.check in known, fault.name
        for pattern in fault.companions:
            assert any(matches(check, (pattern.lstrip("!"),)) for check in known), (fault.name, pattern)
    assert set(COMPANIONS) <= set(FAULTS)


def test_failures_speak_to_strangers() -> None:
    """What a check says of a fault has both sides, and no words of Python or of a schema's own names."""
    assert set(FAILURES) <= set(FAULTS)
    for name, told in FAILURES.items():
        assert told.expected, name
        assert told.found, name
        quoted = {"Traceback"} if FAULTS[name].check == "F6.1" else set()  # the server's own, which is the fault
        assert [words for words in OF_THE_SUITE if re.search(words, str(told)) and words not in quoted] == [], name


def test_rows_of_the_contract_are_rows() -> None:
    """Each bad request is asked: that it is no failure of the server is tier M, that it is refused is tier S."""
    tiers = {check.id: check.tier for test in contract("lumen").tests if (check := check_of(test.item))}
    assert {tiers[f"F2.{name}"] for name in BAD_REQUESTS} == {"S"}
    assert {tiers[f"F2.{name}.never-fails"] for name in BAD_REQUESTS} == {"M"}


def test_selection_means_something() -> None:
    """What is asked less often, and what is shortened, exists."""
    functions = {function_of(test) for profile in ("lumen", "openai") for test in contract(profile).tests}
    assert functions >= (TABLES | SLOW)
    for name in SHORTER:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


@pytest.mark.parametrize("table", [declared_table, variants_table])
def test_table_in_the_docs(table: object) -> None:
    """The tables in the docs are those of the code."""
    assert callable(table)
    assert table() in DOCS.read_text("utf-8")


def test_each_row_has_its_own_tier() -> None:
    """A row of the table stands for checks of one tier, as many as it says."""
    told: Counter[str] = Counter()
    for row in rows_table().splitlines()[2:]:
        ids, tier, *_ = row.removeprefix("| ").split(" | ")
        many = re.search(r"….* \((\d+)\)$", ids)
        told[tier] += int(many[1]) if many else len(ids.split(", "))
    tests = [test for profile in ("lumen", "openai") for test in contract(profile).tests if not of_judge(test)]
    tiers = {test.check: check.tier for test in tests if (check := check_of(test.item))}
    assert told == Counter(tiers.values())


def test_each_row_has_its_own_ids() -> None:
    """No two rows of the table read as if they were about the same checks."""
    ids = [row.split(" | ")[0] for row in rows_table().splitlines()[2:]]
    assert [each for each, times in Counter(ids).items() if times > 1] == []


def test_rows_in_the_docs() -> None:
    """What is no judge is listed beside the judges, as the tests have it."""
    assert rows_table() in CHECKS.read_text("utf-8")
