"""`SET`'s frames by compiled code, under the contract of `AbstractFusedSteps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from nbody_set.domain import FADE
from nbody_set.fused.arguments import INTEGERS, OF_TRAJECTORY, REALS
from nbody_set.fused.compiled import advance
from nbody_set.fused.layout import Layout, layout_of
from nbody_set.fused.pairs import TILE
from nbody_set.fused.weights import RATES, numbers_of, weights_of
from nbody_surrogate.contracts import AbstractFusedSteps, FieldLaw, InputError, Particles
from nbody_surrogate.layers.fused import field_address, over_trajectories

if TYPE_CHECKING:
    from nbody_set.model import SET

__all__ = ["FusedSET"]


@final
class FusedSET(AbstractFusedSteps):
    """Frames of a model whose weights stay as they are.

    Parameters
    ----------
    model : SET
        In float32 or float64.
    particles : Particles, shape (B, N)
    field : FieldLaw or None
    """

    def __init__(self, model: SET, particles: Particles, field: FieldLaw | None) -> None:
        self._weights = weights_of(model)
        self._sizes, reals = numbers_of(model)
        self._dtype = self._weights.plain.dtype
        self._numbers = np.array([reals[name] for name in REALS])
        self._charges = np.ascontiguousarray(particles.charges, self._dtype)
        self._masses = np.ascontiguousarray(particles.masses, self._dtype)
        self._field = field_address(field)
        known: dict[bytes, Layout] = {}
        self._layouts = []
        for charges, masses in zip(self._charges, self._masses, strict=True):
            key = charges.tobytes() + masses.tobytes()
            if key not in known:
                known[key] = layout_of(charges, masses, self._weights, self._sizes["basis"])
            self._layouts.append(known[key])
        self._rows = np.array([_row(each) for each in self._layouts], np.int64)
        trusted = [_trusted(model, each) for each in self._layouts]
        self._open = np.array(trusted, self._dtype)

    def advance(
        self,
        cache: dict[str, np.ndarray],
        x: np.ndarray,
        v: np.ndarray,
        frames_x: np.ndarray,
        frames_v: np.ndarray,
        threads: int,
    ) -> dict[str, np.ndarray]:
        """See `AbstractFusedSteps.advance`."""
        # addresses are handed on, and nobody checks an index there
        if x.shape[:2] != self._charges.shape or frames_x.shape[::3] != x.shape[::2]:
            raise InputError(
                f"`x` must be of {self._charges.shape} particles and `frames_x` likewise, got "
                f"shapes {x.shape} and {frames_x.shape}"
            )
        made = [np.empty(frames_x.shape) for _ in range(2)]
        batch, frames, n, dimensions = frames_x.shape
        past = np.array(cache["past"], self._dtype, order="C")
        filled = np.array(cache["filled"], np.int64, order="C")
        shared = {
            **self._weights._asdict(),
            "numbers": self._numbers,
            "charges_of": self._charges,
            "masses_of": self._masses,
            "open_of": self._open,
            "trajectories": self._rows,
            "past_of": past,
            "filled_of": filled,
            "x_of": np.ascontiguousarray(x, np.float64),
            "v_of": np.ascontiguousarray(v, np.float64),
            "frames_x": made[0],
            "frames_v": made[1],
        }
        sizes = {
            **self._sizes,
            "n": n,
            "rows": -(-(n + 1) // 4) * 4,
            "frames": frames,
            "dimensions": dimensions,
            "batch": batch,
            "field": self._field,
        }

        def work(begin: int, end: int) -> None:
            held = shared | self._room(sizes)
            table = [sizes[name] if name in sizes else held[name].ctypes.data for name in INTEGERS]
            advance(self._numbers.astype(self._dtype), np.array(table, np.int64), begin, end)

        over_trajectories(work, batch, threads)
        frames_x[:], frames_v[:] = made
        return {"past": past, "filled": filled}

    def _room(self, sizes: dict[str, int]) -> dict[str, np.ndarray]:
        """Return what a thread works on."""
        n, padded, inputs = sizes["n"], sizes["padded"], sizes["basis"] + RATES
        pairs = max((len(each.first) for each in self._layouts), default=0) + TILE
        rows, particles = sizes["rows"] * padded, 4 * (n + 1)
        lengths = {
            **dict.fromkeys(("r", "w", "a"), 4 * pairs),
            **dict.fromkeys(("acceleration", "dx", "dv", "kicks", "v_here"), particles),
            **dict.fromkeys(("s", "c", "envelope", "correction"), TILE),
            **dict.fromkeys(("h", "nodes", "received", "other"), rows),
            **dict.fromkeys(("query", "key", "value", "mixed"), rows),
            **dict.fromkeys(("gate_kicks", "gate_crowds", "gate_tides", "gate_bindings"), pairs),
            "strength": pairs,
            "tile": (2 * inputs + 4) * TILE,
            "hidden": 4 * padded,
            "scores": sizes["history"] + 8,
            "past": n * (sizes["history"] - 1) * 2 * sizes["width"],
            "sums": 3 * (n + 1),
        }
        room = {name: np.zeros(length, self._dtype) for name, length in lengths.items()}
        wide = {"x": particles, "v": particles, "given": 8, "made": 4}
        return room | {name: np.zeros(length) for name, length in wide.items()}


def _row(layout: Layout) -> list[int]:
    """Return a trajectory's row of the table."""
    values = {
        **{name: getattr(layout, name).ctypes.data for name in ("first", "second", "group")},
        "layer": layout.layer.ctypes.data,
        "pairs": len(layout.first),
        "inputs": layout.inputs,
        "doubled": int(layout.doubled),
        "layers_size": layout.layers_size,
        "pair_charges": layout.charges.ctypes.data,
        "pair_inverse": layout.inverse.ctypes.data,
    }
    return [values[name] for name in OF_TRAJECTORY]


def _trusted(model: SET, layout: Layout) -> float:
    """Return the part of the gate that does not change: of charges and masses."""
    domain = model.config.domain
    if domain is None:
        return 1.0
    bounds = (layout.bounds[:2], layout.bounds[2:])
    made = 1.0
    for (low, high), (least, most) in zip(
        (domain.charges, domain.inverse_masses), bounds, strict=True
    ):
        for excess in (1.0 + (low - least) / high, most / high):
            inside = min(max((1.0 + FADE - excess) / FADE, 0.0), 1.0)
            made *= inside * inside * (3.0 - 2.0 * inside)
    return made
