"""The settings in the state file: what an instance was started with, without secrets.

    {"salt": "…", "values": {"LUMEN_UNSUPPORTED": {"value": "ignore", "origin": "option"},
                             "PROXY_API_KEY": {"value": null, "digest": "…", "origin": "environment"}}}

`value` is the text of the variable, or null if it is not set. Secret parts (a key, the query of an address, the
password of a forward proxy) are removed from it; then `digest` allows a comparison of the value with another text.
Variables that are not settings but decide how an address is reached are recorded in the same way.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from lumen_proxy import config
from lumen_proxy.masking import mask, without_query

if TYPE_CHECKING:
    from collections.abc import Mapping

SALT_BYTES, DIGEST_BYTES = 16, 16
SCRYPT = {"n": 2**12, "r": 8, "p": 1}  # 4 MiB and some 10 ms for each guess at a secret
FORWARD_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
NETWORK = (*FORWARD_PROXIES, *CERTIFICATES)

Entry = dict[str, Any]


def texts(settings: config.Settings) -> dict[str, str | None]:
    """Variable → its value as text, None if it has none."""
    values = settings.environ()
    return {setting.variable: values.get(setting.variable) for setting in config.SETTINGS}


def record(settings: config.Settings, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The record of the settings and of the network variables.

    In sandbox mode the configured addresses are recorded, because a restart may leave sandbox mode.
    """
    settings = settings.outside or settings
    salt, values = os.urandom(SALT_BYTES).hex(), texts(settings)
    entries: dict[str, Entry] = {}
    for setting in config.SETTINGS:
        origin = settings.origins.get(setting.field, "default")
        entries[setting.variable] = _entry(setting.variable, values[setting.variable], origin, salt.encode())
    for name, text in network_variables(environ).items():
        entries[name] = _entry(name, text, "environment", salt.encode())
    return {"salt": salt, "values": entries}


def _entry(variable: str, text: str | None, origin: str, salt: bytes) -> Entry:
    public = public_part(variable, text) if text else None
    if public == (text or None):
        return {"value": public, "origin": origin}
    return {"value": public, "digest": digest(text or "", salt), "origin": origin}


def public_part(variable: str, text: str) -> str | None:
    """The part of a value that may be stored and shown; None if all of it is secret."""
    setting = config.BY_VARIABLE.get(variable)
    if setting is None:
        return mask(text) if recorded_name(variable) in FORWARD_PROXIES else text
    if setting.secret:
        return None
    return without_query(text) if setting.is_address else text


@cache  # `watch` compares the same few texts every few seconds
def digest(text: str, salt: bytes) -> str:
    """A digest that is expensive to guess a secret from."""
    import hashlib  # noqa: PLC0415 - 5 ms; most instances have no secret

    return hashlib.scrypt(text.encode("utf-8", "surrogateescape"), salt=salt, dklen=DIGEST_BYTES, **SCRYPT).hex()


def recorded_name(variable: str) -> str:
    """The name in the record: `HTTPS_PROXY` and `https_proxy` are one variable."""
    return variable.lower() if variable.lower() in FORWARD_PROXIES else variable


def network_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The network variables that are set, by their recorded names. A lower-case name wins, even if it is empty."""
    names = sorted((name for name in environ if recorded_name(name) in NETWORK), key=str.islower)
    values = {recorded_name(name): environ[name] for name in names}
    return {name: text for name, text in values.items() if text.strip()}
