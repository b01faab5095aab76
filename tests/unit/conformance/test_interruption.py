"""A run that is interrupted at the worst places ends in order, with the exit status of an interruption."""

from __future__ import annotations

import os

import pytest

from tests.unit.conformance.plugin_run import PluginRun

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")

SUITE = """
    import os, signal
    from pathlib import Path

    def interrupt():
        "Interrupt this process."
        os.kill(os.getpid(), signal.SIGINT)

    class Interrupts:
        "Python drops an exception of a destructor."
        def __del__(self):
            interrupt()

    def open_file():
        "Open a file, and leave it open."
        return open(__file__)

    def test_begins(tmp_path):
        "It may be interrupted."
        {body}

    def test_follows():
        "It never runs."
        Path(os.environ["TALLY"]).touch()
"""
OLD_WRAPPER = """
    import os, signal, pytest

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(item, call):
        yield
        os.kill(os.getpid(), signal.SIGINT)
"""
BEFORE_FIXTURES_KNOW = """
    import os, signal, pytest

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(item, call):
        os.kill(os.getpid(), signal.SIGINT)
"""
AT_START = """
    import os, signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    os.kill(os.getpid(), signal.SIGINT)
"""
TWICE = """
    import os, signal, pytest

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
"""
WARNS_LATER = """
    import warnings

    def pytest_terminal_summary():
        warnings.warn("a file was left open", ResourceWarning)
"""
CASES = {
    "test": ("interrupt()", ""),
    "open-file": ("open_file(); interrupt()", ""),
    "destructor": ("Interrupts()", ""),
    "twice": ("interrupt()", TWICE),
    "teardown-of-an-old-wrapper": ("pass", OLD_WRAPPER),
    "report-of-a-set-up": ("pass", BEFORE_FIXTURES_KNOW),
    "warning-of-a-later-hook": ("interrupt()", WARNS_LATER),
    "before-the-configuration": ("pass", AT_START),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exit_status_of_an_interruption(
    case: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the signal comes, the exit status is 2, the summary is printed, and the next test does not run."""
    body, conftest = CASES[case]
    run = PluginRun(pytester, monkeypatch)
    run.write_conftest(conftest)
    (pytester.path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    ended = run.run(SUITE.format(body=body))
    assert ended.ret == pytest.ExitCode.INTERRUPTED, ended.stdout.str() + ended.stderr.str()
    assert "Traceback" not in ended.stderr.str()
    assert not run.tally.exists()


def test_a_signal_while_results_are_written(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal after the last test changes nothing: the results are complete."""
    run = PluginRun(pytester, monkeypatch)
    run.write_conftest("""
        import os, signal

        def pytest_sessionfinish():
            os.kill(os.getpid(), signal.SIGINT)
    """)
    ended = run.run('def test_passes():\n    "It passes."\n')
    assert ended.ret == pytest.ExitCode.OK, ended.stdout.str() + ended.stderr.str()
