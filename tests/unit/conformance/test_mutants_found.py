"""Mutants are found by themselves, and a table that is not complete is refused."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.fixtures.mutations import FILES, FOLDER, find


def table_of(name: str, **tables: object) -> ModuleType:
    """A module of mutants."""
    module = ModuleType(name)
    vars(module).update({"__file__": f"{name}.py", "MUTATIONS": {"one": print}, "FAILS": {"one": "1.4"}, **tables})
    return module


def test_all_files_are_found() -> None:
    """The mutants are those of all files *_mutations.py, each with its file."""
    assert {mutant.file for mutant in find().values()} == set(FOLDER.glob("*_mutations.py")) == set(FILES)


def test_each_mutant_is_described_and_declares_a_check() -> None:
    """Each mutant has one sentence about what it changes, fails a check, and gives reasons for the possible ones."""
    for mutant in find().values():
        assert mutant.description.endswith("."), f"{mutant.name}: add a row to DESCRIPTIONS or a docstring"
        assert mutant.fails, mutant.name
        assert not mutant.fails & mutant.possible.keys(), mutant.name
        assert all(reason.endswith(".") for reason in mutant.possible.values()), mutant.name


def test_a_description_is_a_docstring_or_a_row() -> None:
    """A row of DESCRIPTIONS describes a mutant, or else the first line of the docstring of its function."""

    def change(_after_import: object) -> None:
        """Nothing changes."""

    plain, named = {"MUTATIONS": {"one": change}}, {"DESCRIPTIONS": {"one": "A row."}}
    assert find([table_of("a", **plain)])["one"].description == "Nothing changes."
    assert find([table_of("a", **plain, **named)])["one"].description == "A row."


REFUSED = {
    "a-has-one-b-has-one": ([table_of("a"), table_of("b")], "mutant one is in a.py and b.py"),
    "no-row-in-fails": ([table_of("a", FAILS={})], "a.py: FAILS has no row for one"),
    "no-mutation": ([table_of("a", FAILS={"one": "1.4", "two": "1.4"})], "a.py: FAILS names two"),
    "possible-unknown": ([table_of("a", POSSIBLE={"two": {}})], "a.py: POSSIBLE names two"),
}


@pytest.mark.parametrize(("modules", "message"), REFUSED.values(), ids=REFUSED)
def test_an_incomplete_table_is_refused(modules: list[ModuleType], message: str) -> None:
    """A name in two files, and a row of one table without a row of the other, are refused with the file."""
    with pytest.raises(ValueError, match=message):
        find(modules)
