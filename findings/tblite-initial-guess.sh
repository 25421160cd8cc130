#!/bin/sh
# tblite 0.8.0, tblite.ase.TBLite: the keyword `initial_guess` that its docstring names is ignored,
# and any word is taken for it. What is read is `guess`, which the docstring does not name. With a
# loose accuracy, the energy tells which guess the cycles began from.
#
# Seen, energy against that without a keyword, in eV:
#   initial_guess: sad +0.0e+00, eeq +0.0e+00, eeqbc +0.0e+00, nonsense +0.0e+00
#   guess:         sad +0.0e+00, eeq +1.6e-03, eeqbc +2.2e-03, nonsense KeyError
#
# Exits with 1 where another version behaves otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ase==3.29.0 tblite==0.8.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

from ase.build import molecule
from tblite.ase import TBLite


def energy(**keyword):
    water = molecule("H2O")
    water.calc = TBLite(method="GFN2-xTB", accuracy=1000.0, verbosity=0, **keyword)
    return water.get_potential_energy()


def told(keyword, guess):
    try:
        return f"{energy(**{keyword: guess}) - energy():+.1e}"
    except KeyError:
        return "KeyError"


GUESSES = ("sad", "eeq", "eeqbc", "nonsense")
seen = {key: [told(key, guess) for guess in GUESSES] for key in ("initial_guess", "guess")}
for key, values in seen.items():
    print(f"{key}:", ", ".join(map(" ".join, zip(GUESSES, values))))
same = ["+0.0e+00"] * 4
sys.exit(not (seen["initial_guess"] == same and seen["guess"][1] != same[1]))
PYTHON
