"""Peak memory of long runs, kept in memory or not: the largest resident set of whole processes.

    python benchmarks/run_memory.py [FRAMES ...]

64 trajectories of 30 particles by `leapfrog` of one sub-step, with an output.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

RUN = """
import resource, sys
import nbody_surrogate as nb
system = nb.make_system("charged")
state, particles = system.sample(rng=0, n=30, trajectories=64)
method = nb.make_integrator("leapfrog", substeps=1)
keep = sys.argv[2] == "kept"
run = nb.simulate(
    system, state, particles, int(sys.argv[1]), method, output=sys.argv[3], keep=keep
)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000)  # kilobytes on Linux
"""


def megabytes(frames: int, how: str, folder: Path) -> int:
    output = folder / f"{how}.h5"
    command = [sys.executable, "-c", RUN, str(frames), how, output]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    output.unlink()
    return int(made.stdout)


def main() -> None:
    print("frames | all kept | keep=False")
    with tempfile.TemporaryDirectory() as folder:
        for frames in [int(each) for each in sys.argv[1:]] or [2000, 20000]:
            both = [megabytes(frames, how, Path(folder)) for how in ("kept", "streamed")]
            print(f"{frames} | {both[0]} MB | {both[1]} MB", flush=True)


if __name__ == "__main__":
    main()
