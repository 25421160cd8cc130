"""The tutorial's packages, from their files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def example(name, file):
    """Import the module of an example that is not installed."""
    path = EXAMPLES / name / f"nbody_{name}" / file
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Pairnet = example("pairnet", "model.py").Pairnet
Verlet = example("verlet", "integrator.py").Verlet
Yukawa = example("yukawa", "system.py").Yukawa
