"""What a measurement of time ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["accelerator", "load", "processor"]


def load() -> float | None:
    """Return the mean number of processes that wanted to run in the last minute, where known."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def accelerator(device: str) -> str:
    """Name what is behind a torch device that is not the processor."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def processor() -> str:
    """Name the processor, as far as the machine says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor() or platform.machine())
