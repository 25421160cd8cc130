"""Time and peak memory of the command line: `--help`, and the main job the second time.

    python benchmarks/main_job.py

Wall times are medians of repeats of whole processes; memory is the largest resident set.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time

HELP = ["nbody-sim", "--help"]
JOB = ["nbody-sim", "run", "--integrator", "set", "--particles", "30"]


def median_seconds(command: list[str], repeats: int, folder: str) -> float:
    times = []
    for _ in range(repeats + 1):  # the first one fills caches and does not count
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def heavy_imports() -> str:
    code = (
        "import sys\n"
        "from nbody_surrogate.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'pyvista', 'numba', 'scipy') if m in sys.modules])"
    )
    made = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return made.stdout.splitlines()[-1]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(f"--help: {median_seconds(HELP, 11, folder):.2f} s, heavy imports {heavy_imports()}")
        print(f"main job: {median_seconds(JOB, 5, folder):.1f} s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # kilobytes on Linux
    print(f"peak memory: {peak / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
