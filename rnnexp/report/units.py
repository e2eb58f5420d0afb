"""The units of metrics, and how a page writes them."""

from collections.abc import Mapping
from typing import Any

from rnnexp.tasks.metric import unit_beside


def headline(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that run.json describes."""
    return [one for one in run.get("headline", []) if isinstance(one, dict)]


def units_of(run: dict[str, Any]) -> dict[str, str]:
    """The units of the headline metrics."""
    return {str(one["name"]): str(one.get("unit") or "") for one in headline(run)}


def unit_of(name: str, units: Mapping[str, str]) -> str:
    """The unit of a metric, where its name does not say it, as mae_MW does."""
    return unit_beside(name, units.get(name, ""))


def bare(name: str, units: Mapping[str, str]) -> str:
    """The name of a metric without its unit: mae of mae_MW."""
    unit = units.get(name, "")
    return name.removesuffix(f"_{unit}") if unit else name


def in_unit(name: str, units: Mapping[str, str]) -> str:
    """A metric in a heading: mae in MW."""
    unit = units.get(name, "")
    return f"{bare(name, units)} in {unit}" if unit else name
