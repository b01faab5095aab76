"""Errors that are found before a proxy is started or stopped."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lumen_proxy import config, dependencies
from lumen_proxy.control.start_check import check_startable
from lumen_proxy.errors import Fatal
from tests.fixtures.repository import ROOT

FOLDERS = {"LUMEN_STATE_DIR": "/state", "LUMEN_LOG_DIR": "/log"}
FAR = {"LUMEN_GATEWAY_URL": "https://gateway.invalid"}
SOCKS = {"all_proxy": "socks5://127.0.0.1:1"}


def check(environ: dict[str, str], *, sandboxed: bool = False) -> None:
    """Check settings as for a proxy with this environment."""
    settings = config.load(FOLDERS | environ)
    check_startable(settings.in_sandbox() if sandboxed else settings, environ)


@pytest.mark.parametrize(
    ("environ", "exit_status"),
    [
        ({"LUMEN_MAX_CONCURRENCY": "1000"}, 78),
        ({"PROXY_HOST": "192.0.2.1"}, 77),
        (FAR | SOCKS, 78),
        (FAR | {"SSL_CERT_FILE": "/missing.pem"}, 78),
        (
            {
                "LUMEN_GATEWAY_URL": "http://127.0.0.1:1",
                "CLOUD_AI_URL": "https://c.invalid",
                "LUMEN_FALLBACK": "cloud_ai",
            }
            | SOCKS,
            78,
        ),
    ],
    ids=["limits", "no-key", "socks", "bundle", "fallback"],
)
def test_errors_of_a_worker_are_found_before(environ: dict[str, str], exit_status: int) -> None:
    """The check uses the environment of the proxy, not of this process."""
    with pytest.raises(Fatal) as refused:
        check(environ)
    assert refused.value.exit_status == exit_status


def test_unused_settings_are_not_checked() -> None:
    """The check ignores addresses in sandbox mode, and Cloud AI unless it is the fallback."""
    check(FAR | SOCKS, sandboxed=True)
    check({"LUMEN_GATEWAY_URL": "http://127.0.0.1:1", "CLOUD_AI_URL": "https://c.invalid"} | SOCKS)


def test_a_missing_dependency_is_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing dependency raises 69 with the command that installs it."""
    monkeypatch.setattr(dependencies, "missing", lambda: (dependencies.BY_MODULE["flask"],))
    with pytest.raises(Fatal, match="flask") as refused:
        check({}, sandboxed=True)
    assert refused.value.exit_status == 69


def test_nothing_that_serves_is_imported() -> None:
    """The check imports neither Flask nor Waitress, because the supervisor also calls it."""
    code = (
        "import sys; from lumen_proxy import config; from lumen_proxy.control.start_check import check_startable; "
        "check_startable(config.load({}), {}); print({'flask', 'waitress'} & set(sys.modules) or 'none')"
    )
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT)])
    environ = os.environ | FOLDERS | {"PYTHONPATH": path}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True).stdout == b"none\n"
    )
