"""`nbody-sim bench`: error over cost for many methods, and who wins where."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.bound import bound_option, check_factor
from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.cli.files import free_base, write_text
from nbody_surrogate.cli.foresight import check_hardware
from nbody_surrogate.cli.json_output import json_text
from nbody_surrogate.cli.method_options import check_shared
from nbody_surrogate.cli.parameters import parameters_of
from nbody_surrogate.cli.physics import PARTICLES, PHYSICS, usual_particles
from nbody_surrogate.cli.progress import compiling_shown, progress_bar, sign
from nbody_surrogate.cli.terminal import echo, wide_option
from nbody_surrogate.errors import InputError, NBodyWarning, RunError
from nbody_surrogate.registry.law_folder import file_name

if TYPE_CHECKING:
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.evaluation.work_precision.benchmark import Benchmark
    from nbody_surrogate.evaluation.work_precision.classical_front import Standing
    from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision
    from nbody_surrogate.evaluation.work_precision.verdict import Duel
    from nbody_surrogate.integrators.method_text import Contender

__all__ = ["bench"]

AS_SCRIPTS = ("dop853+numpy", "rk45+numpy")  # how solvers are fed where nothing is compiled
SILENT = ("output", "overwrite", "as_json", "quiet", "wide")
FRONT = "* on the front: nothing is both faster and more accurate."
SUFFIXES = (".csv", ".json", ".png", ".svg")


@click.command()
@click.option("--system", default="charged", show_default=True, help=PHYSICS)
@click.option("-p", "--parameter", multiple=True, metavar="KEY=VALUE", help="Of the system.")
@click.option("-n", "--particles", type=int, help=PARTICLES)
@click.option("--trajectories", type=int, default=16, show_default=True, help="Starts.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sampler.")
@click.option("--horizon", type=float, multiple=True, help="Time units.  [default: 1 2 5]")
@click.option("--batch", type=int, multiple=True, help="Starts at a time.  [default: 1 16]")
@click.option(
    "--integrators",
    help="Comma list; NAME alone is taken over its tolerances, sub-steps or eta, NAME:NUMBER at "
    "one.  [default: all solvers, as far as it pays, and the models that ship]",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or auto.")
@click.option("--threads", type=int, default=1, show_default=True, help="Of every method.")
@click.option("--seconds", type=float, default=0.5, show_default=True, help="Timing of each point.")
@click.option("--clock", default="wall", show_default=True, help="wall, or processor time.")
@bound_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Files, without extension.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table.")
@wide_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def bench(**options: Any) -> None:
    """Measure work and precision: the error of each method over what it costs.

    All methods run the same seeded starts; the truth is DOP853 at 1e-13. Times exclude set-up,
    compilation and warm-up, and are taken in turn on the same starts. `dop853+numpy` is SciPy's
    solver with the force in plain NumPy; without `+numpy` the force is compiled. `set+inductor`
    is SET with its step compiled by torch, `set+torch` as torch has it. Without `--integrators` a
    solver's settings end where another is as accurate in a thirtieth of the time, or where its
    errors are those of the truth, or of the approximate forces that it moves by. A table, sentences
    that say who wins where, one by one and many at once, how far each model is from the best
    classical method at its error, and a CSV, JSON, PNG and SVG file in `runs/`.
    """
    import warnings

    warnings.simplefilter("ignore", NBodyWarning)  # of the range of models; the error is measured
    if options["particles"] is None:
        options["particles"] = usual_particles(options["system"])
    _check(options)
    base = _base(options)
    hidden = options["quiet"] or options["as_json"]
    with sign("loading the methods", hidden=hidden):
        from nbody_surrogate.evaluation.work_precision.measure import measure

        benchmark = _benchmark(options)
        contenders = _contenders(benchmark, options)
    bar = progress_bar("bench", len(contenders), hidden=hidden)
    with compiling_shown(hidden=hidden), bar as progress:
        found = measure(
            contenders,
            benchmark,
            seconds=options["seconds"],
            threads=options["threads"],
            clock=options["clock"],
            all_settings=options["integrators"] is not None,
            progress=progress,
        )
    _refuse_without_truth(found)
    with sign("drawing the figures", hidden=hidden):
        said, text = _write(found, base, options)
    if options["as_json"]:
        echo(text, nl=False)
    elif not options["quiet"]:
        from nbody_surrogate.cli.table import print_table

        files = [base.with_name(base.name + suffix) for suffix in SUFFIXES]
        print_table(_table(found, said), files, wide=options["wide"])


def _refuse_without_truth(found: WorkPrecision) -> None:
    if not any(math.isfinite(point.error.high) for point in found.points):
        raise RunError(
            "no method has an error that is a number, as where forces overflow; use other "
            "parameters of the system"
        )
    for horizon, error in found.reference_errors.items():
        if not math.isfinite(error):
            raise RunError(
                f"the truth, {found.reference}, is no truth at t = {horizon:g}: it differs from "
                f"itself ten times looser by {error}; use a shorter `horizon` or other parameters"
            )


def _check(options: dict[str, Any]) -> None:
    """Check what needs no system, before anything is computed."""
    from nbody_surrogate.evaluation.work_precision.clocks import check_clock

    check_factor(options["bound"])
    check_hardware(options["device"], None, options["threads"])
    for name in ("particles", "trajectories"):
        if options[name] < 1:
            raise InputError(f"`{name}` must be at least 1, got {options[name]}")
    check_clock(options["clock"], options["threads"])
    for batch in options["batch"]:
        if batch < 1:
            raise InputError(f"`batch` must be at least 1, got {batch}")
    for name, values in (("horizon", options["horizon"]), ("seconds", [options["seconds"]])):
        for value in values:
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"`{name}` must be finite and > 0, got {value}")
    if options["integrators"] is not None:
        _check_methods(options)


def _check_methods(options: dict[str, Any]) -> None:
    """Refuse methods that there are not, and hardware that none of them uses."""
    from nbody_surrogate.integrators.method_text import check_names, check_text, split_methods

    texts = split_methods(options["integrators"])
    check_names(texts)
    found = [check_text(text) for text in texts]
    check_shared(options["device"], options["threads"], found)


def _base(options: dict[str, Any]) -> Path:
    """Choose the name of the files, and check that they can be written."""
    name = f"bench-{file_name(options['system'])}-n{options['particles']}"
    return free_base(options["output"], name, SUFFIXES, options["overwrite"])


def _benchmark(options: dict[str, Any]) -> Benchmark:
    from nbody_surrogate.evaluation.work_precision.benchmark import Benchmark, check_horizons
    from nbody_surrogate.registry.registry import make_system

    system = make_system(options["system"], **parameters_of(options["parameter"]))
    horizons = tuple(sorted(set(options["horizon"] or (1.0, 2.0, 5.0))))
    check_horizons(horizons, system.spec.frame_dt)
    batches = tuple(sorted(set(options["batch"] or (1, min(16, options["trajectories"])))))
    # a batch is made of as many starts
    starts = max(options["trajectories"], *batches)
    state, particles = system.sample(options["seed"], options["particles"], starts)
    return Benchmark(system, state, particles, horizons, batches)


def _contenders(benchmark: Benchmark, options: dict[str, Any]) -> list[Contender]:
    """Make the methods; those that were asked for must fit, the default ones may not."""
    import torch

    from nbody_surrogate.contracts.device import resolve_device
    from nbody_surrogate.evaluation.work_precision.benchmark import segment_for
    from nbody_surrogate.integrators.known_methods import (
        approximated_names,
        classical_names,
        learned_names,
    )
    from nbody_surrogate.integrators.method_text import contender, split_methods, sweep

    torch.set_num_threads(options["threads"])
    device = str(resolve_device(options["device"]))
    asked = options["integrators"] is not None
    if asked:
        names = split_methods(options["integrators"])
    else:
        solvers = [*approximated_names(benchmark.system), *classical_names()]
        names = [*solvers, *AS_SCRIPTS, *learned_names()]
    made = []
    # leapfrog and leapfrog:4 together name one of its points twice
    for text in dict.fromkeys(point for name in names for point in sweep(name)):
        try:
            each = contender(
                text,
                segment=segment_for(benchmark.frames),
                threads=options["threads"],
                device=device,
            )
            system = benchmark.system_for(each)
            # one start will do: whether a method fits depends on the system
            each.method.check(system, *benchmark.some(0, 1), benchmark.dt)
        except InputError:
            if asked:
                raise
            continue
        made.append(each)
    return made


def _write(found: WorkPrecision, base: Path, options: dict[str, Any]) -> tuple[list[str], str]:
    """Write the files; return the sentences, and the JSON."""
    from nbody_surrogate.evaluation.work_precision.classical_front import standings
    from nbody_surrogate.evaluation.work_precision.verdict import (
        best_sentences,
        busy,
        duels,
        few_starts,
        fronts,
        sentences,
        standing_sentences,
    )
    from nbody_surrogate.files.figure import save
    from nbody_surrogate.viz.figures.work_precision import draw_work_precision

    stands, held = standings(found), duels(found, options["bound"])
    said, front = sentences(held, stands), fronts(found)
    said += standing_sentences(stands)
    if not stands:
        said += best_sentences(found)
    said += few_starts(held)
    said += [warning] if (warning := busy(found)) else []
    text = json_text("bench", _as_dict(found, said, front, held, stands))
    write_text(base.with_name(base.name + ".csv"), _as_csv(found.points), options["overwrite"])
    write_text(base.with_name(base.name + ".json"), text, options["overwrite"])
    figure = draw_work_precision(found)
    for suffix in (".png", ".svg"):
        save(figure, base.with_name(base.name + suffix), options["overwrite"])
    return said, text


def _as_dict(
    found: WorkPrecision,
    said: list[str],
    front: list[str],
    held: list[Duel],
    stands: list[Standing],
) -> dict[str, Any]:
    return {
        "command": command_line(SILENT),
        "conditions": found.conditions,
        "reference": found.reference,
        "reference_errors": {f"{k:g}": v for k, v in found.reference_errors.items()},
        "sentences": said,
        "fronts": front,
        "pairs": [each.to_dict() for each in held],
        "standings": [each.to_dict() for each in stands],
        "points": [point.to_dict() for point in found.points],
    }


def _as_csv(points: list[Point]) -> str:
    rows = []
    for point in points:
        row = point.to_dict()
        error = row.pop("error")
        rows.append(
            row | {"rmse": error["value"], "rmse_low": error["low"], "rmse_high": error["high"]}
        )
    stream = io.StringIO()
    # the module would end lines as in DOS
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _title(found: WorkPrecision) -> str:
    from nbody_surrogate.contracts.wording import counted, range_text

    c = found.conditions
    span = range_text(c["duration"], c["duration"], "time unit")
    errors = (f"{v:.0e} at t = {k:g}" for k, v in found.reference_errors.items())
    return (
        f"{c['system']['system']}, {counted(c['particles'], 'particle')}, "
        f"{counted(c['trajectories'], 'start')} of {span}; "
        f"{counted(c['threads'], 'thread')} of {c['processor']}{found.elsewhere()}, "
        f"{c['clock']} time\n"
        f"position RMSE, medians of starts with 95 % intervals; truth: {found.reference}, "
        f"its own error at most {', '.join(errors)}"
    )


def _table(found: WorkPrecision, said: list[str]) -> TextTable:
    """Show each method's cost by batch and its error by horizon; a * marks the front."""
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.contracts.time_text import number_text
    from nbody_surrogate.contracts.wording import figure_text, rate_text

    horizons = list(dict.fromkeys(horizon for horizon, _ in found.groups))
    batches = list(dict.fromkeys(batch for _, batch in found.groups))
    heads = [f"ms per time\nunit, B = {batch}" for batch in batches]
    heads += [f"RMSE at t = {number_text(horizon)}" for horizon in horizons]
    points = {(p.label, p.horizon, p.batch): p for p in found.points}
    rows = []
    for label in dict.fromkeys(point.label for point in found.points):
        costs = [points[label, horizons[-1], batch] for batch in batches]
        errors = [points[label, horizon, batches[0]] for horizon in horizons]
        spent, failed = costs[0].evaluations, costs[0].failures
        cells = [
            *(figure_text(p.milliseconds) for p in costs),
            *(f"{p.error}{' *' if p.on_front else '  '}" for p in errors),
            "" if spent is None else rate_text(spent),
            str(failed or ""),
        ]
        rows.append((label, *cells))
    columns = ("", *heads, "evaluations", "failed")
    starred = any(point.on_front for point in found.points)
    notes = (*([FRONT] if starred else []), *said)
    return TextTable(_title(found), columns, tuple(rows), notes).filled()
