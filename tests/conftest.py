"""What all tests share: shapes are checked, examples never change, no plugin strays in."""
# ruff: noqa: E402  # what is imported depends on what is set before

from __future__ import annotations

import gc
import hashlib
import math
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

# Dozens of processes are started: what one compiles is kept for all, whatever the environment says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Half a million objects of libraries live as long as the tests do: to look through them again and
# again, as for a small program, took a tenth of the time.
gc.set_threshold(50_000, 20, 20)

# What is written here is not to outlive a loss of power; processes that tests start do wait for the
# disk.
os.fsync = lambda descriptor: None

import pytest

HERE = Path(__file__).parent
pytest.register_assert_rewrite(*(file.stem for file in HERE.glob("*.py")))  # as those of tests

from hypothesis import HealthCheck, settings

import annotations

os.environ.pop("COLUMNS", None)  # lines are whole, whatever the terminal's width
os.environ["NBODY_SURROGATE_PLUGINS"] = ""  # built-ins only, whatever else is installed

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # of torch: each process has one core

# What numba keeps on disk is up to date as far as a kernel's own file goes, whatever became of the
# pair law compiled into it: so that no test passes by an old law, each state of the sources has a
# place of its own. It is read when numba is imported.
ROOT = HERE.parent
COMPILED = [*ROOT.glob("simulators/**/*.py"), *ROOT.glob("plugins/nbody_set/training/*.py")]
SOURCES = b"".join(file.read_bytes() for file in sorted(COMPILED))
PLACE = ROOT / ".pytest_cache" / f"numba-{hashlib.sha256(SOURCES).hexdigest()[:12]}"
os.environ["NUMBA_CACHE_DIR"] = str(PLACE)

annotations.execute()

# A shell tells what it runs in the background not to hear Ctrl-C; the tests of it are meant all the
# same, as are the processes that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "nbody",
    deadline=None,  # the first example may wait for a compilation
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("nbody")


def pytest_configure(config):
    """Fail on a warning of ours that a test does not expect."""
    config.addinivalue_line("filterwarnings", "error::nbody_surrogate.errors.NBodyWarning")


@pytest.hookimpl(tryfirst=True)  # before those that are slow are left out
def pytest_collection_modifyitems(items):
    """Of a test that is thinned most cases are slow.

    Fast are the first, the last, and so many between that one in four stays, and three at least.
    """
    cases = {}
    for item in items:
        if item.get_closest_marker("thinned"):
            cases.setdefault((item.path, item.originalname), []).append(item)
    for each in cases.values():
        count = max(3, math.ceil(len(each) / 4))
        kept = {round(k * (len(each) - 1) / (count - 1)) for k in range(count)}
        for number, item in enumerate(each):
            if number not in kept:
                item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """Leave alone what was made by imports."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def patience():
    """No word about what is compiled first: whether it is depends on the tests before."""
    from nbody_surrogate.simulation import compiling

    compiling.PATIENCE = 1e6


@pytest.fixture(scope="module")
def one_thread():
    """Torch on one thread: models here are too small to share, and threads wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def undrawn(monkeypatch):
    """The figure of a training's log is blank: to draw it takes longer than a short training.

    What is drawn, `viz` tests; that a training draws it, `training`.
    """
    from matplotlib.figure import Figure

    from nbody_surrogate.files.figure import save
    from nbody_surrogate.training import summary

    monkeypatch.setattr(summary, "draw_log", lambda log, path: save(Figure((1, 1)), path))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution for one test: entry points that importlib.metadata finds by itself."""
    installed = []

    def add(distribution, entries, source, kind="integrators", **more):
        module = distribution.replace("-", "_") + "_of_a_test"
        (tmp_path / f"{module}.py").write_text(source)
        folder = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (folder / "METADATA").write_text(metadata)
        lines = []
        for each, provided in {kind: entries, **more}.items():
            lines.append(f"[nbody_surrogate.{each}]")
            lines += [f"{name} = {module}:{attribute}" for name, attribute in provided.items()]
        (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
        installed.append(distribution)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("NBODY_SURROGATE_PLUGINS", ",".join(installed))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return add


@pytest.fixture
def registered(monkeypatch):
    """What a test registers is forgotten afterwards."""
    from nbody_surrogate.registry import lookup

    monkeypatch.setattr(lookup, "registered", {})


@pytest.fixture(scope="session")
def charged():
    """The default system: softening 0.1, coupling 1, frames 0.1 apart."""
    from nbody_surrogate import make_system

    return make_system("charged")


@pytest.fixture(scope="session")
def plasma():
    """Make systems of a stranger's laws, with all that a law can depend on.

    Each kernel compiles them once per session, whatever the parameters of ``plasma(...)``.
    """
    from nbody_simulators.systems.law_system import AbstractLawSystem
    from nbody_surrogate.contracts.force_laws import FieldLaw, ForceLaws, PairLaw
    from nbody_surrogate.contracts.system_spec import Draw, SystemSpec

    class Pairs(NamedTuple):
        softening: float  # squared; where it is negative, near pairs have forces of NaN
        reach: float
        gravity: float

    class Fields(NamedTuple):
        trap: float
        ex: float
        ey: float
        ez: float
        bx: float
        by: float
        bz: float

    def pair_law(sqrt, where):
        def law(p, r2, qi, qj, mi, mj, bond):
            inverse = 1.0 / (r2 + p.softening)
            near = where(r2 < p.reach, 1.0 - r2 / p.reach, 0.0)
            far = (bond * (qi * qj) - p.gravity * (mi * mj)) * sqrt(inverse)
            return far * inverse + bond * near * near, far + bond * p.reach / 6 * near * near * near

        return law

    def field_law(sqrt, where):
        def law(p, x, v, q, m):
            ax = q / m * (p.ex + v[1] * p.bz - v[2] * p.by) - p.trap * x[0]
            ay = q / m * (p.ey + v[2] * p.bx - v[0] * p.bz) - p.trap * x[1]
            az = q / m * (p.ez + v[0] * p.by - v[1] * p.bx) - p.trap * x[2]
            r2 = x[0] * x[0] + x[1] * x[1] + x[2] * x[2]
            electric = p.ex * x[0] + p.ey * x[1] + p.ez * x[2]
            return (ax, ay, az), 0.5 * p.trap * m * r2 - q * electric

        return law

    class PlasmaSpec(SystemSpec):
        softening: float = 0.1
        reach: float = 2.0
        gravity: float = 0.2
        trap: float = 0.5
        electric: tuple[float, float, float] = (0.3, -0.2, 0.0)
        magnetic: tuple[float, float, float] = (0.0, 0.0, 0.0)
        clip: float = math.inf

    class Plasma(AbstractLawSystem):
        name = "plasma"
        Spec = PlasmaSpec

        @property
        def velocity_dependent(self):
            return any(self.spec.magnetic)

        def force_laws(self):
            s = self.spec
            pairs = Pairs(s.softening, s.reach, s.gravity)
            fields = Fields(s.trap, *s.electric, *s.magnetic)
            return ForceLaws(PairLaw(pairs, pair_law), FieldLaw(fields, field_law), s.clip)

        def magnetic_field(self):
            return self.spec.magnetic if self.velocity_dependent else None

        def _sample(self, rng, n, dimensions):
            x, v = rng.normal(size=(2, n, dimensions))
            bonds = rng.uniform(-1, 1, size=(n, n))
            charges, masses = rng.uniform(-1, 1, size=n), rng.uniform(0.5, 2, size=n)
            return Draw(x, v, charges, masses, bonds + bonds.T)

    return Plasma
