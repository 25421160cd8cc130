"""Trajectories on disk: H5MD 1.1 files, readable while a run still writes them.

A run writes ``NAME.h5.part`` and renames it to ``NAME.h5`` at its end::

    h5md                            version [1, 1]
     +- author, creator             name, version
     +- modules/units               version [1, 0], system "reduced"
    particles
     +- trajectory_0000             one group for each of the B trajectories; of an ensemble's,
                                    every `value` and the couplings are windows on its arrays
         +- box                     dimension D, boundary "none" or "periodic" for each axis, and
                                    with a periodic one edges: step, time and value (T, D), which
                                    is 0 along an open axis
         +- position, velocity      step (T,), time (T,), value (T, N, D)
         +- charge, mass            (N,)
         +- couplings               (N, N), where the particles have them
         +- radius                  (N,), where the particles have radii
         +- hidden_NAME             of each hidden variable: step, time and value (T, N, ...)
    observables
     +- valid                       step, time and value (T, B): 1 where a frame is data
     +- trajectory_0000             one group for each of the B trajectories
         +- label_error             of a verified run: step, time and value, each (T,) long
         +- NAME                    of each `Reporter`: step, time and value (T, ...)

Parameters
----------
     +- frames_written              how many frames of the T are there by now
     +- nbody_surrogate             format, shape (B, T, N, D), complete (0 or 1),
                                    provenance_start, provenance (JSON)
         +- guard                   of a guarded run, in formats 2 and 3: what it found, as
                                    arrays; in files of format 1 the provenance tells it
         +- ensemble                of several trajectories, in format 3: their arrays
             +- time                (T,), the same as everywhere
             +- position, velocity  (B, T, N, D)
             +- charge, mass        (B, N)
             +- couplings           (B, N, N), where the particles have them
             +- radius              (B, N), where the particles have radii
             +- label_error         (B, T), of a verified run
             +- observables/NAME    (B, T, ...), of each `Reporter`
             +- hidden/NAME         (B, T, N, ...), of each hidden variable
             +- box                 which all trajectories share
         +- observables/NAME        of each `Reporter`, the shape (T, ...)
         +- hidden/NAME             of each hidden variable, the shape (T, N, ...)

The provenance names the run by an identifier that was drawn for it: restart files know their
output by it. Files of releases before have none.

``step`` and ``time`` are one data set each, shared by hard links. Floating-point data are
little-endian float64. All quantities are in reduced units, as ``modules/units`` says; charges
and masses have the ``unit`` "1". Time, positions, velocities and radii have none: MDAnalysis
refuses units that it does not know, and reads what has none. H5MD 1.1 names no element for radii;
``radius`` is what VMD calls them.

An ensemble, B > 1, lies in arrays, which are what `read_h5md` reads: to open a data set takes HDF5
much longer than to read it, where there are thousands of small ones. For other programs each
trajectory has its group of plain H5MD, of virtual data sets, which any HDF5 since 1.10 reads and
writes through. Charges and masses that are equal are one data set, linked to. The rivals and what
they cost stand in `nbody_surrogate.formats.h5md.arrays`. Files of earlier versions, in formats 1
and 2, have several trajectories without arrays; they are read and gone on with.

Everything is allocated, contiguous, before the first frame: from then on only data change,
never the structure, and a process that is killed leaves a readable file. Frames count as
written once they have reached the operating system: a kill loses none, a power failure may.
What is not written yet reads as zeros; `read_h5md` leaves it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbody_surrogate.lazy import lazy_names

if TYPE_CHECKING:
    from nbody_surrogate.files.atomic import part_path
    from nbody_surrogate.formats.h5md.layout import MAX_BYTES
    from nbody_surrogate.formats.h5md.mapped import MappedRun, map_h5md
    from nbody_surrogate.formats.h5md.origin import FileOrigin, read_origin
    from nbody_surrogate.formats.h5md.reader import H5MDReader, read_h5md
    from nbody_surrogate.formats.h5md.run_path import (
        check_disk_space,
        check_output_path,
        held_output,
    )
    from nbody_surrogate.formats.h5md.writer import H5MDWriter
else:  # whether a run can be written is asked before all that writes it is loaded
    HERE = "nbody_surrogate.formats.h5md"
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "nbody_surrogate.files.atomic": ["part_path"],
            f"{HERE}.layout": ["MAX_BYTES"],
            f"{HERE}.origin": ["FileOrigin", "read_origin"],
            f"{HERE}.mapped": ["MappedRun", "map_h5md"],
            f"{HERE}.reader": ["H5MDReader", "read_h5md"],
            f"{HERE}.run_path": ["check_disk_space", "check_output_path", "held_output"],
            f"{HERE}.writer": ["H5MDWriter"],
        },
    )

__all__ = [
    "MAX_BYTES",
    "FileOrigin",
    "H5MDReader",
    "H5MDWriter",
    "MappedRun",
    "check_disk_space",
    "check_output_path",
    "held_output",
    "map_h5md",
    "part_path",
    "read_h5md",
    "read_origin",
]
