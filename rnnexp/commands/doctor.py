"""Print versions, hardware and data found, for a bug report."""

import os
import platform
from pathlib import Path

from rnnexp.commands.shared.options import command_parser
from rnnexp.config import config_dir
from rnnexp.printing import say

# Folders in RNNEXP_DATA.
SOURCES = ("power_load", "gefcom2014", "ett", "reviews", "names", "embeddings")


def main(argv: list[str]) -> int:
    command_parser(__name__, __doc__).parse_args(argv)
    say(report())
    return 0


def report() -> str:
    """One `name  value` line for each fact about this installation."""
    import torch  # late, as the next lines: --help does without

    from rnnexp.process import cores
    from rnnexp.process.code import PACKAGE, versions
    from rnnexp.process.machine import cpu_name
    from rnnexp.runs.folder.provenance import code_state

    code = code_state()
    changed = ", with local changes" if code.get("dirty") else ""
    facts = {
        **versions(),
        "commit": f"{code['commit']}{changed}" if "commit" in code else "not a git checkout",
        "installed": str(PACKAGE),
        "configs": str(config_dir()),
        "platform": platform.platform(),
        "cpu": f"{cpu_name()}, {torch.backends.cpu.get_cpu_capability()}",
        "cores": f"{len(cores.available())} of {os.cpu_count()} ({cores.free()} free)",
        "threads": str(torch.get_num_threads()),
        **_choices(),
        "path=native": _native(),
        "cuda": _cuda(),
        **_data(),
    }
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items())


def _choices() -> dict[str, str]:
    """What `auto` becomes for our own cells on this processor."""
    from rnnexp.nn.fast import choices
    from rnnexp.nn.fast.tuning import CALLS

    instructions, chosen = choices.instruction_set(), choices.chosen()
    measured = "not measured: torch and MKL compute everything"
    if choices.MEASURED in chosen:
        measured = f"measured {chosen[choices.MEASURED]}"
    found = {"auto": f"for {instructions}; {measured}"}
    found["  sizes"] = "in elements of a step: sequences times hidden units"
    found["  plain_below"] = f"steps times (these elements plus {CALLS:,})"
    for of, sizes in chosen.items():
        if of != choices.MEASURED:
            cell = "" if of == choices.EVERY_CELL else f"{of}."
            found |= {
                f"  {cell}{name}": "null" if size is None else f"{size:,}"
                for name, size in sizes.items()
            }
    return found


def _native() -> str:
    """What compiles the steps of path=native. Compiles them on first use."""
    from rnnexp.nn.fast.native import build

    why = build.why_not()
    return f"not here: {why}" if why else f"compiled by {build.compiler_version()}"


def _cuda() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none" if torch.version.cuda else "none (torch without CUDA)"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{', '.join(names)}; CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def _data() -> dict[str, str]:
    root = os.environ.get("RNNEXP_DATA")
    if not root:
        return {"RNNEXP_DATA": "not set"}
    here = {name: (Path(root) / name).is_dir() for name in SOURCES}
    return {"RNNEXP_DATA": root} | {f"  {k}": "found" if v else "-" for k, v in here.items()}
