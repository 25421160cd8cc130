"""A run as a camera sees it."""

from __future__ import annotations

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.errors import InputError
from nbody_surrogate.tracks.noise import position_noise
from nbody_surrogate.tracks.observe import BURST, observe
from refusals import refused


@pytest.fixture(scope="module")
def run():
    system = nb.make_system("trap", frame_dt=0.02)
    return nb.simulate(system, *system.sample(0, 5), 2000, "leapfrog:4")[0]


def test_without_noise_it_is_the_run(run):
    seen = observe(run, seed=0)
    np.testing.assert_array_equal(seen.x, run.x)
    assert seen.x is not run.x
    assert (seen.names, seen.frame_dt) == (("0", "1", "2", "3", "4"), 0.02)
    assert seen.charges is None and seen.masses is None
    assert seen.source.file.startswith("trap by leapfrog")


def test_noise_is_normal_and_of_its_size(run):
    """The mean square of n normal numbers is good to sqrt(2 / n), which is 0.8 % here."""
    errors = (observe(run, noise=0.01, seed=3).x - run.x).ravel() / 0.01
    assert errors.size == 30015
    assert np.mean(errors) == pytest.approx(0, abs=4 / np.sqrt(errors.size))
    assert np.mean(errors**2) == pytest.approx(1, abs=4 * np.sqrt(2 / errors.size))
    assert np.mean(errors**4) == pytest.approx(3, abs=4 * np.sqrt(96 / errors.size))
    assert position_noise(observe(run, noise=0.01, seed=3)).mean == pytest.approx(0.01, rel=0.05)


def test_every_third_frame(run):
    seen = observe(run, every=3, seed=0)
    np.testing.assert_array_equal(seen.x, run.x[::3])
    assert seen.frame_dt == pytest.approx(0.06)
    assert seen.frames[:3].tolist() == [0, 1, 2]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_gaps_have_their_share_and_come_in_bursts(share):
    """The share of a chain of 10 particles by 20 000 frames, whose memory is some 5 frames."""
    from nbody_surrogate.tracks.observe import _seen

    seen = _seen(np.random.default_rng(1), 20_000, 10, share)
    assert 1 - seen.mean() == pytest.approx(share, abs=0.02)
    back = (seen[1:] & ~seen[:-1]).sum() / (~seen[:-1]).sum()
    assert 1 / back == pytest.approx(BURST if share < 0.8 else 9.0, rel=0.05)
    assert abs(np.corrcoef(seen[:, 0], seen[:, 1])[0, 1]) < 0.1


def test_a_seed_gives_the_same_again(run):
    one, same, other = (observe(run, noise=0.1, missing=0.2, seed=k) for k in (1, 1, 2))
    np.testing.assert_array_equal(one.x, same.x)
    assert not np.array_equal(one.seen, other.seen)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"noise": -1.0}, ("`noise`", ">= 0")),
        ({"noise": np.inf}, ("`noise`", "inf")),
        ({"missing": 1.0}, ("`missing`", "below 1")),
        ({"missing": np.nan}, ("`missing`", "nan")),
        ({"every": 0}, ("`every`", "at least 1")),
        ({"every": 5000}, ("`every`", "two frames")),
        ({"seed": -1}, ("`seed`", "-1")),
    ],
)
def test_what_does_not_fit_is_refused(run, given, words):
    with refused(InputError, *words):
        observe(run, **{"seed": 0, **given})


def test_gaps_must_leave_tracks(run):
    with refused(InputError, "`missing` must leave two frames of each particle"):
        observe(run[:4], missing=0.9, seed=0)


def test_a_run_of_uneven_frames_is_refused(run):
    kept = np.array([0, 1, 2, 4, 5])
    uneven = nb.Trajectory(run.t[kept], run.x[kept], run.v[kept], run.particles, run.info)
    with refused(InputError, "`run` must have even frames: at frame 3"):
        observe(uneven, seed=0)
