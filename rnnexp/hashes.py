"""Hashes of tensors and of whatever holds them."""

import hashlib
from typing import Any

import torch


def hash_tensors(state: dict[str, torch.Tensor]) -> dict[str, str]:
    """SHA-256 of each tensor of a state_dict, over shape, dtype and bytes; tensor name -> hash."""
    return {name: hash_content(tensor) for name, tensor in state.items()}


def hash_content(content: Any) -> str:
    """SHA-256 of tensors and plain values, in dicts and lists in their order."""
    found = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            found.update(f"{tuple(part.shape)} {part.dtype} ".encode())
            numbers = part.detach().cpu().contiguous().flatten()
            found.update(numbers.view(torch.uint8).numpy().data)  # numpy has no bfloat16
        elif isinstance(part, dict):
            found.update(f"{len(part)} entries ".encode())
            for key, value in part.items():
                found.update(f"{key!r}: ".encode())
                add(value)
        elif isinstance(part, (list, tuple)):
            found.update(f"{len(part)} items ".encode())
            for item in part:
                add(item)
        else:
            found.update(f"{part!r} ".encode())

    add(content)
    return found.hexdigest()
