"""Names of devices and dtypes, and what is known of them without torch, which takes a second."""

from __future__ import annotations

import sys
from pathlib import Path

from nbody_surrogate.errors import InputError

__all__ = [
    "DEVICES",
    "DTYPE_NAMES",
    "ENGINES",
    "ENGINE_RULE",
    "check_device_name",
    "check_dtype_name",
    "check_engine_name",
]

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPE_NAMES = ("float32", "float64")
ENGINES = ("auto", "fused", "torch", "inductor")
"""What may compute the steps of a surrogate."""

ENGINE_RULE = f"must be {', '.join(ENGINES[:-1])} or {ENGINES[-1]}"


def check_device_name(name: str) -> None:
    """Refuse a device that is unknown, or that this machine cannot have.

    Raises
    ------
    InputError
        If the name is unknown, or there is no driver of such a device. Where there is one, torch
        still has to find the device.
    """
    if name not in DEVICES:
        raise InputError(f"`device` {name!r} is unknown; there are: {', '.join(DEVICES)}")
    if (name == "mps" and sys.platform != "darwin") or (name == "cuda" and _lacks_cuda()):
        raise InputError(
            f"`device` {name!r} is not available on this machine; there are: auto, cpu"
        )


def check_dtype_name(name: str) -> None:
    """Refuse a dtype that no model has.

    Raises
    ------
    InputError
    """
    if name not in DTYPE_NAMES:
        raise InputError(f"`dtype` must be float32 or float64, got {name!r}")


def check_engine_name(name: str) -> None:
    """Refuse an engine of surrogates that there is not.

    Raises
    ------
    InputError
    """
    if name not in ENGINES:
        raise InputError(f"`engine` {ENGINE_RULE}, got {name!r}")


def _lacks_cuda() -> bool:
    """Whether Linux has no driver of a GPU; elsewhere that is for torch to say."""
    # torch of AMD's GPUs calls them cuda too, and needs this device
    if not sys.platform.startswith("linux") or Path("/dev/kfd").exists():
        return False
    import ctypes  # for those who ask for a GPU alone

    try:
        ctypes.CDLL("libcuda.so.1")  # of the driver, which CUDA's own library loads by this name
    except OSError:
        return True
    return False
