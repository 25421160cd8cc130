"""Small files as other programs write them, with the same motion of four particles in each."""

from __future__ import annotations

import h5py
import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.results.trajectory import RunInfo, Trajectory

N, T, DT = 4, 5, 0.25
CHARGES = np.array([1.0, -1.0, 1.0, -1.0])
MASSES = np.array([1.0, 2.0, 1.0, 2.0])
SPECIES = ("A", "B", "A", "B")
TIMES = DT * np.arange(T)
# of few binary digits, so that single precision holds them
X, V = np.random.default_rng(3).integers(-64, 64, size=(2, T, N, 3)) / 32.0


def motion():
    """The same as a trajectory of ours."""
    particles = Particles(CHARGES[None], MASSES[None])
    return Trajectory(TIMES, X, V, particles, RunInfo({}, {"integrator": "none"}))


# H5MD, laid out as the files of pyh5md 1.2, ZnH5MD 0.4.8, MDAnalysis 2.11 and LAMMPS are


def h5md(path, write, group="atoms"):
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        write(file.create_group(f"particles/{group}"))
    return path


def element(group, name, value, step, time, **storage):
    made = group.create_group(name)
    made["step"], made["time"] = step, time
    return made.create_dataset("value", data=value, **storage)


def pyh5md_series(group):
    """A time for each frame; what does not change is constant."""
    for name, values in (("position", X), ("velocity", V)):
        shape = {"maxshape": (None, N, 3), "chunks": (256, 2, 2)}
        element(group, name, values, 10 * np.arange(T), TIMES, **shape)
    group["charge"], group["mass"], group["species"] = CHARGES, MASSES, [0, 1, 0, 1]


def pyh5md_fixed_step(group):
    """One step and one time between frames, from an offset."""
    for name, values in (("position", X), ("velocity", V)):
        element(group, name, values, 10, DT, maxshape=(None, N, 3), chunks=(256, 2, 2))
    group["charge"], group["mass"] = CHARGES, MASSES


def znh5md(group):
    """All of it for each frame, of a fixed step, compressed, with units and a box."""
    gzip = {"compression": "gzip"}
    constant = {"initial_charges": CHARGES, "mass": MASSES, "species": [11.0, 17.0, 11.0, 17.0]}
    values = {"position": X, "velocity": V} | {k: np.tile(v, (T, 1)) for k, v in constant.items()}
    for name, value in values.items():
        element(group, name, value, 1, DT, **gzip)
    group["position/value"].attrs["unit"] = "Angstrom"
    group["position/time"].attrs["unit"] = "fs"
    group.create_group("box").attrs["boundary"] = ["periodic"] * 3


def mdanalysis(group):
    """Single precision, of the times too; neither charges nor masses."""
    element(group, "position", X.astype("f4"), np.arange(T, dtype="i4"), TIMES.astype("f4"))
    group.create_group("velocity")["value"] = V.astype("f4")
    for name in ("step", "time"):
        group[f"velocity/{name}"] = group[f"position/{name}"]


def lammps(group):
    """Elements of their own times; charges for each frame; no masses."""
    for name, value in (("position", X), ("velocity", V)):
        element(group, name, value, 100 * np.arange(T), TIMES, maxshape=(None, N, 3))
    element(group, "charge", np.tile(CHARGES, (T, 1)), 100 * np.arange(T), TIMES)


# Text


def xyz(path, properties, columns, header='time={t} pbc="F F F"'):
    """Write frames of the columns that a function gives for each."""
    with path.open("w") as file:
        for k in range(T):
            head = header.format(t=TIMES[k])
            file.write(f"{N}\n{head} Properties={properties}\n")
            for i in range(N):
                numbers = " ".join(repr(float(value)) for value in columns(k, i))
                file.write(f"{SPECIES[i]} {numbers}\n")
    return path


def lammps_xyz(path):
    """As `dump extxyz` with `dump_modify mass yes` writes it."""
    return xyz(
        path,
        "species:S:1:pos:R:3:vel:R:3:forces:R:3:mass:R:1",
        lambda k, i: [*X[k, i], *V[k, i], 0, 0, 0, MASSES[i]],
        'Timestep=100 Time={t} pbc="F F F" Lattice="9 0 0 0 9 0 0 0 9"',
    )


def ovito_xyz(path):
    return xyz(
        path,
        "species:S:1:pos:R:3:velo:R:3:charge:R:1:mass:R:1",
        lambda k, i: [*X[k, i], *V[k, i], CHARGES[i], MASSES[i]],
    )


def table(path):
    """CSV, its particles in another order in the second frame."""
    lines = ["t,id,x,y,z,vx,vy,vz,q,mass"]
    for k in range(T):
        for i in range(N) if k != 1 else reversed(range(N)):
            values = [TIMES[k], i, *X[k, i], *V[k, i], CHARGES[i], MASSES[i]]
            lines.append(",".join(repr(float(value)) for value in values))
    path.write_text("\n".join(lines) + "\n")
    return path


def lammps_data(path, image="0 0 0"):
    """Atoms in no order of their ids, as LAMMPS writes them."""
    atoms = [
        f"{i + 1} {1 + i % 2} {CHARGES[i]} {X[0, i, 0]} {X[0, i, 1]} {X[0, i, 2]} {image}"
        for i in (2, 0, 3, 1)
    ]
    velocities = [f"{i + 1} {V[0, i, 0]} {V[0, i, 1]} {V[0, i, 2]}" for i in (3, 1, 0, 2)]
    path.write_text(
        "LAMMPS data file\n\n4 atoms\n2 atom types\n\n-5 5 xlo xhi\n-5 5 ylo yhi\n-5 5 zlo zhi\n\n"
        "Masses\n\n1 1\n2 2\n\nAtoms # charge\n\n"
        + "\n".join(atoms)
        + "\n\nVelocities\n\n"
        + "\n".join(velocities)
        + "\n"
    )
    return path


# Binary, by the program's own library


def gsd_file(path, velocities=True, charges=True, later=True):
    import gsd.hoomd

    with gsd.hoomd.open(str(path), "w") as file:
        for k in range(T):
            frame = gsd.hoomd.Frame()
            frame.particles.N, frame.particles.position = N, X[k]
            frame.particles.types, frame.particles.typeid = ["A", "B"], [0, 1, 0, 1]
            frame.particles.mass = MASSES
            if charges:
                frame.particles.charge = CHARGES
            if velocities and (later or k == 0):
                frame.particles.velocity = V[k]
            file.append(frame)
    return path


def xyz_of_one(path):
    """A single frame, without velocities, charges or masses."""
    rows = "\n".join(f"X {x} {y} {z}" for x, y, z in X[0])
    path.write_text(f"{N}\n\n{rows}\n")
    return path
