"""Hours in small: ten thousand frames, guarded, with a restart file and an output."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate import Guard, NBodyWarning, make_integrator, make_system, read_h5md, simulate
from nbody_surrogate.results.metrics import mean_kinetic
from nbody_surrogate.simulation.checkpoint import read_restart
from nbody_surrogate.simulation.file_writer import Output

FRAMES, N = 10_000, 30
MORE = 60 * 2**20  # bytes beyond the frames themselves, which fill up memory that was set aside


def resident():
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return 4096 * pages


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.usefixtures("one_thread")
def test_a_long_guarded_run_stays_within_its_memory_and_its_budget(tmp_path):
    """The file is read, by another reader, throughout; the memory is looked at as often."""
    system = make_system("trap")
    state, particles = system.sample(7, N)
    output, restart = tmp_path / "run.h5", tmp_path / "run.restart"
    memory, seen = [], []

    def look(done, total):
        if done % 500 != 250:
            return
        memory.append(resident())
        part = read_h5md(f"{output}.part")
        seen.append(len(part.t))
        assert np.isfinite(part.x).all()
        boundary = 50 * ((int(done) - 1) // 50)  # frames are written at the end of a segment
        assert len(part.t) == 1 + boundary
        assert read_restart(restart).document.frame == boundary

    guard = Guard("fallback", energy=0.05, longest=float("inf"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NBodyWarning)
        run = simulate(
            system,
            state,
            particles,
            FRAMES,
            make_integrator("set", device="cpu"),
            guard=guard,
            output=Output(output, checkpoint=restart),
            observers=look,
        )
    assert len(seen) == FRAMES // 500
    assert run.info.success
    frames = run.x.nbytes + run.v.nbytes
    assert max(memory[5:]) - memory[4] < 3 * frames + MORE  # the reader reads them all too
    assert max(memory[-3:]) - max(memory[8:11]) < 2 * frames + MORE / 4
    stored = read_h5md(output)
    np.testing.assert_array_equal(stored.x, run.x)
    assert stored.info == run.info
    first, last = (system.invariants(run.x[:, f], run.v[:, f], particles) for f in (0, -1))
    assert abs(last.energy - first.energy) / mean_kinetic(run.v, particles) <= 0.05
    assert restart.stat().st_size < 2**20
