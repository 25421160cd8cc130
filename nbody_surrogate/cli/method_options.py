"""Whose an option is: of the method, of its reference, or of the machine that both run on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbody_surrogate.cli.parameters import key_and_value
from nbody_surrogate.cli.request import Request, not_none
from nbody_surrogate.errors import InputError
from nbody_surrogate.spelling import instead_of

if TYPE_CHECKING:
    from nbody_surrogate.integrators.build import Method

__all__ = [
    "OF_BOTH",
    "as_before_options",
    "as_of_before",
    "calling_reference",
    "check_applying",
    "check_own",
    "check_shared",
    "own_options",
    "reference_options",
]

REFERENCE = "reference_"
OF_BOTH = ("rtol", "atol", "norm", "max_step", "substeps", "step", "form", "order", "eta")
"""Options that the reference has too, under `REFERENCE`."""

OF_METHOD = (*OF_BOTH, "dtype", "weights", "engine", "compile")
OF_HOST = ("auto", "cpu")
"""Devices that need no method to take them: all others compute there."""


def own_options(request: Request) -> dict[str, Any]:
    """Return the options of the method that were given, by the names that it has for them."""
    given = vars(request) | {"compile": request.compiled or None}
    return other_options(request, not_none(**{key: given[key] for key in OF_METHOD}))


def other_options(request: Request, settled: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the method with those that `--integrator-option` gives it.

    Raises
    ------
    InputError
        If one is no KEY=VALUE, is given twice, or is of the machine, which both methods share.
    """
    options = dict(settled)
    for text in request.integrator_option:
        key, value = key_and_value(text, "integrator_option", "slices=8")
        if key in ("threads", "device"):
            raise InputError(f"`integrator_option` {key!r} has an option of its own: --{key}")
        if key in options:
            raise InputError(
                f"`integrator_option` {key!r} is given twice, the second time as {text!r}; give it "
                "once, also where it has an option of its own"
            )
        options[key] = value
    return options


def reference_options(request: Request) -> dict[str, Any]:
    """Return those of the reference that were given."""
    return not_none(**{key: getattr(request, REFERENCE + key) for key in OF_BOTH})


def check_applying(request: Request, method: Method, reference: Method | None) -> None:
    """Refuse options that reach nobody: who gave one counts on it.

    A method takes what its `Options` have, whatever it is called.

    Raises
    ------
    InputError
    """
    check_own(request, method.options, None if reference is None else reference.options)
    for key in reference_options(request):
        if reference is None:
            raise InputError(f"`{REFERENCE}{key}` does not go with `no_reference`; leave one out")
        if key not in reference.options:
            raise InputError(
                f"`{REFERENCE}{key}` does not apply to reference {reference.name!r}, which takes "
                f"{_listed(reference.options)}"
            )
    _check_hardware(request, method, reference)


def check_shared(
    device: str, threads: int | None, methods: Iterable[Method], *, whole: bool = True
) -> None:
    """Refuse a device or threads that none of several methods would use.

    Parameters
    ----------
    device : str
    threads : int or None
    methods : iterable of Method
    whole : bool
        Whether they are all; the default ground truth may compute on several threads.

    Raises
    ------
    InputError
    """
    taken = {key for each in methods for key in each.options}
    if whole and (threads or 1) > 1 and "threads" not in taken:
        raise InputError(f"`threads` {threads} does not apply: all methods compute on one")
    if device not in OF_HOST and "device" not in taken:
        raise InputError(f"`device` {device!r} does not apply: all methods compute on the CPU")


def check_own(
    request: Request, of_method: Collection[str], of_reference: Collection[str] | None
) -> None:
    """Refuse options that are not the method's.

    Parameters
    ----------
    request : Request
    of_method, of_reference : collection of str
        Names of the options that each of the two has; None where there is no reference.

    Raises
    ------
    InputError
    """
    for key in own_options(request):
        if key not in of_method:
            if key in OF_METHOD:
                taken = f"{_listed(of_method)}{_instead(key, of_reference)}"
            else:  # of `--integrator-option`, which gives a method whatever it has
                taken = f"{_all_of(of_method)}{instead_of(key, of_method, {})}"
            raise InputError(
                f"`{key}` does not apply to integrator {request.integrator!r}, which takes {taken}"
            )


def _check_hardware(request: Request, method: Method, reference: Method | None) -> None:
    """Refuse threads and a device that neither of the two would use."""
    taken = set(method.options)
    taken |= set() if reference is None else reference.options
    if (request.threads or 1) > 1 and "threads" not in taken:
        raise InputError(
            f"`threads` {request.threads} does not apply to integrator {request.integrator!r}, "
            "which computes on one; leave it out"
        )
    if request.device not in OF_HOST and "device" not in taken:
        raise InputError(
            f"`device` {request.device!r} does not apply to integrator {request.integrator!r}, "
            "which computes on the CPU; leave it out"
        )


def _all_of(options: Collection[str]) -> str:
    return ", ".join(f"`{key}`" for key in sorted(options))


def _listed(options: Collection[str]) -> str:
    """Name what a method takes on the command line; what else it has, Python gives it."""
    return ", ".join(f"`{key}`" for key in OF_METHOD if key in options) or "none of these"


def _instead(key: str, of_reference: Collection[str] | None) -> str:
    if key not in OF_BOTH or of_reference is None or key not in of_reference:
        return ""
    option = f"--{REFERENCE}{key}".replace("_", "-")
    return f"; {option} is that of the reference"


@contextmanager
def calling_reference(given: dict[str, Any]) -> Iterator[None]:
    """Let errors call the options of the reference what the user calls them."""
    try:
        yield
    except InputError as error:
        said = str(error)
        for key in given:
            said = said.replace(f"`{key}`", f"`{REFERENCE}{key}`")
        raise InputError(said) from None


def as_of_before(request: Request, method: Method, reference: Method | None) -> Request:
    """Say whose the options are that releases before handed to whoever took them.

    There a tolerance was the method's and the reference's, and what reached nobody was let pass.
    """
    tolerances = not_none(rtol=request.rtol, atol=request.atol)
    changes: dict[str, Any] = dict.fromkeys(tolerances.keys() - method.options)
    if reference is not None and reference is not method:
        truths = reference.applying(tolerances)
        changes |= {REFERENCE + key: value for key, value in truths.items()}
    others = frozenset() if reference is None else reference.options
    if "threads" not in method.options | others:
        changes["threads"] = Request().threads
    return replace(request, **changes)


def as_before_options(
    request: Request, method: Method, reference: Method | None, unknown: Collection[str]
) -> Request:
    """Give options that a release did not know the values that its methods had, `of_before`."""
    another = reference is not None and reference is not method
    truths = reference.of_before if reference is not None and another else {}
    changes = {key: value for key, value in method.of_before.items() if key in unknown}
    changes |= {
        REFERENCE + key: value for key, value in truths.items() if key in unknown and key in OF_BOTH
    }
    return replace(request, **changes)
