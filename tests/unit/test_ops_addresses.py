"""Which settings are judged: those of the running proxy, and what this shell has otherwise is a note."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lumen_proxy import config
from lumen_proxy.ops import addresses
from lumen_proxy.supervisor import identity, recorded, state

PORT = "18099"
SECRETS = {"CLOUD_AI_API_KEY": "canary-a", "PROXY_API_KEY": "canary-b"}

Run = Callable[..., Callable[..., config.Settings]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Pretend that this process is a proxy with some settings; the loader of a shell's settings comes back."""
    folders = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path), "PROXY_PORT": PORT}
    lock = state.claim(tmp_path, int(PORT))

    def of_shell(environ: dict[str, str] | None = None, **options: str) -> config.Settings:
        return config.load(folders | (environ or {}), options)

    def running(environ: dict[str, str] | None = None, **options: str) -> Callable[..., config.Settings]:
        settings, pid = of_shell(environ, **options), os.getpid()
        it = state.State(
            "abc", pid, 0.0, settings.host, (), settings.port, 1, f"http://127.0.0.1:{PORT}", 1.0, settings.gateway_url,
            settings.cloud_ai_url, sandbox=False, start_stamp=identity.start_stamp(pid),
            settings=recorded.record(settings, {}),
        )  # fmt: skip
        state.write(tmp_path / f"proxy-{PORT}.json", it)
        return of_shell

    yield running
    lock.release()


def test_every_setting_is_that_of_the_running_proxy(run: Run) -> None:
    """A choice, a time, a switch, a list, an address: none is a note, for this shell sets none of them."""
    began = {
        "LUMEN_FALLBACK": "cloud_ai", "LUMEN_TIMEOUT_S": "7.5", "LUMEN_MODEL_STRICT": "1", "LUMEN_ALLOWED_HOSTS": "a,b",
        "LUMEN_GATEWAY_URL": "http://gateway.example",
    }  # fmt: skip
    asked, notes = addresses.in_use(run(began)())
    assert (asked.fallback, asked.timeout_s, asked.model_strict) == ("cloud_ai", 7.5, True)
    assert (asked.allowed_hosts, asked.gateway_url) == (("a", "b"), "http://gateway.example")
    assert notes == ()


@pytest.mark.parametrize(
    ("began", "here", "command"),
    [
        (("environ", "7"), ("environ", "9"), "lumen-proxy restart --port 18099"),
        (("option", "7"), ("environ", "9"), "lumen-proxy restart --port 18099 --timeout-s 9"),
        (("environ", "7"), ("option", "9"), "lumen-proxy restart --port 18099 --timeout-s 9"),
    ],
    ids=["variables", "its-option", "option-here"],
)
def test_a_difference_is_a_note_with_the_command(
    run: Run, began: tuple[str, str], here: tuple[str, str], command: str
) -> None:
    """Both values, and a restart that really uses the one of this shell."""

    def given(kind: str, text: str) -> tuple[dict[str, str], dict[str, str]]:
        return ({"LUMEN_TIMEOUT_S": text}, {}) if kind == "environ" else ({}, {"timeout_s": text})

    (environ, options), (environ_here, options_here) = given(*began), given(*here)
    asked, (note,) = addresses.in_use(run(environ, **options)(environ_here, **options_here))
    assert asked.timeout_s == 7.0
    assert note.startswith("LUMEN_TIMEOUT_S: the running proxy uses 7, this shell has 9; ")
    assert note.endswith(command)


def test_a_secret_is_used_where_it_is_the_same(run: Run) -> None:
    """Else the channel is asked without it; the key of the proxy is this shell's own business. No note shows one."""
    of_shell = run(SECRETS)
    assert addresses.in_use(of_shell(SECRETS))[0].cloud_ai_api_key == "canary-a"
    other = {"CLOUD_AI_API_KEY": "canary-c", "PROXY_API_KEY": "canary-d"}
    asked, notes = addresses.in_use(of_shell(other))
    assert (asked.cloud_ai_api_key, asked.api_key) == (None, "canary-d")
    assert {note.split()[0] for note in notes} == set(SECRETS)
    assert "canary" not in str(notes)


def test_lost_settings_are_told(run: Run, tmp_path: Path) -> None:
    """A proxy runs, but its state file is gone: the settings of this shell are judged, and a note says so."""
    settings = run()()
    (tmp_path / f"proxy-{PORT}.json").unlink()
    assert addresses.in_use(settings) == (settings, (addresses.UNKNOWN,))


def test_where_nothing_runs_this_shell_counts(run: Run, tmp_path: Path) -> None:
    """No lock, no proxy: no note."""
    settings = run()()
    (tmp_path / f"proxy-{PORT}.lock").unlink()
    assert addresses.in_use(settings) == (settings, ())
