"""Secrets that tests print are masked in the page and in the verdicts."""

from __future__ import annotations

import base64
import html
import json
import platform
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_conformance.cli import main as cli
from lumen_conformance.registry.redaction import MASK, SHORTEST_SECRET_CHARS, Redactor, secrets_of
from tests.fixtures.nested_pytest import NestedRun, read_page, stage

KEY = 'k3y "of" <the> run/한국어'
WEBHOOK = "https://hooks.example/T000/B000/xyzzy-plugh"
MADE_UP = "made-up-4242-while-running"
HEADER = "unnamed-but-in-a-header"
PLAIN = "nothing-secret-about-this"

MODULES = {
    "recovery/test_14_security.py": f'''
    """Scenario 14: secrets slip."""
    from pathlib import Path
    from lumen_conformance.registry.redaction import hide
    KEY = os.environ["SERVER_API_KEY"]
    @check("14.1-passes")
    def test_passes(evidence_path, measure):
        """It passes and prints."""
        print("key", KEY, "plain {PLAIN}")
        log = Path("temporary/evidence.log")
        log.write_text(f"POST /chat\\nAuthorization: Bearer {HEADER}\\nkey {{KEY}}\\nend of log\\n", encoding="utf-8")
        evidence_path(log)
        measure(1, "s", label=KEY)
    @check("14.2-fails")
    def test_fails():
        """It fails and shows."""
        headers = {{"Authorization": "Bearer {HEADER}", "key": KEY}}
        assert headers == {{}}, os.environ["CHAT_WEBHOOK_URL"]
    @check("14.3-skips")
    def test_skips():
        """It skips and tells."""
        pytest.skip(KEY)
    @check("14.4-made-up")
    def test_made_up():
        """It makes up a key."""
        hide("{MADE_UP}")
        with Path("temporary/evidence.log").open("a") as log:
            log.write("{MADE_UP}\\n")
        assert not "{MADE_UP}"
    ''',
    "contract/test_h_keys.py": '''
    """Keys slip in other spellings."""
    import html, json
    from urllib.parse import quote
    from lumen_conformance.registry import expect
    from lumen_conformance.registry.measurement import EXCHANGE
    from lumen_conformance.http.capture import Capture
    from lumen_conformance.http.exchange_record import exchange_record
    from lumen_conformance.registry.measurement import record
    KEY = os.environ["SERVER_API_KEY"]
    WRITTEN = [json.dumps({"body": json.dumps({"key": KEY})}), html.escape(KEY), html.escape(json.dumps(KEY)),
               json.dumps(html.escape(KEY)), quote(quote(KEY)), repr(KEY.encode()), KEY[:12] + "…", "…" + KEY[-12:]]
    @check("H3-slips")
    def test_slips(request, warn):
        """It is in a query, a body, a header and an error."""
        print(*WRITTEN)
        text = " ".join(WRITTEN).encode()
        head = f"GET /?key={quote(KEY)} HTTP/1.1\\r\\nX-Key: {quote(KEY)}\\r\\n\\r\\n".encode() + text
        given = dict(status=200, raw_head=b"HTTP/1.1 200 OK\\r\\nX-Echo: " + text + b"\\r\\n\\r\\n", body=text)
        capture = Capture(f"http://h/?key={quote(KEY)}", head, ended="complete", error=KEY, **given)
        record(request.node, EXCHANGE, exchange_record(capture))
        expect(False, "no key", " ".join(WRITTEN), at=f"$[{json.dumps(KEY)}]")
    ''',
}  # fmt: skip
FILES = {
    "--record": "record.jsonl", "--junit-xml": "junit.xml", "--github-summary": "summary.md",
    "--history": "history.jsonl",
}  # fmt: skip
ENVIRON = {"SERVER_API_KEY": KEY, "CHAT_WEBHOOK_URL": WEBHOOK, "BUILD_URL": "https://ci.invalid/of-this-machine"}


@pytest.fixture(scope="module", params=["-n0", "-n2"])
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run tests that print secrets in several ways."""
    options = (f"{option}={name}" for option, name in FILES.items())
    return stage(tmp_path_factory.mktemp("secrets"), MODULES, request.param, *options, **ENVIRON)


def test_other_texts_are_shown(ended: NestedRun) -> None:
    """The page shows the other texts of these tests, so the next tests are meaningful."""
    assert sorted(ended.rows.values()) == ["failed", "failed", "failed", "passed", "skipped"]
    assert PLAIN in ended.html
    assert "end of log" in ended.html
    assert MASK in ended.html


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("b'AAA ZQkey-01'…", f"b'AAA {MASK}'…"),
        ("…b'ey-0123456789', 200", f"…b'{MASK}', 200"),
        ("AAA ZQke… (90 characters)", "AAA ZQke… (90 characters)"),  # as short as ordinary text
        ("no key … here", "no key … here"),
        ("{'key': 'AAA...y-0123456789'}", f"{{'key': 'AAA...{MASK}'}}"),
        ("and so on ...", "and so on ..."),
    ],
)
def test_a_known_value_that_is_cut_is_masked(text: str, masked: str) -> None:
    """A report cuts long texts: what is left of a secret at an ellipsis is masked, too."""
    assert Redactor(["ZQkey-0123456789"]).text(text) == masked


@pytest.mark.parametrize("secret", [KEY, "k3y ", WEBHOOK, "xyzzy", MADE_UP, HEADER], ids=range(6))
def test_a_secret_is_not_on_the_page(ended: NestedRun, secret: str) -> None:
    """A secret from a variable, a new secret and one in a header appear neither whole nor in part."""
    verdicts = (ended.folder / "verdicts.jsonl").read_text(encoding="utf-8")
    assert secret not in ended.html
    assert secret not in verdicts


@pytest.mark.parametrize("name", [*FILES.values(), "reports/report.html", "verdicts.jsonl", "summary.json"])
def test_no_part_of_a_secret_is_in_a_file(ended: NestedRun, name: str) -> None:
    """No file of the run has a part of a secret with quotes, however it was written or cut."""
    text = (ended.folder / name).read_text("utf-8").replace(">한국어</button>", "")  # a word of the page
    assert "H3-slips" in text
    parts = ("k3y", "<the>", "the&gt;", "run/", "run%2F", "한국어", "ud55c", "xed\\x95", "%ED%95")
    assert [text[max(0, text.find(part) - 80) :][:160] for part in parts if part in text] == []


def test_no_file_has_a_secret_in_base64(ended: NestedRun) -> None:
    """Nor is one in base64, wherever it begins in what is coded."""
    spelled = [base64.b64encode(b"x" * before + KEY.encode())[4:20].decode() for before in range(3)]
    for name in [*FILES.values(), "reports/report.html", "verdicts.jsonl", "summary.json"]:
        raw = (ended.folder / name).read_text("utf-8")
        assert [each for each in spelled if each in raw or each in read_page(ended.folder / name)] == []


WORDS_OF_THE_PAGE = ("header", "H4sIAA", "passed", "details", "banner", "function", "incomplete", "viewBox", "failed")
PLAIN_MODULE = {
    "recovery/test_01_kill.py": '''
    """Scenario 1: a worker is killed."""
    @check("1.4-automatic-restart")
    def test_restart():
        """It has a header."""
    @check("1.5-fails")
    def test_fails():
        """It has none."""
        assert False, "no header"
    ''',
}


class Markup(HTMLParser):
    """The tags of a page with their attributes, and its style and script."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[object] = []
        self._is_code = False
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self._is_code = tag in {"style", "script"} and ("id", "data") not in attrs
        self.found.append(
            (tag, [each for each in attrs if each[0] in {"class", "id", "style", "data-outcome", "href"}])
        )

    def handle_data(self, data: str) -> None:
        """Keep style and script."""
        self.found += [data] * self._is_code

    def handle_endtag(self, tag: str) -> None:
        """Keep the end of a tag."""
        self.found.append(tag)


def test_a_secret_that_is_a_word_of_the_page_breaks_no_markup(tmp_path: Path) -> None:
    """Values are masked, and not the page: AUTH_MODE=header makes no ``<[hidden]>``, and no key is found in base64."""
    environ = {f"AUTH_{number}": word for number, word in enumerate(WORDS_OF_THE_PAGE)}
    (tmp_path / "plain").mkdir()
    (tmp_path / "masked").mkdir()
    plain = stage(tmp_path / "plain", PLAIN_MODULE)
    masked = stage(tmp_path / "masked", PLAIN_MODULE, **environ)
    pages = [Markup(each.folder / "reports" / "report.html").found for each in (plain, masked)]
    assert pages[0] == pages[1]
    assert masked.rows == plain.rows
    assert masked.filter == {"passed": 1, "failed": 1}
    assert masked.data["claims"] == ["It has a [hidden].", "It has none."]
    assert "no [hidden]" in masked.html


def test_a_comparison_has_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field of a verdict is masked on the page of two runs, too, and not its markup."""
    for number, word in enumerate((KEY, *WORDS_OF_THE_PAGE)):
        monkeypatch.setenv(f"AUTH_{number}", word)
    names = ("param", "claim", "reason", "expected", "found", "at", "cause")
    line = {"id": "B1.1", "tier": "M", "outcome": "failed", **{name: f"{name} {KEY} header" for name in names}}
    for name, outcome in (("old", "passed"), ("new", "failed")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "verdicts.jsonl").write_text(json.dumps(line | {"outcome": outcome}), "utf-8")
    page = tmp_path / "page.html"
    assert cli.main(["compare", str(tmp_path / "old"), str(tmp_path / "new"), f"--html={page}"]) == 1
    text = read_page(page).replace(">한국어</button>", "")
    assert "<header>" in text
    assert [part for part in ("k3y", "<the>", "the&gt;", "run/", "한국어", " header") if part in text] == []


def test_no_part_of_a_secret_is_printed(ended: NestedRun) -> None:
    """Nor has the terminal one."""
    parts, text = ("k3y", "<the>", "run/한국어", "ud55c"), ended.output
    assert [text[max(0, text.find(part) - 80) :][:160] for part in parts if part in text] == []


def test_the_machine_is_not_described(ended: NestedRun) -> None:
    """The page names the version of Python and the system, and no variables of CI."""
    assert f"Python {platform.python_version()}, {platform.system()}" in ended.html
    assert "of-this-machine" not in ended.html


def test_bytes_of_a_secret_are_stars() -> None:
    """Where offsets count, each byte of a secret is a star, and all other bytes stay where they are."""
    body = "é \udcff key=k3y-k3y-é, Authorization: Bearer abc".encode("utf-8", "surrogateescape")
    stars = Redactor(["k3y-k3y-é"]).blanked(body)
    assert stars.decode("utf-8", "surrogateescape") == "é \udcff key=**********, Authorization: **********"
    assert len(stars) == len(body)


AWKWARD = 'k3y "of" <the> run/한국어\\n\n😀&'
KOREAN = '비밀의 열쇠 "입니다"'
NESTED: dict[str, Callable[[str], str]] = {
    "plain": str, "repr": repr, "ascii": ascii, "json": json.dumps, "html": html.escape,
    "utf8": lambda text: json.dumps(text, ensure_ascii=False), "markup": lambda text: html.escape(text, quote=False),
    "bytes": lambda text: repr(text.encode()), "wsgi": lambda text: html.escape(text).replace("&quot;", "&#34;"),
}  # fmt: skip
SINGLE: dict[str, Callable[[str], str]] = {
    "url": quote, "form": quote_plus, "path": lambda text: quote(text, safe=""),
    "lower": lambda text: quote(text).lower(), "twice": lambda text: quote(quote(text)),
    "entities": lambda text: "".join(each if each.isalnum() else f"&#x{ord(each):X};" for each in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}  # fmt: skip


@pytest.mark.parametrize("second", NESTED)
@pytest.mark.parametrize("first", NESTED | SINGLE)
def test_a_known_value_is_masked_in_any_spelling(first: str, second: str) -> None:
    """JSON in JSON, HTML in JSON, a repr in a page: no part of a secret with quotes is left."""
    text = NESTED[second]((NESTED | SINGLE)[first](AWKWARD))
    masked = Redactor([AWKWARD]).text(f"before {text} after")
    assert [part for part in ("k3y", "of", "the", "run", "azN5") if part in masked.removesuffix("after")] == []
    assert (masked[:7], masked[-6:]) == ("before ", " after")


@pytest.mark.parametrize("name", ["plain", "ascii", "json", "html", "markup", "wsgi", "url", "base64"])
def test_a_known_value_without_letters_is_masked(name: str) -> None:
    """A secret of Korean words has its usual spellings."""
    text = (NESTED | SINGLE)[name](KOREAN)
    assert MASK in Redactor([KOREAN]).text(text)


@pytest.mark.parametrize(
    ("text", "masked"), [("AAA ZQkeZQkey-01…", f"AAA ZQke{MASK}…"), ("…y-0123456789-0123456789.", f"…{MASK}.")]
)
def test_a_cut_value_may_repeat_itself(text: str, masked: str) -> None:
    """Where the beginning of a secret stands twice, that which ends at the ellipsis is masked."""
    assert Redactor(["ZQkey-0123456789-0123456789"]).text(text) == masked


def test_a_long_hostile_text_takes_no_time() -> None:
    """Masking takes a time that is in proportion to the length of the text."""
    mask = Redactor([AWKWARD, '"quoted secret', "sk-plain-0123456789"])
    for text in ("\\", "…sk-pla", '"quoted secre', "&amp;", "://a:b", "sk-", "authorization: "):
        times = []
        for length in (20_000, 80_000):
            begin_s = time.process_time()
            mask.text(text * (length // len(text)))
            times.append(time.process_time() - begin_s)
        # Four times the length takes four times the time, and sixteen times if it is the square. The rest is noise.
        assert times[1] < 10 * times[0] + 0.1, text


SHAPES = {
    "Authorization: Bearer abc.def-123456": "Authorization: [hidden]",
    "authorization: basic dXNlcjpwYXNz": "authorization: [hidden]",
    "{'Authorization': 'Bearer abcdef', 'Accept': '*/*'}": "{'Authorization': '[hidden]', 'Accept': '*/*'}",
    '{"X-Api-Key": "abcdef", "n": 1}': '{"X-Api-Key": "[hidden]", "n": 1}',
    "('Cookie', 'a=b; c=d')": "('Cookie', '[hidden]')",
    "b'authorization', b'Bearer abcdef'": "b'authorization', b'[hidden]'",
    "b'Host: x\\r\\nAuthorization: Bearer abcdef\\r\\n'": "b'Host: x\\r\\nAuthorization: [hidden]\\r\\n'",
    "curl -H 'Authorization: Bearer abcdef' http://127.0.0.1": "curl -H 'Authorization: [hidden]' http://127.0.0.1",
    "used sk-proj-abcdefgh12345 for it": "used [hidden] for it",
    "http://user:pass@127.0.0.1:8080/": "http://[hidden]@127.0.0.1:8080/",
    "posted to https://hooks.slack.com/services/T0/B0/x": "posted to https://hooks.slack.com/[hidden]",
    "an authorization header is missing": "an authorization header is missing",
    "bearer of bad news": "bearer of bad news",
    "http://127.0.0.1:8080/v1/chat/completions": "http://127.0.0.1:8080/v1/chat/completions",
}  # fmt: skip


@pytest.mark.parametrize("text", SHAPES)
def test_secrets_are_found_by_their_form(text: str) -> None:
    """The value of a header, a key and a password in a URL are masked; similar words are not."""
    assert Redactor(()).text(text) == SHAPES[text]


@given(
    st.text(min_size=SHORTEST_SECRET_CHARS).filter(lambda text: text not in MASK),
    st.text(),
    st.text(),
)
def test_a_known_value_is_masked_in_any_text(secret: str, before: str, after: str) -> None:
    """A known secret is masked in any surrounding text and in any spelling."""
    mask = Redactor([secret])
    assert secret not in mask.text(before + secret + after)
    assert secret not in str(mask.deep({"a": [secret, (secret,)]}).values())


MASKED_NAMES = """
    LUMEN_API_KEY GITHUB_TOKEN SLACK_WEBHOOK_URL PGPASSWORD DB_PWD GITHUB_PAT MYSQL_PASS DATABASE_PASS MYSECRET
    ACCESSKEY accessToken AZURE_CONNECTION_STRING apiKey dbPassword AWS_SECRET_ACCESS_KEY SSH_PRIVATE_KEY DBPASS
    REDIS_CONNECTIONSTRING MYTOKEN SENTRY_DSN
"""
PLAIN_WORDS = """
    PATH PWD OLDPWD KEYBOARD XAUTHORITY PYTHONPATH MANPATH KEYMAP MONKEY HOTKEYS COMPASS BYPASS_CACHE
    TOKENIZERS_PARALLELISM PATTERN PATIENCE_S DISPATCH COMPAT AUTHOR INIT_CWD LUMEN_PASSES
"""


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *[(name, True) for name in MASKED_NAMES.split()],
        *[(name, False) for name in PLAIN_WORDS.split()],
    ],
)
def test_a_variable_is_secret_by_its_name(name: str, secret: bool) -> None:  # noqa: FBT001  # a table
    """The value of a variable with the name of a secret is masked, unless it is too short."""
    assert secrets_of({name: "abcdef", "TOKEN": "1"}) == ({"abcdef"} if secret else set())
