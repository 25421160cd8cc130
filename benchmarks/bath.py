"""Errors of `baoab` in `dust` along one path of kicks, by the number of sub-steps.

    python benchmarks/bath.py

Position RMSE at t = 5 against 1024 sub-steps with the same kicks: median over starts, its bootstrap
interval of 95 %, and the order between two rows. With kicks, and with temperature=0.
"""

from __future__ import annotations

import argparse

import numpy as np

import nbody_surrogate as nb

FINEST, FRAMES = 1024, 100


def last_positions(system, state, particles, substeps):
    method = nb.make_integrator("baoab", substeps=substeps)
    return nb.simulate(system, state, particles, FRAMES, method).x[:, -1]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--starts", type=int, default=20)
    given = options.parse_args()
    rng = np.random.default_rng(0)
    for temperature in (nb.make_system("dust").spec.temperature, 0.0):
        system = nb.make_system("dust", temperature=temperature)
        state, particles = system.sample(0, 12, trajectories=given.starts)
        truth = last_positions(system, state, particles, FINEST)
        print(f"temperature {temperature:g}, t = {FRAMES * system.spec.frame_dt:g}")
        before = None
        for substeps in (4, 16, 64):
            x = last_positions(system, state, particles, substeps)
            errors = np.sqrt(((x - truth) ** 2).sum(-1).mean(-1))
            middle = np.median(errors)
            drawn = np.median(rng.choice(errors, (2000, errors.size)), 1)
            low, high = np.quantile(drawn, [0.025, 0.975])
            order = "" if before is None else f", order {np.log2(before / middle) / 2:.2f}"
            print(f"{substeps:3} sub-steps: {middle:.1e} ({low:.1e} to {high:.1e}){order}")
            before = middle


if __name__ == "__main__":
    main()
