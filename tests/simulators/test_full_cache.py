"""A disk that cannot keep what is compiled is no reason not to compute."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits on file sizes")

PROGRAM = """
import resource, signal
import nbody_surrogate as nb

system = nb.make_system("charged")
start = system.sample(0, 3)
methods = [nb.make_integrator(name) for name in ("dop853", "leapfrog", "rk4", "dop853-compiled")]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
print([nb.simulate(system, *start, 2, method).info.status for method in methods])
"""


@pytest.mark.slow  # all is compiled anew: 20 s
def test_it_is_compiled_all_the_same(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.stdout == "[(0,), (0,), (0,), (0,)]\n", result.stderr
