"""Files as the published programs write them: charges in a box, springs in it, masses in the open.

Written from the mathematics: kick, then drift, velocities half a kick behind; masses by velocity
Verlet. All trajectories of a split are moved at once.
"""

from __future__ import annotations

import numpy as np

from exchanged import saved

H = 1e-3  # time of a step
EVERY = 100  # steps between rows


def write_charged(folder, rows, *, size=6, n=4, dimensions=2, wall=np.inf, seed=42, clip=100.0):
    """Charges +1 and -1, reflected at walls; no file tells the charges but by their products."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    found = {}
    for split, count in rows.items():
        charges = rng.choice([-1.0, 1.0], size=(size, n))
        edges = charges[:, :, None] * charges[:, None, :]

        def force(x, edges=edges):
            r = x[:, :, None] - x[:, None]
            cubed = (r**2).sum(-1) ** 1.5 + np.eye(n)
            return np.clip((edges[..., None] * r / cubed[..., None]).sum(2), -clip, clip)

        x, v = _walled(rng, (size, n, dimensions), force, count, wall)
        _save(folder, split, loc=x.swapaxes(2, 3), vel=v.swapaxes(2, 3), edges=edges)
        found[split] = charges
    return found


def write_springs(folder, rows, *, size=6, n=4, wall=np.inf, seed=42):
    """Springs of strength 0.1 in the plane between half of all pairs."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for split, count in rows.items():
        above = np.triu(rng.choice([0.0, 1.0], size=(size, n, n)), 1)
        bonds = above + above.swapaxes(1, 2)

        def force(x, bonds=bonds):
            return -0.1 * (bonds[..., None] * (x[:, :, None] - x[:, None])).sum(2)

        x, v = _walled(rng, (size, n, 2), force, count, wall)
        _save(folder, split, loc=x.swapaxes(2, 3), vel=v.swapaxes(2, 3), edges=bonds)


def write_gravity(folder, rows, *, size=4, n=5, released=False, seed=42):
    """Masses that attract each other, from row 0 on, in arrays (S, T, N, D)."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    found = {}
    for split, count in rows.items():
        masses = rng.uniform(0.5, 2.0, size=(size, n, 1))

        def pull(x, masses=masses):
            r = x[:, None] - x[:, :, None]  # from i to j
            return (masses[:, None] * r / ((r**2).sum(-1) + 0.01)[..., None] ** 1.5).sum(2)

        x, v = rng.normal(size=(2, size, n, 3))
        xs, vs, fs, a = [], [], [], pull(x)
        for step in range(count * EVERY):
            if step % EVERY == 0:
                xs.append(x)
                vs.append(v)
                fs.append(a * masses)
            x = x + H * (v + H / 2 * a)
            before, a = a, pull(x)
            v = v + H / 2 * (before + a)
        names = ("edges", "charges") if released else ("force", "mass")
        arrays = dict(zip(names, (np.stack(fs, 1), masses), strict=True))
        _save(folder, split, loc=np.stack(xs, 1), vel=np.stack(vs, 1), **arrays)
        found[split] = np.stack(xs, 1), masses[..., 0]
    return found


def _walled(rng, shape, force, rows, wall):
    x, v = rng.normal(size=shape), rng.normal(size=shape)
    v *= 0.5 / np.linalg.norm(v, axis=2, keepdims=True)
    x, v = _mirrored(x, v, wall)
    xs, vs = [], []
    v = v + H * force(x)
    for step in range(1, rows * EVERY + 1):
        x, v = _mirrored(x + H * v, v, wall)
        if step % EVERY == 0:
            xs.append(x)
            vs.append(v)
        v = v + H * force(x)
    return np.stack(xs, 1), np.stack(vs, 1)


def _mirrored(x, v, wall):
    out = np.abs(x) > wall
    return np.where(out, np.sign(x) * 2 * wall - x, x) if np.isfinite(wall) else x, np.where(
        out, -np.sign(x) * np.abs(v), v
    )


def _save(folder, split, **arrays):
    for kind, values in arrays.items():
        saved(folder / f"{kind}_{split}.npy", np.ascontiguousarray(values))
