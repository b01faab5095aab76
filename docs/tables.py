"""Write the tables of checks and faults into the docs: `make docs`, or `python -m docs.tables`.

Each table is made by the code that it describes; tests of that code compare it with the docs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumen_conformance.checks import catalogue
from tests.matrix.check_table import rows_table
from tests.matrix.tables import declared_table, variants_table
from tests.unit.proxy.error_pages import ERROR_PAGES

if TYPE_CHECKING:
    from collections.abc import Callable

HERE: Final = Path(__file__).resolve().parent
PAGES: Final[dict[str, tuple[Callable[[], str], ...]]] = {
    **{f"../{page}": tables for page, tables in ERROR_PAGES.items()},
    "contract-checks.md": (catalogue.table, rows_table),
    "fault-matrix.md": (declared_table, variants_table),
}


def replaced(page: str, table: str) -> str:
    """Replace the table with the same head; raises ValueError when the page has none."""
    head = table.partition("\n")[0]
    start = page.index(f"{head}\n")
    end = page.find("\n\n", start)
    return page[:start] + table + (page[end:] if end >= 0 else "\n")


def main() -> None:
    """Write each page that differs."""
    for name, tables in PAGES.items():
        path = HERE / name
        before = after = path.read_text("utf-8")
        for table in tables:
            after = replaced(after, table())
        if after != before:
            path.write_text(after, "utf-8", newline="\n")
            print(f"wrote {path.resolve().relative_to(HERE.parent).as_posix()}")  # noqa: T201 -- a command prints


if __name__ == "__main__":
    main()
