"""The settings in a state file, and how a restart uses them."""

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
    """The settings of an instance, written as JSON and read back."""
    settings = config.load(FOLDERS | environ, options)
    return RunningSettings(state_of(json.loads(json.dumps(settings_record.record(settings, environ)))))


def state_of(settings: dict[str, object]) -> InstanceState:
    """A state with these recorded settings."""
    known = InstanceState(
        "abc", 1, 0.0, "127.0.0.1", (), 8080, 1, "", 30.0, "http://old.example", "none", sandbox=False
    )
    return dataclasses.replace(known, settings=settings)


def test_no_secret_is_written() -> None:
    """The record of a secret is a salted digest, which differs each time and identifies the secret."""
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
    ("started", "here", "expected"),
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
def test_the_order_of_settings_in_a_restart(started: dict[str, str], here: dict[str, str], expected: str) -> None:
    """The order is: new option, old option, new variable, old variable, default."""
    known = written(environ_of(started), options_of(started))
    environ, options = merge_for_restart(known, FOLDERS | environ_of(here), options_of(here))
    assert config.load(environ, options).history == expected


def environ_of(given: dict[str, str]) -> dict[str, str]:
    """The setting as a variable, if it is given as one."""
    return {"LUMEN_HISTORY": given["environ"]} if "environ" in given else {}


def options_of(given: dict[str, str]) -> dict[str, str]:
    """The setting as an option, if it is given as one."""
    return {"history": given["option"]} if "option" in given else {}


@pytest.mark.parametrize("variable", SECRETS)
def test_a_missing_secret_is_named(variable: str) -> None:
    """A secret that this shell lacks raises 78; one that this shell has is used."""
    with pytest.raises(Fatal, match=rf"(?i){variable}.*not set in this shell") as verdict:
        merge_for_restart(written({variable: SECRETS[variable]}), FOLDERS, {})
    assert verdict.value.exit_status is Exit.CONFIG
    environ, _ = merge_for_restart(written({variable: SECRETS[variable]}), {variable: "https://other.example"}, {})
    assert environ[variable] == "https://other.example"


HIDDEN = "https://cloud.example/chat?canary-query"


@pytest.mark.parametrize("here", ["none", "https://cloud.example/chat", ""])
def test_an_option_with_a_hidden_part_is_not_replaced_by_a_variable(here: str) -> None:
    """An option with a secret part that this shell lacks raises 78 and is named."""
    with pytest.raises(Fatal, match=r"--cloud-ai-url") as verdict:
        merge_for_restart(written({}, {"cloud_ai_url": HIDDEN}), FOLDERS | {"CLOUD_AI_URL": here}, {})
    assert (verdict.value.exit_status, "canary" in str(verdict.value)) == (Exit.CONFIG, False)


def test_an_option_with_a_hidden_part_is_recognized() -> None:
    """The same value in this shell is used as the old option; a new option has precedence."""
    known = written({}, {"cloud_ai_url": HIDDEN})
    assert merge_for_restart(known, FOLDERS | {"CLOUD_AI_URL": HIDDEN}, {})[1] == {"cloud_ai_url": HIDDEN}
    assert merge_for_restart(known, FOLDERS | {"CLOUD_AI_URL": "none"}, {"cloud_ai_url": "none"})[1] == {
        "cloud_ai_url": "none"
    }


def test_network_variables_are_inherited() -> None:
    """A restart keeps the forward proxy and the certificates of the instance unless this shell has its own."""
    known = written({"HTTPS_PROXY": "http://proxy.example:3128", "SSL_CERT_FILE": "/ca.pem"})
    environ, _ = merge_for_restart(known, {"SSL_CERT_FILE": "/own.pem"}, {})
    assert (environ["https_proxy"], environ["SSL_CERT_FILE"]) == ("http://proxy.example:3128", "/own.pem")


def test_differences_name_both_values() -> None:
    """A difference has both values, without secrets; port and state folder are not compared."""
    asked = config.load(
        FOLDERS | {"LUMEN_HISTORY": "last", "PROXY_API_KEY": "b", "PROXY_PORT": "1", "LUMEN_STATE_DIR": "/other"}
    )
    assert [str(difference) for difference in written({"PROXY_API_KEY": "a"}).differences(asked, {})] == [
        "PROXY_API_KEY differs",
        "LUMEN_HISTORY: fold is running, last was requested",
    ]


def test_settings_of_the_first_release() -> None:
    """Host and addresses of a state file of the first release are used in a restart."""
    environ, options = merge_for_restart(RunningSettings(state_of({})), FOLDERS, {})
    settings = config.load(environ, options)
    assert (settings.gateway_url, settings.cloud_ai_url, settings.host) == ("http://old.example", "none", "127.0.0.1")


def test_a_sandbox_has_its_own_addresses() -> None:
    """In sandbox mode only the mode differs from a plain start."""
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
def test_unrecorded_addresses_are_not_guessed(*, sandbox: bool, cloud_ai_url: str, left_out: tuple[str, ...]) -> None:
    """An address of a sandbox, or one that may lack its query, does not become a setting."""
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
    """A password of a forward proxy is not recorded, whatever its characters, and the value is still recognized."""
    known = written({"HTTPS_PROXY": proxy})
    assert (known.value("https_proxy"), known.is_same("https_proxy", proxy)) == (shown, True)


@pytest.mark.parametrize("here", [{"https_proxy": "http://b"}, {"HTTPS_PROXY": "http://b"}], ids=["lower", "upper"])
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
def test_both_names_of_a_forward_proxy_are_one(name: str, here: dict[str, str]) -> None:
    """Both spellings of a proxy variable are one variable, and that of this shell is used."""
    known = written({name: "http://a"})
    environ, _ = merge_for_restart(known, FOLDERS | here, {})
    assert settings_record.network_variables(environ) == {"https_proxy": "http://b"}
    assert [str(found) for found in known.differences(config.load(FOLDERS), here)] == [
        "https_proxy: http://a is running, http://b was requested"
    ]
    assert not list(known.differences(config.load(FOLDERS), {name.swapcase(): "http://a"}))


def test_a_sandbox_keeps_the_configured_addresses() -> None:
    """A sandbox shows the embedded address and records the configured one for a restart."""
    settings = config.load(FOLDERS, {"gateway_url": "http://kept.example"}).with_embedded("http://127.0.0.1:1", "none")
    known = RunningSettings(dataclasses.replace(state_of(settings_record.record(settings, {})), sandbox=True))
    environ, options = merge_for_restart(known, FOLDERS, {})
    assert config.load(environ, options).gateway_url == "http://kept.example"
    shown = {row["variable"]: (row["value"], row["origin"]) for row in known.rows()}
    assert shown["LUMEN_GATEWAY_URL"] == ("http://old.example", "sandbox")
    other = config.load(FOLDERS, {"gateway_url": "http://other.example"})
    assert [found.variable for found in known.differences(other, {})] == ["sandbox", "LUMEN_GATEWAY_URL"]
