"""Commands that write to the folder `out`, one for each kind of folder, and their inputs."""

SPEC = 'particles = 3\ntrajectories = 6\nframes = 5\nintegrator = "leapfrog"\nshard = 3\n'
RECIPE = """
surrogate = "set"
steps = 2
chunk = 4
[model]
width = 4
substeps = 2
[[data]]
batch = 2
spec = { particles = 2, trajectories = 10, frames = 6 }
"""
STUDY = """
title = "Small"
seeds = [0]
steps = 2
test = 10
training = { batch = 8 }
[[models]]
name = "straight"
surrogate = "linear"
[[data]]
name = "pairs"
particles = [2]
horizons = [4]
spec = { trajectories = 40, window = { inputs = 2, every = 1, horizon = 9 } }
"""
INPUTS = {"spec.toml": SPEC, "recipe.toml": RECIPE, "study.toml": STUDY}

RUN = ("run", "-n", 3, "--integrator", "leapfrog", "--duration", 0.3)
COMMANDS = {
    "run": (*RUN, "--overwrite", "-q", "-o", "out/x.h5", "--checkpoint", "out/x.restart"),
    "export": ("export", "run.h5", "out/x.npz", "--overwrite", "-q"),
    "paraview": ("export", "run.h5", "out/x.vtkhdf", "--overwrite", "-q"),
    "tracks": ("tracks", "run.h5", "-o", "out/x.csv", "--overwrite"),
    "page": ("render", "run.h5", "-o", "out/x.html", "--overwrite", "-q"),
    "report": ("report", "run.h5", "-o", "out/x.html", "--no-floor", "--overwrite", "-q"),
    "compare": ("compare", "run.reference.h5", "run.h5", "--no-floor", "-o", "out/x",
                "--overwrite", "-q"),
    "data": ("dataset", "generate", "spec.toml", "-o", "out", "-q"),
    "data export": ("dataset", "export", "set", "-o", "out", "--overwrite", "-q"),
    "train": ("train", "recipe.toml", "-o", "out", "--workers", 1, "-q"),
    "study": ("study", "study.toml", "-o", "out", "--workers", 1, "-q"),
}  # fmt: skip
