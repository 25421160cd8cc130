"""What a newcomer types: it works, or one line says what would."""

from __future__ import annotations

import pytest

from commands import MISUSE, bad

TYPED = {
    "run set": "did you mean --integrator set?",
    "run leapfrog:4": "did you mean --integrator leapfrog:4?",
    "run a.h5": "is for render, report, compare and export",
    "run 30": "'nbody-sim run' takes no further argument, got '30'",
    "run --n 30": "did you mean --particles?",
    "run --steps 50": "did you mean --duration (in time units",
    "run --dt 0.1": "did you mean --frame-dt?",
    "run --method set": "did you mean --integrator?",
    "run --model set": "did you mean --integrator?",
    "run --solver=rk4": "did you mean --integrator?",
    "run --integrators set": "did you mean --integrator?",
    "run -i set": "No such option '-i'; did you mean --integrator?",
    "run --tol 1e-6": "did you mean --rtol?",
    "run --out x.h5": "did you mean --output?",
    "run --frame_dt 0.1": "did you mean --frame-dt?",
    "run --integrater set": "did you mean --integrator?",
    "run --gpu": "did you mean --device (cpu or cuda)?",
    "run --movie x.mp4": "did you mean --render?",
    "run --unheard-of": "No such option '--unheard-of'; see nbody-sim run --help",
    "run --seed -1": "`seed` must be at least 0, got -1",
    "run --particles many": "'many' is not a valid int",
    "compare a.h5": "`files` must be a reference and a candidate or more",
    "compare set leapfrog:4": "did you mean --integrators set,leapfrog:4?",
    "compare --integrator set": "did you mean --integrators?",
    "bench set": "did you mean --integrators set?",
    "render": "Missing argument 'RUN'; see nbody-sim render --help",
    "report": "Missing argument 'RUN'; see nbody-sim report --help",
    "evaluate": "Missing argument 'MODEL'; see nbody-sim evaluate --help",
    "plot": "did you mean `nbody-sim render`?",
    "simulate --integrator set": "did you mean `nbody-sim run`?",
    "list": "did you mean `nbody-sim models list` or `nbody-sim plugins list`?",
    "rnu": "did you mean 'run'?",
    "set": "did you mean `nbody-sim run --integrator set`?",
    "help": "did you mean `nbody-sim --help`?",
    "walk": "No such command 'walk'; there are: bench, calibrate, compare",
    "dataset gen": "did you mean `nbody-sim dataset generate`?",
    "models set": "No such command 'set'; there are: domain, list, show",
}


@pytest.mark.parametrize("typed", TYPED)
def test_one_line_says_what_would_do(typed):
    line = bad(MISUSE, *typed.split())
    assert TYPED[typed] in line
