"""Workers share a study: no trial is taken twice, and none is lost."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("optuna", reason="Optuna is not installed: pip install rnnexp[optuna]")

from rnnexp.errors import UserError
from rnnexp.search.space import Range, Space
from rnnexp.search.study import Settings, Study, value_of


def study(
    place: Path, name: str = "s", seed: int = 0, high: float = 1.0, storage: str | None = None
) -> Study:
    lr = {"lr": {"low": 0.0, "high": high}}
    space = Space("mine", {"lr": Range(0.0, high)}, lr)
    return Study(name, place, storage, Settings(space, ["model=gru"], "max", seed, True), epochs=4)


def test_workers_take_each_trial_once(tmp_path: Path) -> None:
    workers = [study(tmp_path) for _ in range(3)]

    def work(worker: Study) -> list[int]:
        taken = []
        while claim := worker.claim(12):
            taken.append(claim.number)
            worker.tell(claim, "completed", claim.values["lr"])  # type: ignore[arg-type]
        return taken

    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        for worker in workers:
            stack.enter_context(worker.working())
        taken = Counter(number for one in pool.map(work, workers) for number in one)
    assert taken == dict.fromkeys(range(12), 1)
    values = [value_of(one) for one in workers[0].best()]
    assert values == sorted(values, reverse=True) and len(values) == 12


def test_a_trial_whose_worker_is_gone_is_taken_over_once(tmp_path: Path) -> None:
    first, second, third = (study(tmp_path) for _ in range(3))
    with second.working(), third.working():
        with first.working():
            lost = first.claim(1)
            assert lost is not None and second.claim(1) is None
            lost.report(0, 0.5)
        again = second.claim(1)
        assert again is not None and (again.number, again.values) == (0, lost.values)
        assert again.reported == {0} and third.claim(1) is None
        second.tell(again, "failed", error="of this trial")
        assert third.claim(1) is None
    assert [one.user_attrs["error"] for one in third.trials()] == ["of this trial"]


def test_a_trial_of_another_folder_is_left_alone(tmp_path: Path) -> None:
    """Nobody here can see whether its worker lives. The folder may be moved."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, other = (study(tmp_path / name, storage=url) for name in ("a", "b"))
    with first.working(), other.working():
        assert first.claim(1) and other.claim(1) is None
    (tmp_path / "a").rename(tmp_path / "moved")
    again = study(tmp_path / "moved", storage=url).claim(1)
    assert again is not None and again.number == 0


def test_what_is_suggested_follows_from_name_and_seed(tmp_path: Path) -> None:
    found = []
    for place, name, seed in (("a", "s", 0), ("b", "s", 0), ("c", "t", 0), ("d", "s", 1)):
        (tmp_path / place).mkdir()
        worker = study(tmp_path / place, name, seed)
        with worker.working():
            claims = [worker.claim(3) for _ in range(3)]
        found.append([one.values["lr"] for one in claims if one])
    assert found[0] == found[1] and len({str(one) for one in found}) == 3
    assert len(set(found[0])) == 3


def test_a_study_keeps_its_settings(tmp_path: Path) -> None:
    study(tmp_path, high=2.0)  # nobody has worked on it
    first, other = study(tmp_path), study(tmp_path, high=3.0)
    with first.working(), other.working():
        assert other.claim(3)
        with pytest.raises(UserError, match=r"began with lr: .*3\.0.* and without lr: .*1\.0"):
            first.claim(3)
    with pytest.raises(UserError, match="--study NAME"):
        study(tmp_path)


def test_values_that_another_worker_trains_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trials with the same values give one run. The earlier one never waits for the later."""
    monkeypatch.setattr(Study, "_seed", lambda self, number: 0)
    first, second = study(tmp_path), study(tmp_path)
    (tmp_path / "0_run").mkdir()
    (tmp_path / "0_run" / "metrics.json").touch()
    looks: list[float] = []
    with second.working(), first.working():
        one, two = first.claim(2), second.claim(2)
        assert one and two and one.values == two.values
        assert first.same_before(one) is None
        one.began("0_run")

        def told(seconds: float) -> None:
            looks.append(seconds)
            first.tell(one, "completed", 0.5)

        monkeypatch.setattr("time.sleep", told)
        assert second.same_before(two) == tmp_path / "0_run" and len(looks) == 1


def test_values_of_a_worker_that_is_gone_are_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Study, "_seed", lambda self, number: 0)
    first, second = study(tmp_path), study(tmp_path)
    with second.working():
        with first.working():
            assert first.claim(2)
            two = second.claim(2)
        assert two and second.same_before(two) is None


def test_a_trial_that_has_begun_goes_on_in_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a later one with the same values has been completed since."""
    from rnnexp.search import trials

    monkeypatch.setattr(Study, "_seed", lambda self, number: 0)
    for name in ("0_a", "1_a"):
        (tmp_path / name).mkdir()
    (tmp_path / "0_a" / "run.json").write_text("{}")
    (tmp_path / "1_a" / "metrics.json").touch()
    first, second = study(tmp_path), study(tmp_path)
    with second.working():
        with first.working():
            for name in ("0_a", "1_a"):
                claim = first.claim(2)
                assert claim
                claim.began(name)
            assert claim
            first.tell(claim, "completed", 0.5)
        left = second.claim(2)
        assert left and left.number == 0 and second.same_before(left) == tmp_path / "1_a"
        monkeypatch.setattr(trials, "_job", lambda *arguments: SimpleNamespace(folder="0_a"))
        monkeypatch.setattr(
            trials, "_run", lambda study, claim, job, folder: gone_on.append(folder)
        )
        gone_on: list[Path] = []
        assert trials.run_trial(second, left, None).folder == tmp_path / "0_a"
        assert gone_on == [tmp_path / "0_a"]
