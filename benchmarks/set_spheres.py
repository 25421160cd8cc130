"""What `set-spheres` is wrong by, what a force of it costs, and what its splitting is worth.

    python benchmarks/set_spheres.py forces --particles 5 10 30
    python benchmarks/set_spheres.py splitting --particles 30 --trajectories 4

`forces` holds the learned forces against order 10 with exact pairs, in starts of the preset and
after two time units: the rms error of electric forces over their rms, with 95 % intervals by
resampled clouds; and the time of one force beside that of orders of multipoles.

`splitting` gives classical forces what the model has besides its own: kicks at nodes of Gauss, and
between them steps of order 4 by the exact energies of pairs. So what is left is that of the forces
alone. Position RMSE after two time units against the converged truth (dop853 at 1e-9),
and milliseconds per time unit, one start at a time on one thread, processor time, medians.

Weights of another folder are those of `--weights`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sphere_front import RESAMPLES, electric, interval, median_time

from nbody_set.sphere_kernel import Law, fast_forces, kernels
from nbody_set.sphere_layout import lanes_of, workspace
from nbody_set.sphere_schedule import STAGES, schedule
from nbody_set.spheres import SETSpheres
from nbody_surrogate import Particles, make_system, simulate
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.surrogates.weights import load_weights

Forces = Callable[[np.ndarray], np.ndarray]
DT = 0.1


class Learned:
    """The forces of a model, of spheres of radius 1."""

    def __init__(self, model: SETSpheres) -> None:
        self.law, functions = model._law()
        self.functions = lanes_of(functions)

    def slow(self, charges: np.ndarray) -> Forces:
        """Return the forces of all that is induced, less the exact ones of pairs."""
        n, like, scratch = len(charges), np.empty(0, np.float32), np.empty((3, 8))
        room, steps = workspace(n, self.functions), len(self.functions) - 1
        room.charges[:] = charges
        _, forces = kernels()

        def of(x: np.ndarray) -> np.ndarray:
            out = np.empty((n, 3))
            forces(like, x, steps, room, scratch, out)
            return out

        return of

    def fast(self, charges: np.ndarray, law: Law | None = None) -> Forces:
        """Return the exact forces of pairs and of the repulsion."""
        law = self.law if law is None else law

        def of(x: np.ndarray) -> np.ndarray:
            out = np.empty(x.shape)
            fast_forces(x, charges, law, out)
            return out

        return of


def classical(order: int, particles: Particles, learned: Learned) -> Forces:
    """Return the forces of an order with exact pairs, less those of pairs."""
    system = make_system("spheres", order=order, pairs=True, truncation=None)
    fast = learned.fast(particles.charges[0])

    def of(x: np.ndarray) -> np.ndarray:
        forces = system.pair_acceleration(x[None], particles)[0] * particles.masses[0][:, None]
        return forces - fast(x)

    return of


def forces(given: argparse.Namespace, learned: Learned) -> None:
    """Print errors and times of forces."""
    truth = make_system("spheres", order=10, pairs=True, truncation=None)
    free = learned.law._replace(strength=0.0)
    print(f"{'N':>3} {'clouds':12} {'error':>8} {'95 % interval':>20}  ms a force")
    for n in given.particles:
        state, particles = truth.sample(given.seed, n, given.samples)
        method = "leapfrog:8@p2+pairs"
        made = simulate(truth, state, particles, round(2.0 / DT), method, error_estimate=False)
        for name, x in (("starts", state.x), ("2 units on", made.x[:, -1])):
            wanted = electric(truth, x, particles)
            found = np.stack(
                [
                    learned.slow(q)(place) + learned.fast(q, free)(place)
                    for place, q in zip(x, particles.charges, strict=True)
                ]
            )
            off = ((found - wanted) ** 2).mean((1, 2))
            error, low, high = interval(off, (wanted**2).mean((1, 2)))
            print(f"{n:3} {name:12} {error:8.3%} {low:9.3%} to {high:.3%}", flush=True)
        for name, call in calls(given, learned, state.x[:1], particles[:1]).items():
            print(f"{n:3} {name:12} {1e3 * median_time(call, given.seconds):41.4f}", flush=True)


def calls(
    given: argparse.Namespace, learned: Learned, x: np.ndarray, particles: Particles
) -> dict[str, Callable[[], np.ndarray]]:
    """Return what computes forces of one cloud, by each kind."""
    q = particles.charges[0]
    made: dict[str, Callable[[], np.ndarray]] = {
        "learned": partial(learned.slow(q), x[0]),
        "pairs": partial(learned.fast(q), x[0]),
    }
    for order in given.orders:
        system = make_system("spheres", order=order, truncation=None)
        made[f"p{order}"] = partial(system.pair_acceleration, x, particles)
    return made


class Runs:
    """Starts that are followed by one kind of forces."""

    def __init__(self, given: argparse.Namespace, learned: Learned, n: int) -> None:
        self.learned, self.frames = learned, round(given.duration / DT)
        self.truth = make_system("spheres", order=10, pairs=True, truncation=None)
        self.state, self.particles = self.truth.sample(given.seed, n, given.trajectories)
        self.end = simulate(self.truth, self.state, self.particles, self.frames, "dop853:1e-9").x[
            :, -1
        ]

    def run(self, order: int | None, kicks: int, b: int) -> np.ndarray:
        """Return the last frame of a start, by an order of multipoles or by what is learned."""
        one = self.particles[b : b + 1]
        slow = (
            self.learned.slow(one.charges[0])
            if order is None
            else classical(order, one, self.learned)
        )
        fast, masses = self.learned.fast(one.charges[0]), one.masses[0][:, None]
        return march(self.state.x[b], self.state.v[b], masses, slow, fast, self.frames, kicks)


def splitting(given: argparse.Namespace, learned: Learned) -> None:
    """Print work and precision of forces by the same splitting."""
    for n in given.particles:
        runs = Runs(given, learned, n)
        print(f"\nN = {n}: {'forces':10} kicks  {'RMSE':>9} {'95 % interval':>20}  ms a unit")
        for order in (None, *given.orders):
            for kicks in given.kicks:
                found = np.stack([runs.run(order, kicks, b) for b in range(given.trajectories)])
                errors = rmse(runs.end[:, None], found[:, None])[:, 0]
                draws = np.random.default_rng(0).integers(
                    len(errors), size=(RESAMPLES, len(errors))
                )
                low, high = np.quantile(np.median(errors[draws], axis=1), (0.025, 0.975))
                cost = median_time(partial(runs.run, order, kicks, 0), given.seconds)
                name = "learned" if order is None else f"p{order}+pairs"
                print(
                    f"        {name:10} {kicks:5} {np.median(errors):10.2e} "
                    f"{low:9.2e} to {high:.2e} {1e3 * cost / given.duration:10.2f}",
                    flush=True,
                )


def march(
    x: np.ndarray,
    v: np.ndarray,
    masses: np.ndarray,
    slow: Forces,
    fast: Forces,
    frames: int,
    kicks: int,
) -> np.ndarray:
    """Return the last frame by the splitting of the model."""
    x, v = x.copy(), v.copy()
    times, weights = schedule(kicks)
    now = fast(x)
    for _ in range(frames):
        for gap, weight in zip(times, (*weights, 0.0), strict=True):
            for drift, kick in STAGES:
                if drift:
                    x += drift * gap * DT * v
                    now = fast(x)
                v += kick * gap * DT * now / masses
            if weight:
                v += weight * DT * slow(x) / masses
    return x


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("forces", "splitting"))
    parser.add_argument("--weights", type=Path, default=SETSpheres.shipped_weights["set-spheres"])
    parser.add_argument("--particles", type=int, nargs="+", default=[5, 10, 30])
    parser.add_argument("--samples", type=int, default=24, help="clouds, of forces")
    parser.add_argument("--trajectories", type=int, default=8, help="starts, of splitting")
    parser.add_argument("--orders", type=int, nargs="+", default=[2, 4, 6, 8])
    parser.add_argument("--kicks", type=int, nargs="+", default=[2])
    parser.add_argument("--duration", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.3, help="timing of each number")
    given = parser.parse_args()
    learned = Learned(load_weights(given.weights, "set-spheres", SETSpheres)[0])
    {"forces": forces, "splitting": splitting}[given.what](given, learned)


if __name__ == "__main__":
    main()
