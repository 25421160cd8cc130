"""Manifests: what they say, and which contradict themselves."""

from __future__ import annotations

import errno
import json
import os
import shutil

import numpy as np
import pytest

from dataset_files import FULL_DISK, KINDS, STALL, TOTAL, T, failing
from nbody_surrogate.datasets.generation.measure_label_error import summarised
from nbody_surrogate.datasets.manifest import (
    LabelError,
    Manifest,
    ShardRecord,
    SourceFile,
    read_manifest,
    write_manifest,
)
from nbody_surrogate.datasets.shard import shard_name
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import FileFormatError, RunError
from nbody_surrogate.files.limits import MANIFEST
from refusals import posix, refused


def content_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def put(folder, content):
    (folder / "manifest.json").write_text(json.dumps(content))


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
        file.truncate(MANIFEST.largest + 1)
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


def test_a_directory_in_the_way_of_a_manifest_is_one_line(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    with refused(RunError, "`output`", tmp_path / "manifest.json"):
        write_manifest(tmp_path, full_manifest())
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
