"""`python -m lumen_proxy` is the same as `lumen-proxy`."""

from __future__ import annotations

import sys

from lumen_proxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
