"""How long an ensemble takes from start to file and back, beside another version of this package.

    python benchmarks/ensemble_io.py OTHER [--trajectories 5000] [--repeats 3]

OTHER is a checkout with an environment in `.venv`, or an environment. Both versions run, read,
export and report 5 000 trajectories of ten particles by leapfrog, 51 frames, each in turn with the
other, as whole processes; reading is timed within its process, without imports. Shown are medians
of the repeats in seconds and the quotient of each round, of the clock and of the processor's time:
the second is steadier where a machine has other work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

READ = """
import sys, time
import nbody_surrogate as nb
nb.read_h5md  # imported
began, worked = time.perf_counter(), time.process_time()
nb.read_h5md(sys.argv[1])
print(time.perf_counter() - began, time.process_time() - worked)
"""


class Spent(NamedTuple):
    """Seconds of the clock and of the processor."""

    clock: float
    processor: float


def whole(command: list[str]) -> Spent:
    """Time a process."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Spent(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)


def jobs(binaries: Path, folder: Path, trajectories: int) -> dict[str, Spent]:
    """Do all four with one version."""
    command, file = str(binaries / "nbody-sim"), str(folder / "run.h5")
    run = ["run", "--trajectories", str(trajectories), "--particles", "10"]
    run += ["--integrator", "leapfrog", "--no-reference", "--quiet", "--overwrite"]
    export = ["export", file, "--trajectory", str(trajectories // 2), str(folder / "one.npz")]
    found = {"run": whole([command, *run, "-o", file])}
    reading = [str(binaries / "python"), "-c", READ, file]
    said = subprocess.run(reading, check=True, capture_output=True, text=True).stdout
    found["read_h5md"] = Spent(*map(float, said.split()))
    found["export of one"] = whole([command, *export, "--overwrite"])
    found["report"] = whole([command, "report", file, "-o", str(folder / "r.html"), "--overwrite"])
    return found


def binaries_of(place: Path) -> Path:
    """Return the folder of an environment's programs."""
    for each in (place / ".venv" / "bin", place / "bin"):
        if (each / "nbody-sim").exists():
            return each
    sys.exit(f"{place} has no .venv/bin/nbody-sim and no bin/nbody-sim")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="a checkout with .venv, or an environment")
    parser.add_argument("--trajectories", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    versions = {"other": binaries_of(given.other), "this": Path(sys.executable).parent}
    found: dict[str, dict[str, list[Spent]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:  # on the disk that is meant
        for _ in range(given.repeats):
            for version, binaries in versions.items():
                folder = Path(place) / version
                folder.mkdir(exist_ok=True)
                for job, spent in jobs(binaries, folder, given.trajectories).items():
                    found[job][version].append(spent)
    print(f"{'':14} {'other s':>9} {'this s':>9} {'ratio':>7} {'processor':>10} ratio")
    for job, by in found.items():
        print(f"{job:14} {row(by['other'], by['this'])}")


def row(other: list[Spent], this: list[Spent]) -> str:
    """Show medians of times, and of the quotients of the rounds."""
    pairs = list(zip(other, this, strict=True))
    clock = statistics.median(a.clock / b.clock for a, b in pairs)
    processor = statistics.median(a.processor / b.processor for a, b in pairs)
    seconds = [statistics.median(each.clock for each in some) for some in (other, this)]
    return f"{seconds[0]:9.2f} {seconds[1]:9.2f} {clock:7.1f} {processor:10.1f}"


if __name__ == "__main__":
    main()
