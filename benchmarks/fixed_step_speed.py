"""Fixed-step stepping of an ensemble against the published NumPy algorithm, two threads.

    python benchmarks/fixed_step_speed.py

The published algorithm is written below from its description (Kipf et al. 2018, "Neural
Relational Inference"): one trajectory at a time, all pairs by broadcasting, squared distances
from |a|^2 + |b|^2 - 2ab, the summed force clipped. It runs on one thread, as it was published.
Against it `symplectic-euler` on `charged-clipped`, the same formula and step, from the same
starts, and the same positions to rounding. Times are per step and trajectory.
"""

from __future__ import annotations

import numpy as np
from timing import ratio

from nbody_surrogate import Particles, State, make_integrator, make_system

STEP, FRAME_STEPS, CLIP = 0.001, 100, 100.0
TRAJECTORIES, FRAMES = 512, 5
THREADS = 2


def published_force(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Clipped Coulomb forces at x (3, N), shape (3, N)."""
    lengths = (x**2).sum(0)
    r2 = lengths[:, None] + lengths[None, :] - 2 * x.T @ x
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = edges / np.power(r2, 1.5)
    np.fill_diagonal(sizes, 0)
    parts = [np.subtract.outer(x[d], x[d])[None] for d in range(3)]
    force = (sizes[None] * np.concatenate(parts)).sum(-1)
    force[force > CLIP] = CLIP
    force[force < -CLIP] = -CLIP
    return force


def published_run(x: np.ndarray, v: np.ndarray, charges: np.ndarray, steps: int) -> np.ndarray:
    """Positions (3, N) after a number of steps."""
    x, v = x.copy(), v.copy()
    edges = charges @ charges.T
    v += STEP * published_force(x, edges)
    for _ in range(steps):
        x += STEP * v
        v += STEP * published_force(x, edges)
    return x


def main() -> None:
    print(f"{'N':>3} {'published':>12} {'ours':>10} {'ratio, median (lowest to highest)':>36}")
    steps = FRAMES * FRAME_STEPS
    each = steps * TRAJECTORIES
    for n in (5, 30):
        system = make_system("charged-clipped")
        state, particles = system.sample(0, n, TRAJECTORIES)
        method = make_integrator("symplectic-euler", step=STEP, threads=THREADS)
        carry = method.start(system, state, particles, STEP * FRAME_STEPS)
        x, v, q = state.x[0].T, state.v[0].T, particles.charges[0][:, None]
        check(system, method, state, particles, published_run(x, v, q, FRAME_STEPS))
        result = ratio(
            lambda x=x, v=v, q=q: published_run(x, v, q, steps),
            lambda method=method, carry=carry: method.advance(carry, FRAMES),
            share=1 / TRAJECTORIES,
        )
        print(
            f"{n:>3} {result.slow / each * 1e6:>9.1f} us {result.fast / each * 1e6:>7.3f} us "
            f"{result!s:>36}"
        )


def check(system, method, state: State, particles: Particles, expected: np.ndarray) -> None:
    """Stop where the two ways do not compute the same."""
    carry = method.start(system, state, particles, STEP * FRAME_STEPS)
    made = method.advance(carry, 1).x[0, 0].T
    difference = np.abs(made - expected).max()
    if not difference < 1e-9:
        raise SystemExit(f"the two ways differ by {difference:g}")


if __name__ == "__main__":
    main()
