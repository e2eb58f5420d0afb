"""What a checkpoint must hold so that a run can go on from it.

Its hash tells a damaged file from a whole one. But a stranger can have written both.
"""

from typing import Any

from torch import Tensor

from rnnexp.process.determinism import wrong_random_states
from rnnexp.runs.folder.schema import Needed, Text, Whole, fault

RANDOM = Needed(
    python=Tensor, python_rest=list, numpy=Tensor, numpy_rest=list, torch=Tensor, cuda=[Tensor]
)
_COUNT = {name: Whole(0) for name in ("ready", "started", "processed", "completed")}
_PROGRESS = Needed(total=Needed(_COUNT), current=Needed(_COUNT))
LOOP = Needed({"epoch_progress": _PROGRESS, "epoch_loop.batch_progress": _PROGRESS})
RESUMABLE = Needed(
    {
        "trained": [Whole(0)],  # batches of each epoch
        "position": Needed(
            random=RANDOM,
            logged_steps=Whole(0),
            means={str: Needed(value=Tensor, cumulated_batch_size=Tensor)},
            callback_metrics={str: Tensor},
            should_stop=bool,
            trained=bool,
            event_files={str: Whole(0)},
        ),
        # of Lightning
        "epoch": Whole(0),
        "global_step": Whole(0),
        "state_dict": {str: Tensor},
        "optimizer_states": [Needed(state=dict, param_groups=[dict])],
        "lr_schedulers": [dict],
        "loops": Needed(fit_loop=LOOP),
        "callbacks": {str: dict},
        "pytorch-lightning_version": Text(),
    }
)


def not_resumable(checkpoint: dict[str, Any]) -> str | None:
    """What of a checkpoint is not as it must be, as a clause; None if all of it is."""
    if wrong := fault(checkpoint, RESUMABLE):
        return wrong
    trained, loop = checkpoint["trained"], checkpoint["loops"]["fit_loop"]
    if not trained:
        return "trained is empty"
    progress = (loop["epoch_progress"], loop["epoch_loop.batch_progress"])
    counted = [one["current"]["completed"] for one in progress]
    if not checkpoint["position"]["trained"] and counted != [len(trained) - 1, trained[-1]]:
        return "trained and loops have different numbers of batches"
    if len(checkpoint["optimizer_states"]) != 1:
        return f"optimizer_states has {len(checkpoint['optimizer_states'])} entries in place of 1"
    position = checkpoint["position"]
    others = position.get("random_of_others", [])  # absent from older checkpoints
    if wrong := fault(others, [RANDOM], ("position", "random_of_others")):
        return wrong
    for states in (position["random"], *others):
        if wrong := wrong_random_states(states):
            return f"position.random.{wrong} is no state of a random generator"
    return None
