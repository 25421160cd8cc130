"""The state of a training run on disk: safetensors and JSON, replaced in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from nbody_surrogate.errors import FileFormatError, RunError
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.json_file import DAMAGE, read_json, write_json
from nbody_surrogate.files.limits import CHECKPOINT, WEIGHTS
from nbody_surrogate.files.untrusted import read_bounded
from nbody_surrogate.surrogates.weights import tensor_bytes

__all__ = [
    "check_model_size",
    "damaged",
    "load_checkpoint",
    "optimizer_tensors",
    "part_of",
    "restore_optimizer",
    "save_checkpoint",
]

NAME = "checkpoint.json"
MOMENTS = frozenset({"exp_avg", "exp_avg_sq", "step"})  # of AdamW; steps that had a gradient


def check_model_size(model: torch.nn.Module) -> None:
    """Refuse, before a training, a model whose weights or checkpoints could not be read again.

    Raises
    ------
    InputError
        If it is too large.
    """
    size = tensor_bytes(model.state_dict())
    WEIGHTS.require(size)
    # parameters, their average, and two moments of each
    CHECKPOINT.require(4 * size)


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], rest: Any) -> None:
    """Write a checkpoint; an older one is removed after that.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    path = folder / f"checkpoint-{step}.safetensors"
    CHECKPOINT.require(tensor_bytes(tensors), error=RunError)
    with atomic_file(path) as stream:
        stream.write(save({k: v.detach().contiguous() for k, v in tensors.items()}))
    write_json(folder / NAME, {"step": step, **rest})
    for old in folder.glob("checkpoint-*.safetensors"):
        if old != path:
            old.unlink()


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the checkpoint of a folder, or return None where there is none.

    Raises
    ------
    FileFormatError
        If it is damaged.
    """
    if not (folder / NAME).is_file():
        return None
    rest = read_json(folder / NAME)
    try:
        step = int(rest["step"])
        raw = read_bounded(folder / f"checkpoint-{step}.safetensors", CHECKPOINT.largest)
        tensors = load(raw)
    except (*DAMAGE, SafetensorError, KeyError, FileFormatError) as error:
        raise damaged(folder, error) from None
    return tensors, rest


def damaged(folder: Path, error: Exception) -> FileFormatError:
    """Say that a checkpoint is damaged."""
    reason = " ".join(str(error).split())[:200]
    return FileFormatError(f"the checkpoint in {str(folder)!r} is damaged: {reason}")


def part_of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors below a prefix."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: dict[str, Any]) -> dict[str, Tensor]:
    """Return the moments and steps of AdamW by the names of the parameters."""
    found = {}
    for key, parameter in names.items():
        for moment in MOMENTS & optimizer.state[parameter].keys():
            found[f"{moment}.{key}"] = torch.as_tensor(optimizer.state[parameter][moment])
    return found


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Set the moments and steps of AdamW."""
    for key, parameter in names.items():
        for moment in MOMENTS:
            if f"{moment}.{key}" in tensors:
                value = tensors[f"{moment}.{key}"]
                optimizer.state[parameter][moment] = (
                    value if moment == "step" else value.to(parameter)
                )
