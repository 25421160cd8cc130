"""Options of a picture that are of a wrong type: one line that names the parameter."""

from __future__ import annotations

import subprocess
import sys

# without the tests' own checks of annotations
SCRIPT = r"""
import numpy as np
import nbody_surrogate as nb

system = nb.make_system("charged")
run = nb.simulate(system, *system.sample(0, 3), 2)
nan = float("nan")
GIVEN = {
    "seconds": ["x", 10**400], "fps": ["x", None, []], "orbit": ["x", [1]],
    "background": [(1, 1), nan], "title": [5], "progress": [3], "axes": ["x"],
    "window_size": [5, (1.5, 2), (nan, 2), ("a", "b"), (64,), 10**400],
    "camera": [(10**400, 1, 1), 5, np.array(["a", "b"]), ("a", "b")],
    "trail": [1.5, "x", None, nan, -1], "frame": ["x", 1.5, True, 9], "colouring": [5],
}
for name, values in GIVEN.items():
    for value in values:
        try:
            nb.render(run, "a.mp4" if name in ("seconds", "fps") else "a.png", **{name: value})
        except nb.InputError as error:
            line = str(error)
            if not line.startswith(f"`{name}`") or "\n" in line or len(line) > 300:
                print(name, str(value)[:40], "->", line)
        except Exception as error:
            print(name, str(value)[:40], "->", repr(error)[:200])
        else:
            print(name, value, "is taken")
"""


def test_each_is_one_line_that_names_the_parameter(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-500:]
    assert not list(tmp_path.iterdir())
