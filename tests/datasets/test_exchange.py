"""Data sets of others and for others: numbers keep their bits, and doubtful files are refused."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
import tracemalloc
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.exchange.exports import export_npz, export_nri
from nbody_surrogate.datasets.exchange.imports import import_nri
from nbody_surrogate.datasets.exchange.nri import NriFiles, has_nri_files
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.shard import shard_name
from nbody_surrogate.datasets.spec import DatasetSpec, TaskSpec
from nbody_surrogate.datasets.verify import verify_dataset
from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.npy import NpyFile, write_npy

T, N = 4, 3
THEIRS = {"train": "train", "validation": "valid", "test": "test"}
ALL = tuple(THEIRS.values())
EXPORTS = [export_npz, export_nri]
PUBLISHED = "_charged5_initvel1small"  # the suffix of EGNN's files

MUTATIONS = 200  # damaged copies of a file
LONGEST_LINE = 700  # characters of a message, paths of temporary folders included
LITTLE = 2**20  # bytes that a small part of a large file may take to read
posix = pytest.mark.skipif(sys.platform == "win32", reason="named pipes and limits are POSIX")


@contextmanager
def refused(error, *words):
    """Check that what is inside fails in one line that holds `words`."""
    with pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < LONGEST_LINE
    for word in words:
        assert str(word) in message, message


def assert_same_bits(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.tobytes() == theirs.tobytes()


# Arrays in .npy files


def saved(path, array, **options):
    """Save an array as NumPy does."""
    with path.open("wb") as stream:
        np.save(stream, array, **options)
    return path


def raw(path, header, data=bytes(32)):
    """Write a file with any header."""
    text = header.encode("latin1")
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)
    return path


def header_of(shape, descr="'<f8'", fortran=False):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "u1", ">i4", "<i8"])
def test_parts_of_a_file_are_those_of_the_array(tmp_path, dtype):
    values = np.random.default_rng(0).uniform(0, 100, size=(6, 2, 3)).astype(dtype)
    path = saved(tmp_path / "a.npy", values)
    file, whole = NpyFile(path), values.astype(np.float64)
    assert file.shape == values.shape
    for start, stop in [(0, 6), (0, 1), (2, 5), (5, 6)]:
        assert_same_bits(file.read(start, stop), whole[start:stop])


def test_special_values_keep_their_bits_in_npy(tmp_path):
    values = np.array([[np.nan, np.inf], [-0.0, 5e-324]])
    values.view(np.uint64)[0, 0] = 0x7FF8_0000_0000_0BAD  # a NaN with a payload
    assert_same_bits(NpyFile(saved(tmp_path / "a.npy", values)).read(0, 2), values)


def test_a_part_of_a_large_file_takes_little_memory(tmp_path):
    shape = (1000, 100_000)  # 800 MB, none of which is on the disk
    path = raw(tmp_path / "a.npy", header_of(shape), b"")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 8 * shape[0] * shape[1])
    tracemalloc.start()
    try:
        assert not NpyFile(path).read(998, 999)[:, ::1000].any()
        assert tracemalloc.get_traced_memory()[1] < 3 * LITTLE
    finally:
        tracemalloc.stop()


class Bomb:
    """A Python object that makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def pickled_array(path, bomb):
    saved(path, np.array([bomb, bomb], object), allow_pickle=True)


def test_python_objects_are_refused_and_never_unpickled(tmp_path):
    path, marker = tmp_path / "a.npy", tmp_path / "exploded"
    pickled_array(path, Bomb(marker))
    with refused(InputError, path, "Python objects"):
        NpyFile(path)
    assert not marker.exists()
    with suppress(Exception):  # a folder is not made twice
        np.load(path, allow_pickle=True)
    assert marker.exists(), "the file must do harm where it is unpickled"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (np.zeros((2, 3), complex), "complex128"),
        (np.array(["a", "b"]), "str"),
        (np.zeros(2, [("x", "<f8"), ("y", "<i4")]), "void"),
    ],
)
def test_what_are_no_real_numbers_is_refused(tmp_path, values, word):
    path = saved(tmp_path / "a.npy", values)
    with refused(InputError, path, "real numbers", word):
        NpyFile(path)


def test_fortran_order_is_refused_with_what_to_do(tmp_path):
    path = saved(tmp_path / "a.npy", np.asfortranarray(np.ones((2, 3))))
    with refused(InputError, path, "C order", "np.ascontiguousarray"):
        NpyFile(path)


def test_a_file_is_refused_wherever_it_ends_and_what_is_no_array(tmp_path):
    path = saved(tmp_path / "a.npy", np.arange(30.0).reshape(5, 6))
    content = path.read_bytes()
    other = [content + bytes(8), b"1 2 3\n", b"PK\x03\x04", b"\x93NUMPY\x09\x00"]
    for damaged in [*(content[:length] for length in range(len(content))), *other]:
        path.write_bytes(damaged)
        with refused(FileFormatError, path):
            NpyFile(path)


@pytest.mark.filterwarnings("ignore:Reading `.npy`:UserWarning")
@pytest.mark.parametrize(
    "header",
    [
        "",
        "(((",
        "if:\n  a\n b\n",
        "[" * 300,
        "__import__('os').abort()",
        header_of((4,)).replace("shape", "form"),
        header_of("(4.0,)"),
        header_of((10**30,)),
        header_of((-2, -2)),
        header_of((4,), descr="None"),
        header_of((2,), descr="('<f8', (2,))"),
    ],
    ids=lambda header: header[:40],
)
def test_headers_that_say_nonsense_are_refused(tmp_path, header):
    with refused((FileFormatError, InputError), tmp_path / "a.npy"):
        NpyFile(raw(tmp_path / "a.npy", header))


@pytest.mark.filterwarnings("ignore:Reading `.npy`:UserWarning", "ignore:invalid escape")
def test_damaged_headers_are_refused_or_leave_numbers(tmp_path):
    path, rng = saved(tmp_path / "a.npy", np.arange(30.0).reshape(5, 6)), random.Random(4)
    content = path.read_bytes()
    end, outcomes = content.index(b"}") + 1, set()
    for _ in range(MUTATIONS):
        damaged = bytearray(content)
        damaged[rng.randrange(end)] = rng.choice(b"0123456789-(){}[],:'\"\\ \n\0LfiuOV<>|=\xff")
        path.write_bytes(damaged)
        try:
            assert NpyFile(path).read(0, 1).dtype == np.float64
            outcomes.add("read")
        except (FileFormatError, InputError) as error:
            assert "\n" not in str(error)
            assert str(path) in str(error)
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("make", [Path.exists, Path.mkdir, pytest.param(os.mkfifo, marks=posix)])
def test_what_is_no_file_is_refused(tmp_path, make):
    """A named pipe too, which would wait for a writer for ever."""
    make(tmp_path / "a.npy")
    with refused(FileFormatError, tmp_path / "a.npy"):
        NpyFile(tmp_path / "a.npy")


@pytest.mark.parametrize("cuts", [[], [2, 5]])
def test_what_is_written_in_parts_is_read_as_a_whole(tmp_path, cuts):
    values = np.random.default_rng(1).normal(size=(7, 3, 2)).swapaxes(1, 2)
    with atomic_file(tmp_path / "a.npy") as stream:
        write_npy(stream, values.shape, iter(np.split(values, cuts)))
    assert_same_bits(np.load(tmp_path / "a.npy", allow_pickle=False), values)
    assert_same_bits(NpyFile(tmp_path / "a.npy").read(0, 7), values)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


@pytest.mark.parametrize("error", [FileFormatError("damaged"), KeyboardInterrupt()])
def test_parts_that_fail_leave_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "a.npy"
    path.write_bytes(b"precious")
    with pytest.raises(type(error)), atomic_file(path) as stream:
        stream.write(bytes(100))
        raise error
    assert tree(tmp_path) == {"a.npy": b"precious"}


# Data sets to be exported


def made(folder, splits=(("train", 5), ("validation", 2), ("test", 3)), **changes):
    """Make a small data set, whose splits share shards."""
    sizes = {"particles": N, "first": 1, "frames": T, "trajectories": sum(dict(splits).values())}
    return generate_dataset(DatasetSpec(**sizes, splits=dict(splits), shard=4, **changes), folder)


@pytest.fixture(scope="module")
def charged_set(tmp_path_factory):
    """A data set of charges."""
    charges = {"charge_range": (0.5, 1.5)}
    return made(tmp_path_factory.mktemp("sets") / "charged", parameters=charges)


@pytest.fixture(params=["charged", "springs"])
def either(request, charged_set, tmp_path_factory):
    """A data set of charges, or of springs in the plane."""
    if request.param == "charged":
        return charged_set
    return made(tmp_path_factory.mktemp("sets") / "springs", system="springs", dimensions=2)


def split_of(dataset, split):
    part = dataset.part(split)
    return dataset.read(part.start, part.stop)


def tree(folder):
    """The content of all files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Export to .npz


def test_archives_hold_the_splits(either, tmp_path):
    paths = export_npz(either, tmp_path / "out")
    assert [path.name for path in paths] == ["train.npz", "validation.npz", "test.npz"]
    assert set(tree(tmp_path / "out")) == {path.name for path in paths}
    for path in paths:
        x, v, particles = split_of(either, path.stem)
        wanted = {"x": x, "v": v, "charges": particles.charges, "masses": particles.masses}
        wanted["t"] = either.t
        if particles.couplings is not None:
            wanted["couplings"] = particles.couplings
        with np.load(path, allow_pickle=False) as archive:
            assert set(archive.files) == set(wanted)
            for key in wanted:
                assert_same_bits(archive[key], wanted[key])


def test_the_size_of_blocks_changes_nothing_that_is_exported(charged_set, tmp_path, monkeypatch):
    export_nri(charged_set, tmp_path / "whole")
    monkeypatch.setattr("nbody_surrogate.datasets.dataset.BLOCK_BYTES", 2 * charged_set[0].x.nbytes)
    assert charged_set.block_size == 2
    export_nri(charged_set, tmp_path / "parts")
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def test_any_splits_go_into_archives_but_empty_ones(tmp_path):
    dataset = made(tmp_path / "set", (("a-1", 2), ("none", 0), ("rest_2", 1)))
    names = [path.name for path in export_npz(dataset, tmp_path / "out")]
    assert names == ["a-1.npz", "rest_2.npz"]
    assert set(tree(tmp_path / "out")) == set(names)
    with refused(InputError, "`format`", "'a-1'", "train, validation, test"):
        export_nri(dataset, tmp_path / "nri")
    assert not (tmp_path / "nri").exists()


@pytest.mark.parametrize("export", EXPORTS)
def test_files_are_replaced_only_when_asked(charged_set, tmp_path, export):
    last = export(charged_set, tmp_path / "first")[-1].name
    (tmp_path / last).write_bytes(b"precious")
    shutil.rmtree(tmp_path / "first")
    with refused(InputError, "`output`", tmp_path / last, "--overwrite"):
        export(charged_set, tmp_path)
    assert tree(tmp_path) == {last: b"precious"}
    paths = export(charged_set, tmp_path, overwrite=True)
    assert set(tree(tmp_path)) == {path.name for path in paths}
    assert (tmp_path / last).read_bytes() != b"precious"


@pytest.mark.parametrize("export", EXPORTS)
def test_a_folder_that_cannot_be_made_is_one_line(charged_set, tmp_path, export):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "inner"):
        with refused(InputError, "`output`", folder):
            export(charged_set, folder)


@pytest.mark.parametrize("end", ["", ".part"])
@pytest.mark.parametrize(
    ("export", "name"), [(export_npz, "train.npz"), (export_nri, "loc_train.npy")]
)
def test_a_directory_in_the_way_of_an_export_is_one_line(charged_set, tmp_path, export, name, end):
    (tmp_path / (name + end)).mkdir()
    with refused((InputError, RunError), "`output`", tmp_path / name):
        export(charged_set, tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name + end]


@pytest.mark.parametrize("export", EXPORTS)
def test_a_damaged_data_set_leaves_no_half_of_a_file(charged_set, tmp_path, export):
    shutil.copytree(charged_set.folder, tmp_path / "set")
    dataset = Dataset(tmp_path / "set")
    export(dataset, tmp_path / "out")
    old = tree(tmp_path / "out")
    (dataset.folder / shard_name(2)).unlink()  # of the last split
    for folder in ("out", "new"):
        with refused(FileFormatError, dataset.folder / shard_name(2)):
            export(dataset, tmp_path / folder, overwrite=True)
    now = tree(tmp_path / "out")
    assert set(now) == set(old)
    assert all(now[name] == old[name] for name in old if "test" in name)
    assert list((tmp_path / "new").glob("*test*")) == []


@posix
@pytest.mark.parametrize("limit", [0, 100, 700, 1500])  # in the first header, array, and so on
@pytest.mark.parametrize("export", EXPORTS)
def test_a_full_disk_is_one_line_and_leaves_nothing(charged_set, tmp_path, export, limit):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with refused(RunError, "`output`", tmp_path, "cannot be written"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            export(charged_set, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert tree(tmp_path) == {}


# Export to the files of the literature


def test_exported_files_have_the_published_layout(charged_set, tmp_path):
    export_nri(charged_set, tmp_path, suffix=PUBLISHED)
    kinds = ["loc", "vel", "edges", "charges"]
    names = {f"{kind}_{split}{PUBLISHED}.npy" for kind in kinds for split in THEIRS.values()}
    assert set(tree(tmp_path)) == names
    for ours, theirs in THEIRS.items():
        loc, vel, edges, charges = (
            np.load(tmp_path / f"{kind}_{theirs}{PUBLISHED}.npy", allow_pickle=False)
            for kind in kinds
        )
        x, v, particles = split_of(charged_set, ours)
        assert_same_bits(loc, x.swapaxes(2, 3))
        assert_same_bits(vel, v.swapaxes(2, 3))
        assert_same_bits(charges, particles.charges[..., None])
        assert_same_bits(edges, charges @ charges.swapaxes(1, 2))


def charged_springs(self, start, stop):
    x = np.ones((stop - start, T, N, 3))
    charges = np.ones((stop - start, N))
    return TrajectoryBlock(x, x, Particles(charges, charges, np.ones((stop - start, N, N))))


@pytest.mark.parametrize("word", ["masses", "charges beside couplings"])
def test_what_the_layout_would_lose_is_refused(tmp_path, monkeypatch, word):
    dataset = made(tmp_path / "set", parameters={"mass_range": (1.0, 2.0)})
    if word != "masses":
        monkeypatch.setattr(Dataset, "_read", charged_springs)  # no system of ours has them
    with refused(InputError, "`format`", word, "npz"):
        export_nri(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(export_npz(dataset, tmp_path / "out")) == 3


@pytest.mark.parametrize("suffix", ["x" * 300, "a\0b", "/../x"])
def test_a_suffix_that_makes_no_file_name_is_one_line(charged_set, nri, tmp_path, suffix):
    with refused(InputError, "`suffix`"):
        export_nri(charged_set, tmp_path / "out", suffix=suffix)
    assert not (tmp_path / "out").exists()
    with refused(InputError, "`suffix`"):
        NriFiles(nri, suffix)


# The files of the literature


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


@pytest.fixture
def nri(tmp_path):
    """A folder of good files."""
    write_nri(tmp_path / "nri")
    return tmp_path / "nri"


def test_the_recipe_is_what_was_given_and_what_the_files_say(nri, tmp_path):
    given = {"system": "charged", "parameters": {"frame_dt": 0.3}, "first": 7}
    files = NriFiles(nri, **given, velocity_lag=0.125, task=TaskSpec(input=0, target=2))
    spec = files.spec
    assert given == {key: getattr(spec, key) for key in given}
    assert spec.velocity_lag == 0.125
    assert spec.splits == {"train": 3, "validation": 2, "test": 2}
    assert (spec.trajectories, spec.rows, spec.particles, spec.dimensions) == (7, T, N, 3)
    assert spec.task == TaskSpec(input=0, target=2)
    assert spec.integrator is None
    assert import_nri(files, tmp_path / "set").t.tolist() == [(7 + row) * 0.3 for row in range(T)]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"system": "unheard-of"}, "unheard-of"),
        ({"parameters": {"frame_dt": -1.0}}, "frame_dt"),
        ({"task": TaskSpec(input=0, target=T)}, "task"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(nri, options, word):
    with refused(InputError, word):
        NriFiles(nri, **options)


@pytest.mark.parametrize("suffix", ["", PUBLISHED])
def test_the_only_suffix_is_found(tmp_path, suffix):
    write_nri(tmp_path, suffix=suffix)
    assert has_nri_files(tmp_path)
    assert {path.name for path in NriFiles(tmp_path).paths} == set(tree(tmp_path))
    with refused(InputError, tmp_path, "loc_train_other.npy"):
        NriFiles(tmp_path, "_other")


def test_of_several_suffixes_one_must_be_given(tmp_path):
    write_nri(tmp_path, suffix=PUBLISHED)
    write_nri(tmp_path, splits=["test"], rows=T + 1)
    with refused(InputError, "`suffix`", tmp_path, "''", repr(PUBLISHED)):
        NriFiles(tmp_path)
    assert NriFiles(tmp_path, "").spec.splits == {"test": 2}
    assert NriFiles(tmp_path, PUBLISHED).spec.rows == T


def test_a_folder_without_files_is_refused(tmp_path):
    (tmp_path / "loc_training.txt").touch()
    for folder in (tmp_path, tmp_path / "loc_training.txt", tmp_path / "gone"):
        assert not has_nri_files(folder)
        with refused(InputError, "`files`", folder):
            NriFiles(folder)


@pytest.mark.parametrize("splits", [["train"], ["valid", "test"]])
def test_splits_may_be_missing(tmp_path, splits):
    write_nri(tmp_path / "nri", splits)
    dataset = import_nri(NriFiles(tmp_path / "nri"), tmp_path / "set")
    ours = {theirs: name for name, theirs in THEIRS.items()}
    assert list(dataset.spec.splits) == [ours[split] for split in splits]
    loc = np.load(tmp_path / "nri" / f"loc_{splits[-1]}.npy")
    np.testing.assert_array_equal(split_of(dataset, ours[splits[-1]]).x.swapaxes(2, 3), loc)


@pytest.mark.parametrize("name", ["loc_train", "vel_valid", "edges_test", "charges_valid"])
def test_a_file_that_is_missing_or_damaged_is_named(nri, tmp_path, name):
    path, marker = nri / f"{name}.npy", tmp_path / "exploded"
    path.write_bytes(path.read_bytes()[:-1])
    with refused(FileFormatError, path):
        NriFiles(nri)
    pickled_array(path, Bomb(marker))
    with refused(InputError, path, "Python objects"):
        NriFiles(nri)
    assert not marker.exists()
    path.unlink()
    with refused(InputError, "`files`", path.name):
        NriFiles(nri)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("loc", lambda values: values[:, 0]),
        ("loc", lambda values: values[:0]),
        ("loc", lambda values: values.repeat(2, 2)),  # in six dimensions
        ("vel", lambda values: values[:-1]),
        ("vel", lambda values: values[:, :, :2]),
        ("edges", lambda values: values[:, :-1]),
        ("charges", lambda values: values[:, :-1]),
    ],
)
def test_a_shape_that_does_not_fit_is_named(nri, kind, change):
    rewrite(nri / f"{kind}_valid.npy", change)
    shape = np.load(nri / f"{kind}_valid.npy").shape
    with refused(InputError, f"'{kind}_valid.npy'", shape):
        NriFiles(nri)


def test_splits_of_other_shapes_are_refused(nri):
    write_nri(nri, ["test"], rows=T + 1)
    with refused(InputError, "`files`", nri, (T, 3, N)):
        NriFiles(nri)


def test_charges_of_some_splits_alone_are_refused(nri):
    """Edges of the others would be taken for springs."""
    (nri / "charges_valid.npy").unlink()
    with refused(InputError, "`files`", nri, "'charges_valid.npy' is missing"):
        NriFiles(nri)


def set_to(value, *place):
    def change(values):
        values[place] = value

    change.__name__ = f"{value} at {place}"
    return change


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("edges", set_to(0.5, 1, 0, 1)),
        ("edges", set_to(np.nan, 1, 0, 1)),
        ("edges", np.negative),
        ("charges", set_to(1.001, 0, 0)),
        ("charges", set_to(np.nan, 1, 2)),
    ],
)
def test_edges_that_are_not_the_products_of_charges_are_refused(nri, kind, change):
    rewrite(nri / f"{kind}_valid.npy", change)
    files = NriFiles(nri)
    assert len(files.read(0, 3).x) == 3  # of another split
    with refused(FileFormatError, "edges_valid.npy", "products of the charges"):
        files.read(3, 5)


def test_charges_may_be_of_single_precision_and_without_their_last_axis(tmp_path):
    charges = np.random.default_rng(0).uniform(-2, 2, size=(3, N, 1))
    write_nri(tmp_path, ["train"])
    saved(tmp_path / "charges_train.npy", charges[..., 0].astype(np.float32))
    saved(tmp_path / "edges_train.npy", (charges @ charges.swapaxes(1, 2)).astype(np.float32))
    particles = NriFiles(tmp_path).read(0, 3).particles
    np.testing.assert_array_equal(particles.charges, charges[..., 0].astype(np.float32))


@pytest.mark.parametrize("value", [7.0, np.nan])
@pytest.mark.parametrize("without", [[], ["charges"]])
def test_nothing_is_read_of_the_diagonal_of_edges(tmp_path, without, value):
    write_nri(tmp_path, ["train"], without=without)
    before = NriFiles(tmp_path).read(0, 3).particles
    rewrite(tmp_path / "edges_train.npy", set_to(value, 1, 0, 0))
    after = NriFiles(tmp_path).read(0, 3).particles
    np.testing.assert_array_equal(after.charges, before.charges)
    if without:
        np.testing.assert_array_equal(after.couplings, before.couplings)


@pytest.mark.parametrize("change", [set_to(0.5, 1, 0, 1), set_to(np.nan, 1, 0, 1)])
def test_springs_that_are_not_symmetric_or_no_numbers_are_refused(tmp_path, change):
    write_nri(tmp_path, ["train"], without=["charges"])
    rewrite(tmp_path / "edges_train.npy", change)
    with refused(FileFormatError, "edges_train.npy", "`couplings`"):
        NriFiles(tmp_path).read(0, 3)


# Import


def test_what_is_exported_is_imported_bit_for_bit(either, tmp_path):
    export_nri(either, tmp_path / "nri", suffix=PUBLISHED)
    files = NriFiles(tmp_path / "nri", system=either.spec.system, parameters={"frame_dt": 0.1})
    dataset = import_nri(files, tmp_path / "set")
    ours, theirs = either.read(0, len(either)), dataset.read(0, len(dataset))
    assert_same_bits(theirs.x, ours.x)
    assert_same_bits(theirs.v, ours.v)
    assert_same_bits(theirs.particles.charges, ours.particles.charges)
    assert_same_bits(theirs.particles.masses, ours.particles.masses)
    assert (theirs.particles.couplings is None) == (ours.particles.couplings is None)
    if ours.particles.couplings is not None:
        assert_same_bits(theirs.particles.couplings, ours.particles.couplings)
    assert_same_bits(dataset.t, either.t)
    assert dataset.spec.splits == either.spec.splits
    export_nri(dataset, tmp_path / "again", suffix=PUBLISHED)
    assert tree(tmp_path / "again") == tree(tmp_path / "nri")


def test_where_imported_data_come_from_is_kept(nri, tmp_path):
    before = tree(nri)
    dataset = import_nri(NriFiles(nri), tmp_path / "set")
    assert tree(nri) == before
    assert {file.name: file.sha256 for file in dataset.manifest.source} == {
        name: hashlib.sha256(content).hexdigest() for name, content in before.items()
    }
    assert dataset.manifest.label_error is None
    assert "imported" in dataset.manifest.label_error_note
    assert dataset[0].info.method == {"integrator": "unknown"}
    assert set(tree(dataset.folder)) == {"manifest.json", "shard-00000.h5"}
    found = verify_dataset(dataset)
    assert found.success
    assert (found.shards, found.remade) == (1, ())


@pytest.fixture
def small_shards(monkeypatch):
    """Two trajectories to a shard: seven make four shards, which splits share."""
    monkeypatch.setattr("nbody_surrogate.datasets.spec.SHARD_BYTES", 2 * 16 * T * N * 3)


def test_several_shards_are_imported_in_turn(nri, tmp_path, small_shards):
    files, told = NriFiles(nri), []
    dataset = import_nri(
        files, tmp_path / "set", progress=lambda done, total: told.append((done, total))
    )
    assert len(dataset.manifest.shards) == 4
    assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]
    np.testing.assert_array_equal(dataset.read(0, 7).x, files.read(0, 7).x)
    assert verify_dataset(dataset).success


@pytest.mark.parametrize(
    ("kind", "split", "trajectory", "row", "value"),
    [
        ("loc", "train", 2, 3, np.nan),
        ("vel", "validation", 0, 1, np.inf),
        ("vel", "test", 1, 3, np.nan),
    ],
)
def test_rows_that_are_no_numbers_are_refused_and_nothing_is_left(
    nri, tmp_path, small_shards, kind, split, trajectory, row, value
):
    rewrite(nri / f"{kind}_{THEIRS[split]}.npy", set_to(value, trajectory, row, 2, 1))
    with refused(InputError, "`files`", kind, repr(split), f"trajectory {trajectory}, row {row};"):
        import_nri(NriFiles(nri), tmp_path / "set")
    assert not (tmp_path / "set").exists()
    write_nri(nri)
    assert len(import_nri(NriFiles(nri), tmp_path / "set")) == 7


def test_an_interrupted_import_leaves_nothing(nri, tmp_path, small_shards):
    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_nri(NriFiles(nri), tmp_path / "set", progress=interrupt)
    assert not (tmp_path / "set").exists()


def test_a_file_that_vanishes_before_the_import_is_named_and_nothing_is_left(nri, tmp_path):
    files = NriFiles(nri)
    (nri / "vel_test.npy").unlink()
    with refused(FileFormatError, "vel_test.npy"):
        import_nri(files, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("name", ["notes.txt", "shard-00000.h5"])
def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(nri, tmp_path, name):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_bytes(b"precious")
    with refused(InputError, "`output`", tmp_path / "set", repr(name)):
        import_nri(NriFiles(nri), tmp_path / "set")
    assert tree(tmp_path / "set") == {name: b"precious"}
