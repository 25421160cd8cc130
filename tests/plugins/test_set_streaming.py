"""SET: causality, history and streaming."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbody_set.model import SETConfig
from set_windows import ROUNDING, assert_close, make_window, perturbed_set, repeatable, windows

pytestmark = pytest.mark.usefixtures("one_thread")


@repeatable
@given(window=windows, frame=st.integers(0, 4))
def test_future_frames_change_nothing(model, window, frame):
    other = make_window(77, frames=window.shape[1], n=window.shape[2], dims=window.shape[3])
    changed = window._replace(x=window.x.clone(), v=window.v.clone())
    changed.x[:, frame + 1 :] = other.x[:, frame + 1 :]
    changed.v[:, frame + 1 :] = other.v[:, frame + 1 :]
    for before, after in zip(window.of(model), changed.of(model), strict=True):
        assert torch.equal(before[:, : frame + 1], after[:, : frame + 1])


def test_frames_older_than_the_history_change_nothing_and_younger_ones_do(model):
    history = model.config.history
    window = make_window(4, frames=history + 3, spread=3.0)
    # of a domain, outside of which nothing is remembered
    particles = window.particles._replace(
        charges=torch.where(window.particles.charges > 0, 1.0, -1.0).double(),
        masses=torch.ones_like(window.particles.masses),
    )
    window = window._replace(v=0.5 * window.v, particles=particles)
    for age in range(1, history + 3):
        changed = window._replace(x=window.x.clone(), v=window.v.clone())
        frame = window.shape[1] - 1 - age
        changed.x[:, frame] = make_window(78, frames=1).x[:, 0]
        changed.v[:, frame] = make_window(78, frames=1).v[:, 0]
        same = all(
            torch.equal(before[:, -1], after[:, -1])
            for before, after in zip(window.of(model), changed.of(model), strict=True)
        )
        assert same == (age >= history), f"a frame that is {age} frames old"


@repeatable
@given(window=windows, started=st.integers(0, 6))
def test_streaming_equals_the_whole_window(model, window, started):
    """Also from a cache that starts after some frames; N = 1 is among the windows."""
    dx, dv = window.of(model)
    frames = window.shape[1]
    started = min(started, frames - 1)
    with torch.no_grad():
        before = window.frames(slice(0, started))
        cache = model.start_cache(before.x, before.v, window.particles)
        for t in range(started, frames):
            x, v = window.x[:, t], window.v[:, t]
            *step, cache = model.step_cache(cache, x, v, window.particles)
            assert_close(step, (dx[:, t], dv[:, t]), ROUNDING)


@pytest.mark.parametrize("history", [1, 2, 7])
def test_streaming_with_other_histories(history):
    model, window = perturbed_set(SETConfig(history=history, width=4, substeps=2)), make_window(5)
    dx, dv = window.of(model)
    with torch.no_grad():
        cache = model.start_cache(window.x[:, :0], window.v[:, :0], window.particles)
        for t in range(window.shape[1]):
            *step, cache = model.step_cache(cache, window.x[:, t], window.v[:, t], window.particles)
            assert_close(step, (dx[:, t], dv[:, t]), ROUNDING)
