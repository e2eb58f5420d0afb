"""The event files of a run that goes on."""

from pathlib import Path

from rnnexp.callbacks.position import cut_event_files


def test_points_after_the_checkpoint_go_and_traces_stay(tmp_path: Path) -> None:
    for place in ("tensorboard", "trace"):
        (tmp_path / place).mkdir()
        for number in (1, 2):
            (tmp_path / place / f"events.out.tfevents.{number}").write_bytes(b"12345")
    cut_event_files(tmp_path, {"tensorboard/events.out.tfevents.1": 3})
    left = {path.name: path.read_bytes() for path in (tmp_path / "tensorboard").iterdir()}
    assert left == {"events.out.tfevents.1": b"123"}
    assert len(list((tmp_path / "trace").iterdir())) == 2
