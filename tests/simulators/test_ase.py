"""Atoms by calculators of ASE: closed forms, units, starts, and names that can do no harm."""

from __future__ import annotations

import math
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbody_simulators.systems import ase_calculators
from nbody_simulators.systems.ase_calculators import OURS, calculator_named
from nbody_simulators.systems.ase_structures import formula_of, lattice, species_of, thermal
from nbody_simulators.systems.ase_system import BOLTZMANN, UNITS
from nbody_surrogate import (
    InputError,
    Particles,
    State,
    load,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.registry.registry import system_from

pytest.importorskip("ase")

AMU, EV = 1.66053906660e-27, 1.602176634e-19  # kg and J, CODATA 2018
FEMTOSECONDS = 1e-10 * math.sqrt(AMU / EV) * 1e15
ARGON = 39.95
ROUNDING = 1e-12


def refused(call):
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def pair(distance, v=0.0):
    """Two argon atoms on the x axis, that part with speed v each."""
    x = np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
    u = np.array([[-v, 0.0, 0.0], [v, 0.0, 0.0]])
    return State(0.0, x, u), Particles(0.0, [ARGON, ARGON])


def test_energy_and_force_of_a_pair_are_those_of_lennard_jones():
    options = {"sigma": 3.0, "epsilon": 0.02, "rc": 1e3, "smooth": False}
    system = make_system("ase", calculator="lj", options=options)
    state, particles = pair(3.2)
    s6 = (3.0 / 3.2) ** 6
    wanted = 4 * 0.02 * (12 * s6**2 - 6 * s6) / 3.2
    force = particles.masses[..., None] * system.pair_acceleration(state.x, particles)
    np.testing.assert_allclose(force[0, :, 0], [-wanted, wanted], rtol=ROUNDING)
    energy = system.potential_energy(state.x, particles)
    np.testing.assert_allclose(energy, 4 * 0.02 * (s6**2 - s6), rtol=1e-9)  # cut at 1000


def test_a_bond_vibrates_with_its_period_in_femtoseconds():
    """Of Morse's potential, V = e (1 - exp(-a (r - r0)))^2: w^2 = 2 e a^2 / m of the half mass."""
    depth, r0, rho = 2.0, 3.0, 6.0
    options = {"epsilon": depth, "r0": r0, "rho0": rho, "rcut1": 50.0, "rcut2": 60.0}
    system = make_system("ase", calculator="morse", options=options)
    rate = math.sqrt(2 * depth * (rho / r0) ** 2 / (ARGON / 2))
    period = 2 * math.pi / rate
    state, particles = pair(r0 + 1e-5)
    run = simulate(system, state, particles, 4, make_integrator("rk4", substeps=16), dt=period / 4)
    stretch = np.linalg.norm(run.x[0, :, 0] - run.x[0, :, 1], axis=1) - r0
    np.testing.assert_allclose(stretch / 1e-5, [1, 0, -1, 0, 1], atol=2e-4)
    assert f"time {FEMTOSECONDS:.4f} fs" in UNITS and run.info.system["units"] == UNITS
    seconds = 2 * math.pi * math.sqrt(ARGON / 2 * AMU / (2 * depth * EV * (rho / r0 * 1e10) ** 2))
    assert math.isclose(period * FEMTOSECONDS, seconds * 1e15, rel_tol=1e-9)


def test_masses_and_the_boltzmann_constant_are_those_of_ase():
    from ase.units import kB

    assert math.isclose(kB, BOLTZMANN, rel_tol=1e-6)
    system = make_system("ase", structure="rocksalt:NaCl:5.64")
    _, particles = system.sample(0, 8)
    assert particles.masses[0, :2].tolist() == [22.98976928, 35.45]


def test_atoms_in_the_plane_stay_there():
    system = make_system("ase")
    state, particles = system.sample(0, 4, dimensions=2)
    run = simulate(system, state, particles, 3, make_integrator("leapfrog", substeps=2))
    assert run.x.shape == (1, 4, 4, 2)
    assert np.ptp(run.energy) < 1e-4


# Starts


@given(st.lists(st.sampled_from(["H", "Na", "Cl", "C", "Co"]), min_size=1, max_size=12))
def test_a_formula_names_atoms_in_their_order(symbols):
    assert species_of(formula_of(symbols)) == symbols


def test_a_lattice_has_its_spacing_and_its_middle_at_the_origin():
    x = lattice(10, 3, 2.0)
    apart = np.linalg.norm(x[:, None] - x, axis=2)[np.triu_indices(10, 1)]
    assert apart.min() == 2.0
    np.testing.assert_allclose(x.mean(0), 0, atol=ROUNDING)


def test_velocities_are_maxwells():
    masses = np.repeat([1.0, 4.0], 20_000)
    v = thermal(np.random.default_rng(0), masses, 3, 0.5)
    np.testing.assert_allclose(masses @ v, 0, atol=1e-8)
    for some in (slice(0, 20_000), slice(20_000, None)):
        energy = 0.5 * (masses[some, None] * v[some] ** 2).sum(1).mean()
        assert abs(energy / 0.75 - 1) < 0.02  # three times kT / 2; the deviation is 0.6 %


def test_a_structure_file_is_the_start(tmp_path):
    from ase.build import molecule
    from ase.io import write

    water = molecule("H2O")
    water.set_velocities([[0.0, 0.0, 0.01]] * 3)
    write(tmp_path / "water.extxyz", water)
    path = str(tmp_path / "water.extxyz")
    system = make_system("ase", structure=path, temperature=None)
    assert system.spec.symbols == "OH2" and system.fixed_particles == 3
    state, particles = system.sample(0, 3)
    np.testing.assert_allclose(state.x[0], water.positions, atol=1e-7)
    np.testing.assert_allclose(state.v[0, :, 2], 0.01, rtol=1e-6)
    assert particles.masses[0].tolist() == water.get_masses().tolist()
    warm, _ = make_system("ase", structure=path).sample(0, 3)
    assert np.abs(warm.v).max() > 0.01
    np.testing.assert_array_equal(warm.x, state.x)
    built, _ = make_system("ase", structure="molecule:H2O").sample(0, 3)
    np.testing.assert_array_equal(built.x[0], water.positions)


def test_a_stored_run_needs_no_structure_file(tmp_path):
    from ase.build import molecule
    from ase.io import write

    write(tmp_path / "two.xyz", molecule("N2"))
    options = {"sigma": 1.0}
    system = make_system("ase", structure=str(tmp_path / "two.xyz"), options=options)
    run = simulate(system, *system.sample(0, 2), 2, output=tmp_path / "run.h5")
    (tmp_path / "two.xyz").unlink()
    found = load(tmp_path / "run.h5")
    assert found.system().spec.symbols == "N2"
    np.testing.assert_array_equal(found.energy, run.energy)


# Names


def test_what_ships_is_there_or_says_what_to_install():
    for name, each in OURS.items():
        if name != "tblite":
            assert each.build({}).get_property is not None


REFUSED = {
    "must be one of emt, lj, morse, tblite, got": {"calculator": "nonesuch"},
    "reads files or starts programs": {"calculator": "vasp"},
    "'sigmma' is no option of calculator 'lj'; known: epsilon": {"options": {"sigmma": 1.0}},
    "no option of calculator 'tblite'": {"calculator": "tblite", "options": {"xtb_config": "x"}},
    "`structure` must be a file that exists": {"structure": "there-is-none.xyz"},
    "or a file ending in .xyz": {"structure": "start.py"},
    "cannot be built": {"structure": "molecule:Unobtainium"},
    "cannot be built:": {"structure": "rocksalt:NaCl:wide"},
    "`symbols` of system 'ase'": {"symbols": "Na(Cl)2"},
    "`units` of system 'ase'": {"units": "metre"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_no_system_is_refused_in_one_line(said):
    assert said in refused(lambda: make_system("ase", **REFUSED[said]))


def test_other_numbers_of_atoms_are_refused():
    system = make_system("ase", structure="rocksalt:NaCl:5.64")
    message = refused(lambda: system.sample(0, 5))
    assert message.startswith("`particles` must be 8, as many as `symbols` NaClNaClNaClNaCl has")
    start = make_system("ase").sample(0, 5)
    assert "must be 8" in refused(lambda: simulate(system, *start, 2))
    several = make_system("ase", symbols="NaCl")
    assert "`structure` is needed" in refused(lambda: several.sample(0, 2))
    assert "chemical elements, got 'Xx'" in refused(
        lambda: make_system("ase", symbols="Xx").sample(0, 1)
    )


def test_a_package_that_is_missing_is_named(monkeypatch):
    there = {"ase"}
    monkeypatch.setattr(ase_calculators, "find_spec", lambda name: name in there or None)
    system = make_system("ase", calculator="tblite")
    message = refused(lambda: system.sample(0, 2))
    assert message == (
        "`calculator` 'tblite' needs tblite, which is not installed: "
        "pip install 'nbody-surrogate[xtb]'"
    )
    assert "needs tblite" in refused(lambda: simulate(system, *pair(3.8), 2))
    there.clear()
    assert "pip install 'nbody-surrogate[ase]'" in refused(lambda: make_system("ase").sample(0, 2))


def test_a_forged_run_cannot_start_a_program(tmp_path):
    """Nor by a calculator of ASE that takes a command, nor by an option of one that takes none."""
    command = {"command": f"touch {tmp_path}/ran"}
    for name in ("vasp", "Vasp", "espresso", "lammpsrun", "orca", "ase.calculators.vasp:Vasp"):
        described = {"system": "ase", "calculator": name, "options": command}
        refused(lambda described=described: system_from(described))
    for name in OURS:
        refused(lambda name=name: make_system("ase", calculator=name, options=command))
    assert not (tmp_path / "ran").exists()


class Probe:
    """What an entry point gives: it is asked once, and kept."""

    made = 0

    def __init__(self, pull=1.0):
        type(self).made += 1
        self.pull = pull

    def get_forces(self, atoms):
        return -self.pull * atoms.positions

    def get_potential_energy(self, atoms, force_consistent=False):
        return 0.5 * self.pull * (atoms.positions**2).sum()


def test_packages_offer_calculators_by_entry_points(monkeypatch):
    monkeypatch.setitem(sys.modules, "probe_package", SimpleNamespace(Probe=Probe))
    found = ase_calculators.find_spec
    monkeypatch.setattr(
        ase_calculators, "find_spec", lambda name: name == "probe_package" or found(name)
    )
    point = EntryPoint("probe", "probe_package:Probe", ase_calculators.GROUP)
    monkeypatch.setattr(ase_calculators, "entry_points", lambda group: [point])
    assert calculator_named("probe").lasting and "lj" in ase_calculators.known_calculators()
    system = make_system("ase", calculator="probe", options={"pull": 2.0}, symbols="He")
    state, particles = State(0.0, np.ones((1, 1, 3)), np.zeros((1, 1, 3))), Particles([0.0], [4.0])
    for _ in range(2):
        assert system.acceleration(state.x, state.v, particles).tolist() == [[[-0.5] * 3]]
    assert system.acceleration(2 * state.x, state.v, particles)[0, 0, 0] == -1.0
    assert Probe.made == 1
