"""`lumen-conformance` and `python -m lumen_conformance` begin here."""

from __future__ import annotations

import sys

INTERRUPTED = 2  # ExitStatus.INTERRUPTED; its module is imported below


def main() -> int:
    """Run the command; return its exit status, also when it is interrupted while it imports its modules."""
    try:
        from lumen_conformance.cli.main import main as run_command  # noqa: PLC0415 -- inside of try

        return run_command()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
