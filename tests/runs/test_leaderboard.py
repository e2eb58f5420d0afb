"""The leaderboard, on handwritten run folders."""

import functools
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rnnexp import console
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.runs.comparison.leaderboard import find_runs, tables
from rnnexp.runs.comparison.leaderboard_texts import to_markdown
from rnnexp.runs.comparison.statistics import select
from rnnexp.runs.folder.record import RunRecord

composed = functools.cache(lambda *overrides: compose(overrides))


def write_run(
    folder: Path, overrides: list[str], smape: float | None, status: str = "completed", **facts: Any
) -> None:
    folder.mkdir(parents=True)
    record = RunRecord(folder, ["rnnexp"])
    record.config(composed(*overrides))
    known = {
        "fingerprints": {"data": "a" * 64},
        "headline": ["smape"],
        "spec": {"title": "2 series"},
    }
    record.save(**(known | {"seconds": {"train": 2.0}, "status": status} | facts))
    if smape is not None:
        record.metrics({"test/smape": smape})
        record.digest({"losses": []})


@pytest.fixture
def runs(empty_folder: Path) -> Path:
    """Two seeds each of pmGRU and GRU, a failed run of GRU, and a `running` one of an RNN."""
    place = empty_folder / "outputs"
    for model, values in {"pmgru": (1.0, 1.4), "gru": (0.9, 1.1)}.items():
        for seed, smape in enumerate(values):
            write_run(place / f"{model}{seed}", [f"model={model}", f"seed={seed}"], smape)
    write_run(place / "gru2", ["model=gru", "seed=2"], None, status="failed")
    write_run(place / "rnn0", ["model=rnn"], None, status="running", pid=2**22 + 1)
    return place


def test_seeds_are_one_row_best_first(runs: Path) -> None:
    [(title, table)] = tables(find_runs([runs])).items()
    assert title == "2 series (data aaaaaaaa)"
    assert table["model.recurrence.backend"].tolist()[0] == "GRU"
    assert table["smape"].tolist()[:2] == pytest.approx([1.0, 1.2])
    assert table["smape sd"].tolist()[:2] == pytest.approx([0.02**0.5, 0.08**0.5])
    assert table["seeds"].tolist() == ["0 1", "0 1", ""]
    assert table["not completed"].tolist() == ["1 failed", "", "1 interrupted"]


def test_a_repeated_seed_counts_once(runs: Path) -> None:
    write_run(runs / "zz_pmgru1_again", ["model=pmgru", "seed=1"], 1.4)
    [table] = tables(find_runs([runs])).values()
    assert table["seeds"].tolist() == ["0 1", "0 1", ""]
    assert table["smape"].tolist()[:2] == pytest.approx([1.0, 1.2])


def test_of_a_repeated_seed_the_one_begun_last_counts(runs: Path) -> None:
    """Independent of the folder and of the time zone of the clock."""
    early = "2001-01-01T10:00:00+00:00"
    write_run(runs / "zz_early", ["model=pmgru", "seed=1"], 9.0, started=early)
    late = "2101-01-01T10:00:00+02:00"
    write_run(runs / "a_late", ["model=pmgru", "seed=1"], 1.8, started=late)
    [table] = tables(find_runs([runs])).values()
    assert table["smape"].tolist()[:2] == pytest.approx([1.0, 1.4])


def test_a_metric_that_earlier_runs_did_not_have_is_a_column(empty_folder: Path) -> None:
    write_run(empty_folder / "runs" / "early", ["model=gru"], 1.0)
    write_run(empty_folder / "runs" / "late", ["model=pmgru"], 2.0, headline=["smape", "mape"])
    late = empty_folder / "runs" / "late" / "metrics.json"
    late.write_text(json.dumps({"test/smape": 2.0, "test/mape": 3.0}))
    [table] = tables(find_runs([empty_folder / "runs"])).values()
    assert table["smape"].tolist() == [1.0, 2.0]
    assert table["mape"].isna().tolist() == [True, False]


def test_a_folder_that_is_named_twice_counts_once(
    runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", str(runs), str(runs / "gru2"), "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert [row["not completed"] for row in rows] == ["1 failed", "", "1 interrupted"]


def test_only_what_differs_is_a_column(runs: Path) -> None:
    [table] = tables(find_runs([runs])).values()
    assert "optimizer.lr" not in table.columns
    write_run(runs / "other", ["model=gru", "optimizer.lr=0.5"], 3.0)
    [table] = tables(find_runs([runs])).values()
    assert sorted(set(table["optimizer.lr"])) == [0.02, 0.5]
    assert "data.batch_size" not in table.columns


@pytest.mark.parametrize(
    "overrides", [["callbacks=early_stopping"], ["determinism=fast"], ["monitor=val/loss"]]
)
def test_what_changes_the_result_is_another_row(runs: Path, overrides: list[str]) -> None:
    [before] = tables(find_runs([runs])).values()
    shown = ["determinism.threads=7", "~callbacks.progress_bar", "logger=none"]
    write_run(runs / "same", ["model=gru", *shown], 1.0)
    [same] = tables(find_runs([runs])).values()
    assert len(same) == len(before) and list(same.columns) == list(before.columns)
    write_run(runs / "other", ["model=gru", *overrides], 1.0)
    [table] = tables(find_runs([runs])).values()
    assert len(table) == len(before) + 1


def test_other_data_are_another_table(runs: Path) -> None:
    write_run(runs / "other", [], 0.1, fingerprints={"data": "b" * 64})
    assert [len(table) for table in tables(find_runs([runs])).values()] == [3, 1]


def test_data_on_which_every_run_failed_are_shown(runs: Path) -> None:
    write_run(runs / "other", [], None, "failed", fingerprints={"data": "b" * 64}, data="/a/place")
    _, (title, table) = tables(find_runs([runs])).items()
    assert title == "2 series (place, data bbbbbbbb)" and table["not completed"].tolist() == [
        "1 failed"
    ]


def test_a_run_that_never_read_its_data_stands_with_its_likes(runs: Path) -> None:
    """It has no fingerprint, so the class of its source decides on its table."""
    never_read: dict[str, Any] = {"fingerprints": {}, "spec": {}, "headline": []}
    [before] = tables(find_runs([runs])).values()
    write_run(runs / "like", ["model=gru"], None, "failed", **never_read)
    write_run(runs / "unlike", ["data=power_load"], None, "failed", **never_read)
    (runs / "no_config").mkdir()
    RunRecord(runs / "no_config", ["rnnexp"]).save(status="failed")
    found = tables(find_runs([runs]))
    assert list(found) == ["2 series (data aaaaaaaa)", "data never read"]
    assert list(found["2 series (data aaaaaaaa)"].columns) == list(before.columns)
    assert found["2 series (data aaaaaaaa)"]["not completed"].tolist()[0] == "2 failed"
    assert found["data never read"]["name"].tolist() == ["power_load", "outputs"]  # as begun
    assert list(found["data never read"].columns)[:2] == ["name", "seeds"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("metrics.json", "{unclosed", "metrics.json is damaged: it is not valid JSON"),
        ("metrics.json", "[1]", "metrics.json is damaged: it is not a JSON object"),
        ("metrics.json", '{"test/smape": "low"}', "test/smape is 'low'"),
        ("metrics.json", "{}", "metrics.json is damaged: it has no test/smape"),
        ("metrics.json", None, "metrics.json cannot be read: No such file or directory"),
        ("digest.json", "{unclosed", "digest.json is damaged: it is not valid JSON"),
        ("config.yaml", "[nonsense", "config.yaml cannot be read as a config"),
        ("run.json", "{unclosed", "run.json is damaged: it is not valid JSON"),
        ("run.json", "null", "run.json is damaged: it is not a JSON object"),
        ("run.json", '{"fingerprints": []}', "run.json is damaged: fingerprints is []"),
        ("run.json", '{"spec": null}', "run.json is damaged: spec is None"),
        ("run.json", '{"headline": 5}', "run.json is damaged: headline is 5"),
        ("run.json", '{"headline": [5]}', "run.json is damaged: headline.0 is 5, not an"),
        ("run.json", '{"seconds": {"train": "x"}}', "seconds.train is 'x', not a number"),
    ],
)
def test_a_damaged_run_does_not_hide_the_others(
    runs: Path, name: str, text: str | None, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if text is None:
        (runs / "gru1" / name).unlink()
    else:
        (runs / "gru1" / name).write_text(text)
    assert main(["leaderboard", "--json"]) == 0
    said = capfd.readouterr()
    assert said.err.startswith("rnnexp: not ranked: ") and said.err.count("\n") == 1
    assert f"gru1/{name}" in said.err and sentence in said.err
    rows = json.loads(said.out)
    assert rows[0]["smape"] == 0.9 and rows[0]["seeds"] == "0"
    assert rows[1]["smape"] == pytest.approx(1.2) and rows[1]["seeds"] == "0 1"
    assert sum(row["not completed"].count("1 damaged") for row in rows) == 1


def test_forms(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert rows[0]["smape"] == pytest.approx(1.0) and rows[2]["smape"] is None
    assert main(["leaderboard", "--csv", str(runs)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("tested on,name,") and len(lines) == 4
    assert main(["leaderboard", "--markdown"]) == 0
    said = capfd.readouterr().out
    assert "| quickstart |" in said and "| 1 failed | 1.000 ± 0.14 |" in said
    assert main(["leaderboard"]) == 0
    assert "1 interrupted" in capfd.readouterr().out.replace("\n", " ")
    assert to_markdown("t", next(iter(tables(find_runs([runs])).values()))).startswith("**t**")


def test_other_programs_get_one_document(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Also for runs on several data sets, whose tables differ in their columns."""
    more = ["optimizer.lr=0.5", "data.look_back=24"]
    facts: dict[str, Any] = {"headline": ["accuracy"], "spec": {"title": "300 reviews"}}
    write_run(runs / "other", more, 1.0, fingerprints={"data": "b" * 64}, **facts)
    (runs / "other/metrics.json").write_text('{"test/accuracy": 0.75}')
    assert main(["leaderboard", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert main(["leaderboard", "--csv"]) == 0
    table = pd.read_csv(io.StringIO(capfd.readouterr().out))
    for found in (rows, table.to_dict(orient="records")):
        assert [row["tested on"] for row in found] == (
            ["2 series (data aaaaaaaa)"] * 3 + ["300 reviews (data bbbbbbbb)"]
        )
        assert [row["optimizer.lr"] for row in found] == [0.02] * 3 + [0.5]
        assert found[0]["smape"] == pytest.approx(1.0) and found[3]["accuracy"] == 0.75
    assert rows[3]["smape"] is None and rows[0]["accuracy"] is None


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_console_table_can_be_read(
    runs: Path, width: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No line is too long and no cell is wrapped; the caption names the columns without room."""
    monkeypatch.setattr(console.console, "width", width)
    many = ["data=power_load", "task.loss=mse", "optimizer.lr=0.5", "model.hidden_size=3"]
    write_run(runs / "other", many, 3.0)
    write_run(runs / "same", [*many, "data.normalization.fit=file"], None, status="failed")
    [table] = tables(find_runs([runs])).values()
    assert main(["leaderboard"]) == 0
    said = capfd.readouterr().out
    lines = said.splitlines()
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.startswith("│")]
    assert len(set(rows)) == len(table) and all(row[2] in "qp" for row in rows)
    [head] = [line for line in lines if line.startswith("┃")]
    _, _, missing = said.partition("no room for ")
    for name in (str(name) for name in table if not str(name).endswith(" sd")):
        assert f" {name} " in head or f" {name.rpartition('.')[2]} " in head or name in missing
    assert " seeds " in head and " smape " in head and "1 interrupted" in said


def test_settings_of_a_single_row_give_way_to_metrics(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The name distinguishes cells; settings that only one cell has come last."""
    for cell in ("vanilla", "textnet_order2", "mgu"):
        overrides = ["model=rnn", f"model/recurrence={cell}"]
        folder = empty_folder / "outputs" / cell
        write_run(folder, overrides, 1.0, headline=["smape", "mae_MW"])
        (folder / "metrics.json").write_text('{"test/smape": 1.0, "test/mae_MW": 50.0}')
    [table] = tables(find_runs([empty_folder])).values()
    assert "model.recurrence.cell.tanh" in table
    for width, shown in ((200, True), (70, False)):
        monkeypatch.setattr(console.console, "width", width)
        assert main(["leaderboard"]) == 0
        said = capfd.readouterr().out
        [head] = [line for line in said.splitlines() if line.startswith("┃")]
        assert " cell " in head and " training s " in head and " mae_MW " in head
        assert (" tanh " in head) is shown and ("no room for" in said) is not shown


def test_nothing_to_show(empty_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard"]) == 2
    assert "there is no folder outputs" in capfd.readouterr().err
    (empty_folder / "outputs").mkdir()
    assert main(["leaderboard"]) == 2
    assert "there is no run in outputs" in capfd.readouterr().err


def test_compare_by_hand(empty_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Differences 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, t(2) = 4.3027, half width 0.2484."""
    place = empty_folder / "outputs"
    for seed, (a, b) in enumerate([(1.0, 1.1), (2.0, 2.2), (3.0, 3.3)]):
        write_run(place / f"a{seed}", ["name=a", f"seed={seed}"], a)
        write_run(place / f"b{seed}", ["name=b", f"seed={seed}"], b)
        write_run(place / f"c{seed}", ["name=c", f"seed={seed}"], a - 0.5 - seed / 1000)
    assert main(["leaderboard", "--compare", "name=a", "name=b"]) == 0
    said = capfd.readouterr().out.replace("\n", " ")
    assert "+0.2, 95 % interval -0.04841 to +0.4484" in said
    assert "neither is significantly better" in said
    assert main(["leaderboard", "--compare", "name=a", "name=c"]) == 0
    assert "name=c is better" in capfd.readouterr().out


def test_compare_needs_pairs(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_run(runs / "single", ["name=single"], 1.0)
    write_run(runs / "other", ["name=other"], 1.0, fingerprints={"data": "b" * 64})
    write_run(runs / "other1", ["name=other", "seed=1"], 1.0, fingerprints={"data": "b" * 64})
    cell = "model.recurrence.cell=MGU,name=quickstart"
    for group, sentence in {
        "name=single": "one seed in common",
        "name=nobody": "no completed run matches name=nobody",
        "nam=x": "no run has the key nam; did you mean name?",
        "name=other": "not run on the same data",
    }.items():
        assert main(["leaderboard", "--compare", cell, group]) == 2
        assert sentence in capfd.readouterr().err


def test_a_group_has_one_config(
    runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        write_run(runs / f"fast{seed}", ["model=gru", "optimizer.lr=0.5", f"seed={seed}"], 2.0)
    gru = "model.recurrence.backend=GRU"
    assert main(["leaderboard", "--compare", gru, f"{gru},optimizer.lr=0.5"]) == 2
    said = capfd.readouterr().err
    assert f"the runs with {gru} differ in optimizer.lr: add a condition" in said
    path = tmp_path / "expected.yaml"
    path.write_text(f"- {{runs: {gru}, metric: smape, expected: 1.0, tolerance: 9}}")
    assert main(["leaderboard", "--check", str(path)]) == 2
    assert f"{path}: the runs with {gru} differ" in capfd.readouterr().err
    for rate in ("5e-1", "0.50"):  # any notation of a number
        slow, fast = f"{gru},optimizer.lr=0.02", f"{gru},optimizer.lr={rate}"
        assert main(["leaderboard", "--compare", slow, fast]) == 0
        assert "over the seeds 0, 1" in capfd.readouterr().out.replace("\n", " ")


def test_values_as_yaml_has_them(runs: Path) -> None:
    wanted = "model.recurrence.cell=MGU,data.reshuffle=true,model.inputs=[level,change]"
    assert list(select(find_runs([runs]), wanted)) == ["0", "1"]
    with pytest.raises(UserError, match="no completed run"):
        select(find_runs([runs]), "data.reshuffle=false")


def test_check(runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = "{runs: 'model.recurrence.cell=MGU', metric: %s, expected: %s, tolerance: 0.01}"
    path = tmp_path / "expected.yaml"
    path.write_text("- " + line % ("smape", 1.205))
    assert main(["leaderboard", "--check", str(path)]) == 0
    assert "met" in capfd.readouterr().out
    for metric, expected in (("smape", 1.3), ("accuracy", 1.2)):
        path.write_text("- " + line % (metric, expected))
        assert main(["leaderboard", "--check", str(path)]) == 1
        assert "missed" in capfd.readouterr().out
    path.write_text("- {runs: 'name=nobody', metric: smape, expected: 1, tolerance: 1}")
    assert main(["leaderboard", "--check", str(path)]) == 1
    for nothing in ("nonsense", "[]"):
        path.write_text(nothing)
        assert main(["leaderboard", "--check", str(path)]) == 2


def test_a_typo_under_another_name_is_in_no_table_of_results(runs: Path) -> None:
    before = tables(find_runs([runs]))
    write_run(runs / "typo", ["name=typo"], None, "failed", fingerprints={})
    found = tables(find_runs([runs]))
    assert list(found) == [*before, "data never read"]
    assert found["data never read"]["name"].tolist() == ["typo"]
    for title, table in before.items():
        assert len(found[title]) == len(table)
