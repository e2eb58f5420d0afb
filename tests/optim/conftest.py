"""Fixtures for the tests of lazy optimisers."""

import pytest

from rnnexp.optim import idle


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short blocks, so that a run has many of them and rows are idle for several blocks."""
    monkeypatch.setattr(idle, "BLOCK_STEPS", 40)
