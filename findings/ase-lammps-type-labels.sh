#!/bin/sh
# ASE 3.29.0, ase.io.read(format="lammps-data"): where atom types are written as labels and atoms
# are not in the order of their ids, atoms get the types, and so the masses, of others. Positions
# and charges are sorted by id, labels are not. With numbers in place of the labels all is right.
#
# The file: O (mass 16, charge -1) at x = 1, H (mass 1, charge 0.5) at x = 2 and 3; ids 3, 1, 2.
#
# Seen:
#   labels:  x [1 2 3], charges [-1 0.5 0.5], masses [1 16 1]
#   numbers: x [1 2 3], charges [-1 0.5 0.5], masses [16 1 1]
#
# Exits with 1 where another version behaves otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ase==3.29.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from io import StringIO

import ase
import numpy as np
from ase.io import read

TEXT = """water

3 atoms
2 atom types

0 9 xlo xhi
0 9 ylo yhi
0 9 zlo zhi

Atom Type Labels

1 H
2 O

Masses

1 1.0
2 16.0

Atoms # charge

3 H 0.5 3 0 0
1 O -1.0 1 0 0
2 H 0.5 2 0 0
"""


def masses(text):
    atoms = read(StringIO(text), format="lammps-data")
    assert atoms.positions[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert atoms.get_initial_charges().tolist() == [-1.0, 0.5, 0.5]
    return np.rint(atoms.get_masses()).tolist()


numbers = TEXT.replace("Atom Type Labels\n\n1 H\n2 O\n\n", "")
numbers = numbers.replace(" H ", " 1 ").replace(" O ", " 2 ")
print(ase.__version__, "labels:", masses(TEXT), "numbers:", masses(numbers))
sys.exit(not (masses(TEXT) == [1.0, 16.0, 1.0] and masses(numbers) == [16.0, 1.0, 1.0]))
PYTHON
