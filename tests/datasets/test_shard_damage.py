"""Shards that are missing, foreign, damaged or hostile are refused."""

from __future__ import annotations

import random
import re

import h5py
import numpy as np
import pytest

from dataset_files import KINDS, N, S, T, full_data, read_all
from nbody_surrogate.datasets.shard import (
    ShardReader,
    write_shard,
)
from nbody_surrogate.errors import FileFormatError
from refusals import posix, refused

FLIPS = 100  # damaged copies of a shard


@pytest.fixture
def whole(tmp_path):
    """A shard with all that a shard can hold."""
    write_shard(tmp_path / "a.h5", full_data())
    return tmp_path / "a.h5"


@posix
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_not_a_regular_file_is_refused(whole, tmp_path, kind):
    kind(tmp_path / "b.h5", whole)
    with refused(FileFormatError, tmp_path / "b.h5"):
        ShardReader(tmp_path / "b.h5")


@pytest.mark.parametrize("content", [b"", b"x y z\n", b"\x89HDF\r\n\x1a\n", bytes(5000)])
def test_what_is_not_hdf5_is_refused(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    with refused(FileFormatError, tmp_path / "a.h5"):
        ShardReader(tmp_path / "a.h5")


def test_a_shard_is_refused_wherever_it_ends(whole):
    content = whole.read_bytes()
    for length in np.linspace(0, len(content) - 1, 60).astype(int):
        whole.write_bytes(content[:length])
        with refused(FileFormatError, whole):
            read_all(whole)


def test_flipped_bits_are_refused_or_change_numbers_only(whole):
    content, rng = whole.read_bytes(), random.Random(3)
    padding = max(re.finditer(rb"\0+", content), key=lambda match: len(match[0]))
    places = [*range(padding.start() + 1), *range(padding.end(), len(content))]
    outcomes = {"read": 0, "refused": 0}
    for place in rng.sample(places, FLIPS):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randrange(8)
        whole.write_bytes(damaged)
        try:
            t, block, (sample, errors), stream = read_all(whole)
        except FileFormatError as error:
            assert "\n" not in str(error)
            assert str(whole) in str(error)
            outcomes["refused"] += 1
        else:
            assert (t.shape, stream.shape) == ((T,), (627,))
            assert block.x.shape == block.v.shape == (S, T, N, 3)
            assert len(sample) == len(errors)
            outcomes["read"] += 1
    assert min(outcomes.values()) >= 5, "the damage must reach structure and data"


def external_link(file, name, other, shape, dtype):
    file[name] = h5py.ExternalLink(str(other), name)


def soft_link(file, name, other, shape, dtype):
    file.copy(h5py.File(other)[name], "elsewhere")
    file[name] = h5py.SoftLink("/elsewhere")


def virtual(file, name, other, shape, dtype):
    layout = h5py.VirtualLayout(shape=shape, dtype=dtype)
    layout[...] = h5py.VirtualSource(str(other), name, shape=shape)
    file.create_virtual_dataset(name, layout)


def storage(**options):
    return lambda file, name, other, shape, dtype: file.create_dataset(
        name, shape, **({"dtype": dtype} | options)
    )


def outside(file, name, other, shape, dtype):
    file.create_dataset(name, shape, dtype, external=[(str(other), 0, h5py.h5f.UNLIMITED)])


REPLACEMENTS = {
    "external link": external_link,
    "soft link": soft_link,
    "virtual": virtual,
    "outside": outside,
    "compressed": storage(compression="gzip"),
    "never allocated": storage(),
    "objects": storage(dtype=h5py.special_dtype(vlen=np.dtype("f8"))),
    "single precision": storage(dtype="<f4"),
    "one axis more": lambda file, name, other, shape, dtype: file.create_dataset(
        name, data=np.zeros((*shape, 1), dtype)
    ),
    "group": lambda file, name, *_: file.create_group(name),
    "nothing": lambda *_: None,
}
OTHERS = [
    *("t", "v", "charges", "masses", "couplings", "sample", "label_error", "stream"),
    *("shape", "verified", "format", "spec", "first"),
]


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        *(("x", replacement) for replacement in REPLACEMENTS),
        *((name, replacement) for name in OTHERS for replacement in ("soft link", "one axis more")),
        *((name, "nothing") for name in OTHERS if name != "couplings"),
    ],
)
def test_arrays_that_are_not_plainly_in_the_file_are_refused(whole, tmp_path, name, replacement):
    write_shard(tmp_path / "other.h5", full_data())
    with h5py.File(whole, "r+") as file:
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        REPLACEMENTS[replacement](file, name, tmp_path / "other.h5", shape, dtype)
    with refused(FileFormatError, whole, repr(name)):
        read_all(whole)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", 2),
        ("spec", b"\xff" * 64),
        ("first", -1),
        ("shape", [S, T, N, 2]),
        ("shape", [S, 2**62, N, 3]),
        ("verified", [S + 1, 3]),
        ("verified", [-2, -3]),
        ("masses", -1.0),
        ("charges", np.inf),
        ("couplings", np.arange(S * N * N).reshape(S, N, N)),
    ],
)
def test_contradictions_in_a_shard_are_refused(whole, name, value):
    with h5py.File(whole, "r+") as file:
        file[name][...] = value
    with refused(FileFormatError, whole):
        read_all(whole)
