"""Momenta of a file give velocities only over masses; whose they are is told."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.formats.foreign.content import flat
from nbody_surrogate.formats.foreign.supplements import Supplements
from nbody_surrogate.formats.initial import read_initial

COLUMNS = "Properties=species:S:1:pos:R:3:momenta:R:3:initial_charges:R:1"


def test_masses_of_elsewhere_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.extxyz"
    path.write_text(f"2\n{COLUMNS}\nNa 0 0 0 46 0 0 1\nCl 2 0 0 0 71 0 -1\n")
    with pytest.warns(NBodyWarning, match=r"momenta over the `masses` that were given \(2\)"):
        state, _ = read_initial(path, supplements=Supplements(masses="2"))
    assert state.v[0, 0, 0] == 23.0


def test_masses_of_the_file_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a.extxyz"
    path.write_text(f"2\n{COLUMNS}:masses:R:1\nNa 0 0 0 46 0 0 1 23\nCl 2 0 0 0 71 0 -1 35.5\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state, _ = read_initial(path)
    assert np.array_equal(state.v[0], [[2, 0, 0], [0, 2, 0]])


def test_a_flat_file_with_a_z_says_what_would_do() -> None:
    with pytest.raises(ValueError, match="write it with z = 0"):
        flat(np.ones((1, 2, 3)))
