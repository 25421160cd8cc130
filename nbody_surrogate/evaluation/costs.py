"""What a run costs, by one rule: all methods on the same starts, as often as there is time for.

A start costs the median of its repeats, a method the median of its starts, so that neither another
process nor one close encounter decides. Two methods are held against each other start by start.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import State
from nbody_surrogate.evaluation.rollouts import Truth
from nbody_surrogate.results.bootstrap import Interval, mean_interval
from nbody_surrogate.results.quantiles import known_median, quantiles
from nbody_surrogate.simulation.observers import WarmUp
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

__all__ = ["Costs", "frame_costs", "quartiles", "time_ratio", "typical"]

STARTS, FRAMES = 5, 50  # that are timed

Times = Float64[np.ndarray, "R S"]
"""Of repeats and starts; NaN where nothing was timed, infinite of a run that got nowhere."""


class Costs:
    """Milliseconds per valid frame of one trajectory, and evaluations of a frame, by method."""

    def __init__(self, times: Mapping[str, Times], evaluations: Mapping[str, float | None]) -> None:
        self.times, self.evaluations = dict(times), dict(evaluations)

    def milliseconds(self, label: str) -> float:
        """Return what a frame costs; NaN where none was valid."""
        return typical(self.times[label])

    def ratio(self, first: str, second: str) -> Interval:
        """Return the time of the first method over that of the second, start by start."""
        return time_ratio(self.times[first], self.times[second])


def typical(times: Times) -> float:
    """Return the cost of a method; NaN where nothing was timed."""
    return known_median(_each(times))


def quartiles(times: Times) -> tuple[float, float]:
    """Return the quartiles of what the median of `typical` is of."""
    lower, upper = quantiles(_each(times), [0.25, 0.75])
    return float(lower), float(upper)


def time_ratio(first: Float64[np.ndarray, "R S"], second: Float64[np.ndarray, "Q S"]) -> Interval:
    """Return the geometric mean of the ratio of two methods' times, with its 95 % interval.

    It is over the starts that both were timed on; of a single start, over the repeats that both
    have, which were taken in turn.
    """
    one, other = _each(first), _each(second)
    both = min(len(one), len(other))  # of one start, a fast method has more repeats
    with np.errstate(divide="ignore", invalid="ignore"):  # of runs that got nowhere
        logs = np.log(one[:both]) - np.log(other[:both])
    found = mean_interval(logs[np.isfinite(logs)])
    return Interval(*(float(np.exp(each)) for each in (found.value, found.low, found.high)))


def _each(times: Times) -> Float64[np.ndarray, " K"]:
    """Return the median of each start, or of the only one its repeats."""
    if times.shape[1] == 1:
        return np.asarray(times[:, 0])
    return np.array([known_median(start) for start in times.T])


def frame_costs(methods: Mapping[str, AbstractIntegrator], truth: Truth) -> Costs:
    """Time runs of single trajectories, the methods in turn, all on the same starts."""
    times: dict[str, list[float]] = {label: [] for label in methods}
    spent = dict.fromkeys(methods, 0)  # evaluations of the force
    frames = dict.fromkeys(methods, 0)
    for b in range(min(STARTS, len(truth.x))):
        hidden = {name: values[b : b + 1, 0] for name, values in truth.hidden.items()}
        state = State(0.0, truth.x[b : b + 1, 0], truth.v[b : b + 1, 0], hidden=hidden)
        for label, method in methods.items():
            first = [WarmUp()] if b == 0 else []
            run = simulate(
                truth.system,
                state,
                truth.particles[b],
                FRAMES,
                method,
                outside=None,  # the method alone: what is told beside it is timed elsewhere
                error_estimate=False,
                observers=first,
            )
            covered = run.valid_frames.item() - 1  # a run that stopped is not a fast one
            times[label].append(1e3 * run.info.wall_time / covered if covered else np.nan)
            if covered:
                spent[label] += run.info.counters.get("nfev", 0)
                frames[label] += covered
    return Costs(
        {label: np.array([each]) for label, each in times.items()},
        {
            label: _evaluations(method, spent[label], frames[label])
            for label, method in methods.items()
        },
    )


def _evaluations(method: AbstractIntegrator, spent: int, frames: int) -> float | None:
    """Of a frame, the mean over the timed starts: an adaptive solver's differ by powers of ten."""
    if isinstance(method, SurrogateIntegrator):
        return method.model.evaluations_per_frame
    return spent / frames if spent and frames else None
