"""The commands that `same_bits.py` runs, by name."""

from __future__ import annotations

from typing import Any

__all__ = ["FINISHED", "INPUTS", "KILLED", "MAKING", "POLICIES", "READING"]

POLICIES = ("warn", "stop", "fallback")
INPUTS = {
    "set.toml": """
        surrogate = "set"
        model = { width = 8, substeps = 2, history = 3 }
        steps = 12
        checkpoint_every = 4
        validate_every = 6
        unroll = 2
        unroll_steps = 4
        data = [  # batches are large, so that a step takes a while, in which the kill comes
            { batch = 256, spec = { trajectories = 100, frames = 40 } },
            { batch = 64, live = true, spec = { system = "trap", particles = 8, frames = 40 } },
        ]
    """,
    "study.toml": """
        title = "Tiny"
        seeds = [0]
        steps = 4
        training = { batch = 4 }
        models = [
            { name = "paper", surrogate = "set-paper", config = { blocks = 1, width = 8 } },
            { name = "egnn", surrogate = "egnn", config = { width = 8 } },
            { name = "mlp", surrogate = "mlp", config = { history = 10 } },
        ]
        [[data]]
        name = "data"
        rotated = "all"
        spec = { preset = "set-paper", trajectories = 30, horizon = 100 }
    """,
}

# Commands by name. {} is a folder of its own, which also gets what the command says.
RUN = "run -n 8 --json -o {}/run.h5"
GUARDED = f"{RUN} --system trap --integrator set --trajectories 8 --duration 15"
GENERATE = "dataset generate -q -n 5 --trajectories 12 --shard 5 -o {}/set --preset"
SETS = ("charged", "trap", "gravity", "springs", "nbody-small", "set-paper", "released", "mine")
MAKING = {
    "run-set": f"{RUN} --integrator set --trajectories 2 --duration 2 --verify",
    "run-alone": f"{RUN} --integrator leapfrog --step 0.01 --no-reference --verify --seed 3 "
    "--softening 0.2 -p mass_range=[0.5,2]",
    "run-failing": "run --json -o {}/run.h5 --initial inputs/start.npz --softening 0 --duration 1",
    **{f"run-{each}": f"{GUARDED} --guard {each} --threshold energy=1e-3" for each in POLICIES},
    "compare": "compare --integrators set-small,leapfrog:4,dop853+numpy:1e-6 -n 5 --seeds 3 --json "
    "-o {}/table",
    "evaluate": "evaluate set-small --system charged -n 5 --trajectories 4 --json",
    "models": "models show set-small",
    **{f"data-{each}": f"{GENERATE} {each} --frames 60" for each in SETS[:4]},
    "data-nbody-small": f"{GENERATE} nbody-small --workers 2",
    "data-set-paper": f"{GENERATE} set-paper --horizon 300",
    "data-released": f"{GENERATE} set-paper-as-released --horizon 300",
    "data-mine": f"{GENERATE} gravity --integrator leapfrog -p softening=0.2 --frames 20",
    "study": "study -q inputs/study.toml --workers 1 -o {}/study",
}
KILLED: dict[str, tuple[str, Any]] = {  # and where: at which stage and frame, or at which step
    "cli-method": (f"{GUARDED} --guard fallback --checkpoint {{}}/restart", ("method", 100)),
    "cli-reference": (
        f"{RUN} --integrator rk4 --reference dop853 --trajectories 40 --duration 15 "
        "--checkpoint {}/restart",
        ("reference", 50),
    ),
    "train": ("train -q inputs/set.toml --workers 1 -o {}/run", 8),
}
READING = {
    **{f"verify-{each}": f"dataset verify making/data-{each}/set" for each in SETS},
    "info": "dataset info --json making/data-released/set",
    **{f"audit-{each}": f"dataset audit --json making/data-{each}/set" for each in SETS[4:7]},
    "export-npz": "dataset export making/data-springs/set -o {}/files",
    "export-nri": "dataset export making/data-nbody-small/set --format nri -o {}/files",
    "import": "dataset import reading/export-nri/files -q --task 30:40 -o {}/set",
    **{
        f"export-run-{each}": f"export making/run-set/run.h5 {{}}/run.{each}"
        for each in ("extxyz", "npz", "vtkhdf")
    },
    "compare": "compare making/run-set/run.reference.h5 making/run-set/run.h5 --json -o {}/table",
    "initial": "run --initial making/run-set/run.h5 --initial-frame 7 --json -o {}/run.h5",
    "weights": f"{RUN} --integrator set --weights whole/train/run/weights",
    "evaluate-set": "evaluate whole/train/run --dataset making/data-charged/set --json",
    "evaluate-egnn": "evaluate making/study/study/cells/egnn-data-n5-seed0 --json --dataset "
    "making/study/study/data/data-n5",
}
FINISHED = (  # and what Python began, which a command cannot go on with
    "resume -q whole/cli-method/restart",
    "train -q --resume whole/train/run",
    "resume -q killed/dop853/restart",
)
