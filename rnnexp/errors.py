"""The three exceptions that the command prints as one sentence, without a traceback."""


class UserError(Exception):
    """A mistake of the user. The message says what is wrong, where, and what to do.

    Exit code 2. Exceptions other than the three in this module are bugs and keep their
    traceback.
    """


class CannotRerun(Exception):
    """A run cannot be repeated. The message names what is missing. Exit code 3."""


class RunFailed(Exception):
    """A run cannot continue, for example because its training diverged. Exit code 1."""


def unimplemented(owner: object, method: str) -> UserError:
    """The error of a base class whose subclass lacks a method that it must have."""
    return UserError(f"{type(owner).__name__} must implement {method}")
