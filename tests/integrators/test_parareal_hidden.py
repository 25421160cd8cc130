"""Parareal over what is hidden: corrected with positions and velocities, to the fine method's."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nbody_surrogate import InputError, make_integrator, resume, simulate
from nbody_surrogate.integrators.parareal.change import relative_change
from nbody_surrogate.integrators.parareal.integrator import Parareal
from nbody_surrogate.integrators.parareal.slices import SliceStart
from nbody_surrogate.registry.registry import register_surrogate, register_system
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.testing.probes import Relaxing
from nbody_surrogate.testing.surrogate_case import surrogate_case
from tests.contracts.test_capabilities import Blind
from tests.hidden_systems import Bonding

# of models that see the present alone, as the small ones here do
pytestmark = pytest.mark.filterwarnings("ignore:.* memoryless floor")
SEGMENT, FRAMES = 8, 16
SYSTEMS = {"relaxing": (Relaxing(), "charge"), "bonding": (Bonding(), "strength")}


def solver(rtol, name="rk45"):
    return make_integrator(name, rtol=rtol, atol=rtol, segment=2)


def parareal(**options):
    given = {"coarse": solver(1e-3), "fine": solver(1e-9, "dop853"), "slices": 4}
    return Parareal(**given, segment=SEGMENT, **options)


def run_of(name, method, **options):
    system = SYSTEMS[name][0]
    return simulate(system, *system.sample(3, 4, 2), FRAMES, method, **options)


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_is_the_fine_methods_run_to_the_tolerance(name):
    variable = SYSTEMS[name][1]
    fine = run_of(name, solver(1e-9, "dop853"))
    run = run_of(name, parareal())
    np.testing.assert_allclose(run.x, fine.x, atol=1e-7)
    np.testing.assert_allclose(run.hidden[variable], fine.hidden[variable], atol=1e-7)
    with ThreadPoolExecutor(2) as pool:
        again = run_of(name, parareal(executor=pool))
    np.testing.assert_array_equal(again.hidden[variable], run.hidden[variable])


@pytest.mark.parametrize("name", SYSTEMS)
def test_without_a_tolerance_it_is_the_fine_methods_to_the_bit(name):
    variable = SYSTEMS[name][1]
    fine = run_of(name, solver(1e-9, "dop853"))
    run = run_of(name, parareal(tolerance=0.0))
    assert run.x.tobytes() == fine.x.tobytes()
    assert run.hidden[variable].tobytes() == fine.hidden[variable].tobytes()


def test_it_goes_on_to_the_same_bits(tmp_path, monkeypatch, registered):
    monkeypatch.chdir(tmp_path)
    register_system("bonding")(Bonding)
    whole = run_of("bonding", parareal())

    def stop(done, total):
        if done > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output = Output("run.h5", checkpoint="run.restart")
        run_of("bonding", parareal(), output=output, observers=stop)
    run = resume("run.restart", parareal())
    assert run.hidden["strength"].tobytes() == whole.hidden["strength"].tobytes()


def test_a_change_of_what_is_hidden_alone_is_one():
    x, q = np.ones((1, 2, 3)) * [[[1.0], [2.0]]], np.array([[3.0, 4.0]])
    first = SliceStart(0, x, x, hidden={"charge": q})
    moved = SliceStart(0, x, x, hidden={"charge": q + 0.01})
    size = np.sqrt((q**2).mean())
    assert relative_change(moved, first, first) == pytest.approx(0.01 / size, rel=1e-2)
    assert relative_change(first, first, first) == 0.0


def test_a_surrogate_as_the_coarse_method_is_refused(registered):
    register_system("relaxing")(Relaxing)
    register_surrogate("blind")(Blind)
    blind = surrogate_case("blind", "relaxing").make(segment=2)
    with pytest.raises(InputError, match=r"^`coarse` blind of integrator 'parareal' is a surrogat"):
        run_of("relaxing", Parareal(coarse=blind, fine=solver(1e-9), segment=SEGMENT))
