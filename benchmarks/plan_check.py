"""A plan beside what `bench` measures: the loss or gain of a model that is trained, foretold.

    python benchmarks/plan_check.py
    python benchmarks/plan_check.py --model set-small --particles 10

`bench` measures the error of the shipped weights, and their time over that of the best classical
method at this error, between its settings. The plan is asked for that error, and knows nothing of
the weights: its surrogate is not trained. Both in one run, on one thread, by the processor's time,
but the starts of the two are not the same number, and the domain of the shipped weights, beyond
which their steps are leapfrog's, costs them a little.
"""

from __future__ import annotations

import argparse
import warnings

from nbody_surrogate import make_system, plan
from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.evaluation.work_precision.benchmark import Benchmark, segment_for
from nbody_surrogate.evaluation.work_precision.classical_front import standings
from nbody_surrogate.evaluation.work_precision.measure import measure
from nbody_surrogate.integrators.method_text import contender, sweep
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.surrogates.trained_models import find_model

CLASSICAL = ("dop853-compiled", "hermite4", "leapfrog", "srkn4", "srkn6")
STARTS = 16


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="set")
    parser.add_argument("--particles", type=int, default=30)
    parser.add_argument("--horizon", type=float, default=2.0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", NBodyWarning)
    system = make_system("charged")
    start = system.sample(0, asked.particles, STARTS)
    benchmark = Benchmark(system, *start, (asked.horizon,), (1,))
    segment = segment_for(benchmark.frames)
    texts = [*(text for name in CLASSICAL for text in sweep(name)), asked.model]
    contenders = [contender(text, segment=segment, threads=1) for text in texts]
    found = measure(contenders, benchmark, seconds=0.3, clock="processor", all_settings=False)
    (stands,) = standings(found)
    error = stands.point.error
    print(
        f"bench: {asked.model} has an RMSE of {error}; it takes {as_text(stands.time_ratio)} times"
    )
    print(f"       the time of {stands.at_error}")
    network, _ = find_model(asked.model).load()
    foretold = plan(
        system,
        asked.particles,
        find_model(asked.model).surrogate,
        model={"width": network.config.width, "substeps": network.config.substeps},
        accuracy=error.value,
        horizon=asked.horizon,
        clock="processor",
    )
    factor = foretold.factor
    inverse = Interval(1 / factor.value, 1 / factor.high, 1 / factor.low)
    print("plan:  for that accuracy it would take")
    print(f"       {as_text(inverse)} times the time of {foretold.classical.label}")


def as_text(ratio: Interval | None) -> str:
    return "no" if ratio is None else ratio.as_factor()


if __name__ == "__main__":
    main()
