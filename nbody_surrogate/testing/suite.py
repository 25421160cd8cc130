"""All checks of a plugin, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.lookup import entries, short_name
from nbody_surrogate.testing.check import Check, title

__all__ = ["checks", "kind_of"]

CHECKED = ("system", "integrator", "surrogate")


def checks(
    name: str,
    *,
    kind: str | None = None,
    system: str | None = None,
    weights: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> list[Check]:
    """Return the checks of a plugin; nothing of it is imported before one of them runs.

    Parameters
    ----------
    name : str
        As it is registered, or ``dist:name``.
    kind : str, optional
        ``system``, ``integrator`` or ``surrogate``, where the name is one of several kinds.
    system : str, optional
        The system that an integrator or a surrogate is run on. By default that of the weights
        that a surrogate ships, else ``charged``, or for an integrator the first that it takes.
    weights : str, optional
        A folder of a surrogate's weights, or the name of shipped ones, to check in place of
        random ones.
    config : mapping, optional
        A surrogate's config, where its defaults are not what is to be checked.

    Returns
    -------
    list of Check
        Call each. `ConformanceError` says what is wrong; `unittest.SkipTest`, which pytest knows,
        that a check does not apply.

    Raises
    ------
    InputError
        If nothing of that name and kind can be checked, or an option does not apply.
    """
    kind = kind_of(name, kind)
    if weights is not None and config is not None:
        raise InputError("`config` does not go with `weights`, which settle it")
    for key, value in (("system", system), ("weights", weights), ("config", config)):
        applies = kind == "surrogate" or (kind == "integrator" and key == "system")
        if value is not None and not applies:
            raise InputError(f"`{key}` does not apply to {kind} {name!r}")
    if kind == "system":
        return _of_system(name)
    if kind == "integrator":
        return _of_integrator(name, system)
    return _of_surrogate(name, system, weights, config)


def kind_of(name: str, kind: str | None = None) -> str:
    """Return the kind of what is provided under a name, where it can be checked.

    Raises
    ------
    InputError
        If there is none, or several and `kind` does not choose.
    """
    known = [entry for entry in entries() if entry.kind in CHECKED and entry.status != "hidden"]
    found = {entry.kind for entry in known if entry.name == short_name(name)}
    if kind is not None and kind not in found:
        raise InputError(f"`kind` {kind!r}: there is no {kind} {name!r}")
    if not found:
        listed = ", ".join(sorted({entry.name for entry in known}))
        raise InputError(f"`name` {name!r} is unknown; there are: {listed}")
    if kind is None and len(found) > 1:
        raise InputError(f"`kind` is needed: {name!r} is a {' and a '.join(sorted(found))}")
    return kind or found.pop()


def _of_system(name: str) -> list[Check]:
    from nbody_surrogate.testing.case import system_case
    from nbody_surrogate.testing.systems import SYSTEM_CHECKS

    return _bound(SYSTEM_CHECKS, lambda: system_case(name))


def _of_integrator(name: str, system: str | None) -> list[Check]:
    from nbody_surrogate.testing.case import integrator_case
    from nbody_surrogate.testing.integrators import INTEGRATOR_CHECKS

    every = [(function, ()) for function in INTEGRATOR_CHECKS]
    return _bound(every, lambda: integrator_case(name, system))


def _of_surrogate(
    name: str, system: str | None, weights: str | None, config: Mapping[str, Any] | None
) -> list[Check]:
    from nbody_surrogate.testing.integrators import INTEGRATOR_CHECKS
    from nbody_surrogate.testing.surrogate_case import surrogate_case
    from nbody_surrogate.testing.surrogates import SURROGATE_CHECKS

    every = [*((function, ()) for function in INTEGRATOR_CHECKS), *SURROGATE_CHECKS]
    return _bound(every, lambda: surrogate_case(name, system, weights, config))


def _bound(
    functions: Iterable[tuple[Callable[..., None], tuple[Any, ...]]],
    make: Callable[[], Any],
) -> list[Check]:
    """Make checks that share one case."""
    case = cache(make)
    return [
        Check(title(function, arguments), function, case, arguments)
        for function, arguments in functions
    ]
