"""What the tests of row optimisers share."""

import pytest

from rnnexp.optim import idle


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few steps, so that a run has many of them, and rows are idle over several."""
    monkeypatch.setattr(idle, "BLOCK_STEPS", 40)
