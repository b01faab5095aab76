"""The tables of errors in the docs, made from the error table of the proxy. `docs/tables.py` writes them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lumen_proxy.wire.api_errors import ERROR_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

GUIDE_HEADS = {
    "QUICKSTART.md": "| code | status | message begins |",
    "QUICKSTART.ko.md": "| code | 상태 | message의 첫머리 |",
}
CLASSES = 10  # a gateway status of the error table below this is a class, such as 5 for 5xx


def behaviour_table() -> str:
    """The errors, with the statuses of the gateway that become them."""
    head = ["| code | status | type | hint | status of the gateway | note |", "|---|---|---|---|---|---|"]
    rows = []
    for code, row in ERROR_TABLE.items():
        gateway = ", ".join(str(status) if status > CLASSES else f"other {status}xx" for status in row.gateway)
        rows.append(f"| `{code}` | {row.status} | {row.type} | {row.hint} | {gateway} | {row.note} |")
    return "\n".join([*head, *rows])


def guide_table(head: str) -> str:
    """The errors, with the beginnings of their messages."""
    rows = [f"| `{code}` | {row.status} | {row.message.rstrip('.')} |" for code, row in ERROR_TABLE.items()]
    return "\n".join([head, "|---|---|---|", *rows])


ERROR_PAGES: dict[str, tuple[Callable[[], str], ...]] = {
    "docs/behaviour.md": (behaviour_table,),
    **{page: (partial(guide_table, head),) for page, head in GUIDE_HEADS.items()},
}
