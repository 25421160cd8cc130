"""A model held against the memoryless floor, on the same states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.floor.floor import Floor, memoryless_floor
from nbody_surrogate.evaluation.rollouts import FIRST, Truth, one_step_of_model
from nbody_surrogate.results.bootstrap import RESAMPLES, TAIL, Interval, bootstrap_mean, plain

__all__ = ["AgainstFloor", "against_floor", "floor_table"]


@dataclass(frozen=True)
class AgainstFloor:
    """One step of a model, and the floor of the same trajectories.

    Attributes
    ----------
    method, system : str
    particles, trajectories, history : int
    floor : Floor
    x, v : Interval
        Mean squared error of the model's next frame, per coordinate.
    ratio : Interval
        Of that of x over the floor, with trajectories drawn together.
    """

    method: str
    system: str
    particles: int
    trajectories: int
    history: int
    floor: Floor
    x: Interval
    v: Interval
    ratio: Interval

    @property
    def verdict(self) -> str:
        """What the ratio says of the model."""
        low, high = self.ratio.low, self.ratio.high
        if self.history == 1:
            if high < 1.0:
                return "below: the floor is too high, or the model sees more than the present"
            return "the two estimates agree" if low <= 1.0 else "above the floor"
        if high < 1.0:
            return "the past tells what the present does not"
        return "no difference from no memory" if low <= 1.0 else "above the floor"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        numbers = {name: vars(getattr(self, name)) for name in ("x", "v", "ratio")}
        named = {
            name: getattr(self, name)
            for name in ("method", "system", "particles", "trajectories", "history", "verdict")
        }
        return {**named, "floor": self.floor.to_dict(), **dict(plain(numbers))}


def against_floor(name: str, model: AbstractSurrogate, truth: Truth) -> AgainstFloor:
    """Hold a model against the floor, from the first frame on at which its history is full.

    Raises
    ------
    InputError
        If the model answers in one shot, or there is no floor: see `memoryless_floor`.
    """
    if model.one_shot:
        raise InputError("`floor` is of one step of a frame, and the model answers in one shot")
    history = model.config.history
    first = max(FIRST, history - 1)
    floor = memoryless_floor(truth, first)
    x, v = (errors.mean(1) for errors in one_step_of_model(model, truth, first))
    batch, _, n, _ = truth.x.shape
    draws = np.random.default_rng(0).integers(batch, size=(RESAMPLES, batch))
    ratios = x[draws].mean(1) / floor.each[draws].mean(1)
    low, high = (float(y) for y in np.quantile(ratios, [TAIL, 1.0 - TAIL]))
    return AgainstFloor(
        name,
        truth.system.name,
        n,
        batch,
        history,
        floor,
        _interval(x),
        _interval(v),
        Interval(float(x.mean() / floor.x.value), low, high),
    )


def floor_table(rows: Sequence[Mapping[str, Any]]) -> TextTable:
    """Lay out rows as `AgainstFloor.to_dict` has them."""
    first = rows[0]
    title = (
        f"{first['system']}, {counted(first['particles'], 'particle')}, "
        f"{counted(first['trajectories'], 'trajectory')}, "
        f"frames from {first['floor']['first']} on; "
        "one step, mean squared errors per coordinate with 95 % intervals"
    )
    cells = [
        (
            "memoryless floor",
            _text(first["floor"]["x"]),
            _text(first["floor"]["v"]),
            "",
            f"{first['floor']['twins']} twins of each state",
        )
    ]
    cells += [
        (
            f"{row['method']}, history {row['history']}",
            _text(row["x"]),
            _text(row["v"]),
            Interval(**row["ratio"]).as_factor(),
            row["verdict"],
        )
        for row in rows
    ]
    return TextTable(title, ("", "x", "v", "x over the floor", ""), tuple(cells)).filled()


def _interval(values: np.ndarray) -> Interval:
    return Interval(float(values.mean()), *bootstrap_mean(values))


def _text(values: Mapping[str, float]) -> str:
    return str(Interval(**values))
