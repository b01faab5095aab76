"""Checks before a start: what a proxy with these settings would refuse, as far as that is known in advance.

`serve` imports this module, so it does not import what only other commands need.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lumen_proxy import dependencies
from lumen_proxy.config import parsers
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import listener
from lumen_proxy.worker.limits import server_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lumen_proxy.config import Settings


def check_startable(settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Raise Fatal for what the supervisor or the worker would refuse. Writes no file and calls no address.

    `environ` is the environment of the proxy: it decides how an address is reached.
    """
    if missing := dependencies.missing():
        raise Fatal(dependencies.describe_missing(missing), Exit.UNAVAILABLE)
    listener.refuse_unsafe(settings.host, has_key=settings.api_key is not None)
    server_limits(settings)
    if settings.sandboxed:
        return
    from lumen_proxy.net.route import Route  # noqa: PLC0415 - a sandbox needs no TLS

    urls = [settings.gateway_url, *([settings.cloud_ai_url] if settings.fallback == "cloud_ai" else [])]
    for url in urls:
        if url != parsers.NONE:
            Route(url, environ)
