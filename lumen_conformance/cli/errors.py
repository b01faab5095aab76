"""An error that a command reports in one line."""


class CommandError(Exception):
    """A file or an option is invalid; the message says what failed, the value, what was expected and what to do."""
