"""Bad files, as a user meets them: one sentence, exit code 2, nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rnnexp.cli import main
from tests.support.load_files import load_table, write_load_file, write_load_files

Plant = Callable[[Path], object]


def edit(line: int, text: str) -> Plant:
    """Put a text in the place of one line of AA_hourly.csv (the header is line 1)."""

    def plant(folder: Path) -> None:
        path = folder / "AA_hourly.csv"
        lines = path.read_text().splitlines()
        lines[line - 1] = text
        path.write_text("\n".join(lines) + "\n")

    return plant


def content(data: bytes) -> Plant:
    return lambda folder: (folder / "AA_hourly.csv").write_bytes(data)


def days(form: str) -> Plant:
    """Write the column of times in another form; only the first twelve days of a month."""

    def plant(folder: Path) -> None:
        table = load_table(5000, seed=0)
        table = table[table["Datetime"].dt.day <= 12]
        table["Datetime"] = table["Datetime"].dt.strftime(form)
        write_load_file(folder, "AA", table)

    return plant


def constant(folder: Path) -> None:
    write_load_file(folder, "AA", load_table(900, seed=0).assign(load=5.0))


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def missing(folder: Path) -> None:
    empty(folder)
    folder.rmdir()


BAD = {
    "missing folder": (missing, ["data.root=", "there is no such folder"]),
    "empty folder": (empty, ["load", "no file NAME_hourly.csv"]),
    "empty file": (content(b""), ["AA_hourly.csv", "empty"]),
    "header only": (content(b"Datetime,AA_MW\n"), ["AA_hourly.csv", "no rows"]),
    "three columns": (content(b"Datetime,AA_MW,B\n2020-01-01 00:00:00,1,2\n"), ["two columns"]),
    "a row too long": (edit(8, "2016-03-01 07:00:00,5.0,6.0"), ["AA_hourly.csv, line 8"]),
    "text": (edit(9, "2016-03-01 08:00:00,many"), ["AA_hourly.csv, line 9", "'many'", "number"]),
    "infinity": (edit(9, "2016-03-01 08:00:00,inf"), ["AA_hourly.csv, line 9", "'inf'"]),
    "no date": (edit(7, "yesterday,5.0"), ["AA_hourly.csv, line 7", "'yesterday'"]),
    "ambiguous date": (days("%d/%m/%Y %H:%M"), ["AA_hourly.csv", 'data.datetime_format="%d/%m/%Y']),
    "short file": (
        lambda folder: write_load_file(folder, "AA", load_table(50, seed=0)),
        ["AA_hourly.csv has 50 rows", "data.skip_short=true"],
    ),
    "constant": (constant, ["AA_hourly.csv", "constant"]),
    "bytes": (
        content(b"Datetime,AA_MW\n2016-03-01 01:00:00,5\n2016-03-01 02:00:00,\xff\n"),
        ["AA_hourly.csv, line 3", "UTF-8"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_one_sentence_and_exit_code_2(
    name: str, empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_load_files(empty_folder / "load")
    plant, words = BAD[name]
    plant(folder)
    assert main(["data", "check", "power_load", f"data.root={folder}"]) == 2
    said = capfd.readouterr().err.strip()
    assert said.startswith("rnnexp: ") and "\n" not in said and "Traceback" not in said
    assert all(word in said for word in words), said


def test_an_empty_cell_is_a_missing_value(
    empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_load_files(empty_folder / "load")
    edit(9, "2016-03-20 03:00:00,")(folder)
    assert main(["data", "check", "power_load", f"data.root={folder}"]) == 0
    [row] = [line for line in capfd.readouterr().out.splitlines() if " AA " in line]
    assert row.split()[6] == "1"  # the column of empty cells


def test_the_same_series_name_twice(empty_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for place in (empty_folder, empty_folder / "a"):
        place.mkdir(exist_ok=True)
        load_table(900, seed=0).to_csv(place / "north.csv", index=False)
    files = f"[{empty_folder}/north.csv,{empty_folder}/a/north.csv]"
    arguments = [f"data.root={files}", "data.datetime_column=Datetime"]
    assert main(["data", "check", "series_csv", *arguments]) == 2
    assert "series name 'north' is already taken" in capfd.readouterr().err


def test_a_failed_training_looks_failed(
    empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_load_files(empty_folder / "load")
    edit(9, "2016-03-01 08:00:00,many")(folder)
    assert main(["train", "experiment=power_load_pmgru", f"data.root={folder}"]) == 2
    said = capfd.readouterr().err.strip()
    assert said.startswith("rnnexp: ") and "\n" not in said and "line 9" in said
    [run] = (empty_folder / "outputs/power_load_pmgru").iterdir()
    assert {path.name for path in run.iterdir()} == {"run.json", "config.yaml", "log.txt"}
    assert '"status": "failed"' in (run / "run.json").read_text()
