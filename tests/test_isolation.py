"""In a batch, a trajectory that fails is nobody else's business; and Ctrl-C is heard at once."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from commands import INTERRUPTED, command, wait_until
from nbody_surrogate import Particles, State, make_integrator, make_system, read_h5md, simulate
from nbody_surrogate.errors import FileFormatError

pytestmark = pytest.mark.usefixtures("one_thread")

FRAMES, SEGMENT, BAD = 12, 5, 1
METHODS = {
    "set": {"device": "cpu"},
    "dop853": {},
    "dop853-compiled": {"threads": 2},
    "leapfrog": {"substeps": 4, "form": "kdk"},  # which feels the force before any drift
    "rk4": {"substeps": 4, "backend": "torch"},
}


def start_of(system, wild):
    """Three trajectories; the second may be one that no method survives.

    Softened, a particle is so fast that the square of its speed is no number; else two of them
    are so close that their force is none.
    """
    state, particles = system.sample(2, 5, 3)
    x, v, charges = (np.array(y) for y in (state.x, state.v, particles.charges))
    if wild and system.spec.softening:
        v[BAD, 0] = 1e160
    elif wild:
        x[BAD, :2], charges[BAD, :2] = [[0.0, 0.0, 0.0], [1e-170, 0.0, 0.0]], [1.0, -1.0]
    return State(0.0, x, v), Particles(charges, particles.masses)


@pytest.mark.thinned
@pytest.mark.parametrize("name", METHODS)
def test_the_others_are_bitwise_what_they_would_have_been(tmp_path, name):
    system = make_system("charged", softening=0.1 if name == "set" else 0.0)
    method = make_integrator(name, segment=SEGMENT, **METHODS[name])
    healthy = simulate(system, *start_of(system, False), FRAMES, method)
    start = start_of(system, True)
    # the wild start is outside of all that SET was trained for, which is no matter here
    run = simulate(system, *start, FRAMES, method, outside=None, output=tmp_path / "run.h5")
    assert healthy.info.success
    for b in (0, 2):
        np.testing.assert_array_equal(run.x[b], healthy.x[b])
        np.testing.assert_array_equal(run.v[b], healthy.v[b])
        assert (run.info.status[b], run.info.message[b]) == (0, "")
    good = run.info.good[BAD]
    assert run.info.status[BAD] == -1
    assert f"after t = {0.1 * (good - 1):g}" in run.info.message[BAD]
    assert np.isfinite(run.x).all()
    assert (run.x[BAD, good:] == run.x[BAD, good - 1]).all()
    stored = read_h5md(tmp_path / "run.h5")
    assert stored.info.status == (0, -1, 0)
    np.testing.assert_array_equal(stored.x, run.x)


def test_where_all_have_failed_nothing_more_is_computed():
    system = make_system("charged", softening=0.0)
    state, particles = start_of(system, True)
    start = state[BAD], particles[BAD]
    run = simulate(system, *start, 10**4, make_integrator("leapfrog", segment=SEGMENT, form="kdk"))
    assert run.info.counters["nfev"] < 200
    assert run.x.shape[1] == 10**4 + 1


def frames_in(path):
    """Frames of an unfinished run; none before it has its structure."""
    try:
        return read_h5md(path).x.shape[1]
    except FileFormatError:
        return 0


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_is_heard_inside_a_compiled_kernel(tmp_path):
    """Each of this run's hundred segments takes ten seconds or more."""
    arguments = ["run", "--integrator", "leapfrog", "-n", 1000, "--substeps", 150]
    arguments += ["--duration", 500]
    with command(*arguments, "--no-reference", "-o", "run.h5", cwd=tmp_path) as run:
        try:
            wait_until(lambda: frames_in(tmp_path / "run.h5.part"), run)
            run.send_signal(signal.SIGINT)
            _, stderr = run.communicate()
        finally:
            run.kill()
    assert run.returncode == INTERRUPTED
    assert (
        stderr == "Error: interrupted; frames of finished segments stay readable in 'run.h5.part'\n"
    )
    assert frames_in(tmp_path / "run.h5.part") == 1
