"""`nbody-sim run`: roll out one method, and hold it against the ground truth."""

from __future__ import annotations

import glob
import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.progress import progress_bar
from nbody_surrogate.errors import InputError, NBodyWarning, RunError

if TYPE_CHECKING:
    from nbody_surrogate.comparison import Comparison
    from nbody_surrogate.integrator import AbstractIntegrator
    from nbody_surrogate.state import Particles, State
    from nbody_surrogate.system import AbstractSystem
    from nbody_surrogate.trajectory import Ensemble

__all__ = ["run"]

DEFAULT_PARTICLES = 30
TIGHTER = 100.0  # tolerance of the reference when a solver is held against itself
FINER = 4  # sub-steps, likewise
WHOLE_FRAMES = 1e-6
MOST_FRAMES = 1e9


@dataclass(frozen=True)
class Request:
    """The options of `nbody-sim run`, as given."""

    system: str
    particles: int | None
    trajectories: int | None
    seed: int | None
    initial: Path | None
    initial_frame: int | None
    duration: float
    frame_dt: float
    softening: float | None
    integrator: str
    reference: str
    no_reference: bool
    rtol: float | None
    atol: float | None
    substeps: int | None
    device: str
    dtype: str | None
    threads: int
    weights: Path | None
    output: Path | None
    overwrite: bool
    render: Path | None
    as_json: bool
    quiet: bool


@click.command()
@click.option("--system", default="charged", show_default=True, help="Physics to simulate.")
@click.option("-n", "--particles", type=int, help=f"Particles.  [default: {DEFAULT_PARTICLES}]")
@click.option("--trajectories", type=int, help="Starts, run as one batch.  [default: 1]")
@click.option("--seed", type=int, help="Seed of the sampler.  [default: 0]")
@click.option(
    "--initial",
    type=click.Path(path_type=Path),
    help="Start from a file: .npz with x, v, charges, masses, or a frame of an .h5 run.",
)
@click.option("--initial-frame", type=int, help="Frame of that run.  [default: 0]")
@click.option("--duration", type=float, default=5.0, show_default=True, help="Time units.")
@click.option("--frame-dt", type=float, default=0.1, show_default=True, help="Between frames.")
@click.option("--softening", type=float, help="Plummer length.  [default: the system's]")
@click.option("--integrator", default="dop853", show_default=True, help="Solver or surrogate.")
@click.option("--reference", default="dop853", show_default=True, help="The ground truth.")
@click.option("--no-reference", is_flag=True, help="Run without ground truth.")
@click.option("--rtol", type=float, help="Relative tolerance of adaptive solvers.")
@click.option("--atol", type=float, help="Absolute tolerance of adaptive solvers.")
@click.option("--substeps", type=int, help="Steps per frame of fixed-step methods.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--dtype", help="Of a surrogate: float32 or float64.  [default: its weights']")
@click.option(
    "--threads", type=int, default=1, show_default=True, help="More pay for large batches."
)
@click.option("--weights", type=click.Path(path_type=Path), help="Folder of a trained model.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="H5MD file.  [default: in runs/]"
)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option(
    "--render", type=click.Path(path_type=Path), help="Picture (.png) or movie (.mp4, .gif)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.version_option(package_name="nbody-surrogate", prog_name="nbody-sim")
def run(**options: Any) -> None:
    """Roll out a solver or a surrogate and compare it with the ground truth.

    Without further options: a seeded sample of the preset, 5 time units, the ground truth for
    the same start, one table, and two H5MD files in `runs/`.
    """
    request = Request(**options)
    if request.quiet:
        warnings.simplefilter("ignore", NBodyWarning)
    integrator, reference = _integrators(request)
    system = _system(request)
    frames = _frames(request)
    state, particles = _start(request, system)
    files = _Files.of(request)
    runs = []
    for method, output in ((integrator, files.output), (reference, files.reference)):
        if method is not None:
            runs.append(_simulate(request, system, state, particles, frames, method, output))
    if request.render is not None:
        from nbody_surrogate.rendering import render

        pair = [each[0] for each in runs]
        truth = pair[1] if len(pair) > 1 else None
        render(pair[0], request.render, reference=truth, overwrite=request.overwrite)
    _report(request, runs, files)
    _tell_failures(runs)


def _tell_failures(runs: list[Ensemble]) -> None:
    failed = [
        f"{each.info.label}, trajectory {b} stopped: {why}"
        for each in runs
        for b, why in enumerate(each.info.message)
        if why
    ]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise RunError(failed[0] + more)


@dataclass(frozen=True)
class _Files:
    """Where things are written; checked before anything is computed."""

    output: Path
    reference: Path
    picture: Path | None

    @classmethod
    def of(cls, request: Request) -> _Files:
        from nbody_surrogate.h5md import check_output_path

        if request.output is None:
            output = _free_name(request)
        else:
            output = request.output
            check_output_path(output, request.overwrite)
        reference = output.with_suffix(".reference.h5")
        if not request.no_reference:
            check_output_path(reference, request.overwrite)
        if request.render is not None:
            from nbody_surrogate.rendering import check_picture_path

            check_picture_path(request.render, request.overwrite)
        return cls(output, reference, request.render)

    def written(self, request: Request) -> list[Path]:
        paths = [self.output, None if request.no_reference else self.reference, self.picture]
        return [path for path in paths if path is not None]


def _free_name(request: Request) -> Path:
    """Name a run after what it is, in `runs/`, without touching an earlier one."""
    folder = Path("runs")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"`output` is needed: 'runs' cannot be made: {error.strerror}") from None
    start = (
        f"n{request.particles or DEFAULT_PARTICLES}-seed{request.seed or 0}"
        if request.initial is None
        else request.initial.stem[:40]
    )
    base = f"{request.system}-{request.integrator}-{start}".replace(":", "-").replace("/", "-")
    number, path = 1, folder / f"{base}.h5"
    while any(folder.glob(f"{glob.escape(path.stem)}.*")):
        number += 1
        path = folder / f"{base}-{number}.h5"
    return path


def _system(request: Request) -> AbstractSystem:
    from nbody_surrogate.registry import make_system

    parameters: dict[str, Any] = {"frame_dt": request.frame_dt}
    if request.softening is not None:
        parameters["softening"] = request.softening
    return make_system(request.system, **parameters)


def _start(request: Request, system: AbstractSystem) -> tuple[State, Particles]:
    seed = request.seed or 0
    if seed < 0:
        raise InputError(f"`seed` must be at least 0, got {seed}")
    if request.initial is None and request.initial_frame is not None:
        raise InputError("`initial_frame` goes with `initial` only; name the file")
    if request.initial is None:
        n = DEFAULT_PARTICLES if request.particles is None else request.particles
        trajectories = 1 if request.trajectories is None else request.trajectories
        return system.sample(seed, n, trajectories)
    settled = _given(
        particles=request.particles, trajectories=request.trajectories, seed=request.seed
    )
    for name, value in settled.items():
        raise InputError(f"`{name}` {value} does not go with `initial`, which settles it")
    from nbody_surrogate.initial import read_initial

    return read_initial(request.initial, frame=request.initial_frame or 0)


def _frames(request: Request) -> int:
    duration, dt = request.duration, request.frame_dt
    if not (math.isfinite(duration) and duration > 0):
        raise InputError(f"`duration` must be finite and > 0, got {duration}")
    if not duration / dt <= MOST_FRAMES:
        raise InputError(
            f"`duration` must be at most {MOST_FRAMES:g} frames of {dt:g}, got {duration:g}"
        )
    frames = round(duration / dt)
    if frames < 1 or abs(duration / dt - frames) > WHOLE_FRAMES * frames:
        near = max(frames, 1) * dt
        raise InputError(
            f"`duration` must be a whole number of frames of {dt:g}, got {duration:g}; use {near:g}"
        )
    return frames


def _integrators(request: Request) -> tuple[AbstractIntegrator, AbstractIntegrator | None]:
    """Build the method and its reference, each with the options that apply to it."""
    from nbody_surrogate.registry import integrator_options, make_integrator

    known = integrator_options(request.integrator)
    for_truth: frozenset[str] = frozenset()
    if not request.no_reference:
        for_truth = integrator_options(request.reference, "reference")
    tolerances = _given(rtol=request.rtol, atol=request.atol)
    weights = None if request.weights is None else str(request.weights)
    special = _given(substeps=request.substeps, dtype=request.dtype, weights=weights)
    for key in (tolerances.keys() - known - for_truth) | (special.keys() - known):
        raise InputError(f"`{key}` does not apply to integrator {request.integrator!r}")
    options = special | {key: value for key, value in tolerances.items() if key in known}
    method = make_integrator(request.integrator, **options, **_torch_options(request))
    if request.no_reference:
        return method, None
    if request.reference == request.integrator:
        return method, make_integrator(request.reference, **_sharper(method))
    truth = {key: value for key, value in tolerances.items() if key in for_truth}
    return method, make_integrator(request.reference, **truth)


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _torch_options(request: Request) -> dict[str, str]:
    """Check device and threads, without importing torch for a solver on the default device."""
    from nbody_surrogate.registry import is_surrogate

    if request.threads < 1:
        raise InputError(f"`threads` must be at least 1, got {request.threads}")
    if is_surrogate(request.integrator):
        import torch

        torch.set_num_threads(request.threads)
        return {"device": request.device}
    if request.device != "auto":
        from nbody_surrogate.device import resolve_device

        resolve_device(request.device)
    return {}


def _sharper(method: AbstractIntegrator) -> dict[str, Any]:
    """Options for the same method at higher accuracy, to be held against itself."""
    options = method.options.model_dump()
    if "rtol" in options:
        return {key: max(options[key] / TIGHTER, 1e-13) for key in ("rtol", "atol")}
    if "substeps" in options:
        return {"substeps": options["substeps"] * FINER}
    raise InputError(f"`reference` must differ from integrator {method.name!r}; use dop853")


def _simulate(
    request: Request,
    system: AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    method: AbstractIntegrator,
    output: Path,
) -> Ensemble:
    from nbody_surrogate.simulation import simulate

    with progress_bar(method.name, frames, hidden=request.quiet) as progress:
        return simulate(
            system,
            state,
            particles,
            frames,
            method,
            dt=request.frame_dt,
            seed=None if request.initial is not None else request.seed or 0,
            progress=progress,
            output=output,
            overwrite=request.overwrite,
            warm_up=True,
        )


def _report(request: Request, runs: list[Ensemble], files: _Files) -> None:
    from nbody_surrogate.comparison import compare

    comparison: Comparison | None = compare(runs[1], runs[0]) if len(runs) > 1 else None
    if request.as_json:
        click.echo(json.dumps(_as_dict(runs, comparison, files.written(request)), indent=2))
    elif not request.quiet:
        from nbody_surrogate.cli.table import print_report

        print_report(runs, comparison, files.written(request))


def _as_dict(
    runs: list[Ensemble], comparison: Comparison | None, written: list[Path]
) -> dict[str, Any]:
    from nbody_surrogate.metrics import summary

    info = runs[0].info
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
        "drift": None if comparison is not None else summary(runs[0]),
        "wall_time": [run.info.wall_time for run in runs],
        "files": [str(path) for path in written],
    }
