"""Whether two versions of this package make the same bits, and read each other's files.

    python benchmarks/same_bits.py make FOLDER       # by the version that this interpreter has
    python benchmarks/same_bits.py compare OLD NEW   # two such folders, of two versions
    python benchmarks/same_bits.py read OLD          # by the newer version

`make` does a fixed list of small jobs, by `nbody-sim` and by what `nbody_surrogate` itself names,
so that it holds wherever things are inside. `compare` holds every value of every file against its
twin, bit for bit. `read` lets the version at hand read a copy of what another one made. It goes on
with the runs and trainings that were killed, which must end with the bits of those that were not,
and does the jobs of `READING` again. Both end with exit code 1 where something is not as it was.
Make both folders on one machine, with one set of libraries; it takes Linux.

No two runs agree in times, so these are left out: values of JSON by the names in `IGNORED`, also
in H5MD and restart files; the hash of weights that were trained here, whose card holds times,
while their tensors count; the identifier of a run and the SHA-256 of a restart file; the time
stamps in an .npz archive; and tables in Markdown, which show times. So is the version of an H5MD
file's creator.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from file_values import IGNORED, bits, differences, document_of
from same_bits_jobs import FINISHED, INPUTS, KILLED, MAKING, POLICIES, READING

import nbody_surrogate as nb

NBODY_SIM = Path(sys.executable).with_name("nbody-sim")
CWD = Path("/proc/self/cwd")  # restart files name outputs by absolute paths; this follows a copy
SEED, FRAMES, SEGMENT = 7, 12, 5
SYSTEMS = (
    *("charged", "charged-clipped", "gravity", "oscillator"),
    *("pendulum", "penning", "springs", "trap"),
)
WEIGHTS = ("set", "set-small", "set-kernel")
FIXED = ("leapfrog", "yoshida4", "symplectic-euler", "rk4", "boris")
METHODS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ("dop853", "rk45", "dop853-compiled", *FIXED)),
    *((name, {}) for name in ("ballistic", "copy-last")),
    *((name, {"backend": "torch"}) for name in FIXED),
    *((name, {"threads": 2}) for name in ("dop853-compiled", "leapfrog")),
    *(("dop853", {"rtol": 1e-5}), ("rk4", {"step": 0.02})),
    *(("set", {"weights": w, "dtype": d}) for w in WEIGHTS for d in ("float32", "float64")),
]
SHAPES = ((1, 5, 3), (4, 3, 3), (2, 6, 2))  # trajectories, particles, dimensions
SMALL = {"weights": "set-small"}
GUARDS = {each: nb.Guard(each, energy=1e-3) for each in POLICIES}
STOPPED: dict[str, tuple[str, str, dict[str, Any]]] = {  # system, method and options, from Python
    "dop853": ("gravity", "dop853", {}),
    "rk45": ("pendulum", "rk45", {}),
    "compiled": ("trap", "dop853-compiled", {"threads": 2}),
    "leapfrog": ("springs", "leapfrog", {}),
    "boris": ("penning", "boris", {}),
    "float64": ("charged", "set", {"dtype": "float64"}),
    **{each: ("trap", "set", {"weights": each}) for each in WEIGHTS},
    **{each: ("trap", "set", {**SMALL, "guard": guard}) for each, guard in GUARDS.items()},
}


class StoppedError(Exception):
    """Raised in the middle of a run."""


def stop(done: float, total: int) -> None:
    """Raise in the second segment; called with the frames done so far."""
    if done > SEGMENT:
        raise StoppedError


def simulate(system: str, name: str, shape: tuple[int, int, int], path: Path, **more: Any) -> None:
    """Run a method from seeded starts; `more` are its options and those of `simulate`."""
    keys = more.keys() & {"guard", "verify", "checkpoint", "progress"}
    others = {key: more.pop(key) for key in keys}
    output: Any = path
    if hasattr(nb, "Output"):
        output = nb.Output(path, checkpoint=others.pop("checkpoint", None))
        progress = others.pop("progress", None)
        others["observers"] = [] if progress is None else [progress]
    else:  # a version before observers
        others["seed"] = SEED
    physics, method = nb.make_system(system), nb.make_integrator(name, segment=SEGMENT, **more)
    trajectories, n, dimensions = shape
    start = physics.sample(SEED, n, trajectories, dimensions)
    nb.simulate(physics, *start, FRAMES, method, output=output, **others)


def runs() -> None:
    """Run all methods on all systems; where they do not fit, keep what is said."""
    refused = {}
    for system, (name, options) in itertools.product(SYSTEMS, METHODS):
        for shape, verify in (*((shape, False) for shape in SHAPES), (SHAPES[1], True)):
            parts = (system, name, *options.values(), *shape, *["verified"] * verify)
            label = "-".join(map(str, parts))
            try:
                simulate(system, name, shape, Path(f"runs/{label}.h5"), verify=verify, **options)
            except nb.NBodyError as error:
                refused[label] = str(error)
    Path("runs/refused.json").write_text(json.dumps(refused))


def steps() -> None:
    """Let each set of weights answer once, after frames that no solver had a part in."""
    rng, system = np.random.default_rng(SEED), nb.make_system("charged")
    for weights in WEIGHTS:
        method = nb.make_integrator("set", weights=weights, dtype="float64")
        x, v = rng.normal(size=(2, 2, method.history, 6, 3))
        particles = nb.Particles(rng.choice([-1.0, 1.0], size=(2, 6)), np.ones((2, 6)))
        start = method.start(system, nb.State(0.0, x[:, 0], v[:, 0]), particles, 0.1)
        made = method.advance(method.restart(start.problem, 50, x, v), 1)
        known = np.array([method.fingerprint, method.description["weights_hash"]])
        np.savez(f"runs/step-{weights}.npz", x=made.x, v=made.v, known=known)


def stopped_runs() -> None:
    """Run methods to their end, and again until something is raised in their second segment."""
    for name, kind in itertools.product(STOPPED, ("whole", "killed")):
        system, method, options = STOPPED[name]
        folder = CWD / kind / name
        folder.mkdir(parents=True)
        files = {"path": folder / "run.h5", "checkpoint": folder / "restart"}
        progress = stop if kind == "killed" else None
        with suppress(StoppedError):
            simulate(system, method, SHAPES[1], **files, progress=progress, **options)
        if files["path"].exists() != (kind == "whole"):
            raise SystemExit(f"the {kind} run {name} did not end where it was to end")


def nbody_sim(words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line."""
    return subprocess.run([NBODY_SIM, *words.split()], capture_output=True, text=True)


def do(kind: str, name: str, words: str) -> subprocess.CompletedProcess[str]:
    """Run a command, and keep what it says in its folder."""
    folder = Path(kind, name)
    folder.mkdir(parents=True)
    done = nbody_sim(words.replace("{}", str(CWD / folder if name in KILLED else folder)))
    said: Any = done.stdout
    with suppress(ValueError):
        said = json.loads(said)
    told = [line for line in done.stderr.splitlines() if line.startswith(("Error", "Warning"))]
    found = {"words": words, "code": done.returncode, "said": said, "told": told}
    (folder / "command.json").write_text(json.dumps(found))
    return done


def kill(name: str, words: str, place: Any) -> None:
    """Run a command and kill it where it is at a place; again where that was missed."""
    folder = CWD / "killed" / name
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        child = subprocess.Popen(
            [NBODY_SIM, *words.replace("{}", str(folder)).split()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while child.poll() is None and place_of(folder) != place:
            time.sleep(0.002)
        child.kill()
        child.wait()
        if place_of(folder) == place:
            return
    raise SystemExit(f"{name} was not killed at {place}")


def place_of(folder: Path) -> Any:
    """How far the restart file or the checkpoint of a command is."""
    restart, checkpoint = folder / "restart", folder / "run" / "checkpoint.json"
    if restart.exists():
        document = document_of(restart)
        return document["note"]["stage"], document["frame"]
    if not checkpoint.exists() or len(list((folder / "run").glob("checkpoint-*"))) > 1:
        return None  # the one before is still there for a moment
    return json.loads(checkpoint.read_bytes())["step"]


def make(folder: Path) -> list[str]:
    """Do all jobs in a new folder."""
    print(f"nbody-surrogate {nb.__version__}: {nb.__file__}")
    for kind in ("inputs", "runs"):
        (folder / kind).mkdir(parents=True)
    with chdir(folder):
        for name, text in INPUTS.items():
            Path("inputs", name).write_text(text)
        x, v = np.array([[[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]], np.zeros((2, 3))])
        np.savez("inputs/start.npz", x=x, v=v, charges=[1.0, -1.0], masses=[1.0, 1.0])
        for job in (runs, steps, stopped_runs):
            timed(job.__name__, job)
        for name, words in MAKING.items():
            timed(f"making/{name}", do, "making", name, words)
        for name, (words, place) in KILLED.items():
            timed(f"whole/{name}", do, "whole", name, words)
            timed(f"killed/{name}", kill, name, words, place)
        for name, words in READING.items():
            timed(f"reading/{name}", do, "reading", name, words)
    return []


def timed(what: str, job: Callable[..., Any], *arguments: Any) -> None:
    """Say how long a job takes."""
    began = time.perf_counter()
    job(*arguments)
    print(f"{time.perf_counter() - began:6.1f} s  {what}", flush=True)


def compare(old: Path, new: Path) -> list[str]:
    """Compare two folders, print a line for each kind of file, and return what differs."""
    counts, lines = differences(old, new)
    for kind in sorted({kind for kind, _ in counts}):
        files, values, wrong = (counts[kind, what] for what in ("files", "values", "differ"))
        print(f"{kind:14} {files:5} files {values:7} values {wrong:5} differ")
    print("left out: .md, " + ", ".join(sorted(IGNORED)))
    return lines


def refusal(done: subprocess.CompletedProcess[str]) -> str | None:
    """Return the one line by which a command refuses what it was given, None if it does not."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    clear = len(lines) == 1 and "unexpected" not in lines[0] and "Traceback" not in done.stderr
    return lines[0] if clear and done.returncode in (1, 2) else None


def judged(job: Callable[..., list[str]], *arguments: Any) -> tuple[str | None, list[str]]:
    """Return the line by which something is refused, or what is wrong with it."""
    try:
        return None, job(*arguments)
    except nb.NBodyError as error:
        return str(error), []
    except Exception as error:  # the others shall be looked at all the same
        return None, [repr(error)]


def done_well(words: str) -> list[str]:
    """Run a command; raise where it refuses, and return what it says where it fails otherwise."""
    done = nbody_sim(words)
    if line := refusal(done):
        raise nb.RunError(line)
    return [done.stderr] if done.returncode else []


def read_run(path: Path) -> list[str]:
    """Read a run, and return where it is not what plain HDF5 says."""
    run, wrong = nb.read_h5md(path), []
    with h5py.File(path, "r", locking=False) as file:
        for b, trajectory in enumerate(run):
            for key, mine in (("position", trajectory.x), ("velocity", trajectory.v)):
                stored = file[f"particles/trajectory_{b:04d}/{key}/value"][: len(mine)]
                wrong += [f"{key} of trajectory {b}"] * (bits(stored) != bits(mine))
    return wrong


def go_on(name: str, *options: str) -> list[str]:
    """Go on with what was killed, and return where it is not what was never killed."""
    place, wrong = Path("killed", name), []
    if name in STOPPED:
        nb.resume(place / "restart", allow_inexact=bool(options))
    else:
        verb = f"train -q --resume {place}/run" if name == "train" else f"resume -q {place}/restart"
        wrong = done_well(" ".join([verb, *options]))
    return wrong + differences(Path("whole", name), place, ".h5", ".safetensors")[1]


def do_again(name: str, words: str) -> list[str]:
    """Do what another version did, on its files, and return what comes out otherwise."""
    done, before = do("reading", name, words), Path("before", name)
    code = json.loads((before / "command.json").read_text())["code"]
    if done.returncode != code and (line := refusal(done)):
        raise nb.RunError(line)
    return differences(before, Path("reading", name))[1]


def read(old: Path) -> list[str]:
    """Read a copy of a folder, say what is refused, and return what is wrong."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []

    def note(what: str, refused: str | None, lines: list[str]) -> None:
        counts["refused" if refused else "wrong" if lines else "read"] += 1
        wrong.extend(f"{what}: {line}" for line in lines)
        print(f"refused {what}: {refused}" if refused else f"{'WRONG' if lines else 'read'} {what}")

    with tempfile.TemporaryDirectory() as scratch, chdir(shutil.copytree(old, Path(scratch, "it"))):
        for path in sorted(Path().rglob("*.h5*")):
            if not path.name.startswith("shard-"):
                note(str(path), *judged(read_run, path))
        Path("reading").rename("before")
        for name, words in READING.items():
            note(words, *judged(do_again, name, words))
        for name in (*STOPPED, *KILLED):
            refused, lines = judged(go_on, name)
            note(f"resume {name}", refused, lines)
            if refused and name != "train":  # as after a change of version; bits count even so
                more = "--allow-inexact"
                note(f"resume {name} {more}", *judged(go_on, name, more))
        for words in FINISHED:
            note(words, *judged(done_well, words))
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return wrong


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["make", "compare", "read"])
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args()
    if len(options.folders) != 1 + (options.verb == "compare"):
        parser.error(f"`{options.verb}` takes another number of folders")
    for folder in options.folders:
        if folder.exists() != (options.verb != "make"):
            parser.error(f"{str(folder)!r} must{' not' * (options.verb == 'make')} exist")
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}  # of the commands, too
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", nb.NBodyWarning)
    jobs: dict[str, Callable[..., list[str]]] = {"make": make, "compare": compare, "read": read}
    lines = jobs[options.verb](*options.folders)
    print("\n".join(["different:", *lines]) if lines else "all as it should be")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
