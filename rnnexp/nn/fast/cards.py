"""The GPUs on which path=auto takes the graphed path.

`experiments/gpu/check.py` names the card where graphs computed the same as the plain path, to the
bit, and were faster than the fused path. None has passed yet.
"""

CHECKED: frozenset[str] = frozenset()  # names as torch.cuda.get_device_name() gives them


def auto_path(card: str) -> str:
    """The path that path=auto takes on a device of this name."""
    return "graphed" if card in CHECKED else "fused"
