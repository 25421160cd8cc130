"""What is in the files of two versions, value by value, and where they are not the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import load as load_arrays

import nbody_surrogate as nb

__all__ = ["IGNORED", "bits", "differences", "document_of"]

TIMES = "wall_time check_time replay_time seconds minutes milliseconds speed_ratio verdict"
VERSIONS = "versions plugin python nbody-surrogate numpy scipy numba torch CyRK"
IGNORED = {*TIMES.split(), *VERSIONS.split(), "identifier"}  # which is drawn for each run

OURS = "parameters/nbody_surrogate"
PARTICLES = {"charges", "masses", "couplings"}
PER_TRAJECTORY = {"good", "message", "fallen_back"}  # of restart files: now arrays


def document_of(restart: Path) -> Any:
    """Read what a restart file says beside its arrays."""
    raw = restart.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(json.loads(raw[8:end])["__metadata__"]["document"])


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Plain values inside of JSON, by where they are, without those that are left out."""
    if not (value and isinstance(value, dict | list)):
        yield name, value
        return
    trained_here = isinstance(value, dict) and "/" in str(value.get("weights"))
    left_out = {*IGNORED, "weights_hash"} if trained_here else IGNORED
    if isinstance(value, dict) and {"reason", "detail"} <= value.keys():
        left_out = {*left_out, "value", "limit"}  # of a guard's event: the detail has them in words
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        if key not in left_out:
            yield from leaves(each, f"{name}.{key}")


def hdf5_values(path: Path) -> dict[str, Any]:
    """Arrays and attributes of an HDF5 file; provenance is JSON, and taken apart."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        found.update({f"{name}@{key}": np.asarray(each) for key, each in item.attrs.items()})
        if name in (f"{OURS}/format", f"{OURS}/guard") or name.startswith(f"{OURS}/guard/"):
            return  # what they hold is read below, of either format
        if isinstance(item, h5py.Dataset) and "/provenance" in name:
            told = json.loads(item[()] or "null")
            if told and told.get("guard"):
                told["guard"].pop("events", None)
            found.update(leaves(told, name))
        elif isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()])

    def below(place: str, name: str, item: Any) -> None:
        visit(f"{place}/{name}", item)

    with h5py.File(path, "r", locking=False) as file:
        file.visititems(visit)
        # once each, whatever a version shares between trajectories
        for group in file.get("particles", {}).values():
            for name in ("box", "charge", "mass"):
                if name in group:
                    visit(f"{group.name[1:]}/{name}", group[name])
                if isinstance(group.get(name), h5py.Group):
                    group[name].visititems(partial(below, f"{group.name[1:]}/{name}"))
    # where the numbers of an ensemble lie is not the same in all versions, what a group shows is
    hidden = (f"{OURS}/ensemble", f"{OURS}/format")
    found = {name: value for name, value in found.items() if not name.startswith(hidden)}
    found.pop("h5md/creator@version", None)
    if found.get(f"{OURS}/complete") == 1 and f"{OURS}/provenance.guard.policy" in found:
        events = nb.read_h5md(path).info.guard.events
        found["events"] = [(str(event), event.reason) for event in events]
    return found


def restart_values(path: Path) -> dict[str, Any]:
    """Arrays and plain values of a restart file, of either format, but for what moved elsewhere."""
    arrays, document = load_arrays(path.read_bytes()), document_of(path)
    for each in (document, ((document.get("guard") or {}).get("report") or {})):
        for key in PER_TRAJECTORY & each.keys():
            value = each.pop(key)
            if key not in arrays:
                words = json.dumps(value).encode()
                arrays[key] = (
                    np.frombuffer(words, np.uint8) if key == "message" else np.array(value, "<i8")
                )
        each.pop("events", None)  # which the output has
    for key in ("format_version", "particles", "observables"):
        document.pop(key, None)
    kept = {key: each for key, each in arrays.items() if key not in PARTICLES}
    return kept | dict(leaves(document))


def values_of(path: Path) -> dict[str, Any]:
    """Arrays and plain values of a file, by name."""
    if path.suffix in (".h5", ".part", ".vtkhdf"):
        return hdf5_values(path)
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return dict(archive)
    if path.name == "restart":
        return restart_values(path)
    if path.suffix == ".safetensors":
        return dict(load_arrays(path.read_bytes()))
    if path.suffix in (".json", ".jsonl"):
        lines = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
        return dict(leaves([json.loads(line) for line in lines]))
    return {"bytes": path.read_bytes()}


def compared(path: Path) -> dict[str, Any]:
    """All that is compared of a file: its values, or why there are none."""
    try:
        return values_of(path)
    except Exception as error:  # whatever a damaged file gives rise to
        return {"unreadable": repr(error)}


def bits(value: Any) -> Any:
    """Return what is equal for equal bits only: signs of zero and kinds of NaN count."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return repr(value)


def gap(a: Any, b: Any) -> str:
    """How far two values are apart, in a few words."""
    arrays = isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.shape == b.shape
    if arrays and a.dtype == b.dtype and a.dtype.kind == "f":
        return f"{np.sum(a != b)} of {a.size} numbers, by {np.max(abs(a - b)):.1e} at most"
    return f"{str(a)[:60]!r} and {str(b)[:60]!r}"


def differences(old: Path, new: Path, *suffixes: str) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Count files and values by kind, and say which are not the same."""
    counts: Counter[tuple[str, str]] = Counter()
    lines = []
    paths = {path.relative_to(root) for root in (old, new) for path in root.rglob("*")}
    for path in sorted(path for path in paths if not suffixes or path.suffix in suffixes):
        there = [root for root in (old, new) if (root / path).is_file()]
        if path.suffix == ".md" or not there:
            continue
        kind = path.name if path.name in ("manifest.json", "restart") else path.suffix
        a, b = (compared(root / path) if root in there else {} for root in (old, new))
        missing = "nothing"
        wrong = {
            key: gap(a.get(key, missing), b.get(key, missing))
            for key in sorted(a.keys() | b.keys())
            if bits(a.get(key, missing)) != bits(b.get(key, missing))
        }
        counts.update({(kind, "files"): 1, (kind, "values"): len(a), (kind, "differ"): len(wrong)})
        if wrong:
            key, how = next(iter(wrong.items()))
            lines.append(f"{path}: {len(wrong)} of {len(a)} values, first {key}: {how}")
    return counts, lines
