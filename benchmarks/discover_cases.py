"""Tracks with known symmetries: a base case that keeps all, and cases that break one each.

    python benchmarks/discover_cases.py     # how large each breaking is, how far droplets spread

Twelve particles with strengths of both signs, 16 runs of 500 frames from random starts, no kicks,
position noise 1e-3 of the mean spacing (= 1). A droplet of a molten salt with soft cores,

    m_i a_i = sum_j F_ij,  F_ij = -grad q_i q_j U(r),  U = (r^2 + a^2)^(-1/2) - b exp(-r^2 / 2 s^2),
    d = x_i - x_j,  r = |d|,  a = 0.6,  b = 3.5,  s = 0.4,

which is held together by nothing but its pairs, so that every symmetry holds. Several runs, because
what is free drifts away in the end. A case adds one term; the axis is the last one, z (in two
dimensions y):

translation          a_i += -k x_i                           one-body, fixed in space
boost                a_i += -g v_i                           one-body, fixed to a frame at rest
time shift           pair forces times 1 + c (2 t / run - 1), t from the run's first frame
reciprocity          F_ij += k q_i q_j exp(-r^2 / 2) z       even in d: F_ij = F_ji
isotropy             F_ij += -grad k q_i q_j (z^2 - r^2 / D) / (r^2 + a^2)^(3/2)
                                                             odd in d and conservative, not central
reflection           F_ij += k q_i q_j (z-axis x d) / (r^2 + a^2)^(3/2)
                                                             odd in d, swirls about the axis
charge conjugation   a_i += q_i / m_i E along z              one-body, turns with the sign
charge cube          F_ij += k q_i q_j (q_i + q_j) d exp(-r^2 / 2)
                                                             charge conjugation by the pairs alone

"Breaks exactly one" holds when these seven questions are put: do one-body forces depend on the
position; on the velocity; do forces change with time; has F_ij a part that is even in d; has its
odd part a direction of its own that a mirror through the axis keeps; has it a part that such a
mirror turns over; does a term turn with the signs of all strengths. The wider groups are broken
along with them: what is even in d picks an axis too, and so does a uniform field; a swirl about an
axis of three-dimensional space picks that axis (with `dimensions=2` it breaks reflection and no
other); `charge cube` breaks charge conjugation and nothing else in any sense.
"""

from __future__ import annotations

import argparse
import math

import numba
import numpy as np

CORE, BUMP, WIDTH = 0.6, 3.5, 0.4  # unlike ones bind at 0.9 and do not collapse onto each other
TEMPERATURE = 0.05  # the droplet is molten, and few ions evaporate
DT = 0.02
NOISE = 1e-3
PARTICLES, RUNS, FRAMES = 12, 16, 500
SUBSTEPS = 4  # of the fourth order: 0.005 is 1 / 200 of the shortest period
# Coefficients for a breaking of 5 to 8 % of the pair accelerations (rms); `main` prints it.
SIZES = {
    "translation": 0.17,
    "boost": 0.3,
    "time shift": 0.12,
    "reciprocity": 0.16,
    "isotropy": 0.14,
    "reflection": 0.14,
    "charge conjugation": 0.15,
    "charge cube": 0.1,
}
NAMES = ("none", *SIZES)
RELAXATION = np.array([0.3, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # a trap and a drag, for starts


@numba.njit
def _accelerate(x, v, progress, charges, masses, sizes, a):
    """Accelerations (N, D) at `progress` 0..1 of the run; `sizes` in the order of SIZES."""
    count, dimensions = x.shape
    axis = dimensions - 1
    strength = 1.0 + sizes[2] * (2.0 * progress - 1.0)
    d = np.empty(dimensions)
    for i in range(count):
        for k in range(dimensions):
            a[i, k] = -sizes[0] * x[i, k] - sizes[1] * v[i, k]
        a[i, axis] += sizes[6] * charges[i] / masses[i]
    for i in range(count):
        for j in range(count):
            if i == j:
                continue
            r2 = 0.0
            for k in range(dimensions):
                d[k] = x[i, k] - x[j, k]
                r2 += d[k] * d[k]
            soft = 1.0 / (r2 + CORE * CORE)
            cube = soft * math.sqrt(soft)
            near = math.exp(-0.5 * r2)
            z = d[axis]
            both = charges[i] * charges[j]
            # -grad (z^2 - r^2 / D) cube = (2 / D + 3 (z^2 - r^2 / D) soft) cube d - 2 z cube axis
            tilt = (2.0 / dimensions + 3.0 * (z * z - r2 / dimensions) * soft) * cube
            inner = BUMP / WIDTH**2 * math.exp(-0.5 * r2 / WIDTH**2)
            radial = strength * (cube - inner) + sizes[4] * tilt
            radial += sizes[7] * (charges[i] + charges[j]) * near
            weight = both / masses[i]
            for k in range(dimensions):
                a[i, k] += weight * radial * d[k]
            a[i, axis] += weight * (sizes[3] * near - sizes[4] * 2.0 * z * cube)
            a[i, 0] -= weight * sizes[5] * cube * d[1]
            a[i, 1] += weight * sizes[5] * cube * d[0]


@numba.njit
def _run(x, v, charges, masses, sizes, frames, dt, substeps):
    """Positions (frames, N, D) by the classical Runge-Kutta method."""
    out = np.empty((frames, *x.shape))
    a1, a2, a3, a4 = np.empty_like(x), np.empty_like(x), np.empty_like(x), np.empty_like(x)
    h = dt / substeps
    whole = frames * substeps
    for frame in range(frames):
        out[frame] = x
        for sub in range(substeps):
            step = frame * substeps + sub
            _accelerate(x, v, step / whole, charges, masses, sizes, a1)
            half = (step + 0.5) / whole
            v2 = v + 0.5 * h * a1
            _accelerate(x + 0.5 * h * v, v2, half, charges, masses, sizes, a2)
            v3 = v + 0.5 * h * a2
            _accelerate(x + 0.5 * h * v2, v3, half, charges, masses, sizes, a3)
            v4 = v + h * a3
            _accelerate(x + h * v3, v4, (step + 1) / whole, charges, masses, sizes, a4)
            x = x + h / 6.0 * (v + 2.0 * v2 + 2.0 * v3 + v4)
            v = v + h / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
    return out


def _start(generator, charges, masses, dimensions):
    """x, v (N, D): a droplet let cool from random places, then heated to TEMPERATURE."""
    radius = (PARTICLES / (math.pi if dimensions == 2 else 4.0 / 3.0 * math.pi)) ** (
        1.0 / dimensions
    )
    found = []
    while len(found) < PARTICLES:
        place = generator.uniform(-radius, radius, dimensions)
        if np.linalg.norm(place) < radius and all(
            np.linalg.norm(place - other) > 0.7 for other in found
        ):
            found.append(place)
    x = np.array(found)
    x = _run(x, np.zeros_like(x), charges, masses, RELAXATION, 300, DT, SUBSTEPS)[-1]
    v = generator.normal(size=x.shape) * np.sqrt(TEMPERATURE / masses)[:, None]
    weights = masses[:, None] / masses.sum()
    return x - np.sum(weights * x, 0), v - np.sum(weights * v, 0)


def sizes_of(name: str) -> np.ndarray:
    """Coefficients of all terms for a case, zero but for its own."""
    if name not in NAMES:
        raise SystemExit(f"discover_cases: no case {name!r}; there are {', '.join(NAMES)}")
    return np.array([size if key == name else 0.0 for key, size in SIZES.items()])


def case(name: str, seed: int, dimensions: int = 3, noise: float = NOISE):
    """Tracks of one case: runs [(T, N, D), ...], frame interval, truth.

    Parameters
    ----------
    name
        One of NAMES.
    seed
        Everything random: strengths, masses, starts, noise. Cases of one seed share their starts.
    dimensions
        3 or 2.
    noise
        Standard deviation of the positions.

    Returns
    -------
    runs, dt, truth
        `truth` has charges (N,), masses (N,), pair, `broken` (a list of none or one of the seven
        symmetries), `size` (rms of the added accelerations over the pairs') and the clean runs.
    """
    sizes = sizes_of(name)
    generator = np.random.default_rng([seed, dimensions])
    signs = np.where(np.arange(PARTICLES) % 2 == 0, 1.0, -1.0)
    charges = signs * np.exp(0.15 * generator.normal(size=PARTICLES))
    masses = np.exp(0.2 * generator.normal(size=PARTICLES))
    starts = [_start(generator, charges, masses, dimensions) for _ in range(RUNS)]
    clean = [_run(x, v, charges, masses, sizes, FRAMES, DT, SUBSTEPS) for x, v in starts]
    runs = [run + noise * generator.normal(size=run.shape) for run in clean]
    symmetry = "charge conjugation" if name == "charge cube" else name
    truth = {
        "charges": charges,
        "masses": masses,
        "pair": {"core": CORE, "bump": BUMP, "width": WIDTH},
        "broken": [] if name == "none" else [symmetry],
        "size": _breaking(clean, charges, masses, sizes),
        "clean": clean,
    }
    return runs, DT, truth


def _breaking(clean, charges, masses, sizes):
    """The rms of what a case adds to the accelerations, over the rms of the pair forces."""
    added, whole = 0.0, 0.0
    a, base = np.empty_like(clean[0][0]), np.empty_like(clean[0][0])
    for run in clean:
        for frame in range(5, len(run) - 1, 10):
            v = (run[frame + 1] - run[frame - 1]) / (2.0 * DT)
            at = frame / len(run), charges, masses
            _accelerate(run[frame], v, *at, sizes, a)
            _accelerate(run[frame], v, *at, np.zeros_like(sizes), base)
            added += np.sum((a - base) ** 2)
            whole += np.sum(base**2)
    return math.sqrt(added / whole)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--dimensions", type=int, default=3, choices=(2, 3))
    arguments = parser.parse_args()
    for name in NAMES:
        for seed in range(arguments.seeds):
            truth = case(name, seed, arguments.dimensions)[2]
            radius = [np.sqrt(np.mean(np.sum(run**2, -1), 1)) for run in truth["clean"]]
            ends = np.array([r[-1] for r in radius])
            print(
                f"{name:20s} seed {seed}: adds {truth['size']:.3f} of the pair accelerations; "
                f"rms radius {np.mean([r[0] for r in radius]):.2f} at first, at the end "
                f"{np.median(ends):.2f}, at most {ends.max():.1f}"
            )


if __name__ == "__main__":
    main()
