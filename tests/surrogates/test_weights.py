"""Weights on disk: what is saved comes back bit for bit, and nothing damaged comes back at all."""

from __future__ import annotations

import json
import os
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch.utils._python_dispatch import TorchDispatchMode

from nbody_set.model import SET, SETConfig
from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.evaluation.rollouts import Truth, one_step, one_step_of_model
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.weights import _NoValues, load_weights, save_weights

pytestmark = pytest.mark.usefixtures("one_thread")

FLIPS = 100  # damaged copies of each file
LONGEST_LINE = 500  # characters of a message, paths of temporary folders included

BEST_LEAPFROG = 100.0
"""How many times the one-step error of shipped weights must lie below that of a leapfrog with as
many force evaluations. An untrained SET is that leapfrog, about, and has 1; they have
1000 and more."""

CARD = Card(
    systems=(
        CardSystem(
            system="trap",
            spec={"coupling": 1.0, "softening": 0.1, "frequencies": [0.5, 0.5, 0.25]},
            time_range=(0.0, 2.0),
        ),
    ),
    frame_dt=0.1,
    particles=(2, 3),
    charges=(1.0, 1.0),
    masses=(1.0, 1.0),
    symmetries=("rotation",),
    training_data_hash="none",
    training={"steps": 3},
)


def make_model(seed=0, **config):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SET(SETConfig(**({"width": 4, "substeps": 2, "basis": 4} | config)))


@pytest.fixture
def folder(tmp_path):
    """A folder of good weights."""
    save_weights(tmp_path / "good", make_model(), "set", CARD)
    return tmp_path / "good"


def load_set(folder):
    return load_weights(folder, "set", SET)


def refused(folder, *words, error=FileFormatError):
    """Check that loading fails in one line that names the parameter, the folder and `words`."""
    with pytest.raises(error) as caught:
        load_set(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < LONGEST_LINE
    assert "`weights`" in message
    assert str(folder) in message
    assert all(word in message for word in words), message
    return message


def change_config(folder, change):
    """Rewrite config.json with `change` applied to its content."""
    path = folder / "config.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def forged(**spans):
    """Return a domain of these ranges, as JSON has it."""
    numbers = {"system": "charged", "particles": 5, "trajectories": 1, "frames": 1}
    return {"measured": [{**numbers, "start": spans, "run": {}}]}


# What is saved comes back


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_round_trip_is_bitwise(tmp_path, dtype):
    model = make_model(heads=4, history=3).to(dtype)
    save_weights(tmp_path, model, "set", CARD)
    loaded, card, digest = load_set(tmp_path)
    assert loaded.config == model.config
    assert loaded.dtype is dtype
    assert not loaded.training
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    assert card == CARD.model_copy(update={"dtype": str(dtype).removeprefix("torch.")})
    assert len(digest) == 64


def test_a_folder_holds_two_files_and_is_the_same_each_time(tmp_path):
    for name in ("one", "other"):
        save_weights(tmp_path / name, make_model(), "set", CARD)
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            "config.json",
            "model.safetensors",
        }
    assert load_set(tmp_path / "one")[2] == load_set(tmp_path / "other")[2]


def test_saving_again_replaces_the_old_weights(folder):
    save_weights(folder, make_model(seed=1), "set", CARD)
    loaded = load_set(folder)[0]
    assert torch.equal(loaded.initial_features, make_model(seed=1).initial_features)


def test_the_hash_changes_with_a_bit(folder):
    digest = load_set(folder)[2]
    tensors = load((folder / "model.safetensors").read_bytes())
    bits = tensors["initial_features"].view(torch.int32)
    bits[0] ^= 1
    (folder / "model.safetensors").write_bytes(save(tensors))
    loaded, _, changed = load_set(folder)
    assert changed != digest
    assert (loaded.initial_features != make_model().initial_features).sum() == 1


def test_the_hash_covers_the_configuration(folder):
    digest = load_set(folder)[2]
    change_config(folder, lambda content: content["card"].update(frame_dt=0.2))
    assert load_set(folder)[2] != digest


# What is missing, damaged or something else


def test_no_folder(tmp_path):
    refused(tmp_path / "none", "folder", error=InputError)
    (tmp_path / "file").write_text("no folder")
    refused(tmp_path / "file", "folder", error=InputError)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    refused(folder, name, "missing")
    (folder / name).mkdir()
    refused(folder, name)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file(folder, name, kept):
    content = (folder / name).read_bytes().rstrip()
    (folder / name).write_bytes(content[: int(kept * len(content))])
    refused(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_flipped_bits_give_finite_weights_or_one_line(folder, name):
    good = (folder / name).read_bytes()
    rng = np.random.default_rng(0)
    loaded = 0
    for _ in range(FLIPS):
        damaged = bytearray(good)
        damaged[rng.integers(len(good))] ^= 1 << rng.integers(8)
        (folder / name).write_bytes(damaged)
        try:
            model = load_set(folder)[0]
        except (FileFormatError, InputError) as error:
            assert "\n" not in str(error)
            assert "`weights`" in str(error)
        else:
            loaded += 1
            assert all(bool(torch.isfinite(v).all()) for v in model.state_dict().values())
            numbers = model.config.model_dump(
                exclude={"prior", "memory", "temporal"}, exclude_none=True
            )
            numbers |= numbers.pop("domain", {})
            assert all(np.isfinite(value).all() for value in numbers.values())
    assert 0 < loaded < FLIPS  # the flips reach numbers as well as structure


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_flipped_bits_in_the_structure(folder, name):
    """The first bytes are structure: lengths, names, types, offsets."""
    good = (folder / name).read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(FLIPS):
        damaged = bytearray(good)
        damaged[rng.integers(200)] ^= 1 << rng.integers(8)
        (folder / name).write_bytes(damaged)
        try:
            model = load_set(folder)[0]
        except (FileFormatError, InputError) as error:
            assert "\n" not in str(error)
        else:
            assert all(bool(torch.isfinite(v).all()) for v in model.state_dict().values())


@pytest.mark.parametrize("version", [0, 2, "1", None, 10**30])
def test_another_format_version(folder, version):
    change_config(folder, lambda content: content.update(format_version=version))
    refused(folder, "format version", repr(version), "reads 1")


def test_another_surrogate(folder):
    change_config(folder, lambda content: content.update(surrogate="egnn"))
    refused(folder, "'egnn'", "'set'", error=InputError)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(format="something else"),
        lambda content: content.pop("card"),
        lambda content: content.update(card=[]),
        lambda content: content.update(config=None),
        lambda content: content["card"].pop("frame_dt"),
        lambda content: content["card"].update(extra=1),
        lambda content: content["card"].update(frame_dt=-1.0),
        lambda content: content["card"].update(particles=[1]),
        lambda content: content["card"].update(frame_dt=float("nan")),
        lambda content: content["card"]["systems"][0].update(extra=1),
        lambda content: content["card"]["systems"][0].pop("time_range"),
        lambda content: content["card"]["systems"][0].update(spec={"softening": float("nan")}),
        lambda content: content["card"]["systems"][0].update(time_range=[0.0, float("inf")]),
        lambda content: content["card"].update(domain=forged(speed=[2.0, 1.0])),
        lambda content: content["card"].update(domain=forged(speed=[0.0, float("nan")])),
        lambda content: content["card"].update(domain=forged(sped=[0.0, 1.0])),
        lambda content: content["card"].update(domain={"measured": [], "extra": 1}),
        lambda content: content["config"].update(coupling=float("nan")),
        lambda content: content["config"].update(softening=float("inf")),
        lambda content: content["config"].update(width=0),
        lambda content: content["config"].update(unknown=1),
        lambda content: content["config"].update(prior="newton"),
        lambda content: content["config"].update(prior="kernel"),  # of more tensors than there are
    ],
)
def test_a_wrong_configuration(folder, change):
    change_config(folder, change)
    refused(folder)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"format_version": ' + b"9" * 5000 + b"}",
        b'{"format": "\xc3"}',
    ],
    ids=["empty", "list", "null", "no text", "deep", "long number", "no UTF-8"],
)
def test_a_configuration_that_is_no_object(folder, raw):
    (folder / "config.json").write_bytes(raw)
    refused(folder, "config.json")


@pytest.mark.parametrize("config", [{"width": 8}, {"substeps": 3}, {"history": 9}, {"basis": 5}])
def test_weights_of_other_shapes(folder, config):
    change_config(folder, lambda content: content["config"].update(config))
    refused(folder, "do not fit")


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"domain": {"measured": 3}}, "`domain.measured` of the card"),
        ({"domain": {"mesured": []}}, "`domain.mesured` is not a parameter of the card"),
        ({"error_model": "none"}, "`error_model` of the card"),
    ],
)
def test_a_card_that_is_wrong_is_told_in_words(folder, card, words):
    change_config(folder, lambda content: content["card"].update(card))
    told = refused(folder, "do not fit", words)
    assert "pydantic" not in told and "input_value" not in told


@pytest.mark.parametrize("change", ["missing", "surplus", "renamed"])
def test_other_weights_than_the_models(folder, change):
    tensors = load((folder / "model.safetensors").read_bytes())
    kick = tensors.pop("kick")
    if change == "surplus":
        tensors |= {"kick": kick, "more": kick.clone()}
    if change == "renamed":
        tensors |= {"kicks": kick}
    (folder / "model.safetensors").write_bytes(save(tensors))
    refused(folder, "do not fit", "more" if change == "surplus" else "kick")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(folder, value):
    tensors = load((folder / "model.safetensors").read_bytes())
    tensors["drift"][1] = value
    (folder / "model.safetensors").write_bytes(save(tensors))
    refused(folder, "NaN")


def test_a_header_that_announces_more_than_there_is(folder):
    path = folder / "model.safetensors"
    body = path.read_bytes()[8:]
    for length in (len(body) + 1, 2**31, 2**63):
        path.write_bytes(struct.pack("<Q", length) + body)
        refused(folder, "do not fit")


def test_a_tensor_that_announces_more_than_there_is(folder):
    header = {"kick": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    text = json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))
    refused(folder, "do not fit")


def test_a_configuration_that_is_far_too_large(folder):
    with (folder / "config.json").open("ab") as file:
        file.truncate(1 << 30)  # sparse: takes no room on the disk
    refused(folder, "larger than")


# Nothing is trusted


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_symbolic_link_is_refused(folder, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    refused(folder, name, "symbolic link")


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_is_not_executed(folder, tmp_path, writer):
    proof = tmp_path / "executed"
    path = folder / "model.safetensors"
    if writer == "torch":
        torch.save({"kick": Payload(proof)}, path)
    else:
        path.write_bytes(pickle.dumps(Payload(proof)))
    refused(folder, "do not fit")
    assert not proof.exists()
    if writer == "pickle":  # the payload does work where it is executed
        pickle.loads(path.read_bytes())
        assert proof.exists()


# What ships


@pytest.mark.parametrize("name", SET.shipped_weights)
def test_shipped_weights_are_small_and_name_what_they_are_for(name):
    folder = SET.shipped_weights[name]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000
    model, card, _ = load_set(folder)
    assert set(card.symmetries) == SET.symmetries
    assert {each.system for each in card.systems} == {"charged", "trap"}
    for each in card.systems:
        assert each.spec == make_system(each.system).spec.of_forces()
        assert each.spec["softening"] == model.config.softening
        assert each.spec["coupling"] == model.config.coupling
    assert card.frame_dt == model.config.frame_dt


@pytest.fixture(scope="module")
def truth():
    """Six trajectories of `charged` with five particles, over 20 frames."""
    system = make_system("charged")
    state, particles = system.sample(7, 5, 6)
    run = simulate(system, state, particles, 20, make_integrator("dop853", rtol=1e-11, atol=1e-11))
    return Truth(system, run.x, run.v, particles)


@pytest.mark.parametrize("name", SET.shipped_weights)
def test_shipped_weights_beat_a_leapfrog_of_as_many_sub_steps(truth, name):
    model = load_set(SET.shipped_weights[name])[0]
    substeps = model.evaluations_per_frame
    assert substeps == (4 if name == "set-small" else 8)
    learned = one_step_of_model(model.double(), truth)[0].mean()
    classical = one_step(make_integrator("leapfrog", substeps=substeps), truth).mean()
    assert learned * BEST_LEAPFROG <= classical, f"{learned:.1e} against {classical:.1e}"


class Operations(TorchDispatchMode):
    """Notes the names of what torch computes."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_shapes_are_known_without_drawing_values():
    """Torch would import its compiler to draw values that are not there, for two seconds."""
    with torch.device("meta"), _NoValues(), Operations() as done:
        model = SET(SETConfig())
    assert {name for name in done.names if "normal" in name or "uniform" in name} == set()
    assert "linspace" not in done.names
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    real = SET(SETConfig())
    assert shapes == {key: value.shape for key, value in real.state_dict().items()}
    assert {key: value.shape for key, value in model.named_buffers()} == {
        key: value.shape for key, value in real.named_buffers()
    }
