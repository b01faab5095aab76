"""A running server that is not ready: one line has the answer and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.targets import endpoint
from lumen_conformance.targets.endpoint import RemoteServer
from lumen_conformance.targets.readiness import NeverReady, Readiness
from lumen_conformance.targets.target import Target

URL = "https://127.0.0.1:1"
CAME: dict[str, tuple[Capture, str]] = {
    "redirect": (Capture(f"{URL}/health", b"", 308, (("location", "https://b/"),)), "it redirects to https://b/, and"),
    "no-health": (Capture(f"{URL}/health", b"", 404), "by --proxy-health-path; with none the probe is"),
    "certificate": (
        Capture(f"{URL}/health", b"", ended="unreachable", error="SSLError: CERTIFICATE_VERIFY_FAILED"),
        "SSL_CERT_FILE names a file with the certificates to trust",
    ),
    "no-tls": (
        Capture(f"{URL}/health", b"", ended="unreachable", error="SSLError: WRONG_VERSION"),
        "give an http:// URL",
    ),
    "no-http": (Capture("http://a/health", b"", ended="invalid", error="no HTTP response"), "is it HTTP/1.1"),
}


@pytest.mark.parametrize("name", CAME)
def test_advice(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice fits what came."""
    came, advice = CAME[name]
    monkeypatch.setattr(endpoint, "call", lambda *_, **__: came)
    with pytest.raises(NeverReady) as error:
        RemoteServer(Target(url=URL, foreign=True)).wait_ready(Readiness(tmp_path))
    assert advice in str(error.value).splitlines()[0]
