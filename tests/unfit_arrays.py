"""Every public call that takes arrays, with arrays that do not fit; run as a program.

As a program, since tests execute annotations, which would refuse all of it before the code does.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import nbody_surrogate as nb
from nbody_surrogate import contracts, layers
from nbody_surrogate.contracts import (
    AbstractDearSystem,
    AbstractIntegrator,
    AbstractSystem,
    Box,
    NeighbourRequest,
    SystemNeeds,
)
from nbody_surrogate.errors import NBodyError

PACKAGES = ("nbody_surrogate", "nbody_surrogate.contracts", "nbody_surrogate.layers")
ARRAYS = re.compile(r"ndarray|Tensor|Float64|ArrayLike|Vectors|\bState\b|\bParticles\b")
B, N, D, T = 2, 5, 3, 4

rng = np.random.default_rng(0)
x, v = rng.normal(size=(2, B, N, D))
system = nb.make_system("charged")
state, particles = system.sample(0, N, B)
run = nb.simulate(system, state, particles, T - 1)
method = nb.make_integrator("leapfrog")
carry = method.start(system, state, particles, 0.1)
near = contracts.neighbour_pairs(x, NeighbourRequest(1.0, 0.1))
box = Box((4.0, 4.0, None))
folder = Path(tempfile.mkdtemp())

dear = nb.system_from_callable(lambda x: -x, name="tethered", energy=lambda x: 0.5 * (x * x).sum())

CALLS = {
    "AbstractDearSystem.pair_acceleration": dear.pair_acceleration,
    "AbstractDearSystem.potential_energy": dear.potential_energy,
    "AbstractIntegrator.check": lambda **k: method.check(system, dt=0.1, **k),
    "AbstractIntegrator.start": lambda **k: method.start(system, dt=0.1, **k),
    "AbstractIntegrator.restart": lambda **k: method.restart(carry.problem, 0, **k),
    "AbstractSystem.acceleration": system.acceleration,
    "AbstractSystem.invariants": system.invariants,
    "AbstractSystem.neighbours": system.neighbours,
    "AbstractSystem.pair_acceleration": system.pair_acceleration,
    "AbstractSystem.potential_energy": system.potential_energy,
    "AbstractSystem.one_body_acceleration": nb.make_system("trap").one_body_acceleration,
    "Box.displacement": box.displacement,
    "Box.wrap": box.wrap,
    "Ensemble": lambda **k: nb.Ensemble(info=run.info, **k),
    "Neighbours.cover": near.cover,
    "Neighbours.sum": near.sum,
    "PairedTest.of": nb.PairedTest.of,
    "Particles": nb.Particles,
    "State": lambda **k: nb.State(0.0, **k),
    "Tracks": lambda **k: nb.Tracks(frame_dt=0.1, names=tuple("abcde"), **k),
    "Trajectory": lambda **k: nb.Trajectory(info=run.info, **k),
    "every_pair": contracts.every_pair,
    "neighbour_pairs": lambda **k: contracts.neighbour_pairs(request=near.request, **k),
    "paired": contracts.paired,
    "parareal": lambda **k: nb.parareal(system, frames=2, slices=1, coarse="leapfrog:1", **k),
    "simulate": lambda **k: nb.simulate(system, frames=1, **k),
}
"""How each is called; what it takes beside arrays is given here."""

FITTING = {
    "Box.displacement": {"dx": x},
    "Ensemble": {
        **{"t": run.t, "x": run.x, "v": run.v, "particles": particles},
        "label_error": np.zeros((B, T)),
    },
    "Tracks": {"x": run.x[0], "charges": np.ones(N), "masses": np.ones(N)},
    "Trajectory": {
        **{"t": run.t, "x": run.x[0], "v": run.v[0], "particles": particles[0]},
        "label_error": np.zeros(T),
    },
    "AbstractIntegrator.restart": {"x": run.x[:, -1:], "v": run.v[:, -1:]},
    "Neighbours.sum": {"values": np.ones((len(near.j), D))},
    "PairedTest.of": {"first": np.ones(B), "second": np.ones(B)},
    "Particles": {
        **{"charges": np.ones((B, N)), "masses": np.ones((B, N))},
        "couplings": np.ones((B, N, N)),
        "radii": np.ones((B, N)),
    },
    **{
        name: {"state": state, "particles": particles}
        for name in ("AbstractIntegrator.check", "AbstractIntegrator.start", "parareal", "simulate")
    },
}
DEFAULT = {"x": x, "v": v, "particles": particles}

DUTY = "a duty of a system that has such: called through `acceleration`"
HANDED = "what a method hands to the core, which looks at it there"
START = "called by the core, with the start of a run, which is checked"
PICTURES = "for pictures: shapes by tests/contracts/test_scenery.py, starts are a run's own"
TORCH = "torch code inside a compiled step: torch words what does not fit"
ELSEWHERE = {
    "fits": "answers whether arrays fit",
    "ParticleTensors.from_particles": "takes particles, which are checked",
    "AbstractSystem.hidden_rate": "takes the hidden variables too: tests/contracts/test_hidden.py",
    "AbstractSystem.hidden_acceleration": DUTY,
    "AbstractSystem.neighbour_acceleration": DUTY,
    "AbstractSystem.refuse_unfit_start": "called by the core, with a start that is checked",
    "AbstractSystem.refuse_wrong_radii": "called by the core, with particles that are checked",
    **dict.fromkeys(
        [
            *("AbstractSystem.drag_rates", "AbstractSystem.checked_drag_rates"),
            *("SystemKicks.drag_rates", "SystemKicks.checked_drag_rates"),
        ],
        "takes particles, which are checked",
    ),
    "AbstractSystem.legacy_draw": "takes a stream of random numbers",
    **dict.fromkeys(["AbstractSystem.check_start", "AbstractDearSystem.check_start"], START),
    "system_from_callable": "takes a start: tests/registry/test_callable_system.py",
    "write_discovery_report": "takes a folder too: tests/viz/test_discovery_page.py",
    "Evaluated": HANDED,
    "Comparison": "made by `compare`",
    "Discovery": "made by `discover`",
    "AbstractSurrogate.begin_with_curve": TORCH,
    "Configurations": HANDED,
    "Draw": HANDED,
    **dict.fromkeys(["AbstractSystem.scenery", "SystemScenery.scenery"], PICTURES),
    **dict.fromkeys(["Arrow", "Bonds", "Curve", "Ellipsoid", "Rods"], PICTURES),
    "Reporter.measure": "called by the core, with frames of a run",
    "EdgeWeights": HANDED,
    "Frames": HANDED,
    "Invariants": HANDED,
    "Neighbours": HANDED,
    "ParticleTensors": HANDED,
    "Outside.solver": START,
    "Problem": HANDED,
    "Segment": HANDED,
    "AbstractSurrogate.forward": TORCH,
    "AbstractSurrogate.fused_steps": HANDED,
    "AbstractFusedSteps.advance": HANDED,
    "AbstractErrorFollower.followed": "called by the core, with the frames of a run",
    "AbstractSurrogate.initialise": TORCH,
    "AbstractSurrogate.start_cache": TORCH,
    "AbstractSurrogate.step_cache": TORCH,
    "EGCL.forward": TORCH,
    "edge_sums": TORCH,
    "directed_force": TORCH,
    "field_acceleration": TORCH,
    "pair_force": TORCH,
}
"""What is not called here, and why."""


def unfit(value):
    """Yield what does not fit in the place of a value, and what it is called."""
    if isinstance(value, nb.Particles):
        yield "other N", nb.make_system("charged").sample(0, N + 1, B)[1]
        yield "more B", nb.make_system("charged").sample(0, N, B + 1)[1]
        yield "none", None
        yield "array", np.ones((B, N))
        return
    if isinstance(value, nb.State):
        yield "other N", nb.make_system("charged").sample(0, N + 1, B)[0]
        yield "more B", nb.make_system("charged").sample(0, N, B + 1)[0]
        yield "array", value.x
        yield "none", None
        return
    for axis, length in enumerate(value.shape):
        if length > 1:
            yield f"axis {axis} shorter", value.take(range(length - 1), axis)
        yield f"axis {axis} longer", np.repeat(value, 2, axis)
        yield f"axis {axis} empty", value.take([], axis)
    yield "scalar", 1.0
    yield "more axes", value[None, None, None]
    yield "text", "here"
    yield "none", None
    yield "complex", value + 1j
    yield "ragged", [[1.0], [1.0, 2.0]]
    yield "objects", np.full(value.shape, None)
    yield "gradients", torch.ones(value.shape, requires_grad=True)


FITS = {
    # any number of configurations, of pairs or of particles, and of columns beside them
    ("Box.displacement", "dx"): r"axis [01]|more axes",
    ("Box.wrap", "x"): r"axis [01]|more axes",
    ("Neighbours.sum", "values"): r"axis 1",
    ("every_pair", "x"): r"axis [01] (shorter|longer)|axis 2 shorter",
    ("neighbour_pairs", "x"): r"axis [01] (shorter|longer)|axis 2 shorter",
    ("AbstractSystem.neighbours", "x"): r"axis [01] (shorter|longer)|axis 2 shorter",
    **{
        (f"{kind}.{key}", "x"): "axis 2 shorter"
        for kind in ("AbstractSystem", "AbstractDearSystem")
        for key in ("pair_acceleration", "potential_energy")
    },
    # a number, or one set, is shared, and what is optional may be left out
    ("Particles", "charges"): "scalar|axis 0 shorter",
    ("Particles", "masses"): "scalar|axis 0 shorter",
    ("Particles", "couplings"): "none|axis 0 shorter",
    ("Particles", "radii"): "none|scalar",
    ("Ensemble", "label_error"): "none",
    ("Trajectory", "label_error"): "none",
    # any number of frames, and particles in a plane too
    ("Tracks", "x"): "axis 0 (shorter|longer)|axis 2 shorter",
    ("Tracks", "charges"): "none",
    ("Tracks", "masses"): "none",
}
"""What of the unfit fits after all, and is no error."""


def public():
    """All public functions, and classes with their methods, by name."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                found[name] = value
            if inspect.isclass(value) and not issubclass(value, BaseException):
                if value not in (AbstractSystem, AbstractIntegrator, SystemNeeds):
                    found[name] = value
                for key, method in inspect.getmembers(value, inspect.isroutine):
                    ours = str(getattr(method, "__module__", "")).startswith("nbody")
                    again = value is AbstractDearSystem and key not in vars(value)
                    if not key.startswith("_") and ours and not again:
                        found[f"{name}.{key}"] = method
    same = (
        "SurrogateIntegrator.",
        "Parareal.",
        "SystemNeeds.",
    )  # as of the class that they are a part of
    return {name: value for name, value in found.items() if not name.startswith(same)}


def arrays_of(function):
    """Names of the parameters that are arrays, states or particles."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kept = [each.name for each in parameters if ARRAYS.search(str(each.annotation))]
    left = ("arrays", "hidden", "self", "which", "r2", "model", "neighbours")
    return [name for name in kept if name not in left]


def main():
    """Print what went wrong; return how much that is."""
    wrong, count = [], 0
    assert layers.__all__
    for name, function in public().items():
        wanted = arrays_of(function)
        if not wanted or name in ELSEWHERE:
            continue
        if name not in CALLS:
            wrong.append(f"{name}: say in this file how it is called, for {wanted}")
            continue
        fitting = FITTING.get(name, {key: DEFAULT[key] for key in wanted if key in DEFAULT})
        CALLS[name](**fitting)
        for key, value in fitting.items():
            for what, other in unfit(value):
                count += 1
                said = outcome(CALLS[name], {**fitting, key: other})
                accepted = re.search(FITS.get((name, key), "never"), what)
                if said is None and accepted:
                    continue
                if said is None or "raw" in said:
                    wrong.append(f"{name}({key}: {what}): {said or 'it gives something'}")
    print("\n".join(wrong))
    print(count, "calls")
    return len(wrong)


def outcome(call, values):
    """Return None where a call gives something, else its error; what is raw is marked."""
    try:
        call(**values)
    except (NBodyError, TypeError) as error:
        return "raw, several lines" if "\n" in str(error) else "refused"
    except Exception as error:
        return f"raw {type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main() > 0)
