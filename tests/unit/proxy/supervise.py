"""Runs the supervisor with the fake worker: `supervise.py PORT [FAULT [NUMBER]]`.

FAULT is one of `fake_worker`. Settings come from the environment; `BOOT_S` is the limit for a boot.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lumen_proxy import config
from lumen_proxy.console import streams
from lumen_proxy.errors import Fatal
from lumen_proxy.supervisor import time_limits
from lumen_proxy.supervisor.serve import serve

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


def main(port: str, *fault: str) -> int:
    """Run the supervisor; return its exit status."""
    streams.prepare()
    settings = config.load(os.environ, {"port": port})
    time_limits.BOOT_S = float(os.environ.get("BOOT_S", time_limits.BOOT_S))
    try:
        command = (sys.executable, str(FAKE_WORKER), *fault)
        return serve(settings, announce=streams.announce, notify=streams.notify, command=command)
    except Fatal as error:
        streams.notify(str(error))
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
