"""Options that came later: what files mean that do not hold them."""

from __future__ import annotations

from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.manifest import Manifest, spec_hash
from nbody_surrogate.datasets.spec import STORED, DatasetSpec, resolve
from nbody_surrogate.integrators.build import make_integrator, method_from

OF_BEFORE = {"integrator": "dop853", "segment": 50, "rtol": 1e-9, "atol": 1e-9}


def test_a_description_of_before_has_the_norm_of_before():
    assert method_from(OF_BEFORE).options.norm == "rms"
    assert method_from(OF_BEFORE | {"norm": "particle"}).options.norm == "particle"
    assert make_integrator("dop853").options.norm == "particle"


def test_a_leapfrog_of_before_kicks_first():
    before = {"integrator": "leapfrog", "segment": 50, "substeps": 8}
    assert method_from(before).options.form == "kdk"
    assert method_from(before | {"form": "dkd"}).options.form == "dkd"
    assert make_integrator("leapfrog").options.form == "dkd"


def test_a_data_set_by_leapfrog_of_before_keeps_its_hash_and_its_form():
    given = {"integrator": "leapfrog", "frames": 5}
    stored = Manifest.model_validate({"spec": given}, context=STORED)
    assert stored.spec.options == {}
    assert TrajectoryMaker(stored.spec).integrator.options.form == "kdk"
    assert spec_hash(DatasetSpec(**given, options={"form": "kdk"})) == spec_hash(stored.spec)
    assert resolve(given).options == {"form": "dkd"}


def test_a_data_set_of_before_keeps_its_hash_and_its_solver():
    stored = Manifest.model_validate({"spec": {"system": "gravity", "frames": 5}}, context=STORED)
    assert stored.spec.options == {}
    options = TrajectoryMaker(stored.spec).integrator.options
    assert (options.norm, options.rtol) == ("rms", 1e-9)
    again = DatasetSpec(system="gravity", frames=5, options={"norm": "rms"})
    assert spec_hash(again) == spec_hash(stored.spec)


def test_a_new_data_set_says_its_norm_and_tolerance():
    spec = resolve({"system": "gravity", "frames": 5})
    assert spec.options == {"norm": "particle", "rtol": 1e-11, "atol": 1e-11}
    assert resolve({"frames": 5, "options": {"rtol": 1e-7}}).options["rtol"] == 1e-7
    assert spec_hash(DatasetSpec(**spec.model_dump())) == spec_hash(spec)
