"""The whole way from tracks to a law, by kinds of tracks."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.discovery.discover import STAGES, discover
from nbody_surrogate.discovery.files import read_folder
from watched import tracks_of, watched

pytestmark = pytest.mark.slow


def ratios(values):
    return values / np.abs(values).mean()


def told(found, key):
    return np.array([each[key]["value"] for each in found.discovery["particles"]])


def broken(found):
    return {each["name"] for each in found.discovery["symmetries"] if each["broken"]}


def whole(found, tmp_path, **start):
    """Check that it is written, read and run."""
    json.dumps(found.discovery, allow_nan=False)
    folder = found.save(tmp_path / "found")
    system = nb.make_system("discovered", **read_folder(folder).law)
    state, particles = system.sample(0, len(found.law["charges"]), **start)
    assert np.isfinite(nb.simulate(system, state, particles, 10)[0].x).all()


@pytest.fixture(scope="module")
def grains():
    more = {"wake_charge": 0.0, "temperature": 0.1, "charge_spread": 0.3}
    return watched("dust", 5, 2500, 3, dimensions=2, noise=1e-3, **more)


@pytest.fixture(scope="module")
def of_grains(grains):
    told = []
    tell = told.append
    found = discover([grains[0]], command="a command", seed=4, progress=lambda *now: tell(now))
    return found, told


def test_grains_of_dust(grains, of_grains, tmp_path):
    found, _stages = of_grains
    q, m = grains[1].charges[0], grains[1].masses[0]
    for key, truth in (("charge", ratios(q)), ("charge_to_mass", ratios(q / m))):
        bounds = [[each[key][k] for each in found.discovery["particles"]] for k in ("low", "high")]
        low, high = np.array(bounds)
        # one interval of 95 % in ten may miss, by half its width
        wide = 0.5 * (high - low)
        assert ((low - wide < truth) & (truth < high + wide)).all()
        assert ((low < truth) & (truth < high)).sum() >= 4
        assert (high - low).max() < 0.25
    assert broken(found) == {"translation", "boost", "energy"}
    assert {each["name"] for each in found.discovery["field"]} >= {
        "gradient by charge x",
        "gradient by charge y",
    }
    fits = {each["name"]: each["fits"] for each in found.discovery["formulas"]}
    assert fits["yukawa"] and not fits["spring"] and not fits["lennard-jones"]
    assert 0.8 < found.discovery["residuals"]["chi2"] < 1.25
    assert found.discovery["forecast"]["valid_time"]["value"] > 0.5
    whole(found, tmp_path, dimensions=2)


def test_stages_are_told_in_order(of_grains):
    found, stages = of_grains
    names = list(dict.fromkeys(name for name, *_ in stages))
    assert names == [*STAGES, "done"]
    done = [done for _, done, _ in stages]
    assert done == sorted(done)
    assert (found.discovery["command"], found.discovery["seed"]) == ("a command", 4)


def test_a_seed_gives_the_same_again(grains, of_grains):
    again = discover([grains[0]], command="a command", seed=4)
    assert again.discovery == of_grains[0].discovery
    assert again.law == of_grains[0].law


def test_order_of_particles_and_directions_do_not_matter(grains, of_grains):
    x, order = grains[0].x, [3, 0, 4, 1, 2]
    c, s = np.cos(0.7), np.sin(0.7)
    other = discover([tracks_of(x[:, order] @ np.array([[c, -s], [s, c]]).T)], seed=4)
    for key in ("charge", "charge_to_mass"):
        np.testing.assert_allclose(told(other, key), told(of_grains[0], key)[order], rtol=0.03)
    assert broken(other) == broken(of_grains[0])


def test_charges_of_both_signs_without_noise(tmp_path):
    more = {"charge_range": (0.5, 1.5), "mass_range": (0.5, 2.0), "softening": 0.5}
    tracks, particles = watched("charged", 5, 600, 6, frame_dt=0.05, **more)
    found = discover([tracks])
    q, m = particles.charges[0], particles.masses[0]
    sign = np.sign(told(found, "charge")[0] * q[0])
    np.testing.assert_allclose(sign * told(found, "charge"), ratios(q), rtol=1e-3)
    np.testing.assert_allclose(sign * told(found, "charge_to_mass"), ratios(q / m), rtol=1e-3)
    assert broken(found) == set()
    assert found.discovery["formula"] == "softened-coulomb"
    best = found.discovery["formulas"][0]["parameters"]
    assert best["softening"] == pytest.approx(0.5, rel=1e-3)
    size = np.abs(q).mean() * np.abs(q / m).mean()
    assert best["A"] == pytest.approx(size, rel=1e-3)
    assert found.discovery["residuals"]["r2_held_out"] > 1 - 1e-6
    distances = [each["distance"] for each in found.discovery["formulas"]]
    assert distances[0] < 1e-3 < min(distances[1:])
    whole(found, tmp_path)


def test_bonds_of_springs(tmp_path):
    tracks, particles = watched("springs", 5, 300, 0)
    found = discover([tracks], couplings=True)
    couplings = np.array(found.law["couplings"])
    np.testing.assert_allclose(couplings / couplings.max(), particles.couplings[0], atol=1e-4)
    bonded = [0, 1, 3, 4]
    assert (np.array(found.law["masses"])[bonded] > 0).all()
    np.testing.assert_allclose(ratios(np.array(found.law["masses"])[bonded]), 1.0, rtol=1e-4)
    assert broken(found) == set()
    assert found.discovery["formula"] == "spring"
    whole(found, tmp_path)


@pytest.mark.parametrize(
    "options",
    [{"hold_out": 0.0}, {"hold_out": 0.5, "drag": "shared"}, {"drag": "none", "axis": None}],
)
def test_options(grains, options, tmp_path):
    found = discover([grains[0]], bootstrap=20, knots=8, **options)
    assert (found.discovery["forecast"] is None) == (options.get("hold_out") == 0.0)
    if options.get("drag") == "none":
        assert found.law["drag"] == 0 == found.law["temperature"]
    if options.get("drag") == "shared":
        assert found.law["drag_power"] == 0 and found.law["drag"] > 0
    whole(found, tmp_path, dimensions=2)


def test_two_runs_of_the_same_particles_are_one_set(grains):
    x = grains[0].x
    runs = [tracks_of(x[:1200]), tracks_of(x[1200:])]
    same = discover(runs, same_particles=True, bootstrap=20, knots=8)
    assert len(same.discovery["particles"]) == 5
    one = discover([grains[0]], bootstrap=20, knots=8)
    np.testing.assert_allclose(told(same, "charge"), told(one, "charge"), rtol=0.05)


def test_gaps_are_no_matter(grains):
    x = grains[0].x.copy()
    rng = np.random.default_rng(0)
    for i in range(5):
        for first in rng.integers(10, 2400, size=40):
            x[first : first + rng.integers(1, 12), i] = np.nan
    found = discover([tracks_of(x)], bootstrap=20, knots=8)
    full = discover([grains[0]], bootstrap=20, knots=8)
    np.testing.assert_allclose(told(found, "charge"), told(full, "charge"), rtol=0.1)
    assert found.discovery["tracks"]["missing"] == pytest.approx(np.isnan(x[..., 0]).mean())
