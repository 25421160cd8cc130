"""What integrators are held to: frames as announced, problems that make sense, clean failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.arrays import real_array
from nbody_surrogate.contracts.capabilities import refuse_unmet_needs
from nbody_surrogate.contracts.hidden_variables import demand_hidden, refuse_wrong_hidden
from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.segment import FAILED, OK, Carry, Frames, Problem
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.time_text import number_text, time_text
from nbody_surrogate.contracts.violations import described, plugin_errors, violation
from nbody_surrogate.errors import InputError

__all__ = [
    "demand_frames",
    "freeze_failures",
    "refuse_coincidence",
    "refuse_mismatch",
    "refuse_unfit_frames",
    "refuse_wrong_forces",
]


def demand_frames(origin: Origin, carry: Carry, frames: int, result: Any) -> None:
    """Demand what an implementer must return, in arrays that may be written to."""
    if not isinstance(result, Frames):
        raise violation(origin, "_advance", f"must return `Frames`, got {described(result)}")
    batch, *rest = carry.arrays["x"].shape
    shape = (batch, frames, *rest)
    for name in ("x", "v"):
        values = getattr(result, name)
        fits = isinstance(values, np.ndarray) and values.dtype == np.float64
        if not (fits and values.shape == shape):
            wanted = f"`{name}` as a float64 array of shape (B, F, N, D) = {shape}"
            raise violation(origin, "_advance", f"must return {wanted}, got {described(values)}")
        # `freeze_failures` writes into it, and a plugin may return a broadcast view of its input
        if not values.flags.writeable:
            setattr(result, name, values.copy())
    _demand_dict(origin, "arrays", result.arrays, str)
    _demand_failures(origin, result.failures, batch, frames)
    _demand_counters(origin, result.counters)
    # JSON knows Python's numbers only
    result.counters = {name: int(count) for name, count in result.counters.items()}
    variables = carry.problem.system.hidden_variables
    if origin.kind == "surrogate":  # which is never shown them
        variables = ()
    demand_hidden(origin, "_advance", variables, result.hidden, (batch, frames), shape[2:])
    for name, values in result.hidden.items():
        if not values.flags.writeable:
            result.hidden[name] = values.copy()


def _demand_failures(origin: Origin, failures: Any, batch: int, frames: int) -> None:
    # a wrong number would freeze the frames of a trajectory that is well
    _demand_dict(origin, "failures", failures, (int, np.integer))
    for failed, report in failures.items():
        what = f"must report failures of trajectories 0 to {batch - 1} at 0 to {frames} frames"
        if not (isinstance(report, tuple) and len(report) == 2):
            raise violation(origin, "_advance", f"{what}, got {described(report)}")
        valid, why = report
        if not (_is_whole(valid) and isinstance(why, str)):
            got = f"{described(valid)} and {described(why)}"
            raise violation(origin, "_advance", f"{what}, each with its reason, got {got}")
        if not (0 <= failed < batch and 0 <= valid <= frames):
            raise violation(origin, "_advance", f"{what}, got trajectory {failed} at frame {valid}")


def _demand_counters(origin: Origin, counters: Any) -> None:
    # they are added up over segments, and stored as JSON
    _demand_dict(origin, "counters", counters, str)
    for name, value in counters.items():
        if not (_is_whole(value) and value >= 0):
            got = str(value) if _is_whole(value) else described(value)
            what = f"must count in whole numbers >= 0, got {got} for {name!r}"
            raise violation(origin, "_advance", what)


def _demand_dict(origin: Origin, field: str, values: Any, keys: Any) -> None:
    if not isinstance(values, dict) or not all(isinstance(key, keys) for key in values):
        of = "names" if keys is str else "trajectories by their numbers"
        what = f"must return `{field}` as a dict of {of}, got {described(values)}"
        raise violation(origin, "_advance", what)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def refuse_unfit(
    method: str,
    capabilities: frozenset[str],
    system: AbstractSystem,
    state: State,
    keeps_hidden: bool = True,
) -> None:
    """Raise where a method cannot do what a system needs, or a state is not one of the system.

    A method that keeps no hidden variables, a surrogate, goes on from frames of its own, which hold
    none.

    Raises
    ------
    InputError
    """
    refuse_unmet_needs(method, capabilities, system.name, system.needs)
    box, dimensions = system.box, state.x.shape[2]
    if box is not None and box.dimension != dimensions:
        raise InputError(
            f"`state` must have the {box.dimension} dimensions of the box of system "
            f"{system.name!r}, got {dimensions}"
        )
    if keeps_hidden or state.hidden:
        refuse_wrong_hidden(system.name, system.hidden_variables, state.hidden, state.x.shape)


def refuse_mismatch(state: State, particles: Particles, dt: float) -> None:
    """Raise where state, particles and frame spacing do not make a problem.

    Raises
    ------
    InputError
        If shapes disagree, or `dt` is not positive or too small for the time.
    """
    demand_kind("state", state, State, "a State, of system.sample, read_initial or State(t, x, v)")
    demand_kind("particles", particles, Particles, "Particles, such as system.sample(...) returns")
    if not (np.isfinite(dt) and dt > 0):
        raise InputError(f"`dt` must be finite and > 0, got {dt}")
    if state.x.shape[:2] != particles.charges.shape:
        raise InputError(
            f"`particles` must match the (B, N) of `state` {state.x.shape[:2]}, "
            f"got {particles.charges.shape}; `particles[b]` are those of one trajectory"
        )
    if state.t + dt == state.t:
        raise InputError(
            f"`dt` {number_text(dt)} is lost in the rounding of times near "
            f"t = {number_text(state.t)}; "
            "use a larger one, or start at t = 0"
        )


def refuse_coincidence(problem: Problem, state: State) -> None:
    """Raise where the forces are infinite because two particles are at the same place.

    Forces are looked at only where two are: they may take a library of seconds, which a surrogate
    does without.
    """
    # of nearly all states no two particles have a coordinate in common
    if not (np.diff(np.sort(state.x[..., 0], axis=1), axis=1) == 0).any():
        return
    # equal positions are neighbours once sorted, so that not all pairs need comparing
    order = np.lexsort(state.x.transpose(2, 0, 1), axis=-1)
    sorted_x = np.take_along_axis(state.x, order[..., None], axis=1)
    same = (np.diff(sorted_x, axis=1) == 0).all(2)
    if not same.any():
        return
    # dividing by zero is what is looked for here, so NumPy need not warn of it
    with np.errstate(all="ignore"):
        forces = problem.system.acceleration(state.x, state.v, problem.particles, state.hidden)
    infinite = ~np.isfinite(forces).all((1, 2))
    for b in np.flatnonzero(infinite & same.any(1)):
        i, j = sorted(order[b, same[b].argmax() :][:2].tolist())
        # no advice to set a parameter that the system lacks
        softened = "softening" in type(problem.system.spec).model_fields
        hint = ", or use a softening > 0" if softened else ""
        raise InputError(
            f"`state` has particles {i} and {j} of trajectory {b} at the same place, where "
            f"the forces of system {problem.system.name!r} are not finite; "
            f"move them apart{hint}"
        )


def refuse_wrong_forces(method: Origin, problem: Problem, state: State) -> None:
    """Let a system look at its forces before a run; a surrogate, which does without, asks for none.

    Raises
    ------
    InputError
    """
    if method.kind != "surrogate":
        with plugin_errors(problem.system.origin, "check_start"):
            problem.system.check_start(state, problem.particles)


def freeze_failures(
    carry: Carry, result: Frames, whose_fault: Callable[..., str]
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Hold each failed or non-finite trajectory at its last good frame."""
    batch, frames = result.x.shape[:2]
    good = np.full(batch, frames, dtype=np.int64)
    message = [""] * batch
    made = (result.x, result.v, *result.hidden.values())
    if not result.failures and all(np.isfinite(values).all() for values in made):
        return np.full(batch, OK), tuple(message), good
    parts = [(result.x, carry.arrays["x"]), (result.v, carry.arrays["v"])]
    parts += [(values, carry.hidden[name]) for name, values in result.hidden.items()]
    finite = np.ones((batch, frames), dtype=bool)
    for values, _ in parts:
        finite &= np.isfinite(values).all(tuple(range(2, values.ndim)))
    for b in np.flatnonzero(~finite.all(1)):
        good[b] = int(np.argmin(finite[b]))
        message[b] = "the state became non-finite"
    for failed, (valid, why) in result.failures.items():
        # where both are at the same frame, the method knows better why than NaN does
        if valid <= good[failed]:
            good[failed], message[failed] = valid, why
    for b in np.flatnonzero(good < frames):
        time = carry.problem.time(carry.frame + int(good[b]))
        # in its first frame of all, a trajectory is held where the boundary had it
        for values, before in parts:
            values[b, good[b] :] = values[b, good[b] - 1] if good[b] else before[b]
        last = [values[b, -1:] for values, _ in parts]
        hidden = dict(zip(result.hidden, last[2:], strict=True))
        # the forces at the last good state tell whether the system is to blame
        held = State(time, last[0], last[1], hidden=hidden)
        whose = whose_fault(carry.problem, int(b), held, bool(finite[b].all()))
        when = time_text(time, carry.problem.dt)
        message[b] = f"{message[b]} after t = {when}{whose}"
    status = np.where(good < frames, FAILED, OK)
    return status, tuple(message), good


def refuse_unfit_frames(problem: Problem, x: np.ndarray, v: np.ndarray) -> None:
    """Refuse frames to go on from, in reduced units, that are not those of the problem.

    Raises
    ------
    InputError
        If `x` and `v` are not (B, W, N, D), W at least 1, with the problem's B and N.
    """
    batch, n = problem.particles.charges.shape
    place, velocity = real_array("x", x).shape, real_array("v", v).shape
    if place != velocity or len(place) != 4 or place[::2] != (batch, n) or place[1] < 1:
        raise InputError(
            f"`x` and `v` must have shape (B, W, N, D) with (B, N) = {(batch, n)} and W of 1 or "
            f"more, got {place} and {velocity}"
        )
