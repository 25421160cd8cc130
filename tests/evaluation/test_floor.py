"""The memoryless floor: twins that share the present, and what models are held against."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import torch

import nbody_surrogate as nb
from commands import good
from hidden_systems import Bonding
from json_schemas import documented
from nbody_set.model import SET, SETConfig
from nbody_surrogate.contracts import InputError, State
from nbody_surrogate.contracts.hidden_variables import HiddenVariable
from nbody_surrogate.evaluation.floor.against import AgainstFloor, against_floor
from nbody_surrogate.evaluation.floor.floor import Floor, memoryless_floor
from nbody_surrogate.evaluation.floor.hidden_twins import Donors
from nbody_surrogate.evaluation.rollouts import Truth, one_step_of_model
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.surrogates.weights import save_weights


@functools.cache
def truth(name, trajectories=72, frames=8, n=4, **parameters):
    system = Bonding() if name == "bonding" else nb.make_system(name, **parameters)
    state, particles = system.sample(0, n, trajectories)
    run = nb.simulate(system, state, particles, frames, nb.make_integrator("rk4", substeps=8))
    return Truth(system, run.x, run.v, run.particles, run.hidden)


def part_of(whole, frames):
    hidden = {name: y[:, frames] for name, y in whole.hidden.items()}
    return whole._replace(x=whole.x[:, frames], v=whole.v[:, frames], hidden=hidden)


def of_scatter(starts):
    """Variance of x after a frame by brute force: charges scatter anew about equilibrium."""
    system, rng = starts.system, np.random.default_rng(1)
    x, v, particles = starts.x[:, 0], starts.v[:, 0], starts.particles
    ends = []
    for _ in range(12):
        q = system.equilibrium(x, particles)
        q = q * (1.0 + system.spec.scatter * rng.normal(size=q.shape))
        state = State(0.0, x, v, hidden={"charge": q})
        ends.append(nb.simulate(system, state, particles, 1, nb.make_integrator("rk4")).x[:, 1])
    return np.stack(ends).var(0, ddof=1).mean()


def test_of_starts_it_is_the_variance_that_the_sampler_makes():
    """Of a start the law of what is hidden is known: charges scatter about equilibrium."""
    starts = part_of(truth("charging", trajectories=200), slice(0, 2))
    floor = memoryless_floor(starts, first=0)
    exact = of_scatter(starts)
    assert floor.x.value == pytest.approx(exact, rel=0.15)
    assert floor.x.low < floor.x.value < floor.x.high


@pytest.mark.parametrize("parameters", [{}, {"temperature": 0.0}], ids=["warm", "cold"])
def test_two_grains_whose_mean_charge_hardly_varies(parameters):
    """Where surroundings tell next to nothing, donors must not be those that differ least."""
    starts = part_of(truth("charging", trajectories=400, frames=1, n=2, **parameters), slice(0, 2))
    exact = of_scatter(starts)
    floor = memoryless_floor(starts, first=0).x.value
    assert 0.85 * exact < floor < 2.0 * exact


def test_oscillators_in_equilibrium_have_the_variance_of_their_temperature():
    """A trap and its bath alone: the pull of a Gaussian has variance c^2 M T / c, at any time."""
    whole = truth("bath", coupling=0.0, temperature=0.4, trajectories=150)
    rng = np.random.default_rng(2)
    still = part_of(whole, slice(0, 2))
    system = whole.system
    x = np.sqrt(0.4) / system.spec.frequency * rng.normal(size=whole.x[:, 0].shape)
    hidden = {name: y[:, 0] for name, y in whole.hidden.items()}
    start = State(0.0, x, whole.v[:, 0], hidden=hidden)
    run = nb.simulate(system, start, whole.particles, 8, nb.make_integrator("rk4"))
    late = Truth(
        system,
        run.x[:, 6:],
        run.v[:, 6:],
        run.particles,
        {k: y[:, 6:] for k, y in run.hidden.items()},
    )
    # of a short step, as oscillators turn within it
    tie, dt = system.tie, system.spec.frame_dt
    wanted = (dt * tie) ** 2 * system.spec.oscillators * 0.4 / tie
    for each in (still, late):
        assert memoryless_floor(each, first=0).v.value == pytest.approx(wanted, rel=0.2)


def test_what_is_forgotten_at_once_has_a_low_floor():
    slow = memoryless_floor(truth("charging", delay=1.0), first=4).x.value
    fast = memoryless_floor(truth("charging", delay=0.05, scatter=0.0), first=4).x.value
    assert fast < slow / 30


def test_twins_share_what_the_present_tells():
    whole = truth("charging", trajectories=100)
    variables = whole.system.hidden_variables
    first = slice(0, 100)
    x, v = whole.x[first, 4], whole.v[first, 4]
    donors = Donors(variables, x, v, whole.particles, {"charge": whole.hidden["charge"][:, 4]})
    drawn = donors.twins(x, v, whole.particles, 8, np.random.default_rng(0))["charge"]
    assert drawn.shape == (8, 100, 4)
    true = whole.hidden["charge"][:, 4]
    # what twins have on average goes with the truth, and their spread is what is left
    mean, left = drawn.mean(0), drawn.std(0, ddof=1)
    assert np.corrcoef(mean.ravel(), true.ravel())[0, 1] > 0.3
    assert np.sqrt(((true - mean) ** 2).mean()) == pytest.approx(
        np.sqrt((left**2).mean() * (1 + 1 / 8)), rel=0.2
    )


def test_twins_of_pairs_are_mutual():
    whole = truth("ties", trajectories=80)
    x, v = whole.x[:, 4], whole.v[:, 4]
    hidden = {"tie": whole.hidden["tie"][:, 4]}
    donors = Donors(whole.system.hidden_variables, x, v, whole.particles, hidden)
    drawn = donors.twins(x, v, whole.particles, 3, np.random.default_rng(0))["tie"]
    np.testing.assert_array_equal(drawn, drawn.swapaxes(2, 3))
    assert drawn.std() > 0.5 and np.abs(drawn).max() < 1.4
    far = donors.twins(20.0 * x, v, whole.particles, 1, np.random.default_rng(0))["tie"]
    assert np.abs(far).max() < 1.4  # of what nobody has seen, too
    assert memoryless_floor(whole, first=4).x.value > 1e-7


def test_it_is_the_same_for_the_same_seed():
    whole = truth("charging")
    one, same = (memoryless_floor(whole, first=5, seed=3) for _ in range(2))
    assert one.x == same.x and memoryless_floor(whole, first=5, seed=4).x != one.x


def refused(match, **changed):
    whole = truth("charging")
    given = {"truth": whole, **changed}
    with pytest.raises(InputError, match=match):
        memoryless_floor(**given)


def test_what_has_no_floor_is_one_line():
    charged = truth("charged")
    refused(r"^`floor` of system 'charged' is zero: it hides nothing", truth=charged)
    whole = truth("charging")
    refused(r"^`floor` needs a truth with its hidden variables", truth=whole._replace(hidden={}))
    few = whole._replace(x=whole.x[:7], v=whole.v[:7])
    refused(r"^`trajectories` must be at least 8 for a floor, got 7", truth=few)
    few = truth("charging", trajectories=30)
    refused(r"^`trajectories` must be at least 66 for a floor of 4 particles .* got 30", truth=few)
    lone = truth("charging", trajectories=300, n=1)
    refused(r"^`floor` of system 'charging' is zero here: what it hides does not show", truth=lone)
    refused(r"^`twins` must be at least 2, got 1", twins=1)
    refused(r"^`first` must be from 0 to 7, got 8", first=8)
    odd = [HiddenVariable("odd", ("D", "N"))]
    with pytest.raises(InputError, match=r"^`system` has the hidden variable 'odd' of axes "):
        Donors(odd, whole.x[:, 0], whole.v[:, 0], whole.particles, {})


def trained(history):
    torch.manual_seed(0)
    return SET(SETConfig(history=history, substeps=4, width=8))


def test_a_model_that_knows_the_law_alone_is_above_the_floor():
    """It takes lone charges for true ones, which are less."""
    row = against_floor("law", trained(1), truth("charging"))
    assert row.verdict == "above the floor" and row.ratio.low > 10
    assert row.floor.first == 4 and row.history == 1
    # the same states: of the one model, as of the floor, from that frame on
    whole = truth("charging")
    later = part_of(whole, slice(2, None))
    alone = one_step_of_model(trained(1), later, 2)[0]
    assert row.x.value == pytest.approx(float(alone.mean()), rel=1e-6)
    assert against_floor("law", trained(7), truth("charging", frames=10)).floor.first == 6


@pytest.mark.parametrize(
    ("history", "ratio", "verdict"),
    [
        (1, (1.1, 0.9, 1.3), "the two estimates agree"),
        (1, (0.5, 0.4, 0.6), "below: the floor is too high, or the model sees more"),
        (4, (0.5, 0.4, 0.6), "the past tells what the present does not"),
        (4, (1.0, 0.9, 1.2), "no difference from no memory"),
        (4, (2.0, 1.5, 3.0), "above the floor"),
    ],
)
def test_verdicts(history, ratio, verdict):
    any_number = Interval(1.0, 0.5, 2.0)
    floor = Floor(any_number, any_number, np.ones(8), 4, 6)
    row = AgainstFloor("m", "s", 5, 8, history, floor, any_number, any_number, Interval(*ratio))
    assert row.verdict.startswith(verdict)


def test_the_command_prints_the_floor_and_its_json(tmp_path):
    system = nb.make_system("charging")
    model = trained(2)  # of the present alone there would be a warning too
    save_weights(tmp_path / "m", model, "set", nb.Card.of(model, system, 0.1))
    asked = ("evaluate", str(tmp_path / "m"), "-n", "4", "--trajectories", "66", "--horizon", "2")
    printed = good(*asked, "--floor", "--no-classical", "--wide")
    assert "memoryless floor" in printed and "6 twins of each state" in printed
    assert "above the floor" in printed
    found = documented("evaluate", good(*asked, "--floor", "--no-classical", "--json"))
    (row,) = found["floors"]
    assert row["verdict"] == "above the floor" and row["floor"]["first"] == 4
    assert json.loads(good(*asked, "--no-classical", "--json"))["floors"] == []


def test_pairs_of_a_system_of_ones_own_have_twins():
    whole = truth("bonding", trajectories=160, n=3)
    assert 0.0 < memoryless_floor(whole, first=2).x.value < 1.0
