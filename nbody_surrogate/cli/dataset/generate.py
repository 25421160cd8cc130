"""`nbody-sim dataset generate`: make a data set, or what is missing of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.interruption import interruptible
from nbody_surrogate.cli.parameters import parameters_of
from nbody_surrogate.cli.progress import progress_bar
from nbody_surrogate.cli.request import not_none
from nbody_surrogate.errors import InputError, NBodyWarning, warn

if TYPE_CHECKING:
    from nbody_surrogate.datasets import DatasetSpec

__all__ = ["generate"]

CHANGES = ("trajectories", "particles", "frames", "horizon", "seed", "integrator", "shard")


@click.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option("--preset", help="A data set by name, in place of SPEC or as what it changes.")
@click.option("--trajectories", type=int, help="How many, over all splits.")
@click.option("-n", "--particles", type=int, help="Of each trajectory.")
@click.option("--frames", type=int, help="Number of the last frame; the start is frame 0.")
@click.option("--horizon", type=int, help="Frames to the target, of presets with a window.")
@click.option("--seed", type=int, help="Of all starts.")
@click.option("--integrator", help="Solver that makes the trajectories.")
@click.option(
    "-p",
    "--parameter",
    multiple=True,
    metavar="KEY=VALUE",
    help="Parameter of the system, such as softening=0.2; may be repeated.",
)
@click.option("--shard", type=int, help="Trajectories of a file.  [default: about 16 MiB]")
@click.option("--workers", type=int, default=1, show_default=True, help="Trajectories at a time.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder.  [default: in data/]"
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def generate(
    spec: Path | None,
    preset: str | None,
    parameter: tuple[str, ...],
    workers: int,
    output: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Make the data set of SPEC, a TOML file, or of a preset.

    The folder gets a manifest and shards of HDF5. A run that was ended, by whatever, goes on
    with the same command; finished shards are kept. Trajectory i is the same bits whatever the
    number of workers and the size of the shards.
    """
    from nbody_surrogate.datasets import generate_dataset
    from nbody_surrogate.integrators.approximation_text import split_approximation
    from nbody_surrogate.registry.lookup import demand_name

    if options["integrator"] is not None:
        name, _ = split_approximation(options["integrator"])
        demand_name(("integrators", "surrogates"), name, "integrator")
    if quiet:
        warnings.simplefilter("ignore", NBodyWarning)
    changes = not_none(preset=preset, **{key: options[key] for key in CHANGES})
    if parameter:
        changes["parameters"] = parameters_of(parameter)
    resolved = _resolved(spec, changes)
    if resolved.has_zero_target:
        warn(_zero_target(resolved))
    folder = output or _folder(spec, preset, resolved)
    kept = interruptible("finished shards are kept, the same command goes on from there")
    with kept, progress_bar("trajectories", resolved.trajectories, hidden=quiet) as progress:
        made = generate_dataset(resolved, folder, workers=workers, progress=progress)
    if not quiet:
        from nbody_surrogate.cli.dataset.info import print_info

        print_info(made)


def _resolved(file: Path | None, changes: dict[str, Any]) -> DatasetSpec:
    from nbody_surrogate.datasets.spec import preset_names, read_spec, resolve

    if file is not None:
        return read_spec(file, **changes)
    if "preset" not in changes:
        raise InputError(
            f"`spec` or `preset` is needed: a TOML file, or one of {', '.join(preset_names())}"
        )
    return resolve(changes)


def _zero_target(spec: DatasetSpec) -> str:
    assert spec.task is not None
    return (
        f"the target, row {spec.task.target}, is left zero in all trajectories, as the released "
        "program leaves it: a model that answers 0 has no error. It is for showing just that; "
        "for all else use the preset set-paper"
    )


def _folder(file: Path | None, preset: str | None, spec: DatasetSpec) -> Path:
    """Name a folder after what it holds; a run that was ended finds it again."""
    name = file.stem if file is not None else preset
    horizon = "" if spec.window is None else f"-h{spec.window.horizon}"
    # `dist:name` is a name of a preset, and none of a file on Windows
    return Path("data") / f"{name}-n{spec.particles}{horizon}-seed{spec.seed}".replace(":", "-")
