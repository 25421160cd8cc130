"""Arrays in .npy files: numbers keep their bits, and doubtful files are refused."""

from __future__ import annotations

import os
import random
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from exchanged import Bomb, assert_same_bits, pickled_array, saved, tree
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.npy import NpyFile, write_npy
from refusals import posix, refused

MUTATIONS = 200  # damaged copies of a file
LITTLE = 2**20  # bytes that a small part of a large file may take to read


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
