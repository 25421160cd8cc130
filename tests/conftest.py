"""What all tests share: shapes are checked, examples never change, no plugin strays in."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import beartype.typing  # noqa: F401  # named in TYPECHECKER
import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

import nbody_surrogate.state  # noqa: F401  # before the hook: it takes and checks any array_like

os.environ["NBODY_SURROGATE_PLUGINS"] = ""  # built-ins only, whatever else is installed

# What numba keeps on disk is up to date as far as a kernel's own file goes, whatever became of the
# pair law compiled into it: so that no test passes by an old law, each state of the sources has a
# place of its own. It is read when numba is imported.
ROOT = Path(__file__).parents[1]
SOURCES = b"".join(file.read_bytes() for file in sorted(ROOT.glob("simulators/*/*.py")))
PLACE = ROOT / ".pytest_cache" / f"numba-{hashlib.sha256(SOURCES).hexdigest()[:12]}"
os.environ["NUMBA_CACHE_DIR"] = str(PLACE)

# Annotations are executed: shapes by jaxtyping, the rest by beartype. Two leniences: an int will do
# where a float is announced, as every type checker has it, and `Self` passes unchecked, since
# beartype resolves it only where it decorates whole classes, while the hook decorates functions.
TYPECHECKER = (
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True,"
    " hint_overrides=beartype.FrozenDict("
    "{beartype.typing.Self: beartype.typing.Any})))"
)

# Of nbody_simulators only what holds no compiled code: the hook wraps every function, nested ones
# too, and numba can compile neither a wrapped kernel (pair_forces, leapfrog) nor a wrapped pair law
# (charged). The core checks what goes into their public methods and what comes out.
CHECKED = [
    "nbody_surrogate",
    "nbody_simulators.scipy_solvers",
    "nbody_set",
    "nbody_baselines",
]

install_import_hook(CHECKED, TYPECHECKER)

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


@pytest.fixture(scope="session")
def charged():
    """The default system: softening 0.1, coupling 1, frames 0.1 apart."""
    from nbody_surrogate import make_system

    return make_system("charged")
