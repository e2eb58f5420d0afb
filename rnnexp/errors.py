"""The three exceptions that are told in one sentence, without a traceback."""


class UserError(Exception):
    """A mistake of the user's, told in one sentence: what is wrong, where, and what to do.

    The command prints the sentence alone and exits with code 2. Everything else that is
    raised is a bug, and keeps its traceback.
    """


class CannotRerun(Exception):
    """A run that cannot be repeated; the sentence names what is missing. Exit code 3."""


class RunFailed(Exception):
    """A run that cannot go on, told in one sentence: its training diverged, say. Exit code 1."""
