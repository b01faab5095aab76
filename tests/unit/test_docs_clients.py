"""The clients that are tried are those that are pinned and installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.contract.clients.client_list import CLIENTS
from tests.contract.clients.versions import NODE, PACKAGES, ROOT, pinned


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
