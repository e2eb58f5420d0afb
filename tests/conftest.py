"""What all tests share: real data if there are any, composed configs, one thread, no network."""

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from tests.support import REPOSITORY

LOCAL = ("127.0.0.1", "::1", "localhost")

# `make test` runs one pytest-xdist worker per core. So a worker, and each process that it starts,
# has one thread. torch and NumPy read these variables when they are imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # of onnxruntime, which some tests import themselves
os.environ["COLUMNS"] = "120"  # of tables, whatever the terminal of the tests has


@pytest.fixture(autouse=True, scope="session")
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A temporary folder for this worker and the processes that it starts.

    Runs claim their cores there, or in XDG_RUNTIME_DIR (rnnexp/process/cores.py).
    """
    folder = str(tmp_path_factory.mktemp("temporary"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Undo what a run in the process has set."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _compiled_kernels(pytestconfig: pytest.Config) -> Iterator[None]:
    """Keep the output of torch.compile between sessions, in pytest's cache."""
    with pytest.MonkeyPatch.context() as patch:
        if cache := getattr(pytestconfig, "cache", None):
            patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache.mkdir("inductor")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """No test may depend on another machine."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in LOCAL:
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_locally)
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data: power_load/, gefcom2014/, ett/, reviews/, names/, embeddings/."""
    beside = REPOSITORY.parent / "shared" / "data"
    root = Path(os.environ.get("RNNEXP_DATA", beside))
    if not root.is_dir():
        pytest.skip(f"no real data: RNNEXP_DATA is not set and {beside} does not exist")
    return root


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with nothing in it; run folders go there too."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RNNEXP_OUTPUTS", raising=False)
    monkeypatch.setenv("RNNEXP_ALLOW", "")  # so that what --allow sets is undone afterwards
    monkeypatch.delenv("RNNEXP_ALLOW")
    return folder


@pytest.fixture
def compose(empty_folder: Path) -> Callable[..., DictConfig]:
    """`compose("model=gru", "seed=1")` is the config that `rnnexp train model=gru seed=1` runs."""
    from rnnexp import config

    return lambda *overrides: config.compose(overrides)
