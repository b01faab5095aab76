"""The table of clients in the documents names the releases that are pinned and tried."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.contract.clients.client_list import CLIENTS, Client
from tests.contract.clients.versions import NODE, PACKAGES, ROOT, pinned

HEAD = ["| client | language | releases | also tried | falls short |", "|---|---|---|---|---|"]


def line(name: str, client: Client) -> str:
    """One line of the table."""
    releases = ", ".join(f"{package} {version}" for package, version in client.releases.items())
    return f"| {name} | {client.language} | {releases} | {client.also} | {client.short} |"


def table(*place: str) -> list[str]:
    """The lines of the table of clients in a document."""
    text = ROOT.joinpath(*place).read_text("utf-8")
    marked = text.partition("<!-- clients: begin")[2].partition("<!-- clients: end")[0]
    return [row for row in marked.splitlines() if row.startswith("|")]


def test_clients_in_the_documents() -> None:
    """The table has every client with its pinned releases, what else was tried, and where it falls short."""
    assert table("docs", "clients.md") == [*HEAD, *(line(*item) for item in CLIENTS.items())]


def test_clients_in_the_readme() -> None:
    """The README has the first three columns of that table."""
    assert table("README.md") == ["|".join(row.split("|")[:4]) + "|" for row in table("docs", "clients.md")]


def test_clients_of_the_extra() -> None:
    """What the extra asks for is what is tried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = {wish.partition(">")[0].partition("[")[0] for wish in project["optional-dependencies"]["clients"]}
    assert asked == set(PACKAGES["python"])


@pytest.mark.parametrize("home", PACKAGES)
def test_every_release_is_tried(home: str) -> None:
    """`make clients` prints exactly the packages that some client is called by, each pinned to one release."""
    tried = {package for client in CLIENTS.values() if client.home == home for package in client.packages}
    assert tried == set(PACKAGES[home])
    assert {pinned(home)[package].replace(".", "").isdigit() for package in tried} == {True}


@pytest.mark.parametrize("file", ["package.json", "package-lock.json", ".npmrc"])
def test_no_addresses_of_registries(file: str) -> None:
    """Node packages are named by version and digest, never by the address of a registry."""
    path: Path = NODE / file
    text = path.read_text("utf-8")
    assert '"resolved"' not in text
    assert "registry." not in text
