"""The figures that can be drawn from the record of a run."""

from pathlib import Path

from matplotlib.figure import Figure


def recorded_figures(folder: Path) -> dict[str, Figure]:
    """The figures of a completed run by name."""
    return {}
