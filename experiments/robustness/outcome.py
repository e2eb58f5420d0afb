"""What a run has left, but for its times: two runs that did the same have left the same."""

import json
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnnexp.hashes import hash_content
from rnnexp.runs.folder.reading import LOCK, read_checkpoint, read_history

TIMES = ("seconds", "time")


def outcome(folder: Path) -> dict[str, Any]:
    """The results of a completed run: name -> what must be equal to the bit."""
    found: dict[str, Any] = {}
    for name in ("digest.json", "metrics.json"):
        found |= {f"{name}: {k}": v for k, v in json.loads((folder / name).read_text()).items()}
    found["predictions.csv"] = (folder / "predictions.csv").read_bytes()
    if (folder / "gradient_flow.csv").exists():
        found["gradient_flow.csv"] = (folder / "gradient_flow.csv").read_bytes()
    if (folder / "history.csv").exists():
        history = read_history(folder)
        kept = [name for name in history if not str(name).endswith(TIMES)]
        found["history.csv"] = history[kept].to_csv(index=False)
    run = json.loads((folder / "run.json").read_text())
    found["status"] = run["status"]
    found["files"] = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "tfevents" not in path.name and path.name != LOCK
    )
    for path in sorted(folder.glob("checkpoints/*.ckpt")):
        found[path.name] = _without_times(read_checkpoint(path))
    return found | scalars(folder)


def _without_times(checkpoint: dict[str, Any]) -> str:
    """A hash of the weights and the optimiser's state in a checkpoint."""
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
    return hash_content({name: checkpoint[name] for name in parts})


def scalars(folder: Path) -> dict[str, Any]:
    """The curves in TensorBoard, with every gap and every doubled point."""
    found = {}
    for place in sorted({path.parent for path in folder.rglob("events.out.tfevents.*")}):
        events = EventAccumulator(
            str(place), size_guidance={"scalars": 0}, purge_orphaned_data=False
        )
        events.Reload()
        for tag in events.Tags()["scalars"]:
            # Two files of the same second are read in any order.
            points = sorted((one.step, one.value) for one in events.Scalars(tag))
            found[f"TensorBoard: {tag}"] = points
    return found


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The names of what differs."""
    names = dict.fromkeys([*then, *now])
    return [name for name in names if repr(then.get(name)) != repr(now.get(name))]
