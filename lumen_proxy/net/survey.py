"""Which addresses of a name accept connections. Nothing is written on them."""

from __future__ import annotations

from typing import NamedTuple

from lumen_proxy.net.patience import Patience
from lumen_proxy.net.race import Race
from lumen_proxy.net.route import Route
from lumen_proxy.wire.address import is_loopback


class Survey(NamedTuple):
    """The literal addresses of one name, and those of them that accepted no connection."""

    host: str
    found: tuple[str, ...]
    dead: tuple[str, ...]


def survey(url: str, *, within_s: float, connect_s: float) -> Survey:
    """Try each address that `url`, or the proxy before it, resolves to. Raises Unreached (name), or Fatal (settings).

    A name with one address, or of this machine, is not tried: a request to it tells as much.
    """
    name = Route(url).name
    patience = Patience(within_s, connect_s)
    addresses = name.addresses(patience)
    found = tuple(address.host for address in addresses)
    if len(addresses) == 1 or is_loopback(name.host):
        return Survey(name.host, found, ())
    alive = []
    with Race(addresses, delay_s=0) as race:
        for sock, address in race.winners(patience, patience.until(connect_s)):
            sock.close()
            alive.append(address)
    return Survey(name.host, found, tuple(address.host for address in addresses if address not in alive))
