"""What of tracks is fitted, what is left out of them, and what is said of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate import InputError
from nbody_surrogate.discovery.runs import measured_run
from nbody_surrogate.discovery.tellable import demand_tracks
from nbody_surrogate.discovery.usable import demand_depth, told_gaps, usable_tracks
from nbody_surrogate.tracks.reading import read_tracks
from nbody_surrogate.tracks.tracks import Jump
from watched import DT, swings, tracks_of


def test_a_position_that_a_tracker_lost_for_one_frame_is_left_out():
    tracks = tracks_of(swings(100, 3))
    jumped = replace(
        tracks,
        first_frame=1000,
        frame_step=2,
        jumps=(Jump(1040, "1", back=True), Jump(1100, "2", back=False)),
    )
    (kept,), notes = usable_tracks([jumped], same_particles=False)
    gone = np.isnan(kept.x[..., 0])
    assert np.argwhere(gone).tolist() == [[20, 1]]
    (note,) = notes
    assert note.startswith("1 position of ")
    assert usable_tracks([tracks], same_particles=False)[1] == []


def test_who_is_hardly_seen_is_left_out_and_named():
    x = swings(200, 4)
    x[59:, 2] = np.nan
    charged = replace(tracks_of(x), charges=np.arange(4.0))
    (kept,), (note,) = usable_tracks([charged], same_particles=False)
    assert kept.names == ("0", "1", "3") and kept.charges.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(kept.x, x[:, [0, 1, 3]])
    assert "seen in fewer than 60 frames: left out (2)" in note
    # places count where particles are the same in all runs
    assert usable_tracks([charged], same_particles=True)[0][0].n == 4


def test_two_are_left_however_little_they_are_seen():
    x = swings(80, 3)
    x[20:, 1:] = np.nan
    assert usable_tracks([tracks_of(x)], same_particles=False)[0][0].n == 3


def turned_flat(x, noise):
    """In space, along x and y alone; z is noise about a height."""
    z = 7.0 + noise * np.random.default_rng(0).normal(size=(*x.shape[:2], 1))
    return np.concatenate([x, z], -1)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_tracks_in_a_plane_are_not_in_space(noise):
    flat = turned_flat(swings(200, 4, dimensions=2), noise)
    with pytest.raises(InputError, match=r"`tracks` must move along z.*--columns z=none"):
        demand_depth([tracks_of(flat)])
    demand_depth([tracks_of(swings(200, 4) + 1e-3)])
    demand_depth([tracks_of(swings(200, 4, dimensions=2))])


@pytest.mark.parametrize("flat", ["x", "y", "z"])
def test_what_is_advised_for_tracks_in_a_plane_can_be_done(flat, tmp_path):
    x = turned_flat(swings(200, 4, dimensions=2), 0.0)
    x[..., 2] = 7.0
    order = {"x": [2, 0, 1], "y": [0, 2, 1], "z": [0, 1, 2]}[flat]
    path = tmp_path / "a.csv"
    rows = ["frame,particle,x,y,z"]
    for t, frame in enumerate(x[..., order]):
        rows += [f"{t},{i},{','.join(map(repr, map(float, row)))}" for i, row in enumerate(frame)]
    path.write_text("\n".join(rows))
    with pytest.raises(InputError) as caught:
        demand_depth(read_tracks(path, frame_dt=0.1))
    columns = str(caught.value).split("--columns ")[1]
    (left,) = read_tracks(path, frame_dt=0.1, columns=columns)
    assert left.dimensions == 2
    assert np.nanstd(left.x, axis=(0, 1)).min() > 0.1


def test_tracks_of_noise_alone_get_no_advice_on_columns():
    noise = 30.0 * np.random.default_rng(0).normal(size=(200, 4, 3))
    with pytest.raises(InputError, match="must move by more than their noise along x") as caught:
        demand_depth([tracks_of(noise)])
    assert "columns" not in str(caught.value)


def test_runs_have_one_unit():
    one = replace(tracks_of(swings(200, 3)), length_unit="um", time_unit="s")
    other = replace(one, length_unit="mm")
    with pytest.raises(InputError, match="`length_unit` must be the same in all runs, got mm and"):
        demand_tracks([one, other], couplings=False)
    demand_tracks([one, replace(one, x=one.x + 1.0, length_unit=None)], couplings=False)


WRONG = """
import numpy as np
from nbody_surrogate import InputError
from nbody_surrogate.discovery.discover import discover
from nbody_surrogate.tracks.tracks import Tracks

tracks = Tracks(np.random.default_rng(0).normal(size=(200, 3, 3)), 0.1, ("0", "1", "2"))
for runs, options in (
    (["tracks.csv"], {}),
    ([np.zeros((100, 5, 2))], {}),
    (tracks, {}),
    ([tracks], {"axis": ["z"]}),
    ([tracks], {"knots": 65}),
):
    try:
        discover(runs, **options)
    except InputError as error:
        print(error)
"""


def test_what_cannot_be_is_refused_before_anything_is_fitted():
    # in a process of its own, in which nobody checks annotations
    done = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "`runs` must be a list of Tracks, got one of str; read_tracks makes them",
        "`runs` must be a list of Tracks, got one of ndarray; read_tracks makes them",
        "`runs` must be a list of Tracks, got Tracks; write [tracks]",
        "`axis` must be z, or None, got ['z']",
        "`knots` must be from 8 to 64, got 65",
    ]


def test_frames_in_which_somebody_is_lost_are_not_fitted():
    x = swings(100, 3)
    x[30:50, 1] = np.nan
    x[70:74, 0] = np.nan
    x[:10, 2] = np.nan
    run = measured_run(x, DT, 0, 0)
    assert np.flatnonzero(run.lost).tolist() == list(range(30, 50))
    assert (run.whole == ~run.lost).all()
    (said,) = told_gaps([run])
    assert said.startswith("in 20 of 100 frames") and "nothing is fitted there" in said
    x[20:90, 1] = np.nan
    most = measured_run(x, DT, 0, 0)
    assert most.whole.all() and "less sure than its intervals" in told_gaps([most])[0]
    assert told_gaps([measured_run(swings(100, 3), DT, 0, 0)]) == []
