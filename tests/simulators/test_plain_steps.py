"""Fixed steps with forces that are no laws: the system's own, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from fixed_steps import B_FIELD, E_FIELD, ROUNDING, SPLITTING, advanced
from nbody_surrogate import (
    AbstractSystem,
    InputError,
    Particles,
    PluginError,
    State,
    make_integrator,
    simulate,
)
from nbody_surrogate.contracts.system_spec import SystemSpec
from nbody_surrogate.testing.probes import OnlyNumPy

NAMES = [*SPLITTING, "rk4", "boris", "leapfrog kdk"]


class Lawless(AbstractSystem):
    """Another system's forces, whose laws nobody is shown; it counts how often it is asked."""

    name = "lawless"
    Spec = SystemSpec

    @classmethod
    def of(cls, system):
        made = cls()
        made.hidden, made.calls = system, 0
        return made

    @property
    def velocity_dependent(self):
        return self.hidden.velocity_dependent

    def magnetic_field(self):
        return self.hidden.magnetic_field()

    def pair_acceleration(self, x, particles):
        self.calls += 1
        assert not x.flags.writeable
        return self.hidden.pair_acceleration(x, particles)

    def one_body_acceleration(self, x, v, particles):
        return self.hidden.one_body_acceleration(x, v, particles)

    def _sample(self, rng, n, dimensions):
        return self.hidden._sample(rng, n, dimensions)


def of_name(name):
    method, _, form = name.partition(" ")
    return method, {"form": form} if form else {}


def fields_of(name):
    return {"magnetic": B_FIELD} if name in ("boris", "rk4") else {}


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_steps_are_those_of_compiled_laws(plasma, name, dimensions):
    """To rounding, and by as many evaluations, each of which the system sees."""
    method, options = of_name(name)
    system = plasma(electric=E_FIELD, **fields_of(method))
    start = system.sample(6, 5, 3, dimensions)
    plain = Lawless.of(system)
    run = advanced(method, plain, start, 4, substeps=3, **options)
    same = advanced(method, system, start, 4, substeps=3, **options)
    np.testing.assert_allclose(run.x, same.x, rtol=0, atol=10 * ROUNDING)
    np.testing.assert_allclose(run.v, same.v, rtol=0, atol=10 * ROUNDING)
    assert run.counters == same.counters == {"nfev": 3 * plain.calls}
    per_step = {"yoshida4": 3, "rk4": 4, "srkn4": 6, "srkn6": 11}.get(method, 1)
    opening = name in ("leapfrog kdk", "yoshida4", "rk4", "srkn4", "srkn6")
    assert plain.calls == 4 * 3 * per_step + opening


ORDERS = {"symplectic-euler": 1, "leapfrog": 2, "leapfrog kdk": 2, "yoshida4": 4, "srkn4": 4}
ORDERS |= {"srkn6": 6, "rk4": 4}


@pytest.mark.parametrize("name", ORDERS)
def test_order_on_springs(name):
    """Masses on springs: separations from the centre turn by cos(w t), w^2 = N / m."""
    method, options = of_name(name)
    system = OnlyNumPy()
    state, particles = system.sample(3, 4)
    centre, push = state.x.mean(1, keepdims=True), state.v.mean(1, keepdims=True)
    w, t = 2.0, 0.8
    turned = np.cos(w * t) * (state.x - centre) + np.sin(w * t) / w * (state.v - push)
    exact = turned + centre + push * t
    steps = (2, 4) if method == "srkn6" else (16, 32)
    coarse, fine = (
        np.abs(made.x[:, -1] - exact).max()
        for made in (
            advanced(method, system, (state, particles), 8, substeps=each, **options)
            for each in steps
        )
    )
    assert np.log2(coarse / fine) == pytest.approx(ORDERS[name], abs=0.25)


@pytest.mark.parametrize("name", ["leapfrog", "leapfrog kdk", "yoshida4", "srkn4", "srkn6"])
def test_time_can_be_reversed(charged, name):
    method, options = of_name(name)
    system = Lawless.of(charged)
    state, particles = charged.sample(3, 6)
    there = advanced(method, system, (state, particles), 10, **options)
    turned = State(1.0, there.x[:, -1], -there.v[:, -1])
    back = advanced(method, system, (turned, particles), 10, **options)
    assert np.abs(back.x[:, -1] - state.x).max() < ROUNDING
    assert np.abs(back.v[:, -1] + state.v).max() < ROUNDING


@pytest.mark.parametrize("name", ["leapfrog", "leapfrog kdk", "rk4"])
def test_a_shorter_run_is_the_beginning_and_segments_leave_no_trace(charged, name):
    method, options = of_name(name)
    system, start = Lawless.of(charged), charged.sample(4, 5, 2)
    whole, part, cut = (
        simulate(system, *start, frames, make_integrator(method, segment=segment, **options))
        for frames, segment in ((6, 6), (4, 6), (6, 2))
    )
    np.testing.assert_array_equal(part.x, whole.x[:, :5])
    np.testing.assert_array_equal(cut.x, whole.x)
    np.testing.assert_array_equal(cut.v, whole.v)


def test_bits_of_a_systems_own_forces_may_depend_on_the_batch(charged):
    """So that a data set is made one trajectory at a time."""
    method = make_integrator("leapfrog")
    assert method.batch_invariant_for(charged)
    assert not method.batch_invariant_for(Lawless.of(charged))
    assert make_integrator("dop853").batch_invariant_for(Lawless.of(charged))


@pytest.mark.parametrize("name", ["leapfrog", "srkn6", "rk4"])
def test_a_trajectory_that_overflows_fails_alone(charged, name):
    state, particles = charged.sample(14, 3, 4)
    v = np.array(state.v)
    v[1, 0, 1] = 1e308
    system = Lawless.of(charged)
    run = advanced(name, system, (State(0.0, state.x, v), particles), 20)
    good = advanced(name, system, (state, particles), 20)
    assert run.status.tolist() == [0, -1, 0, 0]
    others = [0, 2, 3]
    np.testing.assert_allclose(run.x[others], good.x[others], rtol=0, atol=ROUNDING)


class Keeping(OnlyNumPy):
    """Its forces are always in the same array."""

    name = "keeping"

    def pair_acceleration(self, x, particles):
        made = super().pair_acceleration(x, particles)
        if not hasattr(self, "kept"):
            self.kept = np.empty_like(made)
        self.kept[:] = made
        return self.kept


@pytest.mark.parametrize("name", NAMES[:-2])
def test_a_system_may_return_one_array_again_and_again(name):
    start = OnlyNumPy().sample(2, 4, 2)
    first, second = (advanced(name, system(), start, 3) for system in (OnlyNumPy, Keeping))
    np.testing.assert_array_equal(first.x, second.x)


class Writing(OnlyNumPy):
    name = "writing"

    def pair_acceleration(self, x, particles):
        x += 1.0
        return x


class Unfit(OnlyNumPy):
    name = "unfit"

    def pair_acceleration(self, x, particles):
        return x[..., :1]


@pytest.mark.parametrize(
    ("system", "said"), [(Writing, "must leave its input as it is"), (Unfit, "must return a float")]
)
def test_forces_that_break_their_contract_are_named(system, said):
    start = OnlyNumPy().sample(2, 4)
    with pytest.raises(PluginError, match=f"'{system.name}' .*`pair_acceleration` {said}"):
        advanced("leapfrog", system(), start, 3)


@pytest.mark.parametrize(
    ("options", "parameter", "use"),
    [
        ({"device": "cuda"}, "device", "cpu"),
        ({"device": "mps"}, "device", "cpu"),
        ({"backend": "torch"}, "backend", "auto"),
    ],
)
def test_torch_is_refused(options, parameter, use):
    start = OnlyNumPy().sample(2, 4)
    with pytest.raises(InputError) as caught:
        make_integrator("leapfrog", **options).check(OnlyNumPy(), *start, 0.1)
    assert str(caught.value).startswith(f"`{parameter}` {options[parameter]!r} needs forces that")
    assert str(caught.value).endswith(f"use {use}")
    assert "\n" not in str(caught.value)


def test_an_automatic_device_is_the_cpu():
    start = OnlyNumPy().sample(2, 4)
    run = advanced("leapfrog", OnlyNumPy(), start, 3, device="auto")
    np.testing.assert_array_equal(run.x, advanced("leapfrog", OnlyNumPy(), start, 3).x)


def test_masses_of_each_trajectory_reach_the_forces():
    system = OnlyNumPy()
    state, _ = system.sample(5, 3, 2)
    masses = np.array([[1.0, 2.0, 3.0], [0.5, 4.0, 1.0]])
    particles = Particles(np.ones((2, 3)), masses)
    run = advanced("srkn6", system, (state, particles), 5, substeps=4)
    exact = simulate(system, state, particles, 5, "dop853")
    np.testing.assert_allclose(run.x, exact.x[:, 1:], rtol=0, atol=1e-7)
