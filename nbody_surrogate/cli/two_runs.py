"""The work of `nbody-sim run` and `nbody-sim resume`: two runs, a picture and a report."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.cli.files import Files
from nbody_surrogate.cli.interruption import interruptible
from nbody_surrogate.cli.json_output import print_json
from nbody_surrogate.cli.progress import progress_bar, sign, with_frames_bar
from nbody_surrogate.cli.request import InitialValueProblem, Request
from nbody_surrogate.errors import RunError

if TYPE_CHECKING:
    from nbody_surrogate.comparison.comparison import Comparison
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.results.guard_report import GuardReport
    from nbody_surrogate.results.trajectory import Ensemble
    from nbody_surrogate.simulation.checkpoint import Checkpoint
    from nbody_surrogate.simulation.guard.options import Guard
    from nbody_surrogate.simulation.guard.outside import Outside
    from nbody_surrogate.simulation.observers import Progress

__all__ = ["Stage", "TwoRuns"]

Stage = Literal["method", "reference"]


@dataclass(frozen=True)
class TwoRuns:
    """A method and its reference from one start: what was asked for, and the files it goes to."""

    request: Request
    files: Files

    def simulate(
        self,
        problem: InitialValueProblem,
        method: AbstractIntegrator,
        stage: Stage,
        *,
        guard: Guard | None = None,
        outside: str | Outside = "warn",
        verify: bool = False,
        after: Ensemble | None = None,
    ) -> Ensemble:
        """Run one of the two methods from its start; `after` is the run of the other one."""
        from nbody_surrogate.simulation.file_writer import Output
        from nbody_surrogate.simulation.observers import WarmUp
        from nbody_surrogate.simulation.simulate import simulate

        checkpoint = self._checkpoint(stage, after)
        output = Output(self._output(stage), self.request.overwrite, checkpoint)
        with ExitStack() as stack:
            return simulate(
                problem.system,
                problem.state,
                problem.particles,
                problem.frames,
                method,
                guard=guard,
                outside=outside,
                verify=verify,
                error_estimate=False if self.request.no_error_estimate else None,
                tolerance=self.request.tolerance if stage == "method" else None,
                output=output,
                keep=self.request.keeps_frames,
                observers=[WarmUp(), self._progress(stack, method, problem.frames, stage)],
            )

    def resume(
        self, method: AbstractIntegrator, frames: int, stage: Stage, allow_inexact: bool
    ) -> Ensemble:
        """Go on with one of the two runs."""
        from nbody_surrogate.simulation.observers import WarmUp
        from nbody_surrogate.simulation.resume import resume

        checkpoint = self.request.checkpoint
        assert checkpoint is not None
        with ExitStack() as stack:
            return resume(
                checkpoint,
                method,
                allow_inexact=allow_inexact,
                output=self._output(stage),
                overwrite=self.request.overwrite,
                keep=self.request.keeps_frames,
                observers=[WarmUp(), self._progress(stack, method, frames, stage)],
            )

    def output(self, stage: Stage) -> Path:
        """Return the H5MD file of one of the two runs."""
        return Path(self._output(stage))

    def _output(self, stage: Stage) -> os.PathLike[str]:
        if stage == "method":
            return self.files.output
        assert self.files.reference is not None
        return self.files.reference

    def _progress(
        self, stack: ExitStack, method: AbstractIntegrator, frames: int, stage: Stage
    ) -> Progress:
        """Show a bar, and end soon where the user says so."""
        part = repr(f"{os.fspath(self._output(stage))}.part")
        if self.request.checkpoint is None:
            hint = f"frames of finished segments stay readable in {part}"
        else:
            hint = f"go on with nbody-sim resume {self._how()}"
        # before the bar, which is then gone from the terminal when the hint is written
        stack.enter_context(interruptible(hint))
        bar = progress_bar(method.name, frames, hidden=self.request.silent)
        return stack.enter_context(bar)

    def _how(self) -> str:
        """Say what `resume` has to be told: places outside of the restart file's folder, too."""
        from nbody_surrogate.simulation.run_output import is_below

        checkpoint = self.request.checkpoint
        assert checkpoint is not None
        named = (
            ("--output", self.files.output),
            ("--render", self.files.picture),
            ("--report", self.files.report),
        )
        words = [str(checkpoint)]
        for option, path in named:
            if path is not None and not is_below(Path(path), checkpoint.absolute().parent):
                words += [option, os.fspath(path)]
        return shlex.join(words)

    def _checkpoint(self, stage: Stage, after: Ensemble | None) -> Checkpoint | None:
        """Note in the restart file what the rest of the job needs."""
        if self.request.checkpoint is None:
            return None
        from nbody_surrogate.simulation.checkpoint import Checkpoint

        files = {
            each.name: None if path is None else str(Path(path).absolute())
            for each in fields(self.files)
            if each.name != "checkpoint"  # it may be moved
            for path in [getattr(self.files, each.name)]
        }
        # absolute, since `resume` may be called from another folder
        plain = {
            key: str(value.absolute()) if isinstance(value, Path) else value
            for key, value in asdict(self.request).items()
        }
        note: dict[str, Any] = {"stage": stage, "request": plain, "files": files}
        if after is not None:
            note["method_run"] = after.info.identifier
        path = self.files.checkpoint or self.request.checkpoint
        mine = self.request.overwrite or stage == "reference"  # the file is there by then
        return Checkpoint(path, note, mine)

    def conclude(self, runs: list[Ensemble]) -> None:
        """Draw the picture, write the page, print the table and tell failures.

        Raises
        ------
        RunError
            If a trajectory failed.
        """
        request = self.request
        if request.render is not None:
            pair = [each[0] for each in runs]
            truth = pair[1] if len(pair) > 1 else None
            with_frames_bar(hidden=request.silent)(
                pair[0],
                self.files.picture or request.render,
                reference=truth,
                overwrite=request.overwrite,
            )
        if request.report is not None:
            from nbody_surrogate.viz.html.report import write_report

            against = runs[1] if len(runs) > 1 else None
            command = command_line(("overwrite", "as_json", "quiet"))
            page = self.files.report or request.report
            with sign("writing the report", hidden=request.silent):
                write_report(runs[0], against, page, command=command, overwrite=request.overwrite)
        _report(request, runs, self.files)
        # last: it ends the command, and all that there is should be seen by then
        _tell_failures(runs)


def _tell_failures(runs: list[Ensemble]) -> None:
    failed = [line for each in runs for line in each.info.failures(each.info.label)]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise RunError(failed[0] + more)


def _report(request: Request, runs: list[Ensemble], files: Files) -> None:
    comparison: Comparison | None = None
    if len(runs) > 1:
        with sign("comparing", hidden=request.silent):
            from nbody_surrogate.comparison.comparison import compare

            comparison = compare(runs[1], runs[0])
    if request.as_json:
        print_json("run", _as_dict(runs, comparison, files.written), indent=2)
    elif not request.quiet:
        from nbody_surrogate.cli.table import print_report

        print_report(runs, comparison, files.written)


def _guard_as_dict(report: GuardReport) -> dict[str, Any]:
    return {**report.to_dict(), "share": report.fallback_share}


def _drifts(run: Ensemble) -> dict[str, float | None]:
    from nbody_surrogate.results.bootstrap import finite_or_none
    from nbody_surrogate.results.metrics import median_drifts

    return {key: finite_or_none(value) for key, value in median_drifts(run).items()}


def _as_dict(
    runs: list[Ensemble], comparison: Comparison | None, written: list[Path]
) -> dict[str, Any]:
    from nbody_surrogate.results.estimate_note import estimate_as_dict
    from nbody_surrogate.results.label_error import label_errors, system_errors

    info, errors, of_system = runs[0].info, label_errors(runs[-1]), system_errors(runs[-1])
    return {
        "system": info.system,
        "particles": runs[0].particles.n,
        "trajectories": len(runs[0]),
        "seed": info.seed,
        "frames": len(runs[0].t) - 1,
        "methods": [run.info.method for run in runs],
        "status": [list(run.info.status) for run in runs],
        "message": [list(run.info.message) for run in runs],
        "comparison": None if comparison is None else comparison.to_dict(),
        "guard": None if info.guard is None else _guard_as_dict(info.guard),
        "domain": None if info.domain is None else info.domain.to_dict(),
        "drift": None if comparison is not None else _drifts(runs[0]),
        "valid_frames": [run.valid_frames.tolist() for run in runs],
        "label_error": None if errors is None else errors.to_dict(),
        "system_error": None if of_system is None else of_system.to_dict(),
        "error_estimate": estimate_as_dict(runs[0]),
        "tolerance": None if info.tolerance is None else asdict(info.tolerance),
        "parareal": None if info.parareal is None else info.parareal.to_dict(),
        "threads": [run.info.threads for run in runs],
        "wall_time": [run.info.wall_time for run in runs],
        "files": [str(path) for path in written],
    }
