"""A learned stepper out of a law that was found in tracks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

import nbody_surrogate as nb
from found_laws import found_law
from nbody_set.model import SET, SETConfig
from nbody_surrogate import InputError
from nbody_surrogate.contracts import torch_force_laws
from nbody_surrogate.training import found_law as found_law_module
from nbody_surrogate.training import from_discovery
from nbody_surrogate.training.found_law import learnable_law
from nbody_surrogate.training.from_discovery import train_from_discovery


def central_law(**changes):
    """Five unlike charges in three dimensions, without drag."""
    rng = np.random.default_rng(3)
    x, v = rng.normal(size=(2, 6, 5, 3))
    pair = {"power": -2, "core": 0.1, "screening_length": 2.0, "scale": 1.0, "first": -0.02}
    law = {
        "frame_dt": 0.02,
        "pair": {**pair, "spacing": 0.15, "coefficients": [0.8, 1.0, 1.1, 1.0, 0.9, 1.0, 1.0]},
        "uniform": [0.0, 0.0, -0.1],
        "charges": [1.0, -1.1, 0.9, 1.0, -1.0],
        "masses": [1.0, 1.2, 0.9, 1.1, 1.0],
        "starts_x": (2.0 * x).tolist(),
        "starts_v": (0.3 * v).tolist(),
    }
    return {**law, **changes}


def force(law, r):
    """The force of unit charges at distances (R,)."""
    pair = nb.make_system("discovered", **law).force_laws().pair
    one = torch.ones((), dtype=torch.float64)
    over = torch_force_laws.pair_force(pair, torch.tensor(r * r), (one, one), (one, one), 1.0)
    return over.numpy() * r


def acceleration(model, r):
    """What the prior of a model makes of a unit pair at rest, (R,)."""
    s = torch.sqrt(torch.tensor(r, dtype=torch.float64) ** 2 + model.config.softening**2)
    s = s.to(model.dtype)[:, None, None]
    with torch.no_grad():
        c = model.prior(torch.ones_like(s), model.pair_features.basis(s), s)
    return (c[:, 0, 0] / s[:, 0, 0] ** 3).numpy() * r


# The curve


def test_plummers_law_is_in_the_prior_exactly():
    """With its own softening it is a constant, and no Gaussian is needed."""
    model = SET(SETConfig(prior="kernel", softening=0.1)).double()
    r = torch.logspace(-2, 1, 300, dtype=torch.float64)
    assert model.begin_with_curve(r, 1.7 * r / (r * r + 0.01) ** 1.5)
    assert float(model.prior.far.detach()) == pytest.approx(1.7, rel=1e-7)
    assert float(model.prior.radial.weight.detach().abs().max()) < 1e-6


@pytest.mark.parametrize(("basis", "most"), [(16, 1e-2), (32, 4e-4)])
def test_another_law_is_followed_the_better_the_more_gaussians(basis, most):
    model = SET(SETConfig(prior="kernel", softening=0.05, basis=basis)).double()
    r = np.geomspace(0.05, 8.0, 300)
    wanted = r / (r * r + 0.01) ** 1.5
    model.begin_with_curve(torch.tensor(r), torch.tensor(wanted))
    off = np.abs(acceleration(model, r) / wanted - 1.0).max()
    assert most / 30 < off < most


def test_a_law_that_is_given_is_left_alone():
    model = SET(SETConfig(prior="coulomb"))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    r = torch.linspace(1, 2, 9, dtype=torch.float64)
    assert not model.begin_with_curve(r, r)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


# The law


def test_a_force_that_grows_with_the_distance_is_taken_as_it_is():
    law = central_law()
    law["pair"] = {**law["pair"], "power": 1}
    found = learnable_law(law, None)
    assert found.parameters == json.loads(found.system.spec.model_dump_json())


def test_plummers_law_goes_on_to_zero_distance_as_it_is():
    """Under the envelope (r^2 + a^2)^(-3/2) its curve is r, and so is what is put below it."""
    law = central_law()
    u, scale = np.linspace(0.02, 0.8, 60), 2.0  # from a distance below a on
    spacing = u[1] - u[0]
    # coefficients of r = scale u / (1 - u), which splines of degree 3 take over to fourth order
    knots = (u[0] + spacing * np.arange(-2.0, 63.0))[:64]
    r = np.geomspace(*(scale * u[[1, -2]] / (1 - u[[1, -2]])), 500)
    rows = BSpline.design_matrix(r / (r + scale), knots, 3).toarray()
    found = np.linalg.lstsq(rows / r[:, None], np.ones(500), rcond=None)[0]
    law["pair"] = {"power": -3, "core": 0.1, "screening_length": None, "scale": scale}
    law["pair"] |= {"first": u[0], "spacing": spacing, "coefficients": found.tolist()}
    plummer = lambda r: r / (r * r + 0.01) ** 1.5  # noqa: E731
    assert force(law, r) == pytest.approx(plummer(r), rel=1e-4)
    made = learnable_law(law, None).parameters
    every = np.geomspace(1e-3, r[-1], 300)
    assert force(made, every) == pytest.approx(plummer(every), rel=1e-3)


def test_below_what_was_visited_a_force_without_bound_falls_to_zero():
    law = central_law()
    law["pair"] = {**law["pair"], "power": -4, "core": 0.0, "first": 0.0, "spacing": 0.1}
    found = learnable_law(law, 0.1)
    low, high = found.visited
    assert low == pytest.approx(0.1 / 0.9)
    assert high == pytest.approx(1.0)
    r = np.geomspace(low, high, 200)
    assert force(found.parameters, r) == pytest.approx(force(law, r), rel=0.03)  # where it turns
    assert force(found.parameters, r[20:]) == pytest.approx(force(law, r[20:]), rel=3e-3)
    inside = np.geomspace(1e-3, low, 50)
    most = force(law, r).max()
    assert force(law, inside).max() > 1e6 * most
    assert force(found.parameters, inside).max() < 3.0 * most
    assert force(found.parameters, np.array([1e-4]))[0] < 0.01 * most
    assert found.parameters["frame_dt"] == 0.1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"drag": 0.2}, "`law` has a drag of 0.2, and"),
        ({"drag": 0.2, "temperature": 0.1}, "drag of 0.2 and random kicks"),
        ({"couplings": np.ones((5, 5)).tolist()}, "a coupling for each pair"),
        ({"pair": None}, "no force of pairs"),
        (
            {
                "directed": {
                    **{"power": -2, "core": 0.1, "screening_length": None, "scale": 1.0},
                    **{"first": 0.0, "spacing": 0.2, "height_scale": 1.0, "height_first": -0.5},
                    "height_spacing": 0.3,
                    "coefficients_rho": [[0.1] * 4] * 4,
                    "coefficients_z": [[0.1] * 4] * 4,
                }
            },
            "directed forces",
        ),
        ({"drags": 0.2}, "drags"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_a_line(changes, said, tmp_path):
    with pytest.raises(InputError) as refused:
        train_from_discovery(central_law(**changes), 1, 0, tmp_path / "a")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan")])
def test_minutes_are_a_positive_number(minutes, tmp_path):
    with pytest.raises(InputError, match="`minutes`"):
        train_from_discovery(central_law(), minutes, 0, tmp_path / "a")


# The training


def soon(patch):
    """Train by torch, on data by SciPy's solver: what is compiled for a law takes a minute."""
    values, data = from_discovery._values, from_discovery._data

    def by_torch(*given):
        return values(*given).model_copy(update={"engine": "torch"})

    def by_scipy(*given):
        sources = data(*given)
        return [each | {"spec": each["spec"] | {"integrator": "dop853"}} for each in sources]

    patch.setattr(found_law_module, "SPLINES", 24)
    patch.setattr(from_discovery, "_values", by_torch)
    patch.setattr(from_discovery, "_data", by_scipy)


@pytest.fixture(scope="module", params=["soon", pytest.param("compiled", marks=pytest.mark.slow)])
def trained(request, tmp_path_factory):
    """A few steps for a law without bound below what was visited, from a folder."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("found")
    law = central_law(**{key: central_law()[key][:2] for key in ("charges", "masses")})
    law |= {key: np.array(law[key])[:, :2].tolist() for key in ("starts_x", "starts_v")}
    law["pair"] = {**law["pair"], "core": 0.0}
    patch = pytest.MonkeyPatch()
    for name, value in (("FRAMES", 12), ("LEAST_STEPS", 2), ("LEAST_TRAJECTORIES", 10)):
        patch.setattr(from_discovery, name, value)
    if request.param == "soon":
        soon(patch)
    (place / "grains").mkdir()
    whole = nb.make_system("discovered", **law).spec.model_dump_json()  # as discover writes it
    (place / "grains" / "law.json").write_text(whole)
    made = train_from_discovery(place / "grains", 1e-5, 0, place / "model", frame_dt=0.05)
    yield place, law, made
    torch.set_num_threads(threads)
    patch.undo()


@pytest.mark.usefixtures("undrawn")
def test_the_model_runs_guarded_by_its_folder(trained):
    place, law, made = trained
    system = nb.make_system(f"discovered:{place / 'grains'}", frame_dt=0.05)
    state, particles = system.sample(0, 2)
    method = nb.make_integrator("set", weights=str(made.weights))
    watch = nb.Guard(policy="warn", energy=0.5)
    run = nb.simulate(
        system, state, particles, 10, method, guard=watch, outside=None, error_estimate=False
    )
    truth = nb.simulate(system, state, particles, 10, "dop853")
    assert run.valid.all()
    # a step of leapfrog by the curve: the weights hardly moved
    moved = np.abs(truth.x - state.x[:, None]).max()
    assert np.abs(run.x - truth.x).max() < 1e-3 * moved
    assert law["frame_dt"] == 0.02


def test_the_card_is_of_the_law_as_it_was_found(trained):
    _, law, made = trained
    found, bounded = made.card.systems
    assert found.spec["pair"]["core"] == 0.0 < bounded.spec["pair"]["core"]
    assert found.spec["pair"]["coefficients"] == law["pair"]["coefficients"]
    assert "charges" not in found.spec
    assert made.card.frame_dt == 0.05
    assert made.card.particles == (2, 4)
    assert "train_from_discovery" in made.card.training["command"]


def test_another_law_is_refused_by_the_model(trained):
    _, law, made = trained
    other = {**law, "uniform": [0.0, 0.0, -0.2], "frame_dt": 0.05}
    system = nb.make_system("discovered", **other)
    state, particles = system.sample(0, 2)
    with pytest.raises(InputError, match="uniform"):
        nb.simulate(
            system, state, particles, 2, nb.make_integrator("set", weights=str(made.weights))
        )


def test_a_finished_training_is_gone_on_with_and_another_one_refused(trained):
    place, law, made = trained
    before = (made.weights / "model.safetensors").read_bytes()
    said = []
    again = train_from_discovery(law, 1e-5, 0, place / "model", frame_dt=0.05, report=said.append)
    assert any("nothing to do" in line for line in said)
    assert (again.weights / "model.safetensors").read_bytes() == before
    assert len(again.card.systems) == 2
    with pytest.raises(InputError, match="another law, seed or `frame_dt`"):
        train_from_discovery(law, 1e-5, 1, place / "model", frame_dt=0.05)


def test_the_example_of_a_whole_discovery_has_a_drag(tmp_path):
    with pytest.raises(InputError, match="drag"):
        train_from_discovery(found_law(), 1, 0, tmp_path / "a")
