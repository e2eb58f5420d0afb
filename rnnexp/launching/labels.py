"""Labels of runs: the model, what was varied and the seed, as in `gru_lr0.01_seed1`; or the name
that was given to a run, and the seed.

They name the folders of a sweep's jobs, and the runs in TensorBoard.
"""

import re
from collections.abc import Sequence

LENGTH = 60  # characters of a label without its seed
# The name of a run tells the first two, the label has the next two in any case, and the others do
# not change a result.
LEFT_OUT = re.compile(
    r"(experiment|data|model|seed|name|sweep)$|(callbacks|logger|paths|hydra|determinism)\b"
)


def label(model: str | None, overrides: Sequence[str], seed: int) -> str:
    """The label of a run. overrides: what was varied, or given: `key=value`, `~key`, ..."""
    told = [_short(one) for one in overrides if not LEFT_OUT.match(one.lstrip("+~").split("=")[0])]
    words = "_".join([*([model] if model else []), *told])
    return f"{_sanitised(words)[:LENGTH]}_seed{seed}".lstrip("_")


def label_of_one(model: str | None, overrides: Sequence[str], seed: int, name: str) -> str:
    """The label of a run that is no job of a sweep: its name, if the user has given one."""
    if any(one.lstrip("+").startswith("name=") for one in overrides):
        return f"{_sanitised(name)}_seed{seed}".lstrip("_")
    return label(model, overrides, seed)


def _short(override: str) -> str:
    """optimizer.lr=0.01 -> lr0.01; model/recurrence=mgu -> mgu; ~callbacks.x -> no-x"""
    key, _, value = override.lstrip("+~").partition("=")
    if override.startswith("~"):
        return f"no-{re.split('[./]', key)[-1]}"
    is_group = "/" in key or "." not in key
    return value if is_group else f"{key.rpartition('.')[2]}{value}"


def _sanitised(text: str) -> str:
    """For the name of a folder: letters, digits and _ . + - only."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")
