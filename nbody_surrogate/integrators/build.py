"""Methods by name: found once, then asked what they take, and built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbody_surrogate.contracts.capabilities import CAPABILITIES
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.violations import plugin_errors
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.integrators.approximation_text import SIGN, split_approximation
from nbody_surrogate.registry.lookup import is_surrogate
from nbody_surrogate.registry.registry import integrator_class
from nbody_surrogate.surrogates.options import SurrogateOptions

__all__ = ["Method", "find_method", "make_integrator", "method_from"]


@dataclass(frozen=True)
class Method:
    """An integrator or a surrogate that was found by its name.

    Attributes
    ----------
    name : str
    learned : bool
        Whether it is a surrogate.
    options : frozenset of str
        Names of the options that it takes.
    """

    name: str
    learned: bool
    options: frozenset[str]
    _cls: type[AbstractIntegrator] | None
    """None of a surrogate, whose class needs torch: that takes a second to import."""
    approximation: str | None = None
    """Of the forces that a solver moves by, where its name ends with one."""

    def build(self, **options: Any) -> AbstractIntegrator:
        """Build it.

        Raises
        ------
        InputError
            If an option does not fit, or a surrogate has no weights.
        FileFormatError
            If a surrogate's weights cannot be read.
        PluginError
            If the class breaks its contract.
        """
        if self._cls is None:
            # here, after all that can be refused without it
            from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

            return SurrogateIntegrator(self.name, **options)
        with plugin_errors(origin_of(self._cls, "integrator", self.name), "__init__"):
            made = self._cls(**options)
        if self.approximation is None:
            return made
        from nbody_surrogate.integrators.approximate import Approximated

        return Approximated(made, self.approximation)

    @property
    def settings(self) -> list[str]:
        """Those options that tune it, which a message can name; `segment` is of the loop."""
        return sorted(self.options - {"segment", "threads", "device"})

    @property
    def of_before(self) -> Mapping[str, Any]:
        """What options mean that a file does not hold, as it is older than they are."""
        return (SurrogateOptions if self._cls is None else self._cls.Options).of_before

    @property
    def capabilities(self) -> frozenset[str]:
        """What it can do beyond open space; of a surrogate all, as its model alone knows."""
        return frozenset(CAPABILITIES) if self._cls is None else self._cls.capabilities

    @property
    def defaults(self) -> dict[str, Any]:
        """Values of the options that have one."""
        options = SurrogateOptions if self._cls is None else self._cls.Options
        return {key: field.default for key, field in options.model_fields.items()}

    def settled(
        self, tolerance: float | None, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return options with a system's `tolerance` where the method has one and none is given."""
        adaptive = tolerance is not None and self.options >= {"rtol", "atol"}
        usual = {"rtol": tolerance, "atol": tolerance} if adaptive else {}
        return {**usual, **(given or {})}

    def applying(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of some options that it takes."""
        return {key: value for key, value in options.items() if key in self.options}


def find_method(name: str, label: str = "integrator") -> Method:
    """Find a method by name; `label` names the parameter in errors.

    Raises
    ------
    InputError
        If the name is unknown.
    PluginError
        If its plugin cannot be imported, or its class is none of an integrator.
    """
    plain, approximation = split_approximation(name, label)
    if is_surrogate(plain):
        if approximation is not None:
            raise InputError(
                f"`{label}` {name!r}: a surrogate computes no forces; only solvers take those of "
                f"an approximation; leave {SIGN}{approximation} out"
            )
        return Method(name, True, frozenset(SurrogateOptions.model_fields), None)
    cls = integrator_class(plain, label)
    return Method(name, False, frozenset(cls.Options.model_fields), cls, approximation)


def make_integrator(name: str, /, **options: Any) -> AbstractIntegrator:
    """Build an integrator by name; a surrogate's name gives a `SurrogateIntegrator`.

    Parameters
    ----------
    name : str
        Of an integrator or a surrogate; ``distribution:name`` where two distributions have it.
        ``leapfrog@p2`` is a solver that moves by the approximation of the system of that name, see
        `AbstractSystem.approximations`.
    **options
        Those of the integrator, or of `SurrogateIntegrator`.

    Returns
    -------
    AbstractIntegrator

    Raises
    ------
    InputError
        If the name is unknown or an option does not fit.
    FileFormatError
        If a surrogate's weights cannot be read.
    PluginError
        If its plugin cannot be imported.
    """
    return find_method(name).build(**options)


def method_from(description: Mapping[str, Any]) -> AbstractIntegrator:
    """Build a method from the description that is stored with a run.

    Parameters
    ----------
    description : mapping
        As `AbstractIntegrator.description`: what is no option, such as the hash of a surrogate's
        weights, is left out. An option that it lacks has its value `of_before`.

    Raises
    ------
    FileFormatError
        If it does not name the integrator.
    InputError
        If that is not installed, or takes no such options.
    """
    name = description.get("integrator")
    if not isinstance(name, str):
        raise FileFormatError("the file does not name its `integrator`")
    method = find_method(name)
    return method.build(**{**method.of_before, **method.applying(description)})
