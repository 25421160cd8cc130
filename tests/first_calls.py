"""What people try first, having read only the README; run as a program, in a folder of its own.

Habits are those of NumPy, SciPy, PyTorch, MDAnalysis, ASE, pandas and the command line. Each call
works, or ends in one line that says what to write. As a program, since tests execute annotations.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import torch

import nbody_surrogate as nb

torch.set_num_threads(1)
N, B, T = 4, 2, 6

system = nb.make_system("charged")
state, particles = system.sample(rng=0, n=N, trajectories=B)
start = (system, state, particles)
truth = nb.simulate(*start, frames=T - 1, integrator="dop853")
learned = nb.simulate(*start, frames=T - 1, integrator="set")
found = nb.compare(truth, learned)
atoms = types.SimpleNamespace(positions=np.zeros((N, 3)))  # as ASE's


def shown(value):
    """A repr that is short and holds no array."""
    text = repr(value)
    return len(text) < 400 and "array(" not in text and "[[" not in text


def saved():
    learned.save("learned.h5")
    back = nb.load("learned.h5")
    same = [(getattr(back, key) == getattr(learned, key)).all() for key in ("t", "x", "v")]
    return all(same) and back.info == learned.info


def exported():
    paths = [learned[0].save(f"one{suffix}") for suffix in (".npz", ".extxyz", ".vtkhdf")]
    return all(np.allclose(nb.load(path).x, learned[0].x, atol=1e-15) for path in paths)


def written_twice():
    nb.simulate(*start, frames=2, output="twice.h5")
    nb.simulate(*start, frames=2, output="twice.h5")


def own_start():
    mine = nb.State(0.0, np.random.default_rng(0).normal(size=(3, 3)), np.zeros((3, 3)))
    both = nb.Particles(charges=[1, -1, 1], masses=1)
    return nb.simulate(system, mine, both, frames=2).x.shape == (1, 3, 3, 3)


def gone_on():
    last = learned[0][-1]
    more = nb.simulate(system, last, particles[0], frames=2, integrator="set")
    return more.t[0] == learned.t[-1]


def registered():
    nb.register_surrogate("mine")(type("Mine", (torch.nn.Module,), {}))


def swapped():
    turned = nb.compare(learned, truth)
    return np.allclose(turned.position_rmse, found.position_rmse)


WORKS = {
    "look at a run": lambda: shown(learned) and shown(learned[0]),
    "arrays": lambda: (type(learned.x), learned.x.shape) == (np.ndarray, (B, T, N, 3)),
    "times": lambda: truth.t.shape == (T,),
    "plot": lambda: len(learned.plot().axes) > 0 and len(found.plot().axes) > 0,
    "energy": lambda: truth.energy.shape == (B, T) and truth[0].energy.shape == (T,),
    "own start": own_start,
    "loop over time": lambda: [each.t for each in learned[0]] == learned.t.tolist(),
    "lengths": lambda: (len(learned), len(learned[0])) == (B, T),
    "errors by hand": lambda: ((truth.x - learned.x) ** 2).mean((0, 2, 3)).shape == (T,),
    "prediction first": swapped,
    "integrator by name": lambda: len(
        nb.simulate(*start, 1, nb.make_integrator("set", weights="set-small"))
    ),
    "load a model": lambda: sum(p.numel() for p in nb.load_model("set").parameters()) > 0,
    "parameters": lambda: nb.make_system("charged", softening=0.2).spec.softening == 0.2,
    "lists of names": lambda: (
        "charged" in nb.list_systems() and "set" in nb.list_integrators()
        and "set-small" in nb.list_models()
    ),
    "save and load": saved,
    "for other programs": exported,
    "generator": lambda: system.sample(np.random.default_rng(0), N)[0].x.shape == (1, N, 3),
    "every other frame": lambda: learned[0][::2].t.tolist() == learned.t[::2].tolist(),
    "last of the first": lambda: learned[0, -1].t == learned.t[-1],
    "slices": lambda: (learned[1:].x == learned.x[1:]).all() and len(learned[[1, 0, 1]]) == 3,
    "to torch": lambda: torch.as_tensor(learned.x).shape == learned.x.shape,
    "go on from the last frame": gone_on,
    "one set of particles for all": lambda: len(nb.simulate(system, state, particles[0], 1)) == B,
    "a system by its name": lambda: len(nb.simulate("charged", state, particles, frames=1)) == B,
    "plot a file": lambda: len(nb.plot("learned.h5").axes) > 0,
    "files are compared": lambda: nb.compare("learned.h5", "learned.h5").position_rmse == (0.0,),
    "a run and a file": lambda: nb.compare(truth, Path("learned.h5")).trajectories == B,
    "a page of a file": lambda: nb.write_report(
        "learned.h5", truth, "a.html", floor=False
    ).is_file(),
    "render an ensemble": lambda: nb.render(learned, "b.html").is_file(),
    "render a file": lambda: nb.render("learned.h5", "c.html", reference=truth).is_file(),
    "single precision": lambda: nb.State(0, state.x.astype("f4"), state.v).x.dtype == np.float64,
    "evaluate": lambda: "set" in str(
        nb.evaluate("set", system="charged", particles=3, trajectories=2, horizons=[2],
                    classical=False)
    ),
    "a data set": lambda: len(
        nb.generate_dataset({"preset": "charged", "trajectories": 8, "frames": 4}, "set-of-8")
    ) == 8,
    "its trajectories": lambda: nb.Dataset("set-of-8")[-1].x.shape[1:] == (5, 3),
    "its audit": lambda: "NaN" in str(nb.audit_dataset("set-of-8", sample=2)),
}  # fmt: skip

SAYS = {
    "file that is not there": (lambda: nb.load("nope.h5"), nb.FileFormatError, "does not exist"),
    "a folder": (lambda: nb.load("set-of-8"), nb.InputError, "Dataset(folder)"),
    "energy of a system": (
        lambda: system.energy(state, particles), AttributeError, "invariants(x, v, particles)"
    ),
    "solve_ivp": (
        lambda: nb.simulate(*start, t_span=(0, 5), method="DOP853", rtol=1e-9),
        *(TypeError, "`frames`", "`integrator`", "make_integrator"),
    ),
    "no time": (lambda: nb.State(state.x, state.v), TypeError, "State(0.0, x, v)"),
    "other numbers": (
        lambda: nb.simulate(system, *nb.make_system("charged").sample(0, 3)[:1], particles, 1),
        *(nb.InputError, "`particles`", "(1, 3)", "(2, 4)"),
    ),
    "data frame": (lambda: found.to_dataframe(), AttributeError, "to_dict()"),
    "device": (lambda: nb.simulate(*start, 1, "set", device="cuda"), TypeError, "make_integrator"),
    "to a device": (lambda: state.to("cuda"), AttributeError, "device"),
    "sub-steps": (
        lambda: nb.simulate(*start, frames=1, integrator="leapfrog", substeps=32),
        *(TypeError, "`substeps`", "make_integrator"),
    ),
    "misspelt parameter": (
        lambda: nb.make_system("charged", sofening=1), nb.InputError, "did you mean `softening`"
    ),
    "misspelt keyword": (
        lambda: nb.simulate(*start, 1, obsevers=[]), TypeError, "did you mean `observers`"
    ),
    "particles of a system": (
        lambda: nb.make_system("charged", n_particles=3), nb.InputError, "system.sample"
    ),
    "option of a method": (
        lambda: nb.make_integrator("leapfrog", sub_steps=3), nb.InputError, "`substeps`"
    ),
    "save twice": (lambda: learned.save("learned.h5"), nb.InputError, "overwrite=True"),
    "several in one npz": (lambda: learned.save("a.npz"), nb.InputError, "run[0]"),
    "output twice": (written_twice, nb.InputError, "overwrite"),
    "seed": (
        lambda: system.sample(seed=0, n_particles=30), TypeError, "`rng`", "`n_particles` (write"
    ),
    "positions": (lambda: learned.positions, AttributeError, "write `x`"),
    "time": (lambda: learned.time, AttributeError, "write `t`"),
    "a list to render": (lambda: nb.render([truth, learned], "a.html"), nb.InputError, "reference"),
    "forces": (lambda: system.forces(state.x), AttributeError, "acceleration(x, v, particles)"),
    "no velocities": (
        lambda: system.acceleration(state.x, particles), TypeError, "`state.x, state.v, particles`"
    ),
    "atoms": (lambda: nb.simulate(system, atoms, particles, 1), nb.InputError, "read_initial"),
    "a name in capitals": (lambda: nb.simulate(*start, 1, "RK45"), nb.InputError, "mean 'rk45'"),
    "the pair unpacked": (
        lambda: nb.simulate(system, (state, particles), frames=1), TypeError, "state, particles ="
    ),
    "nothing but a system": (lambda: nb.simulate(system), TypeError, "`frames`"),
    "gradients": (
        lambda: nb.State(0, torch.randn(1, 5, 3, requires_grad=True), torch.zeros(1, 5, 3)),
        *(nb.InputError, "detach"),
    ),
    "any module": (registered, nb.PluginError, "AbstractSurrogate"),
    "a data set by another name": (lambda: nb.load_dataset("d"), AttributeError, "Dataset(folder)"),
    "names of others": (lambda: nb.Simulation, AttributeError, "`simulate`"),
    "misspelt name": (lambda: nb.Ensembel, AttributeError, "`Ensemble`"),
    "compare with text": (lambda: nb.compare(truth, "x"), nb.FileFormatError, "'x'"),
    "compare alone": (lambda: nb.compare(truth), TypeError, "`candidate`"),
    "report of a comparison": (
        lambda: nb.write_report(found), nb.InputError, "write_report(candidate, reference)"
    ),
    "no such trajectory": (lambda: learned[7], IndexError, "0 to 1"),
    "no such frame": (lambda: learned[0][99], IndexError, "-6 to 5"),
    "backwards": (lambda: learned[0][::-1], nb.InputError, "forwards"),
    "a name of a trajectory": (lambda: learned["a"], nb.InputError, "number of a trajectory"),
    "some frames": (lambda: learned[0][[1, 2]], nb.InputError, "[::10]"),
    "a slice of words": (lambda: learned[0]["a":], nb.InputError, "whole numbers"),
    "three indices": (lambda: learned[0, 1, 2], nb.InputError, "trajectories and frames"),
    "no recipe": (lambda: nb.train("nope.toml"), TypeError, "`output`"),
    "epochs": (lambda: nb.train("a.toml", "out", epochs=3), TypeError, "`steps`"),
    "no such model": (lambda: nb.evaluate("sett"), nb.InputError, "set-small"),
    "item of a data set": (lambda: nb.Dataset("set-of-8")[:2], nb.InputError, "read(start, stop)"),
}  # fmt: skip


def main():
    """Print what went otherwise; return how much that is."""
    wrong = []
    for what, call in WORKS.items():
        try:
            if not call():
                wrong.append(f"{what}: something else")
        except Exception as error:
            wrong.append(f"{what}: {type(error).__name__}: {error}")
    for what, (call, kind, *words) in SAYS.items():
        try:
            call()
        except Exception as error:
            said = str(error)
            lines = "\n" in said or len(said) > 700
            if lines or not isinstance(error, kind) or not all(word in said for word in words):
                wrong.append(f"{what}: {type(error).__name__}: {said}")
        else:
            wrong.append(f"{what}: nothing is said")
    print("\n".join(wrong))
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main() > 0)
