"""What can be compared past the Lyapunov time, when positions cannot: distributions.

Each measure is taken over a window of late frames and stands beside its noise floor: the same
measure between the reference and its far twin, a solution of the same equations from a start that
is a little off (see `nbody_surrogate.comparison.lyapunov`). Both are of the same starts, some of
which are harder than others for any method, so they are held against each other start by start.

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

Only valid frames count: those of a trajectory of the reference that stopped are left out, and a
candidate that stopped before is infinitely far off. Where a candidate is interpolated, the window
has frames of its own only, as far as there are some; else the floor is raised by the distance of
the reference from itself after the same interpolation.

The Wasserstein-1 distance, the mean distance by which values must be moved to turn one
distribution into the other, is SciPy's (Ramdas et al., Entropy 19 (2017) 47).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from nbody_surrogate.comparison.bound_pairs import bound_pairs, pair_law_of
from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.force_laws import PairLaw
from nbody_surrogate.contracts.memory import demand_pairs_memory
from nbody_surrogate.results.bootstrap import Summary, finite_or_none
from nbody_surrogate.results.paired import PairedTest
from nbody_surrogate.results.quantiles import known
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

    def __repr__(self) -> str:
        return brief(self)


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
        Of the reference's far twin from the reference, with what interpolation adds; None where
        there is no twin.
    pair : PairedTest or None
        The distances held against those of the twin, start by start; None where there is no twin.
    """

    name: str
    reference: float
    candidate: float
    distance: Summary
    floor: Summary | None
    pair: PairedTest | None = None

    __repr__ = brief

    @property
    def within_noise(self) -> bool | None:
        """Whether the candidate is no farther off than the twin, as far as the starts can tell.

        It is farther where the 95 % interval of the ratio of the two distances, start by start,
        lies above 1, or where the signed-rank test says so, which ranks a distance of 0 and an
        infinite one too. None where there is no twin, and where a single start that is farther off
        cannot tell by how much two true solutions of it differ.
        """
        if self.pair is None or not self.pair.starts:
            return None
        if np.isposinf(self.distance.low):  # most have stopped, which is no matter of chance
            return bool(self.pair.failures[0] <= self.pair.failures[1])
        if self.pair.starts == 1:
            return True if self.pair.losses == 0 else None
        farther = self.pair.effect < 0 and self.pair.ratio.low > 1
        return not (farther or self.pair.outcome == "worse")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        return {
            "name": self.name,
            "reference": finite_or_none(self.reference),
            "candidate": finite_or_none(self.candidate),
            "distance": self.distance.to_dict(),
            "floor": None if self.floor is None else self.floor.to_dict(),
            "pair": None if self.pair is None else self.pair.to_dict(),
            "within_noise": self.within_noise,
        }


def late_window(
    t: Float64[np.ndarray, " T"],
    lyapunov_time: float | None,
    own: Bool[np.ndarray, " T"] | None = None,
) -> LateWindow:
    """Choose the last half of the frames, at most `MOST_FRAMES` of them, evenly apart.

    Parameters
    ----------
    t : ndarray, shape (T,)
    lyapunov_time : float or None
        In which small errors grow e-fold; None where it is not known.
    own : ndarray of bool, shape (T,), optional
        Which frames are not interpolated: those alone are taken, where there are some.
    """
    # The first frame, which all runs share, is left out even of a run of two.
    first = max(len(t) // 2, min(1, len(t) - 1))
    late = np.arange(first, len(t))
    if own is not None and own[late].any():
        late = late[own[late]]
    count = min(len(late), MOST_FRAMES)
    # as many steps of the list, whatever the first of them is
    picks = np.linspace(first, first + len(late) - 1, count).round().astype(int) - first
    frames = late[np.unique(picks)]
    begin = float(t[frames[0]] - t[0])
    end = float(t[frames[-1]] - t[0])
    chaotic = lyapunov_time is not None and begin >= lyapunov_time
    return LateWindow(frames, begin, end, chaotic)


def speeds(run: Ensemble, frames: np.ndarray) -> Float64[np.ndarray, "B V"]:
    """Speeds of all particles in some frames."""
    return np.asarray(np.linalg.norm(run.v[:, frames], axis=3).reshape(len(run), -1))


def pair_distances(run: Ensemble, frames: np.ndarray) -> Float64[np.ndarray, "B V"]:
    """Distances of all pairs in some frames, in a box of the nearest images; none for N = 1."""
    demand_pairs_memory(len(run), len(frames), run.particles.n)
    i, j = np.triu_indices(run.particles.n, 1)
    x, box = run.x[:, frames], run.system().box
    apart = x[:, :, i] - x[:, :, j]
    apart = apart if box is None else box.displacement(apart)
    return np.asarray(np.linalg.norm(apart, axis=3).reshape(len(run), -1))


def mean_squared_displacement(run: Ensemble) -> Float64[np.ndarray, "B T"]:
    """Mean over particles of the squared distance from the start."""
    return np.asarray(((run.x - run.x[:, :1]) ** 2).sum(3).mean(2))


def compare_distributions(
    reference: Ensemble,
    candidate: Ensemble,
    twin: Ensemble | None,
    window: LateWindow,
    round_trip: Ensemble | None = None,
) -> tuple[Distribution, ...]:
    """Take all measures that there are: pairs need two particles, bound ones a law of pairs.

    Parameters
    ----------
    reference, candidate : Ensemble
        Frames that are not valid are NaN.
    twin : Ensemble or None
        Of the reference, for the noise floor.
    window : LateWindow
    round_trip : Ensemble, optional
        The reference after the interpolation that the candidate went through.
    """
    measures = [_Measure("speeds", speeds, _wasserstein)]
    if reference.particles.n > 1:
        measures.append(_Measure("pair distances", pair_distances, _wasserstein))
    measures.append(_Measure("displacement", _displacement, _relative_gap))
    law = pair_law_of(reference.system())
    if reference.particles.n > 1 and law is not None:
        measures.append(_Measure("bound pairs", _bound_of(law), _gap_of_means))
    return tuple(
        _distribution(each, reference, candidate, twin, window, round_trip) for each in measures
    )


def _wasserstein(one: np.ndarray, other: np.ndarray) -> float:
    """Area between the empirical distribution functions of two samples, their W1 distance.

    As that of `scipy.stats`, whose import takes longer than most runs.
    """
    steps = np.sort(np.concatenate([one, other]))
    shares = [
        np.searchsorted(np.sort(each), steps[:-1], side="right") / len(each)
        for each in (one, other)
    ]
    return float((np.abs(shares[0] - shares[1]) * np.diff(steps)).sum())


class _Measure(NamedTuple):
    """How values (B, V) are taken of the frames of a run, and two rows of them compared."""

    name: str
    take: Callable[[Ensemble, np.ndarray], np.ndarray]
    apart: Callable[[np.ndarray, np.ndarray], float]


def _distribution(
    measure: _Measure,
    reference: Ensemble,
    candidate: Ensemble,
    twin: Ensemble | None,
    window: LateWindow,
    round_trip: Ensemble | None,
) -> Distribution:
    wanted, got = (measure.take(run, window.frames) for run in (reference, candidate))
    # by the triangle inequality their sum is what may come of the two at once
    others = [run for run in (twin, round_trip) if twin is not None and run is not None]
    floors = [_distances(measure, wanted, measure.take(run, window.frames)) for run in others]
    floor = np.sum(floors, axis=0) if floors else None
    distance = _distances(measure, wanted, got, stopped=np.inf)
    return Distribution(
        measure.name,
        _known_mean(wanted),
        _known_mean(got),
        Summary.of(distance),
        None if floor is None else Summary.of(floor),
        None if floor is None else PairedTest.of(distance, floor),
    )


def _distances(
    measure: _Measure, wanted: np.ndarray, got: np.ndarray, stopped: float = np.nan
) -> np.ndarray:
    """Compare rows over what is known of the first one; `stopped` where the second is not."""
    found = np.full(len(wanted), np.nan)
    for b, (one, other) in enumerate(zip(wanted, got, strict=True)):
        there = ~np.isnan(one)
        if there.any():
            missing = np.isnan(other[there]).any()
            found[b] = stopped if missing else measure.apart(one[there], other[there])
    return found


def _known_mean(values: np.ndarray) -> float:
    some = known(values)
    return float(some.mean()) if some.size else np.nan


def _displacement(run: Ensemble, frames: np.ndarray) -> np.ndarray:
    return mean_squared_displacement(run)[:, frames]


def _relative_gap(wanted: np.ndarray, got: np.ndarray) -> float:
    # Over its own size, since it grows without bound in a cloud that evaporates; particles that
    # rest have none to divide by.
    scale = wanted.mean() if wanted.mean() > 0 else 1.0
    return float(np.abs(got - wanted).mean() / scale)


def _bound_of(law: PairLaw) -> Callable[[Ensemble, np.ndarray], np.ndarray]:
    def count(run: Ensemble, frames: np.ndarray) -> np.ndarray:
        x, v = run.x[:, frames], run.v[:, frames]
        counts = bound_pairs(law, x, v, run.particles).astype(np.float64)
        counts[np.isnan(x).any((2, 3))] = np.nan  # no comparison with NaN is true: it would be 0
        return counts

    return count


def _gap_of_means(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(abs(got.mean() - wanted.mean()))
