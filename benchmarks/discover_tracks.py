"""Noisy tracks of system `dust` with their truth, one archive a seed, for `discover_rivals.py`.

    python benchmarks/discover_tracks.py --seeds 3 --output tracks [--set temperature=0.03]

Twelve grains, 8 000 frames after a warm-up of 1 000, positions with noise of 1e-3 of the mean
distance to the nearest neighbour, which is the spacing. The ceiling of forecasts is that of the
true law without kicks, from the true state: what is still to come by chance nobody knows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from discover_rivals import HORIZON, THRESHOLD, held_out_starts

import nbody_surrogate as nb

PARTICLES, FRAMES, WARM_UP, NOISE = 12, 8_000, 1_000, 1e-3


def spacing_of(x):
    r = np.linalg.norm(x[::20, :, None] - x[::20, None], axis=-1) + np.where(
        np.eye(x.shape[1]), np.inf, 0.0
    )
    return float(r.min(-1).mean())


def changed(system, **parameters):
    return nb.make_system("dust", **(system.spec.model_dump() | parameters))


def ceiling(system, clean, v, particles, spacing):
    """Valid frames (S,) of the true law without kicks, from the true states."""
    starts = held_out_starts(len(clean))
    state = nb.State(0.0, clean[starts], v[starts])
    run = nb.simulate(changed(system, temperature=0.0), state, particles, HORIZON)
    ahead = np.swapaxes(run.x, 0, 1)
    true = clean[starts + np.arange(HORIZON + 1)[:, None]]
    error = np.sqrt(np.mean(np.sum((ahead - true) ** 2, -1), -1))
    wrong = error > THRESHOLD * spacing
    return np.where(wrong.any(0), wrong.argmax(0), HORIZON).astype(float)


def central_force(system, r):
    """The force between two unit charges, without wakes."""
    spec = system.spec
    screening = spec.screening_length or np.inf
    return spec.coupling * np.exp(-r / screening) * (1.0 / r + 1.0 / screening) / r


def tracks(system, seed, dimensions):
    """Everything that `discover_rivals.py` asks of an archive, by name."""
    state, particles = system.sample(seed, PARTICLES, dimensions=dimensions)
    run = nb.simulate(system, state, particles, WARM_UP + FRAMES - 1)
    clean, v = run.x[0, WARM_UP:], run.v[0, WARM_UP:]
    spacing = spacing_of(clean)
    noise = NOISE * spacing * np.random.default_rng([seed, 24]).normal(size=clean.shape)
    r = np.linspace(0.02, 20.0, 5000)
    return {
        "x": clean + noise,
        "dt": system.spec.frame_dt,
        "clean": clean,
        "v": v,
        "charges": particles.charges[0],
        "masses": particles.masses[0],
        "drag": system.drag_rates(particles)[0],
        "spacing": spacing,
        "curve_r": r,
        "curve_force": central_force(system, r),
        "ceiling": ceiling(system, clean, v, particles, spacing),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dimensions", type=int, default=3, choices=(2, 3))
    parser.add_argument(
        "--set", nargs="*", default=[], help="parameters of the system, NAME=NUMBER"
    )
    parser.add_argument("--output", required=True, help="a folder")
    arguments = parser.parse_args()
    parameters = {name: float(value) for name, value in (one.split("=") for one in arguments.set)}
    system = nb.make_system("dust", **parameters)
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.seeds):
        found = tracks(system, seed, arguments.dimensions)
        np.savez(folder / f"dust_{arguments.dimensions}d_{seed:03d}.npz", **found)
        heights = found["clean"][..., -1].std() if arguments.dimensions == 3 else 0.0
        print(
            f"seed {seed}: spacing {found['spacing']:.3f}, heights {heights:.2f}, rms speed "
            f"{np.sqrt(np.mean(found['v'] ** 2)):.2f}, ceiling {found['ceiling'].mean():.1f} frames"
        )


if __name__ == "__main__":
    main()
