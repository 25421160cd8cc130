"""How far each surrogate is from the best classical method at its error, and at its time.

Each classical method is a curve of error over time, by its settings. Between two settings it is
interpolated in the logarithms of both, but not between k and k + 1 sub-steps, where there is no
other. The best one at an error is the one whose curve gets there in the least time; a method whose
coarsest setting is more accurate than was asked counts with that setting. Many starts at once may
also be run one by one, where that is cheaper.

Intervals are of 95 %, from resampled starts (Efron 1979): the same ones for all methods, so that
what one start costs all of them cancels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision
from nbody_surrogate.integrators.method_text import short_number
from nbody_surrogate.results.bootstrap import Interval, plain
from nbody_surrogate.results.quantiles import median, quantiles

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Standing", "best_methods", "standing_text", "standings"]

RESAMPLES = 500  # 12 beyond each end: two digits of a ratio are all that is said
ENDS = (0.025, 0.975)


class Standing(NamedTuple):
    """A surrogate against the whole classical front of its horizon and batch.

    Attributes
    ----------
    point : Point
        Of the surrogate.
    at_error, at_time : str or None
        The best classical method at its error, and at its time, with the settings around; None
        where none is as accurate, or as fast.
    time_ratio : Interval or None
        Its time over that of the best classical method at its error.
    error_ratio : Interval or None
        Its error over that of the best classical method at its time.
    """

    point: Point
    at_error: str | None
    time_ratio: Interval | None
    at_time: str | None
    error_ratio: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        ratios = {"time_ratio": self.time_ratio, "error_ratio": self.error_ratio}
        return {
            "horizon": self.point.horizon,
            "batch": self.point.batch,
            "model": self.point.label,
            "at_error": self.at_error,
            "at_time": self.at_time,
            **{key: None if each is None else plain(asdict(each)) for key, each in ratios.items()},
        }


class _Curve(NamedTuple):
    """A method over its settings, from coarse to fine; the first row is measured, others resampled.

    Attributes
    ----------
    points : list of Point
    errors, times : ndarray, shape (1 + K, P)
    """

    points: list[Point]
    errors: Float64[np.ndarray, "K P"]
    times: Float64[np.ndarray, "K P"]


def standings(found: WorkPrecision) -> list[Standing]:
    """Hold each surrogate, at each horizon and batch, against the classical front.

    Parameters
    ----------
    found : WorkPrecision

    Returns
    -------
    list of Standing
    """
    made = []
    for horizon, batch in found.groups:
        group = found.group(horizon, batch)
        beside = [] if batch == 1 else found.group(horizon, 1)
        curves = [*_curves(group), *_curves(beside)]
        for point in (each for each in group if each.learned):
            made.append(_standing(point, curves))
    return made


def best_methods(group: list[Point]) -> list[tuple[float, str, float]]:
    """Name the classical method that is cheapest at each power of ten of the error.

    Parameters
    ----------
    group : list of Point
        Of one horizon and batch.

    Returns
    -------
    list of tuple
        The error, the method with its settings, and milliseconds per time unit; errors that no
        method is within, or all are, are left out.
    """
    curves = _curves(group)
    errors = [point.error.value for curve in curves for point in curve.points]
    if not errors:
        return []
    decades = range(math.floor(math.log10(max(errors))), math.ceil(math.log10(min(errors))) - 1, -1)
    found = []
    for error in (10.0**power for power in decades):
        name, times = _best(curves, np.full(1 + RESAMPLES, error), _time_at)
        if name is not None:
            found.append((error, name, float(times[0])))
    return found


def standing_text(each: Standing) -> str:
    """Say in a sentence how far a surrogate is from the front."""
    name = each.point.label
    if each.at_error is None or each.time_ratio is None:
        first = f"no classical method here is as accurate as {name}"
    else:
        first = (
            f"the best classical method at the error of {name} is {each.at_error}, of which it "
            f"takes {each.time_ratio.as_factor()} times the time"
        )
    if each.at_time is None or each.error_ratio is None:
        return f"{first}; none is as fast."
    return (
        f"{first}; at its time the best is {each.at_time}, of which it has "
        f"{each.error_ratio.as_factor()} times the error."
    )


def _standing(point: Point, curves: Sequence[_Curve]) -> Standing:
    own = _curve([point])
    error, time = own.errors[:, 0], own.times[:, 0]
    at_error, times = _best(curves, error, _time_at)
    at_time, errors = _best(curves, time, _error_at)
    return Standing(
        point,
        at_error,
        None if at_error is None else _ratio(time, times),
        at_time,
        None if at_time is None else _ratio(error, errors),
    )


def _curves(group: list[Point]) -> list[_Curve]:
    """Return the curve of each classical method."""
    families: dict[str, list[Point]] = {}
    for point in group:
        if not point.learned and np.isfinite([point.error.value, point.milliseconds]).all():
            families.setdefault(point.family, []).append(point)
    return [_curve(sorted(each, key=lambda p: -p.error.value)) for each in families.values()]


def _curve(points: list[Point]) -> _Curve:
    errors = np.stack([_resampled(p.error.value, _starts(p)) for p in points], axis=1)
    times = np.stack([_resampled(p.milliseconds, _groups(p)) for p in points], axis=1)
    return _Curve(points, errors, times)


def _starts(point: Point) -> np.ndarray:
    """Errors of each start whose truth is known."""
    errors = np.array([point.error.value]) if point.errors is None else point.errors
    return np.asarray(errors[~np.isnan(errors)])


def _groups(point: Point) -> np.ndarray:
    """Milliseconds per time unit of each group of starts, the median of its repeats."""
    if point.times is None:
        return np.array([point.milliseconds])
    each = np.median(point.times, axis=0) if point.times.shape[1] > 1 else point.times[:, 0]
    # times are in seconds per trajectory; the scale is that of what was said of them
    scale = point.milliseconds / float(np.median(each))
    return np.asarray(scale * each)


def _resampled(value: float, sample: np.ndarray) -> np.ndarray:
    """Return a median, and those of resamples: the same draws for all samples of one size."""
    if not sample.size:
        return np.full(1 + RESAMPLES, value)
    draws = np.random.default_rng(0).integers(sample.size, size=(RESAMPLES, sample.size))
    return np.concatenate([[value], median(sample[draws], axis=1)])


def _best(
    curves: Sequence[_Curve], at: np.ndarray, along: Callable[..., tuple[np.ndarray, list[Point]]]
) -> tuple[str | None, Float64[np.ndarray, " K"]]:
    """Return the curve that is lowest where it was measured, in words, and the least of all."""
    if not curves:
        return None, at
    found = [along(curve, at) for curve in curves]
    values = np.stack([least for least, _ in found])
    lowest = int(np.argmin(values[:, 0]))
    if not np.isfinite(values[lowest, 0]):
        return None, at
    return _name(found[lowest][1]), values.min(0)


def _time_at(curve: _Curve, error: np.ndarray) -> tuple[np.ndarray, list[Point]]:
    """Return the least time (K,) in which a method is as accurate; infinite of one that is not."""
    return _crossing(curve.points, curve.errors, curve.times, error)


def _error_at(curve: _Curve, time: np.ndarray) -> tuple[np.ndarray, list[Point]]:
    """Return the least error (K,) of a method in a time; infinite of one that takes longer."""
    points = curve.points[::-1]  # from slow to fast, as heights are to fall
    return _crossing(points, curve.times[:, ::-1], curve.errors[:, ::-1], time)


def _crossing(
    points: list[Point], height: np.ndarray, cost: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, list[Point]]:
    """Return the least cost (K,) at which the height is not above the one wanted, and where.

    Where is of the first row: a setting, or two neighbours.
    """
    limit = wanted[:, None]
    with np.errstate(all="ignore"):  # infinite errors, and equal ones
        high, low = np.log(height[:, :-1]), np.log(height[:, 1:])
        share = (high - np.log(limit)) / (high - low)
        between = np.exp(np.log(cost[:, :-1]) * (1 - share) + np.log(cost[:, 1:]) * share)
    crossed = (height[:, :-1] > limit) & (height[:, 1:] <= limit) & np.isfinite(between)
    crossed &= np.array([_has_between(*pair) for pair in itertools.pairwise(points)], dtype=bool)
    at, inside = np.where(height <= limit, cost, np.inf), np.where(crossed, between, np.inf)
    k = int(np.argmin(at[0]))
    where = points[k : k + 1]
    if inside[0].min(initial=np.inf) < at[0, k]:
        k = int(np.argmin(inside[0]))
        where = points[k : k + 2]
    return np.minimum(at.min(1), inside.min(1, initial=np.inf)), where


def _has_between(first: Point, second: Point) -> bool:
    """Whether a method has settings between two: tolerances always, sub-steps k and k + 1 not."""
    if first.parameter is None or second.parameter is None:
        return False
    return not (first.parameter >= 1 and abs(first.parameter - second.parameter) == 1)


def _name(where: list[Point]) -> str:
    """Name a method with the settings that it is at or between, from coarse to fine."""
    coarse = sorted(where, key=lambda point: -point.error.value)
    numbers = [short_number(p.parameter) for p in coarse if p.parameter is not None]
    return f"{where[0].family} at {' to '.join(numbers)}" if numbers else where[0].family


def _ratio(first: np.ndarray, second: np.ndarray) -> Interval:
    """Return the ratio that was measured, and its interval by the resamples."""
    with np.errstate(all="ignore"):
        ratios = first / second
    (low, high) = (float(each) for each in quantiles(ratios[1:][~np.isnan(ratios[1:])], ENDS))
    return Interval(float(ratios[0]), low, high)
