"""What a state file keeps of the settings, and what a restart makes of it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from lumen_proxy import config
from lumen_proxy.control.running_settings import RunningSettings, merge_for_restart
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import settings_record
from lumen_proxy.supervisor.state import InstanceState

FOLDERS = {"LUMEN_STATE_DIR": "/state", "LUMEN_LOG_DIR": "/log"}
SECRETS = {
    "PROXY_API_KEY": "canary-key",
    "CLOUD_AI_URL": "https://cloud.example/chat?canary-query",
    "SLACK_WEBHOOK_URL": "https://slack.example/canary-hook",
    "HTTPS_PROXY": "http://canary-user:canary-password@proxy.example:3128",
}


def written(environ: dict[str, str], options: dict[str, str] | None = None) -> RunningSettings:
    """The settings of an instance, written to JSON and read again."""
    settings = config.load(FOLDERS | environ, options)
    return RunningSettings(state_of(json.loads(json.dumps(settings_record.record(settings, environ)))))


def state_of(settings: dict[str, object]) -> InstanceState:
    """A state with these recorded settings."""
    known = InstanceState(
        "abc", 1, 0.0, "127.0.0.1", (), 8080, 1, "", 30.0, "http://old.example", "none", sandbox=False
    )
    return dataclasses.replace(known, settings=settings)


def test_no_secret_is_written() -> None:
    """Only that it is set, and a salted digest, by which it is recognised; never twice the same."""
    settings = config.load(FOLDERS | SECRETS)
    twice = [json.dumps(settings_record.record(settings, SECRETS)) for _ in range(2)]
    assert "canary" not in twice[0]
    assert twice[0] != twice[1]
    known = written(SECRETS)
    for name, text in SECRETS.items():
        variable = settings_record.recorded_name(name)
        assert known.is_same(variable, text), variable
        assert not known.is_same(variable, f"{text}x"), variable
        assert not known.is_same(variable, None), variable
    assert known.shown("CLOUD_AI_URL") == "https://cloud.example/chat"
    assert known.shown("PROXY_API_KEY") == "(secret)"
    assert known.value("https_proxy") == "http://***@proxy.example:3128"


@pytest.mark.parametrize(
    ("began", "here", "expected"),
    [
        ({"environ": "last"}, {}, "last"),
        ({"option": "last"}, {}, "last"),
        ({"environ": "last"}, {"environ": "fold"}, "fold"),
        ({"option": "last"}, {"environ": "fold"}, "last"),
        ({"option": "last"}, {"option": "fold"}, "fold"),
        ({}, {"environ": "last"}, "last"),
        ({}, {}, "fold"),
    ],
    ids=["variable", "option", "variable-here", "option-stays", "option-here", "new-variable", "default"],
)
def test_what_a_restart_inherits(began: dict[str, str], here: dict[str, str], expected: str) -> None:
    """An option here, an option of then, a variable here, a variable of then, the default: in this order."""
    known = written(environ_of(began), options_of(began))
    environ, options = merge_for_restart(known, FOLDERS | environ_of(here), options_of(here))
    assert config.load(environ, options).history == expected


def environ_of(given: dict[str, str]) -> dict[str, str]:
    """The variable of the setting, if it is given as one."""
    return {"LUMEN_HISTORY": given["environ"]} if "environ" in given else {}


def options_of(given: dict[str, str]) -> dict[str, str]:
    """The option of the setting, if it is given as one."""
    return {"history": given["option"]} if "option" in given else {}


@pytest.mark.parametrize("variable", SECRETS)
def test_a_missing_secret_is_named(variable: str) -> None:
    """78; one that this shell has is used, whether it is the same or not."""
    with pytest.raises(Fatal, match=rf"(?i){variable}.*not set in this shell") as verdict:
        merge_for_restart(written({variable: SECRETS[variable]}), FOLDERS, {})
    assert verdict.value.exit_status is Exit.CONFIG
    environ, _ = merge_for_restart(written({variable: SECRETS[variable]}), {variable: "https://other.example"}, {})
    assert environ[variable] == "https://other.example"


HIDDEN = "https://cloud.example/chat?canary-query"


@pytest.mark.parametrize("here", ["none", "https://cloud.example/chat", ""])
def test_an_option_with_a_hidden_part_is_not_replaced_by_a_variable(here: str) -> None:
    """It comes before the variable of this shell but is not recorded: 78, and the option is named."""
    with pytest.raises(Fatal, match=r"--cloud-ai-url") as verdict:
        merge_for_restart(written({}, {"cloud_ai_url": HIDDEN}), FOLDERS | {"CLOUD_AI_URL": here}, {})
    assert (verdict.value.exit_status, "canary" in str(verdict.value)) == (Exit.CONFIG, False)


def test_an_option_with_a_hidden_part_is_known_again() -> None:
    """The same text in this shell is used as the option that it was; an option of the restart comes first."""
    known = written({}, {"cloud_ai_url": HIDDEN})
    assert merge_for_restart(known, FOLDERS | {"CLOUD_AI_URL": HIDDEN}, {})[1] == {"cloud_ai_url": HIDDEN}
    assert merge_for_restart(known, FOLDERS | {"CLOUD_AI_URL": "none"}, {"cloud_ai_url": "none"})[1] == {
        "cloud_ai_url": "none"
    }


def test_where_addresses_are_reached_is_inherited() -> None:
    """A forward proxy and a certificate file of the shell that started it, unless this shell has its own."""
    known = written({"HTTPS_PROXY": "http://proxy.example:3128", "SSL_CERT_FILE": "/ca.pem"})
    environ, _ = merge_for_restart(known, {"SSL_CERT_FILE": "/own.pem"}, {})
    assert (environ["https_proxy"], environ["SSL_CERT_FILE"]) == ("http://proxy.example:3128", "/own.pem")


def test_differences_name_both_values() -> None:
    """What runs, what is asked for; of a secret only that it differs; port and state folder do not count."""
    asked = config.load(
        FOLDERS | {"LUMEN_HISTORY": "last", "PROXY_API_KEY": "b", "PROXY_PORT": "1", "LUMEN_STATE_DIR": "/other"}
    )
    assert [str(difference) for difference in written({"PROXY_API_KEY": "a"}).differences(asked, {})] == [
        "PROXY_API_KEY differs",
        "LUMEN_HISTORY: fold is running, last was requested",
    ]


def test_the_first_release_recorded_three() -> None:
    """Host and both addresses: enough for a restart that keeps the gateway, where no query can be missing."""
    environ, options = merge_for_restart(RunningSettings(state_of({})), FOLDERS, {})
    settings = config.load(environ, options)
    assert (settings.gateway_url, settings.cloud_ai_url, settings.host) == ("http://old.example", "none", "127.0.0.1")


def test_a_sandbox_has_its_own_addresses() -> None:
    """Only the sandbox itself differs."""
    settings = config.load(FOLDERS)
    known = RunningSettings(dataclasses.replace(state_of(settings_record.record(settings, {})), sandbox=True))
    assert [str(found) for found in known.differences(config.load(FOLDERS), {})] == [
        "sandbox: on is running, off was requested"
    ]


@pytest.mark.parametrize(
    ("sandbox", "cloud_ai_url", "left_out"),
    [
        (True, "http://127.0.0.1:2/chat", ("CLOUD_AI_URL", "LUMEN_GATEWAY_URL")),
        (False, "https://cloud.example/chat", ("CLOUD_AI_URL",)),
        (False, config.CLOUD_AI_URL, ()),
    ],
    ids=["sandbox", "perhaps-with-a-query", "default"],
)
def test_what_the_first_release_left_open_is_not_guessed(
    *, sandbox: bool, cloud_ai_url: str, left_out: tuple[str, ...]
) -> None:
    """Neither the dead address of a sandbox nor one that may lack its key becomes a setting."""
    known = RunningSettings(dataclasses.replace(state_of({}), sandbox=sandbox, cloud_ai_url=cloud_ai_url))
    assert known.not_recorded == left_out
    assert not {*merge_for_restart(known, FOLDERS, {})[0]} & {*left_out}


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("user:canary@127.0.0.1:1", "***@127.0.0.1:1"),
        ("http://user:can@ary@proxy", "http://***@proxy"),
        ("http://user:can/ary@proxy", "http://***@proxy"),
        ("http://user:can?ary@proxy", "http://***"),
        ("http://user:can\udcffary@proxy", "http://***@proxy"),
        ("http://proxy.example:3128", "http://proxy.example:3128"),
    ],
    ids=["no-scheme", "at", "slash", "question-mark", "not-utf-8", "no-secret"],
)
def test_no_password_of_a_forward_proxy_is_written(proxy: str, shown: str) -> None:
    """Whatever it is made of; it is recognised all the same."""
    known = written({"HTTPS_PROXY": proxy})
    assert (known.value("https_proxy"), known.is_same("https_proxy", proxy)) == (shown, True)


@pytest.mark.parametrize("here", [{"https_proxy": "http://b"}, {"HTTPS_PROXY": "http://b"}], ids=["lower", "upper"])
@pytest.mark.parametrize("began", ["https_proxy", "HTTPS_PROXY"])
def test_both_names_of_a_forward_proxy_are_one(began: str, here: dict[str, str]) -> None:
    """The one of this shell is used, and it is the only difference."""
    known = written({began: "http://a"})
    environ, _ = merge_for_restart(known, FOLDERS | here, {})
    assert settings_record.network_variables(environ) == {"https_proxy": "http://b"}
    assert [str(found) for found in known.differences(config.load(FOLDERS), here)] == [
        "https_proxy: http://a is running, http://b was requested"
    ]
    assert not list(known.differences(config.load(FOLDERS), {began.swapcase(): "http://a"}))


def test_a_sandbox_keeps_the_configured_addresses() -> None:
    """For a restart without it; what is shown of it is the embedded address."""
    settings = config.load(FOLDERS, {"gateway_url": "http://kept.example"}).with_embedded("http://127.0.0.1:1", "none")
    known = RunningSettings(dataclasses.replace(state_of(settings_record.record(settings, {})), sandbox=True))
    environ, options = merge_for_restart(known, FOLDERS, {})
    assert config.load(environ, options).gateway_url == "http://kept.example"
    shown = {row["variable"]: (row["value"], row["origin"]) for row in known.rows()}
    assert shown["LUMEN_GATEWAY_URL"] == ("http://old.example", "sandbox")
    other = config.load(FOLDERS, {"gateway_url": "http://other.example"})
    assert [found.variable for found in known.differences(other, {})] == ["sandbox", "LUMEN_GATEWAY_URL"]
