"""The training loop: windows of true frames in, one-frame increments out.

Everything random comes from seeds, for the sources and for each step of the model, and the place
in each source is part of the checkpoint, so that a resumed run is bitwise the one that was not
stopped.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from torch.nn.utils import clip_grad_norm_

from nbody_surrogate.contracts.card import Card, CardSystem
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.contracts.violations import held_to
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import DivergenceError, InputError, RunError, is_out_of_memory
from nbody_surrogate.evaluation.rollouts import Truth
from nbody_surrogate.files.json_file import read_json, write_json
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.surrogates.library import find_model
from nbody_surrogate.surrogates.weights import load_weights, save_weights
from nbody_surrogate.training.averaging import _Swapped
from nbody_surrogate.training.card import _extent, _finite, _range
from nbody_surrogate.training.checkpoint import (
    damaged,
    load_checkpoint,
    optimizer_tensors,
    part_of,
    restore_optimizer,
    save_checkpoint,
)
from nbody_surrogate.training.checks import check_data, check_device
from nbody_surrogate.training.diagnosis import diagnose
from nbody_surrogate.training.log import append_log, cut_log, read_log
from nbody_surrogate.training.losses import Loss, Passes
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.sources import open_sources
from nbody_surrogate.training.validation import Score, mean_log, score, symmetry_error

__all__ = ["Progress", "Trainer"]

Progress = Callable[[int, float, float | None], None]
"""Called with the step, its loss, and the latest validation error."""


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
        self.recipe, self.folder, self.report = recipe, Path(folder), report
        self.command = command
        cls = surrogate_class(recipe.surrogate)
        config = validated(cls.Config, recipe.model, f"surrogate {recipe.surrogate!r}")
        self.device = torch.device(device)
        check_device(self.device)
        torch.manual_seed(recipe.seed)
        model, self.minutes_before = _initial_model(recipe, cls, config)
        self.model = model.to(self.device)
        check_data(recipe, self.model)
        self._claim_folder()
        history = self.model.config.history
        self.sources = open_sources(recipe, self.folder, workers, report, history)
        if recipe.initial is None:
            self._initialise()
        self.averaged = {k: p.detach().clone() for k, p in self.model.named_parameters()}
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.loss = Loss(recipe, len(self.sources))
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []  # since the last checkpoint
        self.best, self.since_best = math.inf, 0
        self.validation: float | None = None
        self._restore()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Let the model take what the first source's data give it in closed form."""
        source = self.sources[0]
        truth = source.beginning()
        rows = slice(None) if self.recipe.task else slice(self.recipe.chunk + 1)
        x, v = (torch.tensor(y[:, rows], device=self.device) for y in (truth.x, truth.v))
        charges, masses = (
            torch.tensor(y, device=self.device)
            for y in (truth.particles.charges, truth.particles.masses)
        )
        particles = source.particle_tensors(charges, masses, self.model.dtype)
        dx, dv = x[:, -1] - x[:, -2], v[:, -1] - v[:, -2]
        self.model.initialise(x[:, :-1], v[:, :-1], particles, dx, dv)

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
        while self.step < self.recipe.steps and not self._out_of_patience():
            loss = self._train_step()
            self.losses.append(loss)
            self.seconds = time.perf_counter() - began
            last = self.step == self.recipe.steps
            if self.step % self.recipe.validate_every == 0 or last:
                self._validate()
            if self.step % self.recipe.checkpoint_every == 0 or last or self._out_of_patience():
                self._save()
            if tick is not None:
                tick(self.step, loss, self.validation)
        return self._finish()

    def _out_of_patience(self) -> bool:
        return 0 < self.recipe.patience <= self.since_best

    def _train_step(self) -> float:
        which = self.step % len(self.sources)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        torch.manual_seed((self.recipe.seed << 31) + self.step)  # of dropout and the like
        try:
            value = self._descend(which)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise RunError(self._less_batch(which)) from None
            raise
        self.step += 1
        self._average()
        return value

    def _descend(self, which: int) -> float:
        source = self.sources[which]
        x, v, charges, masses = (column.to(self.device) for column in source.next())
        particles = source.particle_tensors(charges, masses, self.model.dtype)
        dt = source.system.spec.frame_dt
        loss = self.loss(self.model, which, dt, (x, v), particles, self._passes())
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

    def _passes(self) -> Passes:
        unrolled = self.step >= self.recipe.steps - self.recipe.unroll_steps
        return Passes(self.recipe.unroll if unrolled else 1, self.recipe.pushforward)

    def _learning_rate(self) -> float:
        """Linear rise, then a cosine down to the final rate."""
        recipe = self.recipe
        rise = min((self.step + 1) / recipe.rise, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / recipe.steps))
        span = recipe.learning_rate - recipe.final_learning_rate
        return rise * (recipe.final_learning_rate + span * cosine)

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential moving average, with a shorter memory in the beginning."""
        keep = min(self.recipe.ema, self.step / (self.step + 100))
        for key, parameter in self.model.named_parameters():
            self.averaged[key].lerp_(parameter, 1 - keep)

    # Validation

    def _validate(self) -> None:
        """Score the averaged model, and keep its weights where it is the best so far.

        What the last stage is for, one step does not show: of it the newest weights are kept.
        """
        with self._averaged_model():
            scores = [self._score(self.model, source.validation) for source in self.sources]
            there = [each for each in scores if each is not None]
            if there:
                self.validation = 10 ** mean_log(there)
            unrolled = self.step > self.recipe.steps - self.recipe.unroll_steps
            better = not there or unrolled or mean_log(there) < self.best
            if better:
                self.best = mean_log(there) if there else self.best
                self.since_best = 0
                save_weights(
                    self.folder / "weights", self.model, self.recipe.surrogate, self._card()
                )
            else:
                self.since_best += 1
        entry = {"validation": [None if each is None else each._asdict() for each in scores]}
        self._log(entry)

    def _score(self, model: AbstractSurrogate, truth: Truth | None) -> Score | None:
        return None if truth is None else score(model, truth, self.recipe.task)

    def _finish(self) -> list[str]:
        """Draw the loss, and say what the run shows of the weights that were kept."""
        from nbody_surrogate.training.figure import draw_log

        log = read_log(self.folder)
        cls, place = type(self.model), self.folder / "weights"
        best = load_weights(place, self.recipe.surrogate, cls)[0].to(self.device)
        train = [self._score(best, source.train) for source in self.sources]
        new = [self._score(best, source.validation) for source in self.sources]
        errors = [symmetry_error(best, source) for source in self.sources]
        known = [error for error in errors if error is not None]
        found = diagnose(train, new, log, max(known) if known else None)
        if self.step < self.recipe.steps:
            found.insert(0, f"stopped early at step {self.step}: validation stopped to gain")
        write_json(
            self.folder / "summary.json",
            {
                "step": self.step,
                "minutes": self.seconds / 60,
                "train": [None if each is None else each._asdict() for each in train],
                "validation": [None if each is None else each._asdict() for each in new],
                "symmetry_error": max(known) if known else None,
                "diagnosis": found,
            },
        )
        draw_log(log, self.folder / "loss.png")
        return found

    # Files

    def _card(self) -> Card:
        sources = self.sources
        systems: dict[tuple[str, str], CardSystem] = {}
        for source in sources:
            spec, end = source.system.spec, float(source.spec.numbers[-1])
            key = (source.system.name, json.dumps(spec.of_forces(), sort_keys=True))
            until = max(systems[key].time_range[1] if key in systems else 0.0, end * spec.frame_dt)
            systems[key] = CardSystem(
                system=source.system.name, spec=spec.of_forces(), time_range=(0.0, until)
            )
        return Card(
            systems=tuple(systems.values()),
            frame_dt=sources[0].spacing,
            horizon=sources[0].horizon,
            particles=_range([source.spec.particles for source in sources]),
            charges=_extent([source.charges for source in sources]),
            masses=_extent([source.masses for source in sources]),
            closest=_finite(min(source.closest for source in sources)),
            fastest=_finite(max(source.fastest for source in sources)) or None,
            symmetries=tuple(sorted(self.model.symmetries)),
            training_data_hash=" ".join(source.digest for source in sources),
            training={
                "steps": self.step,
                "minutes": round(self.seconds / 60, 1),
                **self._before(),
                "seed": self.recipe.seed,
                "device": str(self.device),
                **({"command": self.command} if self.command else {}),
                **versions(),
            },
        )

    def _before(self) -> dict[str, float | int | str]:
        """Say what the training began with."""
        if self.recipe.initial is None:
            return {}
        took = {} if self.minutes_before is None else {"minutes_before": self.minutes_before}
        return {"initial": self.recipe.initial, **took}

    def _claim_folder(self) -> None:
        path, mine = self.folder / "recipe.json", self.recipe.model_dump(mode="json")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"`output` {str(self.folder)!r}: {error.strerror}") from None
        if path.is_file() and read_json(path) != mine:
            raise InputError(
                f"`output` {str(self.folder)!r} holds a run of another recipe; choose another"
            )
        if not path.is_file():
            write_json(path, mine)

    def _log(self, entry: dict[str, Any]) -> None:
        append_log(self.folder, {"step": self.step, **entry, "seconds": round(self.seconds, 1)})

    def _save(self) -> None:
        """Write a checkpoint to go on from."""
        parameters = dict(self.model.named_parameters())
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.items()}
        tensors |= optimizer_tensors(self.optimizer, parameters)
        tensors["scales"] = self.loss.scales
        rest = {
            "seconds": self.seconds,
            "sources": [source.windows.state_dict() for source in self.sources],
            "best": self.best if math.isfinite(self.best) else None,
            "since_best": self.since_best,
            "validation": self.validation,
        }
        self._log({"loss": math.fsum(self.losses) / len(self.losses)})
        self.losses = []
        save_checkpoint(self.folder, self.step, tensors, rest)

    def _restore(self) -> None:
        found = load_checkpoint(self.folder)
        if found is None:
            (self.folder / "log.jsonl").unlink(missing_ok=True)
            return
        tensors, rest = found
        try:
            self.step, self.seconds = rest["step"], rest["seconds"]
            self.model.load_state_dict(part_of(tensors, "model."))
            averaged = part_of(tensors, "averaged.")
            self.averaged = {k: averaged[k].to(self.device) for k in self.averaged}
            for source, place in zip(self.sources, rest["sources"], strict=True):
                source.go_to(place)
            self.loss.scales = tensors["scales"]
            self.best = math.inf if rest["best"] is None else rest["best"]
            self.since_best, self.validation = rest["since_best"], rest["validation"]
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(self.folder, error) from None
        restore_optimizer(self.optimizer, dict(self.model.named_parameters()), tensors)
        cut_log(self.folder, self.step)
        self.report(f"going on from step {self.step}")

    def _averaged_model(self) -> _Swapped:
        return _Swapped(self.model, self.averaged)


def _initial_model(
    recipe: Recipe, cls: type[AbstractSurrogate], config: SurrogateConfig
) -> tuple[AbstractSurrogate, float | None]:
    """Draw the parameters, or take trained ones; and say what minutes those took, if known."""
    if recipe.initial is None:
        with held_to(origin_of(cls, "surrogate"), "__init__"):
            return cls(config), 0.0
    folder = find_model(recipe.initial, "initial").folder
    model, card, _ = load_weights(folder, recipe.surrogate, cls)
    if model.config != config:
        theirs, mine = model.config.model_dump(), config.model_dump()
        key = next(key for key in mine if theirs[key] != mine[key])
        raise InputError(
            f"`initial` {recipe.initial!r} has `{key}` {theirs[key]!r}, the recipe {mine[key]!r}; "
            "give the same under [model]"
        )
    return model.train(), card.training_minutes
