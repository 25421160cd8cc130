"""Code that is made: its functions within the errors that they state, its layers as NumPy's."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from nbody_surrogate.layers import code_functions
from nbody_surrogate.layers.code_functions import affine_rows, exp, log, log1p, silu
from nbody_surrogate.layers.fused import emitted, emitted_by_number, packed, padding

FUNCTIONS = {"exp": exp, "log": log, "log1p": log1p, "silu": silu}
ERRORS = {
    np.float32: {"exp": 1.2e-7, "log": 1.2e-7, "log1p": 2.4e-7, "silu": 2.4e-7},
    np.float64: {"exp": 2.5e-16, "log": 2.5e-16, "log1p": 6e-16, "silu": 6e-16},
}
"""As stated in the module: relative, and of the logarithm to the larger of 1 and its value."""
IN, OUT, WIDE = 5, 3, 8


def emit(code, table, begin, end):
    """All functions of `end` numbers, and a layer of `begin` rows."""
    x = code.pointer(table.load(0), "r")
    for number, function in enumerate(FUNCTIONS.values(), start=1):
        out = code.pointer(table.load(number), "r")
        with code.loop(end, step=code.count) as at:
            out.store(at, function(x.load(at, "v")))
    rows, weights, out = (code.pointer(table.load(number), "r") for number in (5, 6, 7))
    inputs, row, padded = code.value(IN, "i"), code.value(WIDE, "i"), table.load(8)
    affine_rows(rows, inputs, row, weights, padded, begin, out)


_emitted = emitted(emit)


@numba.njit
def call(like, table, begin, end):
    _emitted(like, table, begin, end)


def run(x, rows, weights, padded):
    made = {name: np.empty_like(x) for name in FUNCTIONS}
    out = np.empty((len(rows), padded), x.dtype)
    arrays = [x, *made.values(), rows, weights, out]
    call(x, np.array([each.ctypes.data for each in arrays] + [padded]), len(rows), x.size)
    return made, out


def truth(x):
    x = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        return {
            "exp": np.exp(x),
            "log": np.log(x),
            "log1p": np.log1p(x),
            "silu": x / (1 + np.exp(-x)),
        }


@pytest.fixture(params=[np.float32, np.float64], ids=["single", "double"])
def dtype(request):
    return request.param


def a_layer(dtype):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(OUT, IN)), rng.normal(size=OUT)
    rows = np.zeros((4, WIDE), dtype)
    rows[:, :IN] = rng.normal(size=(4, IN))
    return weight, bias, rows


def test_functions_are_within_the_errors_that_they_state(dtype):
    assert "1.2e-7" in code_functions.__doc__
    end = 80.0 if dtype is np.float32 else 690.0
    x = np.concatenate(
        [
            np.linspace(-end, end, 8000),
            np.linspace(-1.0, 1.0, 4000),
            np.geomspace(1e-30, 1e30, 4000),
        ]
    ).astype(dtype)
    weight, bias, rows = a_layer(dtype)
    made, _ = run(x, rows, packed(weight, bias, dtype), padding(dtype))
    for name, true in truth(x).items():
        low, high = {"log": (0, np.inf), "log1p": (0, np.inf)}.get(name, (-end, end))
        some = (x > low) & (x < high)
        scale = np.abs(true[some])
        scale = np.maximum(scale, 1) if name == "log" else scale
        wrong = np.abs(made[name][some] - true[some]) / np.where(scale > 0, scale, 1)
        assert wrong.max() <= ERRORS[dtype][name], name


def test_what_is_no_number_stays_so_and_what_is_too_large_is_held(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, 1.0, 2.0], dtype)
    weight, bias, rows = a_layer(dtype)
    made, _ = run(x, rows, packed(weight, bias, dtype), padding(dtype))
    assert all(np.isnan(y[0]) for y in made.values())
    assert made["log"][1] == np.inf
    assert made["exp"][1] == made["exp"][3] > 1e38
    assert 0.0 < made["exp"][2] == made["exp"][4] < 1e-37
    assert made["silu"][3] == dtype(1e30)
    assert made["exp"][5] == 1.0


def test_rows_through_a_layer_are_numpys(dtype):
    weight, bias, rows = a_layer(dtype)
    _, out = run(np.ones(8, dtype), rows, packed(weight, bias, dtype), padding(dtype))
    wanted = rows[:, :IN].astype(float) @ weight.astype(dtype).T + bias.astype(dtype)
    np.testing.assert_allclose(out[:, :OUT], wanted, rtol=8 * np.finfo(dtype).eps, atol=1e-6)
    assert not out[:, OUT:].any()


def emit_of(number):
    """Write the number to the places `begin` to `end` - 1."""

    def numbered(code, table, begin, end):
        out = code.pointer(table.load(0), "r")
        with code.loop(end, begin) as at:
            out.store(at, float(number))

    return numbered


_numbered = emitted_by_number(emit_of)


def numbered(number):
    @numba.njit
    def call(like, table):
        _numbered(like, table, 0, 2, number)
        _numbered(like, table, 3, 4, number)

    return call


def test_code_of_a_number_is_known_by_it_and_compiled_once():
    for number in (2, 5):
        call, out = numbered(number), np.zeros(5)
        call(out, np.array([out.ctypes.data]))
        assert out.tolist() == [number, number, 0, number, 0]
        (made,) = call.inspect_llvm().values()
        defined = [line for line in made.splitlines() if line.startswith("define")]
        assert sum("emit_of" in line for line in defined) == 1
