"""Finite-time Lyapunov exponents, and how long a pointwise comparison means anything.

    python benchmarks/chaos.py [--figure FILE] [--json FILE]

For N = 5, 20, 30 in `charged` and `trap`, 40 starts each. Benettin's method: a second trajectory
starts a distance of 1e-8 away in a random direction of phase space, and after every half time
unit is brought back to that distance along the line between the two (Benettin et al., Meccanica
15 (1980) 9). The exponent of a start is the mean growth of the logarithm per time unit over 20
time units; the distance is the root-mean-square over all coordinates and velocities. Given are
the median over starts and its bootstrap 95 % interval.

The end of pointwise comparison for an error d is measured, not extrapolated: trajectories start
with their positions off by d, and the time is taken at which the RMS position error passes a
tenth of the cloud's spread at the start. Both trajectories are DOP853 at 1e-13, whose own error
grows likewise; the smallest d is ten times above what it starts from.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from nbody_surrogate import AbstractSystem, Particles, State, make_integrator, make_system
from nbody_surrogate.results.metrics import rmse

NUMBERS, SYSTEMS = (5, 20, 30), ("charged", "trap")
STARTS, DURATION, DT = 40, 20.0, 0.1
DISTANCE, CHUNK = 1e-8, 5  # frames between two renormalisations
OFFSETS = (1e-12, 1e-9, 1e-6, 1e-3)
LONGEST = 50.0
TIGHT = {"rtol": 1e-13, "atol": 1e-13, "threads": 2}
RESAMPLES = 2000


def both(particles: Particles) -> Particles:
    """Return every trajectory's particles twice."""
    return Particles(np.tile(particles.charges, (2, 1)), np.tile(particles.masses, (2, 1)))


def exponents(system: AbstractSystem, n: int) -> np.ndarray:
    """Growth per time unit in each chunk, shape (chunks, B)."""
    state, particles = system.sample(5, n, STARTS)
    solver = make_integrator("dop853-compiled", segment=CHUNK, **TIGHT)
    apart = np.random.default_rng(6).normal(size=(2, *state.x.shape))
    y, growth = np.stack([state.x, state.v]), []
    for chunk in range(round(DURATION / DT / CHUNK)):
        apart *= DISTANCE / rms(apart)[:, None, None]
        start = State(chunk * CHUNK * DT, *np.concatenate([y, y + apart], axis=1))
        made = solver.advance(solver.start(system, start, both(particles), DT), CHUNK)
        first, second = np.split(np.stack([made.x[:, -1], made.v[:, -1]]), 2, axis=1)
        y, apart = first, second - first
        growth.append(np.log(rms(apart) / DISTANCE) / (CHUNK * DT))
    return np.array(growth)


def rms(apart: np.ndarray) -> np.ndarray:
    """Root-mean-square over coordinates and velocities (2, B, N, D), shape (B,)."""
    return np.sqrt((apart**2).mean((0, 2, 3)))


def valid_times(system: AbstractSystem, n: int) -> dict[float, np.ndarray]:
    """Times until an offset has grown to a tenth of the spread, for each offset and start."""
    state, particles = system.sample(5, n, STARTS)
    solver = make_integrator("dop853-compiled", **TIGHT)
    frames = round(LONGEST / DT)
    t = DT * np.arange(frames + 1)
    truth = rolled(solver, system, state, particles, frames)
    centred = state.x - state.x.mean(1, keepdims=True)
    allowed = 0.1 * np.sqrt((centred**2).mean((1, 2)))[:, None]
    times = {}
    for offset in OFFSETS:
        shift = np.random.default_rng(7).normal(size=state.x.shape)
        shift *= offset / np.sqrt((shift**2).mean((1, 2), keepdims=True))
        moved = State(0.0, state.x + shift, state.v)
        wrong = rmse(truth, rolled(solver, system, moved, particles, frames)) > allowed
        times[offset] = np.where(wrong.any(1), t[wrong.argmax(1)], np.inf)
    return times


def rolled(solver, system, state: State, particles: Particles, frames: int) -> np.ndarray:
    """Positions (B, T, N, D)."""
    parts, carry = [state.x[:, None]], solver.start(system, state, particles, DT)
    while carry is not None and sum(part.shape[1] for part in parts) <= frames:
        made = solver.advance(carry, solver.options.segment)
        parts.append(made.x)
        carry = made.carry
    return np.concatenate(parts, axis=1)


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the median over starts and its bootstrap 95 % interval; the longest run is a bound."""
    values = np.minimum(values, LONGEST)
    drawn = np.random.default_rng(8).integers(len(values), size=(RESAMPLES, len(values)))
    medians = np.median(values[drawn], axis=1)
    return float(np.median(values)), *(float(q) for q in np.quantile(medians, [0.025, 0.975]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", help="draw it to this file")
    parser.add_argument("--json", help="write it to this file")
    arguments = parser.parse_args()
    results, curves = [], {}
    print(f"{STARTS} starts, medians (95 % interval); exponents over {DURATION:g} time units")
    for name in SYSTEMS:
        for n in NUMBERS:
            system = make_system(name)
            growth = curves[name, n] = exponents(system, n)
            row = {"system": name, "particles": n, "exponent": interval(growth.mean(0))}
            row["first 5"] = interval(growth[: round(5 / DT / CHUNK)].mean(0))
            times = valid_times(system, n)
            row["valid"] = {f"{offset:g}": interval(times[offset]) for offset in OFFSETS}
            results.append(row)
            print(f"{name}, N = {n}: exponent {shown(row['exponent'])}")
            print(f"  over the first 5 time units: {shown(row['first 5'])}")
            for offset, value in row["valid"].items():
                print(f"  an error of {offset} is a tenth of the spread after {shown(value)}")
    if arguments.json is not None:
        with open(arguments.json, "w") as file:  # noqa: PTH123
            json.dump(results, file, indent=1)
    if arguments.figure is not None:
        draw(curves, results, arguments.figure)


def shown(value: tuple[float, float, float]) -> str:
    middle, low, high = value
    bound = "at least " if middle >= LONGEST else ""
    return f"{bound}{middle:.3g} ({low:.3g} to {high:.3g})"


def draw(curves: dict, results: list[dict], path: str) -> None:
    """Draw the running exponent, and valid times over the error at the start."""
    import matplotlib.pyplot as plt

    canvas, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    colours = dict(zip(NUMBERS, ("C0", "C1", "C3"), strict=True))
    for (name, n), growth in curves.items():
        t = CHUNK * DT * np.arange(1, len(growth) + 1)
        mean = np.median(growth.cumsum(0) / np.arange(1, len(growth) + 1)[:, None], axis=1)
        style = "-" if name == "trap" else "--"
        left.plot(t, mean, style, color=colours[n], label=f"{name}, N = {n}")
    for row in results:
        style = ".-" if row["system"] == "trap" else ".--"
        offsets = [float(offset) for offset in row["valid"]]
        middles = [value[0] for value in row["valid"].values()]
        right.semilogx(offsets, middles, style, color=colours[row["particles"]])
    right.axhline(LONGEST, color="0.7", linewidth=0.8)
    left.set(xlabel="time", ylabel="exponent over [0, time], median of starts", ylim=(0, None))
    right.set(
        xlabel="position error at the start", ylabel="time to a tenth of the spread (longest 50)"
    )
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    canvas.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
