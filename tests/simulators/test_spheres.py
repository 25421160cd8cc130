"""The system of charged spheres: starts, refusals, repulsion, runs."""

import numpy as np
import pytest

from nbody_simulators.multipoles.convergence import pair_error
from nbody_surrogate import Particles, State, make_integrator, make_system, simulate
from nbody_surrogate.errors import InputError


def pair(gap, radii=(1.0, 1.0), charges=(1.0, -1.0)):
    x = np.array([[0.0, 0.0, 0.0], [0.0, sum(radii) + gap, 0.0]])
    return State(0.0, x, np.zeros((2, 3))), Particles(charges, np.ones(2), radii=np.array(radii))


@pytest.mark.parametrize(
    ("gap", "parameters", "words"),
    [
        (-0.1, {}, "`state` has spheres 0 and 1 of trajectory 0 overlapping"),
        (0.1, {}, "less than the `least_gap` of 0.15"),
        (0.2, {"order": 2}, "`order` must be at least 3"),
        (0.02, {"least_gap": 0.01}, "`order` must be at least"),
    ],
)
def test_starts_that_make_no_sense_are_refused(gap, parameters, words):
    system, solver = make_system("spheres", **parameters), make_integrator("dop853")
    with pytest.raises(InputError, match=words) as caught:
        simulate(system, *pair(gap), 1, solver)
    assert "\n" not in str(caught.value)


def test_none_may_be_written_where_there_is_no_null():
    written = make_system("spheres", permittivity="none", truncation="None")
    assert (written.spec.permittivity, written.spec.truncation) == (None, None)
    with pytest.raises(InputError, match=r"`permittivity`.*'nine'"):
        make_system("spheres", permittivity="nine")


def test_a_start_at_the_least_gap_is_taken():
    make_system("spheres", order=8).refuse_unfit_start(*pair(0.15))  # 2.15 - 2 < 0.15


def test_exact_pairs_are_refused_nearer_than_their_table_goes():
    with pytest.raises(InputError, match=r"`pairs` are exact down to gaps of 0.01.*0\.001"):
        make_system("spheres", pairs=True, least_gap=1e-3)
    close = make_system("spheres", least_gap=1e-3, order=8)
    assert "p6" in close.approximations
    assert not any(name.endswith("pairs") for name in close.approximations)


@pytest.mark.parametrize("order", [0, 1, 3, 4])
def test_starts_that_are_drawn_are_taken(order):
    system = make_system("spheres", order=order, radius_range=(0.3, 1.0))
    system.refuse_unfit_start(*system.sample(0, 8, 3))


def test_the_order_that_a_refusal_names_is_taken():
    solver = make_integrator("dop853")
    with pytest.raises(InputError) as caught:
        solver.check(make_system("spheres", order=2), *pair(0.2), 0.1)
    named = int(str(caught.value).split("at least ")[1].split()[0])
    solver.check(make_system("spheres", order=named), *pair(0.2), 0.1)


@pytest.mark.parametrize(
    "parameters", [{"truncation": None}, {"truncation": "none"}, {"pairs": True}]
)
def test_an_order_that_is_the_model_is_not_refused(parameters):
    system = make_system("spheres", order=1, **parameters)
    make_integrator("dop853").check(system, *pair(0.2), 0.1)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"permittivity": 0.5}, "permittivity"),
        ({"order": -1}, "order"),
        ({"order": 17}, "order"),
        ({"least_gap": 0}, "least_gap"),
        ({"radius": 0.0}, "radius"),
        ({"radius": -1}, "radius"),
        ({"radius_range": (2, 1)}, "radius_range"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, name):
    with pytest.raises(InputError, match=f"`{name}`"):
        make_system("spheres", **parameters)


@pytest.mark.thinned
@pytest.mark.parametrize("n", [1, 2, 5, 30])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_starts_are_dense_and_apart(n, dimensions):
    system = make_system("spheres", radius_range=(0.5, 1.0), neutral=0.3)
    state, particles = system.sample(0, n, 4, dimensions)
    system.refuse_unfit_start(state, particles)
    assert ((particles.radii >= 0.5) & (particles.radii <= 1.0)).all()
    x = make_system("spheres").sample(0, n, 4, dimensions)[0].x
    r = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1) + 1e9 * np.eye(n)
    if n > 1:
        assert r.min() >= 2.15
        assert np.median(r.min(-1)) < 2.5  # polarisation matters in half of them at least


def test_spheres_in_a_plane_are_spheres_in_space():
    system = make_system("spheres")
    state, particles = system.sample(2, 5, 1, 2)
    flat = system.pair_acceleration(state.x, particles)
    x = np.concatenate([state.x, np.zeros((1, 5, 1))], axis=2)
    deep = system.pair_acceleration(x, particles)
    assert np.array_equal(flat, deep[..., :2])
    assert np.abs(deep[..., 2]).max() < 1e-13


def test_repulsion_is_the_slope_of_its_energy_and_strong_at_the_least_gap():
    system = make_system("spheres", coupling=0.0, repulsion=0.5)

    def at(gap):
        state, particles = pair(gap, (1.0, 0.5))
        return system.potential_energy(state.x, particles)[0], state, particles

    assert at(0.15 * 0.75)[0] == pytest.approx(0.5)
    energies = [at(0.2 + h)[0] for h in (-1e-4, 1e-4)]
    _, state, particles = at(0.2)
    pushed = system.pair_acceleration(state.x, particles)[0]
    assert pushed[1, 1] == pytest.approx(-(energies[1] - energies[0]) / 2e-4, rel=1e-5)
    assert np.array_equal(pushed[0], -pushed[1])


def test_a_finer_version_has_two_more_orders_until_there_are_none():
    system = make_system("spheres", permittivity=3.0)
    assert system.finer().spec == system.spec.model_copy(update={"order": 8})
    assert make_system("spheres", order=16).finer() is None


def test_every_approximation_is_a_system():
    system = make_system("spheres", order=8)
    names = set(system.approximations)
    assert {"points", "points+pairs", "p1", "p2+pairs", "p6"} <= names
    assert "p8" not in names  # itself
    state, particles = pair(0.2)
    for changes in system.approximations.values():
        cheaper = make_system("spheres", **{**system.spec.model_dump(), **changes})
        cheaper.refuse_unfit_start(state, particles)


def test_a_run_keeps_energy_momentum_and_angular_momentum():
    system = make_system("spheres", order=3)
    state, particles = system.sample(1, 5)
    run = simulate(system, state, particles, 5, make_integrator("dop853", rtol=1e-10, atol=1e-10))
    rows = [system.invariants(run.x[:, k], run.v[:, k], particles) for k in (0, 5)]
    assert run.info.success
    for quantity in ("energy", "momentum", "angular_momentum"):
        before, after = (getattr(row, quantity) for row in rows)
        assert np.abs(after - before).max() < 1e-8, quantity


@pytest.mark.parametrize("radius", [1e-300, 1e200])
def test_radii_whose_squares_are_no_numbers_are_refused(radius):
    system, solver = make_system("spheres"), make_integrator("dop853")
    with pytest.raises(InputError, match=r"`radii` of spheres must be within 1e-100 to .*, got 1e"):
        simulate(system, *pair(3.0, (1.0, radius)), 1, solver)


def test_the_rule_for_orders_takes_any_radii():
    assert pair_error(3.0, (1.0, 1e-300), 0) < 1e-3
    assert pair_error(3.0, (1e-300, 1e-300), 6) == 0


@pytest.mark.parametrize(
    "parameters", [{"radius": 1e300}, {"radius": 1e-300}, {"radius_range": (1.0, 1e200)}]
)
def test_clouds_beyond_all_numbers_are_refused(parameters):
    words = r"`radius` times .*`radius_range`.*1e-100 to 1e\+100, got"
    with pytest.raises(InputError, match=words):
        make_system("spheres", **parameters).sample(0, 5)
