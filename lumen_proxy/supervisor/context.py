"""What the supervisor works with: settings, sockets, journal, and how a worker is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumen_proxy.config import Settings
    from lumen_proxy.ipc import Identity
    from lumen_proxy.logs.journal import Journal
    from lumen_proxy.supervisor.instance import Instance
    from lumen_proxy.supervisor.listener import Listener
    from lumen_proxy.supervisor.offer import Offer
    from lumen_proxy.supervisor.predecessor import Predecessor
    from lumen_proxy.supervisor.spawn import WorkerProcess


@dataclass(frozen=True)
class SupervisorContext:
    """What the loop works with.

    `spawn` starts a worker and raises OSError, `notify` prints one line for people, `identity` is what
    each worker receives when it is promoted, without its generation. `observer` shows the loop to other commands.
    `offer` gives the port to a new supervisor; `predecessor` is the old one if this one takes its port over.
    """

    settings: Settings
    listener: Listener
    journal: Journal
    spawn: Callable[[], WorkerProcess]
    notify: Callable[[str], None]
    identity: Identity
    observer: Instance
    offer: Offer
    predecessor: Predecessor | None = None
