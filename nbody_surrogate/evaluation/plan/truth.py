"""Where the starts of a plan come to, by a solver far more accurate than was asked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.plan.meter import Meter
from nbody_surrogate.evaluation.plan.trial import Run, Starts, rolled
from nbody_surrogate.evaluation.work_precision.benchmark import segment_for
from nbody_surrogate.integrators.build import find_method
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.results.quantiles import known_median

__all__ = ["known_starts"]

TIGHTEST = 1e-13  # about what float64 allows
FINER = (
    1e-4  # of the accuracy asked: errors grow along a run, by a hundred in clouds that are dense
)
LOOSER = 10.0  # times the tolerance of the truth, for the run that bounds its error
SHARE = 1 / 3  # of the accuracy asked, that the error of the truth may be
CHECKED = (
    0.25  # of the time that is left, up to which the truth is run once more to bound its error
)
UNCHECKED = "the error of the truth itself was not measured, as that takes long"
LONG = 1.0  # seconds of forces in a first frame, from which on it is not made again
SEARCH = 80  # force evaluations of a frame that the search for a method takes of a start, about


def known_starts(
    system: AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    accuracy: float,
    force: float,
    meter: Meter,
) -> tuple[Starts, float]:
    """Solve as many starts, over as many frames, as there is time for.

    A dear force has fewer starts, at last one, and then a shorter horizon. The accuracy shrinks
    with it as its square, as errors of an acceleration grow in time.

    Parameters
    ----------
    system : AbstractSystem
    state : State, shape (S, N, D)
    particles : Particles, shape (S, N)
    frames : int
        Up to the horizon.
    accuracy : float
        Position RMSE asked there.
    force : float
        Seconds of one evaluation by the system itself, which a compiled solver's may be less than.
    meter : Meter

    Returns
    -------
    starts : Starts
    accuracy : float
        At their last frame.

    Raises
    ------
    InputError
        If the truth is not accurate enough to judge by.
    """
    tolerance = _tolerance(accuracy)
    method = _reference(system, tolerance, frames)
    pilot = rolled(method, system, state[0], particles[0], 1, meter, None)
    if pilot.evaluations * force < LONG:  # else most of it was no compilation
        meter.forgive(pilot.seconds)
        pilot = rolled(method, system, state[0], particles[0], 1, meter, None)
    count, length = _affordable(pilot, len(state.x), frames, meter)
    if length < frames:
        meter.note(
            f"forces are dear: errors are taken after {number_text(length)} of "
            f"{counted(frames, 'frame')}, and the accuracy with them as the square of the time"
        )
    asked, accuracy = accuracy, accuracy * (length / frames) ** 2
    some = state[slice(0, count)], particles[slice(0, count)]
    if length == count == 1:
        meter.note(UNCHECKED)
        return Starts(system, *some, 1, pilot.x[None]), accuracy
    began = meter.clock()
    truth = _solved(method, system, *some, length, meter)
    if meter.clock() - began > CHECKED * meter.left:
        meter.note(UNCHECKED)
        return Starts(system, *some, length, truth), accuracy
    looser = _reference(system, LOOSER * tolerance, length)
    error = _error(truth, _solved(looser, system, *some, length, meter))
    if not error <= SHARE * accuracy:  # errors grow fast here: it is cheap enough to try harder
        tolerance = _tolerance(FINER * accuracy)
        looser = _reference(system, LOOSER * tolerance, length)
        truth = _solved(_reference(system, tolerance, length), system, *some, length, meter)
        error = _error(truth, _solved(looser, system, *some, length, meter))
    _demand_truth(error * asked / accuracy, asked, method)
    return Starts(system, *some, length, truth), accuracy


def _tolerance(accuracy: float) -> float:
    """Return the tolerance of a truth for an accuracy, within what solvers can do."""
    return min(max(FINER * accuracy, TIGHTEST), 1e-3)


def _reference(system: AbstractSystem, tolerance: float, frames: int) -> AbstractIntegrator:
    """Make the solver that serves as truth."""
    method = find_method(default_reference(system, 2))  # the compiled one, where there is one
    options: dict[str, Any] = {"rtol": tolerance, "atol": tolerance}
    options |= method.applying({"segment": segment_for(frames), "threads": 1})
    return method.build(**options)


def _affordable(pilot: Run, starts: int, frames: int, meter: Meter) -> tuple[int, int]:
    """Return how many starts, and over how many frames, there is time for."""
    force = pilot.seconds / max(pilot.evaluations, 1)
    frame = pilot.seconds + SEARCH * force
    most = meter.left / frame if frame > 0 else math.inf
    if most >= starts * frames:
        return starts, frames
    return max(int(most // frames), 1), min(frames, max(int(most), 1))


def _solved(
    method: AbstractIntegrator,
    system: AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    meter: Meter,
) -> np.ndarray:
    """Return the positions (S, N, D) at the end."""
    ends = [
        rolled(method, system, state[b], particles[b], frames, meter, None).x
        for b in range(len(state.x))
    ]
    return np.array(ends)


def _error(truth: np.ndarray, other: np.ndarray) -> float:
    """Position RMSE of one from the other, the median over starts."""
    return known_median(np.sqrt(((truth - other) ** 2).mean((1, 2))))


def _demand_truth(error: float, accuracy: float, method: AbstractIntegrator) -> None:
    if not math.isfinite(error):
        raise InputError(
            f"`horizon`: the truth, {method.name}, does not get there from the starts; use a "
            "shorter one or other parameters"
        )
    if error > SHARE * accuracy:
        raise InputError(
            f"`accuracy` {accuracy:.1e}: nothing here is known to reach it, as the truth, "
            f"{method.name}, differs from a looser one by {error:.1e}; ask for "
            f"{error / SHARE:.0e} or more, or a shorter `horizon`"
        )
