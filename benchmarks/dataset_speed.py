"""Time and memory of making a data set: 10 000 trajectories of `charged`, N = 5, 100 frames.

    python benchmarks/dataset_speed.py

Medians of repeats of whole processes, one and two at a time in turn; memory is the largest
resident set. Then reading it as a training stream: its memory must not depend on the size of
the set, so a set of a third is read too.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 3
READ = """
import resource, sys, time
from nbody_surrogate.datasets import Dataset, DatasetWindows
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
count = sum(len(w.x) for w in DatasetWindows(Dataset(sys.argv[1]), window=13, batch=64))
spent = time.perf_counter() - began
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(f"{count} windows of 13 rows in {spent:.1f} s, memory grew by {grown / 1e3:.0f} MB")
"""


def spent(command: list[str]) -> tuple[float, float]:
    """Seconds and megabytes of a process and of those it started, the largest of them."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - began, usage.ru_maxrss / 1e3


def generate(folder: Path, trajectories: int, workers: int) -> tuple[float, float]:
    command = ["nbody-sim", "dataset", "generate", "--preset", "charged", "--quiet"]
    command += ["--trajectories", str(trajectories), "--workers", str(workers)]
    return spent([*command, "--output", str(folder)])


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        made = {1: [], 2: []}
        for repeat in range(REPEATS):
            for workers, runs in made.items():
                runs.append(generate(Path(place) / f"{workers}-{repeat}", 10_000, workers))
        for workers, runs in made.items():
            seconds, memory = (list(column) for column in zip(*runs, strict=True))
            print(
                f"10 000 trajectories, {workers} at a time: {statistics.median(seconds):.1f} s "
                f"({min(seconds):.1f} to {max(seconds):.1f}), {max(memory):.0f} MB"
            )
        generate(Path(place) / "third", 3333, 2)
        for name, folder in (("a third", "third"), ("all", "1-0")):
            command = [sys.executable, "-c", READ, str(Path(place) / folder)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(f"streaming {name}: {out.strip()}")


if __name__ == "__main__":
    main()
