"""Nested runs in forked processes."""

import subprocess

import pytest

from tests.fixtures import forked_pytest
from tests.fixtures.nested_pytest import NestedPytest, inherited

HANGS = '"""Hangs."""\nimport threading\ndef test_hangs():\n    """It hangs."""\n    threading.Event().wait()\n'
FINE = '"""Fine."""\ndef test_fine():\n    """It holds."""\n'


@pytest.mark.skipif("not hasattr(__import__('os'), 'fork')", reason="every run is a new process there")
def test_a_run_that_hangs_does_not_reach_the_next(nested: NestedPytest) -> None:
    """A run that does not end in time is killed, and the next run has its own exit status and output."""
    nested.write({"unit/test_hangs.py": HANGS})
    environ = inherited()
    with pytest.raises(subprocess.TimeoutExpired):
        forked_pytest.run_pytest(["-p", "no:cacheprovider"], nested.folder, environ, within_s=0.5)
    nested.write({"unit/test_hangs.py": FINE})
    ended = forked_pytest.run_pytest(["-p", "no:cacheprovider"], nested.folder, environ, within_s=60)
    assert (ended.status, b"1 passed" in ended.output) == (0, True), ended.output.decode()
