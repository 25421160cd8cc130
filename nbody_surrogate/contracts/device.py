"""Choose the torch device and dtype by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nbody_surrogate.contracts.hardware import DEVICES, check_dtype_name
from nbody_surrogate.errors import InputError

__all__ = ["DEVICES", "DTYPES", "resolve_device", "resolve_dtype", "torch_threads"]

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def resolve_device(name: str) -> torch.device:
    """Find the torch device that a name stands for.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda", "mps"}
        ``auto`` is CUDA where it is there, and else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    InputError
        If the name is unknown or the device is not available.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    # MPS has no float64, which training refuses and runs make up for on the host: only on request
    if name == "auto":
        return torch.device("cuda" if "cuda" in available else "cpu")
    if name not in DEVICES:
        raise InputError(f"`device` {name!r} is unknown; there are: {', '.join(DEVICES)}")
    if name not in available:
        raise InputError(
            f"`device` {name!r} is not available on this machine; there are: "
            f"auto, {', '.join(available)}"
        )
    return torch.device(name)


def resolve_dtype(name: str) -> torch.dtype:
    """Find the torch dtype that a name stands for.

    Parameters
    ----------
    name : {"float32", "float64"}

    Returns
    -------
    torch.dtype

    Raises
    ------
    InputError
        If the name is neither.
    """
    check_dtype_name(name)
    return DTYPES[name]


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute on so many threads of the CPU; afterwards on as many as before.

    Parameters
    ----------
    count : int
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
