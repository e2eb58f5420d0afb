"""What every source of data says of itself, whatever reads it."""

import hashlib
import json
from typing import Any, ClassVar

from rnnexp.tables import Table


def fingerprint(content: Any) -> str:
    """sha256 over plain values."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class Source:
    """What the config group `data` names: where the data are, and how they are read and divided.

    A source knows no task. The data module of a task makes its batches.

    task: the option of the config group `task` that it is for, where no other is chosen.
    """

    task: ClassVar[str]

    def setup(self) -> None:
        """Read everything. A second call does nothing.

        Raises:
            UserError: a file or a setting is wrong.
        """
        raise NotImplementedError

    @property
    def place(self) -> str | list[str]:
        """Where the data are: absolute paths, or words where there are none."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """For run.json: `data`, where the files were; `fingerprints` of what was read and of how it
        was divided; `split`, the division itself; and what else is worth keeping."""
        raise NotImplementedError

    def report(self) -> list[Table | str]:
        """What was found, for the console."""
        raise NotImplementedError
