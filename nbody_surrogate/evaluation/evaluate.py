"""`evaluate`: a model's accuracy and cost, classical methods beside it, in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.arguments import demand_whole
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.rollouts import START, Truth
from nbody_surrogate.evaluation.score_table import pair_tables, score_tables
from nbody_surrogate.evaluation.scorecard import (
    HORIZONS,
    classical_methods,
    score_methods,
    truth_of_dataset,
    truth_of_system,
)
from nbody_surrogate.evaluation.task_rows import task_pair_table, task_rows_of, task_table
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.method_text import as_integrator
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.results.paired import BOUND, check_bound
from nbody_surrogate.surrogates.trained_models import Model, find_model

__all__ = ["Scorecard", "evaluate", "truths_of"]

PARTICLES = (5, 30)
"""Numbers of particles of the samples that a model is judged by: few, and as many as it is for."""


@dataclass(frozen=True)
class Scorecard:
    """How good and how dear a model is; `print` shows a table for each sample.

    Attributes
    ----------
    model : str
        Its name or folder.
    rows : tuple of dict
        A method on a sample, as plain types fit for JSON, and as `nbody-sim evaluate --json`
        prints them: x-MSE per coordinate of one step and of roll-outs, or of a task answered in
        one shot, by mean, median and 95th percentile, with bootstrap 95 % intervals; the model held
        against the method on the same trajectories (``pairs``), and milliseconds. In reduced units.
    """

    model: str
    rows: tuple[dict[str, Any], ...]

    @property
    def tables(self) -> tuple[TextTable, ...]:
        """A table of errors and costs for each system and number of particles."""
        return _tables(self.rows)

    @property
    def pair_tables(self) -> tuple[TextTable, ...]:
        """A table for each sample: the model against each solver on the same trajectories."""
        if self.rows and "roll_outs" not in self.rows[0]:
            paired = task_pair_table(self.rows)
            return () if paired is None else (paired,)
        return pair_tables(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        return {"model": self.model, "rows": list(self.rows)}

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.tables, *self.pair_tables)))

    def __repr__(self) -> str:
        methods = len({row["method"] for row in self.rows})
        samples = len(self.tables)
        return f"<Scorecard: {self.model}, methods: {methods}, samples: {samples}; print it>"

    def _repr_html_(self) -> str:
        return "".join(each._repr_html_() for each in (*self.tables, *self.pair_tables))


@guided(
    n="`particles`",
    n_particles="`particles`",
    batch_size="`trajectories`",
    data="`dataset`",
    model="a model's name, the folder of its weights or of its training",
)
def evaluate(
    model: str | os.PathLike[str] | AbstractSurrogate | AbstractIntegrator,
    *,
    system: str | AbstractSystem | Sequence[str | AbstractSystem] = (),
    particles: int | Sequence[int] = (),
    trajectories: int | None = None,
    dataset: str | os.PathLike[str] | Dataset | None = None,
    split: str | None = None,
    horizons: Sequence[int] = (),
    classical: bool = True,
    device: str = "auto",
    dtype: str | None = None,
    compiled: bool = False,
    bound: float = BOUND,
    progress: Callable[[int, int], None] | None = None,
) -> Scorecard:
    """Score a model beside the solvers, as `nbody-sim evaluate` does.

    All methods share one seeded sample of trajectories by the converged reference, or those of a
    data set.

    Parameters
    ----------
    model : str, path_like, AbstractSurrogate or AbstractIntegrator
        A name of those that ship, a folder of weights, a training's folder or what `train`
        returns; or a model or a method in memory, which need `system` or `dataset`.
    system : str or AbstractSystem, or several
        Physics of the samples; by default what the model's card names.
    particles : int, or several
        By default 5 and 30.
    trajectories : int, optional
        Of each sample; by default 500 of at most 5 particles and 200 of more.
    dataset : path_like or Dataset, optional
        Judge by its trajectories in place of samples. A model of one shot needs one.
    split : str, optional
        Of that data set; by default all of it, and ``test`` for a model of one shot.
    horizons : sequence of int
        Frames of roll-outs; by default 10, 20 and 40.
    classical : bool
        Whether solvers stand beside it.
    device, dtype : str, optional
        Of the model, as options of `SurrogateIntegrator`.
    compiled : bool
        Whether the model's step is compiled.
    bound : float
        A factor of errors, either way, within which model and solver are equivalent.
    progress : callable, optional
        Takes the methods that are done on a sample, and their number.

    Returns
    -------
    Scorecard

    Raises
    ------
    InputError
        If there is no such model, or it does not fit what it is to be judged by.
    """
    systems = [system] if isinstance(system, str | AbstractSystem) else list(system)
    numbers = [particles] if not isinstance(particles, Sequence) else list(particles)
    numbers = [demand_whole("particles", each, 1) for each in numbers]
    horizons = [demand_whole("horizons", each, 1) for each in horizons]
    if trajectories is not None:
        trajectories = demand_whole("trajectories", trajectories, 1)
    data = dataset if dataset is None or isinstance(dataset, Dataset) else Dataset(dataset)
    _check(data, split, systems, numbers)
    check_bound(bound)
    chosen = {"device": device, "dtype": dtype, "compile": compiled}
    if isinstance(model, AbstractSurrogate | AbstractIntegrator):
        found, card = None, Card.of(model) if isinstance(model, AbstractSurrogate) else None
        label = model.name if isinstance(model, AbstractIntegrator) else type(model).__name__
    else:
        found = find_model(os.fspath(model))
        label, card = found.name, found.load()[1]
        if card.horizon is not None:
            rows = _task_rows(found, data, split, trajectories, horizons, classical, chosen, bound)
            return Scorecard(label, tuple(rows))
    rows = []
    for truth in truths_of(card, systems, numbers, trajectories, data, split, horizons):
        method = (
            make_integrator(found.surrogate, weights=str(found.folder), **chosen)
            if found is not None
            else as_integrator(model, truth.system)  # type: ignore[arg-type]  # one in memory
        )
        methods = {label: method, **(classical_methods(truth.system) if classical else {})}
        scored = score_methods(methods, truth, tuple(horizons) or HORIZONS, progress, bound)
        rows += [row.to_dict() for row in scored]
    return Scorecard(label, tuple(rows))


def truths_of(
    card: Card | None,
    systems: Sequence[str | AbstractSystem],
    particles: Sequence[int],
    trajectories: int | None,
    dataset: Dataset | None,
    split: str | None,
    horizons: Sequence[int],
) -> list[Truth]:
    """Return what a model is judged by; parameters are as of `evaluate`.

    Raises
    ------
    InputError
        If nothing says which systems.
    """
    if dataset is not None:
        return [truth_of_dataset(dataset, split, trajectories)]
    # what a model was trained on, also where parameters are not the defaults
    named = {} if card is None else {each.system: dict(each.spec) for each in card.systems}
    wanted = systems or list(named)
    if not wanted:
        raise InputError("`system` or `dataset` is needed: the model does not say what it is for")
    longest = max(horizons or HORIZONS)
    frames = None if longest <= max(HORIZONS) else START + longest
    return [
        truth_of_system(
            make_system(each, **named.get(each, {})) if isinstance(each, str) else each,
            *(n, trajectories, frames),
        )
        for each in wanted
        for n in particles or PARTICLES
    ]


def _check(
    dataset: Dataset | None, split: str | None, systems: Sequence[object], particles: Sequence[int]
) -> None:
    if dataset is None and split is not None:
        raise InputError("`split` goes with `dataset` only; name its folder")
    for name, given in (("system", systems), ("particles", particles)):
        if dataset is not None and given:
            raise InputError(f"`{name}` does not go with `dataset`, which settles it")


def _task_rows(
    model: Model,
    dataset: Dataset | None,
    split: str | None,
    trajectories: int | None,
    horizons: Sequence[int],
    classical: bool,
    chosen: dict[str, Any],
    bound: float,
) -> list[dict[str, Any]]:
    import torch

    options = {
        "dataset": None if dataset is None else dataset.folder,
        "split": split,
        "trajectories": trajectories,
        "horizon": horizons,
        "no_classical": not classical,
        "compiled": chosen["compile"],
        "device": chosen["device"],
        "dtype": chosen["dtype"],
        "threads": torch.get_num_threads(),
        "bound": bound,
    }
    return task_rows_of(model, options)


def _tables(rows: tuple[dict[str, Any], ...]) -> tuple[TextTable, ...]:
    """Lay out each sample; the one task of a model of one shot is a table of its own kind."""
    if rows and "roll_outs" not in rows[0]:
        return (task_table(rows),)
    return score_tables(rows)
