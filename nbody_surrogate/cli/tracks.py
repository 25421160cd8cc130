"""`nbody-sim tracks`: read measured tracks and say what they are; make some of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.options import options_of
from nbody_surrogate.cli.terminal import wide_option
from nbody_surrogate.cli.track_options import TrackOptions
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.tracks.summary import TrackSummary
    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["tracks"]

OBSERVING = {"noise": 0.0, "every": 1, "missing": 0.0, "seed": 0}
"""Options of a run that is measured, and what they are where they are not given."""


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@options_of(TrackOptions)
@click.option(
    "--noise", type=float, help="Of a run of ours: standard deviation of positions.  [default: 0]"
)
@click.option("--every", type=int, help="Of it: take every so many frames.  [default: 1]")
@click.option(
    "--missing", type=float, help="Of it: share of positions that are not seen.  [default: 0]"
)
@click.option("--seed", type=int, help="Of noise and gaps.  [default: 0]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write what was read to a .csv, .parquet or .npz.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table.")
@wide_option
def tracks(
    files: tuple[Path, ...],
    output: Path | None,
    overwrite: bool,
    as_json: bool,
    wide: bool,
    **options: Any,
) -> None:
    """Read the tracks in FILES, and say what was taken for what.

    FILES are CSV or Parquet as trackpy writes them, H5MD, extended XYZ or .npz. With --noise,
    --every or --missing they are runs of ours, whose positions are measured so. --output writes
    what was read.
    """
    given = TrackOptions.taken(options)
    given.check(files)
    _check(options, files, output, overwrite)
    found = _found(files, given, options)
    if output is not None:
        from nbody_surrogate.tracks.writing import write_tracks

        write_tracks(output, found, overwrite=overwrite)
    from nbody_surrogate.tracks.summary import summarise

    summaries = [summarise(each) for each in found]
    written = [] if output is None else [output]
    if as_json:
        from nbody_surrogate.cli.json_output import print_json

        content = {"runs": [each.to_dict() for each in summaries], "files": list(map(str, written))}
        print_json("tracks", content)
        return
    from nbody_surrogate.cli.table import print_table

    print_table(_table(summaries), written, wide=wide)


def _check(
    options: dict[str, Any], files: Sequence[Path], output: Path | None, overwrite: bool
) -> None:
    """Check what needs no file, before anything heavy is imported."""
    for name, least in (("every", 1), ("seed", 0)):
        value = options[name]
        if value is not None and value < least:
            raise InputError(f"`{name}` must be at least {least}, got {value}")
    noise, missing = options["noise"], options["missing"]
    if noise is not None and not (math.isfinite(noise) and noise >= 0):
        raise InputError(f"`noise` must be finite and >= 0, got {noise}")
    if missing is not None and not 0 <= missing < 1:
        raise InputError(f"`missing` must be at least 0 and below 1, got {missing}")
    if output is not None:
        from nbody_surrogate.files.output_path import check_not_read, check_output_file

        check_not_read([("files", each) for each in files], [("output", output)])
        check_output_file(output, "output", (".csv", ".parquet", ".npz"), overwrite)


def _found(files: Sequence[Path], given: TrackOptions, options: dict[str, Any]) -> list[Tracks]:
    """Read the tracks, or measure runs where that is asked for."""
    asked = {name: value for name, value in options.items() if value is not None}
    if not asked:
        return given.read(files)
    for name, value in vars(given).items():
        if value:
            raise InputError(
                f"`{name}` goes with tracks that are read, `{next(iter(asked))}` with a run of "
                "ours that is measured; write it by --output first"
            )
    from nbody_surrogate.formats.h5md import read_h5md
    from nbody_surrogate.formats.opening import is_foreign
    from nbody_surrogate.tracks.observe import observe

    measured = OBSERVING | asked
    seed = measured.pop("seed")
    found: list[Tracks] = []
    for file in files:
        if is_foreign(file):
            raise InputError(
                f"`{next(iter(asked))}` goes with runs of ours (.h5), {str(file)!r} is none"
            )
        # each trajectory has noise of its own
        found += [
            observe(run, **measured, seed=seed + len(found) + k)
            for k, run in enumerate(read_h5md(file))
        ]
    return found


def _table(summaries: Sequence[TrackSummary]) -> TextTable:
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.contracts.wording import counted

    first = summaries[0]
    lengths = first.length_unit or "the file's unit"
    heads = ("", "frames", "every", "particles", "missing", "spacing", "noise", "swaps", "jumps")
    return TextTable(
        f"{counted(len(summaries), 'run')} of tracks in {first.dimensions} dimensions, lengths in "
        f"{lengths}, times in {first.time_unit or 'its own'}",
        heads,
        tuple(_row(each) for each in summaries),
        notes=tuple(line for each in summaries for line in each.reading),
    )


def _row(summary: TrackSummary) -> tuple[str, ...]:
    from nbody_surrogate.contracts.time_text import number_text
    from nbody_surrogate.contracts.wording import figure_text

    noise = math.sqrt(sum(each * each for each in summary.noise) / len(summary.noise))
    bound = "at most " * (summary.noise_is_bound and math.isfinite(noise))
    mended = " mended" * any(each.mended for each in summary.swaps)
    return (
        summary.file if summary.run is None else f"{summary.file}, run {summary.run}",
        str(summary.frames),
        number_text(summary.frame_dt),
        str(summary.particles),
        f"{100 * summary.missing:.2g} %",
        figure_text(summary.spacing),
        f"{bound}{figure_text(noise)}",
        f"{len(summary.swaps)}{mended}",
        str(len(summary.jumps)),
    )
