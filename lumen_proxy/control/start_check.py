"""What a proxy with some settings would refuse to start with, as far as it can be known before it is started."""

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
    """Raise Fatal for what supervisor or worker would refuse. Nothing is written, and no address is asked.

    `environ` is that of the proxy: it decides how an address is reached.
    """
    if missing := dependencies.missing():
        raise Fatal(dependencies.describe_missing(missing), Exit.UNAVAILABLE)
    listener.refuse_unsafe(settings.host, has_key=settings.api_key is not None)
    server_limits(settings)
    if settings.sandboxed:
        return
    from lumen_proxy.net.route import Route  # noqa: PLC0415 - a sandbox needs no TLS

    for url in _used(settings):
        Route(url, environ)


def _used(settings: Settings) -> list[str]:
    """The addresses that the worker asks."""
    urls = [settings.gateway_url]
    if settings.fallback == "cloud_ai":
        urls.append(settings.cloud_ai_url)
    return [url for url in urls if url != parsers.NONE]
