"""The environment in which another program's logger starts: none of its own settings, so that it
stays offline and in the run folder, whatever the user has exported for other work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rnnexp.errors import UserError


def check_installed(package: str) -> None:
    """Check that the package of a logger is there; the option and the extra have its name.

    Raises:
        UserError: it is not.
    """
    if find_spec(package) is None:
        raise UserError(
            f"logger={package} needs {package}: type pip install 'rnnexp[{package}]', or choose "
            "logger=tensorboard"
        )


@contextmanager
def environment(prefix: str, **settings: str) -> Iterator[None]:
    """Without the environment variables that begin with `prefix`, and with these settings."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(prefix):
            del os.environ[name]
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(prefix) or name in settings]:
            del os.environ[name]
        os.environ.update(
            {name: before[name] for name in before if name.startswith(prefix) or name in settings}
        )
