"""Python imports this module as it starts: a worker that is a program of its own ends here, if its crash is staged.

``CRASH_WORD`` is a part of the command line of such a worker. Workers that are forks end in the application instead.
"""

import os
import sys
from pathlib import Path

if os.environ.get("CRASH_WORD", "\0") in " ".join(sys.orig_argv):
    import runpy

    fixture = Path(__file__).resolve().parents[3] / "tests" / "fixtures" / "foreign" / "crash.py"
    runpy.run_path(str(fixture))["end_if_asked"]()
