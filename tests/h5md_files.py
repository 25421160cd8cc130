"""Small H5MD files, and what can be put in the place of their data."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.formats.h5md import H5MDWriter, read_h5md
from nbody_surrogate.results.trajectory import RunInfo

T, N = 8, 5
T0, DT = 0.3, 0.1


def make_particles(batch=3, couplings=False, seed=0):
    rng = np.random.default_rng(seed)
    bonds = rng.normal(size=(batch, N, N))
    return Particles(
        rng.choice([-1.0, 1.0], size=(batch, N)),
        rng.uniform(0.5, 2.0, size=(batch, N)),
        bonds + bonds.swapaxes(1, 2) if couplings else None,
    )


def make_frames(batch=3, dimensions=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, batch, T, N, dimensions))


def make_info(batch=3):
    return RunInfo(
        system={"system": "charged", "coupling": 1.0, "softening": 0.1},
        method={"integrator": "dop853", "rtol": 1e-9},
        versions={"numpy": "2.0"},
        wall_time=1.25,
        counters={"nfev": 17},
        status=(0,) * batch,
        message=("",) * batch,
        good=(T,) * batch,
        seed=7,
    )


def write_file(path, batch=3, dimensions=3, couplings=False, label_error=None):
    """Write a finished file in three segments; return what went in."""
    particles, (x, v) = make_particles(batch, couplings), make_frames(batch, dimensions)
    verified = label_error is not None
    with H5MDWriter(path, particles, dimensions, T, T0, DT, label_error=verified) as writer:
        for frames in (slice(0, 1), slice(1, 5), slice(5, T)):
            errors = label_error[:, frames] if verified else None
            writer.write(x[:, frames], v[:, frames], errors)
        writer.finish(make_info(batch))
    return particles, x, v


def in_groups(path):
    """Lay out an ensemble as earlier versions did: numbers in the group of each trajectory."""
    with h5py.File(path, "r+") as file:
        views = []
        file.visititems(lambda name, each: views.append(name) if _is_virtual(each) else None)
        for name in views:
            values = file[name][()]
            del file[name]
            file[name] = values
        del file[ARRAYS]
        file["parameters/nbody_surrogate/format"][...] = 1


def _is_virtual(each):
    return isinstance(each, h5py.Dataset) and each.is_virtual


def refusal(path):
    """The one line with which a file is refused."""
    with pytest.raises(FileFormatError) as caught:
        read_h5md(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


ARRAYS = "parameters/nbody_surrogate/ensemble"
VALUE = "particles/trajectory_0001/position/value"


def external_link(file, path, other):
    file[path] = h5py.ExternalLink(str(other), VALUE)


def soft_link(file, path, other):
    file[path] = h5py.SoftLink("/particles/trajectory_0000/position/value")


def virtual_dataset(file, path, other):
    layout = h5py.VirtualLayout(shape=(T, N, 3), dtype="<f8")
    layout[...] = h5py.VirtualSource(str(other), VALUE, shape=(T, N, 3))
    file.create_virtual_dataset(path, layout)


def external_storage(file, path, other):
    file.create_dataset(path, (T, N, 3), "<f8", external=[(str(other), 0, h5py.h5f.UNLIMITED)])


def compressed(file, path, other):
    file.create_dataset(path, (T, N, 3), "<f8", compression="gzip")


def never_allocated(file, path, other):
    file.create_dataset(path, (T, N, 3), "<f8")


def objects(file, path, other):
    file.create_dataset(path, (T, N, 3), h5py.special_dtype(vlen=np.dtype("f8")))


def single_precision(file, path, other):
    file[path] = np.zeros((T, N, 3), np.float32)


def other_shape(file, path, other):
    file[path] = np.zeros((T, N, 2))


def a_group(file, path, other):
    file.create_group(path)


def nothing(file, path, other):
    pass


REPLACEMENTS = [
    external_link,
    soft_link,
    virtual_dataset,
    external_storage,
    compressed,
    never_allocated,
    objects,
    single_precision,
    other_shape,
    a_group,
    nothing,
]


def overwrite(path, name, value):
    with h5py.File(path, "r+") as file:
        file[name][...] = value
