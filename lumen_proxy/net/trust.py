"""The trusted certificate authorities: those of the system, and the bundle that the user's other tools trust.

`SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's store, as in OpenSSL. `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE`
are trusted in addition.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lumen_proxy.errors import Exit, Fatal

if TYPE_CHECKING:
    from collections.abc import Mapping

STORES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
NAMES = (*STORES, *BUNDLES)
CHECKED = ("SSL_CERT_FILE", *BUNDLES)  # OpenSSL ignores a missing SSL_CERT_FILE


def context(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """The client context for this environment. Raises Fatal (78) for a bundle that cannot be read."""
    is_own = all(environ.get(name, "") == os.environ.get(name, "") for name in STORES)
    return _context(tuple(environ.get(name, "") for name in NAMES), is_own)


def check(environ: Mapping[str, str] = os.environ) -> None:
    """Raise Fatal (78) if a variable names a bundle that cannot be read; load nothing if none is set."""
    if any(environ.get(name) for name in CHECKED):
        context(environ)


@lru_cache(maxsize=2)  # it takes milliseconds to load
def _context(values: tuple[str, ...], is_own: bool) -> ssl.SSLContext:  # noqa: FBT001 - a key of the cache
    environ = dict(zip(NAMES, values, strict=True))
    made = ssl.create_default_context() if is_own else _with_stores(environ)
    paths = {environ[name]: name for name in reversed(CHECKED) if environ[name]}
    for path, name in paths.items():  # each file once
        _load(made, name, Path(path))
    return made


def _with_stores(environ: Mapping[str, str]) -> ssl.SSLContext:
    """A context with the stores of `environ`. OpenSSL itself reads the environment of this process only."""
    usual = ssl.get_default_verify_paths()
    file = environ["SSL_CERT_FILE"] or usual.openssl_cafile
    folder = Path(environ["SSL_CERT_DIR"] or usual.openssl_capath)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.platform == "win32":
        made.load_default_certs()  # Windows always uses its own stores, too
    with contextlib.suppress(OSError):  # like OpenSSL; the caller reports a missing file of the variable
        made.load_verify_locations(cafile=file)
    if folder.is_dir():
        made.load_verify_locations(capath=folder)
    return made


def _load(into: ssl.SSLContext, variable: str, path: Path) -> None:
    try:
        if path.is_dir():
            into.load_verify_locations(capath=path)
        else:
            into.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise _unusable(variable, path, "it holds no PEM certificate") from None
    except OSError as error:
        raise _unusable(variable, path, error.strerror or type(error).__name__) from None


def _unusable(variable: str, path: Path, why: str) -> Fatal:
    problem = f"{variable}={str(path)!r} cannot be used: {why}"
    return Fatal(f"{problem}; name a file of PEM certificates, or unset the variable", Exit.CONFIG)
