"""Runs with logger=mlflow and logger=wandb: what they leave, and that they reach nobody."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from experiments.robustness.deaths import Death
from rnnexp.callbacks.loggers import offline
from rnnexp.callbacks.loggers.mlflow import named
from rnnexp.cli import main
from rnnexp.config import check
from rnnexp.errors import UserError
from tests.support.interrupted import BATCH, EVERY_STEP, train
from tests.support.shrink import HERE, NO_FIGURES

NAMES = ["experiment=quickstart_names", "data.number=10", "data.batch_size=16"]
NAMES += ["model.hidden_size=4", "trainer.max_epochs=2", *HERE, *NO_FIGURES]
CAPTURE = pytest.CaptureFixture[str]


@pytest.fixture
def knocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Whoever reaches out, by the user's own settings of these programs: they name a server here,
    and so does the proxy, which all addresses go through."""
    found: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                found.append(connection.recv(100))
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, address)
        for name in ("WANDB_BASE_URL", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            monkeypatch.setenv(name, address)
        monkeypatch.setenv("WANDB_MODE", "online")
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
        yield found
        server.shutdown(socket.SHUT_RDWR)


def in_mlflow(folder: Path) -> tuple[dict[str, str], dict[str, list[tuple[int, float]]]]:
    """The parameters and the curves of the only run that MLflow's client finds in a run folder."""
    with offline.environment("MLFLOW_", MLFLOW_ALLOW_FILE_STORE="true"):
        from mlflow.tracking import MlflowClient

        client = MlflowClient((folder / "mlflow").as_uri())
        [experiment] = [one for one in client.search_experiments() if one.name != "Default"]
        [run] = client.search_runs([experiment.experiment_id])
        assert run.info.status == "FINISHED"
        curves = {
            name: [
                (one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)
            ]
            for name in run.data.metrics
        }
        return run.data.params, curves


def in_wandb(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config and the last value of each metric, of the only offline run in a run folder."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    [path] = folder.glob("wandb/offline-run-*/*.wandb")
    config, summary = {}, {}
    for content in log_records(path.read_bytes()):
        record = Record.FromString(content)
        for item in record.run.config.update or record.config.update:
            config[item.key] = json.loads(item.value_json)
        for item in record.history.item:
            summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return config, summary


def log_records(content: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format: blocks of 32 KiB, with the parts of records."""
    place, block, whole = 7, 32768, b""
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


def children() -> set[str]:
    """The names of the processes that this one has started and that still run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except OSError:  # it has ended
            continue
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid() and state != "Z":
            found.add(name.partition("(")[2])
    return found


def test_what_the_loggers_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knocks: list[bytes], capfd: CAPTURE
) -> None:
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(tmp_path / "again"))
    digests, metrics = {}, {}
    for logger in ("none", "mlflow", "wandb"):
        folder = tmp_path / logger
        assert main(["train", *NAMES, f"logger={logger}", f"hydra.run.dir={folder}"]) == 0
        digests[logger] = (folder / "digest.json").read_text()
        metrics = json.loads((folder / "metrics.json").read_text())
    assert len(set(digests.values())) == 1
    said = capfd.readouterr().out
    assert f" ui --backend-store-uri {tmp_path}/mlflow/mlflow  # after pip install mlflow\n" in said
    [offline_run] = (tmp_path / "wandb").glob("wandb/offline-run-*")
    assert f"wandb sync {offline_run}  # sends it to your account\n" in said
    assert said.count("look at it ") == 2
    assert [line.split()[-1] for line in said.splitlines() if line.startswith("a page ")] == [
        str(tmp_path / logger) for logger in ("none", "mlflow", "wandb")
    ]

    parameters, curves = in_mlflow(tmp_path / "mlflow")
    assert parameters["model"] == "gru" and parameters["model.hidden_size"] == "4"
    assert curves["test/accuracy"][-1][1] == metrics["test/accuracy"]
    assert curves["val_best/loss"][-1][1] == metrics["val/loss"]
    assert len(curves["val/loss"]) == len(curves["train/loss_epoch"]) == 2
    assert any(name.startswith("test/recall.") for name in curves)

    config, last = in_wandb(tmp_path / "wandb")
    assert config["model"] == "gru" and config["model.hidden_size"] == 4
    assert last["test/accuracy"] == metrics["test/accuracy"]
    assert last["val_best/loss"] == metrics["val/loss"]
    assert not [path for path in (tmp_path / "wandb").rglob("*") if path.is_symlink()]

    assert main(["rerun", str(tmp_path / "wandb")]) == 0
    assert main(["test", str(tmp_path / "mlflow")]) == 0
    [again] = (tmp_path / "again").glob("*/*")
    assert list(again.glob("wandb/offline-run-*/*.wandb")) and "identical" in capfd.readouterr().out
    assert knocks == [] and "wandb-core" not in children()
    assert os.environ["WANDB_MODE"] == "online"  # it is the user's
    assert not (tmp_path / "elsewhere").exists() and not (tmp_path / "home").exists()


def test_a_run_that_goes_on_has_each_point_of_mlflow_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    settings = [*NAMES, *EVERY_STEP, "logger=mlflow"]
    folder = train(tmp_path / "killed", settings, Death(BATCH, 5))
    assert main(["resume", str(folder)]) == 0
    _, curves = in_mlflow(folder)
    steps = [step for step, _ in curves["train/loss_step"]]
    assert steps == sorted(set(steps)) and steps[0] == 0 and len(steps) > 5


@pytest.mark.parametrize("logger", ["mlflow", "wandb"])
def test_a_logger_that_is_not_installed(
    logger: str, empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: CAPTURE
) -> None:
    monkeypatch.setattr(offline, "find_spec", lambda name: None)
    assert main(["train", *NAMES, f"logger={logger}"]) == 2
    assert f"pip install 'rnnexp[{logger}]'" in capfd.readouterr().err
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tracking_uri", "sqlite:///away.db", "a recorded config holds no address"),
        ("tracking_uri", "away", "Mlflow has no argument logger.tracking_uri"),
        ("experiment", "http://127.0.0.1:9", "a recorded config holds no address"),
        ("experiment", "../away", "a run writes into its folder alone"),
        ("experiment", "/away", "a run writes into its folder alone"),
        ("save_dir", "away", "a run writes into its folder alone"),
        ("api_key", "a" * 40, "Mlflow has no argument logger.api_key"),
        ("_target_", "pytorch_lightning.loggers.MLFlowLogger", "is not on the allow-list"),
        ("_target_", "pytorch_lightning.loggers.WandbLogger", "is not on the allow-list"),
    ],
)
def test_a_recorded_logger_names_no_place(
    key: str, value: str, said: str, tmp_path: Path, capfd: CAPTURE, empty_folder: Path
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    config = recorded_config()
    config["logger"] = {
        "_target_": "rnnexp.callbacks.loggers.mlflow.Mlflow",
        "_partial_": True,
        "experiment": "names",
        key: value,
    }
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    (folder / "run.json").write_text(json.dumps({"status": "completed", "argv": []}))
    assert main(["rerun", str(folder)]) in (2, 3)
    assert said in capfd.readouterr().err and list(empty_folder.iterdir()) == []


def test_a_logger_among_the_callbacks_writes_nowhere(
    compose: Callable[..., DictConfig],
) -> None:
    config = compose(*NAMES, "logger=none")
    target = "rnnexp.callbacks.loggers.mlflow.Mlflow"
    OmegaConf.update(
        config, "callbacks.more", {"_target_": target, "save_dir": "x"}, force_add=True
    )
    with pytest.raises(UserError, match="a run writes into its folder alone"):
        check(config)


def recorded_config() -> dict[str, Any]:
    from rnnexp.config import compose

    config: Any = OmegaConf.to_container(compose([*NAMES, "logger=none"]), resolve=True)
    config.pop("hydra", None)
    return config


def test_names_of_metrics() -> None:
    """In MLflow's files a metric is a file, and what stands before a slash is a folder."""
    assert named("test/accuracy") == "test/accuracy"
    assert named("test/accuracy/books") == "test/accuracy.books"
    assert named("test/recall/é:x") != named("test/recall/è:x")
