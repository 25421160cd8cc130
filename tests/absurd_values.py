"""All commands with absurd values for all their options, each in a process of its own.

As a program it takes the name of a call and a folder, tries every value for every option of that
call, and prints what was no plain answer as JSON. What the commands need is loaded once: each try
is a fork.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

WHOLE = ("0", "-1", str(10**12), str(10**30), "nan", "1.5", "", "text")
REAL = ("0", "-0.0", "-1", "nan", "inf", "-inf", "1e308", "5e-324", "1e999", "", "text")
WORDS = ("", " ", "x" * 5000, "[red]", "[/]", "-1", "1e308", "../..", "/", "int8", "ünï-№", "a\nb")
SETTINGS = (
    *("a=b=c", "=", "0=", "softening=nan", "softening=1e999", "energy=nan", "softening=[[[]]]"),
    *("coupling=1e308", "mass_range=[1e308,1e308]", "frame_dt=5e-324", "frame_dt=1e308"),
)
METHODS = (",", ":", "leapfrog:", ":1", "leapfrog:0", "leapfrog:nan", "rk45:1e-300", "a:b:c")
ALSO = {
    **dict.fromkeys(("parameter", "threshold"), SETTINGS),
    **dict.fromkeys(("integrators", "integrator", "reference"), METHODS),
}
"""Further words, for options of these names."""

PATHS = (
    *("", ".", "..", "missing/deep/x.h5", "x" * 300, "run.h5/x.h5", "ünï-№.h5", "a\nb.h5"),
    *("folder", "empty.h5", "text.toml", "run.h5", "start.npz"),
)
READ = (*PATHS, "/", "/dev/null", "/dev/zero")
WRITTEN = (*PATHS, "/", "/proc/x.h5")
FOLDER = (*PATHS, "/proc", "/proc/x")  # not "/", in which a folder can well be made

SMALL = ("-n", "3", "--duration", "0.5")
RUN = ("run", *SMALL, "-o", "new.h5")
CALLS = {
    "run": (*RUN, "--integrator", "leapfrog", "--substeps", "2"),
    "run adaptive": (*RUN, "--reference", "dop853-compiled", "--verify"),
    "run guarded": (
        *(*RUN, "--integrator", "set", "--guard", "fallback", "--checkpoint", "new.restart"),
    ),
    "run from a file": ("run", "--initial", "run.h5", "--duration", "0.5", "--no-reference"),
    "resume": ("resume", "run.restart"),
    "compare files": ("compare", "run.reference.h5", "run.h5", "-o", "new"),
    "compare methods": (
        *("compare", "--integrators", "leapfrog:2,dop853", *SMALL, "--seeds", "2", "-o", "new"),
    ),
    "bench": (
        *("bench", "-n", "3", "--trajectories", "2", "--horizon", "0.5", "--batch", "1"),
        *("--integrators", "leapfrog:2,rk4:2", "--seconds", "1e-3", "-o", "new"),
    ),
    "plan": (
        *("plan", "-n", "2", "--horizon", "0.1", "--surrogate", "linear", "--seconds", "1e-3"),
        *("--recipe", "recipe.toml"),
    ),
    "evaluate": (
        *("evaluate", "set", "-n", "3", "--trajectories", "2", "--horizon", "2"),
        *("--system", "charged", "--no-classical", "-o", "new.json"),
    ),
    "calibrate": ("calibrate", "model"),
    "export": ("export", "run.h5", "new.npz"),
    "tracks": ("tracks", "run.h5", "-o", "new.csv"),
    "tracks of a table": ("tracks", "tracks.csv", "--frame-dt", "0.1", "-o", "new.npz"),
    # so few frames that they are refused before anything is sought in them
    "discover": ("discover", "tracks.csv", "--frame-dt", "0.1", "-o", "new", "--set", "1"),
    "report": ("report", "run.h5", "-o", "new.html", "--no-floor"),
    "render": ("render", "run.h5", "-o", "new.png", "--size", "64", "48"),
    "render a movie": ("render", "run.h5", "-o", "new.gif", "--size", "64", "48"),
    "train": ("train", "recipe.toml", "-o", "new", "--workers", "1"),
    "study": ("study", "study.toml", "-o", "new", "--workers", "1"),
    "models show": ("models", "show", "set"),
    "models list": ("models", "list"),
    "models domain": ("models", "domain", "model", "recipe.toml", "--workers", "1"),
    "plugins list": ("plugins", "list"),
    "plugins show": ("plugins", "show", "leapfrog"),
    "plugins check": ("plugins", "check", "ballistic"),
    "plugins new": ("plugins", "new", "my-own", "-o", "new"),
    "dataset generate": (
        *("dataset", "generate", "--preset", "charged", "--trajectories", "4", "-n", "3"),
        *("--frames", "3", "-o", "new"),
    ),
    "dataset info": ("dataset", "info", "set"),
    "dataset verify": ("dataset", "verify", "set"),
    "dataset audit": ("dataset", "audit", "set", "--sample", "2"),
    "dataset audit files": ("dataset", "audit", "nri", "--sample", "2"),
    "dataset export": ("dataset", "export", "set", "-o", "new"),
    "dataset import": ("dataset", "import", "nri", "-o", "new"),
}

ONLY = {
    # in these calls other options are what they are in the first of their command
    "run adaptive": {"--rtol", "--atol", "--reference", "--threads", "--device", "--duration"},
    "run guarded": {"--threshold", "--spot-checks", "--guard", "--weights", "--device", "--dtype",
                    "--threads", "--checkpoint", "--particles", "--trajectories"},
    "run from a file": {"--initial", "--initial-frame", "--parameter", "--frame-dt"},
    "compare methods": {"--integrators", "--system", "--parameter", "--particles", "--seeds",
                        "--seed", "--duration", "--reference", "--device", "--threads"},
    "render a movie": {"--output", "--size", "--fps", "--trail", "--frame", "--title",
                       "--colouring"},
}  # fmt: skip

LONG = {
    # what a user may well ask for, and then ends by Ctrl-C
    "--substeps", "--step", "--rtol", "--atol", "--reference-substeps", "--reference-step",
    "--reference-rtol", "--reference-atol", "--duration", "--frame-dt", "--parameter", "--fps",
    "--seconds", "--horizon", "--integrators", "--reference", "--minutes", "--steps", "--frames",
    "--integrator", "--trail", "--size",
}  # fmt: skip

PATIENCE, ENDS_WITHIN = 60.0, 30.0  # seconds; on a machine that is busy with other things
MEMORY = 6 * 2**30
"""Bytes of address space beyond what is loaded: what would take more is to say so."""

RECIPE = """
surrogate = "linear"
steps = 2
chunk = 2
[[data]]
batch = 2
[data.spec]
system = "charged"
particles = 3
trajectories = 6
frames = 8
splits = { train = 4, validation = 2 }
"""
STUDY = """
title = "Small"
seeds = [0]
steps = 2
test = 4
training = { batch = 4 }
[[models]]
name = "straight"
surrogate = "linear"
[[data]]
name = "pairs"
particles = [2]
horizons = [4]
spec = { trajectories = 20, window = { inputs = 2, every = 1, horizon = 9 } }
"""


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str
    long: bool


def leaf(call: tuple[str, ...]) -> tuple[click.Command, int]:
    """The command that a call names, and how many words that takes."""
    from nbody_surrogate.cli import main

    command: click.Command = main
    for count, word in enumerate(call):
        if not isinstance(command, click.Group):
            return command, count
        command = command.commands[word]
    return command, len(call)


def tries(name: str) -> list[tuple[str, tuple[str, ...]]]:
    """For each option and argument of a call its name, and the call with an absurd value for it."""
    call = CALLS[name]
    command, words = leaf(call)
    found = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            for value in READ if isinstance(parameter.type, click.Path) else WORDS:
                # in the place of the first argument that the call has, else behind
                changed = list(call)
                if words < len(call) and not call[words].startswith("-"):
                    changed[words] = value
                else:
                    changed.append(value)
                found.append((parameter.name, tuple(changed)))
        elif isinstance(parameter, click.Option) and not parameter.is_flag:
            option = parameter.opts[-1]
            for value in _values(parameter):
                found.append((option, (*_without(call, parameter), option, *value)))
    only = ONLY.get(name)
    return found if only is None else [each for each in found if each[0] in only]


def _values(option: click.Option) -> list[tuple[str, ...]]:
    if isinstance(option.type, click.Tuple):
        return [(value, value) for value in WHOLE]
    if isinstance(option.type, click.Path):
        outputs = ("output", "checkpoint", "render", "report", "data")
        folders = "older" in (option.help or "")
        kind = READ if option.name not in outputs else FOLDER if folders else WRITTEN
        return [(value,) for value in kind]
    kinds = {click.INT: WHOLE, click.FLOAT: REAL}
    texts = (*WORDS, *ALSO.get(str(option.name), ()))
    return [(value,) for value in kinds.get(option.type, texts)]


def _without(call: tuple[str, ...], option: click.Option) -> tuple[str, ...]:
    """Leave out an option that the call gives."""
    kept, skip = [], 0
    for word in call:
        if word in option.opts:
            skip = 1 + option.nargs
        if skip:
            skip -= 1
            continue
        kept.append(word)
    return tuple(kept)


def prepare(folder: Path) -> None:
    """Write the files that the calls read."""
    folder.mkdir()
    os.chdir(folder)
    Path("folder").mkdir()
    Path("empty.h5").touch()
    Path("text.toml").write_text("x = 1\n")
    Path("recipe.toml").write_text(RECIPE)
    Path("study.toml").write_text(STUDY)
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, 3, 3))
    np.savez("start.npz", x=x, v=v, charges=np.ones(3), masses=np.ones(3))
    made = [
        ("run", *SMALL, "--integrator", "leapfrog", "-o", "run.h5"),
        ("tracks", "run.h5", "--noise", "1e-3", "-o", "tracks.csv"),
        (*CALLS["dataset generate"][:-1], "set"),
        ("dataset", "export", "set", "--format", "nri", "-o", "nri"),
        ("train", "recipe.toml", "-o", "model", "--workers", "1", "-q"),
    ]
    for call in made:
        outcome = tried(call)
        assert outcome.code == 0, outcome
    _stop_in_the_middle()


def _stop_in_the_middle() -> None:
    from nbody_surrogate.cli import main
    from nbody_surrogate.simulation.checkpoint_writer import CheckpointWriter

    if not os.fork():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        written = CheckpointWriter.on_segment

        def stop(self, run, new):
            written(self, run, new)
            if run.done > 100:
                os._exit(0)

        CheckpointWriter.on_segment = stop
        checkpoint = ("--checkpoint", "run.restart")
        main(["run", "-n", "3", "--duration", "20", "-o", "stopped.h5", "-q", *checkpoint])
    os.wait()
    assert Path("run.restart").exists()


def tried(call: tuple[str, ...], patience: float = PATIENCE) -> Outcome:
    """Run a call in a fork; where it takes long, press Ctrl-C."""
    files = [Path(f"/tmp/{kind}.{os.getpid()}") for kind in ("out", "err")]
    process = os.fork()
    if not process:
        _run(call, files)
    end, long = time.monotonic() + patience, False
    while not (ended := os.waitpid(process, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.killpg(process, signal.SIGKILL if long else signal.SIGINT)
            end, long = time.monotonic() + ENDS_WITHIN, True
        time.sleep(2e-3)
    texts = [file.read_text(errors="replace") for file in files]
    for file in files:
        file.unlink()
    return Outcome(os.waitstatus_to_exitcode(ended[1]), *texts, long)


def _run(call: tuple[str, ...], files: list[Path]) -> None:
    from nbody_surrogate.cli.start import start

    code = 99
    try:
        os.setsid()  # so that what it starts can be ended with it
        for number, file in enumerate(files, start=1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["nbody-sim", *call]
        start()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def complaint(name: str, outcome: Outcome) -> str | None:
    """What is wrong with an outcome, if anything is."""
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if not line.startswith("Warning: ")]
    if outcome.long:
        allowed = name in LONG and outcome.code in (0, 1, 130)
        return None if allowed and "Traceback" not in outcome.stderr else "takes long"
    if outcome.code not in (0, 1, 2):
        return "exit code"
    if any(word in outcome.stderr for word in ("Traceback", "unexpected", "Exception")):
        return "unexpected"
    if outcome.code and (len(errors) != 1 or not errors[0].startswith("Error: ")):
        return "not one line"
    if outcome.code == 0 and outcome.stderr.count("Error"):
        return "error with exit code 0"
    return None


def main(name: str, place: str) -> None:
    """Try all for one call, and print what was no plain answer."""
    import torch

    import nbody_surrogate.cli.commands
    import nbody_surrogate.comparison.comparison
    import nbody_surrogate.datasets
    import nbody_surrogate.simulation.simulate  # noqa: F401

    torch.set_num_threads(1)  # of which none is left in a fork
    fixture, folder = Path(place, "files"), Path(place, "try")
    # made where they are tried: a restart file names its output by the whole path
    prepare(folder)
    shutil.copytree(folder, fixture)
    if name == "prepare":
        return
    found, count = [], 0
    for option, call in tries(name):
        os.chdir(place)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(fixture, folder)
        os.chdir(folder)
        outcome = tried(call, 5.0 if option in LONG else PATIENCE)
        count += 1
        if "NBODY_ABSURD_LOG" in os.environ:
            print(count, option, call[-1][:40], *outcome[::3], file=sys.stderr, flush=True)
        if (why := complaint(option, outcome)) is not None:
            shown = [word if len(word) < 60 else word[:60] + "..." for word in call]
            found.append([why, shown, outcome.code, outcome.stderr[-600:]])
    print(json.dumps({"tried": count, "found": found}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
