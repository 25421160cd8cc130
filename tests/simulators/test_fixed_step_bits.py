"""Fixed steps: bits do not depend on batches, segments or threads."""

from __future__ import annotations

import numpy as np
import pytest

from fixed_steps import (
    B_FIELD,
    E_FIELD,
    METHODS,
    ROUNDING,
    SPLITTING,
    advanced,
    crowded,
    three_verlets,
)
from nbody_surrogate import (
    Particles,
    State,
    make_integrator,
    simulate,
)

BATCHES = (1, 7, 8, 9, 64, 65, 130)  # around the widths of vectors and blocks


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("method", METHODS)
def test_bits_do_not_depend_on_the_batch(charged, plasma, method, threads):
    system = charged if method in ("leapfrog", "rk4") else plasma(magnetic=B_FIELD)
    if method in SPLITTING and system is not charged:
        system = plasma(electric=E_FIELD)
    state, particles = system.sample(9, 4, max(BATCHES))
    whole = advanced(method, system, (state, particles), 2, substeps=3)
    for batch in BATCHES:
        some = State(0.0, state.x[-batch:], state.v[-batch:])
        bonds = particles.couplings
        bonds = None if bonds is None else bonds[-batch:]
        others = Particles(particles.charges[-batch:], particles.masses[-batch:], bonds)
        part = advanced(method, system, (some, others), 2, substeps=3, threads=threads)
        np.testing.assert_array_equal(part.x, whole.x[-batch:])
        np.testing.assert_array_equal(part.v, whole.v[-batch:])


@pytest.mark.parametrize("n", [1, 39, 40, 41, 60])
def test_bits_do_not_depend_on_the_batch_where_particles_are_many(charged, n):
    state, particles = charged.sample(10, n, 9)
    for method in ("leapfrog", "rk4", "exact-flow"):
        whole = advanced(method, charged, (state, particles), 2, substeps=2)
        for b in (0, 8):
            one = advanced(method, charged, (state[b], particles[b]), 2, substeps=2, threads=2)
            np.testing.assert_array_equal(one.x[0], whole.x[b])
            np.testing.assert_array_equal(one.v[0], whole.v[b])


@pytest.mark.parametrize("n", [40, 41])  # from where one trajectory is a block by itself
def test_many_particles_move_as_few_do(charged, n):
    state, particles = charged.sample(10, n, 2)
    run = advanced("yoshida4", charged, (state, particles), 2, substeps=4)
    x, v = state.x, state.v
    for _ in range(8):
        x, v = three_verlets(lambda x, v: charged.acceleration(x, v, particles), x, v, 0.025)
    np.testing.assert_allclose(run.x[:, 1], x, rtol=0, atol=10 * ROUNDING)
    np.testing.assert_allclose(run.v[:, 1], v, rtol=0, atol=10 * ROUNDING)


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("frames", [1, 4, 5])
def test_a_shorter_run_is_the_beginning_in_any_field(plasma, frames, backend):
    for method in ("leapfrog", "boris", "exact-flow"):
        system, start = crowded(plasma, method, 3)
        integrator = make_integrator(method, segment=4, backend=backend)
        longer = simulate(system, *start, 6, integrator)
        shorter = simulate(system, *start, frames, integrator)
        np.testing.assert_array_equal(shorter.x, longer.x[:, : frames + 1])
        np.testing.assert_array_equal(shorter.v, longer.v[:, : frames + 1])


def test_segments_leave_no_trace(plasma):
    system, start = crowded(plasma, "boris", 3)
    first, second = (
        simulate(system, *start, 6, make_integrator("boris", segment=length)) for length in (2, 6)
    )
    np.testing.assert_array_equal(first.x, second.x)


@pytest.mark.parametrize(
    ("method", "backend"),
    [
        *((method, "numba") for method in METHODS),
        ("leapfrog", "torch"),
        ("rk4", "torch"),
        *(
            pytest.param(method, "torch", marks=pytest.mark.slow)
            for method in METHODS
            if method not in ("leapfrog", "rk4")
        ),
    ],
)
def test_two_dimensions_leave_out_what_points_elsewhere(plasma, method, backend):
    """A field across the plane pulls nobody out of it, nor changes any distance."""
    magnetic = {} if method in SPLITTING else {"magnetic": (0.7, -0.4, 1.1)}
    system = plasma(reach=1e3, electric=(0.4, -0.3, 5.0), **magnetic)
    start = system.sample(2, 5, 2, 2)
    options = {"segment": 5, "backend": backend, "substeps": 8 if method != SPLITTING[0] else 500}
    run = simulate(system, *start, 10, make_integrator(method, **options))
    exact = simulate(system, *start, 10, "dop853")
    np.testing.assert_allclose(run.x, exact.x, rtol=0, atol=1e-3)
    if backend == "numba":
        whole = simulate(system, *start, 10, make_integrator(method, **{**options, "segment": 10}))
        np.testing.assert_array_equal(run.x, whole.x)
