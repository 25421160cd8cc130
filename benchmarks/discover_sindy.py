"""Weak SINDy of pysindy on tracks of particles: its weak library, its regression, our features.

    pip install pysindy==2.1.0

pysindy knows first-order systems. Here each coordinate of each grain is a trajectory of its own, so
that all share their coefficients: the state is its velocity (central differences of the positions),
all else are features, handed over as control inputs. `WeakPDELibrary` integrates both against its
test functions over random windows and moves the derivative of the velocity onto them, so that noise
is averaged and not differentiated. `STLSQ` solves.

Features: pair sums of r^k exp(-r / L), L the distance of neighbours, along the line of a pair, and
in three dimensions also along z, even and odd in the height; uniform and linear one-body fields of
each axis; the velocity.

`fit_sindy` takes grains as alike. `fit_sindy_unlike` fits each grain by itself, with a central
function of its own for each neighbour, which is as far as a linear library goes. Charges are then
read out: the coefficients of i by j are q_i q_j c_k / m_i. (Functions of the height for each
neighbour make it far worse, for all neighbours together no better.)

Windows and kicks: a window's kicks drive the velocity of the same window, and least squares over
symmetric windows then find a drag of about zero in thermal equilibrium. That is the method, not the
program.
"""

from __future__ import annotations

import time

import numpy as np
import pysindy

DEGREES = (-2, -1, 0, 1)
HALF_WIDTH = 0.15  # time: of the windows; at least 4 frames
WINDOWS = 3000
THRESHOLD = 1e-3  # of a coefficient: less is set to zero


def kernels(r, length):
    """The functions r^k exp(-r / length) at r, shape (..., K), and zero at r = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.stack([r**k * np.exp(-r / length) for k in DEGREES], -1)
    return np.where(r[..., None] > 0.0, out, 0.0)


def nearest_distance(x):
    r = np.linalg.norm(x[::50, :, None] - x[::50, None], axis=-1)
    return float(np.median(np.sort(r, -1)[..., 1]))


def pair_terms(x, length):
    """Terms on i by j, shape (..., N, N, D, F): central ones first, then those along z."""
    d = x[..., :, None, :] - x[..., None, :, :]
    r = np.sqrt(np.sum(d**2, -1))
    g = kernels(r, length)
    unit = d / np.where(r > 0.0, r, 1.0)[..., None]
    central = unit[..., None] * g[..., None, :]
    if x.shape[-1] == 2:
        return central
    along = np.zeros((*central.shape[:-1], 2 * len(DEGREES)))
    along[..., 2, : len(DEGREES)] = g
    along[..., 2, len(DEGREES) :] = unit[..., 2:] * g
    return np.concatenate([central, along], -1)


def own_terms(x, v):
    """One-body terms (..., N, D, 2 D + 1): uniform and linear fields of each axis, the velocity."""
    axes = np.eye(x.shape[-1])
    uniform = np.broadcast_to(axes, (*x.shape, x.shape[-1]))
    return np.concatenate([uniform, x[..., None] * axes, v[..., None]], -1)


def solve(states, features, dt, threshold):
    """Coefficients of features (list of (T, F)) in the equations of states (list of (T,))."""
    count = len(states[0])
    half = max(HALF_WIDTH, 4 * dt)
    np.random.seed(0)  # noqa: NPY002 - pysindy draws its windows from the global generator
    library = pysindy.WeakPDELibrary(
        function_library=pysindy.PolynomialLibrary(degree=1, include_bias=False),
        spatiotemporal_grid=np.arange(count) * dt,
        H_xt=half,
        K=min(WINDOWS, 2 * count),
    )
    optimizer = pysindy.STLSQ(threshold=threshold, alpha=1e-9)
    model = pysindy.SINDy(feature_library=library, optimizer=optimizer)
    model.fit([state[:, None] for state in states], t=dt, u=features)
    return model.coefficients()[0]  # the state itself, whose drag it is, and the features


def velocities(x, dt):
    return x[1:-1], (x[2:] - x[:-2]) / (2.0 * dt)


def fit_sindy(x, dt):
    """Weak SINDy, all grains alike; x (T, N, D)."""
    begun = time.process_time()
    x = np.asarray(x, float)
    length = nearest_distance(x)
    x, v = velocities(x, dt)

    def features(x, v):
        blocks = [pair_terms(part, length).sum(-3) for part in np.array_split(x, 16)]
        return np.concatenate([np.concatenate(blocks), own_terms(x, v)[..., :-1]], -1)

    table = features(x, v)
    pairs = [(i, k) for i in range(x.shape[1]) for k in range(x.shape[2])]
    found = solve([v[:, i, k] for i, k in pairs], [table[:, i, k] for i, k in pairs], dt, THRESHOLD)
    drag, rest = -found[0], found[1:]

    def acceleration(x, v):
        pair = pair_terms(x, length).sum(-3)
        return np.concatenate([pair, own_terms(x, v)[..., :-1]], -1) @ rest - drag * v

    return {
        "acceleration": acceleration,
        "curve": lambda r: kernels(np.asarray(r), length) @ rest[: len(DEGREES)],
        "charges": None,
        "charge_to_mass": None,
        "drag": np.full(x.shape[1], drag),
        "seconds": time.process_time() - begun,
    }


def fit_sindy_unlike(x, dt):
    """Weak SINDy, each grain by itself, charges read out of its coefficients."""
    begun = time.process_time()
    x = np.asarray(x, float)
    length = nearest_distance(x)
    x, v = velocities(x, dt)
    count, dimensions = x.shape[1:]
    terms = pair_terms(x, length)[..., : len(DEGREES)]
    own = own_terms(x, v)[..., :-1]
    strengths = np.zeros((count, count, terms.shape[-1]))
    fields, drags = np.zeros((count, own.shape[-1])), np.zeros(count)
    for i in range(count):
        others = np.delete(np.arange(count), i)
        table = np.moveaxis(terms[:, i, others], 1, 2).reshape(len(x), dimensions, -1)
        table = np.concatenate([table, own[:, i]], -1)
        found = solve(
            [v[:, i, k] for k in range(dimensions)], list(np.moveaxis(table, 1, 0)), dt, 0.0
        )
        drags[i], rest = -found[0], found[1:]
        strengths[i, others] = rest[: -own.shape[-1]].reshape(count - 1, -1)
        fields[i] = rest[-own.shape[-1] :]
    weights, common = rank_one(strengths, terms)
    q, b = read_charges(weights)

    def acceleration(x, v):
        pair = pair_terms(x, length)[..., : len(DEGREES)] @ common
        pair = np.einsum("...ijd,ij->...id", pair, np.outer(b, q))
        one = np.einsum("...idf,if->...id", own_terms(x, v)[..., :-1], fields)
        return pair + one - drags[:, None] * v

    return {
        "acceleration": acceleration,
        "curve": lambda r: kernels(np.asarray(r), length) @ common,
        "charges": q / q.mean(),
        "charge_to_mass": b / b.mean(),
        "drag": drags,
        "seconds": time.process_time() - begun,
    }


def rank_one(strengths, terms):
    """Weights (N, N) and one function c (K) with strengths ~ weights c, in the norm of forces."""
    sample = terms[::20].reshape(-1, terms.shape[-1])  # all pairs and axes, so norms are forces
    root = np.linalg.cholesky(sample.T @ sample / len(sample) + 1e-12 * np.eye(terms.shape[-1]))
    flat = strengths.reshape(-1, terms.shape[-1]) @ root
    left, size, right = np.linalg.svd(flat, full_matrices=False)
    weights = (left[:, 0] * size[0]).reshape(strengths.shape[:2])
    common = np.linalg.solve(root.T, right[0])
    sign = np.sign(weights.sum())
    return sign * weights, sign * common


def read_charges(weights):
    """q, b with weights ~ b_i q_j off the diagonal, by alternating least squares."""
    off = 1.0 - np.eye(len(weights))
    q = np.ones(len(weights))
    for _ in range(200):
        b = (weights * off) @ q / (off @ q**2)
        q = (weights * off).T @ b / (off @ b**2)
        q = q / q.mean()
    return q, b
