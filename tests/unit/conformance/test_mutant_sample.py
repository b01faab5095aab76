"""Which mutants a run has: a sample that the tree decides, and those that changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.mutant_sample import IN_THE_SAMPLE, MOST, changed_files, choose, files_of, in_order, tree_hash
from tests.fixtures.mutations import find, scenario_file
from tests.fixtures.repository import ROOT

MUTANTS = find()
Git = Callable[..., object]


def test_the_tree_decides() -> None:
    """The same tree has the same sample, and another tree another one of the same size."""
    chosen = [choose(MUTANTS, tree, ()).names for tree in ("a", "a", "b")]
    assert chosen[0] == chosen[1] != chosen[2]
    assert [len(names) for names in chosen] == [IN_THE_SAMPLE] * 3


def test_each_scenario_comes_first() -> None:
    """Each scenario has a mutant in the sample, before any has a second one."""
    scenarios = {scenario for mutant in MUTANTS.values() for scenario in mutant.scenarios}
    first = in_order(MUTANTS, "a")[: len(scenarios)]
    assert {scenario for name in first for scenario in MUTANTS[name].scenarios} == scenarios


def test_all_mutants_are_ordered() -> None:
    """No mutant is left out of the order, so that each is in the sample of some tree."""
    assert sorted(in_order(MUTANTS, "a")) == sorted(MUTANTS)


def test_what_changed_comes_first() -> None:
    """The mutants of a changed scenario are run whatever the tree is, and the line counts them."""
    chosen = choose(MUTANTS, "a" * 64, [scenario_file("4")])
    of_scenario = {name for name, mutant in MUTANTS.items() if "4" in mutant.scenarios}
    assert set(chosen.changed) == of_scenario == set(chosen.names[: len(of_scenario)])
    expected = (
        f"{len(of_scenario)} that changed and a sample by the content of the tree, aaaaaaaa; all of them: make mutants"
    )
    assert chosen.describe(len(MUTANTS)).endswith(expected)


def test_what_has_no_room_is_counted() -> None:
    """When more mutants changed than a run has room for, the line says how many are left out."""
    chosen = choose(MUTANTS, "a", {file for mutant in MUTANTS.values() for file in files_of(mutant)})
    assert (len(chosen.names), len(chosen.names) + chosen.left_out) == (MOST, len(MUTANTS))
    assert f"({chosen.left_out} more changed)" in chosen.describe(len(MUTANTS))


def test_the_hash_is_that_of_the_content() -> None:
    """The hash of the tree is the same in each process, and is not that of an empty folder."""
    assert tree_hash() == tree_hash(ROOT) != tree_hash(ROOT / "docs")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Run git in a new repository with two commits on its main branch, each of one file."""

    def run(*arguments: str) -> None:
        options = ("-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "init.defaultBranch=main")
        subprocess.run(["git", "-C", tmp_path, *options, *arguments], check=True, capture_output=True)

    run("init")
    for name in ("one", "two"):
        (tmp_path / name).write_text(name, "utf-8")
        run("add", ".")
        run("commit", "-m", name)
    return run


def test_changes_of_a_branch(tmp_path: Path, git: Git) -> None:
    """On a branch all files changed that differ from where it left the main branch, committed or not."""
    git("checkout", "-b", "branch")
    for name in ("three", "four"):
        (tmp_path / name).write_text(name, "utf-8")
        git("add", ".")
        git("commit", "-m", name)
    (tmp_path / "one").write_text("changed", "utf-8")
    (tmp_path / "new").write_text("new", "utf-8")
    assert {path.name for path in changed_files(tmp_path)} == {"one", "three", "four", "new"}


@pytest.mark.usefixtures("git")
def test_changes_of_the_main_branch(tmp_path: Path) -> None:
    """On the main branch the files of the last commit changed, and what is not committed."""
    assert {path.name for path in changed_files(tmp_path)} == {"two"}


def test_no_history(tmp_path: Path, git: Git) -> None:
    """In a clone of one commit, and in no repository, nothing is known to have changed."""
    clone, plain = tmp_path / "clone", tmp_path / "plain"
    plain.mkdir()
    git("clone", "--depth=1", f"file://{tmp_path}", str(clone))
    assert changed_files(clone) == set()
    assert changed_files(plain / "nowhere") == set()
