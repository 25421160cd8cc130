"""Other versions of a system: the physics that it stands for, and a finer model of the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbody_surrogate.contracts.violations import described, plugin_errors, violation

if TYPE_CHECKING:
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["SystemVersions", "finer_text", "finer_version"]


class SystemVersions:
    """The duties of a system that alters or truncates what it stands for; by default none does."""

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
