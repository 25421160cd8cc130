"""Arrays that do not belong together make no run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.frame_arrays import demand_frames
from nbody_surrogate.results.trajectory import Ensemble, RunInfo, Trajectory
from refusals import refused

T, N = 4, 2
NAN = np.nan


def arrays(batch=1, *, whole=True, **changed):
    lead = (batch,) if whole else ()
    made = {
        "t": 0.1 * np.arange(T),
        "x": np.zeros((*lead, T, N, 3)),
        "v": np.zeros((*lead, T, N, 3)),
        "particles": Particles(np.ones((batch, N)), np.ones((batch, N))),
        "label_error": None,
    }
    return SimpleNamespace(**made | changed)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"t": np.array([0, 1, 1, 2.0])}, ("`t`", "grow", "1.0 at frame 2, after 1.0")),
        ({"t": np.array([0, 1, NAN, 2])}, ("`t`", "finite", "nan at frame 2")),
        ({"t": np.array([0, 1, 2, np.inf])}, ("`t`", "inf at frame 3")),
        ({"t": np.array([NAN])}, ("`t`", "nan at frame 0")),
        ({"t": np.zeros(0)}, ("`t`", "at least 1")),
        ({"t": np.zeros((2, 2))}, ("`t`", "(T,)")),
        ({"t": [0.0, 1.0]}, ("`t`", "array", "list")),
        ({"x": np.zeros((T, 3))}, ("`x`", "shape")),
        ({"v": np.zeros((1, T - 1, N, 3))}, ("`v`", "shape")),
        ({"x": np.full((T, N, 3), "a")}, ("`x`", "real numbers")),
        ({"particles": None}, ("`particles`", "None")),
        ({"particles": Particles(np.ones((1, 5)), np.ones((1, 5)))}, ("`x`", "5)")),
        ({"label_error": np.zeros(T + 1)}, ("`label_error`", "shape")),
    ],
)
def test_what_does_not_fit_is_refused(whole, changed, words):
    axes = "(B, T, N, D)" if whole else "(T, N, D)"
    with refused(InputError, *words):
        demand_frames(arrays(whole=whole, **changed), axes)


def test_constructors_ask():
    info = RunInfo({}, {"integrator": "none"})
    good = arrays(whole=False)
    three = np.zeros((T - 1, N, 3))
    with refused(InputError, "`x` and `v`", "(T, N) = (4, 2)"):
        Trajectory.__init__.__wrapped__(
            object.__new__(Trajectory), good.t, three, good.v, good.particles, info
        )
    with refused(InputError, "`particles`", "B = 2"):
        Trajectory(good.t, good.x, good.v, arrays(2).particles, info)
    two = arrays(2)
    with refused(InputError, "`t`", "grow"):
        Ensemble(two.t[::-1].copy(), two.x, two.v, two.particles, info)


def test_frames_may_be_nan_and_there_is_at_least_one():
    info = RunInfo({}, {"integrator": "none"}, good=(1, 1))
    two = arrays(2, x=np.full((2, T, N, 3), NAN))
    run = Ensemble(two.t, two.x, two.v, two.particles, info)
    assert len(run.valid_part(1).t) == 1
    for frames in (0, -1):
        with refused(InputError, "`frames`", "at least 1", frames):
            run.valid_part(frames)
