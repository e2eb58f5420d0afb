"""What `auto` becomes on this processor, from a table that was measured.

`experiments/speed/choose.py` measures the sizes for the instruction set that torch and MKL use here
and writes them to choices.json. On processors that nobody has measured, MKL and torch compute
everything, and every cell takes the fused path.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch

from rnnexp.nn.fast.tuning import CPU, Tuning

TABLE = Path(__file__).with_name("choices.json")
EVERY_CELL, MEASURED = "every cell", "measured"
UNMEASURED: dict[str, Any] = {
    EVERY_CELL: {
        "onednn_from": None,
        "sigmoid_from": None,
        "augment_from": 16384,
        "joint_below": 16384,
        "group_sequences": 2048,
        "block_rows": 4096,
    }
}


def instruction_set() -> str:
    """The vector instructions that torch uses on this processor, and those of MKL if they differ.

    MKL uses AVX-512 on Intel's processors only. Processors with tile units (AMX) are another kind:
    there oneDNN would round the operands of products.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if capability != "AVX512":
        return str(capability)
    if CPU.get("amx_tile"):
        return "AVX512 with AMX"
    is_intel = str(CPU.get("cpu_name", "")).startswith("Intel")
    return "AVX512" if is_intel else "AVX512 with MKL at AVX2"


@cache
def table() -> dict[str, dict[str, Any]]:
    """The measured choices by instruction set."""
    found: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def chosen() -> dict[str, Any]:
    """The choices for this processor: when they were measured, and the sizes of every cell and of
    single ones."""
    return table().get(instruction_set(), UNMEASURED)


def tuning_of(cell: str) -> Tuning:
    """The tuning for a cell on this processor; cell: the name of its class."""
    here = chosen()
    return Tuning(**here[EVERY_CELL], **here.get(cell, {}))


def description() -> str:
    """The instruction set that torch uses on this CPU, and the library for large products."""
    library = "torch" if chosen()[EVERY_CELL]["onednn_from"] is None else "oneDNN"
    return f"{torch.backends.cpu.get_cpu_capability()}, large products by {library}"
