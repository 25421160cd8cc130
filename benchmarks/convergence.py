"""Error against a reference at 1e-13, over tolerance and sub-steps, with orders verified.

    python benchmarks/convergence.py [--figure FILE]

`charged`, N = 5, 20 starts, 2 time units: root-mean-square position error at the end of each
start, and its median over starts. The reference's own error is the difference to one at 1e-12.
The order is the slope of log error over log sub-steps where the error lies between the floor of
rounding and the range where sub-steps are too coarse. Starts with softening 0.3, so that the
sub-steps resolve every encounter. `boris` and `exact-flow` run on `penning`, of that softening.
"""

from __future__ import annotations

import argparse

import numpy as np

from nbody_surrogate import Ensemble, make_integrator, make_system, simulate

PARTICLES, STARTS, FRAMES, SOFTENING = 5, 20, 20, 0.3
TOLERANCES = [10.0**-power for power in range(3, 13)]
SUBSTEPS = [2**power for power in range(10)]
ADAPTIVE = ("rk45", "dop853", "dop853-compiled")
ORDERS = {
    "symplectic-euler": 1,
    "leapfrog": 2,
    "boris": 2,
    "exact-flow": 2,
    "yoshida4": 4,
    "rk4": 4,
    "srkn4": 4,
    "srkn6": 6,
}
ON_PENNING = ("boris", "exact-flow")
COARSEST, FLOOR = 1e-3, 1e-10


def errors(run: Ensemble, truth: Ensemble) -> np.ndarray:
    """Root-mean-square position error at the end of each start."""
    return np.sqrt(((run.x[:, -1] - truth.x[:, -1]) ** 2).mean((1, 2)))


def order(substeps: np.ndarray, error: np.ndarray) -> float:
    """Slope over the sub-steps where the method converges as its order says."""
    fit = (error < COARSEST) & (error > FLOOR)
    return float(-np.polyfit(np.log(substeps[fit]), np.log(error[fit]), 1)[0])


class Study:
    """Runs of one system from the same starts, held against one reference."""

    def __init__(self, name: str) -> None:
        self.system = make_system(name, softening=SOFTENING)
        self.start = self.system.sample(2, PARTICLES, STARTS)
        self.truth = self.run("dop853-compiled", rtol=1e-13, atol=1e-13)

    def run(self, name: str, **options: float) -> Ensemble:
        return simulate(self.system, *self.start, FRAMES, make_integrator(name, **options))

    def error(self, name: str, **options: float) -> float:
        return float(np.median(errors(self.run(name, **options), self.truth)))

    def own_error(self) -> float:
        return float(errors(self.run("dop853-compiled", rtol=1e-12, atol=1e-12), self.truth).max())


def study() -> tuple[float, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return the references' own error, and for each method its work and median error."""
    charged, penning = Study("charged"), Study("penning")
    table = {}
    for name in ADAPTIVE:
        made = [charged.error(name, rtol=value, atol=value) for value in TOLERANCES]
        table[name] = np.array(TOLERANCES), np.array(made)
    for name in ORDERS:
        runs = penning if name in ON_PENNING else charged
        table[name] = (
            np.array(SUBSTEPS),
            np.array([runs.error(name, substeps=value) for value in SUBSTEPS]),
        )
    return max(charged.own_error(), penning.own_error()), table


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
    print(f"the references differ from ones at 1e-12 by at most {own:.1e}")
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
