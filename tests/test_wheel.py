"""The wheel works in an empty folder, without the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tests.support.shrink import SYNTHETIC_LOAD, TINY

SMALL = ["trainer/debug=one_batch", *TINY, *SYNTHETIC_LOAD]
CONFIGS = "from rnnexp.config import config_dir; print(config_dir())"


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """The standard output of a command that must succeed."""
    answer = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed into; the dependencies are those of this Python."""
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels, folder=REPOSITORY)
    [wheel] = wheels.glob("rnnexp-*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, "--target", site, wheel, folder=wheels)
    return site


def test_wheel_holds_every_config(site: Path) -> None:
    def configs(folder: Path) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")}

    assert configs(site / "rnnexp" / "conf") == configs(REPOSITORY / "conf") != set()
    assert not (site / "conf").exists() and not (site / "tests").exists()


def test_wheel_holds_every_part_of_a_page(site: Path) -> None:
    def parts(folder: Path) -> set[str]:
        files = (path for path in folder.rglob("*") if path.suffix in (".html", ".css", ".js"))
        return {path.relative_to(folder).as_posix() for path in files}

    assert parts(site / "rnnexp" / "report") == parts(REPOSITORY / "rnnexp" / "report") != set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "overrides", "name"),
    [("console script", [], "quickstart"), ("module", ["experiment=mine"], "mine")],
)
def test_train_in_an_empty_folder(
    program: str, overrides: list[str], name: str, site: Path, tmp_path: Path
) -> None:
    rnnexp: list[str | Path] = (
        [site / "bin" / "rnnexp"]
        if program == "console script"
        else [sys.executable, "-m", "rnnexp"]
    )
    here = {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1", "RNNEXP_OUTPUTS": "outputs"}
    if program == "console script":
        facts = run(*rnnexp, "doctor", folder=tmp_path, **here)
    else:  # doctor imports torch, which takes seconds: once is enough
        facts = run(sys.executable, "-c", CONFIGS, folder=tmp_path, **here)
    assert str(site / "rnnexp" / "conf") in facts, "this must not be the checkout"

    mine = tmp_path / "conf" / "experiment" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\nname: mine\n", encoding="utf-8")
    run(*rnnexp, "train", *overrides, *SMALL, folder=tmp_path, **here)
    [folder] = (tmp_path / "outputs" / name).iterdir()
    assert (folder / "metrics.json").is_file()
