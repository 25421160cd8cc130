"""Rows of a one-shot task: what a model is given, and what it has to answer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import InputError

__all__ = ["TaskRows", "task_rows"]


class TaskRows(NamedTuple):
    """The rows of a task, oldest first.

    Attributes
    ----------
    rows : tuple of int
        The inputs, equally spaced, and last the target.
    spacing : int
        Frames from one input to the next; where there is one input, to the target.
    horizon : int
        Frames from the last input to the target.
    """

    rows: tuple[int, ...]
    spacing: int
    horizon: int


def task_rows(spec: DatasetSpec, history: int, owner: str = "the data set") -> TaskRows:
    """Return the rows of a data set's task, for a model that looks back on `history` frames.

    Raises
    ------
    InputError
        If there is no task, or the inputs are too few or not equally spaced.
    """
    task, numbers = spec.task, spec.numbers
    if task is None:
        raise InputError(f"`task` must be one that {owner} has, as with a `window`; it has none")
    if history > task.input + 1:
        raise InputError(
            f"`history` must be at most the {task.input + 1} input rows of {owner}, got {history}"
        )
    inputs = range(task.input - history + 1, task.input + 1)
    horizon = int(numbers[task.target] - numbers[task.input])
    gaps = np.diff(numbers[list(inputs)])
    if (gaps != gaps[:1]).any():
        raise InputError(f"`history` {history}: the last {history} input rows of {owner} must be "
                         "equally spaced")  # fmt: skip
    return TaskRows((*inputs, task.target), int(gaps[0]) if len(gaps) else horizon, horizon)
