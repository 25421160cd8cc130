"""The account of a guard, the history after a replay, and replays that fail."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn

from guarded_runs import (
    DT,
    FRAMES,
    OFF,
    SEGMENT,
    Free,
    Uniform,
    assert_the_others_are_untouched,
    blown_up,
    card,
    heated,
    method_of,
    start_of,
    truth,
)
from nbody_set.model import SET, SETConfig
from nbody_surrogate import (
    AbstractSurrogate,
    Guard,
    Particles,
    State,
    SurrogateIntegrator,
    make_integrator,
    simulate,
)
from nbody_surrogate.contracts.model_card import CardSystem
from nbody_surrogate.contracts.segment import Carry
from nbody_surrogate.contracts.surrogate import SurrogateConfig
from nbody_surrogate.errors import PluginError
from nbody_surrogate.results.metrics import mean_kinetic
from nbody_surrogate.simulation.guard.conserved_quantities import ConservedQuantities
from nbody_surrogate.simulation.guard.drift_budget import DriftBudget
from nbody_surrogate.simulation.guard.start_scales import StartScales

pytestmark = pytest.mark.usefixtures("one_thread")


# The account


def readings(energies):
    """Energies (B, F)."""
    return ConservedQuantities({"energy": np.array(energies, dtype=float)})


def test_an_error_that_was_made_stays_counted_after_a_replay():
    scales = StartScales({"energy": np.array([2.0, 1.0])}, {"energy": np.array([0.0, 0.25])})
    budget = DriftBudget({"energy": 1.0}, readings([[0.0], [0.0]]), scales)
    assert budget.errors("energy", readings([[0.25, -0.5], [0.0, 1.0]])).tolist() == [
        [0.25, 0.5],
        [0.0, 1.0],
    ]
    # trajectory 0 is replayed from where it had lost 0.25, and the replay loses 0.125
    budget.reopen(0, readings([[0.25]]), readings([[0.25, 0.375]]))
    later = budget.errors("energy", readings([[0.375, 0.0], [0.0, 1.0]]))
    assert later.tolist() == [[0.375, 0.75], [0.0, 1.0]]  # errors of either sign add up
    # of the scale at the start, and what rounding may do beside it; what is no number is beyond
    errors = np.array([[1.0, 1.1, np.nan], [0.75, 0.8, np.inf]])
    wanted = [[False, True, True], [False, True, True]]
    assert budget.beyond("energy", errors, 0.5).tolist() == wanted


def test_the_budget_grows_with_time():
    """A steady loss trips where it is steeper than the budget, and only there."""

    def steady(x, v):
        return DT * v, 1e-4 * v  # 2e-4 of the kinetic energy in each frame

    def events(threshold):
        guard = Guard("fallback", reference=Uniform(), **(OFF | {"energy": threshold}))
        run = simulate(Free(), *start_of(), FRAMES, method_of(steady), guard=guard)
        kinetic = mean_kinetic(run.v, run.particles)
        lost = abs(0.5 * (run.v**2).sum((2, 3)) - 1.0) / kinetic[:, None]
        assert lost.max() <= threshold
        return [event.segment for event in run.info.guard.events]

    # It begins in the third segment: 8e-4 are lost there, 10e-4 in each of the next two, and the
    # budget at their ends is 0.6, 0.8 and 1 of the threshold.
    assert events(29e-4) == []
    assert events(24e-4) == [4]
    assert events(22e-4) == [3]
    assert events(13e-4) == [2, 4]


def test_a_guarded_surrogate_ends_within_its_budget(charged):
    """SET of random weights, and a budget that it overspends in some segments and not in all."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = SET(SETConfig(width=4, substeps=2)).double()
    spec = {"coupling": 1.0, "softening": 0.1}
    own = card(systems=(CardSystem(system="charged", spec=spec, time_range=(0.0, 100.0)),))
    method = SurrogateIntegrator("set", model=model, card=own, device="cpu", segment=10)
    state, particles = charged.sample(5, 4, 4)
    reference = make_integrator("leapfrog", substeps=256)
    guard = Guard("fallback", reference=reference, energy=0.01)
    run = simulate(charged, state, particles, 40, method, guard=guard)
    first, last = (charged.invariants(run.x[:, f], run.v[:, f], particles) for f in (0, -1))
    lost = abs(last.energy - first.energy) / mean_kinetic(run.v, particles)
    assert (lost <= 0.01).all()
    assert 0 < run.info.guard.fallback_share < 1
    plain = simulate(charged, state, particles, 40, method)
    tripped = {event.trajectory for event in run.info.guard.events}
    assert 0 < len(tripped) < 4
    for b in set(range(4)) - tripped:
        np.testing.assert_array_equal(run.x[b], plain.x[b])


# The history after a replay


class Remembering(AbstractSurrogate):
    """Depends on its last four frames, and goes wrong now and then."""

    Config = SurrogateConfig

    def __init__(self, config):
        super().__init__(config)
        self.unused = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x, v, particles):
        length = self.config.history
        windows = [slice(max(0, t + 1 - length), t + 1) for t in range(x.shape[1])]
        dv = torch.stack([v[:, w].mean(1) - v[:, w.stop - 1] for w in windows], 1)
        dx = torch.stack([DT * v[:, w].mean(1) for w in windows], 1)
        late = (x[:, :, :1, :1] > 1.15) & (x[:, :, :1, :1] < 1.3)
        return torch.where(late, torch.nan, dx), dv


@pytest.mark.parametrize("segment", [2, 5], ids=["shorter than the history", "longer"])
def test_the_history_is_refilled_from_the_replayed_frames(segment):
    model = Remembering(SurrogateConfig(history=4))
    method = SurrogateIntegrator("toy", model=model, card=card(), device="cpu", segment=segment)
    state, particles = start_of()
    v = state.v.copy()
    v[:, 1, 1] = [0.0, 0.3, 0.6]
    v[2, 0, 0] = 0.0  # never goes wrong
    guard = Guard("fallback", reference=Uniform(), **OFF)
    run = simulate(Free(), State(0.0, state.x, v), particles, 24, method, guard=guard)
    last = max(event.segment for event in run.info.guard.events)
    frame = segment * (last + 1)
    assert 10 < frame < 20
    window = slice(frame - 3, frame + 1)
    x, v = (torch.tensor(y[:, window]) for y in (run.x, run.v))
    dx, dv = model(x, v, method._particles(method.start(Free(), *start_of(), DT).problem))
    expected = run.x[:, frame] + dx[:, -1].detach().numpy()
    np.testing.assert_allclose(run.x[:, frame + 1], expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        run.v[:, frame + 1], run.v[:, frame] + dv[:, -1].detach().numpy(), rtol=0, atol=1e-12
    )


def test_set_goes_on_from_replayed_frames_as_from_its_own(charged):
    """What its cache holds after a restart agrees to rounding with what it streamed."""
    method = make_integrator("set", device="cpu", dtype="float64", segment=10)
    carry = method.start(charged, *charged.sample(1, 5, 3), DT)
    segment = method.advance(carry, 10)
    x, v = (y[:, -method.history :] for y in (segment.x, segment.v))
    problem = segment.carry.problem
    again = method.restart(problem, 10, x, v)
    assert again.arrays.keys() == segment.carry.arrays.keys()
    for key, value in again.arrays.items():
        np.testing.assert_allclose(value, segment.carry.arrays[key], atol=1e-12)
    alone = method.restart(replace(problem, particles=problem.particles[1]), 10, x[1:2], v[1:2])
    mixed = segment.carry.with_row(1, alone)
    for key, value in mixed.arrays.items():
        kept = segment.carry.arrays[key]
        axis = 1 if key == "cache.past" else 0
        for b, expected in enumerate((kept, alone.arrays[key], kept)):
            one, other = (np.moveaxis(np.asarray(y), axis, 0) for y in (value, expected))
            np.testing.assert_array_equal(one[b], other[0 if b == 1 else b])


def test_a_cache_without_an_axis_of_trajectories_is_named():
    method = method_of(heated)
    carry = method.start(Free(), *start_of(), DT)
    arrays = {**carry.arrays, "cache.x": torch.zeros(7)}
    broken = Carry(carry.problem, 0, MappingProxyType(arrays))
    rows = {key: y[:1] for key, y in carry.arrays.items()}
    alone = Carry(carry.problem, 0, MappingProxyType(rows))
    with pytest.raises(PluginError, match=r"'cache\.x' must have one axis of length 3"):
        broken.with_row(1, alone)


# A reference that cannot help


def test_where_the_replay_fails_too_the_trajectory_fails():
    state, particles = start_of()
    charges = particles.charges.copy()
    charges[1, 1] = 0.5
    guard, start = (
        Guard("fallback", reference=Uniform(), **OFF),
        (state, Particles(charges, particles.masses)),
    )
    run = simulate(Free(), *start, FRAMES, method_of(blown_up), guard=guard)
    assert run.info.status == (0, -1, 0)
    # the third segment is replayed, of the fourth three frames are good
    assert run.info.good[1] == 1 + 3 * SEGMENT + 3
    assert run.info.message[1] == "no way after t = 1.8"
    assert run.info.guard.fallen_back == (0, SEGMENT + 3, 0)
    np.testing.assert_allclose(run.x[1, :19], truth()[1, :19], atol=1e-9)
    assert (run.x[1, 19:] == run.x[1, 18]).all()
    assert_the_others_are_untouched(run)
