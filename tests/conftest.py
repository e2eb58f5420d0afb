"""What all tests share: real data where there are any, composed configs, and no network."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from tests.support import REPOSITORY

LOCAL = ("127.0.0.1", "::1", "localhost")


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
    """The folder of real data: power_load/, reviews/, names/, embeddings/."""
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
    monkeypatch.delenv("RNNEXP_ALLOW", raising=False)
    return folder


@pytest.fixture
def compose(empty_folder: Path) -> Callable[..., DictConfig]:
    """`compose("model=gru", "seed=1")` is the config that `rnnexp train model=gru seed=1` runs."""
    from rnnexp import config

    return lambda *overrides: config.compose(overrides)
