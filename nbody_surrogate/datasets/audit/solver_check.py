"""Rows held against a converged solution of the physics, from the same inputs."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.capabilities import RANDOM_KICKS
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_versions import finer_text, finer_version
from nbody_surrogate.datasets.audit.finding import Finding, Level
from nbody_surrogate.datasets.audit.row_checks import RowChecks
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import AbstractTrajectories
from nbody_surrogate.datasets.velocity_lag import velocities_in_step
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.results.bootstrap import bootstrap_mean
from nbody_surrogate.results.quantiles import median, quantiles
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["SolverCheck"]

TOLERANCE = 1e-10  # of the solver, relative, far below any error that is reported
SMALL = 64  # trajectories of the checks that need few
STEPS = 8  # pairs of neighbouring rows that are looked at without a task
NUDGE = 1e-2  # of the time between rows, for how a lag of velocities shows
LEAST_LAG = 1e-6  # of the time between rows, that is reported
DOUBTFUL, WRONG = 1e-4, 1e-2
"""Shares of the mean squared displacement. Close encounters make the mean error of sound data, too:
that is doubtful. Where half of all errors are large, it is not the encounters."""

TAKEN = (1e-300, 0.1)
"""Absolute tolerances that solvers take; beyond these the relative one alone decides."""

FAR = 1e100  # distances are told apart up to here, where squares can still be added up


class _Pair(NamedTuple):
    """Rows: what is given, and what follows."""

    input: int
    target: int


@final
class SolverCheck:
    """Solves a sample anew and compares.

    Parameters
    ----------
    trajectories : AbstractTrajectories
    rows : RowChecks
        With all blocks added.
    sample : int
        Trajectories.
    """

    def __init__(self, trajectories: AbstractTrajectories, rows: RowChecks, sample: int) -> None:
        self._trajectories, self._rows, self._spec = trajectories, rows, trajectories.spec
        own = self._spec.make_system()
        self._own, self._ideal = own, own.ideal()
        self.times = self._spec.numbers * own.spec.frame_dt
        has_test = self._spec.splits.get("test", 0) > 0
        self._split = "test" if has_test else None
        part = trajectories.part(self._split)
        count = min(sample, len(part))
        self._numbers = [part.start + k * len(part) // count for k in range(count)]
        self._jumps = rows.jumps[self._numbers]
        self._block = self._sampled(self._numbers)

    def _sampled(self, numbers: list[int]) -> TrajectoryBlock:
        """Read some trajectories; neighbours are read together."""
        size = self._trajectories.block_size
        pieces, begin = [], 0
        while begin < len(numbers):
            first = numbers[begin]
            end = begin
            while end < len(numbers) and numbers[end] < first + size:
                end += 1
            block = self._trajectories.read(first, numbers[end - 1] + 1)
            pieces.append(block.subset(np.array(numbers[begin:end]) - first))
            begin = end
        return TrajectoryBlock.joined(pieces)

    def findings(self) -> list[Finding]:
        """Say how far the rows are from the physics."""
        if RANDOM_KICKS in self._own.needs:
            # those of a run follow from its start, and no row later on tells them
            why = "particles are kicked at random, not looked at"
            return [Finding("converged solver", "ok", why, {})]
        try:
            found = [self._error(), *self._own_error(), *self._finer_error(), *self._lag()]
        except (InputError, PluginError) as error:
            return [Finding("converged solver", "doubtful", f"cannot be run: {error}", {})]
        return found

    def _pairs(self) -> list[_Pair]:
        task, bad = self._spec.task, self._rows.unusable
        if task is not None:
            pairs = [_Pair(task.input, task.target)]
        else:
            last = self._spec.rows - 2
            firsts = np.unique(np.linspace(0, last, min(STEPS, last + 1)).round().astype(int))
            pairs = [_Pair(int(row), int(row) + 1) for row in firsts] if last >= 0 else []
        return [pair for pair in pairs if not bad[list(pair)].any()]

    def _solve(
        self, system: AbstractSystem, pair: _Pair, block: TrajectoryBlock, lag: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the solutions at a pair's target (G, N, D), and which trajectories they are of."""
        x, v = block.x[:, list(pair)], block.v[:, list(pair)]
        good = np.isfinite(x).all((1, 2, 3)) & np.isfinite(v).all((1, 2, 3))
        for values in block.hidden.values():
            rows = values[:, list(pair)]
            good &= np.isfinite(rows).all(tuple(range(1, rows.ndim)))
        good &= ((x[:, 0] != 0) | (v[:, 0] != 0)).any((1, 2))  # nothing follows from a zero row
        where = np.flatnonzero(good)
        if not where.size:
            return np.empty((0, *block.x.shape[2:])), where
        some = block.subset(where)
        x, v = some.x[:, pair.input], some.v[:, pair.input]
        hidden = {key: values[:, pair.input] for key, values in some.hidden.items()}
        v = velocities_in_step(system, lag, x, v, some.particles, hidden)
        name = default_reference(system, len(x))
        # the smaller of the scales of positions and velocities, which have one tolerance for both
        atol = float(np.clip(TOLERANCE * min(_scale(x), _scale(v)), *TAKEN))
        options: dict[str, Any] = {"rtol": TOLERANCE, "atol": atol, "segment": 1}
        dt = float(self.times[pair.target] - self.times[pair.input])
        start, method = State(0.0, x, v, hidden=hidden), make_integrator(name, **options)
        run = simulate(system, start, some.particles, 1, method, dt=dt)
        fine = np.array([status == 0 for status in run.info.status])
        return run.x[fine, 1], where[fine]

    def _squared(self, system: AbstractSystem) -> tuple[np.ndarray, np.ndarray, float]:
        """Mean squared errors of all pairs, whether the energy jumps there, and the scale."""
        errors, jumps, moves = [], [], []
        for pair in self._pairs():
            solved, where = self._solve(system, pair, self._block, self._spec.velocity_lag)
            met = self._rows.walls.reflected(self._block, *pair)[where]
            solved, where = solved[~met], where[~met]
            wanted, given = self._block.x[where, pair.target], self._block.x[where, pair.input]
            errors.append(_mean_square(solved - wanted))
            moves.append(_mean_square(wanted - given))
            jumps.append(self._jumps[where])
        if not errors or not np.concatenate(errors).size:
            return np.empty(0), np.empty(0, bool), 1.0
        scale = float(np.concatenate(moves).mean())
        return np.concatenate(errors), np.concatenate(jumps), scale

    def _error(self) -> Finding:
        errors, jumps, scale = self._squared(self._ideal)
        if not errors.size:
            return Finding("converged solver", "doubtful", "no rows that it can be held against")
        numbers = {**_statistics(errors, jumps), "mean_squared_displacement": scale,
                   "trajectories": len(self._numbers)}  # fmt: skip
        level: Level = "ok"
        if numbers["median"] > WRONG * scale:
            level = "wrong"
        elif numbers["mean"] > DOUBTFUL * scale:
            level = "doubtful"
        task = self._spec.task
        where = "from a row to the next" if task is None else f"row {task.input} to {task.target}"
        text = f"{where}, an exact solution of the physics has {_text(numbers)}"
        if level == "doubtful":
            text += ". A mean error below that says nothing"
        return Finding("converged solver", level, text, numbers)

    def _own_error(self) -> list[Finding]:
        """Say the same of the system's own equations, where they are not the physics."""
        if self._own is self._ideal:
            return []
        errors, jumps, _ = self._squared(self._own)
        if not errors.size:
            return []
        numbers = _statistics(errors, jumps)
        text = f"a converged solution of the altered equations of {self._own.name!r} has "
        return [Finding("own equations", "ok", text + _text(numbers), numbers)]

    def _finer_error(self) -> list[Finding]:
        """Say the same of a finer version of the system, where its own model is truncated."""
        finer = finer_version(self._ideal)
        if finer is None:
            return []
        errors, jumps, scale = self._squared(finer)
        if not errors.size:
            return []
        numbers = {**_statistics(errors, jumps), "mean_squared_displacement": scale}
        # of half of all trajectories, as encounters make the mean of a small difference large
        level: Level = "doubtful" if numbers["median"] > DOUBTFUL * scale else "ok"
        text = f"a converged solution of a finer version of {finer.name!r} "
        text += f"({finer_text(self._ideal, finer)}) has {_text(numbers)}"
        return [Finding("finer system", level, text, numbers)]

    def _lag(self) -> list[Finding]:
        """Estimate how far velocities are behind positions, beyond what the spec says."""
        values, explained = self._lags()
        if values.size < 2:
            return []
        said = self._spec.velocity_lag
        lag = float(np.median(values))
        upper = float(np.quantile(np.abs(values), 0.75))
        numbers = {"further_lag": lag, "said": said}
        # A real lag is the same for all, and makes nearly all of the error. Errors of other kinds
        # scatter, or are alike but of another direction, as those of a method of second order.
        seen = abs(lag) > LEAST_LAG * float(self.times[1] - self.times[0])
        if not (seen and upper < 2 * abs(lag) and np.median(explained) > 0.5):
            return [Finding("velocities", "ok", "in step with positions, as far as said", numbers)]
        text = f"velocities are {lag + said:.2g} time units behind positions"
        text += f", not {said:g}: say so by `velocity_lag`"
        return [Finding("velocities", "doubtful", text, numbers)]

    def _lags(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lags that explain errors best, and which share of an error each explains."""
        pairs = [_Pair(row, row + 1) for row in range(min(self._spec.rows - 1, 2))]
        few, said = self._block.subset(slice(SMALL)), self._spec.velocity_lag
        found = [np.empty((2, 0))]
        for pair in pairs:
            if self._rows.unusable[list(pair)].any():
                continue
            nudge = NUDGE * float(self.times[1] - self.times[0])
            solved, where = self._solve(self._ideal, pair, few, said)
            nudged, also = self._solve(self._ideal, pair, few, said + nudge)
            if len(where) != len(also) or not where.size:
                continue
            # To first order, a lag of tau moves the solution by tau times this slope. Least squares
            # over the coordinates of a trajectory give the tau that explains its error best.
            slope = ((nudged - solved) / nudge).reshape(len(where), -1)
            error = (few.x[where, pair.target] - solved).reshape(len(where), -1)
            with np.errstate(all="ignore"):
                along = (slope * error).sum(1)
                lags = along / (slope**2).sum(1)
                found.append(np.stack([lags, lags * along / (error**2).sum(1)]))
        values, explained = np.concatenate(found, axis=1)
        finite = np.isfinite(values)
        return values[finite], explained[finite]


def _scale(values: np.ndarray) -> float:
    """Return the median size of coordinates that are not zero, or 1 where all are."""
    sizes = np.abs(values[values != 0])
    return float(np.median(sizes)) if sizes.size else 1.0


def _mean_square(distances: np.ndarray) -> np.ndarray:
    return np.asarray((np.clip(distances, -FAR, FAR) ** 2).mean((1, 2)))


def _statistics(errors: np.ndarray, jumps: np.ndarray) -> dict[str, Any]:
    low, high = bootstrap_mean(errors)
    clean = errors[~jumps]
    return {
        "mean": float(errors.mean()),
        "mean_interval": [low, high],
        "median": float(median(errors)),
        "p95": float(quantiles(errors, [0.95])[0]),
        "clean_mean": float(clean.mean()) if clean.size else None,
        "jump_mean": float(errors[jumps].mean()) if jumps.any() else None,
    }


def _text(numbers: dict[str, Any]) -> str:
    low, high = numbers["mean_interval"]
    text = f"a mean MSE of {numbers['mean']:.2g} ({low:.2g}..{high:.2g}), median "
    text += f"{numbers['median']:.1e}, p95 {numbers['p95']:.1e}"
    if numbers["jump_mean"] is not None and numbers["clean_mean"] is not None:
        text += f", {numbers['clean_mean']:.1e} where the energy does not jump"
    return text
