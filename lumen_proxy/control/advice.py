"""Commands in messages: they get the options that address the same proxy, so that they can be copied."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from lumen_proxy.config import BY_FIELD
from lumen_proxy.config.parsers import MAX_PORT

if TYPE_CHECKING:
    from lumen_proxy.config import Settings

NEXT_PORT = "{next_port}"  # replaced by the option for the port next to the one in use
START_COMMAND = re.compile(r"lumen-proxy (?:start|restart)\b(?!.*--(?:no-)?sandbox)")
PORT_COMMAND = re.compile(r"lumen-proxy (?:start|stop|restart|status|diagnose)\b(?!.*--port)")


def on_port(text: str, settings: Settings) -> str:
    """The advice with the port and sandbox of `settings`, so that a copied command addresses the same proxy."""
    next_port = settings.port + (1 if settings.port < MAX_PORT else -1)
    text = text.replace(NEXT_PORT, f"--port {next_port}{_state_dir_option(settings)}")
    if settings.sandboxed:
        text = START_COMMAND.sub(r"\g<0> --sandbox", text)
    options = selectors(settings)
    return PORT_COMMAND.sub(lambda match: f"{match[0]}{options}", text)


def selectors(settings: Settings) -> str:
    """The options that select the same proxy; the default port is left out."""
    is_default = settings.port == BY_FIELD["port"].default and settings.origins.get("port") == "default"
    return ("" if is_default else f" --port {settings.port}") + _state_dir_option(settings)


def _state_dir_option(settings: Settings) -> str:
    is_option = settings.origins.get("state_dir") == "option"
    return f" --state-dir {shlex.quote(str(settings.state_dir))}" if is_option else ""
