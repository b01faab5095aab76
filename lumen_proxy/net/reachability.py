"""Which addresses of a name accept connections. Nothing is written on these connections."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy.net.happy_eyeballs import Race
from lumen_proxy.net.route import Route
from lumen_proxy.net.time_limits import TimeLimits
from lumen_proxy.wire.allowed_hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reachability(NamedTuple):
    """The literal addresses of one name. `dead`: those that accepted no connection."""

    host: str
    found: tuple[str, ...]
    dead: tuple[str, ...]


def try_addresses(
    url: str, *, within_s: float, connect_s: float, environ: Mapping[str, str] = os.environ
) -> Reachability:
    """Connect to each address of the host of `url`, or of the HTTP proxy for it.

    Without a connection for a name with one address, or of this machine: a request to it has the same result. Raises
    ConnectFailed if the name has no addresses, Fatal for settings that cannot be used.
    """
    name = Route(url, environ).name
    limits = TimeLimits(within_s, connect_s)
    addresses = name.addresses(limits)
    found = tuple(address.host for address in addresses)
    if len(addresses) == 1 or is_loopback(name.host):
        return Reachability(name.host, found, ())
    alive = []
    with Race(addresses, delay_s=0) as race:
        for sock, address in race.winners(limits, limits.until(connect_s)):
            sock.close()
            alive.append(address)
    return Reachability(name.host, found, tuple(address.host for address in addresses if address not in alive))
