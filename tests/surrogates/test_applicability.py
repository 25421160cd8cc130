"""What a card refuses or warns about, in one line."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from nbody_set.model import SET
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import SystemSpec
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from toy_surrogates import (
    CHARGED_AND_TRAP,
    DT,
    EPS,
    Ballistic,
    ThreeFrames,
    card_system,
    integrator_of,
    make_card,
)

pytestmark = pytest.mark.usefixtures("one_thread")
FOLLOWED = 1e-4
"""Median error of the shipped weights after one time unit in the trap, which without its force
would be 0.1."""


class Isotropic(Ballistic):
    """Declares a symmetry, rightly or not."""

    symmetries = frozenset({"rotation"})


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
        (card_system(field=2.0), {}, DT, ["`field`", "2.0", "none"]),
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


@pytest.mark.thinned
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
        {"card": make_card()},
        {"model": Ballistic(), "card": make_card(), "weights": "somewhere"},
    ],
    ids=["no model", "and weights"],
)
def test_a_card_comes_with_a_model_in_memory_and_without_a_folder(given):
    with pytest.raises(InputError, match="`card` goes with a model in memory"):
        SurrogateIntegrator("set", **given)


# What is only warned about


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"particles": (5, 8)}, ["5 to 8 particles", "4"]),
        ({"particles": (1, 3)}, ["1 to 3 particles", "4"]),
        ({"masses": (2.0, 3.0)}, ["masses of 2 to 3", "1"]),
        ({"charges": (0.0, 0.5)}, ["charges| of 0 to 0.5", "1"]),
    ],
)
def test_particles_outside_the_range_of_the_card_give_a_warning(system, start, card, words):
    integrator = SurrogateIntegrator("toy", model=Ballistic(), card=make_card(**card))
    with pytest.warns(NBodyWarning) as caught:
        simulate(system, *start, 1, integrator)
    (message,) = (str(warning.message) for warning in caught)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("t0", [0.0, 3.1, -0.5])
@pytest.mark.parametrize(("until", "late"), [(5.0, False), (1.9, True)])
def test_times_outside_the_range_of_the_card_give_a_warning(system, start, t0, until, late):
    card = make_card(card_system(time_range=(0.0, until)))
    integrator = SurrogateIntegrator("toy", model=Ballistic(), card=card)
    state = State(t0, start[0].x, start[0].v)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = simulate(system, state, start[1], 20, integrator)
    assert run.info.success
    messages = [str(w.message) for w in caught if w.category is NBodyWarning]
    assert bool(messages) == late
    assert all("0 to 1.9" in message for message in messages)


@pytest.mark.parametrize(
    ("name", "n", "frames", "words"),
    [
        ("charged", 4, 10, "5 to 30 particles, got 4"),
        ("charged", 5, 97, "times from 0 to 9.60 since the start, got 9.70"),
    ],
)
def test_what_the_shipped_weights_warn_about(name, n, frames, words):
    system = make_system(name)
    integrator = make_integrator("set", weights="set-small", device="cpu")
    with pytest.warns(NBodyWarning, match=words):
        simulate(system, *system.sample(0, n), frames, integrator)


# Accuracy of forces, and radii


def sized_card(**changes):
    known = card_system("spheres", order=10, pairs=True, permittivity=None, least_gap=0.15)
    known = known.model_copy(update={"numerical": ("order", "pairs")})
    return make_card(known, radii=(1.0, 1.0), **changes)


def test_a_system_whose_forces_are_computed_otherwise_is_taken_with_a_warning():
    own, other = make_system("spheres", order=10, pairs=True), make_system("spheres", order=4)
    integrator = SurrogateIntegrator("toy", model=Ballistic(), card=sized_card(), device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        integrator.start(own, *own.sample(0, 4), DT)
    with pytest.warns(NBodyWarning, match="`order` 10 and `pairs` true, not 4 and false"):
        integrator.start(other, *other.sample(0, 4), DT)


def test_what_forces_there_are_must_be_as_trained():
    message = refused(Ballistic(), sized_card(), make_system("spheres", least_gap=0.2))
    assert "`least_gap` is 0.15" in message
    message = refused(Ballistic(), sized_card(), make_system("spheres", permittivity=3.0))
    assert "`permittivity` is none" in message


def test_a_model_of_one_radius_takes_no_other():
    class OfOneRadius(Ballistic):
        fixed_radius = 1.0

    unlike = make_system("spheres", order=10, pairs=True, radius_range=(0.8, 1.2))
    message = refused(OfOneRadius(), sized_card(), unlike)
    assert "`radii` must all be the 1 that toy was trained for, got 0." in message
