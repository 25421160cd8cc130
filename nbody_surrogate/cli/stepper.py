"""The learned stepper that `nbody-sim discover --set` trains behind a discovery."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

from nbody_surrogate.cli.interruption import interruptible
from nbody_surrogate.cli.progress import sign
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import InputError, RunError

__all__ = ["check_stepper_options", "run_line", "stepper_folder", "train_stepper"]


def check_stepper_options(minutes: float | None, frame_dt: float | None, folder: Path) -> None:
    """Refuse what cannot be trained before tracks are read.

    Raises
    ------
    InputError
        If a number is out of range, or the folder of the model is there.
    """
    if minutes is None:
        if frame_dt is not None:
            raise InputError("`set_frame_dt` is that of the stepper; give --set MINUTES as well")
        return
    for name, value in (("set", minutes), ("set_frame_dt", frame_dt)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"`{name}` must be above 0, got {value}")
    if stepper_folder(folder).exists():
        raise InputError(
            f"`set` trains into {str(stepper_folder(folder))!r}, which is there; remove it, or "
            "choose another `output`"
        )


def stepper_folder(folder: Path) -> Path:
    """Return the folder of the model, beside that of the discovery."""
    return folder.with_name(f"{folder.name}-set")


def train_stepper(
    folder: Path, minutes: float, seed: int, frame_dt: float | None, *, hidden: bool
) -> Path:
    """Train `set` for the law in a folder, and return the folder of the training."""
    model = stepper_folder(folder)
    with sign("loading torch", hidden=hidden):
        import torch

        from nbody_surrogate.training.from_discovery import train_from_discovery
    torch.set_num_threads(1)

    def say(line: str) -> None:
        if not hidden:
            echo(line, err=True)

    dt = "" if frame_dt is None else f", frame_dt={frame_dt!r}"
    call = (
        f"nbody_surrogate.train_from_discovery({str(folder)!r}, {minutes!r}, {seed}, "
        f"{str(model)!r}{dt})"
    )
    with interruptible(f"the discovery is whole; the training goes on with {call} in Python"):
        try:
            train_from_discovery(
                folder, minutes, seed, model, frame_dt=frame_dt, report=say, command=call
            )
        except InputError as error:  # what the tracks turned out to tell is nobody's misuse
            raise RunError(
                f"no stepper was trained, the discovery in {str(folder)!r} is whole: {error}"
            ) from None
    return model


def run_line(folder: Path, model: Path, frame_dt: float | None) -> str:
    """Say how the model runs."""
    dt = "" if frame_dt is None else f" --frame-dt {frame_dt:g}"
    names = (f"discovered:{folder}", str(model))
    system, weights = map(shlex.quote, names)
    return (
        f"Run the stepper: nbody-sim run --system {system}{dt} --integrator set --weights {weights}"
    )
