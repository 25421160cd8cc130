"""H5MD files that are missing, foreign, damaged or hostile are refused."""

from __future__ import annotations

import random
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from h5md_files import (
    ARRAYS,
    DT,
    REPLACEMENTS,
    T0,
    VALUE,
    N,
    T,
    a_group,
    in_groups,
    make_frames,
    make_particles,
    overwrite,
    refusal,
    write_file,
)
from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.formats.h5md import H5MDWriter, read_h5md


def test_missing_and_foreign_files_are_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "missing.h5")
    assert "not a regular file" in refusal(tmp_path)
    (tmp_path / "text.h5").write_text("x y z\n")
    refusal(tmp_path / "text.h5")
    (tmp_path / "empty.h5").touch()
    refusal(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(3)
    assert "nbody-surrogate" in refusal(tmp_path / "other.h5")


@pytest.fixture
def finished(tmp_path):
    path = tmp_path / "run.h5"
    write_file(path)
    return path


@pytest.fixture
def grouped(finished):
    """The same, as earlier versions wrote it."""
    in_groups(finished)
    return finished


OURS = "parameters/nbody_surrogate"


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_data_that_are_not_plainly_in_the_file_are_refused(grouped, tmp_path, replacement):
    other = tmp_path / "other.h5"
    write_file(other)
    with h5py.File(grouped, "r+") as file:
        del file[VALUE]
        replacement(file, VALUE, other)
    assert "position/value" in refusal(grouped)


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("name", ["position", "charge", ""])
def test_arrays_that_are_not_plainly_in_the_file_are_refused(finished, tmp_path, replacement, name):
    path = f"{ARRAYS}/{name}".rstrip("/")
    with h5py.File(finished, "r+") as file:
        del file[path]
        if name or replacement is not a_group:
            replacement(file, path, tmp_path / "other.h5")
    assert (name or "ensemble") in refusal(finished)


def test_a_group_behind_an_external_link_is_refused(finished, tmp_path):
    write_file(tmp_path / "other.h5")
    with h5py.File(finished, "r+") as file:
        del file["particles"]
        file["particles"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "particles")
    assert "link" in refusal(finished)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{OURS}/format", 4),
        (f"{OURS}/complete", 5),
        (f"{OURS}/shape", [3, T, N, 4]),
        (f"{OURS}/shape", [2, T, N, 3]),
        (f"{OURS}/shape", [3, T, 0, 3]),
        (f"{OURS}/shape", [3, T, -N, -3]),
        (f"{OURS}/shape", [3, 2**62, N, 3]),
        (f"{OURS}/shape", [2**40, T, N, 3]),
        (f"{OURS}/provenance", b""),
        (f"{OURS}/provenance", b"{}"),
        (f"{OURS}/provenance", b"[" * 60000),
        (f"{OURS}/provenance", b'{"system": 1, "method": {}}'),
        (f"{OURS}/provenance", b'{"system": {}, "method": {}, "status": [0, 0]}'),
        (f"{OURS}/provenance", b"\xff\xfe"),
        ("parameters/frames_written", T - 1),
        ("parameters/frames_written", -1),
        ("parameters/frames_written", 2**62),
        (f"{ARRAYS}/mass", -1.0),
        (f"{ARRAYS}/charge", np.nan),
        (f"{ARRAYS}/time", np.inf),
    ],
)
def test_contradictions_in_a_file_are_refused(finished, name, value):
    overwrite(finished, name, value)
    refusal(finished)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{OURS}/format", 3),
        ("particles/trajectory_0000/mass", -1.0),
        ("particles/trajectory_0002/charge", np.nan),
        ("particles/trajectory_0000/position/time", np.inf),
    ],
)
def test_contradictions_in_a_file_of_groups_are_refused(grouped, name, value):
    overwrite(grouped, name, value)
    refusal(grouped)


def test_a_trajectory_that_is_not_announced_is_refused(finished):
    with h5py.File(finished, "r+") as file:
        file.create_group("particles/trajectory_0003")
    assert "should hold 3 trajectories, but holds 4" in refusal(finished)


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    """A small file that announces a terabyte, in its header and its data set alike."""
    frames = 10**10
    x, v = make_frames(1)
    with H5MDWriter(tmp_path / "run.h5", make_particles(1), 3, T, T0, DT) as writer:
        writer.write(x, v)
    with h5py.File(writer.part, "r+") as file:
        file[f"{OURS}/shape"][1] = frames
        for name in ("position", "velocity"):
            del file[f"particles/trajectory_0000/{name}/value"]
            file[f"particles/trajectory_0000/{name}"].create_dataset(
                "value", (frames, N, 3), "<f8", chunks=(1, N, 3), compression="gzip"
            )
    assert "would take" in refusal(writer.part)


def test_a_truncated_file_is_refused_wherever_it_ends(finished):
    whole = finished.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 20).astype(int):
        finished.write_bytes(whole[:length])
        refusal(finished)


def test_flipped_bits_are_refused_or_change_numbers_only(finished):
    whole, rng = finished.read_bytes(), random.Random(5)
    padding = max(re.finditer(rb"\0+", whole), key=lambda match: len(match[0]))
    places = [*range(padding.start() + 1), *range(padding.end(), len(whole))]
    outcomes = {"read": 0, "refused": 0}
    for place in rng.sample(places, 100):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        finished.write_bytes(damaged)
        try:
            ensemble = read_h5md(finished)
        except FileFormatError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
        else:
            assert ensemble.x.shape == ensemble.v.shape == (3, T, N, 3)
            assert ensemble.t.shape == (T,)
            outcomes["read"] += 1
    assert min(outcomes.values()) >= 5, "the damage must reach structure and data"


def test_a_file_name_with_a_line_break_stays_on_one_line(tmp_path):
    path = tmp_path / "a\nb.h5"
    Path(path).write_text("no")
    with pytest.raises(FileFormatError) as caught:
        read_h5md(path)
    assert "\n" not in str(caught.value)
