"""The softened Coulomb law and its preset: closed forms, oracles and symmetries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbody_surrogate import InputError, Particles, make_system, simulate

ROUNDING = 1e-13  # of the largest term: sums of a few hundred float64 terms
GRADIENT = 1e-7  # of the largest force: fourth-order differences with step 1e-3 at softening >= 0.3
STEP = 1e-3
SIGMAS = 5.0  # a sample statistic lies within so many of its standard deviations


def cloud(seed, n, dimensions, batch=1):
    """Particles of unequal charges and masses somewhere in a box."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, size=(batch, n, dimensions))
    charges = rng.uniform(-2, 2, size=(batch, n))
    masses = rng.uniform(0.2, 5, size=(batch, n))
    return x, Particles(charges, masses)


def orthogonal(seed, dimensions):
    """A rotation or a reflection."""
    matrix = np.random.default_rng(seed).normal(size=(dimensions, dimensions))
    return np.linalg.qr(matrix)[0]


def forces(system, x, particles):
    return particles.masses[..., None] * system.pair_acceleration(x, particles)


clouds = st.builds(cloud, st.integers(0, 2**32), st.integers(2, 6), st.sampled_from([2, 3]))
couplings, softenings = st.sampled_from([1.0, 0.3, -2.0]), st.floats(0.3, 2.0)


# Force and energy of a pair


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("softening", [0.0, 0.1, 1.5])
def test_two_charges_push_and_pull_as_coulomb_wrote(softening, dimensions):
    k, qi, qj, r = 1.7, 2.0, -0.5, 0.8
    system = make_system("charged", coupling=k, softening=softening)
    towards = orthogonal(1, dimensions)[0]  # from j to i, of length 1
    x = np.stack([np.full(dimensions, 0.3) + r * towards, np.full(dimensions, 0.3)])[None]
    particles = Particles([[qi, qj]], [[2.0, 3.0]])
    s = math.hypot(r, softening)
    force = k * qi * qj * r / s**3  # on i, along `towards`
    expected = force * np.stack([towards / 2.0, -towards / 3.0])[None]
    np.testing.assert_allclose(
        system.pair_acceleration(x, particles), expected, rtol=0, atol=ROUNDING * abs(force)
    )
    np.testing.assert_allclose(
        system.potential_energy(x, particles), [k * qi * qj / s], rtol=ROUNDING
    )


@pytest.mark.parametrize("qj", [1.0, -1.0])
def test_equal_charges_repel_and_opposite_ones_attract(charged, qj):
    x = np.array([[[0.0, 0.0, 0.0], [1.0, 2.0, -1.0]]])
    a = charged.pair_acceleration(x, Particles([[1.0, qj]], [[1.0, 1.0]]))
    outward = (x[0, 0] - x[0, 1]) @ a[0, 0]
    assert np.sign(outward) == qj
    assert np.sign(charged.potential_energy(x, Particles([[1.0, qj]], [[1.0, 1.0]]))[0]) == qj


def test_coincident_softened_particles_feel_no_force(charged):
    x = np.full((1, 2, 3), 0.7)
    particles = Particles([[1.0, -1.0]], [[1.0, 1.0]])
    assert (charged.pair_acceleration(x, particles) == 0).all()
    np.testing.assert_allclose(charged.potential_energy(x, particles), [-1 / 0.1], rtol=ROUNDING)


def test_no_external_force(charged):
    x, particles = cloud(0, 4, 3)
    assert charged.one_body_acceleration(x, x, particles) is None
    np.testing.assert_array_equal(
        charged.acceleration(x, x, particles), charged.pair_acceleration(x, particles)
    )


@given(clouds, couplings, softenings)
def test_force_is_minus_the_gradient_of_the_energy(case, coupling, softening):
    x, particles = case
    system = make_system("charged", coupling=coupling, softening=softening)

    def energy(at, by):
        moved = x.copy()
        moved[at] += by
        return system.potential_energy(moved, particles)[0]

    gradient = np.empty_like(x)
    for at in np.ndindex(x.shape):
        near = energy(at, STEP) - energy(at, -STEP)
        far = energy(at, 2 * STEP) - energy(at, -2 * STEP)
        gradient[at] = (8 * near - far) / (12 * STEP)
    found = forces(system, x, particles)
    scale = max(abs(found).max(), 1.0)
    np.testing.assert_allclose(found, -gradient, rtol=0, atol=GRADIENT * scale)


# The kernel against a direct double sum


def direct_sum(x, particles, coupling, softening):
    """Accelerations (B, N, D) and energies (B,), term by term."""
    q, m = particles.charges, particles.masses
    a, energy = np.zeros_like(x), np.zeros(len(x))
    for i in range(x.shape[1]):
        for j in range(x.shape[1]):
            if i != j:
                r = x[:, i] - x[:, j]
                s = np.sqrt((r**2).sum(1) + softening**2)
                pull = coupling * q[:, i] * q[:, j] / s
                a[:, i] += (pull / s**2 / m[:, i])[:, None] * r
                energy += 0.5 * pull
    return a, energy


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_kernel_equals_a_direct_double_sum(n, dimensions):
    system = make_system("charged", coupling=0.7, softening=0.2)
    x, particles = cloud(3, n, dimensions, batch=3)
    a, energy = direct_sum(x, particles, 0.7, 0.2)
    found = system.pair_acceleration(x, particles)
    assert found.shape == x.shape
    np.testing.assert_allclose(found, a, rtol=0, atol=ROUNDING * max(abs(a).max(), 1.0))
    np.testing.assert_allclose(
        system.potential_energy(x, particles), energy, rtol=ROUNDING, atol=ROUNDING
    )


def test_kernel_takes_arrays_of_any_layout(charged):
    x, particles = cloud(4, 5, 3, batch=2)
    strided = np.asfortranarray(x)
    expected = charged.pair_acceleration(x, particles)
    np.testing.assert_array_equal(charged.pair_acceleration(strided, particles), expected)
    np.testing.assert_array_equal(
        charged.pair_acceleration(np.repeat(x, 2, axis=1)[:, ::2], particles), expected
    )


@given(clouds, couplings, softenings)
def test_forces_add_up_to_nothing(case, coupling, softening):
    x, particles = case
    system = make_system("charged", coupling=coupling, softening=softening)
    found = forces(system, x, particles)
    torque = x[..., 0] * found[..., 1] - x[..., 1] * found[..., 0]
    np.testing.assert_allclose(found.sum(1), 0, atol=ROUNDING * max(abs(found).sum(), 1.0))
    np.testing.assert_allclose(torque.sum(1), 0, atol=ROUNDING * max(abs(torque).sum(), 1.0))


# What it declares of itself


@given(clouds, couplings, softenings, st.integers(0, 2**32))
def test_declared_symmetries_hold(case, coupling, softening, seed):
    x, particles = case
    system = make_system("charged", coupling=coupling, softening=softening)
    rng = np.random.default_rng(seed)
    rotation, order = orthogonal(seed, x.shape[2]), rng.permutation(x.shape[1])
    moved = (x @ rotation.T + rng.normal(size=x.shape[2]))[:, order]
    others = Particles(-particles.charges[:, order], particles.masses[:, order])
    found, expected = forces(system, moved, others), forces(system, x, particles)
    scale = max(abs(expected).max(), 1.0) / softening  # rounding of r over its length
    np.testing.assert_allclose(
        found, (expected @ rotation.T)[:, order], rtol=0, atol=10 * ROUNDING * scale
    )
    np.testing.assert_allclose(
        system.potential_energy(moved, others),
        system.potential_energy(x, particles),
        rtol=0,
        atol=10 * ROUNDING * scale,
    )
    assert {"translation", "rotation", "reflection", "permutation"} <= system.symmetries
    assert "charge-conjugation" in system.symmetries


def test_forces_do_not_depend_on_velocity(charged):
    x, particles = cloud(5, 4, 3)
    at_rest = charged.acceleration(x, np.zeros_like(x), particles)
    np.testing.assert_array_equal(charged.acceleration(x, 3 * x, particles), at_rest)
    assert not charged.velocity_dependent


@pytest.mark.parametrize("dimensions", [2, 3])
def test_invariants_of_two_particles(charged, dimensions):
    x, v = np.zeros((2, 1, 2, dimensions))
    x[0, 0, 0], x[0, 1, 1] = 2.0, 1.0
    v[0, 0, 1], v[0, 1, 0] = 3.0, -1.0
    found = charged.invariants(x, v, Particles([[1.0, -1.0]], [[2.0, 4.0]]))
    np.testing.assert_allclose(found.kinetic, [0.5 * 2 * 9 + 0.5 * 4 * 1], rtol=ROUNDING)
    np.testing.assert_allclose(found.energy - found.kinetic, [-1 / math.sqrt(5.01)], rtol=ROUNDING)
    np.testing.assert_allclose(found.momentum[0, :2], [-4.0, 6.0], rtol=ROUNDING)
    spin = 2 * (2 * 3) + 4 * (1 * 1)
    expected = [spin] if dimensions == 2 else [0, 0, spin]
    np.testing.assert_allclose(found.angular_momentum, [expected], rtol=ROUNDING)


# The law


def test_law_has_the_parameters_of_its_system():
    laws = make_system("charged", coupling=2.5, softening=0.25).force_laws()
    assert tuple(laws.pair.parameters) == (2.5, 0.25)
    assert laws.field is None
    assert laws.clip == math.inf


# Parameters


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("epsilon", 0.1),
        ("softening", -0.1),
        ("softening", math.nan),
        ("softening", math.inf),
        ("softening", "soft"),
        ("softening", None),
        ("coupling", math.nan),
        ("coupling", -math.inf),
        ("signs", "opposite"),
        ("charge_range", (2.0, 1.0)),
        ("charge_range", (-1.0, 1.0)),
        ("mass_range", (2.0, 1.0)),
        ("mass_range", (0.0, 1.0)),
        ("mass_range", (-2.0, -1.0)),
        ("size_range", (0.0, 1.0)),
        ("speed_range", (-1.0, 1.0)),
        ("planar", 1.1),
        ("pairs", -1),
        ("frame_dt", 0.0),
        ("frame_dt", -0.1),
        ("frame_dt", math.nan),
        ("frame_dt", math.inf),
    ],
)
def test_wrong_parameters_are_one_line(parameter, value):
    with pytest.raises(InputError) as caught:
        make_system("charged", **{parameter: value})
    message = str(caught.value)
    assert message.startswith(f"`{parameter}` ")
    assert "charged" in message
    assert "\n" not in message


def test_an_unknown_parameter_lists_the_known_ones():
    known = (
        "charge_range, coupling, frame_dt, mass_range, octant, pair_distance, pair_speed, pairs, "
        "planar, signs, size_range, softening, speed_range"
    )
    with pytest.raises(InputError, match=known):
        make_system("charged", epsilon=0.1)


@pytest.mark.parametrize(
    ("parameter", "value", "text"),
    [
        ("charge_range", (2.0, 1.0), "must be (lo, hi) with 0 <= lo <= hi, got (2.0, 1.0)"),
        ("mass_range", (0.0, 1.0), "must be (lo, hi) with 0 < lo <= hi, got (0.0, 1.0)"),
    ],
)
def test_a_wrong_range_says_what_must_hold(parameter, value, text):
    with pytest.raises(InputError) as caught:
        make_system("charged", **{parameter: value})
    assert str(caught.value) == f"`{parameter}` of system 'charged': {text}"


def test_parameters_cannot_be_changed(charged):
    with pytest.raises(ValueError, match="frozen"):
        charged.spec.softening = 0.2


# The preset


@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from([2, 3]))
def test_every_start_is_of_the_preset(charged, seed, n, dimensions):
    state, particles = charged.sample(seed, n, 2, dimensions)
    assert state.t == 0.0
    assert state.x.shape == state.v.shape == (2, n, dimensions)
    np.testing.assert_allclose(np.linalg.norm(state.v, axis=2), 0.5, rtol=ROUNDING)
    assert set(particles.charges.flat) <= {-1.0, 1.0}
    assert (particles.masses == 1.0).all()
    assert not np.array_equal(state.x[0], state.x[1])
    again, _ = charged.sample(seed, n, 2, dimensions)
    np.testing.assert_array_equal(again.x, state.x)
    np.testing.assert_array_equal(again.v, state.v)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n", [1, 7])
def test_draws_of_the_preset_are_what_they_always_were(charged, n, dimensions):
    state, particles = charged.sample(13, n, 3, dimensions)
    for b in range(3):
        rng = np.random.default_rng(np.random.SeedSequence(13, spawn_key=(b,)))
        np.testing.assert_array_equal(particles.charges[b], rng.choice([-1.0, 1.0], size=n))
        x = rng.normal(size=(n, dimensions)) * (n / 5) ** (1 / 3)
        np.testing.assert_array_equal(state.x[b], x)
        direction = rng.normal(size=(n, dimensions))
        v = 0.5 * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        np.testing.assert_array_equal(state.v[b], v)


RANGES = {"charge_range": (0.5, 2.0), "mass_range": (1.0, 4.0)}


@pytest.mark.parametrize("options", [{"signs": "equal"}, RANGES, {**RANGES, "signs": "equal"}])
def test_other_charges_and_masses_leave_places_and_signs_alone(charged, options):
    state, particles = charged.sample(14, 6, 2)
    other, others = make_system("charged", **options).sample(14, 6, 2)
    np.testing.assert_array_equal(other.x, state.x)
    np.testing.assert_array_equal(other.v, state.v)
    signs = np.ones((2, 6)) if "signs" in options else particles.charges
    np.testing.assert_array_equal(np.sign(others.charges), signs)


def test_charges_and_masses_fill_their_ranges():
    _, particles = make_system("charged", **RANGES).sample(15, 100, 100)
    for values, (low, high) in (
        (abs(particles.charges), RANGES["charge_range"]),
        (particles.masses, RANGES["mass_range"]),
    ):
        scaled = (values - low) / (high - low)
        assert 0 <= scaled.min() < 0.01
        assert 0.99 < scaled.max() <= 1
        assert abs(scaled.mean() - 0.5) < SIGMAS / math.sqrt(12 * scaled.size)
    assert abs(np.corrcoef(abs(particles.charges).ravel(), particles.masses.ravel())[0, 1]) < 0.05


def test_a_range_that_is_a_point_draws_nothing():
    wide, point = RANGES["mass_range"], (3.0, 3.0)
    alone = make_system("charged", mass_range=wide).sample(16, 5)[1]
    beside = make_system("charged", mass_range=wide, charge_range=point).sample(16, 5)[1]
    np.testing.assert_array_equal(alone.masses, beside.masses)
    np.testing.assert_array_equal(abs(beside.charges), 3.0)


# Starts of other sizes and speeds, flat ones, and bound pairs


def test_sizes_and_speeds_scale_the_start_that_a_seed_has(charged):
    state, _ = charged.sample(17, 6, 400)
    other, _ = make_system("charged", size_range=(0.1, 1.0), speed_range=(0, 2)).sample(17, 6, 400)
    size, speed = ((a / b)[:, 0, 0] for a, b in ((other.x, state.x), (other.v, state.v)))
    np.testing.assert_allclose(other.x, size[:, None, None] * state.x, rtol=ROUNDING)
    np.testing.assert_allclose(other.v, speed[:, None, None] * state.v, rtol=ROUNDING)
    # both uniform on (0, 1): the one in the logarithm
    for drawn in (1 + np.log10(size), speed / 2):
        assert 0 <= drawn.min() < 0.02
        assert 0.98 < drawn.max() <= 1
        assert abs(drawn.mean() - 0.5) < SIGMAS / math.sqrt(12 * drawn.size)


def test_a_share_of_starts_is_flat(charged):
    state, _ = charged.sample(18, 5, 400)
    other, _ = make_system("charged", planar=0.25).sample(18, 5, 400)
    flat = (other.x[..., 2] == 0).all(1)
    np.testing.assert_array_equal(flat, (other.v[..., 2] == 0).all(1))
    assert abs(flat.mean() - 0.25) < SIGMAS * math.sqrt(0.25 * 0.75 / 400)
    np.testing.assert_array_equal(other.x[..., :2], state.x[..., :2])
    np.testing.assert_array_equal(other.x[~flat], state.x[~flat])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_pair_of_the_speed_of_a_circle_stays_at_its_distance(dimensions):
    system = make_system(
        "charged", pairs=1, pair_distance=(0.2, 2), pair_speed=(1, 1), **RANGES, coupling=1.7
    )
    state, particles = system.sample(19, 2, 8, dimensions)
    run = simulate(system, state, particles, 30, "dop853")
    r = np.linalg.norm(run.x[:, :, 0] - run.x[:, :, 1], axis=-1)
    np.testing.assert_allclose(r, np.repeat(r[:, :1], 31, 1), rtol=1e-6)
    assert r.min() < 0.4 < 1.0 < r.max()


def test_pairs_are_bound_and_their_centres_are_where_the_preset_has_its_particles(charged):
    state, _ = charged.sample(20, 7, 50)
    system = make_system("charged", pairs=2, **RANGES, pair_speed=(0, 1))
    other, particles = system.sample(20, 7, 50)
    weights = particles.masses[:, :4].reshape(50, 2, 2)
    weights = (weights / weights.sum(2, keepdims=True))[..., None]
    for mine, theirs in ((other.x, state.x), (other.v, state.v)):
        centres = (weights * mine[:, :4].reshape(50, 2, 2, 3)).sum(2)
        np.testing.assert_allclose(centres, theirs[:, :4:2], atol=1e-12)
        np.testing.assert_array_equal(mine[:, 4:], theirs[:, 4:])
    # of the first pair: half the reduced mass times u^2, and its potential
    q, m = particles.charges[:, :2].prod(1), particles.masses[:, :2]
    r, u = ((y[:, 0] - y[:, 1]) for y in (other.x, other.v))
    kinetic = 0.5 * m.prod(1) / m.sum(1) * (u**2).sum(1)
    assert (kinetic + q / np.sqrt((r**2).sum(1) + 0.01) < 0).all()


@pytest.mark.parametrize("parameters", [{"signs": "equal"}, {"coupling": -1.0}, {"coupling": 0.0}])
def test_pairs_need_an_attraction(parameters):
    with pytest.raises(InputError, match="`pairs` must be 0 where opposite charges do not attract"):
        make_system("charged", pairs=1, **parameters)


def test_more_pairs_than_particles_for_them(charged):
    with pytest.raises(InputError, match="`pairs` must be at most 2 of 5 particles, got 3"):
        make_system("charged", pairs=3).sample(0, 5)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("n", "trajectories"), [(5, 800), (40, 100), (320, 12)])
def test_spread_grows_as_the_cube_root_of_the_number(charged, n, trajectories, dimensions):
    state, particles = charged.sample(7, n, trajectories, dimensions)
    count = n * trajectories
    sigma = (n / 5) ** (1 / 3)
    assert abs(state.x.std() / sigma - 1) < SIGMAS / math.sqrt(2 * count * dimensions)
    assert abs(state.x.mean()) < SIGMAS * sigma / math.sqrt(count * dimensions)
    assert abs((particles.charges > 0).mean() - 0.5) < SIGMAS * 0.5 / math.sqrt(count)
    # isotropic: no mean direction, and v v^T = |v|^2 / D
    assert np.abs(state.v.mean((0, 1))).max() < SIGMAS * 0.5 / math.sqrt(dimensions * count)
    second = np.einsum("bni,bnj->ij", state.v, state.v) / count
    np.testing.assert_allclose(
        second, 0.25 / dimensions * np.eye(dimensions), rtol=0, atol=SIGMAS * 0.25 / count**0.5
    )


def test_a_trajectory_does_not_depend_on_how_many_are_drawn(charged):
    few, few_particles = charged.sample(11, 6, 2)
    many, many_particles = charged.sample(11, 6, 9)
    np.testing.assert_array_equal(many.x[:2], few.x)
    np.testing.assert_array_equal(many.v[:2], few.v)
    np.testing.assert_array_equal(many_particles.charges[:2], few_particles.charges)


def test_seeds_differ(charged):
    starts = [charged.sample(seed, 3)[0].x.tobytes() for seed in range(50)]
    assert len(set(starts)) == 50


def test_a_generator_is_drawn_from_in_turn(charged):
    rng = np.random.default_rng(12)
    first, second = charged.sample(rng, 4)[0], charged.sample(rng, 4)[0]
    both, _ = charged.sample(np.random.default_rng(12), 4, 2)
    np.testing.assert_array_equal(both.x, np.concatenate([first.x, second.x]))


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("particles", {"n": 0}),
        ("trajectories", {"trajectories": 0}),
        ("dimensions", {"dimensions": 1}),
        ("dimensions", {"dimensions": 4}),
        ("rng", {"rng": -1}),
    ],
)
def test_wrong_sizes_are_one_line(charged, parameter, values):
    with pytest.raises(InputError) as caught:
        charged.sample(**{"rng": 0, "n": 3, **values})
    assert str(caught.value).startswith(f"`{parameter}` ")
    assert "\n" not in str(caught.value)
