"""Radii of particles: frozen, positive, of a system that needs them and of no other."""

from __future__ import annotations

from contextlib import suppress
from unittest import SkipTest

import numpy as np
import pytest
import torch

from nbody_surrogate import (
    InputError,
    Particles,
    make_integrator,
    make_system,
    register_system,
)
from nbody_surrogate.contracts.domain import Domain
from nbody_surrogate.contracts.domain_check import fixed_faults
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.contracts.system_spec import Draw
from nbody_surrogate.contracts.system_versions import finer_text, finer_version
from nbody_surrogate.errors import PluginError
from nbody_surrogate.registry.describe import facts
from nbody_surrogate.testing import ConformanceError, checks
from small_systems import Dragged, Pebbles

B, N = 2, 3


def particles(**given):
    return Particles(**{"charges": np.ones((B, N)), "masses": np.ones((B, N)), **given})


@pytest.mark.parametrize(
    ("radii", "wanted"),
    [
        (0.5, np.full((B, N), 0.5)),
        ([1, 2, 3], [[1, 2, 3]] * B),
        ([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_a_number_or_one_set_is_shared(radii, wanted):
    found = particles(radii=radii).radii
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    assert not found.flags.writeable


def test_of_one_trajectory_the_axis_may_be_left_out():
    np.testing.assert_array_equal(Particles([1, -1], [1, 1], radii=[0.1, 0.2]).radii, [[0.1, 0.2]])


@pytest.mark.parametrize(
    ("radii", "words"),
    [
        (0.0, "must be > 0, got 0"),
        ([1, -2, 3], "must be > 0, got -2"),
        (np.full((B, N), np.nan), "must be finite"),
        (np.full((B, N), np.inf), "must be finite"),
        ("large", "must hold real numbers"),
        (np.ones(N + 1), "(2, 3)"),
        (np.ones((1, N)), "(2, 3), got (1, 3)"),
        (np.ones((B, N, 1)), "shape (B, N), got (2, 3, 1)"),
    ],
)
def test_misuse_is_one_line(radii, words):
    with pytest.raises(InputError) as caught:
        particles(radii=radii)
    assert str(caught.value).startswith("`radii` ")
    assert words in str(caught.value)


def test_some_trajectories_keep_theirs():
    radii = np.arange(1.0, 1 + B * N).reshape(B, N)
    np.testing.assert_array_equal(particles(radii=radii)[[1, 0, 1]].radii, radii[[1, 0, 1]])
    assert [one.radii.tolist() for one in particles(radii=radii)] == [[r] for r in radii.tolist()]
    assert particles()[0].radii is None


def test_a_misspelt_name_finds_them():
    with pytest.raises(AttributeError, match="`radii`"):
        _ = particles(radii=1).radius


def test_tensors_have_them():
    found = ParticleTensors.from_particles(particles(radii=0.5), "cpu", torch.float32)
    assert found.radii.dtype is torch.float32
    assert found.radii.shape == (B, N)
    assert ParticleTensors.from_particles(particles(), "cpu", torch.float32).radii is None


# Who needs them


def calls(system, state, given):
    solver = make_integrator("dop853")
    return [
        lambda: system.acceleration(state.x, state.v, given),
        lambda: system.acceleration(np.repeat(state.x, 2, 0), np.repeat(state.v, 2, 0), given),
        lambda: system.invariants(state.x, state.v, given),
        lambda: solver.check(system, state, given, 0.1),
        lambda: solver.start(system, state, given, 0.1),
    ]


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize(
    ("system", "given", "words"),
    [
        (Pebbles, None, "must have `radii`, which system 'pebbles' needs"),
        (Dragged, 0.5, "must have no `radii`: the forces of system 'dragged'"),
    ],
)
def test_radii_that_are_missing_or_of_no_use_are_one_line(system, given, words, which):
    system = system()
    state, drawn = system.sample(0, N)
    wrong = Particles(drawn.charges, drawn.masses, radii=given)
    with pytest.raises(InputError) as caught:
        calls(system, state, wrong)[which]()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "radii", "words"),
    [
        (Pebbles, None, "must draw `radii`, which it needs, got none"),
        (Pebbles, np.ones(N + 1), "`radii` of shape"),
        (Pebbles, np.full(N, np.nan), "finite `radii`"),
        (Dragged, np.ones(N), "must draw no `radii`, or say so by `needs_radii`"),
    ],
)
def test_a_sampler_is_held_to_what_the_system_says(cls, radii, words):
    def sample(self, rng, n, dimensions):
        return Draw(*rng.normal(size=(2, n, dimensions)), np.ones(n), np.ones(n), radii=radii)

    with pytest.raises(PluginError) as caught:
        type("Other", (cls,), {"_sample": sample})().sample(0, N)
    assert words in str(caught.value)


def test_a_run_is_the_closed_form():
    system = Pebbles()
    state, drawn = system.sample(0, N, 2)
    solver = make_integrator("dop853", segment=10)
    segment = solver.advance(solver.start(system, state, drawn, 0.1), 10)
    fall = 0.5 * system.series * drawn.radii * 1.0**2
    wanted = state.x + state.v
    wanted[..., -1] -= fall
    np.testing.assert_allclose(segment.x[:, -1], wanted, atol=1e-12)


# Finer versions


def test_a_finer_version_is_named_by_what_differs():
    system = Pebbles(order=4)
    finer = finer_version(system)
    assert finer.spec.order == 6
    assert finer_text(system, finer) == "order 6 in place of 4"
    assert finer_version(make_system("charged")) is None


@pytest.mark.parametrize(
    ("finer", "words"),
    [
        (lambda self: Dragged(), "must return another Wrong or None, got"),
        (lambda self: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_no_finer_version_is_the_plugin_s_fault(finer, words):
    with pytest.raises(PluginError, match=words):
        finer_version(type("Wrong", (Dragged,), {"finer": finer})())


def test_what_a_system_is_names_radii_and_the_finer_version(registered):
    register_system("pebbles")(Pebbles)
    (lines,) = facts("pebbles")
    assert "needs: radii" in lines
    assert "finer version: order 4 in place of 2" in lines
    (plain,) = facts("charged", "system")
    assert not [line for line in plain if "radii" in line or "finer" in line]


def test_the_conformance_kit_takes_it(registered):
    register_system("pebbles")(Pebbles)
    for check in checks("pebbles", kind="system"):
        with suppress(SkipTest):
            check()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"one_body_acceleration": lambda self, x, v, particles: np.zeros_like(x)}, "needs_radii"),
        ({"finer": lambda self: type(self)()}, "finer"),
    ],
)
def test_the_conformance_kit_finds_what_is_wrong(registered, given, words):
    register_system("pebbles")(type("Wrong", (Pebbles,), given))
    told = []
    for check in checks("pebbles", kind="system"):
        try:
            check()
        except SkipTest:
            continue
        except ConformanceError as error:
            told.append(str(error))
    assert any(words in each for each in told)


def test_radii_beyond_those_of_the_training_are_told():
    domain, one = Domain(radii=(0.5, 1.0)), np.ones((1, 2))
    assert fixed_faults(domain, one, one, np.array([[0.5, 1.0]])) == {}
    assert fixed_faults(domain, one, one) == {}
    told = fixed_faults(domain, one, one, np.array([[0.5, 1.5]]))
    assert told == {"radii": "trained for radii of 0.5 to 1, got 0.5 to 1.5"}
