"""`lumen-conformance` and `python -m lumen_conformance` begin here."""

from __future__ import annotations

import sys

from lumen_conformance.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
