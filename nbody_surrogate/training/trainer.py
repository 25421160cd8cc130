"""The training loop: chunks of true frames in, one-frame increments out.

Steps cycle through the particle numbers. Everything random comes from one generator, whose
state is part of the checkpoint, so that a resumed run goes on where it stopped.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.options import validated
from nbody_surrogate.registry import make_system, surrogate_class
from nbody_surrogate.simulation import versions
from nbody_surrogate.surrogate import AbstractSurrogate, Card, ParticleTensors, SurrogateConfig
from nbody_surrogate.training.data import Pool, load_or_make, make_reference
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.weights import save_weights

__all__ = ["Trainer"]

MOMENTS = frozenset({"exp_avg", "exp_avg_sq"})  # of AdamW
SMALLEST_SCALE = 1e-12  # of s^2, so that the loss stays finite


@final
class Trainer:
    """Trains one surrogate in one run folder.

    Parameters
    ----------
    recipe : Recipe
    folder : path
        Holds the data, checkpoint, log and weights. A folder with the checkpoint of the same
        recipe is gone on with.
    workers : int
        Processes that make the data.
    report : callable
        Takes one line of text.

    Raises
    ------
    InputError
        If the folder belongs to another recipe, or the model's config is wrong.
    """

    def __init__(
        self, recipe: Recipe, folder: str | Path, workers: int, report: Callable[[str], None]
    ) -> None:
        self.recipe, self.folder, self.report = recipe, Path(folder), report
        self.system = make_system(recipe.system, **recipe.system_parameters)
        make_reference(recipe)  # what is wrong is said before the data are made
        cls = surrogate_class(recipe.surrogate)
        config = validated(cls.Config, recipe.model, f"surrogate {recipe.surrogate!r}")
        self._check_physics(config)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"`output` {str(folder)!r}: {error.strerror}") from None
        self._claim_folder()
        self.pools, self.data_hash = load_or_make(recipe, self.folder, workers, report)
        torch.manual_seed(recipe.seed)
        self.model: AbstractSurrogate = cls(config)
        self.averaged = {k: p.detach().clone() for k, p in self.model.named_parameters()}
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.draws = torch.Generator().manual_seed(recipe.seed + 1)
        levels = len(recipe.quantiles)
        self.scales = torch.full((len(self.pools), levels, 2), math.nan, dtype=torch.float64)
        self.step, self.seconds = 0, 0.0
        if (self.folder / "checkpoint.json").is_file():
            self._restore()

    def run(self, tick: Callable[[int, float], None] | None = None) -> None:
        """Train to the last step; `tick` gets the step and its loss."""
        began, log = time.perf_counter() - self.seconds, self.folder / "log.jsonl"
        while self.step < self.recipe.steps:
            loss = self._train_step()
            self.seconds = time.perf_counter() - began
            if tick is not None:
                tick(self.step, loss)
            if self.step % self.recipe.checkpoint_every == 0 or self.step == self.recipe.steps:
                self._save()
                entry = {"step": self.step, "loss": loss, "seconds": round(self.seconds, 1)}
                with log.open("a") as file:
                    file.write(json.dumps({**entry, "scales": self.scales.tolist()}) + "\n")

    def _train_step(self) -> float:
        which = self.step % len(self.pools)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        loss = self._loss(which)
        if not math.isfinite(loss.item()):
            raise RunError(
                f"the loss became {loss.item()} at step {self.step}; the last checkpoint in "
                f"{str(self.folder)!r} is good: lower `learning_rate` and start again from it"
            )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.step += 1
        self._average()
        return loss.item()

    def _loss(self, which: int) -> Tensor:
        """Log loss over a batch of chunks of one particle number."""
        dt = self.system.spec.frame_dt
        x, v, particles = self._chunks(self.pools[which], self.recipe.batch[which])
        dx, dv = self.model(x[:, :-1], v[:, :-1], particles)
        frames = dx.shape[1]
        wanted_x, wanted_v = x.diff(dim=1)[:, -frames:], v.diff(dim=1)[:, -frames:]
        error_x = (dx - wanted_x.to(dx)) / (dt * dt / 2)
        error_v = (dv - wanted_v.to(dv)) / dt
        squared = torch.stack([e.square().mean((2, 3)).flatten() for e in (error_x, error_v)])
        scales = self._follow(which, squared.detach())  # (levels, 2)
        weights = torch.tensor(list(self.recipe.quantiles.values())).to(squared)
        levels = torch.log1p(squared / scales[..., None].to(squared)).mean(-1).sum(-1)
        return (weights * levels).sum()

    def _follow(self, which: int, squared: Tensor) -> Tensor:
        """Follow the quantiles of the squared errors of positions and velocities."""
        wanted = torch.tensor(list(self.recipe.quantiles), dtype=torch.float64)
        now = squared.double().quantile(wanted, dim=1).clamp(min=SMALLEST_SCALE)
        before = self.scales[which]
        self.scales[which] = now if before.isnan().any() else before.lerp(now, 0.02)
        return self.scales[which].clone()

    def _chunks(self, pool: Pool, count: int) -> tuple[Tensor, Tensor, ParticleTensors]:
        trajectories, frames = pool.x.shape[:2]
        chunk = self.recipe.chunk
        b = torch.randint(trajectories, (count,), generator=self.draws)
        first = torch.randint(frames - chunk, (count,), generator=self.draws)
        window = first[:, None] + torch.arange(chunk + 1)
        dtype = self.model.dtype
        particles = ParticleTensors(pool.charges[b].to(dtype), pool.masses[b].to(dtype))
        return pool.x[b[:, None], window], pool.v[b[:, None], window], particles

    def _learning_rate(self) -> float:
        recipe = self.recipe
        rise = min(1.0, (self.step + 1) / recipe.rise)
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / recipe.steps))
        span = recipe.learning_rate - recipe.final_learning_rate
        return rise * (recipe.final_learning_rate + span * cosine)

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential moving average, with a shorter memory in the beginning."""
        keep = min(self.recipe.ema, self.step / (self.step + 100))
        for key, parameter in self.model.named_parameters():
            self.averaged[key].lerp_(parameter, 1 - keep)

    def _card(self) -> Card:
        recipe = self.recipe
        spec = self.system.spec
        charges = [pool.charges.abs() for pool in self.pools]
        masses = [pool.masses for pool in self.pools]
        return Card(
            system=self.system.name,
            system_spec=spec.of_forces(),
            frame_dt=spec.frame_dt,
            particles=(min(recipe.data.particles), max(recipe.data.particles)),
            charges=_extent(charges),
            masses=_extent(masses),
            time_range=(0.0, recipe.data.frames * spec.frame_dt),
            symmetries=tuple(sorted(self.model.symmetries)),
            training_data_hash=self.data_hash,
            training={"steps": self.step, "minutes": round(self.seconds / 60, 1), **versions()},
        )

    def _check_physics(self, config: SurrogateConfig) -> None:
        """Demand that what the model assumes of the system is so."""
        spec = self.system.spec.model_dump()
        for key, assumed in config.model_dump().items():
            if key in spec and spec[key] != assumed:
                raise InputError(
                    f"`{key}` is {assumed} in `model` of the recipe, but {spec[key]} in its "
                    f"system {self.system.name!r}; make them equal"
                )

    def _claim_folder(self) -> None:
        path, mine = self.folder / "recipe.json", self.recipe.model_dump(mode="json")
        if path.is_file() and _read_json(path) != mine:
            raise InputError(
                f"`output` {str(self.folder)!r} holds a run of another recipe; choose another"
            )
        path.write_text(json.dumps(mine, indent=2) + "\n")

    def _save(self) -> None:
        """Write the weights (averaged) and a checkpoint to go on from."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.items()}
        for key, parameter in self.model.named_parameters():
            for moment in MOMENTS & self.optimizer.state[parameter].keys():
                tensors[f"{moment}.{key}"] = self.optimizer.state[parameter][moment]
        tensors |= {"draws": self.draws.get_state(), "scales": self.scales}
        temporary = self.folder / "checkpoint.safetensors.part"
        save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, temporary)
        temporary.replace(self.folder / f"checkpoint-{self.step}.safetensors")
        self._write_json("checkpoint.json", {"step": self.step, "seconds": self.seconds})
        for old in self.folder.glob("checkpoint-*.safetensors"):
            if old.name != f"checkpoint-{self.step}.safetensors":
                old.unlink()
        trained = {k: p.detach().clone() for k, p in self.model.named_parameters()}
        self._set_parameters(self.averaged)
        save_weights(self.folder / "weights", self.model, self.recipe.surrogate, self._card())
        self._set_parameters(trained)

    def _restore(self) -> None:
        position = _read_json(self.folder / "checkpoint.json")
        try:
            self.step, self.seconds = position["step"], position["seconds"]
            tensors = load_file(self.folder / f"checkpoint-{self.step}.safetensors")
            self.model.load_state_dict(_part(tensors, "model."))
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise FileFormatError(
                f"the checkpoint in {str(self.folder)!r} is damaged: {reason}"
            ) from None
        self.averaged = _part(tensors, "averaged.")
        for key, parameter in self.model.named_parameters():
            for moment in MOMENTS:
                if f"{moment}.{key}" in tensors:
                    state = self.optimizer.state[parameter]
                    state[moment] = tensors[f"{moment}.{key}"]
                    state["step"] = torch.tensor(float(self.step))
        self.draws.set_state(tensors["draws"])
        self.scales = tensors["scales"]
        self.report(f"going on from step {self.step}")

    @torch.no_grad()
    def _set_parameters(self, values: dict[str, Tensor]) -> None:
        for key, parameter in self.model.named_parameters():
            parameter.copy_(values[key])

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        temporary = self.folder / f"{name}.part"
        temporary.write_text(json.dumps(content) + "\n")
        temporary.replace(self.folder / name)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        raise FileFormatError(f"{str(path)!r} is damaged: it is no JSON") from None


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _extent(columns: list[Tensor]) -> tuple[float, float]:
    return min(float(c.min()) for c in columns), max(float(c.max()) for c in columns)
