"""How readings of the past are brought to the present: attention over lags, a mean, or a GRU.

A sequence has one reading of c numbers for each interval that ended at a frame, and features of its
particle or pair at that frame. What comes of it stays linear in the readings, so that what is
remembered has the right size before anything is learned.

Axes: E particles or pairs, B trajectories, T frames of a window, L history, c numbers, d features,
H heads. The interval that ended at a frame has lag 0 there, the oldest one lag L - 2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal, final

import torch
from torch import Tensor, nn

__all__ = [
    "AbstractRecollection",
    "Attending",
    "Averaging",
    "Kind",
    "Recurrent",
    "lagged",
    "recollection",
]

Kind = Literal["attention", "mean", "gru"]
FAR_BELOW = -1e9  # a score that is nothing after a softmax, and gives no NaN where all are so


class AbstractRecollection(nn.Module, ABC):
    """Brings readings (E, B, T, c) to the present, (E, B, T, H, c); zero where there is none yet.

    To write one, implement `forward` for windows, and `begin` and `step` for roll-outs, which must
    agree with it to rounding.
    """

    heads: int

    @abstractmethod
    def forward(self, h: Tensor, reading: Tensor, first: int) -> Tensor:
        """Return what is remembered at every frame of a window.

        Parameters
        ----------
        h : Tensor, shape (E, B, T, d)
        reading : Tensor, shape (E, B, T, c)
            Of the interval that ended at each frame.
        first : int
            The first frame that has one, 0 or 1.
        """

    @abstractmethod
    def begin(self, entities: int, batch: int, like: Tensor) -> dict[str, Tensor]:
        """Return the cache of a start without a past; each tensor has the axes E, B first."""

    @abstractmethod
    def step(
        self, cache: dict[str, Tensor], h: Tensor, reading: Tensor, known: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what is remembered at a new frame, (E, B, H, c), and the next cache.

        Parameters
        ----------
        cache : dict of str to Tensor
        h : Tensor, shape (E, B, d)
        reading : Tensor, shape (E, B, c)
        known : Tensor, shape (B,)
            Whether there is a reading at all.
        """


@final
class Attending(AbstractRecollection):
    """Causal attention over lags: scores of features, readings and lags."""

    def __init__(self, width: int, numbers: int, history: int, heads: int) -> None:
        super().__init__()
        self.heads, self.lags, self.size = heads, history - 1, width // heads
        self.query = nn.Linear(width + 2 * numbers, width)
        self.key = nn.Linear(width + 2 * numbers, width)
        # heads begin at unlike lags, the first at the newest: their sum can extrapolate
        away = (torch.arange(self.lags) - torch.arange(heads)[:, None]).abs()
        self.lag_bias = nn.Parameter(-away.float())

    def forward(self, h: Tensor, reading: Tensor, first: int) -> Tensor:
        """See `AbstractRecollection.forward`."""
        frames = h.shape[2]
        past = torch.arange(frames, device=h.device)
        lag = past[:, None] - past[None, :]
        seen = (lag >= 0) & (lag < self.lags) & (past[None, :] >= first)
        bias = self.lag_bias[:, lag.clamp(0, self.lags - 1)]
        query, key = self._projected(self.query, h, reading), self._projected(self.key, h, reading)
        return self._attended(query, key, reading, bias, seen)

    def begin(self, entities: int, batch: int, like: Tensor) -> dict[str, Tensor]:
        """See `AbstractRecollection.begin`."""
        room, width = self.lags - 1, self.heads * self.size
        numbers = (self.key.in_features - width) // 2
        return {
            "key": like.new_zeros((entities, batch, room, width)),
            "reading": like.new_zeros((entities, batch, room, numbers)),
            "seen": like.new_zeros((entities, batch, room)),
        }

    def step(
        self, cache: dict[str, Tensor], h: Tensor, reading: Tensor, known: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `AbstractRecollection.step`."""
        h, reading = h[:, :, None], reading[:, :, None]
        query, key = self.query(_packed(h, reading)), self.key(_packed(h, reading))
        now = known.to(h).expand(h.shape[0], -1)[:, :, None]
        keys = torch.cat([cache["key"], key], 2)
        readings = torch.cat([cache["reading"], reading], 2)
        seen = torch.cat([cache["seen"], now], 2)
        following = {"key": keys[:, :, 1:], "reading": readings[:, :, 1:], "seen": seen[:, :, 1:]}
        bias = self.lag_bias.flip(1)[:, None]  # newest last; (H, 1, L - 1)
        shown = seen[:, :, None, None] > 0  # (E, B, 1, 1, L - 1)
        made = self._attended(self._split(query), self._split(keys), readings, bias, shown)
        return made[:, :, 0], following

    def _projected(self, layer: nn.Linear, h: Tensor, reading: Tensor) -> Tensor:
        return self._split(layer(_packed(h, reading)))

    def _attended(
        self, query: Tensor, key: Tensor, reading: Tensor, bias: Tensor, seen: Tensor
    ) -> Tensor:
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.size) + bias
        weights = scores.masked_fill(~seen, FAR_BELOW).softmax(-1) * seen
        made: Tensor = weights @ reading[:, :, None]  # (E, B, H, T, c)
        return made.transpose(2, 3)

    def _split(self, y: Tensor) -> Tensor:
        return y.view(*y.shape[:-1], self.heads, self.size).transpose(2, 3)


@final
class Averaging(AbstractRecollection):
    """The mean over the lags that there are: what attention must beat."""

    heads = 1

    def __init__(self, numbers: int, history: int) -> None:
        super().__init__()
        self.numbers, self.lags = numbers, history - 1

    def forward(self, h: Tensor, reading: Tensor, first: int) -> Tensor:
        """See `AbstractRecollection.forward`."""
        past, count = lagged(reading, first, self.lags)
        return self._mean(past, count)

    def begin(self, entities: int, batch: int, like: Tensor) -> dict[str, Tensor]:
        """See `AbstractRecollection.begin`."""
        return _empty(entities, batch, self.lags - 1, self.numbers, like)

    def step(
        self, cache: dict[str, Tensor], h: Tensor, reading: Tensor, known: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `AbstractRecollection.step`."""
        past, count, following = _with_newest(cache, reading, known, self.lags)
        return self._mean(past, count)[:, :, 0], following

    def _mean(self, past: Tensor, count: Tensor) -> Tensor:
        return (past.sum(3) / count.clamp(min=1)[..., None])[..., None, :]


@final
class Recurrent(AbstractRecollection):
    """A gated recurrent unit (Cho et al., EMNLP 2014) beside the newest reading.

    It runs over the lags that there are, from the oldest on, at each frame anew: a unit that kept
    its state would look back farther than `history` says.
    """

    heads = 2

    def __init__(self, width: int, numbers: int, history: int) -> None:
        super().__init__()
        self.numbers, self.lags = numbers, history - 1
        self.cell = nn.GRUCell(width + 2 * numbers, width)
        self.out = nn.Linear(width, numbers)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h: Tensor, reading: Tensor, first: int) -> Tensor:
        """See `AbstractRecollection.forward`."""
        past, count = lagged(_packed(h, reading), first, self.lags)
        return self._run(past, count, reading * (torch.arange(h.shape[2]) >= first)[:, None].to(h))

    def begin(self, entities: int, batch: int, like: Tensor) -> dict[str, Tensor]:
        """See `AbstractRecollection.begin`."""
        return _empty(entities, batch, self.lags - 1, self.cell.input_size, like)

    def step(
        self, cache: dict[str, Tensor], h: Tensor, reading: Tensor, known: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `AbstractRecollection.step`."""
        past, count, following = _with_newest(cache, _packed(h, reading), known, self.lags)
        shown = reading * known[:, None].to(h)
        return self._run(past, count, shown[:, :, None])[:, :, 0], following

    def _run(self, past: Tensor, count: Tensor, newest: Tensor) -> Tensor:
        entities, batch, frames = past.shape[:3]
        there = count.expand(entities, batch, frames).reshape(-1, 1)
        state = past.new_zeros((len(there), self.cell.hidden_size))
        for lag in range(self.lags - 1, -1, -1):
            after = self.cell(past[:, :, :, lag].reshape(len(there), -1), state)
            state = torch.where(there > lag, after, state)
        made = self.out(state) * (there > 0)
        return torch.stack([newest, made.view(entities, batch, frames, -1)], 3)


def recollection(
    kind: Kind, width: int, numbers: int, history: int, heads: int
) -> AbstractRecollection:
    """Return one by its name."""
    if kind == "attention":
        return Attending(width, numbers, history, heads)
    return Averaging(numbers, history) if kind == "mean" else Recurrent(width, numbers, history)


def _packed(h: Tensor, reading: Tensor) -> Tensor:
    return torch.cat([h, reading, reading * reading], -1)


def lagged(y: Tensor, first: int, lags: int) -> tuple[Tensor, Tensor]:
    """Return what was read in the last intervals at each frame, newest first, and how many.

    Parameters
    ----------
    y : Tensor, shape (E, B, T, ...)
        Known from frame `first` on.
    first, lags : int

    Returns
    -------
    past : Tensor, shape (E, B, T, lags, ...)
        Zero where nothing is known.
    count : Tensor of int, shape (1, T)
    """
    frames = y.shape[2]
    now = torch.arange(frames, device=y.device)
    at = now[:, None] - torch.arange(lags, device=y.device)  # (T, lags)
    known = (at >= first).view(frames, lags, *(1,) * (y.dim() - 3))
    past = torch.where(known, y[:, :, at.clamp(min=0)], torch.zeros((), dtype=y.dtype))
    return past, (now - first + 1).clamp(0, lags)[None]


def _empty(entities: int, batch: int, room: int, numbers: int, like: Tensor) -> dict[str, Tensor]:
    return {
        "past": like.new_zeros((entities, batch, room, numbers)),
        "count": like.new_zeros((batch,)),
    }


def _with_newest(
    cache: dict[str, Tensor], y: Tensor, known: Tensor, lags: int
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return the last intervals (E, B, 1, lags, c), newest first, their number, and the cache."""
    shown = torch.where(known[:, None], y, torch.zeros_like(y))
    every = torch.cat([cache["past"], shown[:, :, None]], 2)
    count = (cache["count"] + known.to(y)).clamp(max=lags)
    following = {"past": every[:, :, 1:], "count": count}
    return every.flip(2)[:, :, None], count[:, None].long(), following
