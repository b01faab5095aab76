"""The catalogue of faults is complete: each check has a fault, each known defect a check that names it."""

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from lumen_conformance.checks.catalogue import CLAIMS
from lumen_conformance.contract.bad_requests import BAD_REQUESTS
from lumen_conformance.registry.declaration import check_of
from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import BUILT_FOR, COMPANIONS, FAILURES, matches
from tests.fixtures.faults.healthy import VARIANTS
from tests.fixtures.faults.numbers import ALSO, NUMBERS
from tests.matrix.check_table import of_judge, rows_table
from tests.matrix.contract import contract
from tests.matrix.fault_run import SHORTER
from tests.matrix.selection import SLOW, function_of, select_for_variant
from tests.matrix.tables import declared_table, variants_table

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs" / "fault-matrix.md"
CHECKS = DOCS.with_name("contract-checks.md")
# Text that only a reader of the code of the suite understands.
CODE = (
    r"urn:", r"<class", r" object at 0x", r"\bset\(\)", r"Traceback", r"\bassert ", r"\bAssertionError\b",
    r"\w+\.\w+\(", r" is not None", r"\blambda\b", r"\bself\.", r"frozenset\(", r"PosixPath\(",
)  # fmt: skip


def checks() -> frozenset[str]:
    """Every check of either profile."""
    return contract("lumen").checks | contract("openai").checks


def test_every_check_has_a_fault() -> None:
    """Each check has a fault that fails it, in a profile that has both."""
    proven = {check for fault in FAULTS.values() for check in contract(fault.profile).checks if fault.declares(check)}
    assert checks() - proven == set()


def test_every_fault_is_run() -> None:
    """Each family of faults is in a module of this folder."""
    modules = [importlib.import_module(f"tests.matrix.{path.stem}") for path in HERE.glob("test_faults_*.py")]
    assert {name for module in modules for name in module.FAULTS} == set(FAULTS)


def test_every_claim_of_a_judge_is_a_check() -> None:
    """Each claim of the judges is a check of the contract, but F2-status, which each row of F2 contains."""
    assert set(CLAIMS) - checks() == {"F2-status"}


def test_every_known_defect_has_a_fault() -> None:
    """Each number of the catalogue of defects has a fault, and each number of a fault is in the catalogue."""
    assert {fault.number for fault in FAULTS.values()} - {""} == {*NUMBERS, *ALSO}


def test_named_checks_exist() -> None:
    """The check that names a fault is in its profile, and each pattern of its companions matches a check."""
    for fault in FAULTS.values():
        known = contract(fault.profile).checks
        assert fault.check in known, fault.name
        for pattern in fault.companions:
            assert any(matches(check, (pattern.lstrip("!"),)) for check in known), (fault.name, pattern)
    assert set(COMPANIONS) <= set(FAULTS)


def test_variants_name_their_checks() -> None:
    """Each healthy variant but the references names checks of its profile, and is run against all of them."""
    unnamed = set(VARIANTS) - set(BUILT_FOR) - {"reference", "relay"}
    assert not unnamed, f"add a line to tests/fixtures/faults/variants.txt: {unnamed}"
    assert set(BUILT_FOR) <= set(VARIANTS)
    for name, patterns in BUILT_FOR.items():
        tests = contract(VARIANTS[name].profile).tests
        selected = {test for test in tests if matches(test.check, patterns)}
        assert selected <= set(select_for_variant(VARIANTS[name], tests)), name
        for pattern in patterns:
            assert any(matches(test.check, (pattern,)) for test in selected), (name, pattern)


def test_failures_have_no_code() -> None:
    """Each failure says what was expected and found, without text of Python or of the schemas."""
    assert set(FAILURES) <= set(FAULTS)
    for name, failure in FAILURES.items():
        assert failure.expected, name
        assert failure.found, name
        quoted = {"Traceback"} if FAULTS[name].check == "F6.1" else set()  # of the server: it is the fault
        assert [code for code in CODE if re.search(code, str(failure)) and code not in quoted] == [], name


def test_rows_of_the_contract_are_rows() -> None:
    """Each bad request has two checks: tier S, that it is refused, and tier M, that it is no failure of the server."""
    tiers = {check.id: check.tier for test in contract("lumen").tests if (check := check_of(test.item))}
    assert {tiers[f"F2-{name}"] for name in BAD_REQUESTS} == {"S"}
    assert {tiers[f"F2-{name}-never-fails"] for name in BAD_REQUESTS} == {"M"}


def test_selection_exists() -> None:
    """Each slow test and each shortened duration exists."""
    functions = {function_of(test) for profile in ("lumen", "openai") for test in contract(profile).tests}
    assert functions >= SLOW
    for name in SHORTER:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


@pytest.mark.parametrize("table", [declared_table, variants_table])
def test_table_in_the_docs(table: object) -> None:
    """The docs have the table of the code (`make docs`)."""
    assert callable(table)
    assert table() in DOCS.read_text("utf-8")


def test_each_row_has_its_own_tier() -> None:
    """The rows of the table have as many checks of each tier as the contract."""
    counts: Counter[str] = Counter()
    for row in rows_table().splitlines()[2:]:
        ids, tier, *_ = row.removeprefix("| ").split(" | ")
        many = re.search(r"….* \((\d+)\)$", ids)
        counts[tier] += int(many[1]) if many else len(ids.split(", "))
    tests = [test for profile in ("lumen", "openai") for test in contract(profile).tests if not of_judge(test)]
    tiers = {test.check: check.tier for test in tests if (check := check_of(test.item))}
    assert counts == Counter(tiers.values())


def test_each_row_has_its_own_ids() -> None:
    """No two rows of the table have the same ids."""
    ids = [row.split(" | ")[0] for row in rows_table().splitlines()[2:]]
    assert [each for each, times in Counter(ids).items() if times > 1] == []


def test_rows_in_the_docs() -> None:
    """The docs have the table of the checks that are no judges (`make docs`)."""
    assert rows_table() in CHECKS.read_text("utf-8")
