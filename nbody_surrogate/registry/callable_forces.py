"""A user's callable that gives forces: how it is called, and what it may return."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nbody_surrogate.contracts.dear_system import Evaluated
from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.violations import described, plugin_errors
from nbody_surrogate.errors import InputError

__all__ = ["CallableForces", "name_of", "takes_particles"]


def name_of(function: Callable[..., Any]) -> str:
    """Return the name that a callable has, or that of its class; empty of a lambda.

    Parameters
    ----------
    function : callable
    """
    while hasattr(function, "func"):  # of `functools.partial`
        function = function.func
    name = getattr(function, "__name__", "") or type(function).__name__
    return "" if name == "<lambda>" else str(name)


def takes_particles(function: Callable[..., Any]) -> bool:
    """Whether a callable is to be handed the particles after the positions.

    That is where its second parameter has no default, or is called ``particles``.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of compiled code that does not tell
        return False
    if len(parameters) < 2 or parameters[1].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        return False
    return parameters[1].default is inspect.Parameter.empty or parameters[1].name == "particles"


@final
@dataclass(frozen=True, eq=False)
class CallableForces:
    """A callable for forces, and what gives energies.

    Attributes
    ----------
    forces : callable
        From x (N, D), and particles where it takes them, to forces (N, D); with `batched`, of B at
        a time. With `energy` True, to energies and forces.
    energy : callable, True or None
    batched : bool
    """

    forces: Callable[..., Any]
    energy: Callable[..., Any] | bool | None
    batched: bool

    @property
    def energy_apart(self) -> Callable[..., Any] | None:
        """The callable for energies, where they do not come with the forces."""
        return self.energy if callable(self.energy) else None

    def evaluate(self, origin: Origin, x: np.ndarray, particles: Particles) -> Evaluated:
        """Call for forces of configurations (B, N, D).

        Raises
        ------
        InputError
            If something else is returned.
        PluginError
            If it raises.
        """
        returned = self._called(origin, "forces", self.forces, x, particles)
        if self.energy is not True:
            return Evaluated(self._forces(origin, returned, x))
        pairs = [_pair(origin, each) for each in returned]
        energies = self._energies(origin, [energy for energy, _ in pairs], len(x))
        return Evaluated(self._forces(origin, [force for _, force in pairs], x), energies)

    def energies(self, origin: Origin, x: np.ndarray, particles: Particles) -> np.ndarray | None:
        """Call for energies (B,) of configurations, where they have a callable of their own."""
        if self.energy_apart is None:
            return None
        returned = self._called(origin, "energy", self.energy_apart, x, particles)
        return self._energies(origin, returned, len(x))

    def _called(
        self,
        origin: Origin,
        label: str,
        function: Callable[..., Any],
        x: np.ndarray,
        particles: Particles,
    ) -> list[Any]:
        """Call once for a batch, or once for each."""
        sets = [(x, particles)]
        if not self.batched:
            sets = [(x[b], particles[b]) for b in range(len(x))]
        given = [each if takes_particles(function) else each[:1] for each in sets]
        with plugin_errors(origin, label):
            return [function(*each) for each in given]

    def _forces(self, origin: Origin, parts: list[Any], x: np.ndarray) -> np.ndarray:
        shape = x.shape if self.batched else x.shape[1:]
        found = [_numbers(origin, "forces", each, shape) for each in parts]
        return np.concatenate(found).reshape(x.shape)

    def _energies(self, origin: Origin, parts: list[Any], batch: int) -> np.ndarray:
        shape = (batch,) if self.batched else ()
        return np.concatenate(
            [_numbers(origin, "energy", each, shape).reshape(-1) for each in parts]
        )


def _pair(origin: Origin, returned: Any) -> tuple[Any, Any]:
    """Take apart what a call for energies and forces returned."""
    if not (isinstance(returned, tuple | list) and len(returned) == 2):
        raise InputError(
            f"`forces` of system {origin.name!r} must return (energy, forces), as `energy` True "
            f"says, got {described(returned)}"
        )
    return returned[0], returned[1]


def _numbers(origin: Origin, label: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return what a call gave as float64 numbers of a shape."""
    try:
        array = np.asarray(values).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError, RuntimeError):  # text, a tuple, a tensor with gradients
        array = None
    if array is not None and label == "energy" and array.shape == (1,) and not shape:
        return array.reshape(())
    if array is None or array.shape != shape:
        wanted = f"numbers of shape {shape}" if shape else "a number"
        pair = isinstance(values, tuple | list) and len(values) == 2 and label == "forces"
        hint = "; say `energy=True` where it returns (energy, forces)" if pair else ""
        got = described(values if array is None else np.asarray(values))
        raise InputError(
            f"`{label}` of system {origin.name!r} must return {wanted}, got {got}{hint}"
        )
    return array
