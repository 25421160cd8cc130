"""What the compiled steps of `SET` are handed: a table of addresses and numbers, by their names."""

from __future__ import annotations

from typing import NamedTuple

from nbody_surrogate.layers.code import Code, Pointer, Value

__all__ = ["INTEGERS", "OF_TRAJECTORY", "REALS", "Arguments", "arguments"]

SIZES = (
    "n",
    "rows",
    "frames",
    "dimensions",
    "batch",
    "padded",
    "width",
    "heads",
    "history",
    "substeps",
    "basis",
    "prior",
    "bounded",
    "gated",
    "field",
)
WEIGHTS = (
    "nodes_layer",
    "message",
    "force",
    "from_features",
    "from_messages",
    "to_features",
    "attention",
    "lag_bias",
    "initial",
    "radial",
    "inverse_range",
    "kick",
    "drift",
    "centres",
)
ROOM = (
    "r",
    "w",
    "a",
    "strength",
    "acceleration",
    "dx",
    "dv",
    "kicks",
    "v_here",
    "tile",
    "s",
    "c",
    "envelope",
    "correction",
    "hidden",
    "h",
    "nodes",
    "received",
    "other",
    "query",
    "key",
    "value",
    "mixed",
    "scores",
    "past",
    "gate_kicks",
    "gate_crowds",
    "gate_tides",
    "gate_bindings",
    "sums",
)
WIDE = ("x", "v", "given", "made", "x_of", "v_of", "frames_x", "frames_v", "numbers")
WHOLE = ("filled_of", "trajectories")
GIVEN = ("charges_of", "masses_of", "past_of", "open_of")
INTEGERS = (*SIZES, *WEIGHTS, *ROOM, *WIDE, *WHOLE, *GIVEN)
"""Names of what stands in the table, in this order."""

OF_TRAJECTORY = (
    "first",
    "second",
    "group",
    "layer",
    "pairs",
    "inputs",
    "doubled",
    "layers_size",
    "pair_charges",
    "pair_inverse",
)
"""Names of a row of the table of trajectories."""

REALS = (
    "coupling",
    "far",
    "softening",
    "frame_dt",
    "tau",
    "first_centre",
    "per_sigma",
    "bound",
    "crowding",
    "drift_limit",
    "kick_limit",
    "speed",
    "circularity",
)
"""Names of the numbers of a model, in this order."""


class Arguments(NamedTuple):
    """The table inside the code: sizes as numbers, addresses as places, reals in its precision."""

    i: dict[str, Value]
    at: dict[str, Pointer]
    real: dict[str, Value]


def arguments(code: Code, table: Pointer) -> Arguments:
    """Load the table."""
    loaded = {name: table.load(number) for number, name in enumerate(INTEGERS)}
    places = {}
    for name in INTEGERS:
        if name not in SIZES:
            kind = "d" if name in WIDE else "i" if name in WHOLE else "r"
            places[name] = code.pointer(loaded[name], kind)
    numbers = places["numbers"]
    reals = {name: numbers.load(number).to("r") for number, name in enumerate(REALS)}
    return Arguments({name: loaded[name] for name in SIZES}, places, reals)
