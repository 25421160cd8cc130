"""The one place that knows CyRK: its compiled DOP853, called from Python.

CyRK's `nbsolve2_ivp` is a numba function around one C function. Numba would compile that wrapper
again in every process, for some ten seconds, because what calls C through an address cannot be
cached; so the C function is called here directly. The call releases the interpreter's lock.
"""

from __future__ import annotations

import ctypes
from typing import Any, final

import numpy as np

from nbody_simulators.integrators.outcome import Outcome
from nbody_surrogate.contracts import InputError

__all__ = ["Solver", "load"]

DOP853 = 5  # CyRK's number of the method
MEGABYTES = 8192  # of what it stores, beyond which it stops
LONGEST_MESSAGE = 256


def load() -> Any:
    """Import CyRK's solver.

    Raises
    ------
    InputError
        If it is missing or of a version that this does not fit.
    """
    try:
        from CyRK.nb import numba_solver
    except Exception as error:  # built for another numpy or numba, it may raise anything
        why = str(error).strip().partition("\n")[0]
        raise InputError(
            "`integrator` dop853-compiled needs CyRK for `norm` rms, which cannot be imported "
            f"({why}); leave `norm` rms out, use dop853, or pip install CyRK"
        ) from None
    if not hasattr(numba_solver, "c_numba_cysolve_ivp"):
        raise InputError(
            "`integrator` dop853-compiled with `norm` rms does not know this version of CyRK; "
            "use dop853, or pip install 'CyRK>=0.20'"
        )
    return numba_solver


@final
class Solver:
    """DOP853 with dense output, ready to run any trajectory of a batch, on any thread.

    Parameters
    ----------
    address : int
        Of a C function ``f(dy, t, y, arguments)``, all pointers to float64.
    span : tuple of float
        The steps depend on it, not on `times`.
    times : ndarray, shape (F,)
    y : ndarray, shape (B, S)
    arguments : ndarray, shape (B, K)
        Copied for each run; the copy is the function's to write to.
    rtol, atol, max_step : float
    """

    def __init__(
        self,
        address: int,
        span: tuple[float, float],
        times: np.ndarray,
        y: np.ndarray,
        arguments: np.ndarray,
        rtol: float,
        atol: float,
        max_step: float,
    ) -> None:
        self._api = load()
        self.frames = np.empty((len(y), len(times), y.shape[1]))
        # Kept as long as the solver is: the addresses below are theirs.
        self._held = [np.array([value]) for value in (rtol, atol)]
        self._held += [np.ascontiguousarray(each) for each in (times, y, arguments)]
        self._call, self._max_step = (address, *span), max_step
        self._size, self._room = y.shape[1], arguments.nbytes // len(y)
        self._places = [each.ctypes.data for each in self._held]
        self._out = self.frames.ctypes.data

    def run(self, b: int) -> Outcome:
        """Fill in ``frames[b]``, as far as trajectory `b` gets, and NaN beyond."""
        api, size, wanted = self._api, self._size, self.frames.shape[1]
        row = 8 * size  # bytes of a float64 state
        rtol, atol, times, y, arguments = self._places
        result = api.c_numba_cysolve_ivp(
            *(*self._call, y + row * b, size, DOP853),
            # Zeros leave the number of steps to it; its dense output is used and not kept.
            *(0, 0, arguments + self._room * b, self._room, 0, MEGABYTES, False),
            *(times, wanted, 0, 0, 0),  # no function before each evaluation, no events
            *(rtol, 1, atol, 1, self._max_step, 0.0, False),  # a first step of 0.0: it chooses
        )
        try:
            rows = min(int(api.c_get_size(result)), wanted)
            if rows > 0:
                ctypes.memmove(self._out + row * wanted * b, api.c_get_y_ptr(result), row * rows)
            self.frames[b, rows:] = np.nan
            failure = None if rows == wanted else _message(api, result)
            counter = _first(api.c_get_args_ptr(result))
            return Outcome(rows, failure, int(api.c_get_steps(result)), counter)
        finally:  # its memory is C++'s, which nobody else gives back
            api.c_free(result)


def _first(pointer: Any) -> float:
    return float(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_double))[0])


def _message(api: Any, result: int) -> str:
    """Say why a run ended early."""
    text = ctypes.create_string_buffer(LONGEST_MESSAGE)
    api.c_get_msg_buf(result, ctypes.addressof(text), LONGEST_MESSAGE)
    return text.value.decode(errors="replace").strip().rstrip(".").lower() or "the solver stopped"
