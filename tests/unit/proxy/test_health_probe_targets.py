"""The settings that are probed: those of the running proxy; differences of this shell are notes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lumen_proxy import config
from lumen_proxy.health import probe_targets
from lumen_proxy.supervisor import instance_lock, process_identity, settings_record, state

PORT = "18099"
SECRETS = {"CLOUD_AI_API_KEY": "canary-a", "PROXY_API_KEY": "canary-b"}

Run = Callable[..., Callable[..., config.Settings]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Let this process look like a proxy with some settings; return the loader for the settings of a shell."""
    for name in settings_record.network_variables(os.environ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    folders = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path), "PROXY_PORT": PORT}
    lock = instance_lock.claim(tmp_path, int(PORT))

    def of_shell(environ: dict[str, str] | None = None, **options: str) -> config.Settings:
        return config.load(folders | (environ or {}), options)

    def running(environ: dict[str, str] | None = None, **options: str) -> Callable[..., config.Settings]:
        settings, pid = of_shell(environ, **options), os.getpid()
        known = state.InstanceState(
            "abc", pid, 0.0, settings.host, (), settings.port, 1, f"http://127.0.0.1:{PORT}", 1.0, settings.gateway_url,
            settings.cloud_ai_url, sandbox=False, start_stamp=process_identity.start_stamp(pid),
            settings=settings_record.record(settings, environ or {}),
        )  # fmt: skip
        state.write(tmp_path / f"proxy-{PORT}.json", known)
        return of_shell

    yield running
    lock.release()


def test_every_setting_is_that_of_the_running_proxy(run: Run) -> None:
    """All settings are those of the running proxy, without a note if this shell sets none of them."""
    started = {
        "LUMEN_FALLBACK": "cloud_ai", "LUMEN_TIMEOUT_S": "7.5", "LUMEN_MODEL_STRICT": "1", "LUMEN_ALLOWED_HOSTS": "a,b",
        "LUMEN_GATEWAY_URL": "http://gateway.example",
    }  # fmt: skip
    targets, notes, _ = probe_targets.find_targets(run(started)())
    assert (targets.fallback, targets.timeout_s, targets.model_strict) == ("cloud_ai", 7.5, True)
    assert (targets.allowed_hosts, targets.gateway_url) == (("a", "b"), "http://gateway.example")
    assert notes == ()


@pytest.mark.parametrize(
    ("started", "here", "command"),
    [
        (("environ", "7"), ("environ", "9"), "lumen-proxy restart --port 18099"),
        (("option", "7"), ("environ", "9"), "lumen-proxy restart --port 18099 --timeout-s 9"),
        (("environ", "7"), ("option", "9"), "lumen-proxy restart --port 18099 --timeout-s 9"),
    ],
    ids=["variables", "its-option", "option-here"],
)
def test_a_difference_is_a_note_with_the_command(
    run: Run, started: tuple[str, str], here: tuple[str, str], command: str
) -> None:
    """A difference is a note with both values and the restart that uses the value of this shell."""

    def given(kind: str, text: str) -> tuple[dict[str, str], dict[str, str]]:
        return ({"LUMEN_TIMEOUT_S": text}, {}) if kind == "environ" else ({}, {"timeout_s": text})

    (environ, options), (environ_here, options_here) = given(*started), given(*here)
    targets, (note,), _ = probe_targets.find_targets(run(environ, **options)(environ_here, **options_here))
    assert targets.timeout_s == 7.0
    assert note.startswith("LUMEN_TIMEOUT_S: the running proxy uses 7, this shell has 9; ")
    assert note.endswith(command)


def test_a_secret_is_used_only_if_it_is_the_same(run: Run) -> None:
    """Another secret is not sent to the channel, and no note shows a secret."""
    of_shell = run(SECRETS)
    assert probe_targets.find_targets(of_shell(SECRETS))[0].cloud_ai_api_key == "canary-a"
    other = {"CLOUD_AI_API_KEY": "canary-c", "PROXY_API_KEY": "canary-d"}
    targets, notes, _ = probe_targets.find_targets(of_shell(other))
    assert (targets.cloud_ai_api_key, targets.api_key) == (None, "canary-d")
    assert {note.split()[0] for note in notes} == set(SECRETS)
    assert "canary" not in str(notes)


def test_missing_settings_are_reported(run: Run, tmp_path: Path) -> None:
    """Without a state file the settings of this shell are probed, with a note."""
    settings = run()()
    (tmp_path / f"proxy-{PORT}.json").unlink()
    assert probe_targets.find_targets(settings)[:2] == (settings, (probe_targets.UNKNOWN,))


def test_without_a_proxy_this_shell_is_used(run: Run, tmp_path: Path) -> None:
    """If no proxy runs, the settings of this shell are probed, without a note."""
    settings = run()()
    (tmp_path / f"proxy-{PORT}.lock").unlink()
    assert probe_targets.find_targets(settings)[:2] == (settings, ())


def test_network_variables_are_those_of_the_running_proxy(run: Run) -> None:
    """Network variables are those of the running proxy, except one with a secret part, which has a note."""
    settings = run({"SSL_CERT_FILE": "/started.pem", "https_proxy": "http://u:canary@p.example:1"})()
    here = {"SSL_CERT_FILE": "/here.pem", "HTTPS_PROXY": "http://here.example:2", "HOME": "/home"}
    _, notes, environ = probe_targets.find_targets(settings, here)
    assert environ == {"SSL_CERT_FILE": "/started.pem", "https_proxy": "http://here.example:2", "HOME": "/home"}
    by_name = {note.partition(":")[0]: note for note in notes}
    assert "the running proxy uses /started.pem, this shell has /here.pem" in by_name["SSL_CERT_FILE"]
    assert "is used here because" in by_name["https_proxy"]
    assert "canary" not in str(notes)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (
            "https://c.example/chat?key=canary",
            'set CLOUD_AI_URL, then: lumen-proxy restart {} --cloud-ai-url "$CLOUD_AI_URL"',
        ),
        ("https://c.example/$x", "lumen-proxy restart {} --cloud-ai-url 'https://c.example/$x'"),
    ],
    ids=["masked", "quoted"],
)
def test_the_advised_command_can_be_copied(run: Run, text: str, command: str) -> None:
    """The advised command names the variable of a masked value and quotes other values."""
    of_shell = run(cloud_ai_url="https://started.example/chat")
    _, (note,), _ = probe_targets.find_targets(of_shell(cloud_ai_url=text))
    assert note.endswith(command.format(f"--port {PORT}"))
    assert "canary" not in note
