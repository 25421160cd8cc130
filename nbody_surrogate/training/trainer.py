"""The training loop: windows of true frames in, one-frame increments out.

Everything random comes from seeds, for the sources and for each step of the model, and the place
in each source is part of the checkpoint, so that a resumed run is bitwise the one that was not
stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from torch.nn.utils import clip_grad_norm_

from nbody_surrogate.errors import DivergenceError, RunError, is_out_of_memory
from nbody_surrogate.surrogates.weights import save_weights
from nbody_surrogate.training.averaging import AveragedWeights
from nbody_surrogate.training.checkpoint import (
    check_model_size,
    damaged,
    load_checkpoint,
    optimizer_tensors,
    part_of,
    restore_optimizer,
    save_checkpoint,
)
from nbody_surrogate.training.checks import check_data, check_device
from nbody_surrogate.training.initial_model import initial_model, initialise
from nbody_surrogate.training.log import append_log, cut_log, forget_log
from nbody_surrogate.training.losses import Loss
from nbody_surrogate.training.recipe import Recipe, claim_folder
from nbody_surrogate.training.schedule import in_last_stage, learning_rate, passes
from nbody_surrogate.training.sources import open_sources
from nbody_surrogate.training.summary import WEIGHTS, summarise
from nbody_surrogate.training.validation import mean_log, score_source
from nbody_surrogate.training.write_model_card import card_of, training_entry

__all__ = ["Progress", "Trainer"]

Progress = Callable[[int, float, float | None], None]
"""Called with the step, its typical residual, and the latest validation error."""


@final
class Trainer:
    """Trains one surrogate in one run folder.

    Parameters
    ----------
    recipe : Recipe
    folder : path
        Holds the recipe, data, checkpoint, log, figure and weights. A folder with the checkpoint
        of the same recipe is gone on with.
    workers : int
        Trajectories that are made at a time.
    report : callable
        Takes one line of text.
    device : str
        Where the model trains: cpu or cuda.
    command : str
        How the run was started, for the card.

    Raises
    ------
    InputError
        If the folder belongs to another recipe, the model's config is wrong, or the model does
        not fit the data's systems.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: str | Path,
        workers: int,
        report: Callable[[str], None],
        device: str = "cpu",
        command: str = "",
    ) -> None:
        self.folder, self.report = Path(folder), report
        self.command, self.device = command, torch.device(device)
        check_device(self.device)
        self.initial = initial_model(recipe)
        self.model = self.initial.model.to(self.device)
        check_model_size(self.model)
        check_data(recipe, self.model)
        recipe = claim_folder(self.folder, recipe)
        self.recipe = recipe
        self.model.training_engine = recipe.engine_used
        history = self.model.config.history
        self.sources = open_sources(recipe, self.folder, workers, report, history)
        began = time.perf_counter()
        if recipe.initial is None:
            initialise(self.model, recipe, self.sources[0], self.device)
        fitted = time.perf_counter() - began  # some models learn all that they know there
        self.averaged = AveragedWeights(self.model, recipe.ema)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=recipe.engine_used == "fused" or None,
        )
        self.loss = Loss(recipe, len(self.sources))
        self.step, self.seconds = 0, fitted
        self.losses: list[float] = []  # since the last checkpoint, as residuals are
        self.residuals: list[float] = []
        self.best, self.since_best = math.inf, 0
        self.validation: float | None = None
        self._restore()

    def run(self, tick: Progress | None = None) -> list[str]:
        """Train to the last step, or until validation has stopped to gain.

        Returns
        -------
        list of str
            What the run shows of known failures.

        Raises
        ------
        RunError
            If the loss is no number any more, or memory runs out.
        """
        began = time.perf_counter() - self.seconds
        while not self._finished():
            loss = self._train_step()
            self.losses.append(loss)
            self.residuals.append(self.loss.residual)
            self.seconds = time.perf_counter() - began
            last = self.step == self.recipe.steps
            if self.step % self.recipe.validate_every == 0 or last:
                self._validate()
            if self.step % self.recipe.checkpoint_every == 0 or last or self._out_of_patience():
                self._save()
            if tick is not None:
                tick(self.step, self.loss.residual, self.validation)
        model = type(self.model)
        return summarise(
            self.folder, self.recipe, model, self.sources, self.step, self.seconds, self.device
        )

    def _finished(self) -> bool:
        return self.step >= self.recipe.steps or self._out_of_patience()

    def _out_of_patience(self) -> bool:
        return 0 < self.recipe.patience <= self.since_best

    def _train_step(self) -> float:
        which = self.step % len(self.sources)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        # Of dropout and the like: by the step, so that a resumed run draws what this one does.
        torch.manual_seed((self.recipe.seed << 31) + self.step)
        try:
            value = self._descend(which)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise RunError(self._less_batch(which)) from None
            raise
        self.step += 1
        self.averaged.follow(self.step)
        return value

    def _descend(self, which: int) -> float:
        source = self.sources[which]
        windows = source.next()
        window = windows.x.to(self.device), windows.v.to(self.device)
        particles = source.particle_tensors(windows, self.device, self.model.dtype)
        dt = source.system.spec.frame_dt
        loss = self.loss(self.model, which, dt, window, particles, passes(self.recipe, self.step))
        value = loss.item()
        self._demand_finite("loss", value)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self._demand_finite("gradient", norm.item())
        self.optimizer.step()
        return value

    def _demand_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise DivergenceError(
                f"the {name} became {value} at step {self.step}; what {str(self.folder)!r} holds "
                "of earlier steps is good: lower `learning_rate` and train into another folder"
            )

    def _less_batch(self, which: int) -> str:
        batch = self.recipe.data[which].batch
        less = f"`batch` of {batch // 2}" if batch > 1 else f"`chunk` below {self.recipe.chunk}"
        return (
            f"out of memory at step {self.step} with `batch` {batch} of source {which}; try {less}"
        )

    # Validation

    def _validate(self) -> None:
        """Score the averaged model, and keep its weights where it is the best so far.

        What the last stage is for, one step does not show: of it the newest weights are kept.
        """
        task = self.recipe.task
        with self.averaged.in_model():
            scores = [score_source(self.model, each.validation, task) for each in self.sources]
            there = [each for each in scores if each is not None]
            if there:
                self.validation = 10 ** mean_log(there)
            unrolled = in_last_stage(self.recipe, self.step)
            if not there or unrolled or mean_log(there) < self.best:
                self.best = mean_log(there) if there else self.best
                self.since_best = 0
                self._keep_weights()
            else:
                self.since_best += 1
        self._log({"validation": [None if each is None else each._asdict() for each in scores]})

    def _keep_weights(self) -> None:
        device = str(self.device)
        training = training_entry(
            self.recipe, self.initial, self.step, self.seconds, device, self.command
        )
        card = card_of(self.model, self.sources, training)
        save_weights(self.folder / WEIGHTS, self.model, self.recipe.surrogate, card)

    # Files

    def _log(self, entry: dict[str, Any]) -> None:
        append_log(self.folder, {"step": self.step, **entry, "seconds": round(self.seconds, 1)})

    def _save(self) -> None:
        """Write a checkpoint to go on from."""
        parameters = dict(self.model.named_parameters())
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.values.items()}
        tensors |= optimizer_tensors(self.optimizer, parameters)
        tensors["scales"] = self.loss.scales
        rest = {
            "seconds": self.seconds,
            "sources": [source.windows.state_dict() for source in self.sources],
            "best": self.best if math.isfinite(self.best) else None,
            "since_best": self.since_best,
            "validation": self.validation,
        }
        count = len(self.losses)
        means = {"loss": self.losses, "residual": self.residuals}
        self._log({name: math.fsum(values) / count for name, values in means.items()})
        self.losses, self.residuals = [], []
        save_checkpoint(self.folder, self.step, tensors, rest)

    def _restore(self) -> None:
        found = load_checkpoint(self.folder)
        if found is None:
            forget_log(self.folder)
            return
        tensors, rest = found
        try:
            self.step, self.seconds = rest["step"], rest["seconds"]
            self.model.load_state_dict(part_of(tensors, "model."))
            self.averaged.restore(part_of(tensors, "averaged."))
            for source, place in zip(self.sources, rest["sources"], strict=True):
                source.go_to(place)
            self.loss.scales = tensors["scales"]
            self.best = math.inf if rest["best"] is None else rest["best"]
            self.since_best, self.validation = rest["since_best"], rest["validation"]
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(self.folder, error) from None
        restore_optimizer(self.optimizer, dict(self.model.named_parameters()), tensors)
        cut_log(self.folder, self.step)
        if self._finished():
            self.report(f"finished at step {self.step}; nothing to do")
        else:
            self.report(f"going on from step {self.step}")
