"""What a run has found: kept as JSON, from which the page and the tiers are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Self

from breaks.differences import Difference
from tests.contract.clients.rows import CLIENTS

HERE = Path(__file__).parent
RECORD = HERE / "record.json"


class Record(NamedTuple):
    """Client → its releases, the names of the servers, and client → server → act → differences."""

    clients: dict[str, str]
    served: list[str]
    found: dict[str, dict[str, dict[str, list[Difference]]]]

    @classmethod
    def of(cls, served: list[str], found: dict[str, dict[str, dict[str, list[Difference]]]]) -> Self:
        """A record of what was found just now."""
        return cls({name: releases(name) for name in found}, served, found)

    @classmethod
    def read(cls) -> Self:
        """The record that is kept."""
        kept = json.loads(RECORD.read_text("utf-8"))
        found = {
            client: {
                server: {act: [Difference(*each) for each in told] for act, told in acts.items()}
                for server, acts in servers.items()
            }
            for client, servers in kept["found"].items()
        }
        return cls(kept["clients"], kept["served"], found)

    def keep(self) -> None:
        """Write it down: the same for the same findings."""
        text = json.dumps(self._asdict(), ensure_ascii=False, indent=1, sort_keys=False)
        RECORD.write_text(text + "\n", encoding="utf-8", newline="\n")

    def broken(self, server: str) -> dict[str, str]:
        """Client → the first way in which it breaks at this server."""
        told = {client: self.words(client, server, "breaks") for client in self.found}
        return {client: differences[0].text for client, differences in told.items() if differences}

    def words(self, client: str, server: str, kind: str) -> list[Difference]:
        """How a client breaks, or differs, at this server, in the order of its acts."""
        acts = self.found[client].get(server, {})
        return [each for told in acts.values() for each in told if each.kind == kind]


def releases(client: str) -> str:
    """A client and its release, as a reader would install it."""
    return " with ".join(f"{name} {version}" for name, version in CLIENTS[client].releases.items())
