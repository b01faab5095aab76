"""The settings of the proxy, and the parsers of their values."""

from lumen_proxy.config.settings import (
    BY_FIELD,
    BY_VARIABLE,
    CLOUD_AI_URL,
    MIB,
    SANDBOX,
    SETTINGS,
    Setting,
    Settings,
    load,
    to_text,
)

__all__ = [
    "BY_FIELD",
    "BY_VARIABLE",
    "CLOUD_AI_URL",
    "MIB",
    "SANDBOX",
    "SETTINGS",
    "Setting",
    "Settings",
    "load",
    "to_text",
]
