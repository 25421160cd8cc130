"""What a shell or a notebook shows of an object is a summary, and never its arrays."""

from __future__ import annotations

import doctest
import importlib
import inspect

import numpy as np
import pytest
import torch

import nbody_surrogate as nb
from nbody_surrogate import contracts
from nbody_surrogate.contracts import NeighbourRequest
from nbody_surrogate.contracts.model_card import CardSystem
from nbody_surrogate.discovery.estimate import Estimate
from nbody_surrogate.evaluation.evaluate import Scorecard
from nbody_surrogate.evaluation.plan.result import (
    Asked,
    Classical,
    Effort,
    ForceCost,
    SurrogateFrame,
)
from nbody_surrogate.results import trajectory
from nbody_surrogate.results.bootstrap import Interval, Summary
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.train import TrainedModel

PACKAGES = ("nbody_surrogate", "nbody_surrogate.contracts")
LONGEST = 400
ARRAYS = ("array(", "tensor(", "[[", "[0.", "[-0.", "\n")


def a_plan():
    ends = Interval(2.0, 1.0, 3.0)
    return nb.Plan(
        Asked(nb.make_system("charged").description, 30, 1e-3, 2.0, 20, 100),
        (ForceCost("plain", ends, 50),),
        Classical("leapfrog:8", ends, 8.0, 1e-3),
        SurrogateFrame("set", {}, "fused", 1000, 1e-3, 0.0),
        ends,
        None,
        Effort(10, 0, 8, 1.0, 0.0),
        {},
    )


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """One of each public class."""
    system = nb.make_system("charged")
    state, particles = system.sample(0, 40, 3)
    run = nb.simulate(system, state, particles, 30, "leapfrog")
    other = nb.simulate(system, state, particles, 30, "rk4", guard="warn")
    twins = nb.Twins(run, other, 0.5)
    found = nb.compare(run, other, twins)
    method = nb.make_integrator("leapfrog")
    carry = method.start(system, state, particles, 0.1)
    segment = method.advance(carry, 3)
    x = np.array(state.x)
    model = nb.SurrogateIntegrator("set")
    parallel = nb.Parareal(coarse="leapfrog")
    folder = tmp_path_factory.mktemp("set")
    spec = {"preset": "charged", "trajectories": 8, "frames": 4}
    recipe = Recipe(surrogate="set", steps=1, data=[{"batch": 1, "spec": spec}])
    rows = tuple(find_model("set").evaluation().rows)
    return [
        *(system, state, particles, run, run[0], other.info, other.info.guard, twins, found),
        *(
            found.curves,
            *found.distributions,
            found.window,
            found.curves.bands["position_rmse"]["twin"],
            method,
            parallel,
            carry,
        ),
        *(segment, carry.problem, model, model.card, nb.run_table(run), nb.WarmUp()),
        *(model.card.domain, model.card.domain.measured[0], model.card.error_model),
        *(nb.Outside("refuse"), nb.PairedTest.of([1.0, 2.0, 4.0], [2.0, 2.0, 5.0])),
        *(nb.Guard("warn", energy=0.5), nb.Output("a.h5"), nb.Checkpoint("a"), nb.Supplements()),
        *(system.invariants(x, x, particles), contracts.every_pair(x), contracts.Box((1.0, None))),
        *(contracts.paired(particles, x, x), contracts.Frames(x, x), contracts.Limits()),
        contracts.Draw(x[0], x[0], particles.charges[0], particles.masses[0]),
        contracts.Evaluated(x, np.zeros(len(x))),
        contracts.ParticleTensors.from_particles(particles, "cpu", torch.float32),
        *(NeighbourRequest(1.0, 0.1), system.spec, method.options, Summary.of(x[:, 0, 0])),
        *(system.force_laws(), system.force_laws().pair, contracts.HiddenVariable("a")),
        *(CardSystem(system="charged", spec={}, time_range=None), model.model.config),
        *(nb.generate_dataset(spec, folder), nb.Dataset(folder).spec, nb.Dataset(folder).manifest),
        *(
            nb.audit_dataset(folder, sample=1),
            nb.Dataset(folder).read(0, 2),
            Scorecard("set", rows),
            a_plan(),
        ),
        *(contracts.Arrow(x[0, 0], x[0, 1]), contracts.Bonds([[0, 1]]), contracts.Curve(x[0])),
        *(contracts.Ellipsoid(x[0, 0], [1, 1, 1]), contracts.Rods([0], x[0, :1])),
        nb.Reporter("fastest", lambda t, x, v, particles: abs(v).max((2, 3))),
        *(nb.observe(run[0], noise=0.1, seed=0), nb.position_noise(nb.observe(run[0], seed=0))),
        *(TrainedModel(folder, recipe), recipe, nb.make_system("trap").force_laws().field),
        nb.make_system("dust").force_laws().directed,
        # an estimate takes seconds, and is not looked at
        nb.Discovery(
            {}, {"formula": "yukawa"}, None, object.__new__(Estimate), np.ones((20, 9)), ()
        ),
    ]


def test_it_is_short_and_holds_no_array(objects):
    wrong = {}
    for each in objects:
        text = repr(each)
        if len(text) > LONGEST or any(mark in text for mark in (*ARRAYS, " object at 0x")):
            wrong[type(each).__name__] = text[:LONGEST]
    assert wrong == {}


def test_every_public_class_is_among_them(objects):
    modules = map(importlib.import_module, PACKAGES)
    wanted = {
        each
        for each in (getattr(module, name) for module in modules for name in module.__all__)
        if inspect.isclass(each)
        and not issubclass(each, BaseException)
        and not inspect.isabstract(each)
    }
    shown = {base for each in objects for base in type(each).__mro__}
    assert sorted(each.__name__ for each in wanted - shown) == []


@pytest.mark.parametrize("cls", [trajectory.Trajectory, trajectory.Ensemble])
def test_examples_in_docstrings_are_right(cls):
    test = doctest.DocTestFinder(recurse=False).find(cls, globs={})[0]
    assert len(test.examples) > 4
    assert doctest.DocTestRunner().run(test).failed == 0
