"""Cost and accuracy of the forces of charged spheres.

    OMP_NUM_THREADS=1 python benchmarks/sphere_forces.py times
    python benchmarks/sphere_forces.py convergence
    python benchmarks/sphere_forces.py bodies
    python benchmarks/sphere_forces.py gaps

`times` is of one call for one cloud of the preset: the least and the median of some, with the
iterations of conjugate gradients.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from nbody_simulators.multipoles import energies_and_forces
from nbody_simulators.multipoles.batches import iterations
from nbody_simulators.multipoles.convergence import pair_error
from nbody_simulators.multipoles.dense import energy_and_forces
from nbody_simulators.multipoles.pair_table import pair_corrections
from nbody_surrogate import make_integrator, make_system, simulate


def times(sizes: list[int], orders: list[int], seconds: float) -> None:
    """Print the time of one force, of every size and order."""
    print("| N | p | iterations | least, ms | median, ms |\n|---|---|---|---|---|")
    for n in sizes:
        state, particles = make_system("spheres").sample(0, n)
        given = (state.x, particles.charges, particles.radii)
        for order in orders:
            count = int(iterations(*given, order)[0])
            taken = []
            while sum(taken) < seconds or len(taken) < 5:
                begun = time.perf_counter()
                energies_and_forces(*given, order)
                taken.append(time.perf_counter() - begun)
            least, median = 1e3 * min(taken), 1e3 * float(np.median(taken))
            print(f"| {n} | {order} | {count} | {least:.3f} | {median:.3f} |", flush=True)


def convergence() -> None:
    """Print by how much the force of two conductors with charges 1 and -1 is off, by order."""
    orders = (0, 1, 2, 4, 6, 8, 10)
    print("| gap / R |", *(f"p = {order} |" for order in orders), "rule, p = 6 |")
    print("|---" * (len(orders) + 2) + "|")
    charges, radii = np.array([1.0, -1.0]), np.ones(2)
    for gap in (1.0, 0.5, 0.3, 0.2, 0.15):
        x = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0 + gap]])
        exact = energy_and_forces(x, charges, radii, 40)[1][0, 2]
        off = [abs(energy_and_forces(x, charges, radii, p)[1][0, 2] / exact - 1) for p in orders]
        rule = pair_error(2.0 + gap, (1.0, 1.0), 6)
        print(f"| {gap} |", *(f"{each:.1e} |" for each in off), f"{rule:.1e} |", flush=True)


def bodies(sizes: list[int], clouds: int) -> None:
    """Print how far point charges and exact pairs are from the forces of many bodies."""
    print("| N | rms force | points | points + exact pairs | p = 6 |\n|---|---|---|---|---|")
    for n in sizes:
        state, particles = make_system("spheres").sample(1, n, clouds)
        given = (state.x, particles.charges, particles.radii)
        wanted = energies_and_forces(*given, 10)[1] + pair_corrections(*given, 10)[1]
        points, sixth = (energies_and_forces(*given, order)[1] for order in (0, 6))
        paired = points + pair_corrections(*given, 0)[1]
        scale = np.sqrt((wanted**2).mean())
        off = [np.sqrt(((each - wanted) ** 2).mean()) / scale for each in (points, paired, sixth)]
        print(f"| {n} | {scale * 3**0.5:.3f} |", *(f"{100 * each:.2g} % |" for each in off))


def gaps(closest: float, speed: float) -> None:
    """Print the median gap to the nearest sphere, before and after 2 time units."""
    print("| N | clouds | at the start | after 2 time units | least |\n|---|---|---|---|---|")
    for n, clouds in ((5, 16), (10, 8), (30, 2)):
        system = make_system("spheres", order=4, closest=closest, speed=speed)
        start = system.sample(0, n, clouds)
        method = make_integrator("leapfrog", substeps=8)
        x = simulate(system, *start, 20, method, error_estimate=False).x
        r = np.linalg.norm(x[:, :, :, None] - x[:, :, None], axis=-1)
        nearest = (r + 1e9 * np.eye(n)).min(-1) - 2.0
        first, last = (float(np.median(nearest[:, k])) for k in (0, -1))
        print(f"| {n} | {clouds} | {first:.2f} | {last:.2f} | {nearest.min():.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["times", "convergence", "bodies", "gaps"])
    parser.add_argument("--particles", type=int, nargs="+", default=[5, 10, 20, 30, 60])
    parser.add_argument("--orders", type=int, nargs="+", default=[0, 1, 2, 4, 6, 8, 10])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--clouds", type=int, default=20)
    parser.add_argument("--closest", type=float, default=1.0)
    parser.add_argument("--speed", type=float, default=1.0)
    given = parser.parse_args()
    if given.what == "times":
        times(given.particles, given.orders, given.seconds)
    elif given.what == "convergence":
        convergence()
    elif given.what == "gaps":
        gaps(given.closest, given.speed)
    else:
        bodies([n for n in given.particles if n <= 30], given.clouds)


if __name__ == "__main__":
    main()
