"""What `nbody-sim discover` finds in tracks of `dust`, against the truth, seed by seed.

    python benchmarks/discover.py --seeds 50 --output discover.json
    python benchmarks/discover.py --seeds 3 --archives tracks       # for discover_rivals.py, too
    python benchmarks/discover.py --show discover.json              # the table once more

Twelve unlike grains with wakes in a trap, 8 000 frames of 0.05, positions with noise of 1e-3 of the
spacing. A bath of temperature 0.15 has heated them before; in the tracks the drag is 0.02 and the
bath of 2e-5 kicks but little, since stronger kicks hide the law: with drag g, temperature T and
velocities v, no method can tell a drag in a time t better than to sqrt(2 T / (g v^2 t)). Wakes are
softened at 0.3. The first 80 % of the frames are fitted, one process and one core for each seed.

Errors are relative: rms over grains for charge and charge over mass (as ratios to their mean) and
for the drag; rms over visited separations, both ways, for the whole pair force, after the one scale
that tracks do not tell. Covered is the share of true values within intervals of 95 %.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from discover_rivals import scores
from discover_tracks import FRAMES, NOISE, PARTICLES, ceiling, central_force, spacing_of

import nbody_surrogate as nb
from nbody_surrogate.discovery.discover import discover
from nbody_surrogate.tracks.tracks import Tracks, TrackSource

DT, HOT, WARM_UP = 0.05, 0.15, 300
QUIET = {"temperature": 2e-5, "drag": 0.02, "wake_softening": 0.3}
DRAWS = 200


def archive(seed):
    """Return tracks and their truth, as `discover_rivals.py` takes them."""
    warm = nb.make_system("dust", frame_dt=DT, temperature=HOT, wake_softening=0.3)
    system = nb.make_system("dust", frame_dt=DT, **QUIET)
    state, particles = warm.sample(seed, PARTICLES)
    bath = nb.make_integrator("baoab", substeps=8)
    heated = nb.simulate(warm, state, particles, WARM_UP, bath)
    start = nb.State(0.0, heated.x[:, -1], heated.v[:, -1])
    run = nb.simulate(system, start, particles, FRAMES - 1, bath)
    clean, v = run.x[0], run.v[0]
    spacing = spacing_of(clean)
    noise = NOISE * spacing * np.random.default_rng([seed, 24]).normal(size=clean.shape)
    r = np.linspace(0.02, 20.0, 5000)
    mass = particles.masses[0]
    return {
        "x": clean + noise,
        "dt": DT,
        "clean": clean,
        "v": v,
        "charges": particles.charges[0],
        "masses": mass,
        "drag": system.spec.drag * mass ** (-1.0 / 3.0),
        "spacing": spacing,
        "curve_r": r,
        "curve_force": central_force(system, r),
        "ceiling": ceiling(system, clean, v, particles, spacing),
    }


def pair_forces(system, apart):
    """Forces on a particle by another one of unit charges and masses, at separations (S, D)."""
    x = np.zeros((len(apart), 2, apart.shape[1]))
    x[:, 0] = apart
    ones = np.ones((len(apart), 2))
    return system.pair_acceleration(x, nb.Particles(ones, ones))[:, 0]


def drawn_forces(found, apart):
    """Draws of the same, of unit strengths: (draws, S, D)."""
    estimate = found.estimate
    problem, layout = estimate.problem, estimate.unknowns.layout
    r = np.linalg.norm(apart, axis=1)
    central = problem.curve.matrix(r)
    force = (found.draws[:, layout.part("curve")] @ central.T)[..., None] * (apart / r[:, None])
    if problem.directed is None or not estimate.freedom.directed:
        return force
    rho, z = np.hypot(apart[:, 0], apart[:, 1]), apart[:, 2]
    index, values = problem.directed.pieces(rho, z)
    across = (found.draws[:, layout.part("across")][:, index] * values).sum(-1)
    force[..., :2] += across[..., None] * (apart[:, :2] / rho[:, None])
    force[..., 2] += (found.draws[:, layout.part("along")][:, index] * values).sum(-1)
    return force


def one(path):
    """Return the row of one archive."""
    truth = dict(np.load(path))
    names = tuple(str(i) for i in range(truth["x"].shape[1]))
    tracks = Tracks(truth["x"], float(truth["dt"]), names, source=TrackSource("twin"))
    begun = time.process_time()
    found = discover([tracks], bootstrap=DRAWS)
    seconds = time.process_time() - begun
    q, m = truth["charges"], truth["masses"]
    true = {
        "charge": q / q.mean(),
        "charge_to_mass": (q / m) / (q / m).mean(),
        "drag": truth["drag"],
    }
    row = {"seconds": seconds, "memory": peak()}
    for key, values in true.items():
        rows = [each[key] for each in found.discovery["particles"]]
        value, low, high = (np.array([each[k] for each in rows]) for k in ("value", "low", "high"))
        row[key] = float(np.sqrt(np.mean((value / values - 1.0) ** 2)))
        row[f"{key}_covered"] = float(np.mean((low <= values) & (values <= high)))
    row |= force_row(truth, found)
    law = nb.make_system("discovered", **{**found.law, "temperature": 0.0})
    _, particles = law.sample(0, len(q))

    def acceleration(x, v):
        lead = x.shape[:-2]
        flat = (y.reshape(-1, *y.shape[-2:]) for y in (x, v))
        return law.acceleration(*flat, particles).reshape(*lead, *x.shape[-2:])

    row |= {
        key: value
        for key, value in scores(
            {"acceleration": acceleration, "curve": None, "charges": None,
             "charge_to_mass": None, "drag": None, "seconds": seconds},
            truth,
        ).items()
        if key.startswith("valid")
    }  # fmt: skip
    row["broken"] = [each["name"] for each in found.discovery["symmetries"] if each["broken"]]
    row["formula"] = found.discovery["formula"]
    row["noise"] = found.discovery["noise"]["position"]["value"] / (NOISE * truth["spacing"])
    row["temperature"] = found.discovery["noise"]["temperature"]["value"]
    row["r2_held_out"] = found.discovery["residuals"]["r2_held_out"]
    return row


def force_row(truth, found):
    """Return the error of the whole pair force, and how often its band covers the truth."""
    x = truth["clean"][: int(0.8 * len(truth["clean"])) : 40]
    i, j = np.triu_indices(x.shape[1], 1)
    apart = (x[:, i] - x[:, j]).reshape(-1, x.shape[2])
    apart = np.concatenate([apart, -apart])[::7]
    true = pair_forces(nb.make_system("dust", **QUIET), apart)
    ours = pair_forces(nb.make_system("discovered", **found.law), apart)
    scale = float((ours * true).sum() / (true * true).sum())
    draws = drawn_forces(found, apart)
    sizes = np.einsum("sad,ad->s", draws, true) / (true * true).sum()
    low, high = np.quantile(draws / sizes[:, None, None], [0.025, 0.975], axis=0)
    error = float(np.sqrt(((ours / scale - true) ** 2).sum() / (true**2).sum()))
    return {"force": error, "force_covered": float(np.mean((low <= true) & (true <= high)))}


def peak():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kilobytes to gigabytes


def apart(path):
    """Run one archive in a process of its own, on one core."""
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--one", str(path)]
    done = subprocess.run(
        command, env=os.environ | alone, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def interval(values):
    """Return median and the 95 % bootstrap interval of the median."""
    values = np.asarray(values, dtype=float)
    drawn = np.median(np.random.default_rng(0).choice(values, (2000, values.size)), 1)
    return np.median(values), *np.quantile(drawn, [0.025, 0.975])


def table(rows):
    good = [row for row in rows if "failed" not in row]
    print(f"{len(good)} of {len(rows)} seeds; median over seeds (95 % interval), worst seed")
    for key, bar in (
        ("charge", 0.005),
        ("charge_to_mass", 0.005),
        ("drag", 0.01),
        ("force", 0.03),
        ("seconds", 120.0),
        ("memory", 1.0),
    ):
        values = [row[key] for row in good]
        middle, low, high = interval(values)
        text = f"{key:15} {middle:.3g} ({low:.3g} to {high:.3g}), worst {max(values):.3g}"
        print(f"{text}; asked {bar:g}")
    for key in ("charge", "charge_to_mass", "drag", "force"):
        share = np.array([row[f"{key}_covered"] for row in good])
        spread = np.quantile(
            np.random.default_rng(0).choice(share, (2000, share.size)).mean(1), [0.025, 0.975]
        )
        print(f"{key:15} covered {share.mean():.3f} ({spread[0]:.3f} to {spread[1]:.3f})")
    for name in ("translation", "boost", "time-shift", "reciprocity", "isotropy", "reflection"):
        print(f"{name:15} called broken in {sum(name in row['broken'] for row in good)} seeds")
    print("valid frames", interval([row["valid"] for row in good]))
    print("share of the true law's", interval([row["valid_share"] for row in good]))
    formulas = [row["formula"] for row in good]
    print({str(name): formulas.count(name) for name in dict.fromkeys(formulas)})


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", type=int, default=50)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--output", type=Path)
    options.add_argument("--archives", type=Path)
    options.add_argument("--one", type=Path)
    options.add_argument("--show", type=Path, nargs="+")
    given = options.parse_args()
    if given.one:
        print(json.dumps(one(given.one)))
        return
    if given.show:
        rows = [json.loads(line) for path in given.show for line in path.read_text().splitlines()]
        table(rows)
        return
    folder = given.archives or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(given.first, given.first + given.seeds):
        path = folder / f"dust_{seed:03d}.npz"
        np.savez(path, **archive(seed))
        rows.append({"seed": seed, **apart(path)})
        print(rows[-1], flush=True)
        if given.output:
            # a line a seed, so that a run that is cut loses nothing
            with given.output.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
        if not given.archives:
            path.unlink()
    table(rows)


if __name__ == "__main__":
    main()
