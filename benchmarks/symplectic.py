"""`set-symplectic` against classical splittings: errors of roll-outs, long runs, cost; one thread.

    python benchmarks/symplectic.py

All methods go through the same compiled code, from the same starts, which no training has seen.
Errors are mean squared errors of positions per coordinate, against dop853-compiled. Ratios are
those of `set-symplectic` over the method in the row, start by start: geometric means with 95 %
intervals.
`evaluations` says how often a frame evaluates all pairs; the force-gradient method takes a second
sum over pairs for each gradient. The long runs are of `trap`; their error is that of the total
energy at the last frame, over the mean kinetic energy; its mean, with the standard error, shows a
bias.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import NamedTuple

import numpy as np
import torch
from timing import ratio

from nbody_set.symplectic_kernel import Splitting
from nbody_set.symplectic_steps import SymplecticSteps
from nbody_surrogate import load_model, make_integrator, make_system, simulate
from nbody_surrogate.contracts import AbstractFusedSteps, AbstractSystem, Particles, State
from nbody_surrogate.results.metrics import mean_kinetic
from nbody_surrogate.results.paired import PairedTest, corrected

DT, HORIZONS, SEED, SEGMENT = 0.1, (1, 20, 40), 91_000, 500


class Method(NamedTuple):
    """One step from time 0 to 1: kicks between drifts, of which the first and last may be none."""

    kicks: tuple[float, ...]
    drifts: tuple[float, ...]
    gradient: tuple[float, ...] | None = None
    pair: tuple[float, float] = (0.0, 0.0)

    def steps(self, number: int) -> tuple[Splitting, np.ndarray | None, int]:
        """Return a frame of `number` steps, its gradients, and how many evaluations it takes."""
        gradient = self.gradient or (0.0,) * len(self.kicks)
        kicks, gradients, drifts = [], [], [self.drifts[0]]
        for step in range(number):
            for k in range(len(self.kicks)):
                if (
                    step and k == 0 and drifts[-1] == 0.0
                ):  # it joins the last one of the step before
                    kicks[-1] += self.kicks[0]
                    gradients[-1] += gradient[0]
                    drifts[-1] = self.drifts[1]
                    continue
                kicks.append(self.kicks[k])
                gradients.append(gradient[k])
                drifts.append(self.drifts[k + 1])
            if step < number - 1:
                drifts[-1] += self.drifts[0]
        h, count = DT / number, len(kicks)
        radial = np.zeros((2, 3))
        radial[0, :2] = 4 * self.pair[0], 6 * self.pair[1]  # of the force: powers of 1 / s
        # the kick that ends a frame and the one that begins the next share an evaluation
        evaluations = count - (self.drifts[0] == 0.0) + sum(g != 0.0 for g in gradients)
        splitting = Splitting(
            h * np.array(kicks),
            h * np.array(drifts),
            h * np.tile(radial, (count, 1, 1)),
            1.0,
            0.1**2,
            h**2,
        )
        return splitting, h**3 * np.array(gradients) if self.gradient else None, evaluations


def palindromic(first: tuple[float, ...], count: int) -> tuple[float, ...]:
    """Complete shares that sum to 1 and read the same from both ends."""
    rest = 1.0 - 2.0 * math.fsum(first)
    middle = (rest,) if count % 2 else (rest / 2, rest / 2)
    return (*first, *middle, *reversed(first))


CUBE = 2.0 ** (1.0 / 3.0)
METHODS = {
    "leapfrog, drift first": Method((1.0,), (0.5, 0.5)),
    # Yoshida, Phys. Lett. A 150 (1990) 262
    "yoshida4": Method(palindromic((1 / (2 - CUBE),), 3), palindromic((0.5 / (2 - CUBE),), 4)),
    # Blanes and Moan, J. Comput. Appl. Math. 142 (2002) 313: SRKN_6^b and SRKN_11^b
    "srkn4": Method(
        palindromic((0.0829844064174052, 0.396309801498368, -0.0390563049223486), 7),
        (0.0, *palindromic((0.245298957184271, 0.604872665711080), 6), 0.0),
    ),
    "srkn6": Method(
        palindromic(
            (
                0.0414649985182624,
                0.198128671918067,
                -0.0400061921041533,
                0.0752539843015807,
                -0.0115113874206879,
            ),
            12,
        ),
        (
            0.0,
            *palindromic(
                (
                    0.123229775946271,
                    0.290553797799558,
                    -0.127049212625417,
                    -0.246331761062075,
                    0.357208872795928,
                ),
                11,
            ),
            0.0,
        ),
    ),
    # Chin, Phys. Lett. A 226 (1997) 344: 4A, with the gradient in the middle
    "force-gradient 4": Method((1 / 6, 2 / 3, 1 / 6), (0.0, 0.5, 0.5, 0.0), (0.0, 1 / 36, 0.0)),
    # Takahashi and Imada, J. Phys. Soc. Japan 53 (1984) 3765: leapfrog, the gradient in each kick;
    # of order 4 but for a change of coordinates at the start and the end
    "takahashi-imada": Method((1.0,), (0.5, 0.5), (1 / 12,)),
    # sum |F|^2 / m of each pair alone, as polynomial of (softening / s)^2: no second sum
    "its part of two bodies": Method((1.0,), (0.5, 0.5), pair=(-1 / 24, 1 / 24)),
}
STEPS = {
    "leapfrog, drift first": (8, 16, 20, 24, 32),
    "yoshida4": (5, 6),
    "srkn4": (2, 3),
    "srkn6": (1, 2),
    "force-gradient 4": (5, 6),
    "takahashi-imada": (8,),
    "its part of two bodies": (16,),
}
LONG = (
    "set-symplectic",
    "leapfrog, drift first, 16",
    "leapfrog, drift first, 24",
    "its part of two bodies, 16",
)


def prepared(
    system: AbstractSystem, particles: Particles
) -> dict[str, tuple[AbstractFusedSteps, int]]:
    """Return all methods for some particles, each with its evaluations in a frame."""
    laws = system.force_laws()
    assert laws is not None
    model = load_model("set-symplectic")
    learned = model.fused_steps(particles, 3, laws.field)
    assert learned is not None
    made: dict[str, tuple[AbstractFusedSteps, int]] = {
        "set-symplectic": (learned, model.evaluations_per_frame)
    }
    for name, method in METHODS.items():
        for number in STEPS[name]:
            splitting, gradient, evaluations = method.steps(number)
            steps = SymplecticSteps(splitting, gradient, particles, laws.field)
            made[f"{name}, {number}"] = steps, evaluations
    return made


def frames_of(
    steps: AbstractFusedSteps, state: State, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return frames (B, F, N, D) that follow a start."""
    batch, n, dims = state.x.shape
    x, v = np.empty((2, batch, frames, n, dims))
    steps.advance({}, state.x, state.v, x, v, 1)
    return x, v


def roll_outs(name: str, n: int, starts: int) -> None:
    """Print errors after some frames, and the ratios of the learned one's."""
    system = make_system(name)
    state, particles = system.sample(SEED, n, starts)
    truth = simulate(system, state, particles, max(HORIZONS), "dop853-compiled")
    errors, evaluations = {}, {}
    for label, (steps, count) in prepared(system, particles).items():
        x, _ = frames_of(steps, state, max(HORIZONS))
        squared = np.square(x - truth.x[:, 1:]).mean((2, 3))
        errors[label], evaluations[label] = [squared[:, h - 1] for h in HORIZONS], count
    rivals = [label for label in errors if label != "set-symplectic"]
    tests = corrected(
        [PairedTest.of(errors["set-symplectic"][h], errors[rival][h])
         for rival in rivals for h in range(len(HORIZONS))]
    )  # fmt: skip
    for label, of_horizons in errors.items():
        medians = " | ".join(f"{np.median(each):.1e}" for each in of_horizons)
        ratios = ""
        if label in rivals:
            first = rivals.index(label) * len(HORIZONS)
            mine = tests[first : first + len(HORIZONS)]
            ratios = " | ".join(f"{test.ratio.as_factor()}, {test.outcome}" for test in mine)
        print(
            f"| {name} | {n} | {label} | {evaluations[label]} | {medians} | {ratios} |", flush=True
        )


def long_runs(starts: int, frames: int) -> None:
    """Print the error of the energy of `trap`, N = 30, after many frames."""
    system = make_system("trap")
    state, particles = system.sample(SEED + 1, 30, starts)
    methods = prepared(system, particles)
    for label in LONG:
        now, kinetic = state, []
        for _ in range(frames // SEGMENT):  # a whole run of all starts would not fit in memory
            x, v = frames_of(methods[label][0], now, SEGMENT)
            now = State(0.0, x[:, -1], v[:, -1])
            kinetic.append(mean_kinetic(v, particles))
        scale = np.mean(kinetic, axis=0)
        first = system.invariants(state.x, state.v, particles).energy
        last = system.invariants(now.x, now.v, particles).energy
        error = (last - first) / scale
        print(
            f"| {label} | {np.median(abs(error)):.3%} | {error.mean():+.4%} +- "
            f"{error.std(ddof=1) / math.sqrt(starts):.4%} | {abs(error).max():.2%} |",
            flush=True,
        )


def cost(n: int, batch: int, frames: int) -> None:
    """Print the time of a frame, and that over leapfrog with 8 sub-steps, in two codes."""
    system = make_system("trap")
    state, particles = system.sample(SEED, n, batch)
    methods = prepared(system, particles)
    leapfrog = make_integrator("leapfrog", substeps=8)

    def learned() -> object:
        return frames_of(methods["set-symplectic"][0], state, frames)

    def same_code() -> object:
        return frames_of(methods["leapfrog, drift first, 8"][0], state, frames)

    # of the processor, as others may be using it too
    clock = time.process_time
    over_same = ratio(learned, same_code, clock=clock)
    over_leapfrog = ratio(
        learned, lambda: simulate(system, state, particles, frames, leapfrog), clock=clock
    )
    each = 1e6 * over_same.slow / frames / batch
    print(f"| {n} | {batch} | {each:.1f} | {over_same} | {over_leapfrog} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--long-starts", type=int, default=32)
    parser.add_argument("--frames", type=int, default=10_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| system | N | method | evaluations | 1 | 20 | 40 frames | ratio, 1 | 20 | 40 frames |")
    print("|---" * 10 + "|")
    for name in ("charged", "trap"):
        for n in (5, 30):
            roll_outs(name, n, options.starts)
    print(f"\ntrap, N = 30, {options.frames} frames\n")
    print("| method | median | mean and standard error | largest |")
    print("|---" * 4 + "|")
    long_runs(options.long_starts, options.frames)
    print("\n| N | trajectories | us per frame | over leapfrog-8, same code | over `leapfrog` |")
    print("|---" * 5 + "|")
    cost(30, 1, 2000)
    cost(5, 64, 500)


if __name__ == "__main__":
    main()
