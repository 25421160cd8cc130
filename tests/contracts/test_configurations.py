"""Public methods that take arrays pair them with particles, or refuse them: never garbage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from built_in_systems import build, every_system, somewhere
from nbody_surrogate import InputError, Particles
from nbody_surrogate.contracts import AbstractSystem, paired

N = 4
METHODS = {
    "acceleration": lambda s, x, v, p: s.acceleration(x, v, p),
    "pair_acceleration": lambda s, x, v, p: s.pair_acceleration(x, p),
    "one_body_acceleration": lambda s, x, v, p: s.one_body_acceleration(x, v, p),
    "potential_energy": lambda s, x, v, p: s.potential_energy(x, p),
    "energy": lambda s, x, v, p: s.invariants(x, v, p).energy,
    "kinetic": lambda s, x, v, p: s.invariants(x, v, p).kinetic,
    "momentum": lambda s, x, v, p: s.invariants(x, v, p).momentum,
    "angular_momentum": lambda s, x, v, p: s.invariants(x, v, p).angular_momentum,
}


def calls_of(system):
    """Calls of all methods that look at the arrays: without a field, that one does not."""
    plain = type(system).one_body_acceleration is AbstractSystem.one_body_acceleration
    return [call for name, call in METHODS.items() if name != "one_body_acceleration" or not plain]


def sets(particles, count):
    """Repeat one set of particles, each with masses of its own."""
    some = particles[[0] * count]
    factors = np.linspace(1, 2, count)[:, None]
    return Particles(some.charges, some.masses * factors, some.couplings, some.radii)


def several(rng, x, lead):
    """Positions around x, with axes in front."""
    return x[0] + 0.05 * rng.normal(size=(*lead, *x.shape[1:]))


@every_system
@pytest.mark.parametrize("lead", [(), (2, 3)], ids=str)
def test_one_set_of_particles_goes_with_all_configurations(name, lead):
    system, rng = build(name), np.random.default_rng(1)
    x, v, particles = somewhere(system, 5, 3)
    x, v = several(rng, x, lead), several(rng, v, lead)
    for call in calls_of(system):
        got = call(system, x, v, particles)
        for index in np.ndindex(lead):
            alone = call(system, x[index][None], v[index][None], particles)
            if alone is None:
                assert got is None
            else:
                np.testing.assert_array_equal(got[index], alone[0])


@every_system
def test_each_trajectory_has_its_own_particles_in_all_its_frames(name):
    system, rng = build(name), np.random.default_rng(2)
    x, v, one = somewhere(system, 6, 3)
    particles = sets(one, 2)
    x, v = several(rng, x, (2, 3)), several(rng, v, (2, 3))
    for call in calls_of(system):
        got = call(system, x, v, particles)
        for b, t in np.ndindex(2, 3):
            alone = call(system, x[b, t][None], v[b, t][None], particles[b])
            if alone is not None:
                np.testing.assert_array_equal(got[b, t], alone[0])


@every_system
@settings(max_examples=15, deadline=None)
@given(
    shape=st.lists(st.integers(0, 6), max_size=4).map(tuple),
    count=st.integers(1, 5),
)
def test_shapes_that_do_not_fit_are_refused_before_compiled_code(name, shape, count):
    system = build(name)
    particles = sets(somewhere(system, 7, 3)[2], count)
    x = np.ones(shape)
    fit = len(shape) >= 2 and shape[-2] == N and shape[-1] in (2, 3) and 0 not in shape
    if fit and (count == 1 or (shape[0] == count and len(shape) > 2)):
        return
    for method, call in METHODS.items():
        if (
            method == "one_body_acceleration"
            and getattr(system.force_laws(), "field", None) is None
        ):
            continue  # without a field nothing is looked at
        with pytest.raises(InputError, match=r"`(x|particles)` must"):
            call(system, x, x, particles)


@pytest.mark.parametrize("wrong", ["text", [[None]], np.ones((2, N, 3), complex)], ids=repr)
def test_what_is_no_number_is_refused(wrong):
    particles = somewhere(build("trap"), 7, 3)[2]
    with pytest.raises(InputError, match="`x` must hold real numbers"):
        paired(particles, wrong, wrong)


def test_velocities_must_have_the_shape_of_positions():
    x, v, particles = somewhere(build("trap"), 7, 3)
    with pytest.raises(InputError, match=r"`v` must have the shape of `x` \(1, 4, 3\), got"):
        build("trap").acceleration(x, v[:, :2], particles)


def test_single_precision_and_views_give_what_their_values_give():
    system = build("charged")
    x, v, particles = somewhere(system, 7, 3)
    x32 = x.astype(np.float32)
    expected = system.potential_energy(x32.astype(float), particles)
    np.testing.assert_array_equal(system.potential_energy(x32, particles), expected)
    turned = np.asfortranarray(x)
    np.testing.assert_array_equal(
        system.acceleration(turned, v, particles), system.acceleration(x, v, particles)
    )


def test_couplings_are_repeated_block_by_block(monkeypatch):
    system, rng = build("springs"), np.random.default_rng(3)
    x, _, particles = somewhere(system, 8, 3)
    many = several(rng, x, (7,))
    whole = system.potential_energy(many, particles)
    monkeypatch.setattr("nbody_surrogate.contracts.configurations.LARGEST", 2 * N * N)
    np.testing.assert_array_equal(system.potential_energy(many, particles), whole)
    sizes = paired(particles, many, many).evaluate(lambda x, v, few: np.full(len(x), few.batch))
    assert sizes.tolist() == [2] * 6 + [1]
