"""Solvers of this package against heyoka and REBOUND: time at equal error, one thread.

    pip install heyoka==7.13.2 rebound==5.2.2
    OMP_NUM_THREADS=1 python benchmarks/rivals.py

`charged` against heyoka: its Taylor integrator in compact mode, each pair written once, charges and
masses as run-time parameters, tolerance swept, no batch. No compilation is timed.
`gravity` against REBOUND by its own C forces with the same softening: IAS15 and leapfrog of orders
2 to 8, epsilon or steps swept; its embedded splittings (EOS) do not soften all
pairs, see `findings/rebound-eos-softening.sh`.

A run is from the start to the end, one start at a time, all in one process. Methods take turns,
round by round. Errors are position RMSE per coordinate at the end, medians of starts, against
`dop853-compiled` at 1e-13. The cost of a method at an error is interpolated in both logarithms
between its settings; in each round that is the median of starts. Ratios are the rival's time over
ours: medians of rounds, with the lowest and the highest. Ours are timed by the call that advances a
segment, checks and all. `--clock processor` is for a machine with other work.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nbody_surrogate import make_integrator, make_system
from nbody_surrogate.contracts.segment import Carry
from nbody_surrogate.integrators.known_methods import classical_names

PINNED = {"heyoka": "7.13.2", "rebound": "5.2.2"}
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
FRAME = 0.1  # a segment of our methods is the whole run, as nobody asks for frames
OURS = {
    "dop853-compiled": [{"rtol": 10.0**-k, "atol": 10.0**-k} for k in range(2, 13)],
    "yoshida4": [{"substeps": k} for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)],
    "hermite4": [{"eta": 10.0 ** (-k / 2)} for k in range(1, 11)],
    "srkn4": [{"substeps": k} for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)],
    "srkn6": [{"substeps": k} for k in (1, 2, 3, 4, 6, 8, 12, 16, 24)],
}


class Start(NamedTuple):
    """One trajectory: x, v (N, D), and what it consists of."""

    x: np.ndarray
    v: np.ndarray
    charges: np.ndarray
    masses: np.ndarray


class Method(NamedTuple):
    """A method at one setting; `ready` does what is not timed and returns what is."""

    family: str
    setting: str
    ready: Callable[[int], Callable[[], np.ndarray]]


def need(name: str):
    """Import a rival, or say in one line how to get it."""
    try:
        found = importlib.import_module(name)
    except ImportError:
        sys.exit(f"rivals: {name} is not installed; pip install {name}=={PINNED[name]}")
    if found.__version__ != PINNED[name]:
        print(f"note: {name} {found.__version__}, written for {PINNED[name]}")
    return found


# Ours


def our_methods(system, state, particles, frames):
    for name in sorted(OURS.keys() & set(classical_names())):
        for options in OURS[name]:
            integrator = make_integrator(name, segment=frames, threads=1, **options)
            label = ",".join(f"{value:g}" for value in list(options.values())[:1])
            yield Method(name, label, our_run(integrator, system, state, particles, frames))


def our_run(integrator, system, state, particles, frames):
    def ready(b):
        carry: Carry = integrator.start(system, state[b : b + 1], particles[b : b + 1], FRAME)
        return lambda: integrator.advance(carry, frames).x[0, -1]

    return ready


# heyoka


def heyoka_methods(hy, system, starts, end):
    n = len(starts[0].x)
    eps2, k = system.spec.softening**2, system.spec.coupling
    names = [f"{c}{i}" for i in range(n) for c in ("x", "y", "z", "u", "v", "w")]
    known = dict(zip(names, hy.make_vars(*names), strict=True))
    p = [[known[f"{c}{i}"] for c in "xyz"] for i in range(n)]
    # charges and masses are runtime parameters: one integrator serves all starts
    q, m = [hy.par[i] for i in range(n)], [hy.par[n + i] for i in range(n)]
    forces = [[[] for _ in range(3)] for _ in range(n)]
    for i in range(n):
        for j in range(i):  # each pair once, as its own makers of equations do
            d = [p[i][c] - p[j][c] for c in range(3)]
            r2 = hy.sum([each * each for each in d] + [hy.expression(eps2)])
            f = k * q[i] * q[j] * r2**-1.5
            for c in range(3):
                forces[i][c].append(f * d[c] / m[i])
                forces[j][c].append(-(f * d[c]) / m[j])
    equations = []
    for i in range(n):
        equations += [
            (known[f"{c}{i}"], known[f"{s}{i}"]) for c, s in zip("xyz", "uvw", strict=True)
        ]
        equations += [(known[f"{s}{i}"], hy.sum(forces[i][c])) for c, s in enumerate("uvw")]
    for tolerance in (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12):
        integrator = hy.taylor_adaptive(
            equations, [0.0] * (6 * n), pars=[1.0] * (2 * n), tol=tolerance, compact_mode=True
        )
        yield Method("heyoka", f"{tolerance:.0e}", heyoka_run(integrator, starts, end))


def heyoka_run(integrator, starts, end):
    def ready(b):
        start = starts[b]
        n, flat = len(start.x), np.concatenate([start.x, start.v], axis=1).ravel()

        def run():
            integrator.propagate_until(end)
            return integrator.state.reshape(n, 6)[:, :3].copy()

        integrator.time = 0.0
        integrator.state[:] = flat
        integrator.pars[:] = np.concatenate([start.charges, start.masses])
        return run

    return ready


# REBOUND


def rebound_methods(rebound, system, starts, end):
    for epsilon in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9):
        yield Method(
            "IAS15", f"{epsilon:.0e}", rebound_run(rebound, system, starts, end, "ias15", epsilon)
        )
    steps = [2**k for k in range(4, 15)]
    for kind in ("leapfrog 2", "leapfrog 4", "leapfrog 6", "leapfrog 8"):
        for count in steps:
            yield Method(
                kind,
                str(count),
                rebound_run(rebound, system, starts, end, kind, end / count),
            )


def rebound_run(rebound, system, starts, end, kind, knob):
    def ready(b):
        start = starts[b]
        simulation = rebound.Simulation()
        simulation.G, simulation.softening = system.spec.coupling, system.spec.softening
        for x, v, m in zip(start.x, start.v, start.masses, strict=True):
            simulation.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
        if kind == "ias15":
            simulation.integrator = "ias15"
            simulation.integrator.epsilon = knob
        else:
            simulation.integrator, simulation.dt = "leapfrog", knob
            simulation.integrator.order = int(kind.split()[1])

        x_end = np.empty(start.x.shape)

        def run():
            simulation.integrate(end, exact_finish_time=1)
            simulation.serialize_particle_data(xyz=x_end)
            return x_end

        return run

    return ready


# Measurement


def measured(methods, count, truth, rounds, clock):
    """Errors (S,) and seconds (R, S) of each method; what fails or is far too slow is left out."""
    made, errors = [], []
    for each in methods:
        error = [np.sqrt(((each.ready(b)() - truth[b]) ** 2).mean()) for b in range(count)]
        if np.isfinite(error).all() and np.median(error) < 0.1:
            made.append(each)
            errors.append(np.array(error))
    times = np.empty((len(made), rounds, count))
    for r in range(rounds):
        for b in range(count):
            for number, each in enumerate(made):
                run = each.ready(b)
                began = clock()
                run()
                times[number, r, b] = clock() - began
    return made, np.array(errors), times


def cost_at(error, errors, costs):
    """Least cost at which a method is as accurate, between its settings by logarithms."""
    order = np.argsort(-errors)
    e, c = np.log(errors[order]), np.log(costs[order])
    least = c[e <= np.log(error)].min(initial=np.inf)
    for k in range(len(e) - 1):
        if e[k] > np.log(error) >= e[k + 1]:
            share = (e[k] - np.log(error)) / (e[k] - e[k + 1])
            least = min(least, c[k] + share * (c[k + 1] - c[k]))
    return float(np.exp(least))


def fronts(made, errors, times, wanted):
    """Cost of each family at each error, by round, medians of starts: {family: (R, E)}."""
    families = {}
    for number, each in enumerate(made):
        families.setdefault(each.family, []).append(number)
    return {
        family: np.array(
            [
                [cost_at(e, np.median(errors[some], 1), np.median(rows, 1)) for e in wanted]
                for rows in (times[some, r] for r in range(times.shape[1]))
            ]
        )
        for family, some in families.items()
    }


def cell(text, value):
    """Leave a cell open where one of the two is never as accurate."""
    return f"{text if np.isfinite(value) else '-':>24}"


def show(found, rivals, wanted, title):
    print(f"\n{title}\n{'ms at error':>18}" + "".join(f"{e:>24.0e}" for e in wanted))
    for family, costs in sorted(found.items()):
        cells = "".join(cell(f"{1e3 * c:.3f}", c) for c in np.median(costs, 0))
        print(f"{family:>18}{cells}")
    for rival in rivals:
        for family in sorted(found.keys() & OURS.keys()):
            ratios = found[rival] / found[family]
            cells = "".join(
                cell(f"{np.median(r):.2f} ({r.min():.2f}..{r.max():.2f})", np.log(np.median(r)))
                for r in ratios.T
            )
            print(f"{f'{rival} / {family}':>40}{cells}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", default="5,30")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--only", choices=("charged", "gravity"))
    asked = parser.parse_args()
    rivals = {"charged": need("heyoka"), "gravity": need("rebound")}
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")  # of errors that one of two does not get to
    wanted = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8]
    for name in [asked.only] if asked.only else rivals:
        for n in map(int, asked.particles.split(",")):
            system = make_system(name)
            state, particles = system.sample(asked.seed, n, asked.starts)
            end = asked.frames * FRAME
            starts = [
                Start(state.x[b], state.v[b], particles.charges[b], particles.masses[b])
                for b in range(asked.starts)
            ]
            tight = make_integrator("dop853-compiled", segment=asked.frames, rtol=1e-13, atol=1e-13)
            carry = tight.start(system, state, particles, FRAME)
            truth = tight.advance(carry, asked.frames).x[:, -1]
            theirs = heyoka_methods if name == "charged" else rebound_methods
            methods = [
                *our_methods(system, state, particles, asked.frames),
                *theirs(rivals[name], system, starts, end),
            ]
            found = measured(methods, asked.starts, truth, asked.rounds, CLOCKS[asked.clock])
            costs = fronts(*found, wanted)
            outside = [family for family in costs if family not in OURS]
            show(costs, outside, wanted, f"{name}, N = {n}, {end:g} time units")


if __name__ == "__main__":
    main()
