"""Writers and readers keep to one limit: no command writes what no command reads."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nbody_surrogate
from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.files import limits
from nbody_surrogate.files.limits import Limit

ROOT = Path(nbody_surrogate.__file__).parent

PAIRS = {
    "CHECKPOINT": ("training/checkpoint.py", "training/checkpoint.py"),
    "CONFIG": ("surrogates/weights.py", "surrogates/weights.py"),
    "EVALUATION": ("cli/evaluate.py", "surrogates/places.py"),
    "FRAMES": ("formats/h5md/run_path.py", "formats/h5md/layout.py"),
    "JSON": ("files/json_file.py", "files/json_file.py"),
    "MANIFEST": ("datasets/manifest.py", "datasets/manifest.py"),
    "PROVENANCE": ("formats/h5md/provenance.py", "files/hdf5.py"),
    "RESTART": ("simulation/checkpoint_writer.py", "simulation/checkpoint.py"),
    "FOREIGN_TEXT": (None, "formats/foreign/table.py"),
    "NPZ": ("formats/export.py", "formats/npz.py"),
    "TOML": (None, "files/toml.py"),  # which the user writes
    "WEIGHTS": ("surrogates/weights.py", "surrogates/weights.py"),
}
"""Who writes and who reads what is limited."""

ALL = {name: each for name, each in vars(limits).items() if isinstance(each, Limit)}


def uses(file, name):
    """How a module uses a limit: as ``NAME.require``, ``NAME.largest`` or ``limit=NAME``."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(name):
            found.add(node.attr)
        if isinstance(node, ast.keyword | ast.arg) and node.arg == "limit":
            value = getattr(node, "value", None)
            if value is not None and ast.unparse(value).endswith(name):
                found.add("require")
    return found


def test_every_limit_has_a_writer_and_a_reader():
    assert PAIRS.keys() == ALL.keys()
    for name, (writer, reader) in PAIRS.items():
        assert writer is None or uses(writer, name) & {"require"} or name == "JSON", name
        assert "largest" in uses(reader, name), name


def test_nothing_is_bounded_by_a_number_of_its_own():
    """Every call of `read_bounded` names a limit of the list."""
    calls = [
        (file, ast.unparse(node.args[1]))
        for file in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "read_bounded"
    ]
    assert len(calls) >= 5
    for file, limit in calls:
        name = limit.removesuffix(".largest")
        passed_on = file.name == "weights.py" and limit == "largest"
        assert name in ALL or passed_on, (file, limit)


@pytest.mark.parametrize("name", ALL)
def test_a_refusal_says_what_how_large_and_what_to_do(name):
    limit = ALL[name]
    limit.require(limit.largest)
    with pytest.raises(InputError) as caught:
        limit.require(limit.largest + 1, "of this")
    message = str(caught.value)
    assert message.startswith(f"{limit.what} of this would take ")
    assert message.endswith(f" are read at most: {limit.remedy}")
    assert "\n" not in message


# Each writer, with a limit that is small


def json_files(folder, monkeypatch, largest):
    from nbody_surrogate.files import json_file

    monkeypatch.setattr(json_file, "JSON", replace(limits.JSON, largest=largest))
    path = folder / "a.json"
    # the default of an argument is bound when the module is read
    json_file.write_json(path, ["a" * 1000], limit=json_file.JSON)
    return json_file.read_json(path)


def manifests(folder, monkeypatch, largest):
    from nbody_surrogate.datasets.manifest import Manifest, read_manifest, write_manifest
    from nbody_surrogate.datasets.spec import DatasetSpec

    monkeypatch.setattr(limits, "MANIFEST", replace(limits.MANIFEST, largest=largest))
    spec = DatasetSpec(system="charged", particles=2, trajectories=100, frames=2, shard=10)
    write_manifest(folder, Manifest(spec=spec.resolved() if hasattr(spec, "resolved") else spec))
    return read_manifest(folder)


def small_model(name, folder, monkeypatch, largest):
    from nbody_set.model import SET
    from nbody_surrogate.surrogates import weights as files

    shipped = SET.shipped_weights["set-small"]
    model, card, _ = files.load_weights(shipped, "set", SET)
    monkeypatch.setattr(files, name, replace(ALL[name], largest=largest))
    files.save_weights(folder / "weights", model, "set", card)
    return files.load_weights(folder / "weights", "set", SET)


def weights(*arguments):
    return small_model("WEIGHTS", *arguments)


def configurations(*arguments):
    return small_model("CONFIG", *arguments)


def checkpoints(folder, monkeypatch, largest):
    from nbody_surrogate.training import checkpoint

    monkeypatch.setattr(checkpoint, "CHECKPOINT", replace(limits.CHECKPOINT, largest=largest))
    checkpoint.save_checkpoint(folder, 3, {"a": torch.zeros(1000)}, {})
    return checkpoint.load_checkpoint(folder)


WRITERS = [json_files, manifests, weights, configurations, checkpoints]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("largest", [10, 500, 1000, 2000, 5000, 50_000, 10**7])
def test_what_is_written_is_read_whatever_the_limit(tmp_path, monkeypatch, write, largest):
    """A file that is too large is refused by the writer, never by the reader."""
    try:
        found = write(tmp_path, monkeypatch, largest)
    except FileFormatError as error:
        pytest.fail(f"written, and then refused: {error}")
    except (InputError, RunError) as error:
        assert "are read at most" in str(error)
        assert largest < 10**7
    else:
        assert found is not None
        assert largest > 10


def test_a_model_too_large_is_refused_before_its_training(monkeypatch):
    from nbody_surrogate.training import checkpoint

    model = torch.nn.Linear(100, 100)
    checkpoint.check_model_size(model)
    monkeypatch.setattr(checkpoint, "CHECKPOINT", replace(limits.CHECKPOINT, largest=100_000))
    with pytest.raises(InputError, match="`model`: the training's checkpoint would take"):
        checkpoint.check_model_size(model)


def test_json_that_could_not_be_read_leaves_what_was_there(tmp_path):
    from nbody_surrogate.files.json_file import read_json, write_json

    write_json(tmp_path / "a.json", {"old": 1})
    small = replace(limits.JSON, largest=100)
    with pytest.raises(RunError, match=r"a JSON file '.*a\.json' would take 1\.\d+ KiB"):
        write_json(tmp_path / "a.json", "new" * 400, limit=small)
    assert read_json(tmp_path / "a.json") == {"old": 1}
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}
