"""Exceptions that are reported to the user."""


class UserError(Exception):
    """An error that the user can fix, reported in one line.

    The message states where (file and line or row number), what was found, what was expected and
    what to do. The command prints it without a traceback and exits with code 2.
    """


class Diverged(UserError):
    """Training diverged: its loss, gradient or scores are no longer finite."""


class Interrupted(Exception):
    """A run was interrupted after its state was saved (exit code 130)."""
