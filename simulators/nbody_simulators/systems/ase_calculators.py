"""Calculators of ASE by name: those that a stored run may name without harm.

A run's file holds its system's parameters, and whoever reads the file builds the system from them.
Many of ASE's calculators start programs by a command line that is one of their parameters, or read
files: a file from a stranger could then run anything. So a name here is of a calculator that
computes in this process, and takes numbers and words that mean nothing else, which are listed.
Packages may offer more by entry points of the group ``nbody_surrogate.calculators``: functions
that return a calculator, and whose parameters are as harmless. For all others there is
`system_from_callable`, which no file can call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, final

from nbody_surrogate.contracts import InputError

__all__ = ["GROUP", "Calculator", "calculator_named", "demand_ase", "known_calculators"]

GROUP = "nbody_surrogate.calculators"

EXTRA = {"ase": "nbody-surrogate[ase]", "tblite": "nbody-surrogate[xtb]"}


@final
@dataclass(frozen=True)
class Calculator:
    """A calculator that can be named.

    Attributes
    ----------
    name, module, attribute : str
    options : frozenset of str or None
        What it takes; None of a stranger's, which checks them itself.
    defaults, fixed : mapping
        Options in place of its own defaults, and such as nobody may change.
    lasting : bool
        Whether one is made for all calls. Of ours each call has a new one, so that forces depend
        on no call before: neighbour lists and orbitals that are kept change their last digits.
    """

    name: str
    module: str
    attribute: str
    options: frozenset[str] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    lasting: bool = False

    @property
    def package(self) -> str:
        """What has to be installed."""
        return self.module.partition(".")[0]

    def demand_options(self, given: Mapping[str, Any]) -> None:
        """Refuse an option that it does not take.

        Raises
        ------
        ValueError
        """
        if self.options is None:
            return
        for key in given:
            if key not in self.options:
                known = ", ".join(sorted(self.options)) or "none"
                raise ValueError(
                    f"{key!r} is no option of calculator {self.name!r}; known: {known}"
                )

    def demand_installed(self) -> None:
        """Refuse it where its package, or ASE, is not installed.

        Raises
        ------
        InputError
        """
        demand_ase()
        if find_spec(self.package) is None:
            extra = EXTRA.get(self.package, self.package)
            raise InputError(
                f"`calculator` {self.name!r} needs {self.package}, which is not installed: "
                f"pip install '{extra}'"
            )

    def build(self, given: Mapping[str, Any]) -> Any:
        """Return a calculator of ASE.

        Parameters
        ----------
        given : mapping
            Its options.

        Returns
        -------
        ase.calculators.calculator.Calculator

        Raises
        ------
        InputError
            If it is not installed.
        """
        self.demand_installed()
        made = getattr(import_module(self.module), self.attribute)
        return made(**{**self.defaults, **given, **self.fixed})


OURS = MappingProxyType(
    {
        each.name: each
        for each in (
            Calculator("emt", "ase.calculators.emt", "EMT", frozenset({"asap_cutoff"})),
            Calculator(
                "lj",
                "ase.calculators.lj",
                "LennardJones",
                frozenset({"sigma", "epsilon", "rc", "ro", "smooth"}),
                # argon: Rahman, Phys. Rev. 136 (1964) A405; smooth, else energy leaks at the edge
                {"sigma": 3.405, "epsilon": 0.010324, "smooth": True},
            ),
            Calculator(
                "morse",
                "ase.calculators.morse",
                "MorsePotential",
                frozenset({"epsilon", "r0", "rho0", "rcut1", "rcut2"}),
            ),
            Calculator(
                "tblite",
                "tblite.ase",
                "TBLite",
                frozenset(
                    {
                        "method",
                        "charge",
                        "multiplicity",
                        "accuracy",
                        "electronic_temperature",
                        "max_iterations",
                        "mixer_damping",
                    }
                ),
                {"method": "GFN1-xTB"},
                {"verbosity": 0, "cache_api": False},
            ),
        )
    }
)


def demand_ase() -> None:
    """Refuse to go on without ASE.

    Raises
    ------
    InputError
    """
    if find_spec("ase") is None:
        raise InputError(
            "system 'ase' needs ase, which is not installed: pip install 'nbody-surrogate[ase]'"
        )


def known_calculators() -> dict[str, Calculator]:
    """Return the calculators that can be named: ours, and those of entry points."""
    found = {
        point.name: Calculator(point.name, point.module, point.attr, lasting=True)
        for point in entry_points(group=GROUP)
    }
    return {**found, **OURS}


def calculator_named(name: str) -> Calculator:
    """Return a calculator by name.

    Raises
    ------
    ValueError
        If it is unknown, or one of ASE's that no file may name.
    """
    known = known_calculators()
    if name in known:
        return known[name]
    if find_spec("ase") is not None:
        from ase.calculators.names import names

        if name.lower() in names:
            raise ValueError(
                f"{name!r} reads files or starts programs, which a stored run must not name; in "
                "Python hand its forces to nbody_surrogate.system_from_callable"
            )
    raise ValueError(f"must be one of {', '.join(sorted(known))}")
