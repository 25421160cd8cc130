"""Starts of atoms: from a structure file, built by name, or on a lattice. Units are ASE's."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nbody_simulators.systems.ase_calculators import demand_ase
from nbody_surrogate.contracts import InputError

__all__ = ["formula_of", "lattice", "species_of", "structure", "thermal"]

FORMATS = MappingProxyType(
    {
        ".xyz": "extxyz",
        ".extxyz": "extxyz",
        ".cif": "cif",
        ".pdb": "proteindatabank",
        ".xsf": "xsf",
        ".gen": "gen",
        ".vasp": "vasp",
        ".poscar": "vasp",
        ".cube": "cube",
        ".mol": "mol",
        ".sdf": "sdf",
    }
)
"""Formats of text; some others that ASE reads can hold code."""

ELEMENT = r"([A-Z][a-z]?)(\d*)"
MOST = 10**5  # atoms


def species_of(formula: str) -> list[str]:
    """Return the chemical symbols of a formula in its order: ``NaCl2`` is Na, Cl, Cl.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not re.fullmatch(rf"({ELEMENT})+", formula):
        raise ValueError(
            f"must be a chemical formula without brackets, such as Na4Cl4, got {formula!r}"
        )
    found: list[str] = []
    for symbol, count in re.findall(ELEMENT, formula):
        if int(count or 1) > MOST:
            raise ValueError(f"must be of {MOST} atoms at most, got {formula!r}")
        found += [symbol] * int(count or 1)
    return found


def formula_of(symbols: list[str]) -> str:
    """Return the formula that `species_of` reads back, in the same order."""
    runs: list[list[Any]] = []
    for symbol in symbols:
        if runs and runs[-1][0] == symbol:
            runs[-1][1] += 1
        else:
            runs.append([symbol, 1])
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in runs)


def structure(source: str) -> Any:
    """Read or build atoms.

    Parameters
    ----------
    source : str
        A structure file; or ``molecule:NAME`` of ASE's collection g2, such as ``molecule:H2O``; or
        ``rocksalt:NaCl:5.64``, a cube of 8 atoms by its edge in angstrom.

    Returns
    -------
    ase.Atoms

    Raises
    ------
    InputError
        If there is none, or ASE cannot read it.
    """
    demand_ase()
    kind, _, name = source.partition(":")
    if kind in ("molecule", "rocksalt") and name:
        return _built(kind, name, source)
    path = Path(source)
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise InputError(
            f"`structure` must be molecule:NAME, rocksalt:NaCl:5.64, or a file ending in "
            f"{', '.join(FORMATS)}, got {source!r}"
        )
    if not path.is_file():
        raise InputError(f"`structure` must be a file that exists, got {source!r}")
    from ase.io import read

    try:
        return read(path, index=0, format=form)
    except Exception as error:  # readers raise whatever comes up
        why = " ".join(str(error).split())[:200]
        raise InputError(f"`structure` {source!r} cannot be read as {form}: {why}") from None


def _built(kind: str, name: str, source: str) -> Any:
    from ase import build

    known: Any = build  # of which ASE gives no types
    try:
        if kind == "molecule":
            return known.molecule(name)
        formula, _, edge = name.partition(":")
        atoms = known.bulk(formula, "rocksalt", a=float(edge), cubic=True)
    except (KeyError, ValueError, RuntimeError, NotImplementedError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"`structure` {source!r} cannot be built: {why}") from None
    atoms.pbc = False  # a cube cut out, not a crystal
    # for pictures: calculators are handed no charges
    first = atoms.get_chemical_symbols()[0]
    atoms.set_initial_charges([1.0 if s == first else -1.0 for s in atoms.get_chemical_symbols()])
    return atoms


def lattice(n: int, dimensions: int, spacing: float) -> np.ndarray:
    """Return the sites of a simple lattice nearest to its corner, about their middle, (N, D)."""
    side = int(np.ceil(n ** (1 / dimensions) - 1e-9))
    sites = np.array(list(product(range(side), repeat=dimensions)), dtype=np.float64)
    x = sites[np.argsort(sites.max(1), kind="stable")][:n] * spacing
    return np.asarray(x - x.mean(0))


def thermal(
    rng: np.random.Generator, masses: np.ndarray, dimensions: int, energy: float
) -> np.ndarray:
    """Draw Maxwell's velocities (N, D) at k T = `energy`, in the centre-of-mass frame."""
    v = rng.normal(size=(len(masses), dimensions)) * np.sqrt(energy / masses)[:, None]
    return np.asarray(v - (masses / masses.sum()) @ v)
