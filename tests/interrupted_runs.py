"""Runs that are interrupted, and what they are held against."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from nbody_surrogate import (
    Guard,
    make_integrator,
    make_system,
    resume,
    simulate,
)
from nbody_surrogate.simulation.checkpoint import read_restart
from nbody_surrogate.simulation.file_writer import Output

FRAMES, SEGMENT = 22, 5
RESTART = "run.restart"
METHODS = {
    "dop853": ("dop853", {}, None),
    "dop853-compiled": ("dop853-compiled", {}, None),
    "leapfrog": ("leapfrog", {"substeps": 4}, None),
    "set": ("set", {"device": "cpu"}, None),
    "set by torch": ("set", {"device": "cpu", "engine": "torch"}, None),
    "guarded set": ("set", {"device": "cpu"}, {"energy": 1e-4}),
    "set of a tolerance": ("set", {"device": "cpu"}, None),
}
TOLERANCES = {"set of a tolerance": 1e-7}


def method_of(name):
    method, options, _ = METHODS[name]
    return make_integrator(method, segment=SEGMENT, **options)


def guard_of(name):
    thresholds = METHODS[name][2]
    return None if thresholds is None else Guard("fallback", reference="dop853", **thresholds)


def run_of(name, batch=1, output="run.h5", frames=FRAMES, checkpoint=None, **options):
    """Run from the start, in the working directory."""
    system = make_system("charged")
    start = system.sample(3, 5, batch)
    place = Output(output, checkpoint=checkpoint)
    method, guard = method_of(name), guard_of(name)
    options = {"guard": guard, "tolerance": TOLERANCES.get(name), "output": place, **options}
    return simulate(system, *start, frames, method, **options)


def arrays_of(path):
    """Every array of an H5MD file but the provenance, by its name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, each: (
                found.update({name: each[()]})
                if isinstance(each, h5py.Dataset) and "provenance" not in name
                else None
            )
        )
    return found


def assert_same_file(one, other):
    ours, theirs = arrays_of(one), arrays_of(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.tobytes() == theirs[name].tobytes(), name


def interrupted(name="leapfrog", batch=2, frames=12, **options):
    def stop(done, total):
        if done > frames:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_of(
            name, batch, checkpoint=options.pop("checkpoint", RESTART), observers=stop, **options
        )
    return read_restart(RESTART)


def refused(error, *words, **options):
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    with pytest.raises(error) as caught:
        resume(RESTART, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    after = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert after == before
