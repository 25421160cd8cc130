"""Other versions of a system: the physics that it stands for, finer and coarser models of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, final

from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.violations import described, plugin_errors, violation
from nbody_surrogate.errors import InputError
from nbody_surrogate.spelling import nearest

if TYPE_CHECKING:
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["SystemVersions", "finer_text", "finer_version"]


class SystemVersions:
    """The duties of a system that alters or truncates what it stands for; by default none does."""

    name: ClassVar[str]
    origin: Origin

    def ideal(self) -> AbstractSystem:
        """Return the physics this system stands for: itself, unless forces are altered."""
        return self  # type: ignore[return-value]  # AbstractSystem alone inherits from this

    def finer(self) -> AbstractSystem | None:
        """Return a finer version of a model that is truncated, or None where nothing is.

        Such as an expansion of a higher order. It is the same class with other parameters, and it
        takes the same starts, so that its run from a start differs from one of this system by the
        error of the truncation. That is measured by it wherever the error of a solver is: by
        ``verify``, for data sets and in audits.

        Returns
        -------
        AbstractSystem or None
        """
        return None

    @property
    def approximations(self) -> Mapping[str, Mapping[str, Any]]:
        """Cheaper forces for the same particles, by name: parameters that replace the system's own.

        A solver moves by them where it is named with their name behind an ``@``, such as
        ``leapfrog@p2``; the run stays one of the system itself. By default there are none.
        """
        return {}

    @final
    def approximated(self, name: str) -> AbstractSystem:
        """Return the system with the forces of one of its `approximations`.

        Parameters
        ----------
        name : str

        Returns
        -------
        AbstractSystem

        Raises
        ------
        InputError
            If there is none of this name.
        PluginError
            If what the system says of it is wrong.
        """
        with plugin_errors(self.origin, "approximations"):
            known = {key: dict(changes) for key, changes in self.approximations.items()}
        if name not in known:
            raise InputError(f"`approximation` {name!r} is none of {_told(self.name, name, known)}")
        own: AbstractSystem = self  # type: ignore[assignment]  # as in `ideal`
        return type(own)(**{**own.spec.model_dump(), **known[name]})


def finer_version(system: AbstractSystem) -> AbstractSystem | None:
    """Return the finer version of a system, looked at.

    Parameters
    ----------
    system : AbstractSystem

    Returns
    -------
    AbstractSystem or None

    Raises
    ------
    PluginError
        If the system gives no system of its own kind, or raises.
    """
    with plugin_errors(system.origin, "finer"):
        found = system.finer()
    if found is not None and type(found) is not type(system):
        what = f"must return another {type(system).__name__} or None, got {described(found)}"
        raise violation(system.origin, "finer", what)
    return found


def finer_text(system: AbstractSystem, finer: AbstractSystem) -> str:
    """Say by which parameters a finer version differs, such as "order 8 in place of 6".

    Parameters
    ----------
    system, finer : AbstractSystem

    Returns
    -------
    str
    """
    ours, theirs = (each.spec.model_dump(mode="json") for each in (system, finer))
    changed = [f"{key} {theirs[key]} in place of {ours[key]}" for key in ours if
               ours[key] != theirs.get(key)]  # fmt: skip
    return ", ".join(changed) or "of the same parameters"


def _told(system: str, name: str, known: Mapping[str, Any]) -> str:
    if not known:
        return f"system {system!r}, which has no approximations; leave it out"
    close = nearest(name, known)
    hint = "" if close is None else f"; did you mean {close!r}?"
    return f"system {system!r}; there are: {', '.join(known)}{hint}"
