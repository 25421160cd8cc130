"""What the options of a run show to be wrong, before anything heavy is imported for it.

Libraries take seconds to import, and a start and its forces take time to make. All of this is
looked at again where it is used, by whoever calls the library; here it is looked at early.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from nbody_surrogate.cli.guards import guard_of
from nbody_surrogate.cli.method_options import check_own, own_options
from nbody_surrogate.cli.outside import check_outside
from nbody_surrogate.cli.parameters import parameters_of
from nbody_surrogate.cli.request import Request, not_none
from nbody_surrogate.cli.solver_choices import check_choices
from nbody_surrogate.contracts.hardware import (
    check_device_name,
    check_dtype_name,
    check_engine_name,
)
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.approximation_text import split_approximation
from nbody_surrogate.parallel.limits import check_threads
from nbody_surrogate.simulation.error_estimate.tolerance_value import check_tolerance, no_surrogate

if TYPE_CHECKING:
    from nbody_surrogate.contracts.model_card import Card
    from nbody_surrogate.surrogates.places import Place

__all__ = ["check_hardware", "check_method", "foreseen", "is_absent", "with_model"]


def foreseen(request: Request) -> Request:
    """Refuse what cannot be, and return the request with its model taken apart.

    Raises
    ------
    InputError
        If options do not go together, a value is wrong, a name is unknown, or a model's card is
        of another system.
    """
    _check_together(request)
    check_hardware(request.device, request.dtype, request.threads)
    if request.engine is not None:
        check_engine_name(request.engine)
    request = _with_number(with_model(request))
    explicit = not_none(frame_dt=request.frame_dt, softening=request.softening)
    given = parameters_of(request.parameter, explicit)
    _check_names(request)
    check_choices(request)
    _check_estimated(request)
    _check_guard(request)
    _check_options(request)
    _check_outside(request)
    check_method(request.integrator, request.weights, request.system, given)
    return request


def check_hardware(device: str, dtype: str | None, threads: int | None) -> None:
    """Refuse hardware that there is not, or a dtype that no model has.

    Raises
    ------
    InputError
    """
    if threads is not None:
        check_threads(threads)
    check_device_name(device)
    if dtype is not None:
        check_dtype_name(dtype)


def _check_together(request: Request) -> None:
    if request.verify and request.checkpoint is not None:
        raise InputError("`checkpoint` does not go with `verify`; verify a run of its own")
    if request.no_reference and request.reference is not None:
        raise InputError(
            f"`reference` {request.reference!r} does not go with `no_reference`; leave one out"
        )
    if request.compiled and request.engine not in (None, "inductor"):
        raise InputError(
            f"`engine` {request.engine!r} does not go with `compile`, which is 'inductor'"
        )
    for name, least in (("particles", 1), ("trajectories", 1), ("seed", 0)):
        value = getattr(request, name)
        if value is not None and value < least:
            raise InputError(f"`{name}` must be at least {least}, got {value}")
    if request.tolerance is not None:
        check_tolerance(request.tolerance)
    if not (math.isfinite(request.duration) and request.duration > 0):
        raise InputError(f"`duration` must be finite and > 0, got {request.duration}")
    if request.initial is not None and is_absent(request.initial):
        raise InputError(f"`initial` {str(request.initial)!r} cannot be read: it does not exist")


def is_absent(file: Path) -> bool:
    """Whether there is no such file; one that cannot be looked for is told where it is read."""
    try:
        return not file.exists()
    except (OSError, ValueError):  # a name too long, or with a zero in it
        return False


def _check_names(request: Request) -> None:
    from nbody_surrogate.registry.lookup import demand_name

    demand_name(("systems",), request.system, "system")
    for label, name in (("integrator", request.integrator), ("reference", request.reference)):
        if name is not None:
            plain = split_approximation(name, label)[0]
            demand_name(("integrators", "surrogates"), plain, label)


def _check_options(request: Request) -> None:
    """Refuse options that no surrogate has; those of a solver are known by its class alone."""
    from nbody_surrogate.registry.lookup import is_surrogate

    # a reference that is named may be of another kind, whose options its class knows
    asked = own_options(request) and request.reference is None
    if asked and is_surrogate(request.integrator):
        from nbody_surrogate.surrogates.options import SurrogateOptions

        solver = None if request.no_reference else ("rtol", "atol")
        check_own(request, SurrogateOptions.model_fields, solver)


def _check_estimated(request: Request) -> None:
    """Refuse what only surrogates have, as their errors are estimated."""
    from nbody_surrogate.registry.lookup import is_surrogate

    learned = is_surrogate(request.integrator)
    if request.tolerance is not None and not learned:
        raise no_surrogate(request.integrator)
    if request.no_error_estimate and not learned and not _is_learned(request.reference):
        raise InputError(
            "`no_error_estimate` does not apply to integrator "
            f"{request.integrator!r}: no error of a solver is estimated; leave it out"
        )


def _is_learned(reference: str | None) -> bool:
    from nbody_surrogate.registry.lookup import is_surrogate

    return reference is not None and is_surrogate(reference)


def _check_guard(request: Request) -> None:
    from nbody_surrogate.registry.lookup import is_surrogate

    if (guard := guard_of(request, None)) is not None:
        learned = is_surrogate(request.integrator)
        guard.check_method(learned, learned and not request.no_error_estimate)


def _check_outside(request: Request) -> None:
    from nbody_surrogate.registry.lookup import is_surrogate

    learned = is_surrogate(request.integrator)
    check_outside(request.outside, learned, f"integrator {request.integrator!r}")


def with_model(request: Request) -> Request:
    """Take a trained model that is named in place of a method as that method and its weights.

    Raises
    ------
    InputError
        If weights are named beside it.
    """
    from nbody_surrogate.registry.lookup import names
    from nbody_surrogate.surrogates.places import find_place

    # a registered name comes before a folder that happens to be called so
    if request.integrator.rpartition(":")[2] in names("integrators", "surrogates"):
        return request
    if (place := find_place(request.integrator)) is None:
        return request
    if request.weights is not None:
        raise InputError(
            f"`weights` {request.weights!r} does not go with `integrator` "
            f"{request.integrator!r}, which is a model already; leave one out"
        )
    return replace(request, integrator=place.surrogate, weights=place.name)


def _with_number(request: Request) -> Request:
    """Take the number of a method's text, as in ``leapfrog:8``, as the option that it is."""
    from nbody_surrogate.integrators.method_text import number_options

    name, options = number_options(request.integrator, "integrator")
    for key in options:
        if getattr(request, key) is not None:
            raise InputError(
                f"`{key}` {getattr(request, key)!r} does not go with `integrator` "
                f"{request.integrator!r}, which says it already; leave one out"
            )
    return replace(request, integrator=name, **options)


def check_method(
    integrator: str, weights: str | None, system: str, given: Mapping[str, Any]
) -> None:
    """Hold a surrogate's card against the parameters that are given.

    Parameters
    ----------
    integrator : str
    weights : str or None
    system : str
    given : mapping
        Parameters of the system, `frame_dt` among them; defaults are looked at later.

    Raises
    ------
    InputError
        If there are no such weights, or a card says that they are for something else.
    """
    from nbody_surrogate.registry.lookup import is_surrogate
    from nbody_surrogate.surrogates.places import places_of

    if not is_surrogate(integrator):
        return
    if (places := places_of(integrator, weights)) is None:
        return
    if not places:
        raise _no_weights(integrator, weights)
    # of several, one of which runs by default, all must refuse
    refused = [_refusal(place, integrator, system, given) for place in places]
    if all(refused):
        raise next(error for error in refused if error is not None)


def _refusal(
    place: Place, integrator: str, system: str, given: Mapping[str, Any]
) -> InputError | None:
    """Return what the card of some weights has against a system; None of a card that is damaged."""
    from nbody_surrogate.registry.lookup import short_name
    from nbody_surrogate.surrogates.card_check import check_spacing, check_stepper, check_trained_on

    if (card := _card(place.folder)) is None:
        return None
    try:
        check_trained_on(card, integrator, short_name(system), given, whole=False)
        check_stepper(card, integrator)
        if isinstance(dt := given.get("frame_dt"), int | float):
            check_spacing(card, integrator, dt)
    except InputError as error:
        return error
    return None


def _card(folder: Path) -> Card | None:
    """Read what is looked at of a card, without what its model needs: pydantic takes long."""
    from nbody_surrogate.files.limits import CONFIG
    from nbody_surrogate.files.untrusted import read_bounded
    from nbody_surrogate.surrogates.places import CONFIG_FILE

    try:
        card = json.loads(read_bounded(folder / CONFIG_FILE, CONFIG.largest))["card"]
        seen = SimpleNamespace(
            systems=[
                SimpleNamespace(
                    system=str(entry["system"]),
                    spec=dict(entry["spec"]),
                    numerical=tuple(entry.get("numerical", ())),
                )
                for entry in card["systems"]
            ],
            frame_dt=_number_or_none(card["frame_dt"]),
            horizon=_number_or_none(card.get("horizon")),
        )
    except Exception:  # whatever it is, it is told in full where the weights are loaded
        return None
    return cast("Card", seen)


def _number_or_none(value: float | None) -> float | None:
    return None if value is None else float(value)


def _no_weights(integrator: str, weights: str | None) -> InputError:
    from nbody_surrogate.surrogates.places import places_of

    if weights is None:
        return InputError(f"`weights`: surrogate {integrator!r} ships none; give a folder")
    known = ", ".join(each.name for each in places_of(integrator, None) or [])
    wanted = f"{known} or a folder" if known else "a folder with a model"
    return InputError(f"`weights` must be {wanted}, got {weights!r}")
