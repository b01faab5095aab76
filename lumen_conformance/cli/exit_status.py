"""The exit statuses of ``lumen-conformance``; those of ``run`` are pytest's own."""

from enum import IntEnum
from typing import Final


class ExitStatus(IntEnum):
    """What a command ends with."""

    OK = 0
    FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE = 4
    NOTHING_SELECTED = 5


DESCRIPTION: Final = """exit status:
  0  no check failed; warnings do not count
  1  a check failed, or could not be judged; compare: a check newly fails, or is newly not judged,
     or the new run did not come to its end
  2  the run was interrupted (SIGINT, SIGTERM); list, compare: the program that reads the output has ended
  3  an internal error of the suite, or a result file or an output that cannot be written
  4  invalid options or an unreadable file
  5  the selection holds no check
"""
