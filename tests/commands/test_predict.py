"""rnnexp predict repeats the recorded predictions of a test from the run folder alone, and every
mistake is one sentence."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose, instantiate
from rnnexp.data.text.documents import Document
from rnnexp.runs.experiment import run as train
from rnnexp.tasks.classification.answers import classify
from rnnexp.tasks.classification.data import ClassificationData
from tests.support import GOLDEN
from tests.support.load_files import load_table, write_load_file
from tests.support.review_files import write_review_files, write_vectors
from tests.support.shrink import LECTURE, NO_FIGURES, OURS, QUIET, TINY, TWO_EPOCHS, WINDOWS
from tests.support.toy_documents import ToyDocuments, document, fed

Capture = pytest.CaptureFixture[str]
MISTAKE = 2


@pytest.fixture(scope="module", autouse=True)
def _no_other_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNEXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("RNNEXP_DATA", raising=False)
        patch.delenv("RNNEXP_ALLOW", raising=False)
        yield


# Runs -------------------------------------------------------------------------------------------


def load_files(folder: Path) -> Path:
    """Two series; the first has a gap, a duplicate, an empty cell and a near zero at its end."""
    folder.mkdir()
    for seed, name in enumerate(("AA", "BB")):
        table = load_table(900, seed, level=1000.0 * (seed + 1))
        if name == "AA":
            table.loc[860, "load"] = np.nan
            table.loc[870, "load"] = 2.0
            table = table.drop(index=[840, 841]).loc[[*range(840), 850, *range(842, 900)]]
        write_load_file(folder, name, table)
    return folder


def sales_files(folder: Path) -> Path:
    """Daily sales with the price as a further input, and an unused column."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in ("north", "south"):
        days = pd.date_range("2020-01-01", periods=300, freq="D")
        sold = 50 + 10 * (days.day_of_week.to_numpy() > 4) + generator.normal(0, 2, 300)
        table = pd.DataFrame({"day": days, "sold": sold.round(2), "price": 3 - sold.round(1) / 50})
        table.assign(weather="fine").to_csv(folder / f"{name}.csv", index=False)
    return folder


SALES = ["data=series_csv", "data.datetime_column=day", "data.value_column=sold", "data.unit=pcs"]
SALES += ["data.input_columns=[price]", "data.frequency=1D", *WINDOWS, *TWO_EPOCHS, *QUIET]
REVIEWS = ["data=reviews", "data.per_class=10", "data.batch_size=8", *TINY, *NO_FIGURES]
WORDS = ["it", "works", "love", "broke", "buy", "thing", "solid", "ugly"]
BEST = ["experiment=sentiment_best", "data.per_class=10", "data.ngrams.parts=2", *TINY, *NO_FIGURES]
BEST += ["data.vectors.dimension=8", "data.batch_size=8", "data.max_tokens=9"]

Recorded = Callable[[str], tuple[Path, Path]]
KINDS: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "every step": (load_files, [*OURS, *QUIET]),
    "last step": (load_files, [*LECTURE, *QUIET]),
    "series_csv": (sales_files, SALES),
    "one-hot": (write_review_files, ["model=textnet", "model/representation=one_hot", *REVIEWS]),
    "closed": (
        write_review_files,
        ["experiment=sentiment_textnet_onehot", "data.per_class=10", *TINY, *NO_FIGURES],
    ),
    "n-grams": (write_review_files, BEST),
    "skipping": (write_review_files, [*BEST, "data.vectors.unknown=skip"]),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """kind -> the folder of its data and its completed run, made once."""
    made: dict[str, tuple[Path, Path]] = {}

    def make(kind: str) -> tuple[Path, Path]:
        if kind not in made:
            place = tmp_path_factory.mktemp("runs")
            write, overrides = KINDS[kind]
            data = write(place / "data")
            settings = [*overrides, f"data.root={data}"]
            if any("vectors" in one for one in overrides):
                vectors = write_vectors(place / "vectors.txt", WORDS, dimension=8)
                settings.append(f"data.vectors.file={vectors}")
            train(compose(settings), place / "run")
            made[kind] = data, place / "run"
        return made[kind]

    return make


@pytest.fixture
def alone(recorded: Recorded, tmp_path: Path) -> Callable[[str], Path]:
    """kind -> a copy of its run folder without the data."""

    def copy(kind: str) -> Path:
        data, run = recorded(kind)
        facts = json.loads((run / "run.json").read_text())
        text = (run / "config.yaml").read_text().replace(str(data.parent), str(tmp_path / "gone"))
        folder = tmp_path / "run"
        shutil.copytree(run, folder)
        (folder / "config.yaml").write_text(text)
        for what in ("data", "vectors"):
            if what in facts:
                facts[what] = facts[what].replace(str(data.parent), str(tmp_path / "gone"))
        (folder / "run.json").write_text(json.dumps(facts))
        return folder

    return copy


def pipe(patch: pytest.MonkeyPatch, content: bytes) -> None:
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def refused(arguments: list[str], capfd: Capture) -> str:
    """The one sentence on stderr."""
    capfd.readouterr()
    assert main(["predict", *arguments]) == MISTAKE
    said = capfd.readouterr()
    assert said.out == "" and said.err.startswith("rnnexp: ") and said.err.count("\n") == 1
    return said.err.strip()


# The recorded predictions -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["one-hot", "closed", "n-grams", "skipping"])
def test_texts_of_the_test_have_their_recorded_probabilities(
    kind: str,
    recorded: Recorded,
    alone: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = rnnexp.load(recorded(kind)[1])
    assert isinstance(loaded.data, ClassificationData)
    loaded.data.setup()
    texts = [one.text for one in loaded.data.source.documents["test"]]
    assert len(texts) == 8
    pipe(monkeypatch, "\r\n".join(texts).encode())
    assert main(["predict", str(alone(kind)), "--output", str(tmp_path / "out.csv")]) == 0
    found = pd.read_csv(tmp_path / "out.csv")
    expected = pd.read_csv(recorded(kind)[1] / "predictions.csv")
    assert list(found.columns) == ["text", "prediction", "p_negative", "p_positive"]
    assert found["text"].tolist() == texts
    assert found["prediction"].tolist() == expected["prediction"].tolist()
    assert found["p_positive"].nunique() > 1
    np.testing.assert_allclose(found["p_positive"], expected["p_positive"], atol=1e-6)
    np.testing.assert_allclose(found["p_negative"], expected["p_negative"], atol=1e-6)


@pytest.mark.parametrize("kind", ["every step", "last step", "series_csv"])
def test_the_past_of_a_test_row_has_its_recorded_prediction(
    kind: str, recorded: Recorded, alone: Callable[[str], Path], tmp_path: Path
) -> None:
    """Each file is cut off before some rows of the test span, and the next row is predicted."""
    folder = alone(kind)
    data, run = recorded(kind)
    expected = pd.read_csv(run / "predictions.csv", parse_dates=["timestamp"])
    step = pd.Timedelta("1D" if kind == "series_csv" else "1h")
    for path in sorted(data.iterdir()):
        table = pd.read_csv(path, parse_dates=[0])
        own = expected[expected["file"] == path.name.removesuffix("_hourly.csv").split(".")[0]]
        regular = own[own["timestamp"].diff() == step].drop_duplicates("timestamp", keep=False)
        rows = regular.iloc[[0, len(regular) // 3, len(regular) // 2, -2, -1]]
        for row in rows.itertuples():
            before = table[table.iloc[:, 0] < row.timestamp]
            before.to_csv(tmp_path / path.name, index=False)
            out = tmp_path / "out.json"
            assert (
                main(
                    [
                        "predict",
                        str(folder),
                        "--csv",
                        str(tmp_path / path.name),
                        "--output",
                        str(out),
                    ]
                )
                == 0
            )
            [found] = json.loads(out.read_text())
            assert found["series"] == row.file
            assert pd.Timestamp(found["timestamp"]) == row.timestamp
            assert found["prediction"] == pytest.approx(row.prediction, rel=1e-6)
            assert found["unit"] == ("pcs" if kind == "series_csv" else "MW")


# Output -----------------------------------------------------------------------------------------


def test_classes_by_probability(alone: Callable[[str], Path], capfd: Capture) -> None:
    folder = alone("one-hot")
    assert (
        main(["predict", str(folder), "--text", "It broke at once.", "--text", "I [b]love it"]) == 0
    )
    said = capfd.readouterr()
    rows = [line for line in said.out.splitlines() if "broke" in line or "love" in line]
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]
    assert [text for text, *_ in cells] == ["It broke at once.", "I [b]love it"]
    for _, likeliest, second in cells:
        names, numbers = zip(*(cell.split() for cell in (likeliest, second)), strict=True)
        assert set(names) == {"negative", "positive"}
        assert float(numbers[0]) >= float(numbers[1])
        assert sum(map(float, numbers)) == pytest.approx(1, abs=0.0011)
    assert said.err == "rnnexp: unknown words, read as <unknown>: '[', 'b', ']'\n"


def test_at_most_three_classes_are_shown(tmp_path: Path) -> None:
    """A data module of characters with five classes, which only has `tokens_of`."""

    class Notes(ToyDocuments):
        token = "character"

        def tokens_of(self, text: str) -> list[str]:
            return list(text.lower().replace("#", ""))

        def left_out(self, text: str) -> list[str]:
            return [one for one in text if one == "#"]

    words = enumerate(["ab", "ba", "aab", "bbc", "cab"])
    known = [Document(list(word), label, "", word) for label, word in words] * 4
    names = ["one", "two", "three", "four", "five"]
    data = fed(Notes(names, known, [document("a b", 0)]))
    config = compose(["data=synthetic_reviews", "model=gru", "model.hidden_size=3"])
    network = instantiate(config, "model", spec=data.spec).eval()
    source = Notes(names, known, [document("a b", 0)])
    del source.vocabulary, source.stores
    new = ClassificationData(source)
    new.restore(data.spec, json.loads(json.dumps(data.kept())))
    answers = classify(network, new, ["AB", "#cabz"])

    tokens = data.source.vocabulary.tokens
    numbers = [[tokens.index(one) for one in "ab"], [tokens.index(o) for o in "cab"]]
    numbers[1].append(tokens.index("<unknown>"))
    for found, own in zip(answers.probability, numbers, strict=True):
        expected = network(torch.tensor([own]), None).exp()[0]
        np.testing.assert_allclose(found, expected.detach(), rtol=1e-5)
    assert answers.notes == [
        "unknown characters, left out: '#'",
        "unknown characters, read as <unknown>: 'z'",
    ]
    assert [column.heading for column in answers.table().columns] == [
        *("text", "likeliest", "second", "third")
    ]
    assert list(answers.frame().columns)[2:] == [f"p_{name}" for name in names]


def test_what_is_not_read_as_it_stands_is_said(
    alone: Callable[[str], Path], capfd: Capture
) -> None:
    """A text is cut to nine tokens; one of the runs leaves out words without a vector."""
    folder = alone("n-grams")
    text = "it works xyzzy " * 4
    assert main(["predict", str(folder), "--text", text, "--text", "it works"]) == 0
    assert capfd.readouterr().err.splitlines() == [
        "rnnexp: unknown words, read as <unknown>: 'xyzzy'",
        "rnnexp: texts cut to 9 words (data.max_tokens), first and last half: 1 (text 1)",
    ]


def test_words_without_a_vector_are_left_out(alone: Callable[[str], Path], capfd: Capture) -> None:
    folder = alone("skipping")
    assert main(["predict", str(folder), "--text", "it works , xyzzy"]) == 0
    assert capfd.readouterr().err == "rnnexp: unknown words, left out: ',', 'xyzzy'\n"
    many = " ".join(f"word{number}" for number in range(100, 130))
    assert main(["predict", str(folder), "--text", many]) == 0
    assert capfd.readouterr().err.strip().endswith("'word109' and 20 more")


def test_series_that_the_run_did_not_have(
    recorded: Recorded, alone: Callable[[str], Path], tmp_path: Path, capfd: Capture
) -> None:
    """Its own history scales it, so ten times the load is ten times the prediction."""
    folder = alone("every step")
    table = pd.read_csv(recorded("every step")[0] / "BB_hourly.csv")
    factors = {"CC": 1, "DD": 10}
    for name, factor in factors.items():
        changed = table.assign(BB_MW=table["BB_MW"] * factor)
        changed.to_csv(tmp_path / f"{name}.csv", index=False)
    files = [argument for name in factors for argument in ("--csv", str(tmp_path / f"{name}.csv"))]
    assert main(["predict", str(folder), *files, "--output", str(tmp_path / "out.csv")]) == 0
    values = pd.read_csv(tmp_path / "out.csv").set_index("series")["prediction"]
    assert values["DD"] == pytest.approx(10 * values["CC"], rel=1e-5)
    assert 1500 < values["CC"] < 2500
    assert capfd.readouterr().err == (
        "rnnexp: series that were not in training, scaled by their own history: 'CC', 'DD'; those "
        "in training were 'AA', 'BB' (a series is named after its file)\n"
    )


def test_a_folder_of_series_and_repaired_values(
    recorded: Recorded, alone: Callable[[str], Path], tmp_path: Path, capfd: Capture
) -> None:
    data, _ = recorded("every step")
    files = shutil.copytree(data, tmp_path / "files")
    path = files / "AA_hourly.csv"
    last = pd.read_csv(path).iloc[:-3]
    last.iloc[-2, 1] = np.nan
    last.to_csv(path, index=False)
    assert main(["predict", str(alone("every step")), "--csv", str(files)]) == 0
    said = capfd.readouterr()
    rows = [line.split("│")[1:4] for line in said.out.splitlines() if "MW" in line]
    assert [row[0].strip() for row in rows] == ["AA", "BB"]
    assert (
        rows[0][2].strip() == "2016-04-07 10:00:00" and rows[1][2].strip() == "2016-04-07 13:00:00"
    )
    assert said.err == (
        "rnnexp: AA: 2 of the last 30 values were missing or near zero, and were repaired\n"
    )


def test_how_a_file_is_read_can_be_changed(
    recorded: Recorded, alone: Callable[[str], Path], tmp_path: Path, capfd: Capture
) -> None:
    """A few days can be read as day-first and as month-first."""
    folder, path = alone("every step"), tmp_path / "AA_hourly.csv"
    table = pd.read_csv(recorded("every step")[0] / "AA_hourly.csv", parse_dates=[0])
    table = table[table["Datetime"].between("2016-04-02", "2016-04-06")]
    table.to_csv(path, index=False, date_format="%d/%m/%Y %H:%M")
    sentence = refused([str(folder), "--csv", str(path)], capfd)
    assert 'data.datetime_format="%d/%m/%Y %H:%M" or' in sentence
    form = "data.datetime_format='%d/%m/%Y %H:%M'"
    assert main(["predict", str(folder), "--csv", str(path), form]) == 0
    assert "2016-04-06 01:00:00" in capfd.readouterr().out
    assert "can only change how the file of --csv is read" in refused(
        [str(folder), "--csv", str(path), "data.look_back=3"], capfd
    )


def test_a_run_of_an_earlier_version_takes_the_data(
    recorded: Recorded, alone: Callable[[str], Path], tmp_path: Path, capfd: Capture
) -> None:
    """It kept no n-grams, and the first versions kept no vocabulary."""
    _, run = recorded("n-grams")
    outputs = []
    for lacking in ("", "ngrams.ckpt", "vocabulary.json"):
        folder = shutil.copytree(run, tmp_path / f"without{lacking}")
        if lacking:
            (folder / lacking).unlink()
        out = tmp_path / f"out{lacking}.csv"
        assert main(["predict", str(folder), "--text", "I love it", "--output", str(out)]) == 0
        outputs.append(out.read_text())
    assert len(set(outputs)) == 1
    folder = alone("n-grams")
    (folder / "ngrams.ckpt").unlink()
    sentence = refused([str(folder), "--text", "I love it"], capfd)
    assert "has no ngrams.ckpt, and it cannot be made from the training data" in sentence


def test_the_golden_run_predicts(tmp_path: Path, capfd: Capture) -> None:
    table = load_table(200, seed=0, level=9000.0)
    path = write_load_file(tmp_path, "SYNTHETIC1", table)
    folder = GOLDEN / "run_format_1"
    assert main(["predict", str(folder), "--csv", str(path)]) == 0
    assert "SYNTHETIC1" in capfd.readouterr().out


def test_an_interrupted_run_says_so(alone: Callable[[str], Path], capfd: Capture) -> None:
    folder = alone("one-hot")
    change_record(folder, status="interrupted")
    assert main(["predict", str(folder), "--text", "I love it."]) == 0
    assert "has the status 'interrupted': using the checkpoint so far" in capfd.readouterr().err


# Bad input --------------------------------------------------------------------------------------


def change_record(folder: Path, **facts: Any) -> None:
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | facts))


def change_config(key: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = OmegaConf.load(folder / "config.yaml")
        assert isinstance(config, DictConfig)
        OmegaConf.update(config, key, value, force_add=True)
        OmegaConf.save(config, folder / "config.yaml")

    return change


class Evil:
    """Unpickling it would create a file."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("evil",)


def plant(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        torch.save({"rnnexp_format": 1, "state_dict": {}, "evil": Evil()}, folder / name)

    return change


def drop(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def other_vocabulary(folder: Path) -> None:
    path = folder / "vocabulary.json"
    path.write_text(json.dumps(json.loads(path.read_text())[::-1]))


def other_ngrams(folder: Path) -> None:
    torch.save({"rnnexp_format": 1, "words": ["a"]}, folder / "ngrams.ckpt")


def ngrams_of_more_classes(folder: Path) -> None:
    table = torch.load(folder / "ngrams.ckpt")
    table["ratios"] = {kind: values.repeat(1, 3) for kind, values in table["ratios"].items()}
    torch.save(table, folder / "ngrams.ckpt")


def earlier(damage: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        damage(folder)
        record = json.loads((folder / "run.json").read_text())
        del record["kept"]
        (folder / "run.json").write_text(json.dumps(record))

    return change


def failed_early(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    del record["spec"]
    (folder / "run.json").write_text(json.dumps(record | {"status": "failed"}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "there is no folder"),
    "no run.json": (drop("run.json"), "is not a run folder: it has no run.json"),
    "no config": (drop("config.yaml"), "has no config.yaml"),
    "no checkpoint": (
        drop("checkpoints/last.ckpt"),  # without validation there is no best.ckpt
        "has no checkpoint: the run did not finish an epoch",
    ),
    "no network": (failed_early, "has the status 'failed' and no network"),
    "a stranger's class": (
        change_config("data.tokenization._target_", "os.mkdir"),
        "data.tokenization._target_: 'os.mkdir' is not on the allow-list",
    ),
    "a stranger's function": (
        change_config("model.evil", {"_target_": "os.mkdir", "path": "evil"}),
        "model.evil._target_: 'os.mkdir' is not on the allow-list",
    ),
    "a pickle for weights": (plant("checkpoints/best.ckpt"), "best.ckpt is not a checkpoint of"),
    "a pickle for n-grams": (plant("ngrams.ckpt"), "ngrams.ckpt is not a checkpoint of tensors"),
    "other weights": (
        change_config("model.hidden_size", 5),
        "last.ckpt does not match the network in config.yaml",
    ),
    "other words": (
        other_vocabulary,
        "vocabulary.json has been changed since the run wrote it",
    ),
    "no words": (
        lambda folder: (folder / "vocabulary.json").write_text("{}"),
        "vocabulary.json has been changed since the run wrote it",
    ),
    "other n-grams": (other_ngrams, "ngrams.ckpt has been changed since the run wrote it"),
    "n-grams of more classes": (ngrams_of_more_classes, "ngrams.ckpt has been changed since"),
    # A run of an earlier version has no hashes of these files.
    "other words, earlier": (
        earlier(other_vocabulary),
        "vocabulary.json has been changed since the run wrote it",
    ),
    "n-grams of more classes, earlier": (
        earlier(ngrams_of_more_classes),
        "ngrams.ckpt has 12 ratios per token, but the network reads 4",
    ),
    "other n-grams, earlier": (earlier(other_ngrams), "it is not a table of"),
    "other data": (
        change_config("data._target_", "rnnexp.data.vectors.word_vectors.WordVectors"),
        "WordVectors has no argument data.",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_run_folder_that_is_not_whole(
    damage: str,
    alone: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    folder = alone("n-grams")
    monkeypatch.chdir(tmp_path)
    change, sentence = DAMAGE[damage]
    change(folder)
    assert sentence in refused([str(folder), "--text", "I love it"], capfd)
    assert not (tmp_path / "evil").exists()


TEXTS: dict[str, tuple[str, list[str], bytes, str]] = {
    "empty": ("one-hot", ["--text", ""], b"", "the text is empty: give another"),
    "blank": ("one-hot", ["--text", " \t"], b"", "the text is empty: give another"),
    "nothing piped": ("one-hot", [], b"", "standard input is empty"),
    "bytes": ("one-hot", [], b"b\xffd\n", "the text is not UTF-8 text"),
    "an argument of bytes": ("one-hot", ["--text", "b\udcffd"], b"", "is not UTF-8 text"),
    "no known word": ("closed", ["--text", "xyzzy"], b"", "the text has no word that the network"),
    "no word in a line": ("closed", [], b"!?\n", "the text has no word that the network"),
    "a series": ("one-hot", ["--csv", "x.csv"], b"", "was trained on reviews, not on series"),
    "both": ("one-hot", ["--text", "a", "--csv", "x.csv"], b"", "give either --text or --csv"),
    "a setting": (
        "one-hot",
        ["--text", "a", "data.frequency=1D"],
        b"",
        "can only change how the file of",
    ),
    "an ending": (
        "one-hot",
        ["--text", "it", "--output", "a.txt"],
        b"",
        "ends in .csv, .json, or,",
    ),
    "a picture": ("one-hot", ["--text", "it", "--output", "a.png"], b"", "there is no picture of"),
    "no folder": ("one-hot", ["--text", "it", "--output", "no/a.csv"], b"", "no folder no,"),
    "text for series": ("series_csv", ["--text", "a"], b"", "was trained on series: give them"),
    "nothing for series": ("series_csv", [], b"a\n", "was trained on series: give them with --csv"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_cannot_be_read(
    name: str,
    alone: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    kind, arguments, piped, sentence = TEXTS[name]
    folder = alone(kind)
    monkeypatch.chdir(tmp_path)
    pipe(monkeypatch, piped)
    assert sentence in refused([str(folder), *arguments], capfd)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_help(capfd: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["predict", "--help"])
    said = capfd.readouterr().out
    assert ended.value.code == 0 and all(f"--{name}" in said for name in ("text", "csv", "output"))


def test_a_terminal_is_not_waited_for(
    alone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    pipe(monkeypatch, b"")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    sentence = refused([str(alone("one-hot"))], capfd)
    assert "give a text with --text TEXT, or one per line on standard input" in sentence


Change = Callable[[pd.DataFrame], pd.DataFrame]
SERIES: dict[str, tuple[str, Change, str]] = {
    "too short": (
        "every step",
        lambda table: table.iloc[:20],
        "has 20 steps, but the network reads the last 30 (data.look_back): give a longer file",
    ),
    "too short, rows as they are": ("last step", lambda table: table.iloc[:29], "has 29 steps"),
    "daily": (
        "every step",
        lambda table: table.iloc[::24],
        "most rows are 1 day apart, but the steps of this run are 1:00:00",
    ),
    "daily, rows as they are": ("last step", lambda table: table.iloc[::24], "1 day"),
    "three columns": ("every step", lambda table: table.assign(more=1), "expected two columns"),
    "no such column": (
        "every step",
        lambda table: table.rename(columns={"Datetime": "when"}),
        "there is no column 'Datetime'",
    ),
    "no input column": (
        "series_csv",
        lambda table: table.drop(columns="price"),
        "there is no column 'price'",
    ),
    "text": (
        "every step",
        lambda table: table.astype(str).replace(str(table.iloc[7, 1]), "many"),
        "line 9: 'many' in column 'AA_MW' is not a finite number",
    ),
    "no rows": ("every step", lambda table: table.iloc[:0], "a header and no rows"),
}


@pytest.mark.parametrize("name", SERIES)
def test_series_that_cannot_be_read(
    name: str, recorded: Recorded, alone: Callable[[str], Path], tmp_path: Path, capfd: Capture
) -> None:
    kind, change, sentence = SERIES[name]
    data, _ = recorded(kind)
    source = min(data.iterdir())
    change(pd.read_csv(source)).to_csv(tmp_path / source.name, index=False)
    out = tmp_path / "out.csv"
    arguments = [str(alone(kind)), "--csv", str(tmp_path / source.name), "--output", str(out)]
    said = refused(arguments, capfd)
    assert sentence in said and str(tmp_path / source.name) in said
    assert not out.exists()


def test_a_file_that_is_missing_or_is_the_output(
    alone: Callable[[str], Path], tmp_path: Path, capfd: Capture
) -> None:
    folder, path = str(alone("every step")), tmp_path / "AA_hourly.csv"
    assert "AA_hourly.csv: the file cannot be read" in refused([folder, "--csv", str(path)], capfd)
    write_load_file(tmp_path, "AA", load_table(100, seed=0))
    before = path.read_bytes()
    arguments = [folder, "--csv", str(path), "--output", str(path)]
    assert "this is an input file, choose another file" in refused(arguments, capfd)
    assert path.read_bytes() == before
