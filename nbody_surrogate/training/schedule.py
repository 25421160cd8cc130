"""What changes from step to step: the learning rate, and the passes over a window."""

from __future__ import annotations

import math
from typing import NamedTuple

from nbody_surrogate.training.recipe import Recipe

__all__ = ["Passes", "in_last_stage", "learning_rate", "passes"]


class Passes(NamedTuple):
    """How often the model predicts from its own predictions, and whether gradients flow.

    Attributes
    ----------
    number : int
        1 for predictions from true frames alone.
    pushforward : bool
        Whether no gradient flows from one pass to the one before.
    """

    number: int
    pushforward: bool


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the learning rate of a step, counted from 0.

    A cosine from `learning_rate` down to `final_learning_rate` (Loshchilov and Hutter, ICLR 2017,
    without restarts), times a linear rise over the first `rise` steps. Without the rise, the first
    steps of Adam are as long as any, though its second moments are averages of a few gradients.
    """
    rise = min((step + 1) / recipe.rise, 1.0)
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    span = recipe.learning_rate - recipe.final_learning_rate
    return rise * (recipe.final_learning_rate + span * cosine)


def passes(recipe: Recipe, step: int) -> Passes:
    """Return the passes of a step, counted from 0: several in the last stage, else one."""
    unrolled = step >= recipe.steps - recipe.unroll_steps
    return Passes(recipe.unroll if unrolled else 1, recipe.pushforward)


def in_last_stage(recipe: Recipe, steps: int) -> bool:
    """Whether the last of so many steps was of the stage with several passes."""
    return steps > recipe.steps - recipe.unroll_steps
