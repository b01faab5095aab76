"""The record of a run: a JSON file for each client. The page and the tiers are made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Self

from breaks.differences import Difference
from tests.contract.clients.client_list import CLIENTS

FOLDER = Path(__file__).with_name("record")
PRINTED = {"changes text", "cannot be printed"}  # about the printed text, where the client raises nothing
Found = dict[str, dict[str, list[Difference]]]
"""Server → act → differences."""


class BreaksRecord(NamedTuple):
    """Client → its releases, the names of the servers that it was asked of, and what was found."""

    clients: dict[str, str]
    served: dict[str, list[str]]
    found: dict[str, Found]

    @classmethod
    def read(cls) -> Self:
        """The record that is kept; raises OSError when a client has none."""
        kept = {name: json.loads(path_of(name).read_text("utf-8")) for name in CLIENTS}
        clients = {name: one["releases"] for name, one in kept.items()}
        found = {
            name: {
                server: {act: [Difference(*each) for each in rows] for act, rows in acts.items()}
                for server, acts in one["found"].items()
            }
            for name, one in kept.items()
        }
        return cls(clients, {name: one["served"] for name, one in kept.items()}, found)

    def has(self, server: str) -> bool:
        """Whether every client was asked of a server."""
        return all(server in served for served in self.served.values())

    def broken(self, server: str) -> dict[str, str]:
        """Client → the first way in which it breaks at this server; what a client does comes before what is printed."""
        broken = {client: self.differences_of(client, server, "breaks") for client in self.found}
        first = {client: min(differences, key=_is_printed) for client, differences in broken.items() if differences}
        return {client: one.text for client, one in sorted(first.items(), key=lambda each: _is_printed(each[1]))}

    def differences_of(self, client: str, server: str, kind: str) -> list[Difference]:
        """The differences of one kind at this server, in the order of the acts."""
        acts = self.found[client].get(server, {})
        return [each for rows in acts.values() for each in rows if each.kind == kind]


def _is_printed(difference: Difference) -> bool:
    return difference.word in PRINTED


def keep(client: str, served: list[str], found: Found) -> None:
    """Write the record of a client."""
    ordered = {server: found[server] for server in served if server in found}
    text = json.dumps({"releases": releases(client), "served": served, "found": ordered}, ensure_ascii=False, indent=1)
    FOLDER.mkdir(exist_ok=True)
    # One half of a surrogate pair is no UTF-8; its escape is JSON.
    path_of(client).write_text(text + "\n", encoding="utf-8", errors="backslashreplace", newline="\n")


def served(client: str) -> set[str]:
    """The names of the servers that a client was asked of."""
    return set(json.loads(path_of(client).read_text("utf-8"))["served"])


def keep_more(client: str, known: list[str], found: Found) -> None:
    """Add to the record of a client, whose servers are those of these names."""
    kept = json.loads(path_of(client).read_text("utf-8"))["found"]
    keep(
        client,
        known,
        {name: kept.get(name, {}) | found.get(name, {}) for name in known if name in kept or name in found},
    )


def path_of(client: str) -> Path:
    """The file of a client."""
    return FOLDER / f"{client}.json"


def releases(client: str) -> str:
    """A client and its release, as a reader would install it."""
    named = " with ".join(f"{name} {version}" for name, version in CLIENTS[client].releases.items())
    return f"{named} ({CLIENTS[client].language})"
