"""Any surrogate under the call of a solver: toy models whose roll-outs are known by hand."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import warnings
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn

from nbody_set.model import SET, SETConfig
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.contracts.segment import Carry, Frames
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors, SurrogateConfig
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import SystemSpec
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import make_system, register_integrator, register_surrogate
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from nbody_surrogate.surrogates.weights import save_weights

pytestmark = pytest.mark.usefixtures("one_thread")

DT = 0.1
EPS = np.finfo(np.float64).eps

ROUNDING = 1e-13
"""Against closed forms and across batch sizes: some 50 frames of a few roundings each."""

COMPILED = 1e-11
"""Compiled frames against eager ones: roundings in another order, grown over 20 frames."""

FOLLOWED = 1e-4
"""Median error of the shipped weights after one time unit in the trap, which without its force
would be 0.1."""

THREE, FOUR = SurrogateConfig(history=3), SurrogateConfig(history=4)


class Ballistic(AbstractSurrogate):
    """dx = v dt, dv = 0."""

    Config = SurrogateConfig

    def __init__(self, config=THREE):
        super().__init__(config)
        self.frame_dt = nn.Parameter(torch.tensor(DT, dtype=torch.float64))

    def forward(self, x, v, particles):
        v = v.to(self.dtype)
        return v * self.frame_dt, torch.zeros_like(v)


class Windowed(Ballistic):
    """Depends on every frame it may see: v averaged over the window, a pull to its mean x."""

    def forward(self, x, v, particles):
        dx, dv = [], []
        for t in range(x.shape[1]):
            window = slice(max(0, t + 1 - self.config.history), t + 1)
            dx.append(self.frame_dt * v[:, window].mean(1).to(self.dtype))
            dv.append((x[:, window].mean(1) - x[:, t]).to(self.dtype))
        return torch.stack(dx, 1), torch.stack(dv, 1)


class ThreeFrames(Ballistic):
    """A one-shot model that answers for its last frame and needs three: x'' from the past."""

    min_history = 3

    def forward(self, x, v, particles):
        if x.shape[1] < 3:
            raise AssertionError(f"called with {x.shape[1]} frames")
        dv = (v[:, -1] - v[:, -3]) / 2
        dx = v[:, -1] * DT + dv * DT / 2
        return dx[:, None].to(self.dtype), dv[:, None].to(self.dtype)


class Streaming(Windowed):
    """`Windowed` with a cache of its own: running sums over all frames since the start."""

    def forward(self, x, v, particles):
        count = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None, None]
        return self.frame_dt * v.cumsum(1) / count, x.cumsum(1) / count - x

    def start_cache(self, x, v, particles):
        seen = torch.full((x.shape[0], 1, 1), float(x.shape[1]), dtype=torch.float64)
        return {"x": x.sum(1).double(), "v": v.sum(1).double(), "seen": seen}

    def step_cache(self, cache, x, v, particles):
        cache = {"x": cache["x"] + x, "v": cache["v"] + v, "seen": cache["seen"] + 1}
        mean_x, mean_v = cache["x"] / cache["seen"], cache["v"] / cache["seen"]
        return self.frame_dt * mean_v, mean_x - x, cache


class Wall(Ballistic):
    """Gives NaN once any particle of a trajectory has passed x = 1."""

    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        outside = (x[..., :1] > 1.0).any(2, keepdim=True)
        return dx.masked_fill(outside, torch.nan), dv


class Tiny(Ballistic):
    """dx = 1e-9 in every coordinate, in single precision."""

    def __init__(self, config=THREE):
        super().__init__(config)
        self.float()

    def forward(self, x, v, particles):
        assert x.dtype is v.dtype is torch.float64
        dx = torch.full_like(x, 1e-9, dtype=self.dtype)
        return dx, torch.zeros_like(dx)


class Isotropic(Ballistic):
    """Declares a symmetry, rightly or not."""

    symmetries = frozenset({"rotation"})


TOYS = (Ballistic, Windowed, ThreeFrames, Streaming)


class Lopsided(AbstractSystem):
    """No forces, and no symmetry but translation."""

    name = "lopsided"
    Spec = SystemSpec
    symmetries = frozenset({"translation"})

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def potential_energy(self, x, particles):
        return np.zeros(len(x))

    def _sample(self, rng, n, dimensions):
        return rng.normal(size=(n, dimensions)), np.ones((n, dimensions)), np.ones(n), np.ones(n)


def card_system(system="charged", time_range=(0.0, 100.0), **spec):
    spec = {"coupling": 1.0, "softening": 0.1} if system == "charged" and not spec else spec
    return CardSystem(system=system, spec=spec, time_range=time_range)


CHARGED_AND_TRAP = (
    card_system(),
    card_system("trap", coupling=1.0, softening=0.1, frequencies=[0.5, 0.5, 0.5]),
)


def make_card(*systems, **changes):
    values = {
        "systems": systems or (card_system(),),
        "frame_dt": DT,
        "particles": (1, 8),
        "charges": (0.0, 1.0),
        "masses": (1.0, 1.0),
        "symmetries": (),
        "training_data_hash": "none",
    }
    return Card(**(values | changes))


def integrator_of(model, **options):
    options = {"device": "cpu", "segment": 10} | options
    return SurrogateIntegrator("toy", model=model, card=make_card(), **options)


@pytest.fixture
def system():
    return make_system("charged")


@pytest.fixture
def start(system):
    """Three trajectories of four particles."""
    return system.sample(0, 4, 3)


@pytest.fixture(scope="module")
def tiny_set():
    """A small SET of random weights, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SET(SETConfig(width=4, substeps=2)).double()


def set_of(model, **options):
    card = make_card(*CHARGED_AND_TRAP)
    return SurrogateIntegrator("set", model=model, card=card, **({"device": "cpu"} | options))


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))


@pytest.fixture
def toy_name(own_registry):
    """`Windowed`, registered as a user would."""
    register_surrogate("toy-windowed")(Windowed)
    return "toy-windowed"


def same_bits(one, other):
    return np.array_equal(one.x, other.x) and np.array_equal(one.v, other.v)


def copied(value):
    return value.copy() if isinstance(value, np.ndarray) else value.clone()


# Roll-outs that are known by hand


def test_a_ballistic_model_moves_uniformly(system, start):
    state, particles = start
    run = simulate(system, state, particles, 50, integrator_of(Ballistic()))
    n = np.arange(51)[:, None, None]
    np.testing.assert_allclose(
        run.x, state.x[:, None] + n * DT * state.v[:, None], rtol=0, atol=50 * 4 * EPS
    )
    assert np.array_equal(run.v, np.broadcast_to(state.v[:, None], run.v.shape))
    assert run.info.success
    assert run.info.counters == {"model_calls": 3 * 50}


@pytest.mark.parametrize("config", [SurrogateConfig(), THREE, FOUR], ids=["L1", "L3", "L4"])
@pytest.mark.parametrize("toy", [Windowed, Streaming])
def test_streaming_equals_forward_on_the_growing_window(system, start, toy, config):
    """Of the frames the roll-out itself made; L = 1 has an empty window cache."""
    model = toy(config)
    run = simulate(system, *start, 25, integrator_of(model))
    x, v = torch.from_numpy(run.x), torch.from_numpy(run.v)
    particles = ParticleTensors.from_particles(start[1], "cpu", torch.float64)
    with torch.no_grad():
        dx, dv = model(x[:, :-1], v[:, :-1], particles)
    np.testing.assert_allclose(run.x[:, 1:], (x[:, :-1] + dx).numpy(), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(run.v[:, 1:], (v[:, :-1] + dv).numpy(), rtol=0, atol=ROUNDING)


def test_warm_up_takes_the_frames_of_the_reference_and_then_the_model_goes_on(system, start):
    state, particles = start
    run = simulate(system, state, particles, 25, integrator_of(ThreeFrames()))
    reference = simulate(system, state, particles, 2, make_integrator("dop853", segment=10))
    assert np.array_equal(run.x[:, :3], reference.x)
    assert np.array_equal(run.v[:, :3], reference.v)
    dv = (run.v[:, 2:-1] - run.v[:, :-3]) / 2
    np.testing.assert_allclose(run.v[:, 3:], run.v[:, 2:-1] + dv, rtol=0, atol=ROUNDING)
    dx = run.v[:, 2:-1] * DT + dv * DT / 2
    np.testing.assert_allclose(run.x[:, 3:], run.x[:, 2:-1] + dx, rtol=0, atol=ROUNDING)
    assert run.info.counters["model_calls"] == 3 * 23
    assert run.info.counters["warm_up_nfev"] > 0


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_runs_no_longer_than_the_warm_up(system, start, frames):
    run = simulate(system, *start, frames, integrator_of(ThreeFrames()))
    long = simulate(system, *start, 10, integrator_of(ThreeFrames()))
    assert np.array_equal(run.x, long.x[:, : frames + 1])


def test_a_failing_warm_up_is_a_failure_of_the_trajectory(system, start, own_registry):
    """The reference stops for one trajectory; the model must not go on from where it froze."""

    @register_integrator("toy-stops")
    class Stops(AbstractIntegrator):
        name = "toy-stops"

        def _start(self, problem, state):
            return {}

        def _advance(self, carry, frames, tick):
            x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in ("x", "v"))
            return Frames(x, v, failures={1: (1, "toy failure")}, counters={"nfev": 0})

    run = simulate(system, *start, 25, integrator_of(ThreeFrames(), warm_up="toy-stops"))
    assert run.info.status == (0, -1, 0)
    assert run.info.good == (26, 2, 26)
    assert "toy-stops" in run.info.message[1]
    assert np.array_equal(run.x[1, 2:], np.broadcast_to(run.x[1, 1], run.x[1, 2:].shape))


# Every run is a pure function of the state at a segment boundary


@pytest.mark.parametrize("toy", TOYS)
def test_a_run_goes_on_bitwise_from_a_stored_carry(system, start, toy):
    state, particles = start
    whole = simulate(system, state, particles, 20, integrator_of(toy()))
    first = integrator_of(toy())
    carry = first.advance(first.start(system, state, particles, DT), 10).carry
    assert carry.frame == 10
    stored = {}
    for key, value in carry.arrays.items():
        assert isinstance(value, np.ndarray | torch.Tensor), key
        assert isinstance(value, np.ndarray) or not value.requires_grad, key
        stored[key] = copied(value)
    restored = Carry(carry.problem, carry.frame, MappingProxyType(stored))
    rest = integrator_of(toy()).advance(restored, 10)
    assert np.array_equal(rest.x, whole.x[:, 11:])
    assert np.array_equal(rest.v, whole.v[:, 11:])


@pytest.mark.parametrize("toy", TOYS)
def test_a_shorter_run_is_the_beginning_of_a_longer_one(system, start, toy):
    long = simulate(system, *start, 27, integrator_of(toy()))
    for frames in (1, 2, 9, 10, 11, 20):
        short = simulate(system, *start, frames, integrator_of(toy()))
        assert np.array_equal(short.x, long.x[:, : frames + 1])
        assert np.array_equal(short.v, long.v[:, : frames + 1])


@pytest.mark.parametrize("name", ["charged", "trap"])
def test_frames_do_not_depend_on_where_segments_end(tiny_set, name):
    system = make_system(name)
    runs = [
        simulate(system, *system.sample(0, 4, 3), 25, set_of(tiny_set, segment=segment))
        for segment in (1, 2, 10, 50)
    ]
    assert all(same_bits(run, runs[0]) for run in runs[1:])


@pytest.mark.parametrize("toy", TOYS)
def test_the_same_carry_gives_the_same_frames_again(system, start, toy):
    integrator = integrator_of(toy())
    carry = integrator.start(system, *start, DT)
    kept = {key: copied(value) for key, value in carry.arrays.items()}
    one, other = integrator.advance(carry, 10), integrator.advance(carry, 10)
    assert same_bits(one, other)
    assert same_bits(integrator.advance(one.carry, 7), integrator.advance(other.carry, 7))
    for key, value in carry.arrays.items():
        assert (value == kept[key]).all(), key


@pytest.mark.parametrize("toy", TOYS)
def test_a_batch_equals_its_members(system, start, toy):
    state, particles = start
    together = simulate(system, state, particles, 25, integrator_of(toy()))
    for b in range(3):
        alone = simulate(system, state[b], particles[b], 25, integrator_of(toy()))
        np.testing.assert_allclose(alone.x[0], together.x[b], rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("frames", [6, 25], ids=["within a segment", "over segments"])
def test_a_trajectory_that_becomes_nan_is_frozen_and_the_others_go_on(system, frames):
    x, v = np.zeros((3, 2, 3)), np.zeros((3, 2, 3))
    v[..., 0] = 0.01
    x[1, 0, 0], v[1, 0, 0] = 0.75, 1.0  # passes the wall at frame 3
    state, particles = State(0.0, x, v), Particles(np.ones((3, 2)), np.ones((3, 2)))
    run = simulate(system, state, particles, frames, integrator_of(Wall()))
    assert run.info.status == (0, -1, 0)
    assert run.info.good == (frames + 1, 4, frames + 1)
    assert "non-finite after t = 0.3" in run.info.message[1]
    assert run.info.message[0] == run.info.message[2] == ""
    assert np.isfinite(run.x).all()
    assert np.array_equal(run.x[1, 3:], np.broadcast_to(run.x[1, 3], run.x[1, 3:].shape))
    x[1, 0, 0] = v[1, 0, 0] = 0.0
    healthy = simulate(system, State(0.0, x, v), particles, frames, integrator_of(Wall()))
    assert healthy.info.success
    for b in (0, 2):
        assert np.array_equal(run.x[b], healthy.x[b])
        assert np.array_equal(run.v[b], healthy.v[b])


def test_the_state_is_summed_in_double_precision(system):
    """At x = 1 the increment 1e-9 is far below what float32 resolves."""
    state = State(0.0, np.ones((1, 2, 3)), np.zeros((1, 2, 3)))
    particles = Particles(np.ones((1, 2)), np.ones((1, 2)))
    integrator = integrator_of(Tiny(), segment=100)
    run = simulate(system, state, particles, 500, integrator)
    assert integrator.model.dtype is torch.float32
    assert run.x.dtype == np.float64
    wanted = 1.0 + 500 * float(np.float32(1e-9))
    np.testing.assert_allclose(run.x[0, -1], wanted, rtol=0, atol=500 * EPS)


def test_t0_and_progress(system, start):
    state, particles = start
    late = State(50.0, state.x, state.v)
    ticks = []
    run = simulate(
        system, late, particles, 25, integrator_of(Windowed()), observers=lambda *a: ticks.append(a)
    )
    assert np.array_equal(run.x, simulate(system, *start, 25, integrator_of(Windowed())).x)
    np.testing.assert_allclose(run.t, 50.0 + DT * np.arange(26), rtol=EPS)
    assert ticks == [(n, 25) for n in range(1, 26)]


# What is refused, in one line that names the parameter and both values


def refused(model, card, system, dt=DT, n=4, **options):
    """Return the message of the error that `start` raises."""
    integrator = SurrogateIntegrator("toy", model=model, card=card, device="cpu", **options)
    with pytest.raises(InputError) as caught:
        integrator.start(system, *system.sample(0, n), dt)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("trained", "parameters", "dt", "words"),
    [
        (card_system(), {"softening": 0.2}, DT, ["`softening`", "0.1", "0.2"]),
        (card_system(), {"softening": 0.1000001}, DT, ["`softening`", "0.1 ", "0.1000001"]),
        (card_system(), {"coupling": -1.0}, DT, ["`coupling`", "1.0", "-1.0"]),
        (card_system(), {}, 0.05, ["`frame_dt`", "0.1", "0.05"]),
        (card_system(), {}, 0.1000001, ["`frame_dt`", "0.1 ", "0.1000001"]),
        (card_system(field=2.0), {}, DT, ["`field`", "2.0", "None"]),
        (card_system("trap"), {}, DT, ["`integrator`", "toy", "'trap'", "'charged'"]),
    ],
)
def test_other_physics_is_refused(trained, parameters, dt, words):
    system = make_system("charged", **parameters)
    message = refused(Ballistic(), make_card(trained), system, dt)
    assert all(word in message for word in words), message


def test_a_frame_spacing_that_differs_by_rounding_only_is_accepted(system, start):
    integrator_of(Ballistic()).start(system, *start, DT * (1 + 4 * EPS))


def test_a_symmetry_that_the_system_lacks_is_refused():
    card = make_card(card_system("lopsided"))
    message = refused(Isotropic(), card, Lopsided())
    assert all(word in message for word in ("`integrator`", "toy", "rotation", "'lopsided'"))
    state, particles = Lopsided().sample(0, 4)
    plain = SurrogateIntegrator("toy", model=Ballistic(), card=card, device="cpu")
    plain.start(Lopsided(), state, particles, DT)


class FieldApplied(Ballistic):
    """Declares a symmetry that no trap has, of its pair forces only."""

    symmetries = frozenset({"translation"})
    applies_field = True


class FieldLearned(FieldApplied):
    applies_field = False


def test_pair_forces_count_for_a_model_that_applies_the_field():
    trap, card = make_system("trap"), make_card(CHARGED_AND_TRAP[1])
    message = refused(FieldLearned(), card, trap)
    assert all(word in message for word in ("`integrator`", "toy", "translation", "'trap'"))
    integrator = SurrogateIntegrator("toy", model=FieldApplied(), card=card, device="cpu")
    integrator.start(trap, *trap.sample(0, 4), DT)


def test_a_field_that_depends_on_velocity_cannot_be_applied():
    message = refused(FieldApplied(), make_card(card_system("penning")), make_system("penning"))
    assert all(word in message for word in ("`integrator`", "velocity", "'penning'", "solver"))


@pytest.mark.parametrize(
    ("name", "parameters", "dt", "words"),
    [
        ("penning", {}, DT, ["`integrator`", "'charged' and 'trap'", "'penning'"]),
        ("gravity", {}, DT, ["`integrator`", "'charged' and 'trap'", "'gravity'"]),
        ("charged", {"softening": 0.2}, DT, ["`softening` is 0.1", "got 0.2"]),
        ("trap", {"softening": 0.2}, DT, ["`softening` is 0.1", "got 0.2"]),
        ("trap", {"coupling": 2.0}, DT, ["`coupling` is 1.0", "got 2.0"]),
        ("trap", {}, 0.05, ["`frame_dt` is 0.1", "got 0.05"]),
        (
            "trap",
            {"frequencies": (0.5, 0.5, 0.25)},
            DT,
            ["`frequencies` is [0.5, 0.5, 0.5]", "got [0.5, 0.5, 0.25]"],
        ),
    ],
)
@pytest.mark.parametrize("weights", SET.shipped_weights)
def test_what_the_shipped_weights_refuse(weights, name, parameters, dt, words):
    system = make_system(name, **parameters)
    with pytest.raises(InputError) as caught:
        make_integrator("set", weights=weights, device="cpu").start(
            system, *system.sample(0, 5), dt
        )
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize("weights", SET.shipped_weights)
def test_the_shipped_weights_follow_the_reference_in_the_trap(weights):
    """The trap moves a particle at x by x / 8 in one time unit."""
    system = make_system("trap")
    state, particles = system.sample(0, 5, 4)
    learned, truth = (
        simulate(system, state, particles, 10, make_integrator(name, **options))
        for name, options in (("set", {"weights": weights, "device": "cpu"}), ("dop853", {}))
    )
    assert np.median(np.abs(learned.x - truth.x)[:, -1]) < FOLLOWED


def test_the_entry_of_a_card_with_the_parameters_of_the_run_is_taken():
    """The same system twice, for other times: this run is beyond those of the first."""
    card = make_card(card_system(softening=0.2, time_range=(0.0, 0.5)), card_system())
    system = make_system("charged")
    integrator = SurrogateIntegrator("toy", model=Ballistic(), card=card, device="cpu")
    assert simulate(system, *system.sample(0, 4), 10, integrator).info.success


def test_a_segment_shorter_than_the_warm_up_is_refused(system):
    message = refused(ThreeFrames(), make_card(), system, segment=2)
    assert all(word in message for word in ("`segment`", "3", "2"))


def test_a_surrogate_cannot_warm_another_up(system, toy_name):
    message = refused(ThreeFrames(), make_card(), system, warm_up=toy_name)
    assert all(word in message for word in ("`warm_up`", toy_name))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "tpu"}, ["`device`", "'tpu'", "auto, cpu, cuda, mps"]),
        ({"dtype": "float16"}, ["`dtype`", "float32 or float64", "'float16'"]),
        ({"segment": 0}, ["`segment`", ">= 1", "0"]),
        ({"substeps": 4}, ["`substeps`", "known"]),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(InputError) as caught:
        integrator_of(Ballistic(), **options)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there(device):
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if available[device]:
        pytest.skip(f"this machine has {device}")
    with pytest.raises(InputError, match=f"`device` '{device}' is not available.*auto, .*cpu"):
        integrator_of(Ballistic(), device=device)


@pytest.mark.parametrize(
    "given",
    [
        {"model": Ballistic()},
        {"card": make_card()},
        {"model": Ballistic(), "card": make_card(), "weights": "somewhere"},
    ],
    ids=["no card", "no model", "and weights"],
)
def test_a_model_in_memory_comes_with_its_card_and_without_a_folder(given):
    with pytest.raises(InputError, match="`model` and `card`"):
        SurrogateIntegrator("set", **given)


# What is only warned about


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"particles": (5, 8)}, ["particles from 5 to 8", "4"]),
        ({"particles": (1, 3)}, ["particles from 1 to 3", "4"]),
        ({"masses": (2.0, 3.0)}, ["masses from 2 to 3", "1"]),
        ({"charges": (0.0, 0.5)}, ["charges| from 0 to 0.5", "1"]),
    ],
)
def test_particles_outside_the_range_of_the_card_give_a_warning(system, start, card, words):
    integrator = SurrogateIntegrator("toy", model=Ballistic(), card=make_card(**card))
    with pytest.warns(NBodyWarning) as caught:
        integrator.start(system, *start, DT)
    (message,) = (str(warning.message) for warning in caught)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(("t0", "late"), [(0.0, False), (3.1, True), (-0.5, True)])
def test_times_outside_the_range_of_the_card_give_a_warning(system, start, t0, late):
    card = make_card(card_system(time_range=(0.0, 5.0)))
    integrator = SurrogateIntegrator("toy", model=Ballistic(), card=card)
    state = State(t0, start[0].x, start[0].v)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = simulate(system, state, start[1], 20, integrator)
    assert run.info.success
    messages = [str(w.message) for w in caught if w.category is NBodyWarning]
    assert bool(messages) == late
    assert all("0 to 5" in message for message in messages)


@pytest.mark.parametrize(
    ("name", "n", "t0", "words"),
    [
        ("charged", 4, 0.0, "particles from 5 to 30, got 4"),
        ("charged", 5, 9.0, "times from 0 to 9.6"),
        ("trap", 5, 23.5, "times from 0 to 24"),
    ],
)
def test_what_the_shipped_weights_warn_about(name, n, t0, words):
    system = make_system(name)
    state, particles = system.sample(0, n)
    integrator = make_integrator("set", weights="set-small", device="cpu")
    with pytest.warns(NBodyWarning, match=words) as caught:
        simulate(system, State(t0, state.x, state.v), particles, 10, integrator)
    assert len(caught) == 1


# Models in memory and in folders


def test_a_model_in_memory_is_left_as_it_was(system, start):
    model = Tiny().train()
    integrator = integrator_of(model, dtype="float64")
    simulate(system, *start, 5, integrator)
    assert integrator.model.dtype is torch.float64
    assert model.dtype is torch.float32
    assert model.training


def test_a_registered_surrogate_is_built_by_name(system, start, toy_name, tmp_path):
    save_weights(tmp_path / "model", Windowed(), toy_name, make_card(dtype="float64"))
    integrator = make_integrator(toy_name, weights=str(tmp_path / "model"), device="cpu")
    assert isinstance(integrator, SurrogateIntegrator)
    run = simulate(system, *start, 20, integrator)
    assert same_bits(run, simulate(system, *start, 20, integrator_of(Windowed(), segment=50)))
    assert run.info.method["integrator"] == toy_name
    assert run.info.method["device"] == "cpu"
    assert run.info.method["dtype"] == "float64"
    assert len(run.info.method["weights_hash"]) == 64


def test_shipped_weights_by_name_and_by_folder(tmp_path):
    folder = shutil.copytree(SET.shipped_weights["set-small"], tmp_path / "set")
    named, copied_ones, default, first = (
        make_integrator("set", device="cpu", **weights)
        for weights in (
            {"weights": "set-small"},
            {"weights": str(folder)},
            {},
            {"weights": "set"},
        )
    )
    assert named.model.evaluations_per_frame == 4
    assert named.digest == copied_ones.digest != default.digest == first.digest
    assert named.description["weights"] == "set-small"
    assert named.description["weights_hash"] == named.digest


def test_weights_that_are_neither_shipped_nor_a_folder():
    with pytest.raises(InputError) as caught:
        make_integrator("set", weights="set-large")
    assert str(caught.value) == (
        "`weights` must be set, set-small, set-kernel or a folder, got 'set-large'"
    )


def test_a_surrogate_without_shipped_weights_asks_for_a_folder(toy_name):
    with pytest.raises(InputError, match=f"`weights`.*'{toy_name}' ships none"):
        make_integrator(toy_name)


# Compiled by torch


def not_compiled(*args, **kwargs):
    raise RuntimeError("no compiler\nhere")


@pytest.mark.parametrize(
    "compiler",
    [not_compiled, lambda *args, **kwargs: not_compiled],
    ids=["there is none", "it fails"],
)
def test_where_nothing_can_be_compiled_the_run_goes_on(
    tiny_set, system, start, monkeypatch, caplog, compiler
):
    eager = simulate(system, *start, 25, set_of(tiny_set))
    monkeypatch.setattr(torch, "compile", compiler)
    with caplog.at_level(logging.WARNING, logger="nbody_surrogate"):
        run = simulate(system, *start, 25, set_of(tiny_set, compile=True, segment=10))
    assert same_bits(run, eager)
    assert caplog.messages == ["set runs without torch.compile: no compiler here"]


COMPILE = """
import sys, numpy as np, torch
from nbody_set.model import SET, SETConfig
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from nbody_surrogate.surrogates.weights import load_weights
torch.manual_seed(0)
model, card = SET(SETConfig(width=4, substeps=2)).double(), load_weights(sys.argv[1], "set", SET)[1]
system = make_system(sys.argv[2])
one, other = (
    simulate(
        system,
        *system.sample(0, 5, 2),
        20,
        SurrogateIntegrator("set", model=model, card=card, device="cpu", **options),
    )
    for options in ({}, {"compile": True, "segment": 7})
)
for eager, compiled in ((one.x, other.x), (one.v, other.v)):
    np.testing.assert_allclose(compiled, eager, rtol=0, atol=float(sys.argv[3]))
print(torch._dynamo.utils.counters["stats"]["unique_graphs"], "compiled")
"""


@pytest.mark.slow  # the compiler takes 10 s and more for each
@pytest.mark.parametrize("name", ["charged", "trap"])
def test_compiled_steps_give_what_eager_ones_give(name):
    """In a process of its own: the checks of annotations here would be compiled too."""
    command = [sys.executable, "-c", COMPILE, str(SET.shipped_weights["set"]), name, str(COMPILED)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "1 compiled\n", done.stderr
    assert "without torch.compile" not in done.stderr


# On a GPU


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("toy", [Ballistic, Windowed, ThreeFrames])
def test_a_gpu_gives_what_the_cpu_gives(system, start, toy):
    here = simulate(system, *start, 25, integrator_of(toy()))
    there = simulate(system, *start, 25, integrator_of(toy(), device="cuda"))
    np.testing.assert_allclose(there.x, here.x, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("weights", SET.shipped_weights)
@pytest.mark.parametrize("frames", [1, 20])
def test_the_shipped_weights_on_a_gpu(weights, frames):
    system = make_system("trap")
    here, there = (
        simulate(
            system,
            *system.sample(0, 5, 4),
            frames,
            make_integrator("set", weights=weights, device=device, dtype="float64"),
        )
        for device in ("cpu", "cuda")
    )
    # rounding, grown by close pairs over 20 frames
    np.testing.assert_allclose(there.x, here.x, rtol=0, atol=1e-12 if frames == 1 else 1e-9)
    assert make_integrator("set").device.type == "cuda"
