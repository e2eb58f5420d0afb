"""Whatever a run folder of a stranger holds, the commands that read it write results alone, reach
nothing, end soon, and say what is wrong in one sentence.

Every variation of tests/hostile/variations.py is a test of its own:
`pytest tests/hostile/test_variations.py -k config.yaml-seed-nan` repeats one alone.
"""

import os
import shutil
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from omegaconf import OmegaConf

from rnnexp import config
from rnnexp.cli import main
from rnnexp.errors import RunFailed
from tests.hostile.sandbox import MOST_MEMORY, Sandbox, listening
from tests.hostile.variations import (
    CHECKPOINTS,
    CSV_TEXTS,
    DAMAGE,
    HERE,
    JSON_TEXTS,
    VALUES,
    YAML_TEXTS,
    Steps,
    Variation,
    damaged,
    dotted,
    filled,
    linked_out,
    places,
    read_tree,
    replaced,
    spread,
    with_key,
    with_state,
    with_value,
    write_tree,
    written,
)
from tests.support.load_files import load_table
from tests.support.shrink import NO_FIGURES, SYNTHETIC_LOAD, TINY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox measures by /proc")

NAMES = [
    *("experiment=quickstart_names", "data.number=20", "data.batch_size=8"),
    *("data/ngrams=log_count_ratios", "data.ngrams.parts=2", *TINY, *NO_FIGURES),
]
SERIES = ["experiment=quickstart", *SYNTHETIC_LOAD, *TINY, *NO_FIGURES]
SOUND = "sound"  # the name of the run beside the stranger's

# What each file of the run on names holds, as far as it is read: every leaf gets other values.
RUN_JSON = """
    status argv started pid host overrides overrides/0 choices choices/model label config_sha256
    versions versions/torch code code/sha256 device kernels threads data fingerprints
    fingerprints/data split split/test split/test/sha256 kept kept/vocabulary.json spec spec/title
    spec/tested spec/things spec/classes spec/classes/0 spec/groups spec/vocabulary spec/unknown
    spec/vectors spec/extra headline headline/0 headline/0/name headline/0/unit
    headline/0/lower_is_better seconds seconds/train
"""
METRICS_JSON = "test~accuracy test~nll val~loss"  # ~: a / in a key
DIGEST_JSON = "batch_order losses losses/0 weights~last weights~best predictions"
SCALING_JSON = "minimum minimum/0 minimum/0/0 range range/0/0 change change/0"
SPEC_OF_SERIES = """
    spec/series spec/series/0 spec/columns spec/columns/0 spec/unit spec/calendar spec/look_back
    spec/supervised data split
"""
WHOLE = ("config.yaml", "run.json", "checkpoints/best.ckpt")  # damaged in every way
FILES = (
    *(*WHOLE, "metrics.json", "digest.json", "history.csv", "predictions.csv"),
    *("vocabulary.json", "ngrams.ckpt", "checkpoints/last.ckpt"),
)


def listed(words: str) -> list[Steps]:
    """Places, as words."""
    return [
        tuple(int(step) if step.isdecimal() else step.replace("~", "/") for step in word.split("/"))
        for word in words.split()
    ]


def composed(overrides: list[str]) -> Any:
    return OmegaConf.to_container(config.compose(overrides), resolve=True)


def variations_of_names() -> Iterator[Variation]:
    """Of the run on names: every place of every file, and every kind of damage to a file."""
    yield from spread("config.yaml", places(composed(NAMES)))
    yield from spread("run.json", listed(RUN_JSON))
    for name in ("escapes", "bidi", "surrogate", "nul", "markup", "forged_sentence", "long_text"):
        yield with_value("run.json", ("spec", "title"), name)
        yield with_value("run.json", ("spec", "classes", 0), name)
    for name in ("variable", "http", "escapes", "surrogate", "os_system", "forged_sentence"):
        yield with_value("config.yaml", ("name",), name)
        yield with_value("config.yaml", ("callbacks", "figures"), name)
    for name in ("nan", "infinity", "int_of_9000_digits", "escapes", "deep_list", "null"):
        yield with_value("metrics.json", ("test/accuracy",), name)
        yield with_value("digest.json", ("losses", 0), name)
        yield with_value("vocabulary.json", (0,), name)
    yield from spread("digest.json", listed(DIGEST_JSON))
    for file in ("config.yaml", "run.json", "metrics.json", "digest.json", "vocabulary.json"):
        for name in ("null", "deep_dict", "long_list"):
            yield with_value(file, (), name)
    for name in ("escapes", "surrogate", "forged_sentence", "variable"):
        yield with_key("config.yaml", ("data",), name)
        yield with_key("config.yaml", ("callbacks",), name)
        yield with_key("run.json", ("versions",), name)
        yield with_key("metrics.json", (), name)
    for file in FILES:
        worst = DAMAGE if file in WHOLE else ("removed", "truncated", "a_pipe")
        yield from (damaged(file, name) for name in worst)
        yield linked_out(file)
    yield from (written("config.yaml", *one) for one in YAML_TEXTS.items())
    for file in ("run.json", "digest.json"):
        yield from (written(file, *one) for one in JSON_TEXTS.items())
    for file in ("history.csv", "predictions.csv"):
        yield from (written(file, *one) for one in CSV_TEXTS.items())
    yield from (with_state(*one) for one in CHECKPOINTS.items())


def variations_of_series() -> Iterator[Variation]:
    """Of the run on series: what the run on names does not have."""
    known = set(places(composed(NAMES)))
    own = [place for place in places(composed(SERIES)) if place not in known]
    yield from spread("config.yaml", own[::2])
    yield from spread("scaling.json", listed(SCALING_JSON))
    yield from spread("run.json", listed(SPEC_OF_SERIES))
    yield from (damaged("scaling.json", name) for name in ("removed", "flipped", "a_pipe"))


def unique(variations: Iterator[Variation]) -> list[Variation]:
    """Those that chance has chosen twice, once."""
    return list({variation.name: variation for variation in variations}.values())


@dataclass(frozen=True)
class Runs:
    """Two finished runs that strangers vary, and one that stays sound."""

    names: Path
    series: Path
    sound: Path


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    place = tmp_path_factory.mktemp("runs_of_strangers")
    found = Runs(place / "names", place / "series", place / SOUND)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        for folder, overrides in (
            (found.names, NAMES),
            (found.series, SERIES),
            (found.sound, [*SERIES, f"name={SOUND}", "seed=1"]),
        ):
            assert main(["train", *overrides, f"hydra.run.dir={folder}"]) == 0
        # What is imported now is not counted as the memory of a variation.
        assert main(["predict", str(found.names), "--text", "Kosval"]) == 0
        assert main(["test", str(found.sound)]) == 0
        assert main(["leaderboard", str(place)]) == 0
    return found


@dataclass(frozen=True)
class Stranger:
    """The folder of a stranger in a sandbox, and the server that its config may name."""

    sandbox: Sandbox
    port: int
    connections: Callable[[], int]
    runs: Runs

    @property
    def folder(self) -> Path:
        return self.sandbox.strangers / "run"

    def gives(self, run: Path, change: Callable[[Path, int, Path], None]) -> None:
        """Put a varied copy of a run into the sandbox, and a sound run beside it."""
        shutil.copytree(run, self.folder)
        shutil.copytree(self.runs.sound, self.sandbox.strangers / SOUND)
        load_table(200, seed=0, level=9000.0).to_csv("SYNTHETIC1.csv", index=False)
        change(self.folder, self.port, self.sandbox.place / "home")


@pytest.fixture
def stranger(tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stranger]:
    sandbox = Sandbox(tmp_path / "sandbox", monkeypatch)
    with listening() as (port, connections):
        yield Stranger(sandbox, port, connections, runs)
    sandbox.remove()


@pytest.fixture
def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends where its training would begin: a stranger may ask for a long one."""

    def fit(self: pl.Trainer, *arguments: Any, **keywords: Any) -> None:
        raise RunFailed("training is left out here")

    monkeypatch.setattr(pl.Trainer, "fit", fit)


def check(stranger: Stranger, name: str, *given: str) -> None:
    """Give the folder to the commands that read run folders; to `test` and `rerun`, which read the
    same, in turn."""
    faults = []
    in_turn = "rerun" if zlib.crc32(name.encode()) % 2 else "test"
    calls: list[tuple[str | Path, ...]] = [
        ("leaderboard", stranger.sandbox.strangers),
        ("diff", stranger.folder, stranger.sandbox.strangers / SOUND),
        ("predict", stranger.folder, *given),
        (in_turn, stranger.folder),
    ]
    for words in calls:
        outcome = stranger.sandbox.run(*words)
        faults += outcome.faults()
        if outcome.hanging:
            break
        if words[0] == "leaderboard" and (outcome.code != 0 or SOUND not in outcome.output):
            faults.append(f"leaderboard hides the sound run: {outcome.said[:500]!r}")
    if number := stranger.connections():
        faults.append(f"{number} connections to the server of the stranger")
    assert not faults, "\n".join(faults)


@pytest.mark.usefixtures("without_training")
@pytest.mark.parametrize("variation", unique(variations_of_names()), ids=str)
def test_a_varied_run_on_names_does_no_harm(variation: Variation, stranger: Stranger) -> None:
    stranger.gives(stranger.runs.names, variation.change)
    check(stranger, variation.name, "--text", "Kosval")


@pytest.mark.usefixtures("without_training")
@pytest.mark.parametrize("variation", unique(variations_of_series()), ids=str)
def test_a_varied_run_on_series_does_no_harm(variation: Variation, stranger: Stranger) -> None:
    stranger.gives(stranger.runs.series, variation.change)
    check(stranger, variation.name, "--csv", "SYNTHETIC1.csv")


# Places that are written --------------------------------------------------------------------------

TENSORBOARD = {
    "_target_": "pytorch_lightning.loggers.TensorBoardLogger",
    "_partial_": True,
    "name": "",
    "version": "tensorboard",
    "default_hp_metric": False,
}
PROFILER = {"_target_": "pytorch_lightning.profilers.SimpleProfiler", "filename": "profile"}
WRITTEN: tuple[tuple[str, Steps], ...] = (
    ("config.yaml", ("name",)),
    ("config.yaml", ("paths", "outputs")),
    ("config.yaml", ("logger", "name")),
    ("config.yaml", ("logger", "version")),
    ("config.yaml", ("logger", "sub_dir")),
    ("config.yaml", ("logger", "save_dir")),
    ("config.yaml", ("logger", "prefix")),
    ("config.yaml", ("trainer", "default_root_dir")),
    ("config.yaml", ("trainer", "profiler", "filename")),
    ("config.yaml", ("trainer", "profiler", "dirpath")),
    ("config.yaml", ("callbacks", "planted")),
    ("run.json", ("label",)),
    ("run.json", ("choices", "model")),
)


@pytest.mark.parametrize("value", ["parent", "absolute"])
@pytest.mark.parametrize(
    ("file", "place"), WRITTEN, ids=lambda one: one if isinstance(one, str) else dotted(one)
)
def test_a_training_writes_into_its_own_folder_alone(
    file: str, place: Steps, value: str, stranger: Stranger
) -> None:
    def change(folder: Path, port: int, outside: Path) -> None:
        logged = replaced(read_tree(folder / "config.yaml"), ("logger",), TENSORBOARD)
        profiled = replaced(logged, ("trainer", "profiler"), PROFILER)
        write_tree(folder / "config.yaml", profiled)
        tree = replaced(read_tree(folder / file), place, HERE)
        write_tree(folder / file, tree, filled(VALUES[value], port, outside))

    stranger.gives(stranger.runs.names, change)
    faults = stranger.sandbox.run("rerun", stranger.folder).faults()
    assert not faults and not stranger.connections(), "\n".join(faults)
    assert_inside_one_run_each(stranger.sandbox.outputs)


def assert_inside_one_run_each(outputs: Path) -> None:
    """Every file in the results belongs to a run: <outputs>/<name>/<time>/..."""
    for path in outputs.rglob("*"):
        if not path.is_dir():
            name, time, *_ = path.relative_to(outputs).parts
            assert (outputs / name / time / "run.json").is_file(), path


# The measuring itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test", "rerun"])
def test_a_folder_without_variation_passes(name: str, stranger: Stranger) -> None:
    stranger.gives(stranger.runs.names, lambda folder, port, outside: None)
    outcome = stranger.sandbox.run(name, stranger.folder)
    assert outcome.code == 0 and not outcome.faults()


def test_what_does_harm_is_seen(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    home, port = stranger.sandbox.place / "home", stranger.port

    def harm(name: str, *arguments: str) -> int:
        (home / "precious.txt").write_text("gone")
        with suppress(OSError):
            Path("/tmp/../proc/none").write_text("outside")
        with socket.create_connection(("127.0.0.1", port)):
            subprocess.run(["true"])
        bytearray(MOST_MEMORY + 2**20)[:: 2**12] = bytes((MOST_MEMORY + 2**20) // 2**12)
        print("a\x1b[31m\nrnnexp: forged", os.environ["TOKEN"])
        raise LookupError("a bug")

    monkeypatch.setattr("rnnexp.cli._answer", harm)
    faults = "\n".join(stranger.sandbox.run("test").faults())
    assert stranger.connections() == 1
    for expected in (
        *("raises", "a bug", "changes home/precious.txt", "writes '/tmp/../proc/none'"),
        *("reaches out: socket.connect", "starts a program", "MiB of memory", "prints '\\x1b' raw"),
        *("prints a line of its own", "prints a variable of the environment"),
    ):
        assert expected in faults


def test_the_places_are_those_of_a_run(runs: Runs) -> None:
    for run, file, words in (
        (runs.names, "run.json", RUN_JSON),
        (runs.names, "metrics.json", METRICS_JSON),
        (runs.names, "digest.json", DIGEST_JSON),
        (runs.series, "scaling.json", SCALING_JSON),
        (runs.series, "run.json", SPEC_OF_SERIES),
    ):
        for place in listed(words):
            branch = read_tree(run / file)
            for step in place:
                branch = branch[step]
