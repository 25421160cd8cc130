"""Data sets for others: ``.npz`` archives, or the files of the literature."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.arguments import demand_flag
from nbody_surrogate.contracts.hidden_variables import listed
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.exchange.nri import SPLITS, check_suffix
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.npy import write_npy
from nbody_surrogate.files.output_path import check_output_file

__all__ = ["export_npz", "export_nri"]


class _Column(NamedTuple):
    """An array of a split: its shape without the first axis, and how a block gives it."""

    shape: tuple[int, ...]
    take: Callable[[TrajectoryBlock], np.ndarray]


def export_npz(dataset: Dataset, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write each split to ``SPLIT.npz``, piece by piece.

    The arrays are ``x``, ``v`` (S, T, N, D), ``charges``, ``masses`` (S, N), ``t`` (T,), and
    ``couplings`` (S, N, N) and ``radii`` (S, N) where the particles have them, all float64.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If the folder cannot be made, a file is there and `overwrite` is not given, or `overwrite`
        is no truth value.
    FileFormatError
        If the data set is damaged.
    RunError
        If a file cannot be written.
    """
    _tell_hidden(dataset, "npz")
    columns = _npz_columns(dataset)
    targets = {
        split: Path(folder) / f"{split}.npz" for split, part in dataset.spec.ranges.items() if part
    }
    _check_targets(Path(folder), list(targets.values()), overwrite)
    for split, path in targets.items():
        _write_archive(path, dataset, split, columns, overwrite)
    return list(targets.values())


def _npz_columns(dataset: Dataset) -> dict[str, _Column]:
    spec = dataset.spec
    n = spec.particles
    vectors = (spec.rows, n, spec.dimensions)
    columns = {
        "x": _Column(vectors, lambda block: block.x),
        "v": _Column(vectors, lambda block: block.v),
        "charges": _Column((n,), lambda block: block.particles.charges),
        "masses": _Column((n,), lambda block: block.particles.masses),
    }
    if _has_couplings(dataset):
        columns["couplings"] = _Column((n, n), _couplings)
    if _has_radii(dataset):
        columns["radii"] = _Column((n,), _radii)
    return columns


def _write_archive(
    path: Path, dataset: Dataset, split: str, columns: dict[str, _Column], overwrite: bool
) -> None:
    size = len(dataset.part(split))
    with (
        atomic_file(path, overwrite=overwrite) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        for key, column in columns.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as stream:
                write_npy(stream, (size, *column.shape), _parts(dataset, split, column.take))
        with archive.open("t.npy", "w") as stream:
            write_npy(stream, dataset.t.shape, [dataset.t])


def export_nri(
    dataset: Dataset, folder: str | Path, *, suffix: str = "", overwrite: bool = False
) -> list[Path]:
    """Write the splits ``train``, ``validation`` and ``test`` in the layout of the literature.

    Parameters
    ----------
    dataset : Dataset
    folder : path_like
    suffix : str
        Such as ``_charged5_initvel1small``.
    overwrite : bool

    Returns
    -------
    list of Path
        Files as described in `nbody_surrogate.datasets.exchange.nri`.

    Raises
    ------
    InputError
        If there are other splits, particles of unequal mass, radii, or both charges and couplings,
        for which the layout has no place; if no file can have the suffix; a file is there and
        `overwrite` is not given, or `overwrite` is no truth value.
    FileFormatError
        If the data set is damaged.
    RunError
        If a file cannot be written.
    """
    check_suffix(suffix)
    if unknown := [name for name in dataset.spec.splits if name not in SPLITS]:
        raise InputError(
            f"`format` nri has no place for split {unknown[0]!r}, only for {', '.join(SPLITS)}"
        )
    _check_fitting(dataset)
    _tell_hidden(dataset, "nri")
    columns = _nri_columns(dataset)
    targets = {
        (split, kind): Path(folder) / f"{kind}_{SPLITS[split]}{suffix}.npy"
        for split, part in dataset.spec.ranges.items()
        for kind in columns
        if part
    }
    _check_targets(Path(folder), list(targets.values()), overwrite)
    for (split, kind), path in targets.items():
        column, size = columns[kind], len(dataset.part(split))
        with atomic_file(path, overwrite=overwrite) as stream:
            write_npy(stream, (size, *column.shape), _parts(dataset, split, column.take))
    return list(targets.values())


def _nri_columns(dataset: Dataset) -> dict[str, _Column]:
    spec = dataset.spec
    n = spec.particles
    vectors = (spec.rows, spec.dimensions, n)
    columns = {
        "loc": _Column(vectors, lambda block: block.x.swapaxes(2, 3)),
        "vel": _Column(vectors, lambda block: block.v.swapaxes(2, 3)),
    }
    if _has_couplings(dataset):
        return {**columns, "edges": _Column((n, n), _couplings)}
    columns["edges"] = _Column((n, n), _products)
    columns["charges"] = _Column((n, 1), lambda block: block.particles.charges[..., None])
    return columns


def _products(block: TrajectoryBlock) -> np.ndarray:
    charges = block.particles.charges
    products: np.ndarray = charges[:, :, None] * charges[:, None, :]
    return products


def _couplings(block: TrajectoryBlock) -> np.ndarray:
    assert block.particles.couplings is not None
    return block.particles.couplings


def _radii(block: TrajectoryBlock) -> np.ndarray:
    assert block.particles.radii is not None
    return block.particles.radii


def _tell_hidden(dataset: Dataset, layout: str) -> None:
    """Warn of hidden variables, for which no other program has a place."""
    if names := [each.name for each in dataset.manifest.hidden]:
        warn(f"`format` {layout} does not hold hidden variables, {listed(names)}: left out")


def _has_radii(dataset: Dataset) -> bool:
    return dataset.read(0, 1).particles.radii is not None


def _has_couplings(dataset: Dataset) -> bool:
    return dataset.read(0, 1).particles.couplings is not None


def _check_fitting(dataset: Dataset) -> None:
    """Demand that nothing is lost."""
    if _has_radii(dataset):
        raise InputError("`format` nri has no place for radii; use npz")
    coupled = _has_couplings(dataset)
    for block in dataset.blocks():
        if (block.particles.masses != 1).any():
            raise InputError("`format` nri has no place for masses other than 1; use npz")
        if coupled and block.particles.charges.any():
            raise InputError("`format` nri has no place for charges beside couplings; use npz")


def _parts(
    dataset: Dataset, split: str, take: Callable[[TrajectoryBlock], np.ndarray]
) -> Iterator[np.ndarray]:
    return (take(block) for block in dataset.blocks(split))


def _check_targets(folder: Path, paths: list[Path], overwrite: bool) -> None:
    demand_flag("overwrite", overwrite)  # before a folder is made
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"`output` {str(folder)!r}: {error.strerror}") from None
    for path in paths:
        check_output_file(
            path,
            "output",
            overwrite=overwrite,
            otherwise="choose another folder or pass --overwrite",
        )
