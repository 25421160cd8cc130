"""`nbody-sim compare`: runs in files, or methods on the same starts, held against a reference."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.bound import bound_option, check_factor
from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.cli.file_options import FileOptions
from nbody_surrogate.cli.files import free_base, write_text
from nbody_surrogate.cli.foresight import check_hardware, is_absent
from nbody_surrogate.cli.json_output import json_text
from nbody_surrogate.cli.method_options import check_shared
from nbody_surrogate.cli.options import options_of
from nbody_surrogate.cli.outside import check_outside, told_outside
from nbody_surrogate.cli.parameters import parameters_of
from nbody_surrogate.cli.physics import DEFAULT_PARTICLES, usual_particles
from nbody_surrogate.cli.progress import compiling_shown, progress_bar, sign
from nbody_surrogate.cli.terminal import echo, wide_option
from nbody_surrogate.errors import InputError, NBodyWarning, RunError
from nbody_surrogate.registry.law_folder import file_name

if TYPE_CHECKING:
    from nbody_surrogate.comparison.comparison import Comparison
    from nbody_surrogate.comparison.lyapunov import Twins
    from nbody_surrogate.comparison.pairs import Pair
    from nbody_surrogate.contracts.system import AbstractSystem
    from nbody_surrogate.integrators.method_text import Contender
    from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["compare"]

SILENT = ("output", "overwrite", "as_json", "quiet", "wide")
SUFFIXES = (".json", ".png")
OF_METHODS = (
    *("system", "parameter", "particles", "seeds", "seed", "duration", "reference"),
    "tolerance",
)
DEFAULT_SEEDS, DEFAULT_DURATION = 20, 5.0


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--interpolate", is_flag=True, help="Take candidates at the reference's times.")
@click.option("--integrators", help="Methods in place of files, such as set,leapfrog:4,rk4:4.")
@click.option("--system", help="Physics of methods, or of other programs' files.")
@click.option("-p", "--parameter", multiple=True, metavar="KEY=VALUE", help="Of the system.")
@click.option("-n", "--particles", type=int, help="Of methods.  [default: 30]")
@click.option("--seeds", type=int, help="Of methods: how many starts.  [default: 20]")
@click.option("--seed", type=int, help="Of methods: of the sampler.  [default: 0]")
@click.option("--duration", type=float, help="Of methods: time units.  [default: 5]")
@click.option("--reference", help="Of methods: the ground truth.  [default: a DOP853 at 1e-9]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--threads", type=int, default=1, show_default=True, help="Of every method.")
@click.option(
    "--outside",
    metavar="POLICY",
    default="warn",
    show_default=True,
    help="Of surrogates outside of what they were trained for: warn, refuse, or fallback.",
)
@click.option("--tolerance", type=float, help="Of surrogates among methods: error of a frame.")
@click.option("--no-floor", is_flag=True, help="Skip the two more runs that give the noise floor.")
@bound_option
@options_of(FileOptions)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Files, without extension.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table.")
@wide_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def compare(files: tuple[Path, ...], **options: Any) -> None:
    """Compare runs with a reference: FILES are the reference's and then one or more candidates'.

    They may be of other programs; their system is that of the runs of ours among them, or --system.
    With `--integrators` the methods run the same seeded starts instead. One table, one JSON and
    one figure: errors over time, valid prediction time, drifts, and distributions of late frames,
    each beside its noise floor. The floor is what a true solution differs by, whose start is off
    by a thousandth of the cloud's spread. Several candidates are held against one another
    trajectory by trajectory: who is better, whether they are equivalent, or not told apart.

    Only valid frames count: a trajectory that stopped is compared up to its last one. Where one of
    the reference has stopped, the exit code is 1.
    """
    _check(files, options)
    if not files:
        _check_methods(options)
    base = free_base(options["output"], _name(files, options), SUFFIXES, options["overwrite"])
    # where a model is outside of its training is said below the table, once for each
    warnings.simplefilter("ignore", NBodyWarning)
    hidden = options["quiet"] or options["as_json"]
    first = "reading the files" if files else "loading the methods"
    with compiling_shown(hidden=hidden), sign(first, hidden=hidden):
        reference, candidates = _from_files(files, options) if files else _from_methods(options)
    unasked = hidden or options["no_floor"]
    with sign("running the reference twice more for the noise floor", hidden=unasked):
        twins, why = (None, "not asked for") if options["no_floor"] else _floor(reference)
    # what does not fit is named as it was given
    given = dict(zip(candidates, map(str, files[1:]) if files else candidates, strict=True))
    with sign("comparing", hidden=hidden):
        between, bound = options["interpolate"], options["bound"]
        found = _Found.of(reference, candidates, twins, why, between, given, bound)
    with sign("drawing the figure", hidden=hidden):
        paths, text = _write(found, base, options)
    _print(found, paths, text, options)
    # last: all that can be said has been, though it is no ground truth any more
    if lines := reference.info.failures(reference.info.label):
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        raise RunError(f"the reference failed: {lines[0]}{more}")


@dataclass(frozen=True)
class _Found:
    """Comparisons with one reference, of candidates with one another, and what is said of runs."""

    comparisons: list[Comparison]
    no_floor: str | None
    failures: list[str]
    pairs: tuple[Pair, ...]
    outside: list[str]
    estimates: list[str]
    """What candidates say of their own error, and whether it holds."""

    @classmethod
    def of(
        cls,
        reference: Ensemble,
        candidates: dict[str, Ensemble],
        twins: Twins | None,
        no_floor: str | None,
        interpolate: bool,
        given: dict[str, str],
        bound: float,
    ) -> _Found:
        from nbody_surrogate.comparison.comparison import compare as compared
        from nbody_surrogate.comparison.pairs import pairs_of
        from nbody_surrogate.results.estimate_note import estimate_notes

        made = []
        for name, run in candidates.items():
            try:
                both = compared(reference, run, twins, interpolate=interpolate)
                made.append(replace(both, candidate=name))
            except InputError as error:
                raise InputError(f"{given[name]!r}: {error}") from None
        runs = {reference.info.label: reference} | candidates
        failures = [line for name, run in runs.items() for line in run.info.failures(name)]
        estimates = [
            f"{name}: {line}"
            for name, run in candidates.items()
            for line in estimate_notes(run, reference)
        ]
        pairs, outside = pairs_of(made, bound), told_outside(candidates)
        return cls(made, no_floor, failures, pairs, outside, estimates)


def _check(files: tuple[Path, ...], options: dict[str, Any]) -> None:
    if bool(files) == (options["integrators"] is not None):
        raise InputError(
            "`compare` needs either files, a reference and its candidates, or `integrators`"
        )
    _refuse_names(files)
    if len(files) == 1:
        raise InputError(f"`files` must be a reference and a candidate or more, got '{files[0]}'")
    for name in OF_METHODS:
        # files of other programs do not settle their system
        if files and name not in ("system", "parameter") and options[name] is not None:
            raise InputError(f"`{name}` goes with `integrators` only: files settle it")
    for each in fields(FileOptions):
        if not files and options[each.name] is not None:
            raise InputError(f"`{each.name}` goes with files only")
    if files and options["outside"] != "warn":
        raise InputError("`outside` goes with `integrators` only: files are only read")
    if options["interpolate"] and not files:
        raise InputError("`interpolate` goes with files only")
    check_factor(options["bound"])
    check_hardware(options["device"], None, options["threads"])
    _check_hardware_of_files(files, options)
    for name in ("particles", "seeds"):
        if options[name] is not None and options[name] < 1:
            raise InputError(f"`{name}` must be at least 1, got {options[name]}")
    if options["seed"] is not None and options["seed"] < 0:
        raise InputError(f"`seed` must be at least 0, got {options['seed']}")


def _refuse_names(files: tuple[Path, ...]) -> None:
    """Tell who named methods where files are read."""
    from nbody_surrogate.cli.hints import method_names

    texts = [str(file) for file in files if not file.suffix and is_absent(file)]
    known = method_names() if texts else []
    if texts and all(text.partition(":")[0] in known for text in texts):
        raise InputError(
            f"`files` must be files of runs, got {texts[0]!r}, which is a method; did you mean "
            f"--integrators {','.join(map(str, files))}?"
        )


def _check_hardware_of_files(files: tuple[Path, ...], options: dict[str, Any]) -> None:
    """Refuse what would change nothing: of files, no method runs but that of the noise floor."""
    for name, defaults in (("device", ("auto",)), ("threads", (1, None))):
        if files and options[name] not in defaults:
            raise InputError(f"`{name}` goes with `integrators` only: files are only read")


def _check_methods(options: dict[str, Any]) -> None:
    """Refuse methods that there are not, before a system is made and a model loaded."""
    from nbody_surrogate.integrators.method_text import check_names, check_text, split_methods

    texts = split_methods(options["integrators"])
    every = [*texts, *filter(None, [options["reference"]])]
    check_names(every)
    found = [check_text(text) for text in every]
    named = options["reference"] is not None
    check_outside(options["outside"], any(each.learned for each in found), "solvers")
    check_shared(options["device"], options["threads"], found, whole=named)


def _name(files: tuple[Path, ...], options: dict[str, Any]) -> str:
    if files:
        return f"compare-{files[1].stem[:40]}"
    system = options["system"] or "charged"
    return f"compare-{file_name(system)}-n{options['particles'] or usual_particles(system)}"


def _from_files(
    files: tuple[Path, ...], options: dict[str, Any]
) -> tuple[Ensemble, dict[str, Ensemble]]:
    system = _named_system(files, options)
    reference, *others = FileOptions.taken(options).read(*files, system=system)
    # two runs of one method are told apart by their files
    labels = [run.info.label for run in others]
    names = [
        label if labels.count(label) == 1 else f"{label}, {path.name}"
        for label, path in zip(labels, files[1:], strict=True)
    ]
    if len(set(names)) < len(names):
        raise InputError("`files` must name each candidate once")
    return reference, dict(zip(names, others, strict=True))


def _named_system(files: tuple[Path, ...], options: dict[str, Any]) -> dict[str, Any] | None:
    """Describe the system that is named for files of other programs."""
    from nbody_surrogate.formats.opening import tells_system
    from nbody_surrogate.registry.registry import make_system

    foreign = not any(tells_system(path) for path in files)
    if options["system"] is None and not options["parameter"]:
        if foreign:
            raise InputError("`system` is needed: none of the files says what it is of; name it")
        return None
    if not foreign:
        name = "parameter" if options["system"] is None else "system"
        raise InputError(f"`{name}` goes with `integrators` only: files settle it")
    made = make_system(options["system"] or "charged", **parameters_of(options["parameter"]))
    return made.description


def _from_methods(options: dict[str, Any]) -> tuple[Ensemble, dict[str, Ensemble]]:
    """Run the reference and the methods on the same starts."""
    from nbody_surrogate.contracts.segment import frame_count
    from nbody_surrogate.evaluation.work_precision.numpy_force import with_numpy_force
    from nbody_surrogate.registry.registry import make_system
    from nbody_surrogate.simulation.error_estimate.choice import as_surrogate
    from nbody_surrogate.simulation.observers import WarmUp
    from nbody_surrogate.simulation.recorder import demand_frames_memory
    from nbody_surrogate.simulation.simulate import simulate

    system = make_system(options["system"] or "charged", **parameters_of(options["parameter"]))
    seed, batch = options["seed"] or 0, options["seeds"] or DEFAULT_SEEDS
    n = options["particles"] or system.usual_particles or DEFAULT_PARTICLES
    state, particles = system.sample(seed, n, batch)
    dt = system.spec.frame_dt
    duration = DEFAULT_DURATION if options["duration"] is None else options["duration"]
    frames = frame_count(duration, dt)
    methods = _methods(system, batch, options)
    demand_frames_memory(state, frames, len(methods))
    physics = [with_numpy_force(system) if each.numpy_force else system for each in methods]
    tolerance = options["tolerance"]
    if tolerance is not None and all(as_surrogate(each.method) is None for each in methods):
        raise InputError("`tolerance` is of surrogates, and `integrators` names none")
    # all of them, before the first one runs
    for each, its in zip(methods, physics, strict=True):
        each.method.check(its, state, particles, dt)
    runs = []
    hidden = options["quiet"] or options["as_json"]
    with progress_bar("compare", len(methods), hidden=hidden) as progress:
        for each, its in zip(methods, physics, strict=True):
            # of solvers it is another thing, which their text says: dop853:1e-6
            kept = tolerance if as_surrogate(each.method) is not None else None
            run = simulate(
                its,
                state,
                particles,
                frames,
                each.method,
                outside=options["outside"] if each.learned else "warn",
                tolerance=kept,
                observers=WarmUp(),
            )
            runs.append(_of_system(run, system))
            progress(len(runs), len(methods))
    return runs[0], {each.label: run for each, run in zip(methods[1:], runs[1:], strict=True)}


def _methods(system: AbstractSystem, batch: int, options: dict[str, Any]) -> list[Contender]:
    """Make the reference, and then the methods that are held against it."""
    import torch

    from nbody_surrogate.contracts.device import resolve_device
    from nbody_surrogate.integrators.method_text import contender, split_methods
    from nbody_surrogate.integrators.reference import default_reference

    torch.set_num_threads(options["threads"])
    shared = {"threads": options["threads"], "device": str(resolve_device(options["device"]))}
    reference = contender(options["reference"] or default_reference(system, batch), **shared)
    candidates = split_methods(options["integrators"])
    return [reference, *(contender(each, **shared) for each in candidates)]


def _of_system(run: Ensemble, system: Any) -> Ensemble:
    """Name the system itself where its force was in NumPy."""
    return replace(run, info=replace(run.info, system=system.description))


def _floor(reference: Ensemble) -> tuple[Twins | None, str | None]:
    from nbody_surrogate.comparison.lyapunov import twins_or_why

    return twins_or_why(reference)


def _write(found: _Found, base: Path, options: dict[str, Any]) -> tuple[list[Path], str]:
    """Write the files; return them, and the JSON."""
    from nbody_surrogate.files.figure import save
    from nbody_surrogate.viz.figures.comparison import draw_comparisons

    text = json_text("compare", _as_dict(found))
    paths = [base.with_name(base.name + suffix) for suffix in SUFFIXES]
    write_text(paths[0], text, options["overwrite"])
    save(draw_comparisons(found.comparisons), paths[1], options["overwrite"])
    return paths, text


def _print(found: _Found, paths: list[Path], text: str, options: dict[str, Any]) -> None:
    from nbody_surrogate.cli.table import print_lines, print_table
    from nbody_surrogate.comparison.pairs import paired_table
    from nbody_surrogate.comparison.table import comparison_table

    if options["as_json"]:
        echo(text, nl=False)
    elif not options["quiet"]:
        table = comparison_table(found.comparisons, found.no_floor)
        notes = (*table.notes, *found.outside, *found.estimates)
        shown = replace(table, notes=notes, failures=tuple(found.failures))
        if not found.pairs:
            print_table(shown, paths, wide=options["wide"])
            return
        print_table(shown, wide=options["wide"])
        print_lines([""])
        paired = paired_table(found.comparisons, options["bound"], found.pairs)
        print_table(paired, paths, wide=options["wide"])


def _as_dict(found: _Found) -> dict[str, Any]:
    from nbody_surrogate.environment.versions import versions

    return {
        "command": command_line(SILENT),
        "comparisons": [
            each.to_dict() | {"curves": each.curves.to_dict()} for each in found.comparisons
        ],
        "pairs": [each.to_dict() for each in found.pairs],
        "no_floor": found.no_floor,
        "failures": found.failures,
        "outside": found.outside,
        "versions": versions(),
    }
