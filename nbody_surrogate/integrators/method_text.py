"""Methods by short texts, such as ``leapfrog:4``, ``set-small`` or ``leapfrog:4@p2``."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbody_surrogate.contracts.arguments import shown
from nbody_surrogate.contracts.hardware import ENGINES
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.approximation_text import SIGN, split_approximation
from nbody_surrogate.registry.lookup import demand_name, names
from nbody_surrogate.spelling import nearest
from nbody_surrogate.surrogates.places import find_place, refuse_unknown_model, shipped_places

if TYPE_CHECKING:
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.contracts.system import AbstractSystem
    from nbody_surrogate.integrators.build import Method

__all__ = [
    "COMPILED_SUFFIX",
    "NUMPY_SUFFIX",
    "SWEEPS",
    "Contender",
    "as_integrator",
    "check_names",
    "check_text",
    "contender",
    "number_options",
    "short_number",
    "split_methods",
    "sweep",
]

NUMPY_SUFFIX = "+numpy"
"""Ends the name of a solver that is to run with the force in plain NumPy."""

COMPILED_SUFFIX = "+compile"
"""Ends the name of a model whose step is to be compiled by torch: the earlier ``+inductor``."""

ENGINE_SUFFIXES = {f"+{engine}": engine for engine in ENGINES[1:]} | {COMPILED_SUFFIX: "inductor"}
"""End the name of a model whose steps one engine is to compute."""

SUBSTEPS = (1, 2, 4, 8, 16, 32, 64)
TOLERANCES = (1e-3, 1e-5, 1e-7, 1e-9, 1e-11)
ETAS = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)  # whose squares are as errors
SWEEPS: dict[str, tuple[float, ...]] = {
    "rk45": (1e-3, 1e-5, 1e-7, 1e-9),
    "rk4": (1, 2, 4, 8, 16, 32),
    "yoshida4": (1, 2, 4, 8, 16, 32),
}
"""Parameters that differ from `SUBSTEPS`, `TOLERANCES` and `ETAS`: higher orders need fewer."""


@dataclass(frozen=True)
class Contender:
    """A method that takes part in a comparison.

    Attributes
    ----------
    label : str
        As it was asked for, such as ``leapfrog:4``.
    family : str
        What it shares with the same method at other parameters, such as ``leapfrog@p2``.
    parameter : float or None
        Its sub-steps, tolerance or eta.
    method : AbstractIntegrator
    numpy_force : bool
        Whether its system is to have the force in plain NumPy.
    learned : bool
        Whether it is a surrogate.
    """

    label: str
    family: str
    parameter: float | None
    method: AbstractIntegrator
    numpy_force: bool = False
    learned: bool = False

    @property
    def training_seconds(self) -> float | None:
        """What its training took, as its card says; None for a solver or where it does not say."""
        if not self.learned:
            return None
        # it is loaded by now, and needs torch, which solvers do without
        from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

        assert isinstance(self.method, SurrogateIntegrator)
        minutes = self.method.card.training_minutes
        return None if minutes is None else 60.0 * minutes


def split_methods(texts: str) -> list[str]:
    """Take a comma list of methods apart.

    Raises
    ------
    InputError
        If it is empty, or names one twice.
    """
    parts = [part.strip() for part in texts.split(",") if part.strip()]
    if not parts:
        raise InputError("`integrators` must name a method, such as set,leapfrog:4, got none")
    for number, part in enumerate(parts):
        if part in parts[:number]:
            raise InputError(f"`integrators` names {part!r} twice; once will do")
    return parts


def contender(text: str, **shared: Any) -> Contender:
    """Make a method from its text.

    Parameters
    ----------
    text : str
        ``NAME`` of an integrator, a surrogate, a trained model or its folder; after a solver's
        name ``+numpy`` for the force in plain NumPy, ``:NUMBER`` for its sub-steps, its relative
        and absolute tolerance, or its eta, and ``@APPROXIMATION`` at the end for the forces
        of one of the system's `approximations`; after a model's ``+torch``, ``+inductor`` or
        ``+fused`` for what computes its steps.
    **shared
        Options such as ``threads`` and ``segment``: each method takes those that it has.

    Raises
    ------
    InputError
        If there is no such method, or it takes no such number.
    """
    name, value = _apart(text)
    method, options = _settled(text)
    options = options | method.applying(shared)
    numpy_force, family = name.endswith(NUMPY_SUFFIX), _with_forces(name, text)
    return Contender(text, family, value, method.build(**options), numpy_force, method.learned)


def as_integrator(
    integrator: str | AbstractIntegrator | AbstractSurrogate, system: AbstractSystem
) -> AbstractIntegrator:
    """Return the integrator that a name, an instance or a model in memory stands for.

    Parameters
    ----------
    integrator : str, AbstractIntegrator or AbstractSurrogate
        A text as of `contender`, such as ``leapfrog:32`` or ``set-small``; a solver without a
        number has the system's `tolerance`, where it has one. A model runs by a
        `SurrogateIntegrator`, whose card names the system of the run and leaves all else open.
    system : AbstractSystem

    Returns
    -------
    AbstractIntegrator

    Raises
    ------
    InputError
        If it is none of the three, the name is unknown, or the method takes no such number.
    """
    if isinstance(integrator, str):
        return _by_text(integrator, system)
    # NumPy and pydantic come with it: who asks for a name that there is not need not wait for them
    from nbody_surrogate.contracts.integrator import AbstractIntegrator

    if isinstance(integrator, AbstractIntegrator):
        return integrator
    # a model brings torch with it, so this import costs nothing then
    if "torch" in sys.modules:
        from nbody_surrogate.contracts.model_card import Card
        from nbody_surrogate.contracts.surrogate import AbstractSurrogate
        from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

        if isinstance(integrator, AbstractSurrogate):
            return SurrogateIntegrator(integrator, card=Card.of(integrator, system))
    raise InputError(
        "`integrator` must be a name, an integrator such as make_integrator(...) returns, or a "
        f"surrogate's model, got {shown(integrator)}"
    )


def _by_text(text: str, system: AbstractSystem) -> AbstractIntegrator:
    if _apart(text)[0].endswith(NUMPY_SUFFIX):
        raise InputError(
            f"`integrator` {text!r}: {NUMPY_SUFFIX} is of `bench` alone, whose systems have that "
            "force too; leave it out"
        )
    method, options = _settled(text, "integrator")
    return method.build(**method.settled(system.tolerance, options))


def check_names(texts: Iterable[str]) -> None:
    """Refuse the text of a method that there is not, before the class of any is imported.

    Raises
    ------
    InputError
    """
    for text in texts:
        _resolved(_plain(_apart(text)[0]), "integrators")


def number_options(text: str, label: str) -> tuple[str, dict[str, Any]]:
    """Take the number of a text as the options that it stands for.

    Parameters
    ----------
    text : str
        As of `contender`.
    label : str
        Name of the parameter in errors.

    Returns
    -------
    text : str
        Without the number.
    options : dict
        Empty where there is none.

    Raises
    ------
    InputError
        If there is no such method, or it takes no such number.
    """
    name, value = _apart(text)
    if value is None:
        return text, {}
    plain = _with_forces(name, text)
    demand_name(("integrators", "surrogates"), name, label)
    from nbody_surrogate.integrators.build import find_method

    return plain, _parameter(f"`{label}` {text!r}", find_method(plain, label).options, value)


def check_text(text: str) -> Method:
    """Refuse a text that is none of a method, before one is built, which takes long of a model.

    Returns
    -------
    Method

    Raises
    ------
    InputError
        As of `contender`, but what only the weights of a model show.
    """
    return _settled(text)[0]


def _settled(text: str, label: str = "integrators") -> tuple[Method, dict[str, Any]]:
    """Return a method, and the options that its text gives it; `label` is the parameter's name."""
    name, value = _apart(text)
    numpy_force, suffix = name.endswith(NUMPY_SUFFIX), _engine_suffix(name)
    surrogate, options = _resolved(_plain(name), label)
    from nbody_surrogate.integrators.build import find_method  # no unknown name needs a method

    if numpy_force and SIGN in text:
        raise InputError(f"`{label}` {text!r}: {NUMPY_SUFFIX} is of the system's own forces alone")
    method = find_method(_with_forces(surrogate, text), label)
    known = method.options
    if numpy_force and not _adaptive(known):
        raise InputError(f"`{label}` {text!r}: only the adaptive solvers run with {NUMPY_SUFFIX}")
    if suffix and "engine" not in known:
        raise InputError(f"`{label}` {text!r}: only models run with {suffix}")
    options |= {"engine": ENGINE_SUFFIXES[suffix]} if suffix else {}
    options |= _parameter(f"`{label}` {text!r}", known, value)
    return method, options


def sweep(text: str) -> list[str]:
    """Return the texts of a method over its tolerances or sub-steps, if it gives none itself.

    Raises
    ------
    InputError
        If there is no such method.
    """
    name, value = _apart(text)
    if value is not None:
        return [text]
    plain = _plain(name)
    registered = _resolved(plain, "integrators")[0]
    from nbody_surrogate.integrators.build import find_method

    known = find_method(registered, "integrators").options
    if _adaptive(known):
        usual: tuple[float, ...] = TOLERANCES
    elif "substeps" in known:
        usual = SUBSTEPS
    elif "eta" in known:
        usual = ETAS
    else:  # such as a surrogate, which takes its one step
        return [text]
    values = SWEEPS.get(plain, usual)
    return [_with_forces(f"{name}:{short_number(value)}", text) for value in values]


def _plain(name: str) -> str:
    return name.removesuffix(NUMPY_SUFFIX).removesuffix(_engine_suffix(name))


def _engine_suffix(name: str) -> str:
    """Return the end of a name that chooses an engine, or nothing."""
    return next((each for each in ENGINE_SUFFIXES if name.endswith(each)), "")


def short_number(number: float) -> str:
    """Write 16 and 1e-3, not 1e-03 and 0.001."""
    return f"{number:g}" if number >= 1 else f"{number:.0e}".replace("e-0", "e-")


def _with_forces(name: str, text: str) -> str:
    """Return a name with the approximation of a text behind it, where that has one."""
    approximation = split_approximation(text)[1]
    return name if approximation is None else f"{name}{SIGN}{approximation}"


def _apart(text: str) -> tuple[str, float | None]:
    """Split a name from the number after its last colon; a distribution may stand before one.

    The approximation at its end is in neither.
    """
    text = split_approximation(text)[0]
    name, colon, number = text.rpartition(":")
    try:
        return (name, float(number)) if colon else (text, None)
    except ValueError:
        return text, None


def _resolved(name: str, label: str) -> tuple[str, dict[str, Any]]:
    """Return the registered name, and the weights of a model that was named in its place."""
    # a registered name comes before a folder that happens to be called so
    if name.rpartition(":")[2] in names("integrators", "surrogates"):
        return name, {}
    if (place := find_place(name)) is not None:
        return place.surrogate, {"weights": str(place.folder)}
    try:
        refuse_unknown_model(name)
        from nbody_surrogate.surrogates.trained_models import find_model

        model = find_model(name)  # of packages that keep their weights elsewhere
    except InputError:
        raise _unknown(name, label) from None
    return model.surrogate, {"weights": str(model.folder)}


def _unknown(name: str, label: str) -> InputError:
    shipped = [place.name for place in shipped_places()]
    known = sorted({*names("integrators", "surrogates"), *shipped})
    method, _, number = name.rpartition(":")
    if method.rpartition(":")[2] in known:
        return InputError(
            f"`{label}` {name!r}: what follows {method!r} must be a number, of sub-steps, the "
            f"tolerance or eta, got {number!r}"
        )
    close = nearest(name, known)
    hint = "" if close is None else f"; did you mean {close!r}?"
    return InputError(
        f"`{label}` {name!r} is no method and no folder of a model; there are: "
        f"{', '.join(known)}{hint}"
    )


def _adaptive(known: frozenset[str]) -> bool:
    return "rtol" in known


def _parameter(called: str, known: frozenset[str], value: float | None) -> dict[str, Any]:
    if value is None:
        return {}
    if _adaptive(known):
        # both at once: a curve of work over precision has one parameter
        return {"rtol": value, "atol": value}
    if "eta" in known:
        return {"eta": value}
    if "substeps" not in known:
        raise InputError(f"{called}: this method takes no number, leave it out")
    # a number is read as a float, since it may be a tolerance
    if not (value >= 1 and math.isfinite(value) and value == int(value)):
        raise InputError(f"{called}: sub-steps must be a whole number, 1 or more")
    return {"substeps": int(value)}
