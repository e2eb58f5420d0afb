"""Configs: composing them, what is said about mistakes, and which classes they may name."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

import pytest
from omegaconf import DictConfig, OmegaConf

from rnnexp import config
from rnnexp.config import targets
from rnnexp.config.groups import group_and_option
from rnnexp.config.signatures import accepts, check_node
from rnnexp.errors import UserError
from rnnexp.launching.plan import check_jobs, plan

Compose = Callable[..., DictConfig]

OPTIONS = sorted(
    path.relative_to(config.config_dir()).with_suffix("").as_posix()
    for path in config.config_dir().rglob("*.yaml")
    if path.name != "train.yaml"
    and path.parent.name not in ("hydra", "space")  # tests/search has those of a search
    and path.name[0] != "_"
)
REVIEWS, WORDS = ["data=reviews"], ["task=classification"]
NEEDED = {  # what an option needs beside itself
    "data/series_csv": ["data.root=folder", "data.datetime_column=time"],
    "data/lecture_reviews": ["data.root=folder"],
    "data/characters/all": ["data=names"],
    "data/characters/lecture": ["data=names"],
    "data/ngrams/log_count_ratios": REVIEWS,
    "data/tokenization/lecture": REVIEWS,
    "data/tokenization/words": REVIEWS,
    "data/vectors/glove": REVIEWS,
    "data/vectors/word2vec": REVIEWS,
    "model/network/classification": [*WORDS, "~experiment"],
    "model/network/horizon": ["task=horizon", "~experiment"],
    "model/network/horizon_direct": ["task=horizon", "~experiment"],
    "model/network/horizon_recursive": ["task=horizon", "~experiment"],
    "model/representation/embeddings": WORDS,
    "model/representation/one_hot": WORDS,
}


def jobs(
    overrides: list[str], multirun: bool = False, config_dir: Path | None = None
) -> list[list[str]]:
    return [list(job.overrides) for job in plan(overrides, multirun, config_dir).jobs]


def refusal(call: Callable[..., object], *arguments: Any) -> str:
    """The one sentence with which a call refuses a mistake."""
    with pytest.raises(UserError) as caught:
        call(*arguments)
    sentence = str(caught.value)
    assert sentence and "\n" not in sentence
    return sentence


# Composing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_fits_its_classes(option: str, compose: Compose) -> None:
    group, name = group_and_option(option)
    config.check(compose(f"{group}={name}", *NEEDED.get(option, [])))


def test_every_group_of_the_schema_is_a_folder() -> None:
    folders = {path.name for path in config.config_dir().iterdir() if path.is_dir()}
    values = {"name", "seed", "monitor", "mode"}
    assert folders == set(config.TOP_LEVEL) - values | {"experiment", "hydra", "space", "sweep"}


def test_command_line_wins_over_the_experiment(compose: Compose) -> None:
    by_default = compose()
    asked = compose("data=power_load", "model=lstm", "optimizer.lr=0.25")
    assert by_default.name == "quickstart"
    assert "Synthetic" in by_default.data._target_
    assert "PowerLoad" in asked.data._target_
    assert asked.model.recurrence.backend._target_ == "torch.nn.LSTM"
    assert asked.optimizer.lr == 0.25


def test_seed_zero_is_a_seed(compose: Compose) -> None:
    assert compose().seed == 0
    assert compose("seed=7").seed == 7


def test_monitor_is_declared_once(compose: Compose) -> None:
    composed = compose("callbacks=early_stopping", "monitor=val/other", "mode=max")
    assert composed.callbacks.early_stopping.monitor == "val/other"
    assert composed.callbacks.early_stopping.mode == "max"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model=pmgruu", "the group model has no option pmgruu; did you mean pmgru?"),
        ("model/recurrence=gruu", "the group model/recurrence has no option gruu; did you mean"),
        (
            "model/readout=evry_step",
            "the group model/readout has no option evry_step; did you mean",
        ),
        ("experiment=quick", "the group experiment has no option quick; did you mean quickstart?"),
        ("trainer=tpu", "the group trainer has no option tpu"),
        ("data=_window", "the group data has no option _window"),
        ("model=lecture/textnett", "has no option lecture/textnett; did you mean lecture/textnet?"),
        ("model/lecture=textnet", "not a group of its own: write model=lecture/OPTION"),
        ("model=3", "the group model has no option 3; choose from"),
        ("model=null", "the group model has no option null"),
        ("modle=gru", "the config has no key modle; did you mean model?"),
        ("optimiser=adam", "the config has no key optimiser; did you mean optimizer?"),
        ("trainer/debug=overfitt", "trainer/debug has no option overfitt; did you mean overfit?"),
        ("trainer/devices=two", "there is no group trainer/devices; did you mean trainer.devices?"),
        ("+model=gru", "model is chosen twice"),
        ("sed=1", "the config has no key sed; did you mean seed?"),
        ("+sed=1", "the config has no key sed; did you mean seed?"),
        ("++sed=1", "the config has no key sed; did you mean seed?"),
        ("trainer.max_epoch=3", "no key trainer.max_epoch; did you mean trainer.max_epochs?"),
        ("trianer.max_epochs=3", "did you mean trainer.max_epochs?"),
        ("max_epochs=3", "did you mean trainer.max_epochs?"),
        ("lr=3", "choose from optimizer.lr"),
        ("trainer.min_epochs=3", "add a plus sign to set this argument: +trainer.min_epochs="),
        ("data.cleaning.gap=keep", "did you mean data.cleaning.gaps?"),
        ("~callbacks.progres_bar", "did you mean callbacks.progress_bar?"),
        ("seed=abc", "seed=abc: Value 'abc' of type 'str' could not be converted to Integer"),
        ("++seed=1.5", "++seed=1.5: Value '1.5'"),
        ("name=null", "name=null: field 'name' is not Optional"),
        ("mode=up", "mode is 'up', it must be 'min' or 'max'"),
        ("data=series_csv", "data.datetime_column, data.root must be given"),
        ("optimizer.lr=${learning_rate}", "optimizer.lr: Interpolation key 'learning_rate'"),
        ("monitor=${nothing}", "monitor: Interpolation key 'nothing'"),
        ("trainer", "cannot read 'trainer': write group=option, key=value"),
        ("model.inputs=[level", "cannot read 'model.inputs=[level'"),
        ("model=gru,lstm", "model=gru,lstm has several values: add -m"),
        ("hydra.mode=walk", "hydra.mode=walk: Invalid value 'walk'"),
    ],
)
def test_wrong_override_is_one_sentence(override: str, expected: str, empty_folder: Path) -> None:
    def launch() -> None:
        jobs([override])

    assert expected in refusal(launch)


def test_right_overrides_do_not_hide_the_wrong_one(empty_folder: Path) -> None:
    overrides = [
        "model=lstm",
        "seed=3",
        "data=power_load",
        "data.look_bak=24",
        "~callbacks.figures",
    ]
    assert "did you mean data.look_back?" in refusal(config.compose, overrides)


# The user's own configs -------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


MINE = """\
    # @package _global_
    defaults:
      - override /model: lstm
    name: mine
    seed: 5
    """


def test_conf_in_the_current_folder_adds_options(empty_folder: Path, compose: Compose) -> None:
    write(empty_folder / "conf/experiment/mine.yaml", MINE)
    write(empty_folder / "conf/optimizer/adam.yaml", "lr: 99")
    composed = compose("experiment=mine")
    assert (composed.name, composed.seed) == ("mine", 5)
    assert composed.optimizer.lr != 99, "options of ours must stay what they are"


def test_config_dir_adds_options(empty_folder: Path) -> None:
    write(empty_folder / "a folder/experiment/mine.yaml", MINE)
    assert config.compose(["experiment=mine"], Path("a folder")).name == "mine"
    assert jobs(["experiment=glob(m*)"], True, Path("a folder")) == [["experiment=mine"]]
    assert "mine" in refusal(config.compose, ["experiment=mime"], Path("a folder"))
    assert "no option mine" in refusal(config.compose, ["experiment=mine"])
    assert "nowhere does not exist" in refusal(config.compose, [], Path("nowhere"))


def test_broken_yaml_names_file_and_line(empty_folder: Path) -> None:
    write(empty_folder / "conf/experiment/mine.yaml", "name: a\n  seed: 1\n")
    sentence = refusal(config.compose, ["experiment=mine"])
    assert "mine.yaml" in sentence and "line 2" in sentence


def test_option_with_an_unknown_top_level_key(empty_folder: Path) -> None:
    write(empty_folder / "conf/experiment/mine.yaml", "# @package _global_\nmodell: {}\n")
    assert "modell" in refusal(config.compose, ["experiment=mine"])


# Sweeps -----------------------------------------------------------------------------------------


def test_jobs_are_the_product_of_all_sweeps(empty_folder: Path) -> None:
    quickstart = "experiment=quickstart"
    assert jobs(["model=gru,lstm", "seed=range(0,3)", "name=x"], multirun=True) == [
        [quickstart, f"model={model}", f"seed={seed}", "name=x"]
        for model in ("gru", "lstm")
        for seed in range(3)
    ]
    assert jobs(["model=glob(*gru)"], multirun=True) == [
        [quickstart, "model=gru"],
        [quickstart, "model=pmgru"],
    ]
    assert jobs(["name='a,b'"]) == [[quickstart, "name='a,b'"]]


def test_no_choice_of_data_or_experiment_is_the_quickstart() -> None:
    assert config.compose(["model=gru"]).name == "quickstart"
    chosen = config.compose(["data=synthetic_load"])
    assert chosen.name == "synthetic_load"
    assert chosen.optimizer.lr == config.compose(["data=names"]).optimizer.lr
    assert config.compose(["data=names", "name=mine"]).name == "mine"
    assert config.compose(["experiment=names_gru"]).name == "names_gru"
    assert config.compose(["~experiment"]).name == "synthetic_load"
    assert jobs(["data=names", "seed=1"]) == [["data=names", "seed=1"]]


def test_the_task_follows_from_the_data(empty_folder: Path) -> None:
    classification, forecasting = "tasks.classification.task", "tasks.forecasting.task"
    for data in ("names", "reviews", "synthetic_recall"):
        assert classification in config.compose([f"data={data}"]).task._target_
    for overrides in (["data=power_load"], ["data=power_load", "model=gru"], ["seed=1"]):
        assert forecasting in config.compose(overrides).task._target_
    for overrides in (["data=names", "task=forecasting"], ["task=forecasting", "data=names"]):
        with pytest.raises(UserError, match=r"cannot use the data Names: omit task"):
            check_jobs(plan(overrides).jobs)
    write(empty_folder / "conf/data/bare.yaml", "_target_: rnnexp.data.sources.names.Names\n")
    assert refusal(config.compose, ["data=bare"]) == (
        "nothing chooses an option of the group task: add task=OPTION; choose from classification, "
        "forecasting, horizon"
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ["data=series_csv", "data.root=a.csv,b.csv", "data.datetime_column=t"],
        ["experiment=quickstart_reviews,quickstart_names", "data.max_tokens=50"],
        ["data=names,synthetic_names", "data/characters=lecture", "data.split=names"],
    ],
)
def test_a_sweep_may_vary_what_other_overrides_need(overrides: list[str]) -> None:
    assert len(jobs(overrides, multirun=True)) == 2


def test_a_pattern_finds_options_alone() -> None:
    chosen = [job[1] for job in jobs(["model=glob(*)"], multirun=True)]
    assert "model=gru" in chosen and not [one for one in chosen if one.startswith("model=_")]


def test_sweep_that_stands_in_a_config(empty_folder: Path) -> None:
    sweep = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}}\n"
    write(empty_folder / "conf/experiment/mine.yaml", sweep)
    assert jobs(["experiment=mine"]) == [
        ["seed=0", "experiment=mine"],
        ["seed=1", "experiment=mine"],
    ]


def test_sweeps_that_cannot_be_run(empty_folder: Path) -> None:
    assert "a range" in refusal(jobs, ["seed=interval(0,1)"], True)
    assert "Hydra" in refusal(jobs, ["hydra.verbose=true,false"], True)


# The allow-list ---------------------------------------------------------------------------------


def node(tree: dict[str, Any]) -> DictConfig:
    """A config with `tree` as its only node."""
    return OmegaConf.create({"model": tree})


def check(one: DictConfig) -> None:
    config.check(one, "model")


def instantiate(one: DictConfig, **arguments: Any) -> Any:
    return config.instantiate(one, "model", **arguments)


ATTACKS: dict[str, dict[str, Any]] = {
    "system": {"_target_": "os.system", "command": "touch executed"},
    "positional": {"_target_": "os.system", "_args_": ["touch executed"]},
    "eval": {"_target_": "builtins.eval", "_args_": ["open('executed', 'w')"]},
    "pickle": {"_target_": "torch.load", "f": "weights.pt", "weights_only": False},
    "hub": {"_target_": "torch.hub.load", "repo_or_dir": "a/b", "model": "c"},
    "prefix": {"_target_": "torch.nn.modules.module.torch.load", "f": "weights.pt"},
    "our globals": {"_target_": "rnnexp.runs.folder.record.torch.load", "f": "weights.pt"},
    "globals of a room": {"_target_": "rnnexp.data.series.raw.pd.read_pickle", "path": "a"},
    "import into a room": {"_target_": "rnnexp.data.series.raw.Path"},
    "function of a room": {"_target_": "rnnexp.nn.cells.mix"},
    "class of a module": {"_target_": "rnnexp.nn.cells.__class__", "name": "a"},
    "hydra": {"_target_": "hydra.utils.get_method", "path": "os.system"},
    "hydra's instantiate": {"_target_": "hydra.utils.instantiate", "config": {}},
    "partial": {"_target_": "os.system", "_partial_": True, "command": "touch executed"},
    "nested in a list": {
        "_target_": "torch.nn.Identity",
        "layers": [{"a": [{"_target_": "os.system", "command": "touch executed"}]}],
    },
    "behind a partial": {
        "_target_": "torch.nn.Identity",
        "_partial_": True,
        "layer": {"_target_": "os.system", "_partial_": True, "command": "touch executed"},
    },
    "not a string": {"_target_": ["os.system"], "command": "touch executed"},
    "nothing": {"_target_": None},
    "number": {"_target_": 3},
    "relative": {"_target_": ".os.system"},
    "path": {"_target_": "rnnexp.nn/../os.system"},
    "line": {"_target_": "torch.nn.Identity\n"},
    "module alone": {"_target_": "rnnexp"},
    "not in a room": {"_target_": "rnnexp.cli.Launch", "argv": []},
    "no module": {"_target_": "torch.nn.functional.relu"},
    "not recursive": {
        "_target_": "torch.nn.Identity",
        "_recursive_": False,
        "layer": {"_target_": "os.system", "command": "touch executed"},
    },
    "stranger": {"_target_": "stranger.Network"},
    "below a stranger": {"_target_": "rnnexp_stranger.Network"},
    "through a reference": {
        "_target_": "torch.nn.Identity",
        "layer": '\\${oc.create:{_target_: os.system, command: "touch executed"}}',
    },
    "through a decoded reference": {
        "_target_": "torch.nn.Identity",
        "layer": "\\${oc.decode:'{_target_: os.system, command: touch executed}'}",
    },
}


@pytest.fixture
def stranger(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that could be imported, and leave a trace when they are."""
    for name in ("stranger", "rnnexp_stranger"):
        code = "import torch\nopen('executed', 'w')\nclass Network(torch.nn.Module): pass\n"
        (empty_folder / f"{name}.py").write_text(code, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(empty_folder)


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_hostile_target_is_refused_and_nothing_runs(
    attack: dict[str, Any], empty_folder: Path
) -> None:
    refusal(check, node(attack))
    refusal(instantiate, node(attack))
    assert not (empty_folder / "executed").exists()
    assert "stranger" not in sys.modules


@pytest.mark.usefixtures("stranger")
def test_only_the_user_widens_the_list(monkeypatch: pytest.MonkeyPatch, empty_folder: Path) -> None:
    stranger = node({"_target_": "stranger.Network", "allow": "stranger"})
    assert "--allow PACKAGE" in refusal(instantiate, stranger)
    monkeypatch.setenv("RNNEXP_ALLOW", "other, stranger")
    built = instantiate(node({"_target_": "stranger.Network"}))
    assert type(built).__module__ == "stranger"
    through = node({"_target_": "stranger.torch.load", "f": "a"})
    assert "cannot import stranger.torch" in refusal(check, through)


def test_hydra_callbacks_are_on_the_list_too(empty_folder: Path) -> None:
    hostile = "+hydra.callbacks.a={_target_: os.system, command: touch executed}"
    assert "allow-list" in refusal(jobs, [hostile])


@pytest.mark.parametrize(
    "target",
    [
        "torch.nn.GRU",
        "torch.optim.Adam",
        "torch.optim.lr_scheduler.OneCycleLR",
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.EarlyStopping",
        "rnnexp.nn.cells.MGU",
    ],
)
def test_what_is_meant_is_allowed(target: str) -> None:
    assert targets.locate({"_target_": target}, "model").__name__ == target.rpartition(".")[2]


@pytest.mark.parametrize(
    "target",
    [
        "torch.optim.lr_scheduler.Optimizer",
        "torch.nn.Parameter",
        "torch.optim.swa_utils.SWALR",
        "pytorch_lightning.LightningModule",
        "pytorch_lightning.callbacks.LambdaCallback",
        "pytorch_lightning.cli.LightningCLI",
    ],
)
def test_neighbours_of_what_is_allowed_are_not(target: str) -> None:
    refusal(targets.locate, {"_target_": target}, "model")


def test_wrong_class_offers_the_nearest() -> None:
    assert "did you mean MGU?" in refusal(
        targets.locate, {"_target_": "rnnexp.nn.cells.MGUU"}, "model"
    )


# Keys and values against constructors -----------------------------------------------------------

PACKAGE = """\
    from dataclasses import dataclass
    from pathlib import Path
    from typing import Any, Literal

    from rnnexp.errors import UserError

    class Part:
        def __init__(self, size: int = 1) -> None:
            if size < 0:
                raise ValueError("size must not\\nbe negative")
            if size == 0:
                raise UserError("size 0 makes no sense")
            if size == 13:
                raise RuntimeError("a bug")
            self.size = size

    class Whole:
        def __init__(self, part: Part | None = None, kind: Literal["a", "b"] = "a",
                     rate: float = 0.1, sizes: list[int] | None = None, **rest: Any) -> None:
            self.part, self.kind, self.rate, self.sizes = part, kind, rate, sizes
            self.rest = rest

    class Child(Part):
        def __init__(self, colour: str, **rest: int) -> None:
            super().__init__(**rest)
    """


@pytest.fixture
def parts(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(empty_folder / "parts/__init__.py", PACKAGE)
    write(empty_folder / "parts/broken.py", "import no_such_module\n")
    monkeypatch.syspath_prepend(empty_folder)
    monkeypatch.setenv("RNNEXP_ALLOW", "parts")
    for name in ("parts", "parts.broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def whole(**values: Any) -> DictConfig:
    return node({"_target_": "parts.Whole", **values})


def part(**values: Any) -> dict[str, Any]:
    return {"_target_": "parts.Part", **values}


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (part(sise=3), "Part has no argument model.sise; did you mean model.size?"),
        (part(size="3"), "model.size is '3', it must be int"),
        (part(size=3.0), "model.size is 3.0, it must be int"),
        (part(size=True), "model.size is True, it must be int"),
        (part(size=None), "model.size is None, it must be int"),
        (part(_partial_="yes"), "model._partial_ is 'yes', it must be true or false"),
        (part(_convert_="all"), "model._convert_: a config may use _target_ and _partial_ alone"),
        ({"_target_": "parts.Whole", "kind": "c"}, "model.kind is 'c', it must be 'a' or 'b'"),
        ({"_target_": "parts.Whole", "rate": "fast"}, "model.rate is 'fast', it must be float"),
        ({"_target_": "parts.Whole", "part": "x"}, "model.part is 'x', it must be Part or null"),
        ({"_target_": "parts.Whole", "sizes": [1, "2"]}, "model.sizes is [1, '2']"),
        ({"_target_": "parts.Whole", "part": part(sise=3)}, "model.part.sise"),
        ({"_target_": "parts.Whole", "more": [part(size="a")]}, "model.more[0].size is 'a'"),
        ({"_target_": "parts.Child", "sise": 3}, "Child has no argument model.sise; did you"),
        ({"_target_": "parts.Child", "size": "a"}, "model.size is 'a', it must be int"),
        ({"_target_": "torch.nn.GRU", "hiden_size": 3}, "did you mean model.hidden_size?"),
        ({"_target_": "parts.Hole"}, "model._target_: parts has no class Hole to use; did you"),
        ({"_target_": "parts.broken.A"}, "cannot import parts.broken: No module named 'no_such"),
    ],
)
def test_check_compares_with_the_constructor(tree: dict[str, Any], expected: str) -> None:
    assert expected in refusal(check, node(tree))


@pytest.mark.usefixtures("parts")
def test_check_takes_what_the_constructor_takes() -> None:
    check(whole(kind="b", rate=1, sizes=None, part=part(), anything="else"))
    check(whole(sizes=[], part={"_target_": "parts.Part", "_partial_": True}))


@dataclass
class Spec:
    sizes: list[int]


@pytest.mark.usefixtures("parts")
def test_instantiate_hands_arguments_over_as_they_are() -> None:
    spec = Spec([1, 2])
    built = instantiate(whole(part=part(size=4), sizes=[1]), spec=spec, kind="b")
    assert built.rest["spec"] is spec
    assert built.kind == "b"
    assert built.part.size == 4
    assert type(built.sizes) is list


@pytest.mark.usefixtures("parts")
def test_instantiate_a_partial() -> None:
    build = instantiate(whole(_partial_=True, rate=3), kind="b")
    assert (build().rate, build().kind, build(rate=4).rate) == (3, "b", 4)
    assert build() is not build()


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(
    ("size", "expected"), [(-1, "size must not be negative"), (0, "size 0 makes no sense")]
)
def test_refusal_of_a_constructor_is_the_users_mistake(size: int, expected: str) -> None:
    alone = refusal(instantiate, node(part(size=size)))
    nested = refusal(instantiate, whole(part=part(size=size)))
    assert expected in alone and expected in nested
    if size < 0:
        assert alone.startswith("model: ") and nested.startswith("model.part: ")


@pytest.mark.usefixtures("parts")
def test_bug_in_a_constructor_stays_a_bug() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        instantiate(node(part(size=13)))


def test_node_without_a_class() -> None:
    assert "model names no class" in refusal(instantiate, node({"size": 3}))


def test_argument_without_a_class() -> None:
    chunking = {"length": 3}
    source = "rnnexp.data.sources.synthetic_load.SyntheticLoad"
    with pytest.raises(UserError, match=r"data\.chunking names no class \(_target_\)"):
        check_node({"_target_": source, "chunking": chunking}, "data")


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (bool, [True], [1, "true", None]),
        (int, [1, -1], [True, 1.0, "1", None]),
        (float, [1, 1.5], [True, "1", None]),
        (str, ["", "a"], [1, None, ["a"]]),
        (int | None, [None, 1], ["a"]),
        (int | str, [1, "a"], [1.5, None]),
        (Path | None, ["a", None], [1]),
        (Literal["a", 1], ["a", 1], ["b", True, None]),
        (list[float], [[], [1, 2.0]], ["a", ["a"], 1.0]),
        (tuple[float, float], [[1, 2]], [[1], [1, 2, 3], ["a", 1]]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"], 1]),
        (dict[str, int], [{"a": 1}], ["a", [1]]),
        (Callable[[int], int], [{"_target_": "a.B"}], ["a", 1]),
        (Spec, [{"_target_": "a.B"}], ["a", 1, True]),
        (Any, [1, "a", None, [1], {}], []),
        (object, [1, "a", None], []),
    ],
)
def test_values_against_hints(hint: Any, right: list[Any], wrong: list[Any]) -> None:
    assert [value for value in right if not accepts(hint, value)] == []
    assert [value for value in wrong if accepts(hint, value)] == []


@pytest.mark.parametrize(
    ("sweep", "key", "count"),
    [
        ("seeds", "seed", 3),
        ("learning_rate", "optimizer.lr", 4),
        ("hidden_size", "model.hidden_size", 4),
    ],
)
def test_named_sweeps_vary_one_key(empty_folder: Path, sweep: str, key: str, count: int) -> None:
    found = jobs([f"sweep={sweep}", "model=gru"])
    assert len(found) == count
    values = {x for job in found for x in job if x.startswith(f"{key}=")}
    assert len(values) == count
    assert all("model=gru" in job for job in found)
