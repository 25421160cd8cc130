"""What every integrator must do, and every surrogate under the call of one.

None of it asks how accurate a method is. Where a comparison with the truth is needed, to see
whether a method does what it accepts to do, it is with the method's own error elsewhere.
"""

from __future__ import annotations

import copy
import io
import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from nbody_surrogate.contracts.capabilities import CAPABILITIES
from nbody_surrogate.contracts.segment import Carry
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.lookup import short_name
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.testing.case import StepperCase
from nbody_surrogate.testing.probes import (
    SEGMENT,
    OnlyNumPy,
    Relaxing,
    SoftSpheres,
    error_of,
)

__all__ = ["INTEGRATOR_CHECKS"]

ROUNDING = 1e-9
"""Relative, after some ten frames: rounding errors, 1e-16, times their growth."""

LATER = 1.0  # at t = 0, solvers shorten steps to 1e-323 before they give up

TIMES = 1e-7
"""Relative: what another starting time may change in an adaptive solver, by its tolerance."""

WORSE, SMALL = 100.0, 1e-4
"""A method may be so many times less accurate on one problem than on another, or be off by so
little over the way that particles go."""


def check_description(case: StepperCase) -> None:
    """Name and description are plain values that find the integrator again."""
    integrator = case.make()
    wanted = short_name(case.origin.name)
    found = short_name(integrator.name)
    case.demand(found == wanted, f"must be its registered name {wanted!r}, it is {found!r}", "name")
    try:
        json.dumps(integrator.description, allow_nan=False)
    except (TypeError, ValueError) as error:
        case.demand(False, f"must hold plain values that JSON can store: {error}", "description")


def check_shapes(case: StepperCase) -> None:
    """Frames are finite float64 arrays (B, F, N, D), in two dimensions and in three."""
    for dimensions in case.dimensions:
        start = case.start(1, 2, dimensions=dimensions)
        _demand_good(case, _run_or_refusal(case, start, refusable=dimensions == 2))


def check_few_particles(case: StepperCase) -> None:
    """One particle and two are run, or refused in one line."""
    for n in (1, 2):
        _demand_good(case, _run_or_refusal(case, case.start(2, 2, n), refusable=True))


def check_batch(case: StepperCase) -> None:
    """A trajectory is the same in a batch as alone, to the bit where `batch_invariant` says so."""
    state, particles = case.start(3, 3)
    integrator = case.make(segment=SEGMENT)
    together = case.run(integrator, state, particles, SEGMENT + 1)
    allowed = 0.0 if integrator.batch_invariant_for(case.system) else ROUNDING
    for b in range(3):
        alone = case.run(integrator, state[b], particles[b], SEGMENT + 1)
        off = _apart(together.x[b], alone.x[0]) + _apart(together.v[b], alone.v[0])
        what = "must give a trajectory the same frames in a batch as alone, "
        what += f"to {allowed:g}; trajectory {b} of 3 differs by {off:.1e}"
        case.demand(off <= allowed, what)


def check_inputs_unchanged(case: StepperCase) -> None:
    """No array that is handed in is changed: state, particles, carry."""
    state, particles = case.start(4, 2)
    state, particles = _writeable(state), _writeable(particles)
    kept = copy.deepcopy((state.x, state.v, particles.charges, particles.masses))
    integrator = case.make(segment=SEGMENT)
    carry = integrator.start(case.system, state, particles, case.dt)
    for _ in range(2):
        before = {key: copy.deepcopy(value) for key, value in carry.arrays.items()}
        following = integrator.advance(carry, SEGMENT).carry
        for key, value in before.items():
            same = _same(value, carry.arrays[key])
            what = f"must leave its input as it is, it changed {key!r} of the carry"
            case.demand(same, what)
        assert following is not None
        carry = following
    given = (state.x, state.v, particles.charges, particles.masses)
    for name, now, then in zip(("x", "v", "charges", "masses"), given, kept, strict=True):
        case.demand(_same(now, then), f"must leave its input as it is, it changed `{name}`")


def check_determinism(case: StepperCase) -> None:
    """The same start gives the same bits, whatever ran before."""
    start, other = case.start(5, 2), case.start(6, 1)
    integrator = case.make(segment=SEGMENT)
    first = case.run(integrator, *start, SEGMENT + 2)
    case.run(integrator, *other, 1)
    for again in (integrator, case.make(segment=SEGMENT)):
        second = case.run(again, *start, SEGMENT + 2)
        off = _apart(first.x, second.x) + _apart(first.v, second.v)
        what = f"must give the same bits for the same start, a second run differs by {off:.1e}"
        case.demand(off == 0, what)


def check_shorter_runs(case: StepperCase) -> None:
    """A shorter run is the beginning of a longer one, to the bit."""
    start = case.start(7, 2)
    integrator = case.make(segment=SEGMENT)
    longer = case.run(integrator, *start, 2 * SEGMENT + 1)
    for frames in (1, SEGMENT, SEGMENT + 2):
        shorter = case.run(integrator, *start, frames)
        off = _apart(shorter.x, longer.x[:, : frames + 1])
        what = f"must make a run of {frames} frames the beginning of one of {2 * SEGMENT + 1}, "
        case.demand(off == 0, what + f"it differs by {off:.1e}")


def check_restart(case: StepperCase) -> None:
    """A carry that is stored, read and handed to a fresh integrator goes on with the same bits."""
    state, particles = case.start(8, 2)
    state = replace(state, t=LATER)
    integrator = case.make(segment=SEGMENT)
    whole = case.run(integrator, state, particles, 2 * SEGMENT)
    carry = integrator.advance(
        integrator.start(case.system, state, particles, case.dt), SEGMENT
    ).carry
    assert carry is not None
    arrays = MappingProxyType({k: _stored(case, k, v) for k, v in carry.arrays.items()})
    restored = Carry(carry.problem, carry.frame, arrays)
    rest = case.make(segment=SEGMENT).advance(restored, SEGMENT)
    off = _apart(rest.x, whole.x[:, SEGMENT + 1 :]) + _apart(rest.v, whole.v[:, SEGMENT + 1 :])
    what = "must go on from a boundary as if nothing had been, so that all that the future "
    what += f"depends on is in the carry; the next segment differs by {off:.1e}"
    case.demand(off == 0, what)


def check_times(case: StepperCase) -> None:
    """Frame n is at t0 + n dt, for any t0 and across boundaries."""
    state, particles = case.start(9)
    neutral = replace(
        particles, charges=0 * particles.charges, couplings=_none(particles.couplings)
    )
    integrator = case.make(segment=SEGMENT)
    run = case.run(integrator, state, neutral, 2 * SEGMENT + 2)
    late = replace(state, t=1000.1)
    off = _apart(case.run(integrator, late, neutral, 2 * SEGMENT + 2).x, run.x)
    what = "must make frame n for the time t0 + n dt; with t0 = 1000.1 in place of 0 frames differ "
    case.demand(off <= TIMES, what + f"by {off:.1e}")
    free = case.system.acceleration(state.x, state.v, neutral, state.hidden)
    if case.origin.kind == "surrogate" or np.abs(free).max() > 0:
        return  # a learned stepper may err differently from frame to frame
    steps = np.diff(run.x, axis=1)
    off = float(np.abs(steps - steps[:, :1]).max() / max(np.abs(steps).max(), 1e-300))
    what = "must make frame n for the time t0 + n dt; steps of free particles differ from frame "
    case.demand(off <= TIMES, what + f"to frame by {off:.1e}")


def check_unequal_masses(case: StepperCase) -> None:
    """Masses matter: the method is as good with unequal masses as with equal ones."""
    state, particles = case.start(10, 2)
    ones = np.ones(particles.masses.shape)
    unequal = np.linspace(0.5, 3.0, ones.size).reshape(ones.shape)
    errors = [
        error_of(case, case.system, state, replace(particles, masses=m)) for m in (ones, unequal)
    ]
    what = "must divide forces by the particle's own mass; with unequal masses its error is "
    what += f"{errors[1]:.1e} of the way that particles go, with equal ones {errors[0]:.1e}"
    case.demand(errors[1] <= max(SMALL, WORSE * errors[0]), what)


def check_nonfinite(case: StepperCase) -> None:
    """A trajectory that becomes NaN or infinite fails alone, in finite time; others go on."""
    state, particles = case.start(11, 3)
    state = replace(state, t=LATER)
    x, v = np.array(state.x), np.array(state.v)
    largest = np.finfo(np.float64).max
    x[1], v[1] = 0.0, 0.0
    x[1, :, 0], v[1, :, 0] = 0.95 * largest, 0.95 * largest  # overflows within a frame
    size = 1.0 if particles.radii is None else 4.0 * float(particles.radii.max())
    x[1, :, 1] = size * np.arange(x.shape[1])
    integrator = case.make(segment=SEGMENT)
    run = case.run(integrator, replace(state, x=x, v=v), particles, SEGMENT + 1)
    finite = np.isfinite(run.x).all() and np.isfinite(run.v).all()
    case.demand(finite, "must freeze a trajectory at its last finite frame, it went on")
    for b in (0, 2):
        alone = case.run(integrator, state[b], particles[b], SEGMENT + 1)
        off = _apart(run.x[b], alone.x[0])
        well = run.info.message[b] == alone.info.message[0] and off <= ROUNDING
        what = "must leave the others alone where one trajectory becomes infinite; trajectory "
        case.demand(well, what + f"{b} {run.info.message[b] or f'differs by {off:.1e}'}")


def check_refusals(case: StepperCase) -> None:
    """A system that does not fit is refused in one line; one that is taken is done as well."""
    own = error_of(case, case.system, *case.start(12))
    for system in (make_system("penning"), OnlyNumPy()):
        _demand_refused_or_done(case, system, own, "_check")


def check_capabilities(case: StepperCase) -> None:
    """Boxes, neighbours and hidden variables are done as `capabilities` says, or refused."""
    unknown = case.make().capabilities - CAPABILITIES.keys()
    what = f"must hold names such as {', '.join(CAPABILITIES)}, it holds {sorted(unknown)}"
    case.demand(not unknown, what, "capabilities")
    own = error_of(case, case.system, *case.start(12))
    for system in (SoftSpheres(skin=None), SoftSpheres(period=None), Relaxing()):
        _demand_refused_or_done(case, system, own, "capabilities")


def _demand_refused_or_done(
    case: StepperCase, system: AbstractSystem, own: float, method: str
) -> None:
    """Demand that a system is refused in one line, or done as well as the own one."""
    state, particles = system.sample(12, case.n)
    try:
        error = error_of(case, system, state, particles)
    except InputError as refusal:
        text = str(refusal)
        fits = "\n" not in text and short_name(case.origin.name) in text
        what = "must refuse a system in one line that names the integrator, it says "
        case.demand(fits, what + repr(text), method)
        return
    what = f"must refuse what does not fit: it takes system {system.name!r}, "
    what += f"{_why(system)}, and is off by {error:.1e} of the way that particles go, "
    case.demand(error <= max(SMALL, WORSE * own), what + f"elsewhere {own:.1e}", method)


INTEGRATOR_CHECKS = (
    check_description,
    check_shapes,
    check_few_particles,
    check_batch,
    check_inputs_unchanged,
    check_determinism,
    check_shorter_runs,
    check_restart,
    check_times,
    check_unequal_masses,
    check_nonfinite,
    check_refusals,
    check_capabilities,
)


def _why(system: AbstractSystem) -> str:
    if system.needs:
        return f"which needs {', '.join(sorted(system.needs))}"
    return "whose forces depend on velocity" if system.velocity_dependent else "which has no laws"


def _run_or_refusal(
    case: StepperCase, start: tuple[State, Particles], refusable: bool
) -> Ensemble | None:
    try:
        return case.run(case.make(segment=SEGMENT), *start, 3)
    except InputError as error:
        case.demand("\n" not in str(error), "must refuse a start in one line", "_check")
        case.demand(refusable, f"must take a start of its own system, it says {error}", "_check")
        return None


def _demand_good(case: StepperCase, run: Ensemble | None) -> None:
    for b, why in enumerate([] if run is None else run.info.message):
        case.demand(not why, f"must get through 3 frames; trajectory {b} stopped: {why}")


def _apart(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference, over the larger of 1 and the size of the first; 0 for equal bits."""
    if np.array_equal(first, second):
        return 0.0
    return float(np.abs(first - second).max() / max(1.0, np.abs(first).max()))


def _writeable(holder: Any) -> Any:
    """Copy a state or particles, with arrays that a plugin could write to."""
    opened = copy.deepcopy(holder)
    for name, value in vars(opened).items():
        if isinstance(value, np.ndarray):
            object.__setattr__(opened, name, value.copy())
    return opened


def _same(first: Any, second: Any) -> bool:
    return bool(np.array_equal(np.asarray(first), np.asarray(second), equal_nan=True))


def _stored(case: StepperCase, key: str, value: Any) -> Any:
    """Store an array or a scalar without pickle, and read it again."""
    array, tensor = np.asarray(value), not isinstance(value, np.ndarray | float | int | np.generic)
    what = f"must hand on arrays and numbers in the carry, {key!r} is a {type(value).__name__}"
    case.demand(array.dtype != object, what)
    with io.BytesIO() as file:
        np.save(file, array, allow_pickle=False)
        file.seek(0)
        read = np.load(file, allow_pickle=False)
    if not tensor:
        return read
    import torch

    return torch.from_numpy(read).to(value.device)


def _none(couplings: np.ndarray | None) -> np.ndarray | None:
    return None if couplings is None else 0 * couplings
