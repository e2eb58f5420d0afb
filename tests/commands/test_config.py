"""`rnnexp config schema`: what it prints and writes, and that the page shows what works."""

import json
import re
from pathlib import Path

import pytest

from rnnexp import cli
from tests.support import REPOSITORY

Capture = pytest.CaptureFixture[str]
PAGE = (REPOSITORY / "docs" / "editor.md").read_text(encoding="utf-8")


def test_alone_it_says_what_it_can_do(capsys: Capture) -> None:
    assert cli.main(["config"]) == 0
    assert "schema" in capsys.readouterr().out


def test_schema_is_printed_or_written(empty_folder: Path, capsys: Capture) -> None:
    assert cli.main(["config", "schema"]) == 0
    printed = capsys.readouterr().out
    assert cli.main(["config", "schema", "--output", "rnnexp.schema.json"]) == 0
    written = (empty_folder / "rnnexp.schema.json").read_text(encoding="utf-8")
    assert written == printed
    assert f"$schema={empty_folder / 'rnnexp.schema.json'}\n" in capsys.readouterr().out
    assert [path.name for path in empty_folder.iterdir()] == ["rnnexp.schema.json"]

    definitions = json.loads(written)["definitions"]
    shown = re.findall(r"#/definitions/([a-z.]+)", PAGE)
    assert "data" in shown and set(shown) <= set(definitions)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--output", "no/such.json"],
            "--output no/such.json: there is no folder no, choose another",
        ),
        (["--output", "conf"], "--output conf: it is a folder"),
        (["--config-dir", "nowhere"], "nowhere does not exist"),
        ([], "optimizer/mine.yaml: optimizer._target_: 'mine.Mine' is not on the allow-list"),
        (["--allow", "mine"], "--allow mine: there is no package or module of this name"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str],
    expected: str,
    empty_folder: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RNNEXP_ALLOW", "")  # --allow changes it
    own = empty_folder / "conf/optimizer/mine.yaml"
    own.parent.mkdir(parents=True)
    if not arguments or "--allow" in arguments:
        own.write_text("_target_: mine.Mine\n", encoding="utf-8")
    assert cli.main(["config", "schema", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and expected in said.err and said.err.count("\n") == 1
