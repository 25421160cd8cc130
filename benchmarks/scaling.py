"""Wall time against the number of particles, 5 to 1000.

    python benchmarks/scaling.py [--figure FILE]

`charged`, one thread: milliseconds per frame of 0.1 time units and trajectory, over 5 starts one
by one, medians of repeats, compilation excluded. Then microseconds per force evaluation: an
adaptive solver also takes more steps the more particles there are, since the closest pair of more
is closer. The exponents are slopes of log time over log N, over all N and from N = 100 on.
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
SECONDS = 0.3  # about, for each point and start
STARTS = 5


def seconds_and_evaluations(name: str, n: int) -> tuple[float, float]:
    """Median wall time of a frame, and its force evaluations, means over starts."""
    system = make_system("charged")
    method = make_integrator(name, **METHODS[name])
    state, particles = system.sample(3, n, STARTS)
    each = [timed(method, system, state[b], particles[b]) for b in range(STARTS)]
    seconds, nfev = np.mean(each, axis=0)
    return float(seconds), float(nfev)


def timed(method, system, state, particles) -> tuple[float, float]:
    """Time one start."""
    carry = method.start(system, state, particles, system.spec.frame_dt)
    frames = 5
    once = median_seconds(lambda: method.advance(carry, frames), repeats=1)
    repeats = int(np.clip(SECONDS / once, 3, 50))
    nfev = method.advance(carry, frames).counters["nfev"]
    return median_seconds(lambda: method.advance(carry, frames), repeats) / frames, nfev / frames


def slope(times: np.ndarray, first: int) -> float:
    """Exponent of N from some number on."""
    large = np.array(NUMBERS) >= first
    return float(np.polyfit(np.log(np.array(NUMBERS)[large]), np.log(times[large]), 1)[0])


def show(title: str, table: dict[str, np.ndarray]) -> None:
    print(f"{title:>26}" + "".join(f"{n:>9}" for n in NUMBERS) + f"  exponents: all  N >= {FROM}")
    for name, times in table.items():
        print(
            f"{name:>26}"
            + "".join(f"{t:>9.3g}" for t in times)
            + f"{slope(times, 0):>16.2f}{slope(times, FROM):>10.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", help="draw it to this file")
    path = parser.parse_args().figure
    frame, evaluation = {}, {}
    for name in METHODS:
        seconds, nfev = np.array([seconds_and_evaluations(name, n) for n in NUMBERS]).T
        frame[name], evaluation[name] = 1e3 * seconds, 1e6 * seconds / nfev
    show("ms per frame, N =", frame)
    show("us per evaluation, N =", evaluation)
    if path is not None:
        draw(frame, evaluation, path)


def draw(frame: dict[str, np.ndarray], evaluation: dict[str, np.ndarray], path: str) -> None:
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    guide = np.array([100, 1000])
    for ax, table, unit in zip(
        axes,
        (frame, evaluation),
        ("ms per frame", "microseconds per force evaluation"),
        strict=True,
    ):
        for name, times in table.items():
            substeps = METHODS[name].get("substeps")
            ax.loglog(NUMBERS, times, ".-", label=f"{name} ({substeps})" if substeps else name)
        level = 2.5 * max(times[NUMBERS.index(FROM)] for times in table.values())
        ax.loglog(guide, level * (guide / FROM) ** 2, "k:", linewidth=1, label="N squared")
        ax.set(xlabel="particles", ylabel=unit)
        ax.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize=8)
    canvas.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
