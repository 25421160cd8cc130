"""Solvers that move a system by approximate forces of its own."""

from __future__ import annotations

import json
from types import MappingProxyType

import numpy as np
import pytest
from pydantic import Field

from commands import MISUSE, bad, good
from nbody_surrogate import InputError, make_integrator, resume, simulate
from nbody_surrogate.contracts.system_spec import SystemSpec
from nbody_surrogate.evaluation.work_precision.benchmark import Benchmark
from nbody_surrogate.evaluation.work_precision.classical_front import best_methods
from nbody_surrogate.evaluation.work_precision.measure import measure
from nbody_surrogate.evaluation.work_precision.settings import Settings
from nbody_surrogate.evaluation.work_precision.verdict import best_sentences
from nbody_surrogate.integrators.approximate import Approximated, with_options
from nbody_surrogate.integrators.approximation_text import split_approximation
from nbody_surrogate.integrators.build import method_from
from nbody_surrogate.integrators.known_methods import approximated_names
from nbody_surrogate.integrators.method_text import contender, sweep
from nbody_surrogate.integrators.refine import sharper
from nbody_surrogate.integrators.solver_doubt import solver_doubt
from nbody_surrogate.registry.registry import register_system
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.testing.probes import OnlyNumPy

pytestmark = pytest.mark.usefixtures("registered")


class StiffSpec(SystemSpec):
    k: float = Field(default=1.0, gt=0, description="stiffness")
    other: float = Field(default=0.0, description="of nothing")


class Stiff(OnlyNumPy):
    """Springs, and others that are nearly as stiff."""

    name = "stiff"
    Spec = StiffSpec
    approximations = MappingProxyType({"near": {"k": 0.99}, "far+off": {"k": 0.5, "other": 1.0}})

    def pair_acceleration(self, x, particles):
        return self.spec.k * super().pair_acceleration(x, particles)

    def potential_energy(self, x, particles):
        return self.spec.k * super().potential_energy(x, particles)


@pytest.fixture
def stiff():
    register_system("stiff")(Stiff)
    return Stiff(other=2.0)


@pytest.mark.parametrize("text", ["leapfrog:4", "srkn6:1", "rk4:2", "dop853:1e-6"])
def test_the_forces_are_those_of_the_approximation(stiff, text):
    """And the run is one of the system itself, from the same start, to the same bits."""
    start = stiff.sample(0, 4, 2)
    run = simulate(stiff, *start, 6, f"{text}@near")
    same = simulate(Stiff(other=2.0, k=0.99), *start, 6, text)
    np.testing.assert_array_equal(run.x, same.x)
    np.testing.assert_array_equal(run.v, same.v)
    assert run.info.counters == same.info.counters
    assert run.info.system == stiff.description
    assert run.info.label == f"{same.info.label} with forces near"
    np.testing.assert_allclose(
        run.energy[:, -1], stiff.invariants(run.x[:, -1], run.v[:, -1], start[1]).energy
    )


def test_names_options_and_texts(stiff):
    made = make_integrator("leapfrog@far+off", substeps=8)
    assert made.description["integrator"] == made.name == "leapfrog@far+off"
    assert method_from(made.description).description == made.description
    assert repr(made).startswith("<integrator 'leapfrog@far+off': ")
    other = with_options(made, substeps=3)
    assert (other.name, other.options.substeps) == (made.name, 3)
    each = contender("leapfrog:8@far+off")
    assert (each.family, each.parameter, each.label) == (made.name, 8, "leapfrog:8@far+off")
    assert each.method.description == made.description
    assert sweep("srkn4@near")[:2] == ["srkn4:1@near", "srkn4:2@near"]
    assert sweep("srkn4:2@near") == ["srkn4:2@near"]
    assert approximated_names(stiff)[:2] == ["leapfrog@near", "srkn4@near"]


def test_a_folder_may_have_the_sign_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model@home").mkdir()
    for text in ("model@home", "some/model@home"):
        assert split_approximation(text) == (text, None)
    assert split_approximation("leapfrog:8@p2+pairs") == ("leapfrog:8", "p2+pairs")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("leapfrog@nearer", "`approximation` 'nearer' is none of system 'stiff'; there are: "),
        ("leapfrog@", "`integrator` 'leapfrog@' must name a method before the @ and"),
        ("@near", "`integrator` '@near' must name a method before the @ and"),
        ("leapfog@near", "`integrator` 'leapfog' is no method"),
        ("leapfrog:0@near", "`integrator` 'leapfrog:0@near': sub-steps must be a whole number"),
        ("set@near", "`integrator` 'set@near': a surrogate computes no forces"),
        ("hermite4@near", "`integrator` hermite4 needs forces that are written as laws"),
        ("dop853+numpy@near", "`integrator` 'dop853+numpy@near': +numpy is of "),
    ],
)
def test_refusals(stiff, text, said):
    with pytest.raises(InputError) as caught:
        simulate(stiff, *stiff.sample(0, 3), 2, text)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_near_name_is_suggested(stiff):
    with pytest.raises(InputError, match=r"did you mean 'near'\?$"):
        stiff.approximated("neer")


def test_a_system_without_approximations(charged):
    with pytest.raises(InputError) as caught:
        simulate(charged, *charged.sample(0, 3), 2, "leapfrog@p2")
    assert str(caught.value) == (
        "`approximation` 'p2' is none of system 'charged', which has no approximations; "
        "leave it out"
    )


def test_errors_are_against_the_systems_own_forces(stiff):
    """A sharper run has them, and no tolerance vouches for a run that has not."""
    tight = sharper(make_integrator("dop853@near", rtol=1e-6))
    assert (tight.name, tight.options.rtol) == ("dop853", 1e-8)
    run = simulate(stiff, *stiff.sample(0, 4), 10, "dop853:1e-9@near", verify=True)
    exact = simulate(stiff, *stiff.sample(0, 4), 10, "dop853:1e-11")
    off = np.sqrt(((run.x - exact.x) ** 2).mean((2, 3)))
    np.testing.assert_allclose(run.label_error[:, 1:], off[:, 1:], rtol=1e-3)
    assert np.isnan(solver_doubt(make_integrator("dop853@near"), run.x)).all()


def test_a_guard_replays_by_the_systems_own_forces(stiff):
    start = stiff.sample(0, 4)
    method = make_integrator("leapfrog@far+off", segment=4, substeps=4)
    run = simulate(stiff, *start, 8, method, guard="fallback")
    exact = simulate(stiff, *start, 8, "dop853")
    assert run.info.guard.fallen_back[0] > 0
    np.testing.assert_allclose(run.x, exact.x, atol=1e-5)


class StopError(Exception):
    pass


def test_a_restart_goes_on_to_the_same_bits(stiff, tmp_path):
    method, start = make_integrator("leapfrog@near", segment=3, form="kdk"), stiff.sample(0, 4)
    whole = simulate(stiff, *start, 9, method)

    def stop(done, total):
        if done >= 5:
            raise StopError

    output = Output(tmp_path / "run.h5", checkpoint=tmp_path / "run.restart")
    with pytest.raises(StopError):
        simulate(stiff, *start, 9, method, output=output, observers=stop)
    rest = resume(tmp_path / "run.restart")
    np.testing.assert_array_equal(rest.x, whole.x)
    assert rest.info.method == whole.info.method
    assert rest.info.label == "leapfrog (kdk, 16 sub-steps) with forces near"


def test_the_command_line_takes_the_text(stiff, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = ("--system", "stiff", "-n", "3", "--duration", "0.3")
    told = good("run", *start, "--integrator", "leapfrog:8@near", "--json")
    made = json.loads(told)["methods"][0]
    assert (made["integrator"], made["substeps"]) == ("leapfrog@near", 8)
    for text, message in (
        ("leapfrog:8@near", "`substeps` 4 does not go with `integrator` 'leapfrog:8@near'"),
        ("leapfrog@nar", "`approximation` 'nar' is none of system 'stiff'; there are: near, far"),
        ("leapfog:8@near", "`integrator` 'leapfog' is unknown; there are"),
    ):
        assert message in bad(MISUSE, "run", *start, "--integrator", text, "--substeps", "4")
    assert "approximations: near, far+off\n" in good("plugins", "show", "stiff")


def test_settings_end_where_the_forces_are_all_that_is_wrong():
    settings = Settings({1.0: 1e-12}, every=False)
    steps = [contender(text) for text in ("leapfrog:1@near", "leapfrog:2@near", "leapfrog:4@near")]
    for each, error in zip(steps, (0.5, 0.1, 0.1001), strict=True):
        assert settings.pays(each)
        settings.note(each, [error], 1.0)
    assert not settings.pays(contender("leapfrog:8@near"))
    plain = [contender(text) for text in ("leapfrog:1", "leapfrog:2")]
    for each in plain:
        settings.note(each, [0.1], 1.0)
    assert settings.pays(contender("leapfrog:4"))
    assert best_methods([]) == []


def test_a_measurement_names_the_best_classical_methods(stiff):
    texts = ["leapfrog:2@near", "leapfrog:4@near", "leapfrog:4@far+off", "srkn4:2"]
    benchmark = Benchmark(stiff, *stiff.sample(0, 3, 3), (0.5,), (1,))
    found = measure([contender(text) for text in texts], benchmark, seconds=0.01)
    (line,) = best_sentences(found)
    assert line.startswith("t = 0.5, one by one: an RMSE within ")
    assert line.endswith(" ms per time unit at best.")
    errors = {point.label: point.error.value for point in found.points}
    assert errors["srkn4:2"] < errors["leapfrog:4@near"] < errors["leapfrog:4@far+off"]
    best = best_methods(found.group(0.5, 1))
    assert any(name.startswith("leapfrog@near at ") for _, name, _ in best)


def test_it_is_an_integrator_like_any_other(stiff):
    method = make_integrator("srkn4@near")
    assert isinstance(method, Approximated)
    assert not method.batch_invariant_for(stiff)
    assert method.history == 1
    assert method.fingerprint == ""
    assert method.threads_for(2, 3) >= 1
