"""What a run may lose of its constants of motion, and what it has lost by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.simulation.guard.conserved_quantities import ConservedQuantities, departure
from nbody_surrogate.simulation.guard.start_scales import StartScales

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

__all__ = ["DriftBudget"]


@final
class DriftBudget:
    """The account of one run.

    The error of a quantity Q is what was spent before, plus |Q - Q_0| since the last frame at
    which the account was opened again: an upper bound of the error since the start, as errors of
    either sign add up. It is allowed to be ``threshold * t / duration`` of the quantity's scale,
    that of the start, and what rounding does.

    Parameters
    ----------
    thresholds : mapping
        For each quantity that the system keeps, the share of its scale that may be lost over the
        whole run.
    start : ConservedQuantities
        Of the first frame, F = 1.
    scales : StartScales

    Attributes
    ----------
    arrays : dict
        The state of the account, a flat mapping of arrays: what a restart needs.
    """

    def __init__(
        self, thresholds: Mapping[str, float], start: ConservedQuantities, scales: StartScales
    ) -> None:
        self.thresholds, self.scales = dict(thresholds), scales
        self.arrays: dict[str, np.ndarray] = {}
        for key in self.thresholds:
            self.arrays[f"{key}.base"] = start.values[key][:, 0]
            self.arrays[f"{key}.spent"] = np.zeros(len(start.values[key]))

    def errors(self, key: str, now: ConservedQuantities) -> Float64[np.ndarray, "B F"]:
        """Errors of a quantity, in its own units."""
        base = self.arrays[f"{key}.base"][:, None]
        spent: np.ndarray = self.arrays[f"{key}.spent"][:, None]
        return np.asarray(spent + departure(now.values[key] - base))

    def beyond(
        self, key: str, errors: Float64[np.ndarray, "B F"], share: float
    ) -> Bool[np.ndarray, "B F"]:
        """Tell where errors are more than a share of the scale; NaN is."""
        allowed = share * self.scales.scales[key] + self.scales.rounding[key]
        return np.asarray(~(errors <= allowed[:, None]))

    def reopen(self, b: int, before: ConservedQuantities, now: ConservedQuantities) -> None:
        """Start trajectory `b` again at the last of its frames `now`, which was replayed.

        What it had lost at the one frame of `before`, where the segment began, stays counted, and
        so does what was lost from there on. Both are readings of the trajectory alone.
        """
        for key in self.thresholds:
            # never in place: the array may be a view of a start, or of what a restart file held
            base = self.arrays[f"{key}.base"].copy()
            spent = self.arrays[f"{key}.spent"].copy()
            first, last = before.values[key][:, :1], now.values[key][:, -1:]
            spent[b] += (departure(first - base[b]) + departure(last - first)).item()
            base[b] = last[0, 0]
            self.arrays |= {f"{key}.base": base, f"{key}.spent": spent}

    def restore(self, found: Mapping[str, np.ndarray], moving: Mapping[str, np.ndarray]) -> None:
        """Take over an account that was stored.

        Parameters
        ----------
        found : mapping
            The stored arrays. Releases before had the mean of the scale among them, and counted
            energy and angular momentum in the laboratory's frame.
        moving : mapping
            For each quantity what it was at the start in the laboratory's frame, (B, ...).

        Raises
        ------
        ValueError
            If it is the account of another run.
        """
        old = {f"{key}.scale" for key in self.thresholds} & found.keys()
        kept = {name: y for name, y in found.items() if name not in old}
        if {k: y.shape for k, y in self.arrays.items()} != {k: y.shape for k, y in kept.items()}:
            raise ValueError("the guard's account is not of its thresholds")
        if old:
            # the centre of mass keeps its share of both, so it can be taken off at any frame
            for key in self.thresholds:
                name = f"{key}.base"
                kept[name] = kept[name] - (moving[key] - self.arrays[name])
        self.arrays = kept
