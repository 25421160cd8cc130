"""Tracks: where particles were seen, and for how long without a gap."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.errors import InputError
from nbody_surrogate.tracks.tracks import Tracks
from refusals import refused
from track_files import DT, holed, motion, tracks


def test_what_it_says_of_itself():
    x = holed(motion(frames=41, dimensions=2))
    found = tracks(x, first_frame=3, frame_step=5)
    assert (found.n, found.dimensions, len(found)) == (4, 2, 41)
    assert found.duration == pytest.approx(40 * DT)
    assert found.frames[[0, -1]].tolist() == [3, 203]
    np.testing.assert_allclose(found.t, DT * np.arange(41))
    assert found.missing == pytest.approx(np.isnan(x[:, :, 0]).mean())
    assert "41 frames every 0.005" in repr(found) and "4 particles in 2" in repr(found)


def test_stretches_without_a_gap():
    x = np.zeros((10, 3, 2))
    x[[0, 4, 5], 0] = np.nan
    x[9, 1] = np.nan
    x[1::2, 2] = np.nan
    found = Tracks(x, 1.0, ("a", "b", "c"))
    assert found.segments() == (
        (slice(1, 4), slice(6, 10)),
        (slice(0, 9),),
        tuple(slice(k, k + 1) for k in range(0, 10, 2)),
    )
    assert found.segments(4) == ((slice(6, 10),), (slice(0, 9),), ())


@pytest.mark.parametrize("seed", range(3))
def test_stretches_hold_all_that_was_seen_and_no_more(seed):
    found = tracks(holed(motion(), 0.4, seed))
    for i, stretches in enumerate(found.segments()):
        inside = np.zeros(len(found), dtype=bool)
        for each in stretches:
            inside[each] = True
            assert np.isfinite(found.x[each, i]).all()
        np.testing.assert_array_equal(inside, found.seen[:, i])


def test_the_spacing_is_that_of_nearest_neighbours():
    grid = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    x = np.repeat(0.25 * grid, 4, axis=0)
    names = tuple(map(str, range(27)))
    assert Tracks(x, 1.0, names).spacing == pytest.approx(0.25)
    x[:2, :26] = np.nan  # alone there, so that these frames tell none
    assert Tracks(x, 1.0, names).spacing == pytest.approx(0.25)
    assert np.isnan(Tracks(x[:, -1:], 1.0, ("a",)).spacing)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.zeros((5, 4, 1))}, ("`x`", "D = 2 or 3")),
        ({"x": np.full((5, 4, 3), np.inf)}, ("`x`", "finite", "inf")),
        ({"x": np.full((5, 4, 3), np.nan)}, ("`x`", "'0' is NaN in all frames")),
        ({"names": ("a", "b", "c")}, ("`names`", "4 names", "got 3")),
        ({"names": ("a", "b", "c", "a")}, ("`names`",)),
        ({"frame_dt": 0.0}, ("`frame_dt`", "> 0")),
        ({"frame_dt": np.nan}, ("`frame_dt`", "nan")),
        ({"frame_step": 0}, ("`frame_step`", "got 0")),
        ({"masses": np.full(4, np.nan)}, ("`masses`", "finite")),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    given = {"x": motion(frames=5), "frame_dt": DT, "names": ("0", "1", "2", "3"), **change}
    with refused(InputError, *words):
        Tracks(**given)


def test_a_position_that_is_known_in_part_is_refused():
    x = motion(frames=5)
    x[3, 2, 1] = np.nan
    with refused(InputError, "`x`", "particle '2' in row 3"):
        tracks(x)


def test_words_of_others_are_answered():
    with pytest.raises(AttributeError, match="nobody measured velocities"):
        _ = tracks().velocities
