"""Error against a reference at 1e-13, over tolerance and sub-steps, with orders verified.

    python benchmarks/convergence.py [--figure FILE]

`charged`, N = 5, 20 starts, 2 time units: root-mean-square position error at the end of each
start, and its median over starts. The reference's own error is the difference to one at 1e-12.
The order is the slope of log error over log sub-steps where the error lies between the floor of
rounding and the range where sub-steps are too coarse. Starts with softening 0.3, so that the
sub-steps resolve every encounter.
"""

from __future__ import annotations

import argparse

import numpy as np

from nbody_surrogate import Ensemble, make_integrator, make_system, simulate

PARTICLES, STARTS, FRAMES, SOFTENING = 5, 20, 20, 0.3
TOLERANCES = [10.0**-power for power in range(3, 13)]
SUBSTEPS = [2**power for power in range(10)]
ADAPTIVE = ("rk45", "dop853", "dop853-compiled")
ORDERS = {"symplectic-euler": 1, "leapfrog": 2, "yoshida4": 4, "rk4": 4}
COARSEST, FLOOR = 1e-3, 1e-10


def errors(run: Ensemble, truth: Ensemble) -> np.ndarray:
    """Root-mean-square position error at the end of each start."""
    return np.sqrt(((run.x[:, -1] - truth.x[:, -1]) ** 2).mean((1, 2)))


def order(substeps: np.ndarray, error: np.ndarray) -> float:
    """Slope over the sub-steps where the method converges as its order says."""
    fit = (error < COARSEST) & (error > FLOOR)
    return float(-np.polyfit(np.log(substeps[fit]), np.log(error[fit]), 1)[0])


def study() -> tuple[float, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return the reference's own error, and for each method its work and median error."""
    system = make_system("charged", softening=SOFTENING)
    start = system.sample(2, PARTICLES, STARTS)

    def run(name: str, **options: float) -> Ensemble:
        return simulate(system, *start, FRAMES, make_integrator(name, **options))

    truth = run("dop853-compiled", rtol=1e-13, atol=1e-13)
    own = errors(run("dop853-compiled", rtol=1e-12, atol=1e-12), truth).max()
    table = {}
    for name in ADAPTIVE:
        made = [run(name, rtol=value, atol=value) for value in TOLERANCES]
        table[name] = np.array(TOLERANCES), np.array([np.median(errors(m, truth)) for m in made])
    for name in ORDERS:
        made = [run(name, substeps=value) for value in SUBSTEPS]
        table[name] = np.array(SUBSTEPS), np.array([np.median(errors(m, truth)) for m in made])
    return float(own), table


def draw(table: dict[str, tuple[np.ndarray, np.ndarray]], left, right) -> None:
    """Draw both halves of the table."""
    for name, (work, error) in table.items():
        if name in ADAPTIVE:
            left.loglog(work, error, "x--" if name == "dop853-compiled" else ".-", label=name)
        else:
            right.loglog(work, error, ".-", label=f"{name} (order {ORDERS[name]})")
    left.set(xlabel="rtol = atol", ylabel="RMS position error after 2 time units")
    left.invert_xaxis()
    right.set(xlabel="sub-steps per frame of 0.1")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", help="draw it to this file")
    figure = parser.parse_args().figure
    own, table = study()
    print(f"charged, N = {PARTICLES}, softening {SOFTENING}, {STARTS} starts, 2 time units")
    print(f"the reference differs from one at 1e-12 by at most {own:.1e}")
    for name, (work, error) in table.items():
        print(f"\n{name}" + (f": order {order(work, error):.2f}" if name in ORDERS else ""))
        for value, wrong in zip(work, error, strict=True):
            print(f"  {value:>8g}  {wrong:.2e}")
    if figure is not None:
        import matplotlib.pyplot as plt

        canvas, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
        draw(table, *axes)
        canvas.savefig(figure, dpi=150)


if __name__ == "__main__":
    main()
