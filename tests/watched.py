"""Motions that were watched, and small problems of discovery about them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

import nbody_surrogate as nb
from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.innovations import CAUSAL
from nbody_surrogate.discovery.runs import measured_run
from nbody_surrogate.discovery.splines import DirectedCurve, Envelope, PairCurve
from nbody_surrogate.discovery.start import first_unknowns
from nbody_surrogate.tracks.observe import observe
from nbody_surrogate.tracks.tracks import Tracks

DT = 0.05


def swings(frames=80, n=4, dimensions=3, seed=0):
    """Particles that swing about places of their own, smoothly, shape (T, N, D)."""
    rng = np.random.default_rng(seed)
    rates, phases = rng.uniform(0.5, 2.5, size=(2, n, dimensions))
    centres = rng.normal(scale=1.5, size=(n, dimensions))
    return centres + np.sin(rates * DT * np.arange(frames)[:, None, None] + 2.5 * phases)


def turned(x, seed=0):
    """The same rotated and, by a draw, mirrored."""
    d = x.shape[-1]
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))
    return x @ (q * np.sign(np.diag(r))).T


def tracks_of(x, dt=DT):
    return Tracks(x, dt, tuple(str(i) for i in range(x.shape[1])))


def watched(system, n, frames, seed, dimensions=3, noise=0.0, integrator=None, **more):
    """Tracks of a run, and what its particles are."""
    system = nb.make_system(system, **more) if isinstance(system, str) else system
    state, particles = system.sample(seed, n, dimensions=dimensions)
    run = nb.simulate(system, state, particles, frames, integrator)[0]
    return observe(run, noise=noise, seed=seed + 1000), particles


def ring(n, numbers):
    """A table of couplings: each pair has a number of its own."""
    table = np.zeros((n, n), dtype=np.int64)
    i, j = np.triu_indices(n, 1)
    table[i, j] = table[j, i] = numbers + np.arange(i.size)
    return table


def problem_of(
    *xs, dt=DT, knots=7, envelope=None, directed=False, stencil=CAUSAL, pairs=False, robust=False
):
    """A problem of runs of positions (T, N, D), NaN where not seen; all particles are others."""
    runs, tables, first, start, bonds = [], [], 0, 0, 0
    for x in xs:
        runs.append(measured_run(x, dt, first, start))
        tables.append(ring(x.shape[1], bonds))
        first, start = first + x.shape[1], start + len(x)
        bonds += x.shape[1] * (x.shape[1] - 1) // 2
    envelope = Envelope(-2.0, 3.0, 0.3) if envelope is None else envelope
    curve = PairCurve.over(np.concatenate([run.visited() for run in runs]), knots, envelope)
    across = directed_over(runs, curve) if directed else None
    couplings = tuple(tables) if pairs else None
    return Problem(tuple(runs), curve, across, 2, stencil, couplings, robust)


def directed_over(runs, curve):
    apart = []
    for run in runs:
        i, j = np.triu_indices(run.n, 1)
        both = run.there[:, i] & run.there[:, j]
        apart.append((run.x[:, i] - run.x[:, j])[both])
    d = np.concatenate(apart)
    rho = np.linalg.norm(d[:, :2], axis=1)
    return DirectedCurve.over(rho, d[:, 2], curve.envelope, curve.scale, (5, 4))


def somewhere(problem, seed=0, drag=0.3, noise=1e-4, kicks=1e-2):
    """Unknowns that are all of some size, and of no pattern."""
    rng = np.random.default_rng(seed)
    unknowns = first_unknowns(problem)
    unknowns.vector[:] = 0.3 * rng.normal(size=unknowns.vector.size)
    for name in ("strengths", "responses"):
        unknowns.part(name)[:] = rng.uniform(0.6, 1.4, size=unknowns.part(name).size)
    unknowns.part("drag")[:] = drag * rng.uniform(0.7, 1.3, size=problem.particles)
    unknowns.noise[:] = noise * rng.uniform(0.5, 2.0, size=problem.dimensions)
    unknowns.kicks[:] = kicks * rng.uniform(0.5, 2.0, size=problem.particles)
    return unknowns


def ornstein_uhlenbeck(drag, dt):
    """Covariances of position and velocity that unit kicks make in one step."""
    a, g = np.exp(-drag * dt), drag
    vv = (1 - a * a) / (2 * g)
    xv = (1 - a) ** 2 / (2 * g * g)
    xx = (dt - 2 * (1 - a) / g + (1 - a * a) / (2 * g)) / g**2
    return xx, xv, vv


def kicked(drag, kicks, noise, frames, seed, dt=DT, shape=(30,)):
    """Positions of free particles in a bath, exactly, shape (T, ...); each may have its own."""
    rng = np.random.default_rng(seed)
    drag, kicks = np.broadcast_to(drag, shape), np.broadcast_to(kicks, shape)
    xx, xv, vv = ornstein_uhlenbeck(drag, dt)
    a = np.exp(-drag * dt)
    x, v = np.zeros(shape), np.sqrt(kicks / (2 * drag)) * rng.normal(size=shape)
    out = []
    for _ in range(frames):
        out.append(x)
        first, second = rng.normal(size=(2, *shape))
        by_v = np.sqrt(kicks * vv) * first
        by_x = np.sqrt(kicks) * (xv / np.sqrt(vv) * first + np.sqrt(xx - xv**2 / vv) * second)
        x, v = x + (1 - a) / drag * v + by_x, a * v + by_v
    return np.array(out) + np.sqrt(noise) * rng.normal(size=(frames, *shape))


def trapped(stiffness, drag, temperature, frames, seed, n=4, dimensions=3, dt=DT):
    """Positions of unit masses on springs to the origin, in equilibrium with a bath, exactly."""
    rng = np.random.default_rng(seed)
    flow = expm(dt * np.array([[0.0, 1.0], [-stiffness, -drag]]))
    still = np.diag([temperature / stiffness, temperature])
    # what a step must add for equilibrium to stay as it is
    root = np.linalg.cholesky(still - flow @ still @ flow.T)
    y = np.sqrt(still) @ rng.normal(size=(2, n * dimensions))
    out = []
    for _ in range(frames):
        out.append(y[0].reshape(n, dimensions))
        y = flow @ y + root @ rng.normal(size=y.shape)
    return np.array(out)
