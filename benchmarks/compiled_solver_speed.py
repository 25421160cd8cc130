"""`dop853-compiled` against SciPy's DOP853 with a NumPy force: same tolerance, 50 frames.

    python benchmarks/compiled_solver_speed.py

One thread each, then two. Errors are root-mean-square position errors at the end, against
DOP853 at 1e-13. The gain of two threads is bounded by what the machine gives to two processes,
on a shared one less than two; the processor time says whether any is lost to waiting in vain.
"""

from __future__ import annotations

import time

import numpy as np
from scipy.integrate import solve_ivp
from timing import ratio

from nbody_surrogate import make_integrator, make_system

FRAMES, DT, TOLERANCE = 50, 0.1, 1e-9
STARTS = {5: 2048, 30: 64}
COMPARED = {5: 64, 30: 16}  # starts whose errors are compared
SERIAL = {5: 16, 30: 2}  # starts that the slow way is timed with


def numpy_force(x: np.ndarray, charges: np.ndarray, softening: float) -> np.ndarray:
    """Softened Coulomb accelerations of unit masses at x (N, 3)."""
    separation = x[:, None] - x[None]
    s2 = (separation**2).sum(2) + softening**2
    return ((np.outer(charges, charges) * s2**-1.5)[..., None] * separation).sum(1)


def scipy_run(x: np.ndarray, v: np.ndarray, charges: np.ndarray, softening: float) -> np.ndarray:
    """Positions (T, N, 3) by SciPy."""
    n = len(x)

    def right_hand_side(t: float, y: np.ndarray) -> np.ndarray:
        force = numpy_force(y[: 3 * n].reshape(n, 3), charges, softening)
        return np.concatenate([y[3 * n :], force.ravel()])

    t = DT * np.arange(1, FRAMES + 1)
    y = np.concatenate([x.ravel(), v.ravel()])
    made = solve_ivp(right_hand_side, (0, t[-1]), y, "DOP853", t, rtol=TOLERANCE, atol=TOLERANCE)
    return made.y[: 3 * n].T.reshape(-1, n, 3)


def main() -> None:
    system = make_system("charged")
    for n, starts in STARTS.items():
        state, particles = system.sample(1, n, starts)
        carries = {}
        for threads, tolerance in ((1, TOLERANCE), (2, TOLERANCE), (1, 1e-13)):
            options = {"threads": threads, "rtol": tolerance, "atol": tolerance}
            method = make_integrator("dop853-compiled", **options)
            carries[threads, tolerance] = method, method.start(system, state, particles, DT)
        run = {
            key: lambda each=each: each[0].advance(each[1], FRAMES) for key, each in carries.items()
        }
        softening, truth = system.spec.softening, run[1, 1e-13]().x[:, -1]

        def scipy(count: int, state=state, particles=particles, softening=softening) -> np.ndarray:
            each = range(count)
            return np.stack(
                [scipy_run(state.x[b], state.v[b], particles.charges[b], softening) for b in each]
            )

        theirs = scipy(COMPARED[n])[:, -1]
        ours, truth = (made[: len(theirs)] for made in (run[1, TOLERANCE]().x[:, -1], truth))
        errors = [np.sqrt(((made - truth) ** 2).mean((1, 2))) for made in (theirs, ours)]
        one = ratio(lambda n=n: scipy(SERIAL[n]), run[1, TOLERANCE], SERIAL[n] / starts, 5)
        two = ratio(run[1, TOLERANCE], run[2, TOLERANCE], repeats=15)
        spent = ratio(run[2, TOLERANCE], run[1, TOLERANCE], repeats=5, clock=time.process_time)
        print(
            f"N = {n}: SciPy {one.slow / starts * 1e3:.3g} ms, compiled "
            f"{one.fast / starts * 1e3:.3g} ms per trajectory: ratio {one}\n"
            f"        two threads over one: {two}; their processor time {spent.median:.2f}\n"
            f"        median error: SciPy {np.median(errors[0]):.3g}, compiled "
            f"{np.median(errors[1]):.3g}; quotient per start "
            f"{np.min(errors[1] / errors[0]):.3g} to {np.max(errors[1] / errors[0]):.3g}"
        )


if __name__ == "__main__":
    main()
