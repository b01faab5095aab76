"""Nothing leaves this machine unseen, and nothing of the developer's shell comes in."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen_conformance.inject import lumen_guard
from lumen_conformance.isolation import INJECT, clean
from lumen_conformance.run import TAG, Run
from tests.unit.conformance.plugin_run import Nested

GO_OUT = "import socket; socket.create_connection(('192.0.2.1', 80))"  # TEST-NET-1, RFC 5737: nobody has it


@pytest.fixture
def nested(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Nested:
    """A pytest of its own."""
    return Nested(pytester, monkeypatch)


def child(code: str, file: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """A Python child whose guard writes to this file."""
    path = os.pathsep.join(map(str, [INJECT, *paths]))
    environ = os.environ | {lumen_guard.FILE: str(file), "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True), ("localhost", True),
        ("LOCALHOST.", True), ("app.localhost", True), ("", True), (None, True), (b"localhost", True), ("::", True),
        ("0.0.0.0", True), ("10.0.0.1", False), ("192.0.2.1", False), ("127.example.com", False), ("fd00::1", False),  # noqa: S104 -- nothing binds
        ("::ffff:10.0.0.1", False), ("example.com", False), ("localhost.example.com", False), ("host.invalid", False),
    ],
)  # fmt: skip
def test_what_is_local(host: object, local: bool) -> None:  # noqa: FBT001 -- a column of the table
    """Loopback is this machine; a name that only begins like it is not."""
    assert lumen_guard.is_local(host) is local


def test_child_is_blocked_and_written_down(tmp_path: Path) -> None:
    """A child that goes out sees a network without a route; what, who and which launch is written down."""
    done = child(GO_OUT, tmp_path / "guard")
    assert "network is unreachable (guard of the suite): 192.0.2.1:80" in done.stderr
    (line,) = map(json.loads, (tmp_path / "guard").read_text().splitlines())
    assert (line["event"], line["target"], line["tag"]) == ("socket.connect", "192.0.2.1:80", os.environ[TAG])


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("socket.getaddrinfo('nobody.invalid', 80)", []),
        ("socket.getaddrinfo('nobody.example', 80)", ["nobody.example"]),
        ("socket.gethostbyname('nobody.example')", ["nobody.example"]),
        ("socket.getaddrinfo('192.0.2.1', 80)", []),
        ("socket.getnameinfo(('192.0.2.1', 80), 0)", ["192.0.2.1:80"]),
        ("socket.getnameinfo(('127.0.0.1', 80), 0)", []),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 53))", ["192.0.2.1:53"]),
        ("socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))", ["2001:db8::1:80"]),
        ("socket.create_server(('127.0.0.1', 0)); socket.getaddrinfo('localhost', 1)", []),
        ("socket.socketpair(); socket.getfqdn('127.0.0.1')", []),
    ],
)
def test_what_is_written_down(tmp_path: Path, code: str, written: list[str]) -> None:
    """Look-ups and datagrams count as connects do; ``.invalid`` fails in silence, numbers need no look-up."""
    done = child(f"import socket\n{code}", tmp_path / "guard")
    file = tmp_path / "guard"
    lines = [json.loads(line)["target"] for line in file.read_text().splitlines()] if file.exists() else []
    assert lines == written
    assert ("gaierror" in done.stderr) == ("nobody" in code)


def test_sitecustomize_of_the_system_still_runs(tmp_path: Path) -> None:
    """We stand in front of another sitecustomize, not in its place."""
    (tmp_path / "sitecustomize.py").write_text("print('the other one', __file__)")
    assert child("", tmp_path / "guard", tmp_path).stdout.startswith("the other one")


def test_shell_of_the_developer_stays_outside() -> None:
    """Settings and proxies go, both cloud addresses refuse, the guard comes first on the path."""
    settings = ["PROXY_PORT", "LUMEN_STANDBY", "CLOUD_AI_API_KEY", "SLACK_WEBHOOK_URL"]
    environ = dict.fromkeys([*settings, "HTTP_PROXY", "https_proxy", "no_proxy"], "x") | {
        "HOME": "h",
        TAG: "t",
        "PYTHONPATH": f"a{os.pathsep}{INJECT}",
    }
    clean(environ, "http://dead")
    assert set(environ) == {
        "HOME", TAG, "PYTHONPATH", "LUMEN_GATEWAY_URL", "CLOUD_AI_URL", "LITELLM_LOCAL_MODEL_COST_MAP",
    }  # fmt: skip
    assert environ["LUMEN_GATEWAY_URL"] == environ["CLOUD_AI_URL"] == "http://dead"
    assert environ["PYTHONPATH"] == f"{INJECT}{os.pathsep}a"


def test_our_own_environment_is_clean(run: Run) -> None:
    """This very run is guarded: the cloud is a port of this machine that refuses."""
    assert os.environ["CLOUD_AI_URL"].startswith("http://127.0.0.1:")
    assert os.environ[lumen_guard.FILE] == str(run.guard_file)


@pytest.mark.parametrize("code", [GO_OUT, f"subprocess.run([sys.executable, '-c', {GO_OUT!r}])"], ids=["test", "child"])
def test_going_out_is_an_error_of_its_test(nested: Nested, code: str) -> None:
    """The test during which it happened is an ERROR, even if nobody noticed the failure; its neighbours are not."""
    suite = f"""
        import contextlib, subprocess, sys
        def test_before(): "It holds."
        def test_goes_out():
            "It goes out."
            with contextlib.suppress(OSError):
                {code}
        def test_after(): "It holds."
    """
    result = nested.run(suite, "-v")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_goes_out*", "*BeyondLoopback*192.0.2.1:80*"])


PYTHON = "[sys.executable, '-c', '']"
UNWATCHED = {
    "empty-environment": f"subprocess.run({PYTHON}, env={{}})",
    "no-path": f"subprocess.run({PYTHON}, env=without('PYTHONPATH'))",
    "other-path": f"subprocess.run({PYTHON}, env=os.environ | {{'PYTHONPATH': '/elsewhere'}})",
    "no-file": f"subprocess.run({PYTHON}, env=without('E2E_LUMEN_GUARD'))",
    "no-tag": f"subprocess.run({PYTHON}, env=without('E2E_LUMEN'))",
    "isolated": "subprocess.run([sys.executable, '-I', '-c', ''])",
    "no-environment": "subprocess.run([sys.executable, '-E', '-c', ''])",
    "no-site": "subprocess.run([sys.executable, '-S', '-c', ''])",
    "among-others": "subprocess.run([sys.executable, '-X', 'utf8', '-Wignore', '-uBE', '-c', ''])",
    "spawned": f"os.waitpid(os.posix_spawn(sys.executable, {PYTHON}, {{}}), 0)",
    "script": "subprocess.run([script], env={})",
    "grandchild": "subprocess.run([sys.executable, '-c', 'import subprocess, sys; "
    'subprocess.run([sys.executable, "-S", "-c", ""])\'])',
}
WATCHED = {
    "as-it-is": f"subprocess.run({PYTHON})",
    "more": f"subprocess.run({PYTHON}, env=os.environ | {{'MORE': '1'}})",
    "words-of-its-own": "subprocess.run([sys.executable, '-c', '', '-I'])",
    "question-of-check": "subprocess.run([sys.executable, '-I', '-X', 'utf8', '-c', ''])",
    "no-python": "subprocess.run(['true'], env={})",
}
STARTING = """
    import os, subprocess, sys
    import pytest

    def without(name): return {{key: value for key, value in os.environ.items() if key != name}}

    @pytest.fixture
    def script(tmp_path):
        path = tmp_path / "script"
        path.write_text("#!" + sys.executable)
        path.chmod(0o700)
        return path

    @pytest.mark.parametrize("code", {rows}.values(), ids={rows})
    def test_starts(code, script):
        "It starts a process."
        exec(code)
"""


def test_python_without_a_guard_is_an_error_of_its_test(nested: Nested) -> None:
    """A Python child, or its child, that the guard would not see makes its test an ERROR, whatever it does."""
    result = nested.run(STARTING.format(rows=UNWATCHED), "-v")
    result.assert_outcomes(errors=len(UNWATCHED))
    result.stdout.fnmatch_lines(["*BeyondLoopback: written down by the guard: subprocess.Popen a Python without *"])


def test_python_with_a_guard_may_start(nested: Nested) -> None:
    """A child that inherits the guard is no ERROR, nor is a question of `lumen-proxy check`, nor another program."""
    nested.run(STARTING.format(rows=WATCHED)).assert_outcomes(passed=len(WATCHED))


IGNORING = """
    import os, signal, subprocess, sys
    ASK = "import signal as s; print([n.name for n in (s.SIGHUP, s.SIGINT, s.SIGQUIT) if s.getsignal(n) == s.SIG_IGN])"

    def test_signals():
        "It handles signals."
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            os.kill(os.getpid(), number)
            if "PYTEST_XDIST_WORKER" in os.environ:
                os.kill(os.getppid(), number)
        ignored = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True).stdout
        assert ignored == "[]\\n"
"""


@pytest.fixture
def _ignored_signals() -> Iterator[None]:
    """As nohup starts a command, and a shell without job control one that ends with &."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.usefixtures("_ignored_signals")
@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["alone", "worker"])
def test_signals_that_pytest_ignores_are_heard_by_children(nested: Nested, options: tuple[str, ...]) -> None:
    """No process of the run ends by them, and what a test starts has the default action of each."""
    nested.run(IGNORING, *options).assert_outcomes(passed=1)
