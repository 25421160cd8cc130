"""Files of others and for others."""

from __future__ import annotations

import os

import numpy as np

from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.spec import DatasetSpec

T, N = 4, 3
THEIRS = {"train": "train", "validation": "valid", "test": "test"}
ALL = tuple(THEIRS.values())
PUBLISHED = "_charged5_initvel1small"  # the suffix of EGNN's files


def assert_same_bits(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.tobytes() == theirs.tobytes()


def saved(path, array, **options):
    """Save an array as NumPy does."""
    with path.open("wb") as stream:
        np.save(stream, array, **options)
    return path


class Bomb:
    """A Python object that makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def pickled_array(path, bomb):
    saved(path, np.array([bomb, bomb], object), allow_pickle=True)


def made(folder, splits=(("train", 5), ("validation", 2), ("test", 3)), **changes):
    """Make a small data set, whose splits share shards."""
    sizes = {"particles": N, "first": 1, "frames": T, "trajectories": sum(dict(splits).values())}
    return generate_dataset(DatasetSpec(**sizes, splits=dict(splits), shard=4, **changes), folder)


def split_of(dataset, split):
    part = dataset.part(split)
    return dataset.read(part.start, part.stop)


def tree(folder):
    """The content of all files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_nri(folder, splits=ALL, suffix="", without=(), rows=T, dimensions=3):
    """Write files as others do."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for split in splits:
        size = {"train": 3, "valid": 2, "test": 2}[split]
        loc, vel = rng.normal(size=(2, size, rows, dimensions, N))
        charges = rng.choice([-1.0, 1.0], size=(size, N, 1))
        edges = charges @ charges.swapaxes(1, 2)
        arrays = {"loc": loc, "vel": vel, "edges": edges, "charges": charges}
        for kind in arrays.keys() - set(without):
            saved(folder / f"{kind}_{split}{suffix}.npy", arrays[kind])


def rewrite(path, change):
    """Change an array of a file, in place or by returning another."""
    values = np.load(path)
    changed = change(values)
    saved(path, values if changed is None else changed)


def set_to(value, *place):
    def change(values):
        values[place] = value

    change.__name__ = f"{value} at {place}"
    return change
