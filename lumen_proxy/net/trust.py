"""Which certificate authorities are trusted: those of the system, and the bundle that the user's other tools trust.

`SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's store, as OpenSSL has it. `REQUESTS_CA_BUNDLE` and
`CURL_CA_BUNDLE` are trusted in addition.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

from lumen_proxy.errors import Exit, Fatal

STORES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
CHECKED = ("SSL_CERT_FILE", *BUNDLES)  # OpenSSL ignores a missing SSL_CERT_FILE silently


def context() -> ssl.SSLContext:
    """The client context for this environment. Raises Fatal (78) for a bundle that cannot be read."""
    return _context(*(os.environ.get(name, "") for name in (*STORES, *BUNDLES)))


def check() -> None:
    """Raise Fatal (78) if a variable names a bundle that cannot be read; load nothing if none is set."""
    if any(os.environ.get(name) for name in CHECKED):
        context()


@lru_cache(maxsize=1)  # it takes milliseconds to load; all channels share it
def _context(*_: str) -> ssl.SSLContext:
    made = ssl.create_default_context()
    paths = {os.environ[name]: name for name in reversed(CHECKED) if os.environ.get(name)}
    for name in paths.values():  # the same file is loaded once
        _load(made, name)
    return made


def _load(into: ssl.SSLContext, variable: str) -> None:
    path = Path(os.environ[variable])
    try:
        if path.is_dir():
            into.load_verify_locations(capath=path)
        else:
            into.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise _unusable(variable, "it holds no PEM certificate") from None
    except OSError as error:
        raise _unusable(variable, error.strerror or type(error).__name__) from None


def _unusable(variable: str, why: str) -> Fatal:
    problem = f"{variable}={os.environ[variable]!r} cannot be used: {why}"
    return Fatal(f"{problem}; name a file of PEM certificates, or unset the variable", Exit.CONFIG)
