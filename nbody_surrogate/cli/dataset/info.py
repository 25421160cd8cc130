"""`nbody-sim dataset info`: what a data set is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.json_output import print_json

if TYPE_CHECKING:
    from nbody_surrogate.datasets import Dataset
    from nbody_surrogate.datasets.manifest import LabelError

__all__ = ["info", "print_info"]

WIDTH = 14  # of the names


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def info(folder: Path, as_json: bool) -> None:
    """Say what the data set in FOLDER is, and how wrong it may be."""
    from nbody_surrogate.datasets import Dataset

    dataset = Dataset(folder)
    if as_json:
        content = dataset.manifest.model_dump(mode="json")
        content["sha256"] = dataset.manifest.digest
        print_json("dataset info", content, indent=2)
    else:
        print_info(dataset)


def print_info(dataset: Dataset) -> None:
    """Print what a data set is, a line for each property."""
    from nbody_surrogate.cli.table import print_lines

    for key, value in _rows(dataset).items():
        print_lines([f"{key:{WIDTH}}{value}"], indent=WIDTH)


def _rows(dataset: Dataset) -> dict[str, str]:
    from nbody_surrogate.contracts.time_text import time_span_text
    from nbody_surrogate.contracts.wording import counted

    manifest, spec, t = dataset.manifest, dataset.spec, dataset.t
    size = sum(shard.bytes for shard in manifest.shards)
    rows = {
        "folder": str(dataset.folder),
        "system": ", ".join([spec.system, *_settings(spec.parameters)]),
        "particles": f"{spec.particles} in {spec.dimensions} dimensions",
        "trajectories": f"{spec.trajectories}: "
        + ", ".join(f"{count} {name}" for name, count in spec.splits.items()),
        "rows": f"{spec.rows}, from t = {time_span_text(t)}",
        **_hidden(dataset),
        "made by": _maker(dataset),
        "label error": _label_error(dataset),
        **_system_error(dataset),
        "size": f"{size / 2**20:.1f} MiB in {counted(len(manifest.shards), 'shard')}",
        "versions": ", ".join(f"{key} {value}" for key, value in manifest.versions.items()),
        "SHA-256": manifest.digest,
    }
    if spec.task is not None:
        rows["task"] = f"row {spec.task.input} to row {spec.task.target}"
    if spec.has_zero_target:
        rows["task"] += ", which is zero, as released: fit for nothing but showing that"
    return rows


def _settings(values: dict[str, Any]) -> list[str]:
    from nbody_surrogate.contracts.wording import setting_text

    return [setting_text(key, value) for key, value in values.items()]


def _maker(dataset: Dataset) -> str:
    from nbody_surrogate.contracts.wording import counted

    spec, source = dataset.spec, dataset.manifest.source
    if source:
        return f"others; imported from {counted(len(source), 'file')} such as {source[0].name}"
    stream = ", starts from one legacy stream" if spec.legacy is not None else ""
    settings = [str(spec.integrator), *_settings(spec.options), f"seed {spec.seed}"]
    return ", ".join(settings) + stream


def _hidden(dataset: Dataset) -> dict[str, str]:
    """Return the row of the hidden variables, where the shards hold some."""
    from nbody_surrogate.printable import printable

    told = [
        f"{each.name} ({', '.join(['N', *map(str, each.shape)])}) {each.description}".rstrip()
        for each in dataset.manifest.hidden
    ]
    return {"hidden": printable("; ".join(told))} if told else {}


def _label_error(dataset: Dataset) -> str:
    error = dataset.manifest.label_error
    if error is None:
        return dataset.manifest.label_error_note or "not measured"
    return _error_text(dataset, error)


def _system_error(dataset: Dataset) -> dict[str, str]:
    """Return the row of the error of the system's own truncation, where it was measured."""
    error = dataset.manifest.system_error
    return {} if error is None else {"system error": _error_text(dataset, error)}


def _error_text(dataset: Dataset, error: LabelError) -> str:
    from nbody_surrogate.contracts.time_text import number_text
    from nbody_surrogate.contracts.wording import counted

    median, largest = error.median[-1], error.largest[-1]
    if median is None or largest is None:
        return "not finite"
    time = dataset.t[error.rows[-1]]
    return (
        f"position RMSE {median:.1e} at t = {number_text(float(time))}, largest {largest:.1e}, "
        f"of {counted(error.sample, 'trajectory')} against {error.method}"
    )
