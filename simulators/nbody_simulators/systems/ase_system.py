"""Atoms, by the energies and forces of a calculator of ASE."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, final

import numpy as np
from pydantic import Field, field_validator, model_validator

from nbody_simulators.systems.ase_calculators import Calculator, calculator_named
from nbody_simulators.systems.ase_structures import (
    formula_of,
    lattice,
    species_of,
    structure,
    thermal,
)
from nbody_simulators.systems.symmetries import FREE
from nbody_surrogate.contracts import (
    AbstractDearSystem,
    Draw,
    Evaluated,
    InputError,
    Particles,
    SystemSpec,
)

__all__ = ["UNITS", "Atoms", "AtomsSpec"]

UNITS: Literal["angstrom, eV, amu; time 10.1805 fs"] = "angstrom, eV, amu; time 10.1805 fs"
"""ASE's, in which time is angstrom sqrt(amu / eV)."""

BOLTZMANN = 8.617333262e-5  # eV / K, exact since 2019 but for rounding

OFF_LATTICE = 0.1  # angstrom: no start is a crystal at rest, whose forces vanish


class AtomsSpec(SystemSpec):
    """Parameters of `Atoms`. Units are ASE's, as `units` says; a frame is 1.018 fs by default."""

    calculator: str = Field(
        default="lj", description="by name: emt, lj, morse, tblite, or one of an entry point"
    )
    options: dict[str, float | bool | str | None] = Field(
        default_factory=dict, description="of the calculator, such as {'method': 'GFN1-xTB'}"
    )
    symbols: str = Field(
        default="Ar",
        description="chemical formula in the order of the particles; of a single symbol all are",
    )
    units: Literal["angstrom, eV, amu; time 10.1805 fs"] = Field(
        default=UNITS, description="of all numbers: length, energy, mass, time"
    )
    structure: str | None = Field(
        default=None, description="sampler: a file, molecule:NAME, or rocksalt:NaCl:5.64"
    )
    spacing: float = Field(
        default=3.8, gt=0, allow_inf_nan=False, description="sampler: of a lattice of one element"
    )
    displacement: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="sampler: standard deviation of places; none is 0.1 on a lattice, else 0",
    )
    temperature: float | None = Field(
        default=300.0,
        ge=0,
        allow_inf_nan=False,
        description="sampler: in K; none keeps the velocities of a structure file",
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Take the symbols from the structure, so that a run's file names the atoms."""
        if isinstance(given, dict) and given.get("structure") and "symbols" not in given:
            atoms = structure(str(given["structure"]))
            return {**given, "symbols": formula_of(atoms.get_chemical_symbols())}
        return given

    @field_validator("calculator")
    @classmethod
    def _known(cls, name: str) -> str:
        calculator_named(name)
        return name

    @field_validator("symbols")
    @classmethod
    def _formula(cls, formula: str) -> str:
        species_of(formula)
        return formula

    @model_validator(mode="after")
    def _fitting(self) -> AtomsSpec:
        calculator_named(self.calculator).demand_options(self.options)
        return self


@final
class Atoms(AbstractDearSystem[AtomsSpec]):
    """Atoms in open space, moved by the forces of an ASE calculator.

    Energies and forces are those of the calculator, for atoms of the given symbols; charges of
    particles are labels for pictures and no part of the forces. Units are angstrom, eV and atomic
    mass units, so that time is in angstrom sqrt(amu / eV) = 10.1805 fs. Starts are a structure
    file's, built by name, or a lattice of one element, with Maxwell's velocities, no net momentum
    and masses of ASE's table. In the plane, atoms have their third coordinate at zero.

    Calculators that ship are ``lj`` (argon unless told), ``morse``, ``emt`` and ``tblite``
    (GFN1-xTB and GFN2-xTB); each call makes a new one, so that forces depend on no call before.

    References
    ----------
    Hjorth Larsen et al., "The atomic simulation environment", J. Phys.: Condens. Matter 29 (2017)
    273002; Grimme, Bannwarth, Shushkov, J. Chem. Theory Comput. 13 (2017) 1989, for GFN1-xTB.
    """

    name = "ase"
    Spec = AtomsSpec
    tolerance = 1e-7  # self-consistent forces are smooth to 1e-5 of themselves at best
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    @property
    def symmetries(self) -> frozenset[str]:
        """All of free space; atoms can be exchanged where there is one element."""
        return FREE if self.fixed_particles is None else FREE - {"permutation"}

    @property
    def has_potential(self) -> bool:
        """Every calculator here has an energy."""
        return True

    @property
    def fixed_particles(self) -> int | None:
        """As many as the formula has, if it is not of a single symbol."""
        count = len(self._species)
        return None if count == 1 else count

    @cached_property
    def _species(self) -> list[str]:
        return species_of(self.spec.symbols)

    @cached_property
    def _calculator(self) -> Calculator:
        return calculator_named(self.spec.calculator)

    @cached_property
    def _lasting(self) -> Any:
        return self._calculator.build(self.spec.options)

    def _symbols(self, n: int) -> list[str]:
        """Return the symbols of n atoms."""
        if len(self._species) not in (1, n):
            raise InputError(
                f"`particles` must be {len(self._species)}, as many as `symbols` "
                f"{self.spec.symbols} has, got {n}"
            )
        return self._species if len(self._species) == n else self._species * n

    def _evaluate(self, x: np.ndarray, particles: Particles) -> Evaluated:
        from ase import Atoms as AtomsOfASE

        self._calculator.demand_installed()
        symbols = self._symbols(x.shape[1])
        place = np.zeros((*x.shape[:2], 3))
        place[..., : x.shape[2]] = x
        forces, energies = np.empty(place.shape), np.empty(len(x))
        for b, each in enumerate(place):
            lasting = self._calculator.lasting
            calculator = self._lasting if lasting else self._calculator.build(self.spec.options)
            atoms: Any = AtomsOfASE(symbols, positions=each, calculator=calculator)
            # forces first: with them comes the energy, which alone would be a call of its own
            forces[b] = atoms.get_forces()
            energies[b] = atoms.get_potential_energy()
        return Evaluated(forces[..., : x.shape[2]], energies)

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        self._calculator.demand_installed()
        symbols, spec = self._symbols(n), self.spec
        charges, v, usual = np.zeros(n), None, 0.0
        if spec.structure is None:
            if self.fixed_particles is not None:
                raise InputError(
                    "`structure` is needed to draw starts of several elements; name a file, or "
                    "start from one by `initial`"
                )
            x, masses = lattice(n, dimensions, spec.spacing), _masses(symbols)
            usual = OFF_LATTICE
        else:
            atoms = structure(spec.structure)
            if dimensions != 3 or atoms.get_chemical_symbols() != symbols:
                held = formula_of(atoms.get_chemical_symbols())
                raise InputError(
                    f"`structure` {spec.structure!r} has {held} in 3 dimensions, not "
                    f"{formula_of(symbols)} in {dimensions}"
                )
            # of isotopes too, which a file may have
            x, masses = atoms.get_positions(), atoms.get_masses()
            charges, v = atoms.get_initial_charges(), atoms.get_velocities()
        off = usual if spec.displacement is None else spec.displacement
        x = x + off * rng.normal(size=x.shape)
        if spec.temperature is not None:
            v = thermal(rng, masses, dimensions, BOLTZMANN * spec.temperature)
        return Draw(x, np.zeros_like(x) if v is None else v, charges, masses)


def _masses(symbols: list[str]) -> np.ndarray:
    """Return standard atomic masses."""
    from ase.data import atomic_masses, atomic_numbers

    for symbol in symbols:
        if symbol not in atomic_numbers:
            raise InputError(f"`symbols` must be of chemical elements, got {symbol!r}")
    return np.array([atomic_masses[atomic_numbers[symbol]] for symbol in symbols])
