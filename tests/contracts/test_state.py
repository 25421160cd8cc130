"""Particles and states: frozen float64 copies, and one line for every misuse."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

import annotations
from nbody_surrogate import InputError, Particles, State
from nbody_surrogate.results.metrics import rmse

B, N, D = 2, 3, 3


def make_particles(**changes):
    values = {"charges": np.ones((B, N)), "masses": np.full((B, N), 2.0)}
    return Particles(**{**values, **changes})


def make_state(**changes):
    values = {"t": 0.0, "x": np.zeros((B, N, D)), "v": np.ones((B, N, D))}
    return State(**{**values, **changes})


def refused(make, parameter, **values):
    """The one line with which `values` are refused; it begins with the parameter's name."""
    with pytest.raises(InputError) as caught:
        make(**values)
    message = str(caught.value)
    assert message.startswith(f"`{parameter}` ")
    assert "\n" not in message
    return message


def test_annotations_are_executed(monkeypatch):
    monkeypatch.setattr(annotations, "OFTEN", math.inf)  # however often others have called it
    right, wrong = np.zeros((1, 4, 3, 3)), np.zeros((1, 4, 3, 2))
    assert rmse(right, right).shape == (1, 4)
    with pytest.raises(TypeCheckError):
        rmse(right, wrong)
    with pytest.raises(TypeCheckError):
        rmse(right[0], right[0])


# Shapes


@given(st.integers(1, 4), st.integers(1, 5), st.sampled_from([2, 3]))
def test_shapes_are_kept(batch, n, dimensions):
    rng = np.random.default_rng(batch)
    x, v = rng.normal(size=(2, batch, n, dimensions))
    charges, masses = rng.uniform(0.5, 2.0, size=(2, batch, n))
    couplings = rng.normal(size=(batch, n, n))
    couplings = couplings + couplings.swapaxes(1, 2)
    state, particles = State(0.5, x, v), Particles(charges, masses, couplings)
    assert (particles.batch, particles.n) == (batch, n)
    np.testing.assert_array_equal(state.x, x)
    np.testing.assert_array_equal(state.v, v)
    np.testing.assert_array_equal(particles.charges, charges)
    np.testing.assert_array_equal(particles.masses, masses)
    np.testing.assert_array_equal(particles.couplings, couplings)


def test_one_trajectory_keeps_its_batch_axis():
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, B, N, D))
    masses = rng.uniform(1, 2, size=(B, N))
    couplings = np.arange(B)[:, None, None] * np.ones((B, N, N))
    state = make_state(t=1.5, x=x, v=v)[1]
    particles = make_particles(masses=masses, couplings=couplings)[1]
    assert state.t == 1.5
    np.testing.assert_array_equal(state.x, x[1:])
    np.testing.assert_array_equal(state.v, v[1:])
    np.testing.assert_array_equal(particles.masses, masses[1:])
    np.testing.assert_array_equal(particles.couplings, couplings[1:])
    assert make_particles()[0].couplings is None


def test_of_one_trajectory_the_axis_may_be_left_out():
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, N, D))
    bonds = np.ones((N, N))
    state = State(0, x.tolist(), v.astype(np.float32), hidden={"spin": np.ones((N, 2))})
    assert (state.x.shape, state.v.dtype, state.hidden["spin"].shape) == (
        *((1, N, D), np.dtype(float)),
        (1, N, 2),
    )
    np.testing.assert_array_equal(state.x[0], x)
    particles = Particles([1, -1, 1], np.arange(1, 4), bonds)
    np.testing.assert_array_equal(particles.charges, [[1, -1, 1]])
    np.testing.assert_array_equal(particles.masses, [[1, 2, 3]])
    assert particles.couplings.shape == (1, N, N)


def test_a_number_or_one_set_is_shared():
    charges = np.arange(B * N).reshape(B, N)
    np.testing.assert_array_equal(Particles(charges, 2).masses, np.full((B, N), 2.0))
    np.testing.assert_array_equal(Particles(charges, [1, 2, 3]).masses, [[1, 2, 3]] * B)
    np.testing.assert_array_equal(Particles(-1.0, [1, 2, 3]).charges, [[-1, -1, -1]])
    shared = Particles(charges, 1, np.ones((N, N))).couplings
    np.testing.assert_array_equal(shared, np.ones((B, N, N)))
    # a column beside a row would be a table, which nobody means
    with pytest.raises(InputError):
        Particles([[1], [2]], [[1, 2]])


def test_tensors_will_do_where_they_hold_no_gradients():
    x = torch.zeros(N, D)
    assert State(0, x, x).x.shape == (1, N, D)
    assert "detach" in refused(make_state, "x", x=x.requires_grad_())


# Some of the trajectories

SOME = 5


def coupled():
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=(2, SOME, N, D))
    bonds = rng.normal(size=(SOME, N, N))
    particles = Particles(
        rng.normal(size=(SOME, N)), rng.uniform(1, 2, (SOME, N)), bonds + bonds.swapaxes(1, 2)
    )
    return State(0.5, x, v), particles


@pytest.mark.parametrize(
    ("index", "numbers"),
    [
        (3, [3]),
        (-1, [4]),
        (np.int64(2), [2]),
        (np.array(2), [2]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -2), [4, 2, 0]),
        (slice(3, 99), [3, 4]),
        (np.array([True, False, False, True, False]), [0, 3]),
        ([True, False, False, False, False], [0]),
        (np.array([4, 0, 4]), [4, 0, 4]),
        (np.array([1, 2], np.uint8), [1, 2]),
        ([-1, 0], [4, 0]),
        (np.repeat(np.arange(SOME), 2), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
    ],
)
def test_some_trajectories_are_those_that_numpy_takes(index, numbers):
    state, particles = coupled()
    part, picked = state[index], particles[index]
    assert part.t == state.t
    for mine, whole in (
        (part.x, state.x),
        (part.v, state.v),
        (picked.charges, particles.charges),
        (picked.masses, particles.masses),
        (picked.couplings, particles.couplings),
    ):
        np.testing.assert_array_equal(mine, whole[numbers])
        assert not mine.flags.writeable


def test_where_there_are_no_couplings_none_are_made():
    assert make_particles()[[1, 0, 1]].couplings is None


def test_trajectories_come_one_by_one():
    state, particles = coupled()
    assert [one.x.tolist() for one in state] == [[x] for x in state.x.tolist()]
    assert [one.couplings.tolist() for one in particles] == [
        [bonds] for bonds in particles.couplings.tolist()
    ]


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (SOME, "got 5"),
        (-SOME - 1, "got -6"),
        ([0, 7], "got 7"),
        (np.array([-9]), "got -9"),
        (slice(3, 3), "none"),
        (slice(SOME, None), "none"),
        ([], "none"),
        (np.zeros(SOME, bool), "none"),
        (np.array([], int), "none"),
        (True, "bool"),
        ("a", "str"),
        (None, "object"),
        (..., "object"),
        ((0, 1), "tuple"),
        (slice(0.5, None), "0.5"),
        (slice(0, 2, 0), "zero"),
        (np.array([1.0]), "float64"),
        (np.ones(SOME - 1, bool), "(4,)"),
        (np.ones((SOME, N), bool), "(5, 3)"),
        (np.zeros((1, 1), int), "(1, 1)"),
    ],
)
def test_what_is_no_selection_is_refused_in_one_line(index, said):
    for whole in coupled():
        assert said in refused(lambda index, whole=whole: whole[index], "index", index=index)


# Freezing


def arrays_of(state, particles):
    return {
        "x": state.x,
        "v": state.v,
        "charges": particles.charges,
        "masses": particles.masses,
        "couplings": particles.couplings,
    }


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_arrays_are_read_only_float64_copies(dtype, order):
    given_arrays = {
        "x": np.ones((B, N, D)),
        "v": np.ones((B, N, D)),
        "charges": np.ones((B, N)),
        "masses": np.ones((B, N)),
        "couplings": np.ones((B, N, N)),
    }
    given_arrays = {key: value.astype(dtype, order) for key, value in given_arrays.items()}
    state = State(0.0, given_arrays["x"], given_arrays["v"])
    particles = Particles(*(given_arrays[key] for key in ("charges", "masses", "couplings")))
    for array in given_arrays.values():
        array[...] = 7
    for array in arrays_of(state, particles).values():
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert (array == 1.0).all()
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 2.0


def test_nested_lists_will_do():
    particles = Particles([[1, -1]], [[1, 2]])
    state = State(0, [[[0, 1], [2, 3]]], [[[4, 5], [6, 7]]])
    assert particles.charges.tolist() == [[1.0, -1.0]]
    assert state.x.shape == (1, 2, 2)
    assert isinstance(state.t, float)


@pytest.mark.parametrize(
    ("value", "field"), [(make_state(), "x"), (make_state(), "t"), (make_particles(), "charges")]
)
def test_fields_cannot_be_replaced(value, field):
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, getattr(value, field))


# Misuse


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("charges", {"charges": 1.0, "masses": 1.0}),
        ("masses", {"charges": np.ones(N + 1)}),
        ("charges", {"charges": np.ones((B, N, 1))}),
        ("charges", {"charges": [["a", "b"]]}),
        ("charges", {"charges": [[1.0], [1.0, 2.0]]}),
        ("charges", {"charges": [[1j, 1.0]]}),
        ("charges", {"charges": np.full((B, N), 1j)}),
        ("charges", {"charges": np.full((B, N), np.nan)}),
        ("charges", {"charges": np.full((B, N), np.inf)}),
        ("charges", {"charges": np.ones((0, N)), "masses": np.ones((0, N))}),
        ("charges", {"charges": np.ones((B, 0)), "masses": np.ones((B, 0))}),
        ("masses", {"masses": np.ones((B, N + 1))}),
        ("masses", {"masses": np.ones((B, 1))}),
        ("masses", {"masses": np.ones((1, N))}),
        ("masses", {"masses": np.ones((B + 1, N))}),
        ("masses", {"masses": np.zeros((B, N))}),
        ("masses", {"masses": -np.ones((B, N))}),
        ("masses", {"masses": np.full((B, N), np.nan)}),
        ("masses", {"masses": None}),
        ("couplings", {"couplings": np.ones((B, N))}),
        ("couplings", {"couplings": np.ones((B, N, N + 1))}),
        ("couplings", {"couplings": np.ones((B + 1, N, N))}),
        ("couplings", {"couplings": np.full((B, N, N), np.inf)}),
        ("couplings", {"couplings": np.triu(np.ones((B, N, N)))}),
    ],
)
def test_misuse_of_particles_is_one_line(parameter, values):
    refused(make_particles, parameter, **values)


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("v", {"x": np.zeros((N, D))}),
        ("x", {"x": [[0.0, 0.0], [0.0]]}),
        ("x", {"x": np.zeros(())}),
        ("x", {"x": np.zeros((B, N, 1)), "v": np.zeros((B, N, 1))}),
        ("x", {"x": np.zeros((B, N, 4)), "v": np.zeros((B, N, 4))}),
        ("x", {"x": np.full((B, N, D), np.nan)}),
        ("x", {"x": "here"}),
        ("v", {"v": np.zeros((B, N, 2))}),
        ("v", {"v": np.zeros((B, N + 1, D))}),
        ("v", {"v": np.zeros((1, N, D))}),
        ("v", {"v": np.full((B, N, D), -np.inf)}),
        ("v", {"v": None}),
        ("t", {"t": np.nan}),
        ("t", {"t": -np.inf}),
        ("t", {"t": "noon"}),
        ("t", {"t": None}),
    ],
)
def test_misuse_of_states_is_one_line(parameter, values):
    refused(make_state, parameter, **values)


def test_the_line_says_what_was_given():
    assert "(2, 4)" in refused(make_particles, "masses", masses=np.ones((B, N + 1)))
    assert "-3" in refused(make_particles, "masses", masses=np.full((B, N), -3.0))
    assert "got 4" in refused(make_state, "x", x=np.zeros((B, N, 4)), v=np.zeros((B, N, 4)))


@given(st.sampled_from(["x", "v"]), st.integers(0, B * N * D - 1))
def test_a_single_value_that_is_not_finite_is_found(field, at):
    values = np.zeros(B * N * D)
    values[at] = np.nan
    refused(make_state, field, **{field: values.reshape(B, N, D)})
