"""Data files of LAMMPS, through ASE's reader."""

from __future__ import annotations

import re
import warnings
from io import StringIO
from pathlib import Path

import numpy as np

from nbody_surrogate.files.limits import FOREIGN_TEXT
from nbody_surrogate.files.untrusted import read_bounded
from nbody_surrogate.formats.foreign.content import Content, checked_frame, read_errors
from nbody_surrogate.formats.foreign.extra import needed

__all__ = ["read_lammps_data"]

LONGEST_LINE = 2**12
UNITS = "metal"
"""ASE converts to its own units; from these, lengths stay, and the rest is turned back."""


def read_lammps_data(path: Path, frame: int | None = None) -> Content:
    """Read a data file: positions, and velocities, charges and masses where it has them.

    Parameters
    ----------
    path : Path
    frame : int, optional
        There is one.

    Raises
    ------
    InputError
        If another frame is asked for, or the library is not installed.
    FileFormatError
        If the file is damaged, or of an atom style that ASE does not read.
    """
    needed("ase", path)
    with read_errors(path, "LAMMPS data"):
        checked_frame(frame or 0, 1)
        text = read_bounded(path, FOREIGN_TEXT.largest).decode("utf-8")
        _check(text)
        return _content(text)


def _check(text: str) -> None:
    """Demand what ASE takes for granted."""
    lines = text.splitlines()
    if max(map(len, lines), default=0) > LONGEST_LINE:
        raise ValueError(f"a line is longer than {LONGEST_LINE} characters")
    found = [line for line in lines[1:200] if re.match(r"\s*\d+\s+atoms\s*(#.*)?$", line)]
    # ASE makes room for as many as are announced
    if len(found) != 1 or not 0 < int(found[0].split()[0]) <= len(lines):
        raise ValueError("its header must tell the number of atoms, each a line")
    if re.search(r"^\s*Atom\s+Type\s+Labels", text, re.MULTILINE):
        # where atoms are not in the order of their ids, ASE 3.29 mixes the labels up
        raise ValueError(
            "its types have labels; write it with numbers (write_data ... types numeric)"
        )


def _content(text: str) -> Content:
    from ase.calculators.lammps import convert
    from ase.io.lammpsdata import read_lammps_data as read

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # image flags are left: the box is not read, so that positions stand as they are
        atoms = read(StringIO(text), units=UNITS, read_image_flags=False)
        unwrapped = read(StringIO(text), units=UNITS).positions
    # of other constants than its own, so that a mass of 1 becomes 1 + 3e-10
    velocity, mass = (
        convert(1.0, quantity, UNITS, "ASE")  # type: ignore[no-untyped-call]
        for quantity in ("velocity", "mass")
    )
    v = atoms.get_velocities() / velocity if atoms.has("momenta") else None
    charged = atoms.has("initial_charges")
    return Content(
        x=atoms.positions[None],
        v=None if v is None else v[None],
        charges=atoms.get_initial_charges() if charged else None,
        masses=atoms.get_masses() / mass if atoms.has("masses") else None,
        species=tuple(str(each) for each in atoms.arrays["type"]),
        # every file has a box, whose particles never left it where it is open
        periodic=not np.allclose(atoms.positions, unwrapped),
    )
