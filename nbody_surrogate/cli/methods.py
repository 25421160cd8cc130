"""The methods of `nbody-sim run`: the integrator and what it is held against."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbody_surrogate.cli.method_options import (
    as_before_options,
    as_of_before,
    calling_reference,
    check_applying,
    own_options,
    reference_options,
)
from nbody_surrogate.cli.request import InitialValueProblem, Request, not_none, system_of
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.integrators.build import Method

__all__ = ["methods", "with_default_method"]


def with_default_method(request: Request) -> Request:
    """Return the request by the method that its system runs by where none is named.

    Raises
    ------
    InputError
        If a parameter of the system is wrong.
    """
    from nbody_surrogate.integrators.reference import default_method

    return replace(request, integrator=default_method(system_of(request)))


def methods(
    request: Request,
    problem: InitialValueProblem,
    *,
    of_before: bool = False,
    unknown: frozenset[str] = frozenset(),
) -> tuple[AbstractIntegrator, AbstractIntegrator | None]:
    """Build the method and its reference, each with its own options.

    Parameters
    ----------
    request : Request
    problem : InitialValueProblem
    of_before : bool
        Whether it was noted by a release that handed tolerances to both methods.
    unknown : frozenset of str
        Options of methods that the release which noted it did not have; without `norm` it had one
        tolerance for all systems too.

    Raises
    ------
    InputError
        If an option does not apply, a method does not fit the problem, or the ground truth is to
        be verified and cannot be.
    FileFormatError
        If the weights of a surrogate are damaged.
    """
    from nbody_surrogate.integrators.build import find_method

    found, reference = find_method(request.integrator), None
    if not request.no_reference:
        name = _reference_name(request, problem)
        reference = found if name == found.name else find_method(name, "reference")
    if of_before:
        request = as_of_before(request, found, reference)
    request = as_before_options(request, found, reference, unknown)
    check_applying(request, found, reference)
    tolerance = None if "norm" in unknown else problem.system.tolerance
    method, truth = _build(request, found, reference, tolerance, problem.frames)
    if request.verify:
        _check_verifiable(method, truth, reference_options(request))
    for each in (method, truth):
        if each is not None:  # before the first of them runs
            each.check(problem.system, problem.state, problem.particles, problem.dt)
    return method, truth


def _reference_name(request: Request, problem: InitialValueProblem) -> str:
    """Choose the reference where none is named.

    The two forms of one method are not held against each other at equal tolerance: they make
    almost the same errors.
    """
    from nbody_surrogate.integrators.reference import (
        COMPILED_SOLVER,
        SCIPY_SOLVER,
        default_reference,
    )

    if request.reference is not None:
        return request.reference
    if request.integrator.rpartition(":")[2] in (COMPILED_SOLVER, SCIPY_SOLVER):
        return request.integrator
    return default_reference(problem.system, len(problem.state.x))


def _build(
    request: Request,
    found: Method,
    reference: Method | None,
    tolerance: float | None,
    frames: int,
) -> tuple[AbstractIntegrator, AbstractIntegrator | None]:
    own, truths, shared = own_options(request), reference_options(request), _hardware(request)
    own |= _window(found, own, frames)
    # held against itself, the truth is a sharper one, and with `verify` that against a third
    usual = None if reference is found else tolerance
    method = found.build(**found.settled(usual, own), **found.applying(shared))
    if reference is None:
        return method, None
    if reference is found:
        return method, _sharper_self(method, truths)
    with calling_reference(truths):
        options = reference.settled(tolerance, truths)
        return method, reference.build(**options, **reference.applying(shared))


def _window(found: Method, own: dict[str, Any], frames: int) -> dict[str, Any]:
    """Return the window of a method that divides one into slices: the run, where none is given."""
    slices = own.get("slices", found.defaults.get("slices"))
    if "slices" not in found.options or "segment" in own or not isinstance(slices, int):
        return {}
    from nbody_surrogate.simulation.parareal import window_of

    return {"segment": window_of(frames, slices)} if slices >= 1 else {}


def _hardware(request: Request) -> dict[str, Any]:
    """Return what both methods share: they run on one machine."""
    device = None if request.device == "auto" else request.device
    return not_none(threads=request.threads, device=device)


def _sharper_self(method: AbstractIntegrator, truths: dict[str, Any]) -> AbstractIntegrator:
    """Return the same method at higher accuracy, or at that asked for, held against itself."""
    from nbody_surrogate.integrators.approximate import with_options
    from nbody_surrogate.integrators.refine import sharper

    try:
        # clipped, as nobody asked for this tolerance: a method at 1e-13 still has a reference
        truth = sharper(method, clip=True)
    except InputError:
        raise InputError(
            f"`reference` must differ from integrator {method.name!r}; use dop853"
        ) from None
    if truths:
        with calling_reference(truths):
            truth = with_options(truth, **_one_of_two(truths))
    if truth.description == method.description:
        given = " and ".join(f"`reference_{key}`" for key in truths)
        raise InputError(
            f"{given} must differ from those of integrator {method.name!r}, which is its own "
            "reference: it would have no error; take a tighter one"
        )
    return truth


def _one_of_two(truths: dict[str, Any]) -> dict[str, Any]:
    """Leave out the steps of the method where the reference has others, in the other way."""
    steps = {"substeps", "step"}
    return truths | dict.fromkeys(steps - truths.keys()) if steps & truths.keys() else truths


def _check_verifiable(
    method: AbstractIntegrator, truth: AbstractIntegrator | None, truths: dict[str, Any]
) -> None:
    """Demand that the ground truth, or the method alone, can be made sharper."""
    from nbody_surrogate.integrators.refine import SMALLEST_RTOL, TIGHTER, sharper

    if truth is None:
        sharper(method)
        return
    if truth.name != method.name or truths:  # it has options of its own
        with calling_reference({"rtol": None}):
            sharper(truth)
        return
    try:
        sharper(truth)
    except InputError:
        raise InputError(
            f"`rtol` must be at least {TIGHTER**2 * SMALLEST_RTOL:g} with `verify` where "
            f"{method.name} is held against itself, got {dict(method.options)['rtol']:g}: the "
            f"reference is {TIGHTER:g} times tighter, and is verified {TIGHTER:g} times tighter "
            "still; or name another `reference`"
        ) from None
