"""Write the tables of checks, faults, healthy variants and errors: `make docs`, or `python -m docs.tables`.

The code that a table describes makes it; tests compare the tables with the pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumen_conformance.checks import catalogue
from tests.matrix.check_table import rows_table
from tests.matrix.matrix import declared_table, variants_table
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
    """The page with the table in the place of the one that has the same head; raises ValueError where there is none."""
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
            print(f"wrote docs/{name}")  # noqa: T201 - the output of a command


if __name__ == "__main__":
    main()
