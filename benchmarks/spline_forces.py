"""What a pair of the system `discovered` costs beside one of `charged`.

    OMP_NUM_THREADS=1 python benchmarks/spline_forces.py

Forces of 400 particles on each other, one thread: nanoseconds per ordered pair, and the ratio to
Coulomb's law taken in the same run; medians of repeats, which take turns.
"""

from __future__ import annotations

import time

import numpy as np

import nbody_surrogate as nb

PARTICLES, REPEATS = 400, 21


def curve(count):
    spacing = 0.85 / (count - 3)
    envelope = {"power": -2, "core": 0.0, "screening_length": 2.0, "scale": 1.0}
    return {**envelope, "first": 0.05 - spacing, "spacing": spacing, "coefficients": [1.0] * count}


def surface(count):
    height = {"height_scale": 1.0, "height_first": -1.2, "height_spacing": 2.4 / (count - 3)}
    rows = [[0.1] * count] * count
    shape = {key: value for key, value in curve(count).items() if key != "coefficients"}
    return {**shape, **height, "coefficients_rho": rows, "coefficients_z": rows}


def main():
    ones = [1.0, 1.0]
    systems = {"charged": nb.make_system("charged")}
    for count in (16, 24, 40):
        law = {"pair": curve(count), "charges": ones, "masses": ones}
        systems[f"curve of {count}"] = nb.make_system("discovered", **law)
    for count in (8, 16):
        law = {"directed": surface(count), "charges": ones, "masses": ones}
        systems[f"surface of {count} by {count}"] = nb.make_system("discovered", **law)
    x = np.random.default_rng(0).normal(size=(1, PARTICLES, 3)) * PARTICLES ** (1 / 3)
    particles = nb.Particles(np.ones((1, PARTICLES)), np.ones((1, PARTICLES)))
    times = {name: [] for name in systems}
    for system in systems.values():
        system.pair_acceleration(x, particles)  # compiled before anything is timed
    for _ in range(REPEATS):
        for name, system in systems.items():
            begun = time.perf_counter()
            system.pair_acceleration(x, particles)
            times[name].append(time.perf_counter() - begun)
    pairs = PARTICLES * (PARTICLES - 1)
    plain = np.array(times["charged"])
    for name, each in times.items():
        ratios = np.array(each) / plain
        low, high = np.quantile(ratios, [0.025, 0.975])
        ns = 1e9 * np.median(each) / pairs
        print(f"{name:20} {ns:6.1f} ns, {np.median(ratios):.1f} ({low:.1f} to {high:.1f}) times")


if __name__ == "__main__":
    main()
