"""The methods of `nbody-sim run`: the integrator and what it is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbody_surrogate.cli.request import InitialValueProblem, Request, not_none
from nbody_surrogate.errors import InputError
from nbody_surrogate.parallel.limits import check_threads

if TYPE_CHECKING:
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.integrators.build import Method

__all__ = ["methods"]


def methods(
    request: Request, problem: InitialValueProblem
) -> tuple[AbstractIntegrator, AbstractIntegrator | None]:
    """Build the method and its reference, each with the options that apply to it.

    Raises
    ------
    InputError
        If an option applies to neither, a method does not fit the problem, or the ground truth
        is to be verified and cannot be.
    FileFormatError
        If the weights of a surrogate are damaged.
    """
    from nbody_surrogate.integrators.build import find_method

    if request.no_reference and request.reference is not None:
        raise InputError(
            f"`reference` {request.reference!r} does not go with `no_reference`; leave one out"
        )
    found, reference = find_method(request.integrator), None
    if not request.no_reference:
        name = _reference_name(request, problem)
        reference = found if name == found.name else find_method(name, "reference")
    method, truth = _build(request, found, reference)
    if request.verify:
        _check_verifiable(method, truth)
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
    request: Request, found: Method, reference: Method | None
) -> tuple[AbstractIntegrator, AbstractIntegrator | None]:
    known = found.options
    for_truth = frozenset() if reference is None else reference.options
    tolerances = not_none(rtol=request.rtol, atol=request.atol)
    steps = not_none(substeps=request.substeps, step=request.step)
    # steps and weights are the method's own; tolerances and threads its reference may take as well
    special = steps | not_none(
        dtype=request.dtype, weights=request.weights, compile=request.compiled or None
    )
    for key in (tolerances.keys() - known - for_truth) | (special.keys() - known):
        raise InputError(f"`{key}` does not apply to integrator {request.integrator!r}")
    shared = tolerances | _hardware(request, found)
    method = found.build(**special, **found.applying(shared))
    if reference is None:
        return method, None
    if reference is found:
        return method, _sharper_self(method)
    return method, reference.build(**reference.applying(shared))


def _hardware(request: Request, found: Method) -> dict[str, Any]:
    """Check device and threads, without importing torch for a solver on the default device."""
    if request.threads is not None:
        check_threads(request.threads)
    if not found.learned and request.device != "auto":
        from nbody_surrogate.contracts.device import resolve_device

        resolve_device(request.device)
    device = None if request.device == "auto" else request.device
    return not_none(threads=request.threads, device=device)


def _sharper_self(method: AbstractIntegrator) -> AbstractIntegrator:
    """Return the same method at higher accuracy, to be held against itself."""
    from nbody_surrogate.integrators.refine import sharper

    try:
        # clipped, as nobody asked for this tolerance: a method at 1e-13 still has a reference
        return sharper(method, clip=True)
    except InputError:
        raise InputError(
            f"`reference` must differ from integrator {method.name!r}; use dop853"
        ) from None


def _check_verifiable(method: AbstractIntegrator, truth: AbstractIntegrator | None) -> None:
    """Demand that the ground truth, or the method alone, can be made sharper."""
    from nbody_surrogate.integrators.refine import SMALLEST_RTOL, TIGHTER, sharper

    try:
        sharper(method if truth is None else truth)
    except InputError:
        if truth is None or truth.name != method.name:
            raise
        raise InputError(
            f"`rtol` must be at least {TIGHTER**2 * SMALLEST_RTOL:g} with `verify` where "
            f"{method.name} is held against itself, got {dict(method.options)['rtol']:g}: the "
            f"reference is {TIGHTER:g} times tighter, and is verified {TIGHTER:g} times tighter "
            "still; or name another `reference`"
        ) from None
