"""Names that change places are found with their frame, and mended to the bit; nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import nbody_surrogate as nb
from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.tracks.identities import find_mistakes
from nbody_surrogate.tracks.observe import observe
from nbody_surrogate.tracks.reading import read_tracks
from nbody_surrogate.tracks.tracks import Swap
from track_files import DT, NAMES, motion, write_csv

LONG = {"frames": 400, "noise": 1e-3}


def exchanged(x, frame, i, j):
    """Names of two particles change places from a frame on."""
    wrong = x.copy()
    wrong[frame:, [i, j]] = wrong[frame:, [j, i]]
    return wrong


def rotated(x, seed=5):
    if x.shape[2] == 2:
        angle = 0.7 + seed
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return x @ turn
    return x @ Rotation.random(rng=seed).as_matrix().T


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("frame", [2, 57, 399])
def test_an_exchange_is_found_and_mended_exactly(dimensions, frame):
    x = rotated(motion(**LONG, dimensions=dimensions))
    found = find_mistakes(exchanged(x, frame, 1, 3), NAMES, first_frame=10)
    assert found.swaps == [Swap(10 + frame, ("1", "10"))]
    assert found.jumps == []
    np.testing.assert_array_equal(found.x, x)


def test_several_exchanges_are_told_by_the_names_of_the_file():
    x = motion(**LONG)
    wrong = exchanged(exchanged(x, 300, 1, 3), 100, 0, 1)
    found = find_mistakes(wrong, NAMES)
    # of the second one the file says 0, whose name particle 1 bears by then
    assert [(each.frame, set(each.names)) for each in found.swaps] == [
        (100, {"0", "1"}),
        (300, {"0", "10"}),
    ]
    np.testing.assert_array_equal(found.x, x)


def test_an_exchange_and_back_are_two():
    x = motion(**LONG)
    found = find_mistakes(exchanged(exchanged(x, 90, 1, 3), 91, 1, 3), NAMES)
    assert [each.frame for each in found.swaps] == [90, 91]
    np.testing.assert_array_equal(found.x, x)


def test_three_may_change_places_at_once():
    x = motion(**LONG)
    wrong = x.copy()
    wrong[200:, [0, 1, 2]] = wrong[200:, [1, 2, 0]]
    found = find_mistakes(wrong, NAMES)
    assert [(each.frame, len(each.names)) for each in found.swaps] == [(200, 3)]
    np.testing.assert_array_equal(found.x, x)


def test_an_exchange_while_both_are_out_of_sight_is_found():
    """Which is when it happens: trackers lose what covers each other."""
    x = motion(**LONG)
    x[150:154, [1, 3]] = np.nan
    x[153, 0] = np.nan
    found = find_mistakes(exchanged(x, 152, 1, 3), NAMES)
    assert [each.frame for each in found.swaps] == [154]
    np.testing.assert_array_equal(found.x, x)


def test_jumps_are_told_and_are_no_exchanges():
    x = motion(**LONG)
    x[120, 2] += 1.0
    x[250:, 0] -= 1.5
    found = find_mistakes(x, NAMES)
    assert found.swaps == []
    assert [(each.frame, each.name, each.back) for each in found.jumps] == [
        (120, "2", True),
        (250, "0", False),
    ]
    np.testing.assert_array_equal(found.x, x)


@pytest.mark.parametrize("seed", range(5))
def test_particles_that_cross_smoothly_are_left_alone(seed):
    """Two go straight through one place, at times with less between them than the noise."""
    t = np.linspace(-1, 1, 401)[:, None]
    one = np.hstack([t, 0 * t, 0.3 * t])
    two = np.hstack([0.2 * t, t + 0.002 * (seed - 2), -t])
    x = rotated(np.stack([one, two], axis=1), seed)
    x += 1e-3 * np.random.default_rng(seed).normal(size=x.shape)
    found = find_mistakes(x, ("a", "b"))
    assert (found.swaps, found.jumps) == ([], [])


@pytest.fixture(scope="module")
def crowds():
    """Unlike charges in a trap, which swing round each other."""
    system = nb.make_system("trap", frame_dt=0.01)
    return nb.simulate(system, *system.sample(0, 8, 3), frames=2000, integrator="leapfrog:20")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_close_encounters_are_no_exchanges(crowds, seed, noise):
    seen = observe(crowds[seed], noise=noise, missing=0.02, seed=seed)
    found = find_mistakes(seen.x, seen.names)
    assert (found.swaps, found.jumps) == ([], [])


def test_motion_without_any_noise_is_left_alone():
    x = np.zeros((50, 3, 2)) + np.arange(3)[:, None]
    for moving in (x, x + np.arange(50)[:, None, None] * 0.1):
        found = find_mistakes(moving, ("a", "b", "c"))
        assert (found.swaps, found.jumps) == ([], [])


def test_a_reader_tells_and_mends(tmp_path):
    x = motion(**LONG)
    path = write_csv(tmp_path / "a.csv", exchanged(x, 57, 1, 3), first=5)
    with pytest.warns(NBodyWarning, match=r"'1' and '10' from frame 62 on; mend_swaps=True"):
        (found,) = read_tracks(path, frame_dt=DT)
    assert found.swaps == (Swap(62, ("1", "10")),)
    np.testing.assert_array_equal(found.x, exchanged(x, 57, 1, 3))
    with pytest.warns(NBodyWarning, match="exchanged back"):
        (found,) = read_tracks(path, frame_dt=DT, mend_swaps=True)
    np.testing.assert_array_equal(found.x, x)
    assert found.swaps == (Swap(62, ("1", "10"), mended=True),)
    assert found.reading[-1] == "'a.csv': 1 exchange of names mended"


def test_a_reader_tells_jumps(tmp_path):
    x = motion(**LONG)
    x[120, 2] += 1.0
    with pytest.warns(NBodyWarning, match=r"particles seem to jump: '2' in frame 120 and back"):
        read_tracks(write_csv(tmp_path / "a.csv", x), frame_dt=DT)


def test_particles_at_rest_on_pixels_are_left_alone():
    """Their second differences are mostly 0, and now and then one pixel."""
    rng = np.random.default_rng(0)
    x = np.round(20 * rng.normal(size=(1, 5, 2)) + 0.3 * rng.normal(size=(600, 5, 2)))
    for still in (x, np.zeros((50, 5, 2))):
        found = find_mistakes(still, tuple("abcde"))
        assert (found.swaps, found.jumps) == ([], [])


@pytest.mark.parametrize("seed", range(3))
def test_exchanges_in_close_encounters_are_found(crowds, seed):
    """Of particles nearer than half the usual spacing, where forces are largest."""
    seen = observe(crowds[seed], noise=1e-3, seed=seed)
    apart = np.linalg.norm(seen.x[:, :, None] - seen.x[:, None], axis=-1)
    near = np.argwhere((apart < 0.5 * seen.spacing) & (apart > 0.05))
    near = near[(near[:, 1] < near[:, 2]) & (near[:, 0] > 5) & (near[:, 0] < 1990)]
    hit = 0
    for frame, i, j in near[:: max(len(near) // 10, 1)]:
        found = find_mistakes(exchanged(seen.x, frame, i, j), seen.names)
        assert len(found.swaps) <= 1
        if found.swaps:
            assert found.swaps[0].frame == frame
            np.testing.assert_array_equal(found.x, seen.x)
            hit += 1
    assert hit >= 9


@pytest.mark.parametrize("size", [3.0, 10.0])
def test_random_walks_in_a_crowd_are_no_exchanges(size):
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.normal(size=(2000, 20, 2)), axis=0) + rng.uniform(0, size, (20, 2))
    folded = np.abs(walk % (2 * size) - size)
    found = find_mistakes(folded, tuple(map(str, range(20))))
    assert (found.swaps, found.jumps) == ([], [])
