"""The noise of positions is told from the motion."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.tracks.noise import position_noise
from track_files import holed, motion, tracks


def test_white_noise_on_any_smooth_motion_is_found():
    """Along each axis by itself, with gaps and a few wrong positions.

    The median of n absolute values of a normal sample is good to 1.17 / sqrt(n): of the 8000
    differences here, which overlap, to 3 % or better.
    """
    rng = np.random.default_rng(3)
    sigma = np.array([1e-3, 4e-3, 2e-4])
    x = motion(frames=2000) + sigma * rng.normal(size=(2000, 4, 3))
    x[::100] += 1.0
    found = position_noise(tracks(holed(x, 0.02)))
    np.testing.assert_allclose(found.axes, sigma, rtol=0.1)
    assert not found.is_bound
    assert found.mean == pytest.approx(np.sqrt(np.mean(sigma**2)), rel=0.1)


def test_a_polynomial_of_third_degree_is_no_noise():
    t = np.linspace(-1, 1, 200)[:, None, None]
    found = position_noise(tracks(np.concatenate([t, t**2, t**3], axis=2)))
    assert max(found.axes) < 1e-13


def test_of_motion_that_frames_hardly_resolve_it_is_a_bound():
    found = position_noise(tracks(motion(frames=200)))
    assert found.is_bound


def test_tracks_that_are_too_short_tell_nothing():
    for x in (motion(frames=4), holed(motion(frames=9), 0.9)):
        found = position_noise(tracks(x))
        assert np.isnan(found.axes).all() and found.is_bound
