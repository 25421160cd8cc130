"""Na4Cl4 by GFN1-xTB: what a force costs, whether it is the energy's, and what a run conserves.

Needs the extra `xtb`. Run as `OMP_NUM_THREADS=1 python benchmarks/salt.py`. Units are ASE's.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from ase import Atoms
from tblite.ase import TBLite

import nbody_surrogate as nb

FEMTOSECONDS = 10.1805
MOVED = 0.02  # angstrom, about what an atom goes in 2 fs


def calls(system, state, particles, count):
    """Seconds of a call, and how far forces depend on the call before."""
    rng = np.random.default_rng(1)
    places = [state.x + MOVED * rng.normal(size=state.x.shape) for _ in range(count)]
    fresh, spent = [], []
    for x in places:
        began = time.perf_counter()
        fresh.append(system.pair_acceleration(x, particles)[0] * particles.masses[0, :, None])
        spent.append(time.perf_counter() - began)
    symbols = ["Na", "Cl"] * 4
    atoms = Atoms(symbols, calculator=TBLite(method="GFN1-xTB", verbosity=0))
    kept, warm = [], []
    for x in places:
        began = time.perf_counter()
        atoms.positions = x[0]
        kept.append(atoms.get_forces())
        warm.append(time.perf_counter() - began)
    gap = np.abs(np.array(fresh) - np.array(kept)).max() / np.abs(fresh).max()
    print(f"a force, calculator made anew: {1e3 * np.median(spent):.1f} ms")
    print(f"a force, one calculator kept:  {1e3 * np.median(warm):.1f} ms")
    print(f"forces of the two differ by {gap:.0e} of the largest: they depend on the call before")


def gradient(system, state, particles):
    """Gap between forces and central differences of the energy."""
    force = particles.masses[..., None] * system.pair_acceleration(state.x, particles)
    gaps, h = [], 1e-3
    for way in np.random.default_rng(2).normal(size=(5, *state.x.shape)):
        ahead, behind = (system.potential_energy(state.x + s * h * way, particles) for s in (1, -1))
        gaps.append(((behind - ahead) / (2 * h) - (force * way).sum((1, 2)))[0])
    largest = np.abs(force).max()
    print(f"forces and -dE/dx differ by {np.abs(gaps).max() / largest:.0e} of the largest")


def conserved(system, state, particles, duration):
    """Energy along runs, and what they cost."""
    methods = [
        nb.make_integrator("leapfrog", form="kdk", substeps=2),
        nb.make_integrator("leapfrog", form="kdk", substeps=1),
        nb.make_integrator("srkn6", substeps=1),
        nb.make_integrator("dop853", rtol=1e-7, atol=1e-7),
    ]
    for method in methods:
        run = nb.simulate(system, state, particles, round(duration / 0.1), method)
        before = dict(system.computed)["force_calls"]
        kinetic = run.kinetic_energy.mean()
        off = np.ptp(run.energy) / kinetic
        more = dict(system.computed)["force_calls"] - before
        print(
            f"{run.info.label:28} energy within {off:.1e} of the kinetic one, "
            f"{run.info.counters['force_calls']} forces, {more} more for energies at frames"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--duration", type=float, default=10.0, help="Of each run.")
    options = parser.parse_args()
    system = nb.make_system(
        "ase", calculator="tblite", structure="rocksalt:NaCl:5.64", displacement=0.05
    )
    state, particles = system.sample(0, 8)
    calls(system, state, particles, options.calls)
    gradient(system, state, particles)
    print(f"runs of {options.duration * FEMTOSECONDS:.0f} fs, a frame {0.1 * FEMTOSECONDS:.2f} fs:")
    conserved(system, state, particles, options.duration)


if __name__ == "__main__":
    main()
