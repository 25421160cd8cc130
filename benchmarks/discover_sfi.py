"""Stochastic Force Inference (SFI 2.0.4) on tracks of particles, with its own words for pairs.

    pip install StochasticForceInference==2.0.4

The estimator is its noise-aware one for underdamped data, `infer_force`, which also profiles the
kicks and the noise of positions. Pair functions are r^k exp(-r / L), L the distance of neighbours.

`fit_sfi` takes grains as alike: `radial_pair_basis` with `exp_poly_kernels`, in three dimensions
also pair forces along z, even and odd in the height; uniform and linear fields per axis; the
velocity.

`fit_sfi_unlike` has a charge and a mass for each grain. SFI ships no such basis, but its
`make_interactor` with the reserved extra `particle_index` lets one write it as a parametric model.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from SFI import TrajectoryCollection, UnderdampedLangevinInference  # noqa: E402 - after x64
from SFI.bases import V, unit_vector_basis  # noqa: E402
from SFI.bases.pairs import exp_poly_kernels, radial_pair_basis  # noqa: E402
from SFI.statefunc import make_basis, make_interactor  # noqa: E402

DEGREES = (-2, -1, 0, 1)
OUTER = 3  # steps of the outer loop, of which the third changes the fourth digit


def nearest_distance(x):
    r = np.linalg.norm(x[::50, :, None] - x[::50, None], axis=-1)
    return float(np.median(np.sort(r, -1)[..., 1]))


def kernels(r, length, xp=np):
    return xp.stack([r**k * xp.exp(-r / length) for k in DEGREES], -1)


def pair_terms(d, length, xp=jnp):
    """Forces (..., D, F) at separations d (..., D): along d first, then along z."""
    r = xp.sqrt(xp.sum(d**2, -1) + 1e-12)
    g, unit = kernels(r, length, xp), d / r[..., None]
    central = unit[..., None] * g[..., None, :]
    if d.shape[-1] == 2:
        return central
    both = xp.concatenate([g, unit[..., 2:] * g], -1)
    axis = xp.asarray([0.0, 0.0, 1.0])
    return xp.concatenate([central, axis[:, None] * both[..., None, :]], -1)


def pair_sum(x, weights, length):
    """Sums over j of weights_ij terms, shape (..., N, D, F), in NumPy."""
    d = x[..., :, None, :] - x[..., None, :, :]
    terms = pair_terms(d, length, np) * (1.0 - np.eye(x.shape[-2]))[..., None, None]
    return np.einsum("...ijdf,ij->...idf", terms, weights)


def inference_of(x, dt):
    tracks = TrajectoryCollection.from_arrays(X=x, dt=dt)
    return UnderdampedLangevinInference(tracks, max_memory_gb=4.0)  # one chunk is much faster


def alike_basis(dimensions, length):
    basis = radial_pair_basis(exp_poly_kernels(DEGREES, [length]), dim=dimensions)
    basis = basis.dispatch_pairs()
    if dimensions == 3:
        along = make_interactor(
            lambda x: pair_terms(x[0] - x[1], length)[:, len(DEGREES) :],
            dim=3,
            rank=1,
            K=2,
            n_features=2 * len(DEGREES),
        )
        basis = basis & along.dispatch_pairs()
    linear = make_basis(lambda x: jnp.diag(x), dim=dimensions, rank=1, n_features=dimensions)
    return basis & unit_vector_basis(dimensions) & linear & V(dimensions)


def alike_coefficients(x, dt, length, fast=False):
    """Coefficients as `alike_basis` orders them, those of pairs for d = x_i - x_j."""
    inference, basis = inference_of(x, dt), alike_basis(x.shape[-1], length)
    if fast:
        inference.compute_diffusion_constant()
        inference.infer_force_linear(basis)
    else:
        inference.infer_force(basis, max_outer=OUTER)
    found = np.array(inference.force_coefficients_full)
    found[: len(DEGREES)] *= -1.0  # its unit vectors point from i to j
    return found


def fit_sfi(x, dt):
    """SFI, all grains alike; x (T, N, D) noisy positions, dt the frame interval."""
    begun = time.process_time()
    x = np.asarray(x, float)
    length, (count, dimensions) = nearest_distance(x), x.shape[1:]
    found = alike_coefficients(x, dt, length)
    pairs, fields = found[: -1 - 2 * dimensions], found[-1 - 2 * dimensions : -1]

    def acceleration(x, v):
        total = pair_sum(x, np.ones((count, count)), length) @ pairs
        return total + fields[:dimensions] + fields[dimensions:] * x + found[-1] * v

    return {
        "acceleration": acceleration,
        "curve": lambda r: kernels(np.asarray(r), length) @ pairs[: len(DEGREES)],
        "charges": None,
        "charge_to_mass": None,
        "drag": np.full(count, -found[-1]),
        "seconds": time.process_time() - begun,
    }


def unlike_model(count, dimensions, length):
    """Force on a grain of charge over mass b_i; each neighbour adds a share of one-body terms."""
    features = len(DEGREES) * (3 if dimensions == 3 else 1)

    def local(x, *, v, params, extras):
        i, j = extras["particle_index"]
        q = jnp.concatenate([jnp.ones(1), params["q"]])  # the scales of q and b are those of c
        b = jnp.concatenate([jnp.ones(1), params["b"]])
        pair = pair_terms(x[0] - x[1], length) @ params["c"]
        one = params["by_charge"] - params["trap"] * x[0]
        own = params["uniform"] - params["drag"] * (q[i] / b[i]) ** params["power"] * v[0]
        return (b[i] * (q[j] * pair + one / (count - 1)) + own / (count - 1))[:, None]

    shapes = {"q": (count - 1,), "b": (count - 1,), "c": (features,), "drag": (), "power": ()}
    shapes |= dict.fromkeys(("by_charge", "trap", "uniform"), (dimensions,))
    interactor = make_interactor(
        local,
        dim=dimensions,
        rank=1,
        K=2,
        needs_v=True,
        params=shapes,
        particle_extras=("particle_index",),
    )
    return interactor.dispatch_pairs(drop_features=True)


def fit_sfi_unlike(x, dt):
    """SFI with a parametric model of our writing: unlike grains."""
    begun = time.process_time()
    x = np.asarray(x, float)
    length, (count, dimensions) = nearest_distance(x), x.shape[1:]
    start = alike_coefficients(x, dt, length, fast=True)
    fields = start[-1 - 2 * dimensions : -1].reshape(2, dimensions)
    first = {
        "q": np.ones(count - 1),
        "b": np.ones(count - 1),
        "c": start[: -1 - 2 * dimensions],
        "by_charge": np.zeros(dimensions),
        "uniform": fields[0],
        "trap": -fields[1],
        "drag": np.array(-start[-1]),
        "power": np.array(0.0),
    }
    model = unlike_model(count, dimensions, length)
    inference = inference_of(x, dt)
    inference.infer_force(model, theta0={k: jnp.asarray(v) for k, v in first.items()})
    found = model.unflatten_params(inference.force_coefficients_full)
    found = {key: np.asarray(value) for key, value in found.items()}
    q, b = (np.concatenate([[1.0], found[key]]) for key in ("q", "b"))
    drags = found["drag"] * (q / b) ** found["power"]

    def acceleration(x, v):
        pull = pair_sum(x, np.outer(b, q), length) @ found["c"] + found["uniform"]
        return pull + b[:, None] * (found["by_charge"] - found["trap"] * x) - drags[:, None] * v

    return {
        "acceleration": acceleration,
        "curve": lambda r: kernels(np.asarray(r), length) @ found["c"][: len(DEGREES)],
        "charges": q / q.mean(),
        "charge_to_mass": b / b.mean(),
        "drag": drags,
        "seconds": time.process_time() - begun,
    }
