"""Settings: defaults, environment, options; a bad value ends the program with a remedy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.config import BY_VARIABLE, SETTINGS, load
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.masking import mask


def test_defaults_need_no_environment() -> None:
    """Without variables each setting has its default and the origin `default`."""
    settings = load({})
    assert settings.port == 8080
    assert set(settings.origins.values()) == {"default"}


@pytest.mark.parametrize("suffix", ["", "/", "/chat", "/chat/"])
def test_gateway_address_in_both_forms(suffix: str) -> None:
    """The gateway address is the same with and without /chat."""
    assert load({"LUMEN_GATEWAY_URL": "http://127.0.0.1:9" + suffix}).gateway_url == "http://127.0.0.1:9"


def test_option_overrides_environment() -> None:
    """The option is used, and is the origin."""
    settings = load({"PROXY_PORT": "1"}, {"port": "2"})
    assert (settings.port, settings.origins["port"]) == (2, "option")


def test_a_child_gets_the_same_settings() -> None:
    """Settings written as variables and read again are equal."""
    settings = load({"PROXY_API_KEY": "k", "LUMEN_ALLOWED_HOSTS": "a, B", "LUMEN_STANDBY": "off"})
    assert load(settings.environ()) == settings


BAD = {
    "PROXY_PORT": ["http", "65536", "-1", "8080.0"],
    "PROXY_HOST": ["example.org", "127.0.0"],
    "LUMEN_GATEWAY_URL": [
        "gateway",
        "ftp://x",
        "http://",
        "http://h:port",
        "http://h:99999",
        "http://h/?q=1",
        "http://a b",
        "http://a..b",
        "http://" + "a" * 70,
        "http://:password@h",
        "http://h:0",
    ],
    "CLOUD_AI_URL": ["http://a..b/chat", "http://[/chat"],
    "LUMEN_ALLOWED_HOSTS": ["*", "*.x", "*.168.0.1", "a.*.b", "http://x/", "h:80", "a b", "a..b", "[::1", "a/b", "[a]"],
    "LUMEN_ALLOWED_ORIGINS": [
        "*",
        "http://*",
        "https://*:3000",
        "https://*.168.0.1",
        "https://a.*.b",
        "file:///home/page.html",
        "https://a/",
        "https://a/page",
        "not an origin",
        "a.example",
        "https://*.a",
        "https://u@a",
        "https://a:port",
        "https://a:99999",
        "https://::1",
    ],
    "LUMEN_TIMEOUT_S": ["0", "nan", "inf", "ten"],
    "LUMEN_HISTORY": ["all"],
    "LUMEN_STANDBY": ["maybe"],
    "PROXY_API_KEY": ["line\nbreak", "한글"],
}


@pytest.mark.parametrize(("variable", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_bad_variable_is_named(variable: str, text: str) -> None:
    """A bad variable ends the program with 78 and one line: name, value unless secret, expected values, remedy."""
    with pytest.raises(Fatal) as refused:
        load({variable: text})
    assert refused.value.exit_status is Exit.CONFIG
    value = "" if BY_VARIABLE[variable].secret else f"={mask(text)!a}"
    expected = BY_VARIABLE[variable].parse.expected
    assert str(refused.value) == f"{variable}{value} is invalid: expected {expected}. Fix or unset it"
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("LUMEN_TIMEOUT_S", "seconds between 0.05 and 86400"),
        ("PROXY_PORT", "a whole number between 0 and 65535"),
        ("LUMEN_LOG_DAYS", "a whole number of at least 1"),
        ("LUMEN_HISTORY", "fold or last"),
        ("LUMEN_LOG_LEVEL", "debug, info, warning or error"),
        ("LUMEN_STANDBY", "1, 0, true, false, yes, no, on or off"),
    ],
)
def test_the_description_of_a_setting(variable: str, expected: str) -> None:
    """The description of a parser is data, used in the error, in --help and in the guides."""
    assert BY_VARIABLE[variable].parse.expected == expected


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("A.Example., b", ("a.example", "b")),
        ("10.0.0.7, [fe80::1], ::2", ("10.0.0.7", "fe80::1", "::2")),
        ("lumen_proxy,한글.kr", ("lumen_proxy", "xn--bj0bj06e.kr")),
        ("*.Tunnel.example", ("*.tunnel.example",)),
        (",", ()),
    ],
)
def test_hosts_are_kept_as_clients_send_them(text: str, hosts: tuple[str, ...]) -> None:
    """In lower case, without brackets and final dot; names of other scripts in their ASCII form."""
    assert load({"LUMEN_ALLOWED_HOSTS": text}).allowed_hosts == hosts


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://A.Example, http://b:3000", ("https://a.example", "http://b:3000")),
        ("https://a:443,http://b:80,http://c:443", ("https://a", "http://b", "http://c:443")),
        ("http://[::1]:3000,chrome-extension://abc", ("http://[::1]:3000", "chrome-extension://abc")),
        ("https://한글.kr", ("https://xn--bj0bj06e.kr",)),
        ("app://-", ("app://-",)),
        ("null, FILE://", ("null", "file://")),
        ("chrome-extension://*,app://obsidian.md", ("chrome-extension://*", "app://obsidian.md")),
        ("https://*.Tunnel.example:443", ("https://*.tunnel.example",)),
    ],
)
def test_origins_are_kept_as_browsers_send_them(text: str, origins: tuple[str, ...]) -> None:
    """Without the default port of the scheme."""
    assert load({"LUMEN_ALLOWED_ORIGINS": text}).allowed_origins == origins


def test_bad_option_is_a_usage_error() -> None:
    """A bad option ends the program with 64."""
    with pytest.raises(Fatal) as refused:
        load({}, {"port": "x"})
    expected = "a whole number between 0 and 65535"
    assert str(refused.value) == f"--port='x' is invalid: expected {expected}. Fix the option"
    assert refused.value.exit_status is Exit.USAGE


def test_secrets_never_show() -> None:
    """Neither the repr of the settings nor an error message contains a secret."""
    secrets = {setting.variable: "https://s3cret" for setting in SETTINGS if setting.secret}
    assert "s3cret" not in repr(load(secrets))
    with pytest.raises(Fatal) as refused:
        load({"PROXY_API_KEY": "s3cret\x00"})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("name", ["LUMEN_TIMEOUT", "LUMEN_GATEWAY_URI", "LUMEN_MAX_BODY_BYTE", "LUMEN_TIEMOUT_S"])
def test_a_misspelt_setting_is_refused(name: str) -> None:
    """A variable within two letters of a setting ends the program, and the message names the setting."""
    with pytest.raises(Fatal, match="did you mean LUMEN_") as refused:
        load({name: "1"})
    assert refused.value.exit_status is Exit.CONFIG


def test_other_unknown_names_warn() -> None:
    """Any other unknown LUMEN_ name is one warning."""
    (warning,) = load({"LUMEN_SOMETHING_ELSE": "1", "HOME": "/"}).warnings
    assert "LUMEN_SOMETHING_ELSE" in warning


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PROXY_APIKEY", "PROXY_API_KEY"),
        ("PROXY_PRT", "PROXY_PORT"),
        ("PROXY_HOSTS", "PROXY_HOST"),
        ("CLOUD_AI_ULR", "CLOUD_AI_URL"),
        ("CLOUD_AI_APIKEY", "CLOUD_AI_API_KEY"),
        ("SLACK_WEBHOOK_URI", "SLACK_WEBHOOK_URL"),
        ("SLACK_WEBHOOK", "SLACK_WEBHOOK_URL"),
        ("LUMEN_GATEWAY", "LUMEN_GATEWAY_URL"),
    ],
)
def test_a_misspelt_name_without_the_own_prefix_warns(name: str, meant: str) -> None:
    """The warning names the setting, since another program may use the name."""
    warning = f"{name} is not a setting and has no effect; did you mean {meant}?"
    assert load({name: "s3cret"}).warnings == (warning,)


@pytest.mark.parametrize(
    "name",
    ["PROXY_PASS", "PROXY_USER", "PROXY_URL", "PROXY_LIST", "PROXY_MODE", "PROXY_DNS", "SLACK_TOKEN", "SLACK_BOT_TOKEN",
     "SLACK_API_URL", "CLOUD_AI_REGION", "PROXY", "http_proxy", "HOST"],
)  # fmt: skip
def test_a_name_of_another_program_is_ignored(name: str) -> None:
    """There is no warning for a name that only begins like a setting."""
    assert load({name: "x"}).warnings == ()


@given(st.sampled_from(sorted(BY_VARIABLE)), st.text(max_size=20))
def test_any_text_is_accepted_or_refused(variable: str, text: str) -> None:
    """For any value of a variable: it is accepted, or ends the program with 78."""
    try:
        load({variable: text})
    except Fatal as refused:
        assert refused.exit_status is Exit.CONFIG  # noqa: PT017 - it may also be taken


def test_a_fallback_needs_an_address() -> None:
    """The fallback Cloud AI needs an address."""
    with pytest.raises(Fatal, match="LUMEN_FALLBACK='cloud_ai' needs CLOUD_AI_URL, which is none"):
        load({"LUMEN_FALLBACK": "cloud_ai", "CLOUD_AI_URL": "none"})
