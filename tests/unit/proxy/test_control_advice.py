"""Advised commands have the options that reach the same instance."""

from __future__ import annotations

from lumen_proxy import config
from lumen_proxy.control.advice import on_port
from lumen_proxy.control.running_settings import stop_and_start_commands

SETTINGS = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"})


def test_advice_names_an_unusual_port() -> None:
    """An advised command has the port of the proxy."""
    other = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"}, {"port": "8081"})
    assert on_port("lumen-proxy start", SETTINGS) == "lumen-proxy start"
    assert on_port("lumen-proxy start", other) == "lumen-proxy start --port 8081"
    assert on_port("lumen-proxy diagnose --no-start", other) == "lumen-proxy diagnose --port 8081 --no-start"
    assert on_port("lumen-proxy stop --port 8081", other) == "lumen-proxy stop --port 8081"
    assert on_port("wait", other) == "wait"
    assert on_port("lumen-proxy stop, then lumen-proxy start", other) == (
        "lumen-proxy stop --port 8081, then lumen-proxy start --port 8081"
    )
    usual = config.load({"PROXY_PORT": "8081"}, {"port": "8080"})
    assert on_port("lumen-proxy start", usual) == "lumen-proxy start --port 8080"


def test_advice_names_a_state_folder() -> None:
    """An advised command has the state folder if it was given as an option."""
    other = config.load({"LUMEN_LOG_DIR": "x"}, {"port": "8081", "state_dir": "of mine"})
    options = f"--port 8081 --state-dir '{other.state_dir}'"
    assert on_port("lumen-proxy restart", other) == f"lumen-proxy restart {options}"
    assert stop_and_start_commands(other) == f"lumen-proxy stop {options}, then lumen-proxy start {options}"


def test_advice_stays_in_the_sandbox() -> None:
    """An advised command stays in sandbox mode."""
    sandboxed = SETTINGS.in_sandbox()
    assert on_port("lumen-proxy start", sandboxed) == "lumen-proxy start --sandbox"
    assert on_port("lumen-proxy restart --sandbox", sandboxed) == "lumen-proxy restart --sandbox"
    assert on_port("lumen-proxy status", sandboxed) == "lumen-proxy status"
    assert on_port("lumen-proxy restart --no-sandbox", sandboxed) == "lumen-proxy restart --no-sandbox"
