"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """Report something the user can mend, in one line.

    The message says where (file and line or row number), what was found, what was expected and
    what to do. The command prints it without a traceback and exits with code 2.
    """


class Diverged(UserError):
    """Report a training whose loss, gradient or scores are no longer finite."""


class Interrupted(Exception):
    """Report that a run was stopped on purpose after its state was saved (exit code 130)."""
