"""The symmetries of surrogates: those that are declared hold, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from nbody_surrogate.testing.check import skip
from nbody_surrogate.testing.surrogate_case import SurrogateCase
from nbody_surrogate.testing.system_symmetries import IMPLIED, SYMMETRIES, maps
from nbody_surrogate.testing.windows import EXACT, Window, apart, last

__all__ = ["SYMMETRY_CHECKS"]

BROKEN = 1e-6
"""Relative to the larger of 1 and the increments: a symmetry that is off by less than this is one,
and has to be declared."""


def check_symmetry(case: SurrogateCase, symmetry: str) -> None:
    """Symmetries that are declared hold exactly, and no others."""
    declared = symmetry in case.model.symmetries
    off = max(VIOLATIONS.get(symmetry, partial(_violation, symmetry))(case))
    if declared:
        what = f"must not hold {symmetry!r}: a window that is mapped by it gives increments that "
        case.demand(off <= EXACT, what + f"are off by {off:.1e}", "symmetries")
    else:
        what = f"must hold {symmetry!r}, which the model has to {off:.1e}: a system without it "
        case.demand(off > BROKEN, what + "would be taken", "symmetries")


def check_known_symmetries(case: SurrogateCase) -> None:
    """Symmetries are declared by names that systems have, and the card holds the same ones."""
    unknown = sorted(case.model.symmetries - {*SYMMETRIES, *IMPLIED})
    known = ", ".join((*SYMMETRIES, *IMPLIED))
    case.demand(not unknown, f"must be among {known}; got {', '.join(unknown)}", "symmetries")
    claimed, held = set(case.card.symmetries), set(case.model.symmetries)
    what = f"must be those of the card, {sorted(claimed)}, got {sorted(held)}"
    case.demand(claimed == held, what, "symmetries")


def check_axial_symmetries(case: SurrogateCase) -> None:
    """Symmetries about an axis hold where they are declared, about z or about y."""
    declared = case.model.symmetries & IMPLIED.keys()
    if not declared:
        raise skip("none is declared")
    for symmetry in sorted(declared):
        off = min(max(_violation(symmetry, case, axis)) for axis in (2, 1))
        what = f"must not hold {symmetry!r}: a window that is mapped by it gives increments that "
        case.demand(off <= EXACT, what + f"are off by {off:.1e}", "symmetries")


def _violation(symmetry: str, case: SurrogateCase, axis: int = 2) -> Iterator[float]:
    """By how much increments of mapped windows differ from mapped increments."""
    window = case.window()
    plain = window.of(case.model)
    rng = np.random.default_rng(1)
    yield 0.0
    for each in maps(symmetry, rng, window.x.shape[3], window.x.shape[2], axis):
        mapped = Window(*each.states(window.x, window.v, window.particles)).of(case.model)
        yield apart([each.vectors(dy) for dy in plain], mapped)


def _of_boost(case: SurrogateCase) -> Iterator[float]:
    """Motion seen from a moving train: x + u t, v + u."""
    window = case.window()
    u = np.random.default_rng(2).normal(size=window.x.shape[3])
    times = 5.0 + case.dt * np.arange(window.x.shape[1])[:, None, None]
    dx, dv = window.of(case.model)
    moving = window._replace(x=window.x + u * times, v=window.v + u)
    yield apart((dx + u * case.dt, dv), moving.of(case.model))


def _of_time_shift(case: SurrogateCase) -> Iterator[float]:
    """Windows of a longer trajectory give its increments, wherever they lie."""
    yield 0.0
    if case.one_shot:
        return  # its answer is that of its window, which says nothing of the time
    window, count = case.long_window(), case.frames
    plain = window.of(case.model)
    for k in range(window.x.shape[1] - count + 1):
        shot, at = window.frames(slice(k, k + count)).of(case.model), k + count - 1
        yield apart([dy[:, at : at + 1] for dy in plain], last(shot))


def _of_time_reversal(case: SurrogateCase) -> Iterator[float]:
    """From where a frame leads, with velocities turned round, the way back; of single frames."""
    if case.model.min_history > 1:
        yield np.inf  # several frames are needed, whose way back is not known
        return
    window = case.window(1)
    dx, dv = window.of(case.model)
    back = window._replace(x=window.x + dx, v=-(window.v + dv))
    yield apart((-dx, dv), back.of(case.model))


VIOLATIONS: dict[str, Callable[[SurrogateCase], Iterator[float]]] = {
    "boost": _of_boost,
    "time-shift": _of_time_shift,
    "time-reversal": _of_time_reversal,
}


SYMMETRY_CHECKS: tuple[tuple[Callable[..., None], tuple[str, ...]], ...] = (
    (check_known_symmetries, ()),
    *((check_symmetry, (symmetry,)) for symmetry in SYMMETRIES),
    (check_axial_symmetries, ()),
)
