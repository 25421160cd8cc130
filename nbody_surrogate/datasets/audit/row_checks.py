"""Checks that look at every row of a data set once."""

from __future__ import annotations

from typing import final

import numpy as np

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.datasets.audit.finding import Finding, Level
from nbody_surrogate.datasets.audit.wall_check import WallCheck
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.datasets.velocity_lag import velocities_in_step

__all__ = [
    "RowChecks",
]

MIXING = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
"""Shifts and factors of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""

SHOWN = 3  # trajectories that are named


@final
class RowChecks:
    """Gathers what there is to say of the rows, block by block.

    Parameters
    ----------
    spec : DatasetSpec
    energy_jump : float
        In units of the kinetic energy of the trajectories.

    Attributes
    ----------
    unusable : ndarray, shape (T,)
        Rows that are zero or the same in all trajectories, once all blocks were added.
    """

    def __init__(self, spec: DatasetSpec, energy_jump: float) -> None:
        self.spec, self._limit = spec, energy_jump
        self.system = spec.make_system().ideal()
        size, rows = spec.trajectories, spec.rows
        self._spans = np.zeros(size)  # of energies
        self._kinetic = np.full(size, np.nan)  # means over the rows
        self.walls = WallCheck(spec)
        self._hashes = np.zeros((size, rows), np.uint64)
        self._nan: list[tuple[int, int]] = []
        self._nan_count = 0
        self._zero = np.zeros(rows, np.int64)
        self._first: np.ndarray | None = None
        self._constant = np.ones(rows, bool)
        self._frozen: list[tuple[int, int]] = []
        self._frozen_count = 0

    @property
    def unusable(self) -> np.ndarray:
        """Rows that say nothing, shape (T,)."""
        several = self.spec.trajectories > 1
        return np.asarray((self._zero == self.spec.trajectories) | (self._constant & several))

    def add(self, first: int, block: TrajectoryBlock) -> None:
        """Take in a block, whose first trajectory has number `first`."""
        x, v = block.x, block.v
        finite = np.isfinite(x).all((2, 3)) & np.isfinite(v).all((2, 3))
        for values in block.hidden.values():
            finite &= np.isfinite(values).all(tuple(range(2, values.ndim)))
        self._nan_count += int((~finite).sum())
        self._nan += _places(~finite, first, SHOWN - len(self._nan))
        zero = (x == 0).all((2, 3)) & (v == 0).all((2, 3))
        self._zero += zero.sum(0)
        if self._first is None:
            self._first = np.concatenate([x[0], v[0]], axis=2)
        self._constant &= (np.concatenate([x, v], axis=3) == self._first).all((0, 2, 3))
        frozen = np.zeros(finite.shape, bool)
        frozen[:, 1:] = (x[:, 1:] == x[:, :-1]).all((2, 3)) & ~zero[:, 1:]
        self._frozen_count += int(frozen.sum())
        self._frozen += _places(frozen, first, SHOWN - len(self._frozen))
        usable = finite & ~zero
        self._hashes[first : first + len(x)] = np.where(usable, _hashes(block), 0)
        self._take_energies(first, block, usable)
        self.walls.add(block)

    @property
    def kinetic_energy(self) -> float:
        """Of a trajectory: the median of the means over its rows, for a scale of energies."""
        known = self._kinetic[np.isfinite(self._kinetic)]
        return float(np.median(known)) if known.size else 0.0

    @property
    def jumps(self) -> np.ndarray:
        """Whether the energy of a trajectory jumps, shape (B,); NaN energies do not."""
        return np.asarray(self._spans > self._limit * self.kinetic_energy)

    def _take_energies(self, first: int, block: TrajectoryBlock, usable: np.ndarray) -> None:
        """Gather how far the energies of trajectories change, and their kinetic energies."""
        task = self.spec.task
        if "energy" not in self.system.conserved:
            return
        rows = range(self.spec.rows) if task is None else (task.input, task.target)
        energies = np.full((len(block.x), len(rows)), np.nan)
        kinetic = np.full_like(energies, np.nan)
        for k, row in enumerate(rows):
            good = np.flatnonzero(usable[:, row])
            if good.size:
                energies[good, k] = self._energy(block, good, row)
                masses = block.particles.masses[good]
                kinetic[good, k] = 0.5 * (masses * (block.v[good, row] ** 2).sum(2)).sum(1)
        here = slice(first, first + len(block.x))
        self._spans[here] = np.fmax.reduce(energies, axis=1) - np.fmin.reduce(energies, axis=1)
        known = np.isfinite(kinetic)
        with np.errstate(invalid="ignore"):  # trajectories without any
            self._kinetic[here] = np.where(known, kinetic, 0.0).sum(1) / known.sum(1)

    def _energy(self, block: TrajectoryBlock, some: np.ndarray, row: int) -> np.ndarray:
        x, v = block.x[some, row], block.v[some, row]
        particles = block.particles[some]
        v = velocities_in_step(self.system, self.spec.velocity_lag, x, v, particles)
        return self.system.invariants(x, v, particles).energy

    def findings(self) -> list[Finding]:
        """Say what was found; call it after the last block."""
        return [
            self._nan_finding(),
            self._zero_finding(),
            self._constant_finding(),
            self._frozen_finding(),
            *self._repeats(),
            self._energy_finding(),
            *self.walls.findings(),
        ]

    def _nan_finding(self) -> Finding:
        if not self._nan_count:
            return Finding("NaN", "ok", "none", {"rows": 0})
        text = (
            f"{counted(self._nan_count, 'row')} with NaN or infinity, such as {_named(self._nan)}"
        )
        return Finding("NaN", "wrong", text, {"rows": self._nan_count})

    def _zero_finding(self) -> Finding:
        size, spec = self.spec.trajectories, self.spec
        count = int(self._zero.sum())
        numbers = {"rows": np.flatnonzero(self._zero).tolist(), "count": count}
        if not self._zero.any():
            return Finding("zero rows", "ok", "none", numbers)
        everywhere = np.flatnonzero(self._zero == size).tolist()
        text = f"{counted(count, 'row')} of all particles exactly zero"
        if everywhere:
            text = f"row {everywhere[0]} is exactly zero in all {size} trajectories"
            if spec.task is not None and spec.task.target in everywhere:
                text += ". It is the target: a model that answers 0 has no error"
        return Finding("zero rows", "wrong", text, numbers)

    def _constant_finding(self) -> Finding:
        same = self._constant & (self._zero < self.spec.trajectories)
        rows = np.flatnonzero(same).tolist() if self.spec.trajectories > 1 else []
        if not rows:
            return Finding("constant rows", "ok", "none", {"rows": []})
        text = f"row {rows[0]} is the same in all trajectories"
        if len(rows) > 1:
            text = f"{len(rows)} rows, from row {rows[0]} on, are the same in all trajectories"
        return Finding("constant rows", "wrong", text, {"rows": rows})

    def _frozen_finding(self) -> Finding:
        numbers = {"rows": self._frozen_count}
        if not self._frozen_count:
            return Finding("frozen rows", "ok", "none", numbers)
        text = f"{counted(self._frozen_count, 'row')} the same as the row before, such as "
        text += _named(self._frozen)
        return Finding("frozen rows", "wrong", text, numbers)

    def _repeats(self) -> list[Finding]:
        """Find trajectories with a row in common, whatever the order of the particles."""
        self._hashes[:, self.unusable] = 0
        order = np.argsort(self._hashes, axis=None, kind="stable")
        flat = self._hashes.ravel()[order]
        same = (flat[1:] == flat[:-1]) & (flat[1:] != 0)
        several = np.append(same, False) | np.append(False, same)
        flat, owner = flat[several], order[several] // self.spec.rows
        # Each is paired with the first and the last of its kind: if there is one in another
        # split, so is one of these, since splits are in the order of their trajectories.
        first = owner[np.searchsorted(flat, flat, side="left")]
        last = owner[np.searchsorted(flat, flat, side="right") - 1]
        both = np.concatenate([np.stack([first, owner], 1), np.stack([owner, last], 1)])
        pairs = np.unique(both[both[:, 0] != both[:, 1]], axis=0)
        ends = np.array([part.stop for part in self.spec.ranges.values()])
        split = np.searchsorted(ends, pairs, side="right")
        across = split[:, 0] != split[:, 1]
        return [
            _pair_finding("duplicates", "share a row with another one", pairs),
            _pair_finding("leakage", "share a row with one of another split", pairs[across]),
        ]

    def _energy_finding(self) -> Finding:
        if "energy" not in self.system.conserved:
            return Finding("energy", "ok", "not conserved by this system, not looked at", {})
        jumps, scale = self.jumps, self.kinetic_energy
        share = float(jumps.mean())
        task = self.spec.task
        where = "over the rows" if task is None else f"from row {task.input} to {task.target}"
        text = f"changes by more than {self._limit:g} of the kinetic energy, {scale:.3g}, {where} "
        text += f"in {share:.2%} of trajectories"
        numbers = {"share": share, "limit": self._limit, "kinetic_energy": scale,
                   "trajectories": int(jumps.sum())}  # fmt: skip
        return Finding("energy", "doubtful" if share > 0 else "ok", text, numbers)


def _hashes(block: TrajectoryBlock) -> np.ndarray:
    """Hash the rows to (B, T), whatever the order of particles."""
    particle = np.zeros(block.x.shape[:3], np.uint64)
    for values in (block.x, block.v):
        bits = np.ascontiguousarray(values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
        # Each coordinate is mixed in by a bijection: what differs in one bit differs in half of
        # them afterwards. Sums over particles do not depend on their order.
        for d in range(bits.shape[3]):
            particle ^= bits[..., d]
            for shift, factor in MIXING:
                particle ^= particle >> np.uint64(shift)
                particle *= np.uint64(factor)
    return np.asarray(particle.sum(2, dtype=np.uint64))


def _places(where: np.ndarray, first: int, most: int) -> list[tuple[int, int]]:
    """Return the first few trajectories and rows where something holds."""
    found = np.argwhere(where)[: max(most, 0)]
    return [(first + int(b), int(row)) for b, row in found]


def _named(places: list[tuple[int, int]]) -> str:
    return ", ".join(f"trajectory {i} row {row}" for i, row in places)


def _pair_finding(check: str, what: str, pairs: np.ndarray) -> Finding:
    level: Level = "wrong" if len(pairs) else "ok"
    count = len(np.unique(pairs))
    text = "none"
    if len(pairs):
        named = ", ".join(f"{a} and {b}" for a, b in pairs[:SHOWN].tolist())
        text = f"{counted(count, 'trajectory')} {what}, such as {named}"
    return Finding(check, level, text, {"trajectories": count, "pairs": pairs[:100].tolist()})
