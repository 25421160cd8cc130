"""Fixed steps are those of their formulas, on every back end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from fixed_steps import (
    METHODS,
    ROUNDING,
    advanced,
    crowded,
    drift_kick_drift,
    three_verlets,
    verlet,
)
from nbody_simulators.integrators import compositions
from nbody_simulators.kernels.forces import pair_accelerations
from nbody_surrogate import (
    make_integrator,
    simulate,
)

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def kick_drift(a, x, v, h):
    v = v + h * a(x, v)
    return x + h * v, v


def kutta(a, x, v, h):
    k1 = v, a(x, v)
    k2 = v + h / 2 * k1[1], a(x + h / 2 * k1[0], v + h / 2 * k1[1])
    k3 = v + h / 2 * k2[1], a(x + h / 2 * k2[0], v + h / 2 * k2[1])
    k4 = v + h * k3[1], a(x + h * k3[0], v + h * k3[1])
    dx, dv = (h / 6 * (k1[y] + 2 * k2[y] + 2 * k3[y] + k4[y]) for y in range(2))
    return x + dx, v + dv


def boris_of(system, particles, dimensions):
    """The rotation is solved for, as (v' - v) = (v' + v) x t: a Cayley transform.

    In two dimensions only the field across the plane turns velocities within it.
    """
    bx, by, bz = system.spec.magnetic
    cross = np.array([[0, bz, -by], [-bz, 0, bx], [by, -bx, 0]])  # cross @ v = v x B

    def step(a, x, v, h):
        x = x + h / 2 * v
        kick = h / 2 * a(x, 0 * v)
        turn = h / 2 * (particles.charges / particles.masses)[..., None, None] * cross
        turn, one = turn[..., :dimensions, :dimensions], np.eye(dimensions)
        after = np.linalg.solve(one - turn, (one + turn) @ (v + kick)[..., None])
        v = after[..., 0] + kick
        return x + h / 2 * v, v

    return step


def composed(composition):
    def step(a, x, v, h):
        for kick, drift in zip(*composition, strict=True):
            v = v + kick * h * a(x, v)
            x = x + drift * h * v
        return x, v

    return step


def flow_of(system, particles, dimensions):
    """With the generator written down for the field of `plasma`: Strang's splitting."""
    spec = system.spec
    bx, by, bz = spec.magnetic
    cross = np.array([[0, bz, -by], [-bz, 0, bx], [by, -bx, 0]])[:dimensions, :dimensions]
    one, pairs = np.eye(dimensions), system.force_laws()._replace(field=None)

    def drift(x, v, h):
        x, v = x.copy(), v.copy()
        for b, i in np.ndindex(*particles.charges.shape):
            ratio = particles.charges[b, i] / particles.masses[b, i]
            pull = ratio * np.array(spec.electric[:dimensions])
            rate = np.block([[0 * one, one], [-spec.trap * one, ratio * cross]])
            rate = np.pad(rate, ((0, 1), (0, 1)))
            rate[dimensions:-1, -1] = pull
            y = expm(h * rate) @ np.concatenate([x[b, i], v[b, i], [1.0]])
            x[b, i], v[b, i] = y[:dimensions], y[dimensions:-1]
        return x, v

    def step(a, x, v, h):
        x, v = drift(x, v, h / 2)
        return drift(x, v + h * pair_accelerations(x, particles, pairs), h / 2)

    return step


FORMULAS = {
    "symplectic-euler": kick_drift,
    "leapfrog": drift_kick_drift,
    "srkn4": composed(compositions.SRKN4),
    "srkn6": composed(compositions.SRKN6),
    "yoshida4": three_verlets,
    "rk4": kutta,
}
WHERE = [
    {"backend": "numba"},
    {"backend": "torch"},
    pytest.param({"device": "cuda"}, marks=[pytest.mark.cuda, needs_cuda]),
]


@pytest.mark.parametrize("where", WHERE, ids=str)
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_steps_are_those_of_the_formula(plasma, method, dimensions, where):
    """Numba and torch to rounding, with pairs, couplings, fields and a clip."""
    system, (state, particles) = crowded(plasma, method, dimensions, clip=0.2)
    of_system = {"boris": boris_of, "exact-flow": flow_of}
    formula = FORMULAS.get(method) or of_system[method](system, particles, dimensions)
    x, v = state.x, state.v
    for _ in range(3):
        x, v = formula(lambda x, v: system.acceleration(x, v, particles), x, v, 0.1 / 3)
    run = advanced(method, system, (state, particles), 1, substeps=3, **where)
    np.testing.assert_allclose(run.x[:, 0], x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(run.v[:, 0], v, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("where", WHERE, ids=str)
def test_the_other_form_of_leapfrog_is_verlets(charged, where):
    state, particles = charged.sample(6, 4, 2)
    x, v = state.x, state.v
    for _ in range(3):
        x, v = verlet(lambda x, v: charged.acceleration(x, v, particles), x, v, 0.1 / 3)
    run = advanced("leapfrog", charged, (state, particles), 1, substeps=3, form="kdk", **where)
    np.testing.assert_allclose(run.x[:, 0], x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(run.v[:, 0], v, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("order", [4, 6])
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_without_a_field_an_exact_flow_is_a_drift(charged, order, backend):
    """To rounding, in each order: by the method of free drifts with the same coefficients."""
    start = charged.sample(6, 4, 2)
    run = advanced("exact-flow", charged, start, 3, substeps=3, order=order, backend=backend)
    same = advanced(f"srkn{order}", charged, start, 3, substeps=3)
    np.testing.assert_allclose(run.x, same.x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(run.v, same.v, rtol=0, atol=ROUNDING)
    assert run.counters == same.counters


def test_the_clip_of_that_test_bites(plasma):
    system, start = crowded(plasma, "leapfrog", 3, clip=0.2)
    other, _ = crowded(plasma, "leapfrog", 3)
    clipped, free = (advanced("leapfrog", each, start, 1).v for each in (system, other))
    assert (np.abs(clipped - free).max((1, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize("method", METHODS)
def test_torch_and_numba_agree_over_many_segments(plasma, method):
    system, start = crowded(plasma, method, 3)
    first, second = (
        simulate(system, *start, 6, make_integrator(method, segment=4, substeps=3, backend=backend))
        for backend in ("numba", "torch")
    )
    np.testing.assert_allclose(first.x, second.x, rtol=0, atol=100 * ROUNDING)
    assert first.info.counters == second.info.counters
