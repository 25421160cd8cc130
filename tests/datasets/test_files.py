"""Files of a data set: what is written comes back bit for bit, and damage is found and named."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import shutil
import sys
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets import shard as shard_module
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import BLOCK_BYTES, Dataset
from nbody_surrogate.datasets.folder import made_by
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.generation.measure_label_error import summarised
from nbody_surrogate.datasets.manifest import (
    LARGEST,
    LabelError,
    Manifest,
    ShardRecord,
    SourceFile,
    read_manifest,
    spec_hash,
    write_manifest,
)
from nbody_surrogate.datasets.shard import ShardData, ShardReader, shard_name, write_shard
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.datasets.verify import verify_dataset
from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.files.sha256 import file_hash

S, T, N = 4, 5, 3
SPEC = "0123456789abcdef" * 4
NO_SAMPLE, NO_ERRORS = np.empty(0, np.int64), np.empty((0, 0))
STREAM = np.concatenate([np.arange(624.0), [7, 1, -0.25]])

FLIPS = 100  # damaged copies of a shard
LONGEST_LINE = 700  # characters of a message, paths of temporary folders included
STALL = 5  # seconds, after which a test waits for a writer that never comes

posix = pytest.mark.skipif(sys.platform == "win32", reason="named pipes and limits are POSIX")


@contextmanager
def refused(error, *words):
    """Check that what is inside fails in one line that holds `words`."""
    with pytest.raises(error) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < LONGEST_LINE
    for word in words:
        assert str(word) in message, message


def make_block(count=S, dimensions=3, couplings=False, rows=T, seed=0):
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=(2, count, rows, N, dimensions))
    bonds = rng.normal(size=(count, N, N))
    particles = Particles(
        rng.choice([-1.0, 1.0], size=(count, N)),
        rng.uniform(0.5, 2.0, size=(count, N)),
        bonds + bonds.swapaxes(1, 2) if couplings else None,
    )
    return TrajectoryBlock(x, v, particles)


def some(block, rows):
    """Cut trajectories out of a block."""
    given = (block.particles.charges, block.particles.masses, block.particles.couplings)
    particles = Particles(*(each if each is None else each[rows] for each in given))
    return TrajectoryBlock(block.x[rows], block.v[rows], particles)


def make_data(block, first=0, spec=SPEC, t=None, stream=None, verified=False):
    """Put a block into a shard, where asked with errors of two trajectories at three rows."""
    t = np.arange(block.x.shape[1]) * 0.1 if t is None else t
    sample = np.array([first, first + 1]) if verified else NO_SAMPLE
    errors = np.array([[0.0, 1e-9, np.nan], [0.0, 2e-9, 3e-9]]) if verified else NO_ERRORS
    return ShardData(spec, first, t, block, sample, errors, stream)


def full_data():
    """All that a shard can hold."""
    return make_data(make_block(couplings=True), first=8, stream=STREAM, verified=True)


def assert_same_bits(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.tobytes() == theirs.tobytes()


def assert_same_block(ours, theirs):
    assert_same_bits(ours.x, theirs.x)
    assert_same_bits(ours.v, theirs.v)
    for name in ("charges", "masses", "couplings"):
        one, other = getattr(ours.particles, name), getattr(theirs.particles, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert_same_bits(one, other)


def read_all(path, spec=SPEC):
    """Read everything that a full shard holds."""
    with ShardReader(path, spec) as shard:
        return shard.t(), shard.read(0, shard.shape[0]), shard.label_errors(), shard.stream()


# Shards: round trip


def test_what_is_written_comes_back_bit_for_bit(tmp_path):
    data = full_data()
    write_shard(tmp_path / "a.h5", data)
    t, block, (sample, errors), stream = read_all(tmp_path / "a.h5")
    assert_same_bits(t, data.t)
    assert_same_block(block, data.block)
    assert sample.tolist() == [8, 9]
    assert_same_bits(errors, data.label_error)
    assert_same_bits(stream, STREAM)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_shard_may_hold_less(tmp_path):
    block = make_block(1, dimensions=2)
    write_shard(tmp_path / "a.h5", make_data(block, first=12))
    with ShardReader(tmp_path / "a.h5") as shard:
        assert (shard.spec, shard.first, shard.shape) == (SPEC, 12, (1, T, N, 2))
        assert_same_block(shard.read(0, 1), block)
        sample, errors = shard.label_errors()
        assert sample.size == errors.size == 0
        with refused(FileFormatError, tmp_path / "a.h5", "stream"):
            shard.stream()


def test_special_values_and_strides_change_no_bits(tmp_path):
    block = make_block()
    block.x[1, 3, 0] = [np.nan, -np.inf, -0.0]
    block.v[1, 3, 0] = [5e-324, np.finfo(float).max, np.inf]
    block.v.view(np.uint64)[0, 0, 0, 0] = 0x7FF8_0000_0000_0BAD  # a NaN with a payload
    strided = TrajectoryBlock(
        np.asfortranarray(block.x), block.v[..., ::-1][..., ::-1], block.particles
    )
    write_shard(tmp_path / "a.h5", make_data(strided))
    with ShardReader(tmp_path / "a.h5") as shard:
        assert_same_block(shard.read(0, S), block)


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_shard(tmp_path / name, full_data())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    expected = hashlib.sha256((tmp_path / "b.h5").read_bytes()).hexdigest()
    assert file_hash(tmp_path / "a.h5") == expected


def test_any_hdf5_program_can_read_a_shard_as_the_table_of_the_module_says(tmp_path):
    data = full_data()
    rows = re.findall(r"^(\w+(?:, \w+)*)  +\(", shard_module.__doc__, re.MULTILINE)
    write_shard(tmp_path / "a.h5", data)
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == set(", ".join(rows).split(", "))
        assert {file[name].dtype.str for name in file} == {"<f8", "<i8", "|S64"}
        assert all(file[name].chunks is None for name in file)
        assert file["spec"].asstr()[()] == SPEC
        assert file["first"][()] == 8
        assert file["shape"][()].tolist() == [S, T, N, 3]
        np.testing.assert_array_equal(file["x"][()], data.block.x)
        np.testing.assert_array_equal(file["couplings"][()], data.block.particles.couplings)


# Shards: failures while writing


def failing(error):
    def fail(*arguments):
        raise error

    return fail


FULL_DISK = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
def test_an_interruption_passes_on_and_leaves_nothing(tmp_path, monkeypatch, error):
    monkeypatch.setattr(os, "fsync", failing(error))
    with pytest.raises(type(error)):
        write_shard(tmp_path / "a.h5", full_data())
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_shard_as_it_is(tmp_path, monkeypatch):
    write_shard(tmp_path / "a.h5", full_data())
    old = (tmp_path / "a.h5").read_bytes()
    monkeypatch.setattr(os, "fsync", failing(FULL_DISK))
    with refused(RunError, "`output`", tmp_path / "a.h5", os.strerror(errno.ENOSPC)):
        write_shard(tmp_path / "a.h5", make_data(make_block(seed=9)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_bytes() == old


def test_what_a_killed_writer_left_is_replaced(tmp_path):
    (tmp_path / "a.h5.part").write_bytes(b"half")
    write_shard(tmp_path / "a.h5", full_data())
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert_same_block(read_all(tmp_path / "a.h5")[1], full_data().block)


@pytest.mark.parametrize("name", ["a.h5", "a.h5.part"])
def test_a_directory_in_the_way_is_one_line(tmp_path, name):
    (tmp_path / name).mkdir()
    with refused(RunError, "`output`", tmp_path / "a.h5"):
        write_shard(tmp_path / "a.h5", full_data())
    assert [path.name for path in tmp_path.iterdir()] == [name]


@posix
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_may_not_grow_is_one_line_and_leaves_nothing(tmp_path, share):
    import resource

    write_shard(tmp_path / "a.h5", full_data())
    size = (tmp_path / "a.h5").stat().st_size
    (tmp_path / "a.h5").unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), hard))
    try:
        with refused(RunError, "`output`", tmp_path / "a.h5"):
            write_shard(tmp_path / "a.h5", full_data())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


# Shards: missing, foreign, damaged or hostile


@pytest.fixture
def whole(tmp_path):
    """A shard with all that a shard can hold."""
    write_shard(tmp_path / "a.h5", full_data())
    return tmp_path / "a.h5"


KINDS = {
    "directory": lambda path, other: path.mkdir(),
    "pipe": lambda path, other: os.mkfifo(path),
    "link": lambda path, other: path.symlink_to(other),
}


@posix
@pytest.mark.timeout(STALL)
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


# Data sets that are written without simulating anything

TOTAL, SHARD = 11, 3
SPLITS = {"train": 6, "validation": 0, "test": 5}


def record_of(path, first, count):
    size, digest = path.stat().st_size, file_hash(path)
    return ShardRecord(name=path.name, first=first, count=count, bytes=size, sha256=digest)


def write_dataset(folder, block, shard=SHARD, splits=None):
    """Write a data set of a block."""
    count, rows, _, dimensions = block.x.shape
    sizes = {"particles": N, "dimensions": dimensions, "frames": rows - 1, "trajectories": count}
    spec = DatasetSpec(**sizes, shard=shard, splits=splits or {})
    folder.mkdir()
    records = []
    for number, part in enumerate(spec.shards):
        path = folder / shard_name(number)
        cut = some(block, slice(part.start, part.stop))
        write_shard(path, make_data(cut, part.start, spec_hash(spec)))
        records.append(record_of(path, part.start, len(part)))
    write_manifest(folder, Manifest(spec=spec, versions=made_by(), shards=tuple(records)))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of four shards, the last one not full, and the block that it was made of."""
    folder, block = tmp_path_factory.mktemp("written") / "set", make_block(TOTAL, couplings=True)
    write_dataset(folder, block, splits=SPLITS)
    return folder, block


@pytest.fixture
def folder(written, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(written[0], tmp_path / "set")


def again(folder, number):
    """Record a shard as it is now."""
    manifest = read_manifest(folder)
    records = list(manifest.shards)
    old = records[number]
    records[number] = record_of(folder / old.name, old.first, old.count)
    write_manifest(folder, manifest.model_copy(update={"shards": tuple(records)}))


def content_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def put(folder, content):
    (folder / "manifest.json").write_text(json.dumps(content))


# Manifest


def full_manifest():
    spec = DatasetSpec(
        **{"system": "charged-clipped", "parameters": {"clip": 50.0, "names": ["a", None, True]}},
        **{"trajectories": 5, "splits": {"train": 3, "test": 2}, "seed": 2**32 - 1},
        **{"legacy": {"rows": 4, "offsets": {"test": 7}}, "frames": 3, "first": 1, "shard": 3},
        **{"task": {"input": 0, "target": 2}, "options": {"rtol": 1e-9}, "velocity_lag": 1 / 3},
    )
    one, other = {"first": 0, "count": 3}, {"first": 3, "count": 2}
    records = [
        ShardRecord(name=shard_name(k), bytes=5, sha256="a" * 64, **each)
        for k, each in enumerate((one, other))
    ]
    label_error = LabelError(
        method="dop853, rtol 1e-11", sample=2, rows=(0, 2), median=(0.0, 0.1), largest=(1, None)
    )
    return Manifest(
        spec=spec,
        versions={"numpy": "2.0", "ä": "ö\n"},
        shards=tuple(records),
        label_error=label_error,
        label_error_note="none",
        source=(SourceFile(name="loc_train.npy", sha256="b" * 64),),
    )


def test_a_manifest_comes_back(tmp_path):
    write_manifest(tmp_path, full_manifest())
    assert read_manifest(tmp_path) == full_manifest()
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_the_digest_names_recipe_and_shards():
    manifest = full_manifest()
    first = manifest.shards[0].model_copy(update={"sha256": "c" * 64})
    others = [
        manifest.model_copy(update={"shards": (first, *manifest.shards[1:])}),
        manifest.model_copy(update={"spec": manifest.spec.model_copy(update={"seed": 1})}),
    ]
    assert len({manifest.digest, *(other.digest for other in others)}) == 3
    assert manifest.model_copy(update={"versions": {}}).digest == manifest.digest


def test_label_errors_that_are_no_numbers_are_left_out(tmp_path):
    errors = np.array([[0.0, 1.0, np.nan], [2.0, np.inf, 1.0], [1.0, 3.0, 1.0]])
    label = summarised("dop853", np.array([0, 4, 9]), errors)
    assert (label.sample, label.rows) == (3, (0, 4, 9))
    assert (label.median, label.largest) == ((1.0, 3.0, None), (2.0, None, None))
    manifest = full_manifest().model_copy(update={"label_error": label})
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"format": "nbody-surrogate data set", "format_version": ' + b"1" * 5000 + b"}",
        b'{"format": "nbody-surrogate data set", "format_version": 1}',
        b'{"format": "another program", "format_version": 1}',
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with refused(FileFormatError, tmp_path / "manifest.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(("version", "newer"), [(2, True), (0, False), ("2", False)])
def test_of_a_newer_format_it_is_said_what_to_install(folder, version, newer):
    put(folder, content_of(folder) | {"format_version": version})
    with refused(FileFormatError, folder / "manifest.json", "format version") as caught:
        read_manifest(folder)
    assert ("install a newer nbody-surrogate" in str(caught.value)) == newer


PLACES = {
    "whole": lambda content: content,
    "spec": lambda content: content["spec"],
    "record": lambda content: content["shards"][1],
}


def change(place, **values):
    return lambda content: PLACES[place](content).update(values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("spec"),
        lambda content: content["shards"].reverse(),
        lambda content: content["shards"].append(content["shards"][-1]),
        lambda content: content["spec"]["splits"].update(train=7),
        change("spec", trajectories=4, splits={"train": 4}),
        change("spec", trajectories=10**9, splits={"train": 10**9}),
        change("spec", shard=4),
        change("spec", dimensions=4),
        change("spec", frames=10**30),
        change("spec", splits={"../train": TOTAL}),
        change("spec", task={"input": 0, "target": T}),
        change("spec", velocity_lag=np.nan),
        change("record", bytes=np.inf),
        change("record", first=0),
        change("record", first=10**30),
        change("record", count=2),
        change("record", bytes=-1),
        change("record", sha256="x" * 64),
        change("record", name="../shard-00001.h5"),
        change("record", name="/etc/passwd"),
        change("record", name="shard-00001.h5\n"),
        change("record", name="shard-1.h5"),
        change("record", colour=1),
        change("spec", colour=1),
        change("spec", **{"a\nb": 1}),
        change("whole", colour=1),
        change("whole", shards={}),
        change("whole", versions={"numpy": 2}),
    ],
)
def test_records_that_contradict_the_recipe_are_refused(folder, damage):
    content = content_of(folder)
    damage(content)
    put(folder, content)
    with refused(FileFormatError, folder / "manifest.json"):
        read_manifest(folder)


def test_a_huge_manifest_is_not_read(folder):
    with (folder / "manifest.json").open("r+") as file:
        file.truncate(LARGEST + 1)
    with refused(FileFormatError, folder / "manifest.json", "larger"):
        read_manifest(folder)


@posix
@pytest.mark.timeout(STALL)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_manifest_that_is_not_a_regular_file_is_refused(folder, tmp_path, kind):
    shutil.move(folder / "manifest.json", tmp_path / "elsewhere")
    kind(folder / "manifest.json", tmp_path / "elsewhere")
    with refused(FileFormatError, folder / "manifest.json"):
        read_manifest(folder)


def test_a_failure_leaves_the_old_manifest_as_it_is(folder, monkeypatch):
    old = (folder / "manifest.json").read_bytes()
    monkeypatch.setattr(os, "fsync", failing(FULL_DISK))
    with refused(RunError, "`output`", folder / "manifest.json", os.strerror(errno.ENOSPC)):
        write_manifest(folder, full_manifest())
    assert (folder / "manifest.json").read_bytes() == old
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("name", ["manifest.json", "manifest.json.part"])
def test_a_directory_in_the_way_of_a_manifest_is_one_line(tmp_path, name):
    (tmp_path / name).mkdir()
    with refused(RunError, "`output`", tmp_path / "manifest.json"):
        write_manifest(tmp_path, full_manifest())
    assert [path.name for path in tmp_path.iterdir()] == [name]


# Reading a data set


def test_any_trajectories_are_read_over_borders_of_shards(written):
    dataset, block = Dataset(written[0]), written[1]
    assert len(dataset) == TOTAL
    for start in range(TOTAL):
        for stop in range(start + 1, TOTAL + 1):
            assert_same_block(dataset.read(start, stop), some(block, slice(start, stop)))


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 0), (3, 2), (0, TOTAL + 1)])
def test_trajectories_that_are_not_there_are_refused(written, start, stop):
    with refused(InputError, "`start`", "`stop`", TOTAL, start, stop):
        Dataset(written[0]).read(start, stop)


@pytest.mark.parametrize("size", [1, 4, 1000, None])
@pytest.mark.parametrize("split", ["train", "test", None])
def test_blocks_cover_a_split_in_order_and_once(written, split, size):
    dataset, block = Dataset(written[0]), written[1]
    blocks = list(dataset.blocks(split, size))
    part = {"train": range(6), "test": range(6, TOTAL), None: range(TOTAL)}[split]
    assert dataset.part(split) == part
    assert_same_block(TrajectoryBlock.joined(blocks), some(block, slice(part.start, part.stop)))
    if size is not None:
        assert {len(each.x) for each in blocks[:-1]} <= {size}
        assert len(blocks[-1].x) <= size


@pytest.mark.parametrize("size", [0, -1])
def test_a_block_of_no_trajectories_is_refused(written, size):
    with refused(InputError, "`size`", size):
        list(Dataset(written[0]).blocks(size=size))


def test_a_split_that_is_not_there_is_refused_and_the_others_named(written):
    dataset, split = Dataset(written[0]), "valid"
    for read in (dataset.part, lambda name: list(dataset.blocks(name))):
        with refused(InputError, "`split`", repr(split), "train, validation, test"):
            read(split)


@pytest.mark.parametrize("i", [0, 3, TOTAL - 1, -TOTAL])
def test_a_trajectory_is_one_of_the_block(written, i):
    dataset, block = Dataset(written[0]), written[1]
    trajectory = dataset[i]
    one = some(block, slice(i % TOTAL, i % TOTAL + 1))
    assert_same_block(
        TrajectoryBlock(trajectory.x[None], trajectory.v[None], trajectory.particles), one
    )
    np.testing.assert_array_equal(trajectory.t, dataset.t)
    state = trajectory.state(2)
    assert state.t == dataset.t[2]
    np.testing.assert_array_equal(state.x, one.x[:, 2])


def test_a_trajectory_that_is_not_there_is_an_index_error(written):
    dataset = Dataset(written[0])
    for i in (TOTAL, -TOTAL - 1):
        with refused(IndexError, i):
            dataset[i]
    assert len(list(dataset)) == TOTAL


def test_a_trajectory_says_how_it_was_made(made):
    dataset = made("springs")
    info, system = dataset[1].info, dataset.system()
    assert info.system == {"system": "springs", **system.spec.model_dump(mode="json")}
    assert info.system["frame_dt"] == 0.05
    assert info.method == {"integrator": "dop853-compiled", "rtol": 1e-7}
    assert info.label == "dop853-compiled (rtol 1e-07)"
    assert info.versions == made_by()
    assert info.good == (dataset.spec.rows,)
    assert info.success


def test_times_are_products_and_cannot_be_changed(made):
    dataset = made("late")
    assert dataset.t.tolist() == [n * 0.1 for n in (2, 3, 4)]
    with pytest.raises(ValueError, match="read-only"):
        dataset.t[0] = 1.0


def test_an_unfinished_data_set_is_refused_with_how_to_go_on(folder):
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"shards": manifest.shards[:-1]}))
    with refused(InputError, folder, f"9 of {TOTAL}", "nbody-sim dataset generate"):
        Dataset(folder)


def of_another_data_set(path):
    write_shard(path, make_data(make_block(SHARD, couplings=True), first=SHARD))


DAMAGES = {
    "gone": Path.unlink,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "of another data set": of_another_data_set,
    "the neighbour": lambda path: shutil.copyfile(path.with_name(shard_name(2)), path),
}


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_shard_is_named_when_it_is_read(folder, damage, number):
    damage(folder / shard_name(number))
    with refused(FileFormatError, folder / shard_name(number)):
        Dataset(folder).read(0, TOTAL)


def test_trajectories_beside_a_damaged_shard_are_read(folder, written):
    (folder / shard_name(1)).unlink()
    dataset = Dataset(folder)
    assert_same_block(dataset.read(0, 3), some(written[1], slice(0, 3)))
    assert_same_block(dataset.read(6, 8), some(written[1], slice(6, 8)))


def rewrite(folder, number, block, t=None):
    """Replace a shard by another one, manifest and all."""
    manifest = read_manifest(folder)
    record = manifest.shards[number]
    data = make_data(block, record.first, spec_hash(manifest.spec), t)
    write_shard(folder / record.name, data)
    again(folder, number)


@pytest.mark.parametrize("shape", [(SHARD + 1, T, 3), (SHARD, T + 1, 3), (SHARD, T, 2)])
def test_a_shard_of_another_shape_is_refused(folder, shape):
    count, rows, dimensions = shape
    rewrite(folder, 1, make_block(count, dimensions, couplings=True, rows=rows))
    with refused(FileFormatError, folder / shard_name(1)):
        Dataset(folder).read(0, TOTAL)


@pytest.mark.parametrize("t", [[0, 1, 2, 2, 3], [0, 1, np.nan, 3, 4], [0, 1, 2, 3, np.inf]])
def test_times_that_are_not_in_order_are_refused(folder, t):
    rewrite(folder, 0, make_block(SHARD, couplings=True), np.array(t, float))
    with refused(FileFormatError, folder / shard_name(0), "times"):
        Dataset(folder)


FOUR_TIMES = 1.3  # of the memory for a quarter of the data: the manifest has more records


def peak_of_iterating(folder, size):
    dataset = Dataset(folder)
    tracemalloc.start()
    try:
        for _ in dataset.blocks(size=size):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_blocks(tmp_path):
    rows, size, counts = 40, 16, (48, 192)
    for count in counts:
        write_dataset(tmp_path / str(count), make_block(count, rows=rows), shard=32)
    peak_of_iterating(tmp_path / "48", size)  # what the first use keeps does not count
    few, many = (peak_of_iterating(tmp_path / str(count), size) for count in counts)
    block_bytes = 2 * 8 * size * rows * N * 3
    assert block_bytes < few < 5 * block_bytes
    assert many < FOUR_TIMES * few


def test_blocks_of_the_default_size_are_a_few_megabytes(written):
    dataset = Dataset(written[0])
    bytes_each = written[1].x[0].nbytes
    assert dataset.block_size == BLOCK_BYTES // bytes_each
    dataset.spec = DatasetSpec(particles=10**4, frames=10**3)  # a trajectory larger than a block
    assert dataset.block_size == 1


# Verification

RECIPES = {
    "own": {"trajectories": 7, "frames": 3, "shard": 3},
    "late": {"trajectories": 5, "first": 2, "frames": 4, "shard": 2},
    "springs": {
        **{"system": "springs", "parameters": {"frame_dt": 0.05}, "dimensions": 2},
        **{"trajectories": 4, "frames": 2, "shard": 2, "options": {"rtol": 1e-7}},
    },
    "legacy": {
        **{"system": "charged-clipped", "trajectories": 9, "first": 1, "frames": 3, "shard": 2},
        **{"splits": {"train": 4, "validation": 2, "test": 3}, "seed": 43},
        "legacy": {"rows": 3, "offsets": {"validation": 6, "test": 11}},
    },
    "window": {
        **{"system": "charged-clipped", "trajectories": 5, "legacy": {}, "shard": 2},
        "window": {"inputs": 2, "every": 2, "horizon": 3, "target": "zero"},
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make data sets by name, each once."""
    folder, sets = tmp_path_factory.mktemp("made"), {}

    def make(name):
        if name not in sets:
            sets[name] = generate_dataset(DatasetSpec(particles=N, **RECIPES[name]), folder / name)
        return sets[name]

    return make


@pytest.fixture
def copy_of(made, tmp_path):
    """Open a copy of a data set, to be damaged afterwards."""

    def copy(name):
        return Dataset(shutil.copytree(made(name).folder, tmp_path / name))

    return copy


@pytest.mark.parametrize("sample", [2, 100])
@pytest.mark.parametrize("name", RECIPES)
def test_trajectories_that_are_made_again_are_the_same_bits(made, name, sample):
    dataset = made(name)
    found = verify_dataset(dataset, sample)
    assert found.success
    assert found.problems == ()
    assert found.shards == len(dataset.manifest.shards)
    assert len(set(found.remade)) == min(sample, len(dataset))
    assert found.same == found.remade == tuple(sorted(found.remade))
    if sample >= len(dataset):
        assert found.remade == tuple(range(len(dataset)))


def test_without_a_sample_only_hashes_are_checked(copy_of):
    dataset = copy_of("own")
    alter(dataset, 4, "x")
    told = []
    found = verify_dataset(
        Dataset(dataset.folder), 0, progress=lambda done, total: told.append((done, total))
    )
    assert found.success
    assert found.shards == 3
    assert found.remade == found.same == ()
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_negative_sample_is_refused(made):
    with refused(InputError, "`sample`", -1):
        verify_dataset(made("own"), -1)


def a_pipe_instead(path):
    path.unlink()
    os.mkfifo(path)


def behind_a_link(path):
    path.symlink_to(path.rename(path.with_suffix(".moved")))


def another_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@posix
@pytest.mark.timeout(STALL)
@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (another_bit, "SHA-256"),
        (Path.unlink, "No such file"),
        (a_pipe_instead, "not a regular file"),
        (behind_a_link, "not a regular file"),
    ],
)
def test_each_damaged_shard_is_named(copy_of, damage, word):
    dataset = copy_of("own")
    for number in (0, 2):
        damage(dataset.folder / shard_name(number))
    found = verify_dataset(dataset)
    assert not found.success
    assert (found.shards, found.remade) == (1, ())
    for number, problem in zip((0, 2), found.problems, strict=True):
        assert problem.startswith(f"{shard_name(number)}: ")
        assert word in problem
        assert "\n" not in problem


def alter(dataset, i, key):
    """Change the last bit of a number of a trajectory, and record the shard as it is then."""
    number = i // dataset.spec.shard
    with h5py.File(dataset.folder / shard_name(number), "r+") as file:
        values = file[key][()]
        values.reshape(len(values), -1).view(np.int64)[i % dataset.spec.shard, -1] ^= 1
        file[key][...] = values
    again(dataset.folder, number)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("own", "x"),
        ("own", "masses"),
        ("legacy", "charges"),
        ("window", "v"),
        ("springs", "couplings"),
    ],
)
def test_an_altered_trajectory_is_found_though_its_hash_fits(copy_of, name, key):
    dataset = copy_of(name)
    alter(dataset, 3, key)
    found = verify_dataset(Dataset(dataset.folder), len(dataset))
    assert not found.success
    assert found.shards == len(dataset.manifest.shards)
    assert set(found.remade) - set(found.same) == {3}
    (problem,) = found.problems
    assert "trajectory 3 " in problem
    assert key in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0.5), (0, 2.0**32), (624, np.nan), (624, -1.0), (624, 1e6), (625, 0.5)]
)
def test_what_is_no_state_of_a_stream_is_refused(copy_of, place, value):
    """NumPy believes any position, and reads what lies behind its array."""
    dataset = copy_of("legacy")
    with h5py.File(dataset.folder / shard_name(1), "r+") as file:
        file["stream"][place] = value
    again(dataset.folder, 1)
    with refused(FileFormatError, dataset.folder / shard_name(1), "stream"):
        verify_dataset(Dataset(dataset.folder), len(dataset))


def test_imported_trajectories_are_not_made_again(copy_of):
    dataset = copy_of("own")
    alter(dataset, 3, "x")
    source = (SourceFile(name="loc_train.npy", sha256="a" * 64),)
    manifest = read_manifest(dataset.folder)
    write_manifest(dataset.folder, manifest.model_copy(update={"source": source}))
    found = verify_dataset(Dataset(dataset.folder))
    assert found.success
    assert found.shards == 3
    assert found.remade == ()


VERSIONS = {"numpy": "0.1", "nbody-surrogate": "99"}


def test_other_versions_are_said_where_bits_differ(copy_of):
    dataset = copy_of("own")
    manifest = dataset.manifest.model_copy(update={"versions": made_by() | VERSIONS})
    write_manifest(dataset.folder, manifest)
    assert verify_dataset(Dataset(dataset.folder)).success
    alter(dataset, 3, "x")
    *_, last = verify_dataset(Dataset(dataset.folder), len(dataset)).problems
    assert f"numpy 0.1, here {np.__version__}" in last
    assert "nbody-surrogate 99, here " in last
    assert "scipy" not in last
    assert "\n" not in last
