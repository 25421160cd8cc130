"""What can be compared past the Lyapunov time, when positions cannot: distributions.

Each measure is taken over a window of late frames and stands beside its noise floor: the same
measure between the reference and its far twin, a solution of the same equations from a start that
is a little off (see `nbody_surrogate.comparison.lyapunov`).

==================  ============================================================================
measure             distance of a candidate from the reference, for each trajectory
==================  ============================================================================
speeds              Wasserstein-1 distance of the speeds of all particles in the window
pair distances      the same of the distances of all pairs
displacement        mean over the window of |MSD_candidate - MSD_reference|, over the mean of
                    MSD_reference, where MSD(t) = mean over i of |x_i(t) - x_i(0)|^2
bound pairs         difference of the mean number, over the window, of pairs with negative two-body
                    energy, absolute; NaN where the pair's potential does not vanish far away,
                    as that of springs: there the number means nothing
==================  ============================================================================

The Wasserstein-1 distance, the mean distance by which values must be moved to turn one
distribution into the other, is SciPy's (Ramdas et al., Entropy 19 (2017) 47).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.stats import wasserstein_distance

from nbody_surrogate.comparison.bound_pairs import bound_pairs, pair_law_of
from nbody_surrogate.contracts.force_laws import PairLaw
from nbody_surrogate.results.bootstrap import Summary, finite_or_none
from nbody_surrogate.results.trajectory import Ensemble

__all__ = [
    "Distribution",
    "LateWindow",
    "compare_distributions",
    "late_window",
    "mean_squared_displacement",
    "pair_distances",
    "speeds",
]

MOST_FRAMES = 100
"""Of a late window. Frames close in time are nearly the same, so that more add little, and the
distances of all pairs take memory: 100 frames of 500 particles have 100 MB of them."""


class LateWindow(NamedTuple):
    """The late frames that distributions are taken over.

    Attributes
    ----------
    frames : ndarray, shape (F,)
        Their numbers.
    begin, end : float
        Times since the start.
    chaotic : bool
        Whether it begins after one Lyapunov time or more: before that, differences of
        distributions say nothing that errors of positions do not.
    """

    frames: np.ndarray
    begin: float
    end: float
    chaotic: bool


@dataclass(frozen=True)
class Distribution:
    """One measure.

    Attributes
    ----------
    name : str
    reference, candidate : float
        Means over the window and the trajectories: of the speed, the distance, the mean squared
        displacement, the number of bound pairs.
    distance : Summary
        Of the candidate from the reference.
    floor : Summary or None
        Of the reference's far twin from the reference; None where there is no twin.
    """

    name: str
    reference: float
    candidate: float
    distance: Summary
    floor: Summary | None

    @property
    def within_noise(self) -> bool | None:
        """Whether the candidate is no farther off than the twin, as far as intervals can tell."""
        # Intervals that overlap cannot be told apart: the benefit of the doubt is the candidate's.
        if self.floor is None or np.isnan(self.floor.high) or np.isnan(self.distance.low):
            return None
        return self.distance.low <= self.floor.high

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        return {
            "name": self.name,
            "reference": finite_or_none(self.reference),
            "candidate": finite_or_none(self.candidate),
            "distance": self.distance.to_dict(),
            "floor": None if self.floor is None else self.floor.to_dict(),
            "within_noise": self.within_noise,
        }


def late_window(t: Float64[np.ndarray, " T"], lyapunov_time: float | None) -> LateWindow:
    """Choose the last half of the frames, at most `MOST_FRAMES` of them, evenly apart.

    Parameters
    ----------
    t : ndarray, shape (T,)
    lyapunov_time : float or None
        In which small errors grow e-fold; None where it is not known.
    """
    # The first frame, which all runs share, is left out even of a run of two.
    first = max(len(t) // 2, min(1, len(t) - 1))
    count = min(len(t) - first, MOST_FRAMES)
    frames = np.unique(np.linspace(first, len(t) - 1, count).round().astype(int))
    begin = float(t[frames[0]] - t[0])
    end = float(t[frames[-1]] - t[0])
    chaotic = lyapunov_time is not None and begin >= lyapunov_time
    return LateWindow(frames, begin, end, chaotic)


def speeds(run: Ensemble, frames: np.ndarray) -> Float64[np.ndarray, "B V"]:
    """Speeds of all particles in some frames."""
    return np.asarray(np.linalg.norm(run.v[:, frames], axis=3).reshape(len(run), -1))


def pair_distances(run: Ensemble, frames: np.ndarray) -> Float64[np.ndarray, "B V"]:
    """Distances of all pairs in some frames, in a box of the nearest images; none for N = 1."""
    i, j = np.triu_indices(run.particles.n, 1)
    x, box = run.x[:, frames], run.system().box
    apart = x[:, :, i] - x[:, :, j]
    apart = apart if box is None else box.displacement(apart)
    return np.asarray(np.linalg.norm(apart, axis=3).reshape(len(run), -1))


def mean_squared_displacement(run: Ensemble) -> Float64[np.ndarray, "B T"]:
    """Mean over particles of the squared distance from the start."""
    return np.asarray(((run.x - run.x[:, :1]) ** 2).sum(3).mean(2))


def compare_distributions(
    reference: Ensemble, candidate: Ensemble, twin: Ensemble | None, window: LateWindow
) -> tuple[Distribution, ...]:
    """Take all measures that there are: pairs need two particles, bound ones a law of pairs."""
    made = [_by_values("speeds", speeds, reference, candidate, twin, window)]
    if reference.particles.n > 1:
        name = "pair distances"
        made.append(_by_values(name, pair_distances, reference, candidate, twin, window))
    made.append(_displacement(reference, candidate, twin, window))
    law = pair_law_of(reference.system())
    if reference.particles.n > 1 and law is not None:
        made.append(_bound(law, reference, candidate, twin, window))
    return tuple(made)


def _by_values(
    name: str,
    take: Callable[[Ensemble, np.ndarray], np.ndarray],
    reference: Ensemble,
    candidate: Ensemble,
    twin: Ensemble | None,
    window: LateWindow,
) -> Distribution:
    wanted = take(reference, window.frames)
    got = take(candidate, window.frames)
    floor = None if twin is None else _wasserstein(wanted, take(twin, window.frames))
    return Distribution(
        name, float(wanted.mean()), float(got.mean()), _wasserstein(wanted, got), floor
    )


def _wasserstein(wanted: np.ndarray, got: np.ndarray) -> Summary:
    pairs = zip(wanted, got, strict=True)
    return Summary.of(np.array([wasserstein_distance(a, b) for a, b in pairs]))


def _displacement(
    reference: Ensemble, candidate: Ensemble, twin: Ensemble | None, window: LateWindow
) -> Distribution:
    wanted = mean_squared_displacement(reference)[:, window.frames]
    # Over its own size, since it grows without bound in a cloud that evaporates; particles that
    # rest have none to divide by.
    scale = np.where(wanted.mean(1) > 0, wanted.mean(1), 1.0)

    def distance(run: Ensemble) -> Summary:
        gap = mean_squared_displacement(run)[:, window.frames] - wanted
        return Summary.of(np.abs(gap).mean(1) / scale)

    got = mean_squared_displacement(candidate)[:, window.frames]
    floor = None if twin is None else distance(twin)
    return Distribution(
        "displacement", float(wanted.mean()), float(got.mean()), distance(candidate), floor
    )


def _bound(
    law: PairLaw,
    reference: Ensemble,
    candidate: Ensemble,
    twin: Ensemble | None,
    window: LateWindow,
) -> Distribution:
    def count(run: Ensemble) -> np.ndarray:
        x = run.x[:, window.frames]
        v = run.v[:, window.frames]
        return np.asarray(bound_pairs(law, x, v, run.particles).mean(1))

    wanted = count(reference)
    got = count(candidate)
    floor = None if twin is None else Summary.of(np.abs(count(twin) - wanted))
    return Distribution(
        "bound pairs",
        float(wanted.mean()),
        float(got.mean()),
        Summary.of(np.abs(got - wanted)),
        floor,
    )
