"""Bundles of certificate authorities from the environment."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.net import trust
from lumen_proxy.net.route import Route
from tests.fixtures.tls import NEEDS_OPENSSL, create_certificate


@pytest.fixture(autouse=True)
def _no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore those of the developer."""
    for name in (*trust.STORES, *trust.BUNDLES):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["missing", "empty", "no-pem"])
@pytest.mark.parametrize("variable", trust.CHECKED)
def test_a_bundle_that_cannot_be_used(
    variable: str, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route with TLS ends the program (78) with variable, value and remedy."""
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv(variable, str(bundle))
    with pytest.raises(Fatal, match=rf"^{variable}='{bundle}' cannot be used: .*; name a file of PEM") as refused:
        Route("https://gateway.invalid")
    assert refused.value.exit_status is Exit.CONFIG
    Route("http://gateway.invalid")  # no bundle is read without TLS


@NEEDS_OPENSSL
@pytest.mark.parametrize("variable", trust.BUNDLES)
def test_a_bundle_is_trusted_in_addition(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of the system, here one authority, stays trusted."""
    folders = [tmp_path / name for name in ("system", "bundle")]
    for folder, name in zip(folders, ("SSL_CERT_FILE", variable), strict=True):
        folder.mkdir()
        monkeypatch.setenv(name, str(create_certificate(folder, f"{folder.name}.invalid")))
    found = trust.context()
    subjects = sorted(str(one["subject"]) for one in found.get_ca_certs())
    assert ["bundle.invalid" in subjects[0], "system.invalid" in subjects[1]] == [True, True]
    assert (found.verify_mode, found.check_hostname) == (ssl.CERT_REQUIRED, True)


@NEEDS_OPENSSL
def test_the_stores_of_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stores replace those of this process."""
    names = ("mine", "its")
    for name in names:
        (tmp_path / name).mkdir()
    mine, its = (str(create_certificate(tmp_path / name, f"{name}.invalid")) for name in names)
    monkeypatch.setenv("SSL_CERT_FILE", mine)
    (subject,) = (str(one["subject"]) for one in trust.context({"SSL_CERT_FILE": its}).get_ca_certs())
    assert "its.invalid" in subject


def test_a_folder_of_certificates_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in requests and curl."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    trust.check()
