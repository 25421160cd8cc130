"""Restart files: what they hold, what the bits depend on, and which are not trusted."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

import nbody_surrogate.contracts.threads as threads
import nbody_surrogate.simulation.checkpoint as restart_files
import nbody_surrogate.surrogates.integrator as surrogate_integrators
from interrupted_runs import FRAMES, METHODS, RESTART, SEGMENT, interrupted, refused, run_of
from nbody_set.model import SET
from nbody_surrogate import (
    FileFormatError,
    InputError,
    make_integrator,
    make_system,
    read_h5md,
    resume,
    simulate,
)
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.simulation.checkpoint import Checkpoint, read_restart
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.simulation.restart_arrays import digest
from nbody_surrogate.surrogates.weights import load_weights, save_weights

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed"),
]


# The file


def test_a_restart_file_holds_all_that_the_rest_depends_on(folder):
    restart = interrupted("guarded set", checkpoint=Checkpoint(RESTART, {"mine": [1, "a"]}))
    document = restart.document
    assert document.system["system"] == "charged"
    assert document.method["integrator"] == "set"
    assert (document.frame, document.frames, document.seed) == (10, FRAMES, 3)
    assert document.output == str(folder / "run.h5")
    assert document.made_by.plugin.startswith("nbody-surrogate ")
    assert document.made_by.threads == 1
    assert len(document.made_by.fingerprint) == 64
    assert document.made_by.versions["numpy"] == np.__version__
    assert document.guard.policy == "fallback"
    assert document.note == {"mine": [1, "a"]}
    names = set(restart.arrays)
    assert names > {"carry.x", "carry.v", "carry.cache.past", "good", "message", "fallen_back"}
    assert not names & {"charges", "masses"}  # which do not change, and stand in the output
    assert document.identifier == read_h5md("run.h5.part").info.identifier
    assert names > {"guard.energy.base", "guard.energy.spent"}
    assert Path(RESTART).stat().st_size < 20_000


def test_what_is_written_comes_back_bit_for_bit(folder):
    restart = interrupted("dop853")
    restart.write(Path("again.restart"))
    again = read_restart("again.restart")
    assert again.document == restart.document
    assert again.arrays.keys() == restart.arrays.keys()
    for key, value in restart.arrays.items():
        assert again.arrays[key].tobytes() == value.tobytes()


def test_couplings_are_kept(folder):
    system = make_system("springs")
    start = system.sample(1, 4, 2)
    method = make_integrator("leapfrog", segment=SEGMENT)
    whole = simulate(system, *start, FRAMES, method)

    def stop(done, total):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(
            system,
            *start,
            FRAMES,
            method,
            output=Output("run.h5", checkpoint=RESTART),
            observers=stop,
        )
    np.testing.assert_array_equal(resume(RESTART).x, whole.x)


# What the bits depend on


def own_weights(change=0.0):
    """Write the shipped weights into a folder, each a little changed."""
    model, card, _ = load_weights(SET.shipped_weights["set"], "set", surrogate_class("set"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(change)
    save_weights("mine", model, "set", card)


def test_other_weights_are_refused_unless_that_is_allowed(folder, monkeypatch):
    own_weights()
    monkeypatch.setitem(METHODS, "mine", ("set", {"device": "cpu", "weights": "mine"}, None))
    interrupted("mine")
    whole = run_of("mine", 2, "whole.h5")
    own_weights(1e-3)
    refused(InputError, "weights ", "now", "--allow-inexact")
    other = resume(RESTART, allow_inexact=True)
    np.testing.assert_array_equal(other.x[:, :11], whole.x[:, :11])
    assert not np.array_equal(other.x[:, 11:], whole.x[:, 11:])
    np.testing.assert_allclose(other.x, whole.x, atol=0.1)
    Path("run.h5").rename("other.h5")


def test_weights_that_have_vanished_are_one_line(folder, monkeypatch):
    own_weights()
    monkeypatch.setitem(METHODS, "mine", ("set", {"device": "cpu", "weights": "mine"}, None))
    interrupted("mine")
    Path("mine/model.safetensors").unlink()
    refused(FileFormatError, "model.safetensors", "missing")


def test_another_number_of_threads_is_refused(folder):
    interrupted("leapfrog")
    other = make_integrator("leapfrog", segment=SEGMENT, substeps=4, threads=2)
    refused(InputError, "threads 1, now 2", integrator=other)
    resume(RESTART, other, allow_inexact=True)


def test_a_run_goes_on_with_its_threads_whatever_torch_is_set_to(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(surrogate_integrators, "SHARE", 1)  # every thread pays
    monkeypatch.setattr(
        surrogate_integrators, "torch_threads", lambda count: nullcontext(asked.append(count))
    )
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert interrupted("set by torch").document.made_by.threads == 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert resume(RESTART).info.threads == 3
    assert set(asked) == {3}


def test_other_threads_of_a_model_are_refused(folder):
    interrupted("set by torch")
    other = make_integrator("set", segment=SEGMENT, device="cpu", engine="torch", threads=2)
    refused(InputError, "threads 1, now 2", integrator=other)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("plugin_of", lambda name: "nbody-surrogate 9.9", "plugin nbody-surrogate 0.1.0, now"),
        ("versions", lambda: {"numpy": "9.9"}, f"numpy {np.__version__}, now 9.9"),
    ],
)
def test_other_versions_are_refused(folder, monkeypatch, name, change, words):
    interrupted()
    monkeypatch.setattr(restart_files, name, change)
    refused(InputError, words, "--allow-inexact")
    resume(RESTART, allow_inexact=True)


def test_another_method_is_refused_even_so(folder):
    interrupted("leapfrog")
    for other in (make_integrator("rk4", segment=SEGMENT), make_integrator("leapfrog", segment=6)):
        refused(InputError, "must be", integrator=other, allow_inexact=True)
    sharper = make_integrator("leapfrog", segment=SEGMENT, substeps=8)
    refused(InputError, "substeps 4, now 8", integrator=sharper)


# Files that are not trusted


def altered(restart, **changes):
    """Write a restart file whose document says something else, and whose hash fits."""
    text = json.dumps(json.loads(_text()) | changes)
    metadata = {"document": text, "sha256": digest(text, restart.arrays)}
    Path(RESTART).write_bytes(save(restart.arrays, metadata))


def _text():
    raw = Path(RESTART).read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return header["__metadata__"]["document"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 3}, "format version is 3"),
        ({"format": "other"}, "another kind"),
        ({"frame": 7}, "no boundary"),
        ({"frame": -5}, "frame"),
        ({"frame": 100}, "100 of 22"),
        ({"frames": 10**12}, "frames"),
        ({"frames": 500}, "with shape (2, 501, 5, 3)"),
        ({"dt": 0.0}, "dt"),
        ({"module": "os"}, "module"),
        ({"method": {"segment": 5}}, "integrator"),
        ({"method": {"integrator": "os.system", "segment": 5}}, "'os.system' is unknown"),
        ({"system": {"system": "os"}}, "'os' is unknown"),
        ({"output": "\0"}, "`output`"),
        ({"identifier": "f" * 32}, "another run"),
        ({"particles": "f" * 64}, "another run"),
    ],
    ids=str,
)
def test_contradictions_are_refused(folder, changes, words):
    altered(interrupted(), **changes)
    refused((FileFormatError, InputError), words)


@pytest.mark.parametrize("key", ["carry.x", "carry.h", "good", "message"])
def test_arrays_that_do_not_fit_are_refused(folder, key):
    restart = interrupted("dop853")
    for wrong in (restart.arrays[key][:1], restart.arrays[key].astype(np.float32), None):
        arrays = {k: y for k, y in restart.arrays.items() if k != key or wrong is not None}
        if wrong is not None:
            arrays[key] = wrong
        altered(restart._replace(arrays=arrays))
        refused(FileFormatError)


def test_a_bit_that_flips_anywhere_is_noticed(folder):
    interrupted("dop853")
    raw = Path(RESTART).read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(raw), size=60).tolist():
        changed = bytearray(raw)
        changed[place] ^= 1 << int(rng.integers(8))
        Path(RESTART).write_bytes(bytes(changed))
        try:
            read_restart(RESTART)
        except FileFormatError as error:
            assert "\n" not in str(error)
        else:  # of the header, what means the same
            assert load(bytes(changed)).keys() == load(raw).keys()


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n" + bytes(99), b"{}" * 50])
def test_another_file_is_told_to_be_no_restart_file(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="cannot be read as a restart file: it is") as told:
        read_restart(path)
    assert "no restart file" in str(told.value) or "it is none" in str(told.value)
    assert "header" not in str(told.value)
