"""`nbody-sim discover`: from measured tracks to a law, and to a system that runs by it."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click import get_current_context

from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.cli.options import options_of
from nbody_surrogate.cli.progress import compiling_shown, sign, stages_bar
from nbody_surrogate.cli.pysr_search import check_search, search_for
from nbody_surrogate.cli.stepper import check_stepper_options, run_line, train_stepper
from nbody_surrogate.cli.terminal import wide_option
from nbody_surrogate.cli.track_options import TrackOptions
from nbody_surrogate.errors import InputError, NBodyError, NBodyWarning, warn
from nbody_surrogate.registry.law_folder import MOST_KNOTS

if TYPE_CHECKING:
    import numpy as np

    from nbody_surrogate.discovery.discover import Discovery
    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["discover"]

SILENT = ("overwrite", "no_report", "as_json", "wide", "quiet")
CHOICES = {"axis": ("z", "none"), "drag": ("each", "shared", "none")}
TAKEN = ("drag", "couplings", "same_particles", "hold_out", "bootstrap", "seed", "knots")
LEAST = {"bootstrap": 20, "seed": 0, "knots": 8}
SHOWN = 600  # frames of tracks in a report without a forecast


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New folder.")
@options_of(TrackOptions)
@click.option(
    "--axis",
    default="z",
    show_default=True,
    help="Along which forces may be neither central nor reciprocal: z, or none.",
)
@click.option(
    "--drag",
    default="each",
    show_default=True,
    help="each: a rate for each particle; shared: one for all; none.",
)
@click.option(
    "--couplings",
    is_flag=True,
    help="Find a strength for each pair, as of springs, in place of charges.",
)
@click.option(
    "--same-particles", is_flag=True, help="In all runs they are the same, in the same order."
)
@click.option(
    "--hold-out",
    type=float,
    default=0.2,
    show_default=True,
    help="Share of the frames, the last of each run, by which the law is judged.",
)
@click.option(
    "--bootstrap",
    type=int,
    default=200,
    show_default=True,
    help="Draws for bands and intervals.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of these draws.")
@click.option(
    "--knots", type=int, default=24, show_default=True, help="Splines of the curve of a pair."
)
@click.option(
    "--pysr",
    "pysr_minutes",
    type=float,
    metavar="MINUTES",
    help="Search for a formula with PySR for so long, if that is installed.",
)
@click.option(
    "--set",
    "set_minutes",
    type=float,
    metavar="MINUTES",
    help="Train a learned stepper for so long, into OUTPUT-set.",
)
@click.option("--set-frame-dt", type=float, help="Its frames.  [default: those of the tracks]")
@click.option("--no-report", is_flag=True, help="Write no page.")
@click.option("--overwrite", is_flag=True, help="Replace a discovery that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table.")
@wide_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def discover(files: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Find the law behind the tracks in FILES, and write it to a folder.

    FILES are CSV or Parquet as trackpy writes them, H5MD, extended XYZ or .npz; several are
    several runs. Pair forces, charges, responses, drag, fields, noise and kicks are found from
    positions alone, with their uncertainty, the symmetries that hold, and a formula where one fits.
    The folder gets `law.json`, `discovery.json` and `report.html`; `--system discovered:FOLDER`
    runs by the law wherever a system is named.
    """
    given = TrackOptions.taken(options)
    given.check(files)
    _check(options)
    check_search(options["pysr_minutes"])
    check_stepper_options(options["set_minutes"], options["set_frame_dt"], output)
    folder = _held(output, options["overwrite"])
    hidden = options["quiet"] or options["as_json"]
    if options["quiet"]:
        warnings.simplefilter("ignore", NBodyWarning)
    with sign("reading the tracks", hidden=hidden):
        runs = given.read(files)
        from nbody_surrogate.discovery.discover import discover as found_in
        from nbody_surrogate.discovery.files import write_folder

        search = search_for(options["pysr_minutes"], options["seed"])
    with compiling_shown(hidden=hidden), stages_bar(hidden=hidden) as progress:
        found = found_in(
            runs,
            axis=None if options["axis"] == "none" else options["axis"],
            command=command_line(SILENT),
            progress=progress,
            search=search,
            **{key: options[key] for key in TAKEN},
        )
    write_folder(folder, found.law, found.discovery, overwrite=options["overwrite"])
    if not options["no_report"]:
        try:
            with sign("writing the report", hidden=hidden):
                _write_report(folder, found, found.tracks)
        except KeyboardInterrupt:
            warn(f"`output` {str(folder)!r} holds all that was found, but no page")
            raise
    model = None
    if options["set_minutes"] is not None:
        wanted = options["set_minutes"], options["seed"], options["set_frame_dt"]
        try:
            model = train_stepper(folder, *wanted, hidden=hidden)
        except NBodyError:
            _tell(folder, options, None)  # what was found is whole, and took its time
            raise
    _tell(folder, options, model)


def _check(options: dict[str, Any]) -> None:
    """Check what needs no file, before anything heavy is imported."""
    for name, known in CHOICES.items():
        if options[name] not in known:
            raise InputError(f"`{name}` must be one of {', '.join(known)}, got {options[name]!r}")
    for name, least in LEAST.items():
        if options[name] < least:
            raise InputError(f"`{name}` must be at least {least}, got {options[name]}")
    if options["knots"] > MOST_KNOTS:
        raise InputError(f"`knots` must be at most {MOST_KNOTS}, got {options['knots']}")
    share = options["hold_out"]
    if not 0 <= share <= 0.5:
        raise InputError(f"`hold_out` must be from 0 to 0.5, got {share}")


def _held(output: Path, overwrite: bool) -> Path:
    """Check where the folder is to be, and hold its name until the command ends."""
    from nbody_surrogate.discovery.place import check_folder
    from nbody_surrogate.errors import one_line
    from nbody_surrogate.files.name_lock import NameLock

    folder = check_folder(output, overwrite)
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"`output` {str(output)!r}: {one_line(error)}") from None
    get_current_context().with_resource(NameLock(folder.absolute()))
    return folder


def _write_report(folder: Path, found: Discovery, runs: Sequence[Tracks]) -> None:
    from nbody_surrogate.viz.discovery.report import write_discovery_report

    write_discovery_report(folder, *_shown(found, runs))


def _shown(found: Discovery, runs: Sequence[Tracks]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return tracks (T, N, D) to draw, and a forecast beside them where there is one."""
    if (seen := found.forecasts) is None:
        longest = max(runs, key=len)  # whose particles are those of the law
        return longest.x[:SHOWN], None
    return runs[seen.run].x[seen.first : seen.first + len(seen.frames)], seen.frames


def _tell(folder: Path, options: dict[str, Any], model: Path | None) -> None:
    """Print what was found, where it is, and what to type next."""
    from nbody_surrogate.discovery.files import FOUND, LAW, REPORT, read_folder

    read = read_folder(folder)
    names = [LAW, FOUND] if options["no_report"] else [LAW, FOUND, REPORT]
    files = [folder / name for name in names]
    if options["as_json"]:
        from nbody_surrogate.cli.json_output import print_json

        content = {"discovery": read.discovery.model_dump(mode="json"), "law": read.law}
        made = {} if model is None else {"stepper": str(model)}
        print_json("discover", {**content, "files": list(map(str, files)), **made})
        return
    if options["quiet"]:
        return
    from nbody_surrogate.cli.table import print_table
    from nbody_surrogate.discovery.summary import summary_table

    system = shlex.quote(f"discovered:{folder}")
    # kicks at random are for one method alone
    rivals = "baoab:4,baoab:8" if read.law["temperature"] else "leapfrog:4,rk4:4"
    steps = (
        f"Run it: nbody-sim run --system {system} --report run.html",
        f"Compare methods: nbody-sim compare --system {system} --integrators {rivals}",
        *([] if model is None else [run_line(folder, model, options["set_frame_dt"])]),
    )
    print_table(summary_table(read.discovery, steps), files, wide=options["wide"])
