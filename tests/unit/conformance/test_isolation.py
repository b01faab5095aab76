"""The environment of the caller does not reach the tests, and the tests do not reach the network."""

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
from tests.fixtures.nested_pytest import RUN_BUDGET_S
from tests.unit.conformance.plugin_run import PluginRun

GO_OUT = "import socket; socket.create_connection(('192.0.2.1', 80))"  # TEST-NET-1, RFC 5737: not assigned


@pytest.fixture
def plugin_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> PluginRun:
    """Return a pytest run in a process of its own."""
    return PluginRun(pytester, monkeypatch)


def child(code: str, file: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in a child process whose guard writes to this file."""
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
def test_local_addresses(host: object, local: bool) -> None:  # noqa: FBT001 -- a column of the table
    """Loopback addresses and names are local; a name that begins like one is not."""
    assert lumen_guard.is_local(host) is local


def test_a_child_is_blocked_and_recorded(tmp_path: Path) -> None:
    """A blocked connection of a child process fails as without a route, and is recorded with program and launch."""
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
def test_recorded_events(tmp_path: Path, code: str, written: list[str]) -> None:
    """Look-ups and datagrams are recorded; names below ``.invalid`` are not, and numeric addresses need no look-up."""
    done = child(f"import socket\n{code}", tmp_path / "guard")
    file = tmp_path / "guard"
    lines = [json.loads(line)["target"] for line in file.read_text().splitlines()] if file.exists() else []
    assert lines == written
    assert ("gaierror" in done.stderr) == ("nobody" in code)


def test_sitecustomize_of_the_system_still_runs(tmp_path: Path) -> None:
    """Another module sitecustomize on the path is executed too."""
    (tmp_path / "sitecustomize.py").write_text("print('the other one', __file__)")
    assert child("", tmp_path / "guard", tmp_path).stdout.startswith("the other one")


def test_the_environment_of_the_caller_is_cleaned() -> None:
    """Settings and proxies are removed, both cloud addresses refuse, and the guard is first on the path."""
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
    """This run has a clean environment and a guard."""
    assert os.environ["CLOUD_AI_URL"].startswith("http://127.0.0.1:")
    assert os.environ[lumen_guard.FILE] == str(run.guard_file)


@pytest.mark.parametrize("code", [GO_OUT, f"subprocess.run([sys.executable, '-c', {GO_OUT!r}])"], ids=["test", "child"])
def test_a_connection_is_an_error_of_its_test(plugin_run: PluginRun, code: str) -> None:
    """A test that connects beyond this machine is an ERROR, even if it ignores the exception; other tests are not."""
    suite = f"""
        import contextlib, subprocess, sys
        def test_before(): "It holds."
        def test_goes_out():
            "It goes out."
            with contextlib.suppress(OSError):
                {code}
        def test_after(): "It holds."
    """
    result = plugin_run.run(suite, "-v")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_goes_out*", "*IsolationError*192.0.2.1:80*"])


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


def test_python_without_a_guard_is_an_error_of_its_test(plugin_run: PluginRun) -> None:
    """A test that starts Python without the guard, directly or in a child process, is an ERROR."""
    result = plugin_run.run(STARTING.format(rows=UNWATCHED), "-v")
    result.assert_outcomes(errors=len(UNWATCHED))
    result.stdout.fnmatch_lines(["*IsolationError: recorded by the guard: subprocess.Popen a Python without *"])


def test_python_with_a_guard_may_start(plugin_run: PluginRun) -> None:
    """A child process with the guard, the query of `lumen-proxy check` and other programs are allowed."""
    plugin_run.run(STARTING.format(rows=WATCHED)).assert_outcomes(passed=len(WATCHED))


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
    """Ignore signals as nohup does, and a shell without job control for a command that ends with ``&``."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.usefixtures("_ignored_signals")
@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["alone", "worker"])
def test_children_do_not_inherit_ignored_signals(plugin_run: PluginRun, options: tuple[str, ...]) -> None:
    """Ignored signals do not end the run, and child processes have the default action of each signal."""
    assert plugin_run.start(IGNORING, *options).wait(RUN_BUDGET_S) == pytest.ExitCode.OK
