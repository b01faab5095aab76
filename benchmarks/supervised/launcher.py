"""Start one supervised server: write its configuration for this launch, then become it.

Usage: ``launcher.py NAME HOST PORT GATEWAY_URL``; ``SUPERVISED_UNLIMITED=1`` allows any number of restarts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from supervised.servers import ROOT, Place, server_of  # noqa: E402 -- found by the line above

BOOT = Path(__file__).parent / "boot"
UNLIMITED = "SUPERVISED_UNLIMITED"
OURS_UNLIMITED = {"LUMEN_MAX_RESTARTS": "0", "LUMEN_RESTART_BACKOFF_S": "0"}


def main() -> None:
    """Become the server."""
    name, host, port, gateway_url = sys.argv[1:]
    server, folder = server_of(name), Path(os.environ["LUMEN_STATE_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    unlimited = os.environ.get(UNLIMITED) == "1"
    command = server.command(Place(folder, host, port, gateway_url, unlimited))
    os.environ.update(server.variables)
    if server.is_ours:
        os.environ.update(OURS_UNLIMITED if unlimited else {})
    else:
        os.environ.update({"PYTHONPATH": str(ROOT), "CHAT_GATEWAY_URL": gateway_url})
    if server.crash_word and "CRASH_FILE" in os.environ:
        os.environ.update({"PYTHONPATH": str(BOOT), "CRASH_WORD": server.crash_word})
    os.execvp(command[0], command)  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    main()
