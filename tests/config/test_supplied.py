"""Arguments that the code gives: a config that has them would change nothing."""

from typing import Any

import pytest

from rnnexp import config
from rnnexp.cli import main
from rnnexp.config.signatures import instead
from rnnexp.errors import UserError
from rnnexp.launching.plan import check_jobs, plan
from rnnexp.nn.readouts import EveryStep, Pooled
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.runs.build import outline
from rnnexp.tasks.horizon.spec import HorizonSpec
from tests.support.networks import spec_of

HORIZON = ["data=synthetic_load", "task=horizon", "model=pmgru"]


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("model.recurrence.hidden_size", "set model.hidden_size"),
        ("model.recurrence.bidirectional", "set model.bidirectional"),
        ("model.recurrence.input_size", "leave it out, it follows from the data"),
        ("model.recurrence.cell.hidden_size", "set model.hidden_size"),
        ("model.readout.outputs", "leave it out, it follows from the data"),
        ("data.seed", "set seed"),
        ("scheduler.steps", "set trainer.max_epochs"),
        ("logger.save_dir", "set paths.outputs, in which the run folder is"),
    ],
)
def test_a_key_that_the_code_sets_is_refused(key: str, advice: str) -> None:
    with pytest.raises(UserError) as caught:
        plan([*HORIZON, f"{key}=2"])
    assert str(caught.value) == f"the config has no key {key}: {advice}"
    value = {"dropout": "0.5", "bidirectional": "true", "save_dir": "x"}.get(key.split(".")[-1], 2)
    with pytest.raises(UserError) as caught:
        check_jobs(plan([*HORIZON, f"+{key}={value}"]).jobs)
    assert str(caught.value) == f"{key} cannot be set: {advice}"


def test_the_layers_of_torch_run_over_the_steps() -> None:
    with pytest.raises(UserError, match=r"backend\.batch_first cannot be set"):
        check_jobs(plan(["model=gru", "+model.recurrence.backend.batch_first=true"]).jobs)


def test_in_a_sweep_it_is_refused_before_any_job_runs(empty_folder: Any, capsys: Any) -> None:
    """The other jobs would run, and this one too, as if nothing had been said."""
    words = ["-m", *HORIZON, "data.horizon=0,24", "+model.recurrence.hidden_size=8"]
    assert main(["train", *words]) == 2
    assert "set model.hidden_size" in capsys.readouterr().err
    assert list(empty_folder.iterdir()) == []


def test_a_recurrence_in_both_directions_where_the_network_has_no_such_setting() -> None:
    check_jobs(plan(["model=pmgru", "+model.recurrence.bidirectional=true"]).jobs)


def test_the_table_has_all_that_the_networks_give(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, set[str]] = {}

    def record(kind: type, place: str, own: set[str]) -> None:
        init = kind.__init__  # type: ignore[misc]

        def recording(self: Any, *values: Any, **settings: Any) -> None:
            given.setdefault(place, set()).update(settings.keys() - own)
            init(self, *values, **settings)

        monkeypatch.setattr(kind, "__init__", recording)

    horizon = HorizonSpec("", 1, "windows", ["a"], ["y"], [], "", 7, 48, 24, 24)
    forecast = ["data=synthetic_load", "task=horizon", "model=pmgru"]
    texts = ["data=synthetic_names", "model=pmgru", "model/readout=pooled"]
    composed = [
        (config.compose(forecast), horizon),
        (config.compose([*forecast, "model/network=horizon_direct"]), horizon),
        (config.compose(texts), spec_of()),
    ]
    record(CellRecurrence, "model.recurrence", {"cell", "path", "tuning", "forget_bias"})
    for readout in (EveryStep, Pooled):
        record(readout, "model.readout", {"activation", "pooling", "dropout"})
    for one, spec in composed:
        given.clear()
        assert outline(one, spec) is not None
        for place, names in given.items():
            assert {"input_size", "hidden_size"} <= names
            assert [name for name in names if not instead(one, f"{place}.{name}")] == []
