"""What it costs to look at a run: a picture, a movie, a page, and the file that they come from.

    python benchmarks/looking.py

30 particles, a candidate against its reference; then the writing of 1000 particles x 10 000 frames
as H5MD. Wall and processor seconds, and the peak memory of each, in a process of its own. Wall
times of a busy machine are too long: the load is printed beside them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nbody_surrogate import Particles, make_integrator, make_system, simulate
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.results.trajectory import RunInfo

PARTICLES, FRAMES, SEGMENT = 1000, 10_000, 50


def pair(frames: int):
    system = make_system("charged")
    state, particles = system.sample(0, 30)
    coarse = make_integrator("leapfrog", substeps=4)
    return [simulate(system, state, particles, frames, each)[0] for each in ("dop853", coarse)]


def picture(folder: Path) -> str:
    from nbody_surrogate import render

    truth, candidate = pair(50)
    render(candidate, folder / "p.png", reference=truth)
    return "1600 x 1200"


def movie(folder: Path) -> str:
    from nbody_surrogate import render

    truth, candidate = pair(99)
    render(candidate, folder / "m.mp4", reference=truth, window_size=(1280, 720))
    return f"100 frames, {(folder / 'm.mp4').stat().st_size / 1e6:.1f} MB"


def page(folder: Path) -> str:
    from nbody_surrogate.viz.html import write_scene_page

    truth, candidate = pair(50)
    path = write_scene_page(candidate, folder / "p.html", reference=truth)
    return f"{path.stat().st_size / 1e6:.2f} MB"


def file(folder: Path) -> str:
    block = np.random.default_rng(0).normal(size=(1, SEGMENT, PARTICLES, 3))
    particles = Particles(np.ones((1, PARTICLES)), np.ones((1, PARTICLES)))
    began = time.perf_counter()
    with H5MDWriter(folder / "f.h5", particles, 3, FRAMES, 0.0, 0.1) as writer:
        for _ in range(FRAMES // SEGMENT):
            writer.write(block, block)
        one = (0,), ("",), (FRAMES,)
        writer.finish(RunInfo({}, {"integrator": "none"}, {}, 0.0, {}, *one))
    spent = time.perf_counter() - began
    size = (folder / "f.h5").stat().st_size / 1e6
    return f"{size:.0f} MB, {size / spent:.0f} MB/s"


def measured(work: Callable[[Path], str], pipe) -> None:
    with tempfile.TemporaryDirectory() as folder:
        began, spent = time.perf_counter(), processor()
        said = work(Path(folder))
        found = time.perf_counter() - began, processor() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    pipe.send((said, *found, peak))


def processor() -> float:
    """Seconds of this process and its children."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    context = multiprocessing.get_context("spawn")
    for work in (picture, movie, page, file):
        ours, theirs = context.Pipe()
        process = context.Process(target=measured, args=(work, theirs))
        process.start()
        said, wall, spent, peak = ours.recv()
        process.join()
        load = os.getloadavg()[0]
        print(
            f"{work.__name__:>8}: {wall:.1f} s wall, {spent:.1f} s processor, {peak:.2f} GB peak; "
            f"{said} (load {load:.1f} on {os.cpu_count()} cores)",
            flush=True,
        )


if __name__ == "__main__":
    main()
