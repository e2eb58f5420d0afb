"""Names that act on a terminal, or mean something to Rich, matplotlib or Markdown: files, folders,
classes and series that bear them, and the run folder of a stranger."""

import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from rnnexp import console, printing
from rnnexp.cli import main
from rnnexp.tables import Column, Table
from tests.support import GOLDEN
from tests.support.load_files import load_table
from tests.support.shrink import HERE

Capture = pytest.CaptureFixture[str]
ACTING = "\x1b[31m\x07\b\r\x7f\x9b2J\u202e\u2066"
SPELT = r"\x1b[31m\x07\x08\r\x7f\x9b2J\u202e\u2066"
MARKED = "[bold]:x:$x^{$"  # matplotlib fails at this formula
ODD, SEEN = ACTING + MARKED, SPELT + MARKED
FORBIDDEN = {chr(code) for code in (*range(32), *range(127, 160), *range(0x202A, 0x202F))}
FORBIDDEN |= {chr(code) for code in (*range(0x2066, 0x206A), *range(0xD800, 0xE000))}
FORBIDDEN -= {"\n", "\t"}
SMALL = ["model.hidden_size=4", "trainer.max_epochs=1", *HERE]


def checked(capsys: Capture, *expected: str) -> str:
    """What was printed, in which nothing acts on a terminal, and which has these parts."""
    out, err = capsys.readouterr()
    check(out + err, *expected)
    return out + err


def check(said: str, *expected: str) -> None:
    assert set(said) & FORBIDDEN == set()
    flat = re.sub(r"\s|[│┃|]", "", said)  # cells and sentences may be wrapped
    for part in expected:
        assert re.sub(r"\s", "", part) in flat


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Data whose names are odd, and a run of each task."""
    place = tmp_path_factory.mktemp("odd") / f"here{ODD}"
    names, series = place / "names", place / "series"
    for folder in (names, series):
        folder.mkdir(parents=True)
    for number in range(2):
        load_table(400, number).to_csv(series / f"{number}{ODD}.csv", index=False)
        words = [f"{first}{'ab'[number] * 3}" for first in "cdefghijklmn"]
        (names / f"{number}{ODD}.txt").write_text("\n".join(words))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(console.console, "width", 2000)  # no cell is wrapped
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        patch.setenv("RNNEXP_OUTPUTS", str(place / "outputs"))
        yield place


@pytest.fixture(autouse=True)
def _here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr(console.console, "width", 2000)
    monkeypatch.setenv("RNNEXP_CACHE", str(place / "cache"))
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(place / "outputs"))


NAMES = ["data=names", "data.root=names"]
SERIES = ["data=series_csv", "data.root=series", "data.datetime_column=Datetime"]
SERIES += ["data.look_back=30", "data.chunking.length=40"]


@pytest.fixture(scope="module")
def trained(place: Path) -> tuple[list[Path], list[str]]:
    """A run of series and one of names, and what each printed."""
    found: list[Path] = []
    said: list[str] = []
    for name, data in (("series", [*SERIES, "logger=none"]), ("names", NAMES)):
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
            assert main(["train", f"name={name}", *data, *SMALL]) == 0
        found += (place / "outputs" / name).iterdir()
        said.append(out.getvalue())
    return found, said


@pytest.fixture
def runs(trained: tuple[list[Path], list[str]]) -> list[Path]:
    return trained[0]


def test_training_prints_and_draws_every_name(trained: tuple[list[Path], list[str]]) -> None:
    (series, names), said = trained
    check(said[0], f"1{SEEN}")
    check(said[1], f"true 1{SEEN}", f"0{SEEN}")
    assert f"1{ODD}" in (series / "predictions.csv").read_bytes().decode()
    assert f"1{ODD}" in (names / "predictions.csv").read_bytes().decode()
    assert len(list((series / "figures" / "predictions").iterdir())) == 2
    assert (names / "figures" / "confusion_matrix.png").exists()


def test_a_log_is_printable(place: Path, capsys: Capture) -> None:
    assert main(["train", f"data.root='no{ODD}'", *NAMES[:1], "name=refused"]) == 2
    checked(capsys, f"no{SEEN}")
    [log] = (place / "outputs" / "refused").glob("*/log.txt")
    check(log.read_bytes().decode(), f"no{SEEN}")


@pytest.mark.parametrize("source", ["series_csv", "names"])
def test_checking(source: str, capsys: Capture) -> None:
    root = "series" if source == "series_csv" else "names"
    assert main(["data", "check", source, f"data.root={root}"]) == 0
    checked(capsys, SEEN)


def test_what_was_looked_at_can_be_typed(tmp_path: Path, capsys: Capture) -> None:
    """The printed command is read by bash as what was given."""
    argument = f"data.root='{ODD}'\n\udce9"
    console.show_line(console.command("rnnexp", "x", argument))
    line = checked(capsys, r"\x1b", r"\xe9").rstrip("\n")
    typed = line[line.index(" x ") + 3 :]
    ended = subprocess.run(["bash", "-c", f"printf %s {typed}"], capture_output=True, check=True)
    assert ended.stdout == os.fsencode(argument)


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"], ["--markdown"]])
def test_the_leaderboard(
    form: list[str], runs: list[Path], tmp_path: Path, capsys: Capture
) -> None:
    for number, run in enumerate(runs):
        stranger = shutil.copytree(run, tmp_path / f"{number}{ODD}")
        config = OmegaConf.load(stranger / "config.yaml")
        config.name = f"mine{number and ODD}[bold]|x"
        OmegaConf.save(config, stranger / "config.yaml")
    (tmp_path / f"broken{ODD}").mkdir()
    (tmp_path / f"broken{ODD}" / "run.json").write_text("{")
    capsys.readouterr()
    assert main(["leaderboard", str(tmp_path), *form]) == 0
    out, err = capsys.readouterr()
    assert f"broken{SEEN}" in err and r"name is 'mine\x1b[31m" in err
    assert printing.printable(out + err) == out + err
    if form == ["--json"]:
        assert "mine0[bold]|x" in {entry["name"] for entry in json.loads(out)}
    else:
        assert "mine0[bold]" in out
    if form == ["--markdown"]:
        rows = [line for line in out.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows if "mine" in line}) <= 2
        assert r"\|x" in out


def test_testing_predicting_repeating(runs: list[Path], tmp_path: Path, capsys: Capture) -> None:
    series, names = (shutil.copytree(run, tmp_path / f"{run.parent.name}{ODD}") for run in runs)
    for run in (series, names):
        facts = json.loads((run / "run.json").read_text())
        facts["versions"]["torch"] = "1[bold][/x]"
        (run / "run.json").write_text(json.dumps(facts))
    capsys.readouterr()
    assert main(["test", str(names)]) == 0
    checked(capsys, f"true 1{SEEN}")
    assert main(["predict", str(names), "--text", "a\x1b[31m\b[/x]"]) == 0
    checked(capsys, r"a\x1b[31m\x08[/x]")
    assert main(["predict", str(series), "--csv", f"series/1{ODD}.csv"]) == 0
    checked(capsys, f"1{SEEN}")
    assert main(["rerun", str(series)]) == 0
    checked(capsys, "1[bold][/x] then", "verdict       identical")
    facts["versions"]["torch"] = f"1{ODD}"
    (names / "run.json").write_text(json.dumps(facts))
    assert main(["test", str(names)]) == 2
    checked(capsys, r"versions.torch is '1\x1b")
    (series / "metrics.json").write_text(f'{{"{MARKED}"')
    assert main(["test", str(series)]) == 2
    checked(capsys, SEEN)
    assert main(["rerun", str(GOLDEN / f"no{ODD}")]) == 2
    checked(capsys, f"no{SEEN}")


def test_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / ODD / "names").mkdir(parents=True)
    monkeypatch.setenv("RNNEXP_DATA", str(tmp_path / ODD))
    for command in (["doctor"], ["data", "list"]):
        assert main(command) == 0
        checked(capsys, SEEN)
    wrong_words = [["data", "check", ODD], ["train", f"model={ODD}"], ["doctor", f"--{ODD}"], [ODD]]
    for wrong in wrong_words:
        assert main(wrong) == 2
        checked(capsys, r"\x1b[31m")


def test_what_hydra_prints(capsys: Capture) -> None:
    """Its YAML leaves marks of direction as they are."""
    assert main(["train", "--cfg", "job", "name='\u202e[bold]'", *NAMES]) == 0
    checked(capsys, r"\u202e[bold]")
    assert main(["train", "--info", "config", "name='\u202e[bold]'", *NAMES]) == 0
    checked(capsys, r"\u202e[bold]")


def test_names_that_are_not_utf_8(tmp_path: Path, capsys: Capture) -> None:
    odd = os.fsdecode(b"b\xe9c\x9b")
    load_table(400, 1).to_csv(tmp_path / f"{odd}.csv", index=False)
    said = r"b\udce9c\udc9b.csv: this name is not UTF-8, and the data are called by it: rename it"
    assert main(["data", "check", "series_csv", f"data.root={tmp_path}", SERIES[2]]) == 2
    checked(capsys, said)
    for language in (odd, "Czech"):
        (tmp_path / f"{language}.txt").write_text("a\n")
    assert main(["data", "check", "names", f"data.root={tmp_path}"]) == 2
    checked(capsys, said.replace("csv", "txt"))
    (tmp_path / odd).mkdir()
    for kind in ("positive", "negative"):
        (tmp_path / odd / f"{kind}.review").touch()
    assert main(["data", "check", "reviews", f"data.root={tmp_path}"]) == 2
    checked(capsys, said.replace(".csv", ""))


def test_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich's own escapes reach it, ours do not, and no markup and no emoji code is read."""
    stream = io.StringIO()
    plain = {"markup": False, "emoji": False, "highlight": False}
    terminal = Console(file=stream, force_terminal=True, width=200, **plain)  # type: ignore[arg-type]
    monkeypatch.setattr(console, "console", terminal)
    text = f"{ODD} [/x] [link=file:///]"
    with console.working(text):
        pass
    console.show(text, Table(text, [Column(text)], [[text]], text))
    said = stream.getvalue()
    assert set(re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", said)) <= {"\x1b", "\r"}
    own = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", said)
    assert "\x1b" not in own and own.count(f"{SEEN} [/x] [link=file:///]") == 6
    assert "\x1b[31m" not in said
