#!/bin/sh
# ZnH5MD 0.4.8 does not read H5MD files of which an element does not change with time, as H5MD 1.1
# allows ("time-independent" elements) and pyh5md 1.2.0 writes: masses here. And a boundary that is
# written as text of fixed length, which H5MD allows too, it takes for periodic, though it is "none".
#
# Seen:
#   constant masses: ValueError: Error processing group 'mass'
#   boundary of fixed length: pbc [True True True]
#
# Exits with 1 where another version behaves otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install znh5md==0.4.8 pyh5md==1.2.0 h5py==3.16.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import h5py
import numpy as np
import znh5md
from pyh5md import File, element

file = File("run.h5", "w", creator="example", creator_version="1", author="nobody")
group = file.particles_group("atoms")
group.create_box(dimension=3, boundary=["none"] * 3)
x = np.arange(6.0).reshape(2, 3)
position = element(group, "position", store="time", data=x, time=True)
species = element(group, "species", store="time", data=np.ones(2, int), time=True)
edges = element(group["box"], "edges", store="time", data=np.ones(3), time=True)
for step in range(3):
    position.append(x + step, step, 0.1 * step)
    species.append(np.ones(2, int), step, 0.1 * step)
    edges.append(np.ones(3), step, 0.1 * step)
element(group, "mass", store="fixed", data=np.ones(2))
file.close()
try:
    found = repr(znh5md.IO("run.h5")[0])
except ValueError as error:
    found = str(error)
with h5py.File("run.h5", "r+") as file:
    del file["particles/atoms/mass"]
before = znh5md.IO("run.h5")[0].pbc.tolist()
with h5py.File("run.h5", "r+") as file:
    file["particles/atoms/box"].attrs["boundary"] = np.array([b"none"] * 3)
after = znh5md.IO("run.h5")[0].pbc.tolist()
print(version("znh5md"), "constant masses:", found, "| pbc:", before, "of fixed length:", after)
expected = found == "Error processing group 'mass'" and not any(before) and all(after)
sys.exit(not expected)
PYTHON
