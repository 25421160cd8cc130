"""Runs of systems with hidden variables go on to the same bits, and from no file of another run."""

import h5py
import numpy as np
import pytest

from nbody_surrogate import make_integrator, resume, simulate
from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.registry.registry import register_surrogate, register_system
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.testing.probes import Relaxing
from nbody_surrogate.testing.surrogate_case import surrogate_case
from tests.contracts.test_capabilities import Blind
from tests.hidden_systems import Bonding
from tests.interrupted_runs import assert_same_file

FRAMES, SEGMENT = 22, 5
# of models that see the present alone, as the small ones here do
pytestmark = pytest.mark.filterwarnings("ignore:.* memoryless floor")
SYSTEMS = {"relaxing": Relaxing, "bonding": Bonding}


@pytest.fixture
def folder(tmp_path, monkeypatch, registered):
    monkeypatch.chdir(tmp_path)
    for name, cls in SYSTEMS.items():
        register_system(name)(cls)
    return tmp_path


def run_of(name, batch, method=None, output="run.h5", checkpoint=None, **options):
    system = SYSTEMS[name]()
    start = system.sample(3, 4, batch)
    method = method or make_integrator("dop853", segment=SEGMENT)
    place = Output(output, checkpoint=checkpoint)
    return simulate(system, *start, FRAMES, method, output=place, **options)


def interrupted(name, batch, after, **options):
    def stop(done, total):
        if done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_of(name, batch, checkpoint="run.restart", observers=stop, **options)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("after", [2, 12])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_run_goes_on_to_the_same_bits(folder, name, batch, after, keep):
    whole = run_of(name, batch, output="whole.h5")
    interrupted(name, batch, after)
    run = resume("run.restart", keep=keep)
    for key, values in whole.hidden.items():
        assert run.hidden[key].tobytes() == values.tobytes()
    assert_same_file("whole.h5", "run.h5")


def test_a_finished_run_is_read(folder):
    interrupted("relaxing", 2, 12)
    resume("run.restart")
    again = resume("run.restart")
    whole = run_of("relaxing", 2, output="whole.h5")
    np.testing.assert_array_equal(again.hidden["charge"], whole.hidden["charge"])


def test_a_surrogate_keeps_none_and_goes_on_all_the_same(folder):
    register_surrogate("blind")(Blind)
    method = surrogate_case("blind", "relaxing").make(segment=SEGMENT)
    options = {"method": method, "outside": None}
    whole = run_of("relaxing", 2, output="whole.h5", **options)
    assert dict(whole.hidden) == {}
    for after in (2, 12):
        interrupted("relaxing", 2, after, **options)
        run = resume("run.restart", method)
        assert run.x.tobytes() == whole.x.tobytes()
        assert dict(run.hidden) == {}
        for file in folder.glob("run.*"):
            file.unlink()


def one_moved(root):
    root["particles/trajectory_0000/hidden_charge/value"][10, 1] += 1e-9


def none_there(root):
    del root["parameters/nbody_surrogate/hidden"]


def another_too(root):
    for place in ("parameters/nbody_surrogate/hidden", "particles/trajectory_0000"):
        prefix = "hidden_" * place.startswith("particles")
        root.copy(f"{place}/{prefix}charge", f"{place}/{prefix}spin")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (one_moved, "is of another run than the restart file"),
        (none_there, "must hold the hidden variables of its restart file, `charge`, it holds none"),
        (another_too, "`charge`, it holds `charge`, `spin`"),
    ],
)
def test_what_is_not_of_the_run_is_refused(folder, damage, words):
    interrupted("relaxing", 1, 12)
    with h5py.File("run.h5.part", "r+") as root:
        damage(root)
    with pytest.raises(FileFormatError) as caught:
        resume("run.restart")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
