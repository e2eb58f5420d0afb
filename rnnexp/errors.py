"""The three exceptions that the command prints as one sentence, without a traceback, and the one
that ends a trial of a search."""


class UserError(Exception):
    """A mistake of the user. The message says what is wrong, where, and what to do.

    Exit code 2. Exceptions other than those in this module are bugs and keep their traceback.
    """


class CannotRerun(Exception):
    """A run cannot be repeated. The message names what is missing. Exit code 3."""


class RunFailed(Exception):
    """A run cannot continue, for example because its training diverged. Exit code 1."""


class Pruned(Exception):
    """A trial of a search ends early, because it does worse than the others: no error.

    epochs: how many it was trained for.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__(f"pruned after epoch {epochs}")
        self.epochs = epochs


def unimplemented(owner: object, method: str) -> UserError:
    """The error of a base class whose subclass lacks a method that it must have."""
    return UserError(f"{type(owner).__name__} must implement {method}")
