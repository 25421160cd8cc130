"""Short trainings of small models."""

from __future__ import annotations

import json

import torch
from torch import nn

from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.training.log import read_log
from nbody_surrogate.training.trainer import Trainer

MODEL = {"width": 4, "substeps": 2, "basis": 4, "history": 2}


class StopError(Exception):
    """Stands for a computer that is switched off."""


class ToyConfig(SurrogateConfig):
    dropout: float = 0.0
    one_shot: bool = False


class Toy(AbstractSurrogate):
    """dx = v / 10 + g v, with one number g to learn, and another one for three particles."""

    Config = ToyConfig

    def __init__(self, config):
        super().__init__(config)
        self.gain, self.of_three = (nn.Parameter(torch.zeros(())) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, v, particles):
        v = v.to(self.dtype)
        gain = self.gain + self.of_three if x.shape[2] == 3 else self.gain
        dx = self.dropout(0.1 * v + gain * v)
        last = slice(-1 if self.config.one_shot else None, None)
        return dx[:, last], torch.zeros_like(dx)[:, last]


def spec(n, **changes):
    some = {"trajectories": 6, "splits": {"train": 4, "validation": 2}, "frames": 14}
    return {"particles": n, "seed": n, "options": {"rtol": 1e-9, "atol": 1e-9}, **some} | changes


def silent(line):
    return


def trainer_of(recipe, folder):
    return Trainer(recipe, folder, 1, silent, command="nbody-sim train me")


def train(recipe, folder, stop_at=None):
    """Train and return the residuals; stop in the middle of step `stop_at`."""
    residuals = []

    def tick(step, residual, validation):
        residuals.append(residual)
        if step == stop_at:
            raise StopError

    trainer = trainer_of(recipe, folder)
    try:
        trainer.run(tick)
    except StopError:
        assert stop_at is not None
    return residuals


def left(folder):
    """What a run leaves, but for the time that it took."""
    found = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    found["weights"] = (folder / "weights/model.safetensors").read_bytes()
    found["log"] = [entry | {"seconds": 0} for entry in read_log(folder)]
    for name in ("checkpoint.json", "summary.json"):
        content = json.loads((folder / name).read_text())
        found[name] = content | {"seconds": 0, "minutes": 0}
    return found
