#!/bin/sh
# MDAnalysis 2.11.0, H5MDReader: `trajectory.dt` is 1.0 whatever the file's times are, and
# `transfer_to_memory()` replaces the times by 0, dt, 2 dt, ...; of several particles groups the
# first one is read without a word. The file is made by h5py 3.16.0: frames at 5.0, 5.1, 5.2, 5.3.
#
# Seen:
#   dt 1.0, total time 3.0, group 0
#   from the file 5.0 5.1 5.2 5.3
#   in memory 0.0 1.0 2.0 3.0
#   in memory, loaded with dt=0.1: 0.0 0.1 0.2 0.3
#
# Exits with 1 where another version behaves otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install MDAnalysis==2.11.0 h5py==3.16.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import warnings

import h5py
import MDAnalysis
import numpy as np

warnings.simplefilter("ignore")
with h5py.File("run.h5", "w") as file:
    file.create_group("h5md").attrs["version"] = [1, 1]
    for number in range(2):
        group = file.create_group(f"particles/group_{number}")
        box = group.create_group("box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["none"] * 3
        position = group.create_group("position")
        position["step"] = np.arange(4)
        position["time"] = 5.0 + 0.1 * np.arange(4)
        position["value"] = np.full((4, 2, 3), float(number))


def load(**options):
    universe = MDAnalysis.Universe.empty(2, trajectory=False)
    return universe.load_new("run.h5", format="H5MD", convert_units=False, **options)


def times(universe):
    return [round(float(step.time), 9) for step in universe.trajectory]


universe = load()
trajectory = universe.trajectory
found = [trajectory.dt, trajectory.totaltime, float(trajectory[0].positions[0, 0])]
print(MDAnalysis.__version__, "dt, total time, group:", *found)
from_file = times(universe)
universe.transfer_to_memory()
told = load(dt=0.1)
told.transfer_to_memory()
print("from the file", from_file, "in memory", times(universe), "with dt=0.1", times(told))
expected = (
    found == [1.0, 3.0, 0.0]
    and from_file == [5.0, 5.1, 5.2, 5.3]
    and times(universe) == [0.0, 1.0, 2.0, 3.0]
    and times(told) == [0.0, 0.1, 0.2, 0.3]
)
sys.exit(not expected)
PYTHON
