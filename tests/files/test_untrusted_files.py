"""No file that is read can crash the program, fill the memory, or have code of its own run.

More files of each kind by `just fuzz`.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import hostile
from foreign_files import h5md, motion, table, znh5md
from hostile import BINARY, TEXT, fuzz, survived
from nbody_set.model import SET, SETConfig
from nbody_surrogate import (
    Card,
    FileFormatError,
    InputError,
    make_integrator,
    make_system,
    read_h5md,
    read_initial,
    simulate,
)
from nbody_surrogate.contracts.model_card import CardSystem
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.manifest import read_manifest
from nbody_surrogate.datasets.shard import ShardReader
from nbody_surrogate.datasets.spec import read_spec, resolve
from nbody_surrogate.files.npy import NpyFile
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.opening import read_run
from nbody_surrogate.simulation.checkpoint import read_restart
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.study.spec import read_study
from nbody_surrogate.surrogates.trained_models import Model, find_model
from nbody_surrogate.surrogates.weights import load_weights, save_weights
from nbody_surrogate.training.checkpoint import load_checkpoint, save_checkpoint
from nbody_surrogate.training.recipe import read_recipe

ROOT = Path(__file__).parents[2]

SPEC = """
preset = "charged"
particles = 3
trajectories = 20
frames = 12
seed = 4
parameters = { softening = 0.2 }
options = { rtol = 1e-8 }
splits = { train = 16, validation = 2, test = 2 }
task = { input = 3, target = 7 }
"""
ROW = {"method": "set", "particles": 5, "roll_outs": {"20": {"value": 1e-9}}}
EVALUATION = json.dumps({"command": "nbody-sim evaluate set", "rows": [ROW]})


def shard(path):
    with ShardReader(path) as reader:
        reader.read(0, reader.shape[0])
        reader.t()
        reader.label_errors()


def array(path):
    file = NpyFile(path)
    file.read(0, file.shape[0] if file.shape else 1)


def make_files(folder):
    """One small file of each kind."""
    system = make_system("charged")
    start = system.sample(0, 3, 2)
    method = make_integrator("leapfrog", segment=2, substeps=1)
    output = Output(folder / "run.h5", checkpoint=folder / "run.restart")
    simulate(system, *start, 5, method, guard="stop", output=output)
    state, particles = start
    np.savez(
        folder / "start.npz",
        x=state.x,
        v=state.v,
        charges=particles.charges,
        masses=particles.masses,
    )
    np.save(folder / "loc.npy", state.x)
    h5md(folder / "others.h5", znh5md)
    table(folder / "run.csv")
    for suffix in ("xyz", "vtkhdf"):
        written = export(motion(), folder / f"run.{suffix.replace('xyz', 'extxyz')}")
        written.rename(folder / f"run.{suffix}")
    spec = {"particles": 2, "trajectories": 3, "frames": 4, "integrator": "leapfrog"}
    generate_dataset(resolve(spec), folder / "data")
    (folder / "spec.toml").write_text(SPEC)
    shutil.copy(ROOT / "plugins/nbody_set/recipes/set.toml", folder / "recipe.toml")
    shutil.copy(ROOT / "studies/generalisation.toml", folder / "study.toml")
    card = Card(
        systems=(CardSystem(system="charged", spec={"softening": 0.1}, time_range=(0.0, 1.0)),),
        frame_dt=0.1,
        particles=(2, 3),
        charges=(1.0, 1.0),
        masses=(1.0, 1.0),
        symmetries=("rotation",),
        training_data_hash="none",
    )
    model = SET(SETConfig(width=2, heads=1, substeps=2, basis=2, history=2))
    save_weights(folder / "weights", model, "set", card)
    (folder / "weights/evaluation.json").write_text(EVALUATION)
    (folder / "training").mkdir()
    save_checkpoint(folder / "training", 1, {"a": torch.ones(3)}, {"seconds": 1.0})


def weights(folder):
    load_weights(folder, "set", SET)


KINDS = {
    "weights, model": ("weights/model.safetensors", BINARY, lambda path: weights(path.parent)),
    "weights, config": ("weights/config.json", TEXT, lambda path: weights(path.parent)),
    "weights, evaluation": (
        "weights/evaluation.json",
        TEXT,
        lambda path: Model("m", "set", path.parent).evaluation(),
    ),
    "H5MD": ("run.h5", BINARY, read_h5md),
    "restart": ("run.restart", (*BINARY, *TEXT), read_restart),
    "manifest": ("data/manifest.json", TEXT, lambda path: read_manifest(path.parent)),
    "shard": ("data/shard-00000.h5", BINARY, shard),
    "spec": ("spec.toml", TEXT, read_spec),
    "recipe": ("recipe.toml", TEXT, read_recipe),
    "study": ("study.toml", TEXT, read_study),
    "npz": ("start.npz", BINARY, read_initial),
    "H5MD of others": ("others.h5", BINARY, read_run),
    "XYZ": ("run.xyz", TEXT, read_run),
    "CSV": ("run.csv", TEXT, read_run),
    "VTKHDF": ("run.vtkhdf", BINARY, read_initial),
    "npy": ("loc.npy", BINARY, array),
    "checkpoint, tensors": (
        "training/checkpoint-1.safetensors",
        BINARY,
        lambda path: load_checkpoint(path.parent),
    ),
    "checkpoint, rest": (
        "training/checkpoint.json",
        TEXT,
        lambda path: load_checkpoint(path.parent),
    ),
}
"""Kind of file to its place, the ways to change it, and its reader."""

SHARES = {
    **{"weights, model": 0.5, "weights, config": 0.4, "weights, evaluation": 0.1},
    **{"spec": 0.5, "recipe": 0.5, "study": 0.5, "npy": 0.5},
    **{"checkpoint, tensors": 0.25, "checkpoint, rest": 0.25},
    **{"H5MD of others": 0.2, "XYZ": 0.2, "CSV": 0.2, "VTKHDF": 0.2},
}
"""Parts of a kind that share its files: a folder of weights, configurations."""

EACH = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make_files(folder)
    return folder


@pytest.fixture
def files(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "files"))


@EACH
def test_damaged_files_are_refused_in_one_line(files, kind):
    name, changes, read = KINDS[kind]
    path = files / name
    assert survived(lambda: read(path), kind)
    count = int(hostile.COUNT * SHARES.get(kind, 1.0))
    _, refused = fuzz(path, lambda: read(path), changes, sorted(KINDS).index(kind), count)
    assert refused > count // 10
    assert survived(lambda: read(path), kind)


# What is no file


@EACH
def test_a_pipe_a_folder_or_nothing_is_refused(files, kind):
    name, _, read = KINDS[kind]
    path = files / name
    path.unlink()
    if kind not in ("weights, evaluation", "checkpoint, rest"):  # they need not be there
        assert not survived(lambda: read(path), "missing")
    os.mkfifo(path)
    optional = kind in ("weights, evaluation", "checkpoint, rest")
    assert survived(lambda: read(path), "a pipe") is optional
    path.unlink()
    path.mkdir()
    assert survived(lambda: read(path), "a folder") is optional


@EACH
def test_an_empty_a_foreign_and_a_deep_file_are_refused(files, kind):
    name, _, read = KINDS[kind]
    path = files / name
    for content in (b"", b"\0" * 64, hostile.deep(), hostile.long_json(), os.urandom(512)):
        path.write_bytes(content)
        if not (kind == "spec" and content == b""):
            assert not survived(lambda: read(path), content[:20])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "npy" not in kind])
def test_a_huge_file_is_not_read_into_memory(files, kind):
    """It has holes, so that it takes no room on the disk."""
    name, _, read = KINDS[kind]
    path = files / name
    with path.open("r+b") as file:
        file.truncate(2**40)
    before = hostile.resource.getrusage(hostile.resource.RUSAGE_SELF).ru_maxrss
    readable = survived(lambda: read(path), "huge")
    after = hostile.resource.getrusage(hostile.resource.RUSAGE_SELF).ru_maxrss
    assert 1024 * (after - before) < hostile.MOST_MEMORY
    # what stands behind their data is no matter
    assert readable is (kind in ("H5MD", "H5MD of others", "VTKHDF", "shard"))


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path):
    """A bomb: a thousand times its size in zeros."""
    shape = (2, 1_000_000, 3)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, dims in (
            ("x", shape),
            ("v", shape),
            ("charges", shape[:2]),
            ("masses", shape[:2]),
        ):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, {"descr": "<f8", "fortran_order": False, "shape": dims}
            )
            with archive.open(f"{name}.npy", "w") as stream:
                stream.write(header.getvalue())
                for _ in range(int(np.prod(dims)) // 1_000_000):
                    stream.write(bytes(8_000_000))
    with pytest.raises((InputError, FileFormatError), match="unpack"):
        read_initial(tmp_path / "bomb.npz")


# Links


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "evaluation.json"])
def test_symbolic_links_in_a_folder_of_weights_are_refused(files, tmp_path, name):
    path = files / "weights" / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    model = Model("m", "set", files / "weights")
    with pytest.raises(FileFormatError, match="symbolic link"):
        model.evaluation() if name == "evaluation.json" else model.load()
    if name == "config.json":
        with pytest.raises(FileFormatError, match="symbolic link"):
            find_model(str(files / "weights"))


@pytest.mark.parametrize(
    ("name", "place"),
    [("run.h5", "parameters/nbody_surrogate/ensemble/position"), ("data/shard-00000.h5", "x")],
)
def test_links_out_of_an_hdf5_file_are_refused(files, name, place):
    path, read = files / name, read_h5md if name == "run.h5" else shard
    whole = path.read_bytes()
    with h5py.File(path) as file:
        shape = file[place].shape
    with h5py.File(files / "other.h5", "w") as other:
        other["secret"] = np.ones(shape)
    sources = h5py.VirtualLayout(shape, "<f8")
    sources[...] = h5py.VirtualSource(str(files / "other.h5"), "secret", shape)
    for put in (
        lambda file: file.__setitem__(place, h5py.ExternalLink(str(files / "other.h5"), "secret")),
        lambda file: file.create_virtual_dataset(place, sources),
        lambda file: file.create_dataset(
            place, shape, "<f8", external=[(str(files / "other.h5"), 0, h5py.h5f.UNLIMITED)]
        ),
    ):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            del file[place]
            put(file)
        with pytest.raises(FileFormatError):
            read(path)


# Code


class Payload:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.write_text, (self.trace, "run")


@EACH
def test_a_pickle_is_never_unpacked(files, tmp_path, kind):
    name, _, read = KINDS[kind]
    path, trace = files / name, tmp_path / "trace"
    pickle.loads(pickle.dumps(Payload(trace)))
    assert trace.read_text() == "run"  # it would work
    trace.unlink()
    contents = [pickle.dumps(Payload(trace))]
    for save in (torch.save, lambda value, file: np.save(file, np.array([value]))):
        file = io.BytesIO()
        save(Payload(trace), file)
        contents.append(file.getvalue())
    file = io.BytesIO()
    np.savez(file, **{key: np.array([Payload(trace)]) for key in ("x", "v", "charges", "masses")})
    contents.append(file.getvalue())
    for content in contents:
        path.write_bytes(content)
        assert not survived(lambda: read(path), content[:20])
        assert not trace.exists()


SOURCES = [
    path
    for folder in ("nbody_surrogate", "simulators", "plugins")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
FORBIDDEN = {
    r"\b(?:import|from) (?:pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal|yaml)\b": set(),
    r"\b(?:torch|pickle|joblib)\.load\b|read_pickle|weights_only": set(),
    r"allow_pickle\s*=\s*True": set(),
    r"\b(?:np|numpy)\.load\((?!.*, allow_pickle=False\))": set(),
    r"np\.fromfile\((?!stream, self\._dtype)": set(),
    r"(?<![\w.])(?:eval|exec|__import__)\(": set(),
    r"import_module|spec_from_file|runpy|\bimportlib\.util\b": {
        "nbody_surrogate/cli/on_demand.py",  # commands, from a table in the sources
        "nbody_surrogate/formats/foreign/extra.py",  # whether a reader's library is there
        "nbody_surrogate/lazy.py",  # public names, from tables in the sources
        "nbody_surrogate/registry/entry_points.py",  # whether a plugin's package is there
        "nbody_surrogate/viz/scene/picture_path.py",  # whether imageio is there
        "simulators/nbody_simulators/systems/ase_calculators.py",  # from a table in the sources
    },
    r"subprocess|os\.system|os\.popen": set(),
}
"""What would open a door, and the files that use it for something else."""


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_door_for_code_is_in_the_sources(pattern):
    found = {
        str(path.relative_to(ROOT)) for path in SOURCES if re.search(pattern, path.read_text())
    }
    assert len(SOURCES) > 100
    assert found <= FORBIDDEN[pattern], found - FORBIDDEN[pattern]
