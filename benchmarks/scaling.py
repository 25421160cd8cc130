"""Wall time against the number of particles, 5 to 1000.

    python benchmarks/scaling.py [--figure FILE]

`charged`, one start, one thread: milliseconds per frame of 0.1 time units, medians of repeats,
compilation excluded. The exponent is the slope of log time over log N from N = 100 on.
"""

from __future__ import annotations

import argparse

import numpy as np
from timing import median_seconds

from nbody_surrogate import make_integrator, make_system

NUMBERS = (5, 10, 20, 30, 50, 100, 200, 500, 1000)
FROM = 100
METHODS = {
    "dop853": {},
    "dop853-compiled": {"segment": 5},
    "leapfrog": {"substeps": 16},
    "rk4": {"substeps": 4},
}
SECONDS = 0.5  # about, for each point


def milliseconds(name: str, n: int) -> float:
    """Median wall time per frame."""
    system = make_system("charged")
    method = make_integrator(name, **METHODS[name])
    carry = method.start(system, *system.sample(3, n), system.spec.frame_dt)
    frames = 5
    once = median_seconds(lambda: method.advance(carry, frames), repeats=1)
    repeats = int(np.clip(SECONDS / once, 3, 50))
    return 1e3 * median_seconds(lambda: method.advance(carry, frames), repeats) / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", help="draw it to this file")
    path = parser.parse_args().figure
    table = {}
    print(f"{'ms per frame, N =':>18}" + "".join(f"{n:>9}" for n in NUMBERS) + "    exponent")
    for name in METHODS:
        times = table[name] = np.array([milliseconds(name, n) for n in NUMBERS])
        large = np.array(NUMBERS) >= FROM
        slope = np.polyfit(np.log(np.array(NUMBERS)[large]), np.log(times[large]), 1)[0]
        print(f"{name:>18}" + "".join(f"{time:>9.3g}" for time in times) + f"{slope:>12.2f}")
    if path is not None:
        draw(table, path)


def draw(table: dict[str, np.ndarray], path: str) -> None:
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(figsize=(5, 4), layout="constrained")
    for name, times in table.items():
        substeps = METHODS[name].get("substeps")
        axes.loglog(NUMBERS, times, ".-", label=f"{name} ({substeps})" if substeps else name)
    guide = np.array([100, 1000])
    axes.loglog(guide, 0.02 * (guide / 100) ** 2, "k:", linewidth=1, label="N^2")
    axes.set(xlabel="particles", ylabel="ms per frame")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)
    canvas.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
