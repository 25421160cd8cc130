"""What the past is worth where the present does not tell everything, and where it does.

    python benchmarks/memory.py --output runs/memory --seconds 40 --seeds 5

Systems with hidden variables, and `charged`, which has none; five particles. `set` is trained by
`nbody-sim train`'s trainer on the same data for the same time of one core (the steps are counted by
a trial), with and without memory; models differ in what they read of the past and in how they bring
it to the present. One step from true frames, mean squared error of positions per coordinate, over
200 starts that no training has seen and frames from 15 on, where every history is full. Beside it
the memoryless floor of the same frames, by twins.

Each row: the geometric mean over seeds of the error and of its ratio to the floor, with a Student
interval of 95 % of the logarithm over seeds, and the same ratio to the first row, paired by seeds,
with its p-value (paired t-test of logarithms, Holm over the rows of a system).

Roll-outs of 50 frames from frame 15, where a past of true frames is given: the velocity
autocorrelation of the runs, and how far it is from the truth's in units of the noise between two
halves of the truth. What the output folder holds already is taken from there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

import nbody_surrogate as nb
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.evaluation.floor.floor import memoryless_floor
from nbody_surrogate.evaluation.rollouts import Truth, one_step_of_model
from nbody_surrogate.results.paired import holm
from nbody_surrogate.training.recipe import checked_recipe
from nbody_surrogate.training.trainer import Trainer

N, TESTED, FRAMES, FIRST = 5, 200, 66, 15
ROLLED = 50
TRAINED, ROWS = 600, 40
DEFAULTS = {"substeps": 4, "history": 1}
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "charging": {
        "present alone": {},
        "attention of features, 4": {"history": 4},
        "charges, 2": {"history": 2, "memory": ["charges"]},
        "charges, 4": {"history": 4, "memory": ["charges"]},
        "charges, 8": {"history": 8, "memory": ["charges"]},
        "charges, 8, mean": {"history": 8, "memory": ["charges"], "temporal": "mean"},
        "charges, 8, GRU": {"history": 8, "memory": ["charges"], "temporal": "gru"},
    },
    "bath": {
        "present alone": {},
        "attention of features, 16": {"history": 16},
        "forces, 4": {"history": 4, "memory": ["forces"]},
        "forces, 16": {"history": 16, "memory": ["forces"]},
        "forces, 16, mean": {"history": 16, "memory": ["forces"], "temporal": "mean"},
    },
    "ties": {
        "present alone": {},
        "attention of features, 8": {"history": 8},
        "charges, 8": {"history": 8, "memory": ["charges"]},
        "pairs, 8": {"history": 8, "memory": ["pairs"]},
        "pairs, 8, mean": {"history": 8, "memory": ["pairs"], "temporal": "mean"},
    },
    "charged": {
        "present alone": {},
        "attention of features, 4": {"history": 4},
        "charges, 4": {"history": 4, "memory": ["charges"]},
    },
}


def truth_of(name: str, folder: Path) -> Truth:
    """Make the starts that are judged by, or take those that are there."""
    system, path = nb.make_system(name), folder / f"truth-{name}.npz"
    state, particles = system.sample(20_000 + N, N, TESTED)
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        solver = nb.make_integrator("rk4", substeps=32)
        run = nb.simulate(system, state, particles, FRAMES - 1, solver)
        hidden = {f"hidden.{key}": y for key, y in run.hidden.items()}
        np.savez(path, x=run.x, v=run.v, **hidden)
    with np.load(path) as there:
        hidden = {
            key.removeprefix("hidden."): there[key] for key in there if key.startswith("hidden.")
        }
        return Truth(system, there["x"], there["v"], particles, hidden)


def recipe(name: str, config: dict[str, Any], seed: int, steps: int, data: Path) -> Any:
    """Return what a model is trained by."""
    system = nb.make_system(name)
    config = {**DEFAULTS, **config}
    given = {"coupling": system.spec.coupling, "softening": system.spec.softening}
    values = {
        "surrogate": "set",
        "model": {**config, **given},
        "data": [{"batch": 24, "folder": str(data)}],
        "steps": steps,
        "chunk": max(12, config["history"] + 6),
        "learning_rate": 3e-3,
        "final_learning_rate": 1e-5,
        "rise": 50,
        "engine": "torch",  # for all alike: memory has no compiled training
        "seed": seed,
        "validate_every": max(steps // 4, 1),
        "checkpoint_every": max(steps // 4, 1),
    }
    return checked_recipe(values, name)


def data_of(name: str, folder: Path) -> Path:
    """Make what all models of a system are trained on."""
    solver = {"integrator": "rk4", "options": {"substeps": 16}}
    spec = {
        "system": name,
        "particles": N,
        "trajectories": TRAINED,
        "frames": ROWS,
        "seed": 1,
        "splits": {"train": TRAINED - 60, "validation": 60},
        **(solver if nb.make_system(name).hidden_variables else {}),
    }
    nb.generate_dataset(spec, folder / f"data-{name}", workers=1)
    return folder / f"data-{name}"


def trained(
    name: str, label: str, seed: int, seconds: float, folder: Path, data: Path
) -> torch.nn.Module:
    """Train a model, or take it."""
    config = MODELS[name][label]
    slug = "".join(c if c.isalnum() else "-" for c in label)
    run = folder / name / slug / str(seed)
    if not (run / "weights" / "config.json").is_file():
        plan = folder / name / slug / "steps.json"
        if not plan.is_file():
            trial = folder / name / slug / "trial"
            steps = 20
            marks: list[float] = []
            clock = time.process_time
            Trainer(recipe(name, config, 0, steps, data), trial, 1, str, "cpu").run(
                lambda *_, marks=marks, clock=clock: marks.append(clock())
            )
            each = float(np.median(np.diff(marks)))
            plan.write_text(json.dumps({"steps": max(int(seconds / each), 20)}))
        steps = json.loads(plan.read_text())["steps"]
        Trainer(recipe(name, config, seed, steps, data), run, 1, str, "cpu").run()
    return nb.load_model(run)


@torch.inference_mode()
def rolled(model: Any, truth: Truth) -> np.ndarray:
    """Velocities of roll-outs (B, ROLLED + 1, N, D) from frame 15, with the true past."""
    x, v = (torch.tensor(y) for y in (truth.x, truth.v))
    particles = ParticleTensors.from_particles(
        truth.particles, torch.device("cpu"), model.dtype, truth.field_law
    )
    cache = model.start_cache(x[:, :FIRST], v[:, :FIRST], particles)
    now = [x[:, FIRST], v[:, FIRST]]
    made = [now[1]]
    for _ in range(ROLLED):
        dx, dv, cache = model.step_cache(cache, *now, particles)
        now = [now[0] + dx.double(), now[1] + dv.double()]
        made.append(now[1])
    return torch.stack(made, 1).numpy()


def autocorrelation(v: np.ndarray) -> np.ndarray:
    """<v(0) v(t)> over <v(0)^2> of each trajectory's ensemble, (T,)."""
    return np.asarray((v[:, :1] * v).mean((0, 2, 3)) / (v[:, :1] ** 2).mean())


def vacf_error(model: Any, truth: Truth) -> float:
    """Largest distance of the autocorrelation from the truth's, in units of its noise.

    The noise is the standard error over starts of the same distance, by a bootstrap of the truth.
    """
    exact = truth.v[:, FIRST : FIRST + ROLLED + 1]
    made = rolled(model, truth)
    rng = np.random.default_rng(0)
    draws = [autocorrelation(exact[rng.integers(TESTED, size=TESTED)]) for _ in range(200)]
    noise = np.maximum(np.std(draws, axis=0), 1e-6)
    off = np.abs(autocorrelation(made) - autocorrelation(exact)) / noise
    return float(off[1:].max())


def interval(logs: np.ndarray) -> str:
    """Geometric mean with its Student interval over seeds."""
    mean = logs.mean()
    half = (
        stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
        if len(logs) > 1
        else np.nan
    )
    return f"{np.exp(mean):.2g} ({np.exp(mean - half):.2g}..{np.exp(mean + half):.2g})"


def study(name: str, seeds: int, seconds: float, folder: Path) -> None:
    """Train, score and print a system."""
    truth, data = truth_of(name, folder), data_of(name, folder)
    floor = np.nan
    if truth.system.hidden_variables:
        found = memoryless_floor(truth, FIRST)
        floor = found.x.value
        print(f"\n`{name}`, memoryless floor {found.x}, by {found.twins} twins of each state")
    else:
        print(f"\n`{name}`, which hides nothing")
    errors, velocity, sizes = {}, {}, {}
    for seed in range(seeds):  # seed by seed, so that an early end leaves whole tables
        for label in MODELS[name]:
            model = trained(name, label, seed, seconds, folder, data)
            sizes[label] = sum(each.numel() for each in model.parameters())
            path = folder / name / f"{label}-{seed}.json".replace(" ", "-")
            if not path.is_file():
                x, _ = one_step_of_model(model, truth, FIRST)
                path.write_text(json.dumps([float(x.mean()), vacf_error(model, truth)]))
            error, off = json.loads(path.read_text())
            errors.setdefault(label, []).append(np.log(error))
            velocity.setdefault(label, []).append(off)
            print(f"  seed {seed}, {label}: x {error:.2e}, VACF off by {off:.1f}", flush=True)
    first = np.array(next(iter(errors.values())))
    labels = list(errors)
    tests = [
        float(stats.ttest_rel(np.array(errors[each]), first).pvalue) if seeds > 1 else np.nan
        for each in labels[1:]
    ]
    adjusted = [np.nan, *(holm(tests) if seeds > 1 else tests)]
    print(
        "\n| model | parameters | x-MSE | over the floor | over the first row | p | VACF off by |"
    )
    print("|---|---|---|---|---|---|---|")
    for label, p in zip(labels, adjusted, strict=True):
        logs, off = np.array(errors[label]), velocity[label]
        over = "" if np.isnan(floor) else interval(logs - np.log(floor))
        paired = "" if np.isnan(p) else interval(logs - first)
        chance = "" if np.isnan(p) else f"{p:.1g}"
        print(
            f"| {label} | {sizes[label]} | {interval(logs)} | {over} | {paired} | {chance} "
            f"| {np.mean(off):.1f} ({min(off):.1f}..{max(off):.1f}) |"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Study the systems."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("runs/memory"))
    parser.add_argument("--seconds", type=float, default=40.0, help="of a training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--systems", nargs="+", choices=list(MODELS), default=list(MODELS))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in given.systems:
        study(name, given.seeds, given.seconds, given.output)


if __name__ == "__main__":
    main()
