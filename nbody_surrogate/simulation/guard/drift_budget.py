"""What a run may lose of its constants of motion, and what it has lost by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["QUANTITIES", "ConservedQuantities", "DriftBudget", "departure"]

QUANTITIES = ("energy", "momentum", "angular_momentum")


class ConservedQuantities(NamedTuple):
    """Constants of motion at some frames, and what their errors are measured by.

    Attributes
    ----------
    values : dict
        For each of `QUANTITIES` an array (B, F, ...).
    scales : dict
        For each an array (B, F): the kinetic energy, the sum of m |v|, the sum of m |x| |v|.
    """

    values: dict[str, np.ndarray]
    scales: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        system: AbstractSystem,
        x: Float64[np.ndarray, "B F N D"],
        v: Float64[np.ndarray, "B F N D"],
        particles: Particles,
    ) -> ConservedQuantities:
        """Read them off frames."""
        # one by one, since an energy makes all pairs: those of a segment need not fit into memory
        frames = [system.invariants(x[:, f], v[:, f], particles) for f in range(x.shape[1])]
        masses, speeds = particles.masses[:, None], np.linalg.norm(v, axis=3)
        distances = np.linalg.norm(x, axis=3)
        # sums of absolute values: totals may be zero, as the momentum is about the centre of mass
        return cls(
            {key: np.stack([each._asdict()[key] for each in frames], axis=1) for key in QUANTITIES},
            {
                "energy": np.stack([each.kinetic for each in frames], axis=1),
                "momentum": (masses * speeds).sum(2),
                "angular_momentum": (masses * speeds * distances).sum(2),
            },
        )

    def row(self, b: int) -> ConservedQuantities:
        """Return trajectory `b` alone."""
        rows = slice(b, b + 1)
        return ConservedQuantities(
            {key: values[rows] for key, values in self.values.items()},
            {key: scales[rows] for key, scales in self.scales.items()},
        )


@final
class DriftBudget:
    """The account of one run.

    The error of a quantity Q is what was spent before, plus |Q - Q_0| since the last frame at
    which the account was opened again: an upper bound of the error since the start, as errors of
    either sign add up. It is allowed to be ``threshold * t / duration`` of the quantity's scale, a
    mean over the run so far. The energy's scale is the kinetic energy: the total is near zero in a
    neutral cloud.

    Parameters
    ----------
    thresholds : mapping
        For each quantity that the system keeps, the share of its scale that may be lost over the
        whole run.
    start : ConservedQuantities
        Of the first frame, F = 1.

    Attributes
    ----------
    arrays : dict
        The state of the account, a flat mapping of arrays: what a restart needs.
    """

    def __init__(self, thresholds: Mapping[str, float], start: ConservedQuantities) -> None:
        self.thresholds = dict(thresholds)
        self.arrays: dict[str, np.ndarray] = {}
        for key in self.thresholds:
            self.arrays[f"{key}.base"] = start.values[key][:, 0]
            self.arrays[f"{key}.spent"] = np.zeros(len(start.values[key]))
            self.arrays[f"{key}.scale"] = start.scales[key][:, 0]  # summed over frames

    def errors(self, key: str, now: ConservedQuantities) -> Float64[np.ndarray, "B F"]:
        """Errors of a quantity, in its own units."""
        base = self.arrays[f"{key}.base"][:, None]
        spent: np.ndarray = self.arrays[f"{key}.spent"][:, None]
        return np.asarray(spent + departure(now.values[key] - base))

    def scale(self, key: str, now: ConservedQuantities, before: int) -> Float64[np.ndarray, " B"]:
        """Mean of a scale over the `before` frames that are settled, and those read now."""
        total = self.arrays[f"{key}.scale"] + now.scales[key].sum(1)
        return np.asarray(total / (before + now.scales[key].shape[1]))

    def settle(self, now: ConservedQuantities) -> None:
        """Take over the scales of frames that stay."""
        for key in self.thresholds:
            # never in place: the array may be a view of a start, or of what a restart file held
            self.arrays[f"{key}.scale"] = self.arrays[f"{key}.scale"] + now.scales[key].sum(1)

    def reopen(self, b: int, before: ConservedQuantities, now: ConservedQuantities) -> None:
        """Start trajectory `b` again at the last frame of `now`, which was replayed.

        What it had lost at the one frame of `before`, from where it was replayed, stays counted,
        and so does what the replay lost. Both are readings of the trajectory alone.
        """
        for key in self.thresholds:
            base = self.arrays[f"{key}.base"].copy()
            spent = self.arrays[f"{key}.spent"].copy()
            first, last = before.values[key][:, :1], now.values[key][:, -1:]
            spent[b] += (departure(first - base[b]) + departure(last - first)).item()
            base[b] = last[0, 0]
            self.arrays |= {f"{key}.base": base, f"{key}.spent": spent}


def departure(difference: np.ndarray) -> np.ndarray:
    """Absolute values of numbers (B, F), norms of vectors (B, F, A)."""
    vectors = difference.ndim == 3
    return np.asarray(np.linalg.norm(difference, axis=-1) if vectors else np.abs(difference))
