"""Data sets hold hidden variables as columns of their own; windows for training have none."""

import json

import h5py
import numpy as np
import pytest

from nbody_surrogate import InputError
from nbody_surrogate.contracts.hidden_variables import HiddenVariable
from nbody_surrogate.datasets import Dataset, DatasetWindows, audit_dataset
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.exchange.exports import export_npz, export_nri
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.generation.live_windows import LiveWindows
from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.manifest import MANIFEST, read_manifest, spec_hash
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.datasets.verify import verify_dataset
from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.registry.registry import register_system
from nbody_surrogate.testing.probes import Relaxing
from tests.commands import good
from tests.hidden_systems import Bonding

NEAR = 1e-7
SYSTEMS = {"relaxing": "charge", "bonding": "strength"}


@pytest.fixture
def systems(registered):
    register_system("relaxing")(Relaxing)
    register_system("bonding")(Bonding)


def spec_of(system="relaxing", **options):
    given = {"particles": 3, "trajectories": 10, "frames": 5, "integrator": "dop853", "shard": 4}
    return DatasetSpec(system=system, **(given | options))


@pytest.fixture
def dataset(systems, tmp_path):
    return generate_dataset(spec_of(), tmp_path / "set")


def relaxed(initial, t):
    decay = np.exp(-t).reshape(1, -1, *[1] * (initial.ndim - 1))
    return 1.0 + (initial[:, None] - 1.0) * decay


@pytest.mark.parametrize(("system", "name"), SYSTEMS.items())
def test_they_are_read_with_the_rows(system, name, systems, tmp_path):
    made = generate_dataset(spec_of(system), tmp_path / "set")
    block = made.read(1, 9)  # of three shards
    values = block.hidden[name]
    assert values.shape[:3] == (8, 6, 3)
    np.testing.assert_allclose(values, relaxed(values[:, 0], made.t), atol=NEAR)
    np.testing.assert_array_equal(made[3].hidden[name], block.hidden[name][2])
    state = made[3].state(2)
    np.testing.assert_array_equal(state.hidden[name][0], values[2, 2])


def test_the_manifest_names_them(dataset):
    (column,) = dataset.manifest.hidden
    assert (column.name, column.shape) == ("charge", ())
    assert column.description == "of each grain, towards 1"
    stored = json.loads((dataset.folder / MANIFEST).read_text())
    assert [each["name"] for each in stored["hidden"]] == ["charge"]
    info = good("dataset", "info", dataset.folder)
    assert "charge (N) of each grain, towards 1" in info


def test_rows_from_a_later_frame_on_have_theirs(systems, tmp_path):
    made = generate_dataset(spec_of(frames=8, first=3), tmp_path / "set")
    values = made.read(0, 10).hidden["charge"]
    whole = generate_dataset(spec_of(frames=8), tmp_path / "whole").read(0, 10).hidden["charge"]
    np.testing.assert_allclose(values, whole[:, 3:], atol=NEAR)


def test_blocks_are_joined_and_cut_with_them(dataset):
    block = dataset.read(0, 6)
    parts = [block.subset(slice(0, 2)), block.subset([2, 3, 4, 5])]
    joined = TrajectoryBlock.joined(parts)
    np.testing.assert_array_equal(joined.hidden["charge"], block.hidden["charge"])


def test_windows_for_training_have_none(dataset):
    stored = next(iter(DatasetWindows(dataset, "train", window=3)))
    live = next(iter(LiveWindows(spec_of(), window=3)))
    for each in (stored, live):
        assert "hidden" not in each._fields
        assert each.x.shape == (3, 3, 3)


def test_shards_do_not_depend_on_workers_or_interruptions(dataset, tmp_path):
    again = generate_dataset(spec_of(shard=10), tmp_path / "one")
    np.testing.assert_array_equal(
        again.read(0, 10).hidden["charge"], dataset.read(0, 10).hidden["charge"]
    )
    kept = dataset.manifest.digest
    (dataset.folder / "shard-00001.h5").unlink()
    assert generate_dataset(spec_of(), dataset.folder).manifest.digest == kept


# Checks


def test_they_are_made_again_bit_for_bit(dataset):
    found = verify_dataset(dataset, 3)
    assert found.success
    assert len(found.same) == 3


def test_a_difference_in_them_alone_is_told(dataset, monkeypatch):
    read = Dataset.read

    def other(self, start, stop):
        block = read(self, start, stop)
        return block._replace(hidden={"charge": block.hidden["charge"] + 1e-9})

    monkeypatch.setattr(Dataset, "read", other)
    found = verify_dataset(dataset, 1)
    assert found.problems[0].startswith("trajectory 0 is made differently here: hidden charge by ")


def test_an_audit_solves_rows_with_them(dataset):
    audit = audit_dataset(dataset)
    assert audit.level == "ok", str(audit)
    assert "exact solution" in audit["converged solver"].text


def test_an_audit_finds_nan_in_them(dataset):
    change(dataset, "hidden.charge", lambda values: values.__setitem__((1, 2, 0), np.nan))
    finding = audit_dataset(dataset)["NaN"]
    assert finding.level == "wrong"
    assert finding.numbers["rows"] == 1
    assert "trajectory 1 row 2" in finding.text


# Damage


def change(dataset, key, action):
    with h5py.File(dataset.folder / "shard-00000.h5", "r+") as file:
        values = file[key][()]
        action(values)
        file[key][...] = values


def test_a_shard_without_them_is_refused(dataset):
    path = dataset.folder / "shard-00000.h5"
    # in place, as the size of a shard is recorded
    path.write_bytes(path.read_bytes().replace(b"hidden.charge", b"hidden.chargf"))
    with pytest.raises(FileFormatError, match=r"cannot be read as a shard: .*hidden\.charge"):
        dataset.read(0, 1)


def test_a_shard_with_others_is_refused(dataset):
    manifest = json.loads((dataset.folder / MANIFEST).read_text())
    manifest["hidden"][0]["shape"] = ["N"]
    (dataset.folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(FileFormatError, match=r"cannot be read as a shard: .*hidden\.charge"):
        Dataset(dataset.folder).read(0, 1)


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        ([{"name": "x"}], "`name` of a hidden variable must be a word"),
        ([{"name": "q", "shape": [0]}], "`shape` of hidden variable 'q' must be"),
        ([{"name": "q", "shape": ["K"]}], "hidden.0.shape"),
        ([{"name": "q"}, {"name": "q"}], "must have unlike names"),
    ],
)
def test_a_manifest_with_what_none_can_be_is_refused(dataset, hidden, words):
    manifest = json.loads((dataset.folder / MANIFEST).read_text())
    (dataset.folder / MANIFEST).write_text(json.dumps(manifest | {"hidden": hidden}))
    with pytest.raises(FileFormatError) as caught:
        read_manifest(dataset.folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_system_that_has_others_by_now_begins_another_set(dataset, monkeypatch):
    (dataset.folder / "shard-00001.h5").unlink()
    others = (HiddenVariable("charge", ("D",)),)
    monkeypatch.setattr(Relaxing, "hidden_variables", others)
    monkeypatch.setattr(TrajectoryMaker, "check", lambda self: None)
    with pytest.raises(InputError, match="was begun with other hidden variables than the system "):
        generate_dataset(spec_of(), dataset.folder)


# Others


def test_exports_leave_them_out_and_say_so(dataset, tmp_path):
    words = r"`format` npz does not hold hidden variables, `charge`: left out"
    with pytest.warns(match=words):
        written = export_npz(dataset, tmp_path / "npz")
    with np.load(written[0]) as archive:
        assert sorted(archive) == ["charges", "masses", "t", "v", "x"]
    with pytest.warns(match="`format` nri does not hold hidden variables"):
        export_nri(dataset, tmp_path / "nri")


def test_sets_without_any_are_as_before(tmp_path):
    spec = DatasetSpec(particles=2, trajectories=10, frames=2, integrator="leapfrog")
    made = generate_dataset(spec, tmp_path / "set")
    stored = json.loads((made.folder / MANIFEST).read_text())
    assert "hidden" not in stored
    assert dict(made.read(0, 1).hidden) == {}
    assert spec_hash(spec) == made._hash
