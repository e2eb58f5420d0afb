"""The base class of all data sources."""

import hashlib
import json
from typing import Any, ClassVar

import numpy as np

from rnnexp.data.loading.device import OnDevice
from rnnexp.tables import Table


def fingerprint(content: Any) -> str:
    """SHA-256 (hex) of a JSON-serialisable value."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def array_fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 (hex) of arrays, over shape, dtype and bytes."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(f"{array.shape} {array.dtype} ".encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


class Source:
    """An option of the config group `data`: where the data are, and how they are read and split.

    A source does not depend on a task. The data module of a task makes the batches.

    task: the default option of the config group `task` for this source. on_device: whether a GPU
    gathers the batches (loading/device.py).
    """

    task: ClassVar[str]
    on_device: OnDevice = False

    def setup(self) -> None:
        """Read everything. A second call does nothing.

        Raises:
            UserError: a file or a setting is wrong.
        """
        raise NotImplementedError

    @property
    def place(self) -> str | list[str]:
        """Where the data are: absolute paths, or a description of generated data."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Entries of run.json: `data`, the location of the files; `fingerprints` of the data and of
        the split; `split`, the split itself; and further entries of the source."""
        raise NotImplementedError

    def report(self) -> list[Table | str]:
        """Tables and notes about the data, for the console."""
        raise NotImplementedError
