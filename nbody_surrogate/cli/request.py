"""What `nbody-sim run` was asked for: the options, and the problem that they pose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.file_options import PER_PARTICLE
from nbody_surrogate.cli.options import option
from nbody_surrogate.cli.parameters import parameters_of
from nbody_surrogate.cli.physics import DEFAULT_PARTICLES, PARTICLES, PHYSICS
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.contracts.state import Particles, State
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = [
    "InitialValueProblem",
    "Request",
    "not_none",
    "system_of",
]


SUPPLEMENTS = ("charges", "masses", "velocities", "couplings", "radii", "group")
"""What the file of a start may lack, and an option gives."""


@dataclass(frozen=True)
class Request:
    """The options of `nbody-sim run`, as given."""

    system: str = option(
        "--system",
        group="System and start",
        default="charged",
        show_default=True,
        help=PHYSICS,
    )
    parameter: tuple[str, ...] = option(
        "-p",
        "--parameter",
        multiple=True,
        metavar="KEY=VALUE",
        help="Parameter of the system, such as softening=0.2; may be repeated.",
    )
    # no default here and below, to tell apart what was asked for: beside `--initial` it is refused
    particles: int | None = option(
        "-n",
        "--particles",
        type=int,
        help=PARTICLES,
    )
    trajectories: int | None = option(
        "--trajectories", type=int, help="Starts, run as one batch.  [default: 1]"
    )
    seed: int | None = option("--seed", type=int, help="Seed of the sampler.  [default: 0]")
    initial: Path | None = option(
        "--initial",
        type=click.Path(path_type=Path),
        help="Start from a file: .npz with x, v, charges, masses, or a frame of a run: .h5, "
        ".extxyz, .gsd, .csv, .data (LAMMPS), ...",
    )
    initial_frame: int | None = option(
        "--initial-frame", type=int, help="Frame of that run; -1 is the last.  [default: 0]"
    )
    charges: str | None = option(
        "--charges", metavar="VALUES", help=f"Where that file has none: {PER_PARTICLE}."
    )
    masses: str | None = option("--masses", metavar="VALUES", help="As --charges.")
    velocities: str | None = option(
        "--velocities", metavar="HOW", help="Where it has none: zero, differences, or a file."
    )
    couplings: str | None = option(
        "--couplings", metavar="VALUE", help="Where it has none: of all pairs, or a file."
    )
    radii: str | None = option(
        "--radii", metavar="VALUES", help="As --charges; or none, to leave out those of the file."
    )
    group: str | None = option("--group", help="Of an H5MD file with several: the particles group.")
    duration: float = option(
        "--duration", type=float, default=5.0, show_default=True, help="Time units."
    )
    frame_dt: float | None = option(
        "--frame-dt", type=float, help="Between frames.  [default: the system's]"
    )
    softening: float | None = option(
        "--softening", type=float, help="Plummer length.  [default: the system's]"
    )
    integrator: str = option(
        "--integrator",
        group="Method and reference",
        default="dop853",
        help="Solver, surrogate, or trained model by its name or folder. NAME:NUMBER gives a "
        "solver its sub-steps or tolerance, NAME@APPROXIMATION cheaper forces of the system.  "
        "[default: dop853, or baoab for a system with kicks at random]",
    )
    reference: str | None = option(
        "--reference",
        help="The ground truth.  [default: dop853, or dop853-compiled for more than one start; "
        "baoab with kicks at random]",
    )
    no_reference: bool = option("--no-reference", is_flag=True, help="Run without ground truth.")
    verify: bool = option(
        "--verify", is_flag=True, help="Estimate the error of the ground truth itself."
    )
    rtol: float | None = option(
        "--rtol", type=float, help="Of the integrator, an adaptive one: relative tolerance."
    )
    atol: float | None = option(
        "--atol", type=float, help="Of the integrator, an adaptive one: absolute tolerance."
    )
    substeps: int | None = option(
        "--substeps", type=int, help="Of the integrator, a fixed-step one: steps per frame."
    )
    step: float | None = option("--step", type=float, help="Its step size, in place of --substeps.")
    form: str | None = option(
        "--form", help="Of leapfrog: dkd or kdk, of drifts and kicks.  [default: dkd]"
    )
    order: int | None = option("--order", type=int, help="Of exact-flow: 2, 4 or 6.  [default: 2]")
    eta: float | None = option(
        "--eta", type=float, help="Of one with block steps: errors go as its square."
    )
    norm: str | None = option(
        "--norm",
        help="Of an adaptive one: error of a step, of the worst particle or rms over all.  "
        "[default: particle]",
    )
    max_step: float | None = option(
        "--max-step", type=float, help="Of an adaptive one: longest step.  [default: no bound]"
    )
    integrator_option: tuple[str, ...] = option(
        "--integrator-option",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other option of the integrator, such as slices=8 and coarse=set of parareal; may "
        "be repeated.",
    )
    reference_rtol: float | None = option(
        "--reference-rtol", type=float, help="Of the reference, as --rtol."
    )
    reference_atol: float | None = option(
        "--reference-atol", type=float, help="Of the reference, as --atol."
    )
    reference_norm: str | None = option("--reference-norm", help="Of the reference, as --norm.")
    reference_max_step: float | None = option(
        "--reference-max-step", type=float, help="Of the reference, as --max-step."
    )
    reference_substeps: int | None = option(
        "--reference-substeps", type=int, help="Of the reference, as --substeps."
    )
    reference_step: float | None = option(
        "--reference-step", type=float, help="Of the reference, as --step."
    )
    reference_form: str | None = option("--reference-form", help="Of the reference, as --form.")
    reference_order: int | None = option(
        "--reference-order", type=int, help="Of the reference, as --order."
    )
    reference_eta: float | None = option(
        "--reference-eta", type=float, help="Of the reference, as --eta."
    )
    device: str = option(
        "--device",
        group="Machine and model",
        default="auto",
        show_default=True,
        help="auto, cpu, cuda or mps.",
    )
    dtype: str | None = option(
        "--dtype", help="Of a surrogate: float32 or float64.  [default: its weights']"
    )
    threads: int | None = option(
        "--threads", type=int, help="Of the CPU.  [default: as many as pay]"
    )
    weights: str | None = option(
        "--weights", help="Shipped ones by name, or the folder of a trained model or its training."
    )
    engine: str | None = option(
        "--engine",
        metavar="NAME",
        help="Of a surrogate's steps: fused (its own compiled code, on the CPU), torch, or "
        "inductor (torch.compile, a minute or less once).  [default: fused where there is, else "
        "torch]",
    )
    compiled: bool = option(
        "--compile", is_flag=True, help="The earlier name of --engine inductor."
    )
    outside: str = option(
        "--outside",
        metavar="POLICY",
        default="warn",
        show_default=True,
        help="Where a surrogate is outside of what it was trained for: warn, refuse, or fallback "
        "on the reference.",
    )
    guard: str | None = option(
        "--guard",
        group="Guard",
        help="What becomes of a segment that goes wrong: warn, stop, or fallback on the reference.",
    )
    threshold: tuple[str, ...] = option(
        "--threshold",
        multiple=True,
        metavar="KEY=VALUE",
        help="Of the guard, such as energy=0.005; others: momentum, angular_momentum, position, "
        "estimate, local, closest, fastest, most, longest. May be repeated.",
    )
    spot_checks: float | None = option(
        "--spot-checks",
        type=float,
        metavar="SHARE",
        help="Share of the frames that the guard recomputes.  [default: 0.02]",
    )
    no_error_estimate: bool = option(
        "--no-error-estimate",
        group="Error of a surrogate",
        is_flag=True,
        help="Do not estimate it while the run goes on.",
    )
    tolerance: float | None = option(
        "--tolerance",
        type=float,
        help="Estimated error of one frame beyond which the reference makes it, a position RMSE.",
    )
    checkpoint: Path | None = option(
        "--checkpoint",
        group="Files and output",
        type=click.Path(path_type=Path),
        help="Restart file, replaced at each segment's end; nbody-sim resume goes on from it.",
    )
    output: Path | None = option(
        "-o", "--output", type=click.Path(path_type=Path), help="H5MD file.  [default: in runs/]"
    )
    overwrite: bool = option("--overwrite", is_flag=True, help="Replace existing files.")
    render: Path | None = option(
        "--render",
        type=click.Path(path_type=Path),
        help="Picture (.png), movie (.mp4, .gif) or page.",
    )
    report: Path | None = option(
        "--report", type=click.Path(path_type=Path), help="A page (.html): numbers, curves, 3D."
    )
    as_json: bool = option("--json", is_flag=True, help="Print the table as one JSON object.")
    quiet: bool = option("-q", "--quiet", is_flag=True, help="Print errors only.")

    @property
    def silent(self) -> bool:
        """Whether a terminal is to show no progress."""
        return self.quiet or self.as_json

    @property
    def keeps_frames(self) -> bool:
        """Whether frames stay in memory: of two runs that are compared all are looked at."""
        return self.verify or not self.no_reference


@dataclass(frozen=True)
class InitialValueProblem:
    """What is to be simulated, whatever the method."""

    system: AbstractSystem
    state: State
    particles: Particles
    frames: int

    @classmethod
    def of(cls, request: Request) -> InitialValueProblem:
        """Build the system and the start.

        Raises
        ------
        InputError
            If an option is wrong.
        FileFormatError
            If the file of the start is damaged.
        """
        from nbody_surrogate.contracts.segment import frame_count

        system = system_of(request)
        frames = frame_count(request.duration, system.spec.frame_dt)
        state, particles = _start(request, system)
        if request.keeps_frames:
            from nbody_surrogate.simulation.recorder import demand_frames_memory

            instead = "use a shorter `duration`, fewer of them at a time, or `--no-reference`"
            demand_frames_memory(state, frames, 1, instead)  # before the first look at all forces
        return cls(system, state, particles, frames)

    @property
    def dt(self) -> float:
        """Time between frames."""
        return self.system.spec.frame_dt


def not_none(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {key: value for key, value in options.items() if value is not None}


def system_of(request: Request) -> AbstractSystem:
    """Build the system.

    Raises
    ------
    InputError
        If its name or a parameter is wrong.
    """
    from nbody_surrogate.registry.registry import make_system

    settled = not_none(frame_dt=request.frame_dt, softening=request.softening)
    return make_system(request.system, **parameters_of(request.parameter, settled))


def _start(request: Request, system: AbstractSystem) -> tuple[State, Particles]:
    seed = request.seed or 0
    if seed < 0:
        raise InputError(f"`seed` must be at least 0, got {seed}")
    if request.initial is None:
        of_a_file = {name: getattr(request, name) for name in ("initial_frame", *SUPPLEMENTS)}
        for name in not_none(**of_a_file):
            raise InputError(f"`{name}` goes with `initial` only; name the file")
    if request.initial is None:
        usual = system.usual_particles or DEFAULT_PARTICLES
        n = usual if request.particles is None else request.particles
        trajectories = 1 if request.trajectories is None else request.trajectories
        return system.sample(seed, n, trajectories)
    settled = not_none(
        particles=request.particles, trajectories=request.trajectories, seed=request.seed
    )
    for name, value in settled.items():
        raise InputError(f"`{name}` {value} does not go with `initial`, which settles it")
    from nbody_surrogate.formats.foreign.supplements import Supplements
    from nbody_surrogate.formats.initial import read_initial

    added = Supplements(**{name: getattr(request, name) for name in SUPPLEMENTS})
    found = read_initial(request.initial, frame=request.initial_frame or 0, supplements=added)
    if found[1].couplings is None and _draws_couplings(system):
        raise InputError(
            f"`couplings` is needed: {str(request.initial)!r} holds none, and {system.name} has "
            "one for each pair; give a number for all pairs, or a file that has them"
        )
    _refuse_wrong_radii(request, system, found[1])
    return found


def _refuse_wrong_radii(request: Request, system: AbstractSystem, particles: Particles) -> None:
    """Refuse a file that lacks the radii that a system needs, or has some of no use to it."""
    if system.needs_radii and particles.radii is None:
        raise InputError(
            f"`radii` is needed: {str(request.initial)!r} holds none, and {system.name} has one "
            f"for each particle; give {PER_PARTICLE}"
        )
    if not system.needs_radii and particles.radii is not None:
        where, out = f"in {str(request.initial)!r}", "them out by `--radii none`"
        if request.radii is not None:
            where, out = "given", "the option out"
        raise InputError(
            f"`radii` are {where}, and forces of system {system.name} do not depend on any; leave "
            f"{out}"
        )


def _draws_couplings(system: AbstractSystem) -> bool:
    """Whether the particles of a system have couplings."""
    try:
        return system.sample(0, system.fixed_particles or 2)[1].couplings is not None
    except InputError:  # it has no start of two particles, or none at all
        return False
