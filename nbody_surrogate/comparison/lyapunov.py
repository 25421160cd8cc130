"""Twins of a reference: the same run from a start that is a little off.

The near twin measures how fast errors grow. The far twin is the noise floor of every comparison:
what a solution of the same equations differs by, whose start is off by a thousandth of the cloud's
spread. A candidate that is no farther from the reference cannot be told from the truth.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.capabilities import RANDOM_KICKS
from nbody_surrogate.contracts.state import State
from nbody_surrogate.errors import InputError, NBodyError
from nbody_surrogate.integrators.build import method_from
from nbody_surrogate.results.metrics import spread
from nbody_surrogate.results.quantiles import known_median
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["FAR", "NEAR", "Twins", "growth_rate", "twins_of", "twins_or_why"]

NEAR = 1e-6
"""Root-mean-square offset over the spread. Far above the error of a reference at a tolerance of
1e-9, which would be taken for growth, and five decades below where growth ends."""

FAR = 1e-3
"""Root-mean-square offset over the spread. Small beside the cloud, so that its distributions are
those of the same cloud, and large enough that its positions part from the reference's within a run:
they do after ln(1 / FAR) = 7 Lyapunov times."""

GROWN = 0.1  # of the spread, beyond which growth is no longer that of small errors
FIT_FRAMES = 6  # fewer are fitted by whatever has three parameters
LEAST = 1e-12  # of a squared distance, where a fitted parabola is negative
SEED = 0  # the same twins of the same run, so that a floor does not change between two calls


@dataclass(frozen=True)
class Twins:
    """The reference from two starts that are off, with the same times and particles.

    Attributes
    ----------
    near : Ensemble
        Off by `NEAR`, in positions and velocities.
    far : Ensemble
        Off by `FAR`.
    rate : float
        Growth of small errors per time unit, see `growth_rate`; the median over trajectories. Zero
        where they do not grow exponentially, see `grows_exponentially`.
    """

    near: Ensemble
    far: Ensemble
    rate: float

    @property
    def lyapunov_time(self) -> float:
        """Time in which small errors grow e-fold; infinity where they do not grow."""
        return 1 / self.rate if self.rate > 0 else np.inf


def twins_of(reference: Trajectory | Ensemble) -> Twins:
    """Run the reference's method from starts that are a little off.

    What they cost is two more runs of the reference. Their offsets are drawn from a normal
    distribution with a fixed seed, in positions and, in reduced units, velocities alike.

    Parameters
    ----------
    reference : Trajectory or Ensemble
        The run that others are compared with: `x` of shape (T, N, D) or (B, T, N, D).

    Returns
    -------
    Twins
        For `nbody_surrogate.compare`, which takes its noise floor from them.

    Raises
    ------
    InputError
        If the method or the system that the run names is not there, or a bath kicks the particles
        at random.
    """
    reference = as_ensemble(reference, "reference")
    if RANDOM_KICKS in reference.system().needs:
        # which depend on the start, to the last bit
        raise InputError(
            f"`reference` must be of a system without kicks at random: from a start a little off, "
            f"those of system {reference.info.system['system']!r} are others; leave the twins out"
        )
    near = _twin(reference, NEAR)
    far = _twin(reference, FAR)
    rate = known_median(growth_rate(reference, near))
    return Twins(near, far, rate if grows_exponentially(reference, near) else 0.0)


def growth_rate(reference: Ensemble, twin: Ensemble) -> Float64[np.ndarray, " B"]:
    """Finite-time Lyapunov exponent: growth of the logarithm of the distance per time unit.

    The distance is the root-mean-square over all coordinates and velocities. It is followed until
    it exceeds a tenth of the reference's spread at the start, or to the last frame that is valid in
    both runs; NaN where that is the start. The largest exponent is its limit for small distances
    and long times (Benettin et al., Meccanica 15 (1980) 9).
    """
    distance = _distance(reference, twin)
    last = _last_small(reference, twin, distance)
    each = np.arange(len(distance))
    with np.errstate(divide="ignore", invalid="ignore"):  # twins that meet, or one that stopped
        grown = np.log(distance[each, last] / distance[each, 0])
        return np.asarray(grown / (reference.t[last] - reference.t[0]))


def grows_exponentially(reference: Ensemble, twin: Ensemble) -> bool:
    """Whether the distance of a twin grows exponentially, rather than little or as in free flight.

    It must grow e-fold, in the median over trajectories, and its logarithm must be nearer to a line
    than to that of free flight, whose squared distance is a parabola of the time: the sum of the
    squares that two fits leave decides, over all trajectories.
    """
    distance = _distance(reference, twin)
    lasts = _last_small(reference, twin, distance)
    pairs = zip(distance, lasts, strict=True)
    followed = [each[: last + 1] for each, last in pairs if last and (each[: last + 1] > 0).all()]
    if not followed:
        return False
    if np.median([np.log(each[-1] / each[0]) for each in followed]) < 1:
        return False
    fits = [_fits(reference.t[: len(each)], each) for each in followed if len(each) >= FIT_FRAMES]
    line, parabola = np.sum(fits, axis=0) if fits else (0.0, np.inf)  # e-fold at once is fast
    return bool(line < parabola)


def _fits(t: np.ndarray, distance: np.ndarray) -> tuple[float, float]:
    """Return the squares that an exponential and free flight leave of a distance's logarithm."""
    s = (t - t[0]) / (t[-1] - t[0])
    logarithm, square = np.log(distance), distance**2
    line = logarithm - np.polyval(np.polyfit(s, logarithm, 1), s)
    # relative, so that small distances count
    parabola = np.polyval(np.polyfit(s, square, 2, w=1 / square), s) / square
    free = np.log(np.maximum(parabola, LEAST)) / 2
    return float((line**2).sum()), float((free**2).sum())


def _last_small(reference: Ensemble, twin: Ensemble, distance: np.ndarray) -> np.ndarray:
    """Return the frames (B,) up to which distances grow as small ones do; 0 where there is none."""
    large = distance > GROWN * spread(reference.x[:, :1])[:, None]
    ends = np.minimum(reference.valid_frames, twin.valid_frames) - 1
    last = np.minimum(np.where(large.any(1), large.argmax(1), ends), ends)
    # a twin that is far at once has grown over the first frame
    return np.where(ends > 0, np.maximum(last, 1), 0)


def _distance(one: Ensemble, other: Ensemble) -> Float64[np.ndarray, "B T"]:
    # In reduced units positions and velocities are of one order, so that squares may be added; the
    # rate over a long time depends on neither's weight.
    squares = [((a - b) ** 2).mean((2, 3)) for a, b in ((one.x, other.x), (one.v, other.v))]
    return np.asarray(np.sqrt(sum(squares) / 2))


def _twin(reference: Ensemble, offset: float) -> Ensemble:
    state = reference.state(0)
    shift = np.random.default_rng(SEED).normal(size=(2, *state.x.shape))
    # Scaled to exactly the offset in each trajectory, however few its numbers are.
    size = np.sqrt((shift**2).mean((0, 2, 3)))
    shift *= offset * spread(reference.x[:, :1])[:, None, None] / size[:, None, None]
    moved = State(state.t, state.x + shift[0], state.v + shift[1], hidden=state.hidden)
    # Over the whole run, not between two frames, whose difference has lost digits to t.
    dt = (reference.t[-1] - reference.t[0]) / (len(reference.t) - 1)
    integrator = method_from(reference.info.method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reference itself has said it
        return simulate(
            reference.system(), moved, reference.particles, len(reference.t) - 1, integrator, dt=dt
        )


def twins_or_why(reference: Trajectory | Ensemble) -> tuple[Twins | None, str | None]:
    """Run the reference's twins, or say in words why that cannot be done."""
    try:
        return twins_of(reference), None
    except NBodyError as error:
        return None, str(error)
