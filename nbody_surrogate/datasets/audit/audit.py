"""What is wrong with a data set, ours or another's: one look at every row, and some solved anew."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.datasets.audit.finding import Finding
from nbody_surrogate.datasets.audit.row_checks import RowChecks
from nbody_surrogate.datasets.audit.solver_check import SolverCheck
from nbody_surrogate.datasets.dataset import AbstractTrajectories, Dataset
from nbody_surrogate.datasets.exchange.nri import NriFiles, has_nri_files
from nbody_surrogate.datasets.verify import verify_dataset
from nbody_surrogate.errors import InputError

__all__ = ["Audit", "Finding", "audit_dataset"]

SAMPLE = 2000
ENERGY_JUMP = 0.05


@dataclass(frozen=True)
class Audit:
    """All findings about a data set, the good ones too; `print` tells them, a line each.

    Attributes
    ----------
    trajectories : int
    findings : tuple of Finding
    """

    trajectories: int
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        lines = [f"{each.check}: {each.level}. {each.text}" for each in self.findings]
        return "\n".join([f"{counted(self.trajectories, 'trajectory')}: {self.level}", *lines])

    def __repr__(self) -> str:
        return f"<Audit: {counted(self.trajectories, 'trajectory')}, {self.level}; print it>"

    @property
    def level(self) -> Literal["ok", "doubtful", "wrong"]:
        """The worst level of all findings."""
        levels = {finding.level for finding in self.findings}
        return "wrong" if "wrong" in levels else "doubtful" if "doubtful" in levels else "ok"

    def __getitem__(self, check: str) -> Finding:
        """Return the finding of a check.

        Raises
        ------
        KeyError
            If there was none of that name.
        """
        found = {finding.check: finding for finding in self.findings}
        if check not in found:
            raise KeyError(f"no check {check!r}; there are: {', '.join(found)}")
        return found[check]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        findings = [
            {"check": f.check, "level": f.level, "text": f.text, "numbers": f.numbers}
            for f in self.findings
        ]
        return {"trajectories": self.trajectories, "level": self.level, "findings": findings}


def audit_dataset(
    trajectories: AbstractTrajectories | str | os.PathLike[str],
    *,
    sample: int = SAMPLE,
    energy_jump: float = ENERGY_JUMP,
    progress: Callable[[float, int], None] | None = None,
) -> Audit:
    """Look for what makes a data set unfit to judge a model by.

    Checks, in this order: the hashes of the shards; NaN; rows that are zero, or the same in all
    trajectories; rows that repeat the row before; trajectories that share a row with another one;
    such ones in different splits; jumps of the energy; walls that reflect particles, which no
    system here has; and, on a sample, the error of a converged solution of the physics from the
    same input rows, which is the least that a model can be expected to score.

    All limits are relative to the data's own scales: verdicts do not depend on units.

    Memory beyond a block of trajectories: some 30 bytes for each row of the data set.

    Parameters
    ----------
    trajectories : Dataset, NriFiles or path_like
        Or the folder of either.
    sample : int
        Trajectories that are solved anew, evenly spread over the test split, or over all where
        there is none.
    energy_jump : float
        Change of a trajectory's energy above which it counts as a jump, as a share of the kinetic
        energy: the median over trajectories of the mean over rows.
    progress : callable, optional
        Called with the trajectories read so far and their number.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        If a number is out of range.
    FileFormatError
        If a file is damaged.
    """
    if sample < 1:
        raise InputError(f"`sample` must be at least 1, got {sample}")
    if not 0 < energy_jump < math.inf:
        raise InputError(f"`energy_jump` must be > 0 and finite, got {energy_jump}")
    if not isinstance(trajectories, AbstractTrajectories):
        folder = demand_path("trajectories", trajectories)
        trajectories = NriFiles(folder) if has_nri_files(folder) else Dataset(folder)
    findings = _hashes(trajectories) if isinstance(trajectories, Dataset) else []
    rows = RowChecks(trajectories.spec, energy_jump)
    done = 0
    for block in trajectories.blocks():
        rows.add(done, block)
        done += len(block.x)
        if progress is not None:
            progress(done, len(trajectories))
    findings += rows.findings()
    findings += SolverCheck(trajectories, rows, sample).findings()
    return Audit(len(trajectories), tuple(findings))


def _hashes(dataset: Dataset) -> list[Finding]:
    found = verify_dataset(dataset, sample=0)
    if found.problems:
        return [Finding("hashes", "wrong", "; ".join(found.problems), {"sound": found.shards})]
    return [Finding("hashes", "ok", _as_recorded(found.shards), {})]


def _as_recorded(shards: int) -> str:
    return "the shard is as recorded" if shards == 1 else f"all {shards} shards are as recorded"
