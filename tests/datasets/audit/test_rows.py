"""Audits find rows that are no data, and trajectories that are there twice."""

from __future__ import annotations

import numpy as np
import pytest

from audited_sets import RECIPE, ROWS, SIZE, TASK, Rows, audited, duplicate, levels
from nbody_surrogate.datasets import generate_dataset
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.spec import resolve

# Rows that are no data


def test_nan_and_infinity_are_counted_and_three_are_named(rows):
    data = rows()
    data.x[3, 4, 0, 0] = np.nan
    data.v[9, 5, 1, 2] = np.inf
    data.x[35:, 7:], data.v[35:, 7:] = np.nan, np.nan  # as runs leave them that failed
    found = audited(data)
    assert levels(found) == {"NaN": "wrong"}  # and no duplicates
    assert found["NaN"].numbers == {"rows": 2 + 5 * (ROWS - 7)}
    assert "trajectory 3 row 4, trajectory 9 row 5, trajectory 35 row 7" in found["NaN"].text
    assert found["NaN"].text.count("trajectory") == 3


def test_zero_rows_of_some_trajectories_are_no_duplicates(rows):
    data = rows()
    for i, row in ((2, 5), (8, 5), (25, 6)):  # of the splits that are not solved anew
        data.x[i, row], data.v[i, row] = 0, -0.0
    found = audited(data)
    assert found["zero rows"].numbers == {"rows": [5, 6], "count": 3}
    assert levels(found) == {"zero rows": "wrong"}


def test_a_zero_row_of_one_trajectory_does_not_keep_the_others_from_being_solved(rows):
    """Without softening there is no motion from it: all particles are at the same place."""
    data = rows(parameters={"softening": 0.0}, task=TASK)
    wanted = audited(data)["converged solver"].numbers
    data.x[33, TASK["input"]], data.v[33, TASK["input"]] = 0, 0
    found = audited(data)
    assert found["zero rows"].numbers["count"] == 1
    assert found["converged solver"].numbers["mean"] == pytest.approx(wanted["mean"], rel=1)
    assert "velocities" in {finding.check for finding in found.findings}


@pytest.mark.parametrize("task", [TASK, {"input": 2, "target": 5}])
def test_a_row_that_is_zero_everywhere(rows, task):
    data = rows(task=task)
    data.x[:, 9], data.v[:, 9] = 0, 0
    found = audited(data)
    assert found["zero rows"].level == "wrong"
    assert found["zero rows"].numbers == {"rows": [9], "count": SIZE}
    is_target = task["target"] == 9
    assert ("It is the target" in found["zero rows"].text) == is_target
    assert levels(found).keys() - {"zero rows"} == ({"converged solver"} if is_target else set())


def test_the_released_program_of_set_leaves_its_target_zero(tmp_path):
    recipe = {"trajectories": 30, "horizon": 60, "particles": 4}
    spec = resolve({"preset": "set-paper-as-released", **recipe})
    found = audited(generate_dataset(spec, tmp_path))
    assert levels(found) == {"zero rows": "wrong", "converged solver": "doubtful"}
    target = spec.window.inputs
    assert found["zero rows"].numbers == {"rows": [target], "count": 30}
    assert found["zero rows"].text == (
        f"row {target} is exactly zero in all 30 trajectories. "
        "It is the target: a model that answers 0 has no error"
    )


def test_a_row_that_is_the_same_in_all_trajectories(rows):
    data = rows(task=TASK)
    data.x[:, [0, 12]], data.v[:, 12] = data.x[5, [0, 12]], data.v[5, 12]
    found = audited(data)  # of row 0, positions alone are the same
    assert levels(found) == {"constant rows": "wrong"}
    assert found["constant rows"].numbers == {"rows": [12]}


def test_a_row_that_repeats_the_row_before(rows):
    data = rows(task=TASK)
    for i, row in ((4, 12), (36, 3)):
        data.x[i, row], data.v[i, row] = data.x[i, row - 1], data.v[i, row - 1]
    found = audited(data)
    assert levels(found) == {"frozen rows": "wrong"}
    assert found["frozen rows"].numbers == {"rows": 2}
    assert "trajectory 4 row 12, trajectory 36 row 3" in found["frozen rows"].text


# Trajectories that are there twice


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [3, 0, 4, 2, 1]])
@pytest.mark.parametrize(
    ("copies", "leaks"),
    [
        ([(2, 5)], []),
        ([(24, 30), (1, 4)], [[24, 30]]),
        ([(23, 24)], [[23, 24]]),  # neighbours, at the border of train and validation
        ([(2, 5), (2, 37), (5, 37)], [[2, 37], [5, 37]]),  # each has a copy in another split
    ],
)
def test_a_duplicate_is_found_in_any_order_of_its_particles(rows, copies, leaks, order):
    data = rows()
    for source, copy in copies:
        duplicate(data, source, copy, order)
    found = audited(data)
    wrong = {"duplicates": "wrong"} | ({"leakage": "wrong"} if leaks else {})
    assert levels(found) == wrong
    for check, pairs in (("duplicates", sorted(map(list, copies))), ("leakage", leaks)):
        count = len({i for pair in pairs for i in pair})
        assert found[check].numbers == {"trajectories": count, "pairs": pairs}
        assert all(f"{a} and {b}" in found[check].text for a, b in pairs)


def test_a_piece_of_a_trajectory_from_a_later_time_on_is_a_duplicate(sound):
    whole, later = sound.read(0, SIZE), 5
    length = ROWS - later
    some = TrajectoryBlock(whole.x[:, :length], whole.v[:, :length], whole.particles)
    data = Rows(some, RECIPE | {"frames": length - 1})
    assert levels(audited(data)) == {}
    data.x[7], data.v[7] = whole.x[2, later:], whole.v[2, later:]
    data.charges[7] = data.charges[2]
    found = audited(data)
    assert levels(found) == {"duplicates": "wrong"}
    assert found["duplicates"].numbers == {"trajectories": 2, "pairs": [[2, 7]]}


@pytest.mark.parametrize("axis", [0, 2])
def test_a_mirror_image_is_no_duplicate(rows, axis):
    """It shares no row: a set that is augmented by reflections is not wrong."""
    data = rows()
    data.x[10:20], data.v[10:20] = data.x[:10], data.v[:10]
    data.x[10:20, ..., axis] *= -1
    data.v[10:20, ..., axis] *= -1
    assert audited(data)["duplicates"].level == "ok"


def test_equal_positions_at_other_velocities_are_no_duplicate(rows):
    """As where all start from a lattice."""
    data = rows(task=TASK)
    data.x[:, 0] = data.x[5, 0]
    assert levels(audited(data)) == {}
