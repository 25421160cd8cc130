"""The coarse and the fine method of parareal: made from texts, checked, their costs compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nbody_surrogate.contracts.hidden_variables import listed
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.wording import duration_text
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.approximate import Approximated
from nbody_surrogate.integrators.build import Method, find_method, method_from
from nbody_surrogate.integrators.method_text import as_integrator, check_text
from nbody_surrogate.integrators.parareal.options import described
from nbody_surrogate.integrators.parareal.slices import SlicedFrames, SliceStart, make_slice
from nbody_surrogate.registry.registry import system_from

__all__ = ["Pair", "check_costs", "check_pair", "demand_sendable", "find", "made_method"]

Given = str | dict[str, Any]

IN_MEMORY = "in memory"
"""The hash of weights that are in no file."""

CLEARLY = 10.0
"""Ratio of two times from where a single measurement will do, first compilation included."""


@dataclass(frozen=True)
class Pair:
    """The two methods of parareal.

    Attributes
    ----------
    coarse, fine : AbstractIntegrator
    """

    coarse: AbstractIntegrator
    fine: AbstractIntegrator

    @property
    def counted(self) -> bool:
        """Whether a force evaluation of the one costs what one of the other does.

        Counts can be compared then, and times must be else.
        """
        both = (self.coarse, self.fine)
        return not any(_is_learned(each) or isinstance(each, Approximated) for each in both)


def find(label: str, given: Given) -> Method:
    """Find a method, before one is made.

    Raises
    ------
    InputError
    """
    with _calling(label):
        if isinstance(given, str):
            return check_text(given)
        return find_method(str(given.get("integrator")), label)


def made_method(
    label: str, given: Given, system: AbstractSystem, length: int
) -> AbstractIntegrator:
    """Make a method for a system; one that is given by a text has slices as segments.

    Raises
    ------
    InputError
    """
    with _calling(label):
        if not isinstance(given, str):
            return method_from(given)
        method = as_integrator(given, system)
        options = {**described(method), "segment": length}
        if label == "coarse" and _is_learned(method):
            options["dtype"] = "float64"  # whose differences have digits enough
        return method_from(options)


def check_pair(pair: Pair, problem: Problem, state: State) -> None:
    """Refuse methods that do not fit the problem, or a slice's start.

    Raises
    ------
    InputError
    """
    for label, method in (("coarse", pair.coarse), ("fine", pair.fine)):
        with _calling(label):
            method.check(problem.system, state, problem.particles, problem.dt)
        if problem.system.hidden_variables and not method.keeps_hidden:
            raise InputError(
                f"`{label}` {method.name} of integrator 'parareal' is a surrogate, which keeps no "
                f"hidden variables, and system {problem.system.name!r} has "
                f"{listed([each.name for each in problem.system.hidden_variables])}; use a solver"
            )
        needed, window = _frames_before(method)
        if needed > 1:
            raise InputError(
                f"`{label}` {method.name} of integrator 'parareal' begins with {needed} frames, "
                "which a solver makes, and the start of a slice is one; use a method that begins "
                "with a single frame"
            )
        if label == "fine" and window > 1:  # else the result would not be what it makes alone
            raise InputError(
                f"`fine` {method.name} of integrator 'parareal' looks back on {window} frames, and "
                "the start of a slice is one; use a method that looks back on none"
            )
    if _dtype(pair.coarse) == "float32":
        raise InputError(
            f"`coarse` {pair.coarse.name} of integrator 'parareal' computes in float32, whose "
            "rounding keeps corrections from settling; make it with dtype='float64'"
        )


def check_costs(pair: Pair, problem: Problem, state: State) -> None:
    """Refuse a coarse method that takes as much as the fine one, by the first frame of each.

    Raises
    ------
    InputError
    """
    start = SliceStart(0, state.x, state.v, hidden=state.hidden)
    coarse, fine = (make_slice(each, problem, start, 1) for each in (pair.coarse, pair.fine))
    if pair.counted:
        spent, allowed = f"{coarse.calls}", f"{fine.calls} force evaluations"
        dearer = 0 < fine.calls <= coarse.calls
    else:
        seconds = _seconds(pair, problem, start, (coarse, fine))
        spent, allowed = (duration_text(each) for each in seconds)
        dearer = seconds[1] <= seconds[0]
    if dearer:
        raise InputError(
            f"`coarse` {pair.coarse.name} of integrator 'parareal' must cost less than `fine` "
            f"{pair.fine.name}: the first frame takes it {spent}, and the fine method {allowed}; "
            "use a cheaper one, or the fine method alone"
        )


def demand_sendable(fine: AbstractIntegrator, system: AbstractSystem) -> None:
    """Refuse what another process cannot make by its name.

    Raises
    ------
    InputError
    """
    if fine.description.get("weights_hash") == IN_MEMORY:
        raise InputError(
            f"`fine` {fine.name} of integrator 'parareal' is a model in memory, which is not sent "
            "to other processes; use threads, or its weights in a folder"
        )
    try:
        find_method(fine.name)
    except InputError:
        raise InputError(
            f"`fine` {fine.name} of integrator 'parareal' is not registered, and what is sent to "
            "other processes is its name; use threads, or register it in a plugin"
        ) from None
    try:
        same = type(system_from(system.description)) is type(system)
    except InputError:
        same = False
    if not same:
        raise InputError(
            f"`system` {system.name!r} is not made by its name and parameters alone, and nothing "
            "else of it is sent to other processes; use threads"
        )


def _seconds(
    pair: Pair, problem: Problem, start: SliceStart, first: tuple[SlicedFrames, SlicedFrames]
) -> tuple[float, float]:
    """Return the times of a frame by both, without what compiling took of the first ones."""
    times = [first[0].seconds, first[1].seconds]
    for which, method in enumerate((pair.coarse, pair.fine)):
        if which == 1 and times[1] > CLEARLY * times[0]:
            break  # a dear force need not be asked again
        times[which] = min(times[which], make_slice(method, problem, start, 1).seconds)
    return times[0], times[1]


def _frames_before(method: AbstractIntegrator) -> tuple[int, int]:
    """Return how many frames a method cannot do without, and how many it looks back on."""
    if not _is_learned(method):
        return 1, 1
    # it is loaded by now, and needs torch, which solvers do without
    from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

    if not isinstance(method, SurrogateIntegrator):
        return 1, 1
    return method.model.min_history, method.history


def _is_learned(method: AbstractIntegrator) -> bool:
    return bool(method.fingerprint)


def _dtype(method: AbstractIntegrator) -> Any:
    return method.description.get("dtype")


@contextmanager
def _calling(label: str) -> Iterator[None]:
    """Let errors say which of the two methods they are about."""
    try:
        yield
    except InputError as error:
        said = str(error)
        for name in ("integrators", "integrator"):
            said = said.replace(f"`{name}`", f"`{label}`")
        raise InputError(f"{said} (`{label}` of integrator 'parareal')") from None
