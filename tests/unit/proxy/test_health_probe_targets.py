"""Which settings are judged: those of the running proxy, and what this shell has otherwise is a note."""

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
    """Pretend that this process is a proxy with some settings; the loader of a shell's settings comes back."""
    for name in settings_record.network_variables(os.environ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    folders = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path), "PROXY_PORT": PORT}
    lock = instance_lock.claim(tmp_path, int(PORT))

    def of_shell(environ: dict[str, str] | None = None, **options: str) -> config.Settings:
        return config.load(folders | (environ or {}), options)

    def running(environ: dict[str, str] | None = None, **options: str) -> Callable[..., config.Settings]:
        settings, pid = of_shell(environ, **options), os.getpid()
        it = state.InstanceState(
            "abc", pid, 0.0, settings.host, (), settings.port, 1, f"http://127.0.0.1:{PORT}", 1.0, settings.gateway_url,
            settings.cloud_ai_url, sandbox=False, start_stamp=process_identity.start_stamp(pid),
            settings=settings_record.record(settings, environ or {}),
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
    asked, notes, _ = probe_targets.find_targets(run(began)())
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
    asked, (note,), _ = probe_targets.find_targets(run(environ, **options)(environ_here, **options_here))
    assert asked.timeout_s == 7.0
    assert note.startswith("LUMEN_TIMEOUT_S: the running proxy uses 7, this shell has 9; ")
    assert note.endswith(command)


def test_a_secret_is_used_where_it_is_the_same(run: Run) -> None:
    """Else the channel is asked without it; the key of the proxy is this shell's own business. No note shows one."""
    of_shell = run(SECRETS)
    assert probe_targets.find_targets(of_shell(SECRETS))[0].cloud_ai_api_key == "canary-a"
    other = {"CLOUD_AI_API_KEY": "canary-c", "PROXY_API_KEY": "canary-d"}
    asked, notes, _ = probe_targets.find_targets(of_shell(other))
    assert (asked.cloud_ai_api_key, asked.api_key) == (None, "canary-d")
    assert {note.split()[0] for note in notes} == set(SECRETS)
    assert "canary" not in str(notes)


def test_lost_settings_are_told(run: Run, tmp_path: Path) -> None:
    """A proxy runs, but its state file is gone: the settings of this shell are judged, and a note says so."""
    settings = run()()
    (tmp_path / f"proxy-{PORT}.json").unlink()
    assert probe_targets.find_targets(settings)[:2] == (settings, (probe_targets.UNKNOWN,))


def test_where_nothing_runs_this_shell_counts(run: Run, tmp_path: Path) -> None:
    """No lock, no proxy: no note."""
    settings = run()()
    (tmp_path / f"proxy-{PORT}.lock").unlink()
    assert probe_targets.find_targets(settings)[:2] == (settings, ())


def test_the_way_to_an_address_is_that_of_the_running_proxy(run: Run) -> None:
    """A certificate file is taken from the record; a forward proxy with a password only from this shell, as told."""
    settings = run({"SSL_CERT_FILE": "/began.pem", "https_proxy": "http://u:canary@p.example:1"})()
    here = {"SSL_CERT_FILE": "/here.pem", "HTTPS_PROXY": "http://here.example:2", "HOME": "/home"}
    _, notes, environ = probe_targets.find_targets(settings, here)
    assert environ == {"SSL_CERT_FILE": "/began.pem", "https_proxy": "http://here.example:2", "HOME": "/home"}
    by_name = {note.partition(":")[0]: note for note in notes}
    assert "the running proxy uses /began.pem, this shell has /here.pem" in by_name["SSL_CERT_FILE"]
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
    """What is masked is named by its variable; what a shell would read otherwise is quoted."""
    of_shell = run(cloud_ai_url="https://began.example/chat")
    _, (note,), _ = probe_targets.find_targets(of_shell(cloud_ai_url=text))
    assert note.endswith(command.format(f"--port {PORT}"))
    assert "canary" not in note
