"""Parameters of all built-in systems: which are refused, and what each acts on."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from built_in_systems import HIDDEN, build, class_of, every_case, somewhere, with_hidden_ones
from nbody_surrogate import InputError
from nbody_surrogate.contracts.system_spec import SystemSpec


def one_line(caught, *parts):
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


SAMPLER = "sampler: "
"""How the descriptions of parameters begin that do not enter the equations of motion."""
CURVE = {
    "power": -3,
    "core": 0.2,
    "screening_length": 2.0,
    "scale": 0.7,
    "first": 0.0,
    "spacing": 0.1,
    "coefficients": (1.0, 1.5, 1.2, 0.8, 0.9),
}
SURFACE = {
    **{key: CURVE[key] for key in CURVE if key != "coefficients"},
    "coefficients_rho": np.linspace(0.1, 0.5, 20).reshape(5, 4).tolist(),
    "coefficients_z": np.linspace(-0.3, 0.3, 20).reshape(5, 4).tolist(),
    "height_scale": 0.5,
    "height_first": -1.5,
    "height_spacing": 1.0,
}
WRONG = {
    "bath": [("oscillators", 0, ">= 1"), ("memory_time", 0.0, "> 0"), ("friction", -1.0, ">= 0")],
    "charged": [("softening", -0.1, ">= 0"), ("charge_range", (3, 1), "0 <= lo <= hi")],
    "charged-clipped": [("clip", 0.0, "> 0"), ("spread", 0.0, "> 0"), ("softening", 0.1, "clip")],
    "charging": [("delay", 0.0, "> 0"), ("scatter", 1.5, "<= 1"), ("range", 0.0, "> 0")],
    "discovered": [
        ("drag", -0.1, ">= 0"),
        ("temperature", -0.1, ">= 0"),
        ("dimensions", 4, "<= 3"),
        ("masses", (0.0,) * 8, "> 0"),
        ("masses", (1.0,) * 7, "8 numbers"),
        ("couplings", ((1.0,) * 8,) * 7, "(8, 8)"),
        ("couplings", np.triu(np.ones((8, 8))).tolist(), "symmetric"),
        ("starts_x", (((1.0, 2.0, 3.0),) * 7,), "(1, 8, 3)"),
        ("starts_x", (((1.0, 2.0, 3.0),) * 8,), "as many starts"),
        ("pair", CURVE | {"power": -1.5}, "integer"),
        ("pair", CURVE | {"power": 16}, "<= 15"),
        ("pair", CURVE | {"scale": 0.0}, "> 0"),
        ("pair", CURVE | {"screening_length": 0.0}, "> 0"),
        ("pair", CURVE | {"coefficients": (1.0,) * 3}, "at least 4"),
        ("pair", CURVE | {"coefficients": (1.0,) * 65}, "at most 64"),
        ("pair", CURVE | {"spacing": 0.4}, "below 1"),
        ("pair", CURVE | {"core": 0.0, "first": -0.1}, "above 0"),
        ("pair", CURVE | {"code": "os"}, "not a parameter"),
    ],
    "dust": [
        ("screening_length", 0.0, "> 0"),
        ("wake_softening", 0.0, "> 0"),
        ("drag", -0.1, ">= 0"),
        ("temperature", -0.1, ">= 0"),
        ("charge_spread", 2.0, "<= 1"),
    ],
    "gravity": [("softening", -0.1, ">= 0"), ("mass_range", (0, 1), "0 < lo <= hi")],
    "oscillator": [("frequency", 0.0, "> 0")],
    "pendulum": [
        ("gravity", 0.0, "> 0"),
        ("length", -1.0, "> 0"),
        ("amplitude", 3.2, "<= 3.14159"),
        ("speed", -0.1, ">= 0"),
    ],
    "penning": [("softening", -0.1, ">= 0"), ("mass_range", (2, 1), "0 < lo <= hi")],
    "spheres": [("permittivity", 0.5, ">= 1"), ("order", -1, ">= 0"), ("least_gap", 0.0, "> 0")],
    "springs": [("stiffness", -0.1, ">= 0")],
    "ties": [("waiting", 0.0, "> 0"), ("edge", 0.0, "> 0"), ("stiffness", -1.0, ">= 0")],
    "trap": [("frequencies", (1, 1, -1), ">= 0"), ("mass_range", (-1, 1), "0 < lo <= hi")],
}


MAY_BE_NONE = {"permittivity", "screening_length", "truncation", "pair", "directed", "couplings"}
OTHER = {
    "order": 4,
    "permittivity": 4.0,
    "dimensions": 2,
    "pair": CURVE,
    "directed": SURFACE,
    "couplings": np.full((8, 8), 2.0).tolist(),
    "starts_x": np.arange(24.0).reshape(1, 8, 3).tolist(),
    "starts_v": np.arange(24.0).reshape(1, 8, 3).tolist(),
}
"""Values that differ from the default, where the rules of `altered` have none or a dear one."""
ZEROS = np.zeros((1, 8, 3)).tolist()
BESIDE = {
    "truncation": {"order": 2},
    "pair_distance": {"pairs": 1},
    "pair_speed": {"pairs": 1},
    "drag_power": {"drag": 0.1},
    "temperature": {"drag": 0.1},
    "starts_x": {"starts_x": ZEROS, "starts_v": ZEROS},
    "starts_v": {"starts_x": ZEROS, "starts_v": ZEROS},
}
"""What a parameter acts beside only: a low order, or some pairs."""
OF_BOTH = {"least_gap"}
"""Parameters of forces that say which starts there may be."""
RELAXED = {"dust", *HIDDEN}
"""Systems whose starts are relaxed by their forces."""


def own_fields(name):
    """Fields of the system's own, by name."""
    fields = class_of(name).Spec.model_fields
    return {key: field for key, field in fields.items() if key not in SystemSpec.model_fields}


@with_hidden_ones
def test_an_unknown_parameter_is_one_line_with_the_known_ones(name):
    with pytest.raises(InputError) as caught:
        build(name, nonsense=1.0)
    one_line(caught, "`nonsense`", f"system {name!r}", *own_fields(name), "frame_dt")


@with_hidden_ones
def test_parameters_out_of_range_are_one_line(name):
    for key, value, range_ in WRONG[name]:
        with pytest.raises(InputError) as caught:
            build(name, **{key: value})
        one_line(caught, f"`{key}", f"system {name!r}", range_)


@with_hidden_ones
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "much"])
def test_every_parameter_must_be_a_finite_number_or_of_its_kind(name, value):
    for key, field in own_fields(name).items():
        if value is None and key in MAY_BE_NONE:
            continue
        many = isinstance(field.default, tuple) and field.default
        wrong = (value,) * len(field.default) if many else value
        with pytest.raises(InputError) as caught:
            build(name, **{key: wrong})
        one_line(caught, f"`{key}", f"system {name!r}")


@with_hidden_ones
def test_every_parameter_is_described(name):
    assert all(field.description for field in own_fields(name).values())


@every_case
def test_parameters_survive_json(name, parameters):
    spec = build(name, **parameters).spec
    assert type(spec)(**json.loads(spec.model_dump_json())) == spec


def altered(value):
    """Another valid value of a parameter."""
    if isinstance(value, tuple):
        return tuple(1.3 * part + 0.1 * k for k, part in enumerate(value))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return 1.3 * value if value else 1.0
    return "equal"


@with_hidden_ones
def test_every_parameter_acts_on_the_forces_or_on_the_starts_as_described(name):
    at = somewhere(build(name), 1, 3)
    for key, field in own_fields(name).items():
        known = own_fields(name)
        others = {other: y for other, y in BESIDE.get(key, {}).items() if other in known}
        system = build(name, **others)
        forces, starts = motion(system, *at), drawn(system)
        changed = OTHER[key] if key in OTHER else altered(field.default)
        other = build(name, **(others | {key: changed}))
        of_sampler = field.description.startswith(SAMPLER)
        same = np.array_equal(motion(other, *at), forces)
        kicks = other.bath_temperature != system.bath_temperature
        assert (same and not kicks) == of_sampler, key
        if key not in OF_BOTH and name not in RELAXED:
            assert np.array_equal(drawn(other), starts) != of_sampler, key


def motion(system, x, v, particles):
    """All that the equations of motion give: accelerations, and rates of what is hidden."""
    shapes = {
        each.name: (1, *each.axes(particles.n, x.shape[2])) for each in system.hidden_variables
    }
    if not shapes:
        return system.acceleration(x, v, particles)
    behind = {
        key: np.linspace(0.5, 1.5, math.prod(axes)).reshape(axes) for key, axes in shapes.items()
    }
    rates = system.hidden_rate(x, v, particles, behind)
    parts = (system.acceleration(x, v, particles, behind), *rates.values())
    return np.concatenate([part.ravel() for part in parts])


def drawn(system):
    """All numbers of a start in one row; with spread 1, N = 40 reaches the walls."""
    state, particles = system.sample(2, 40)
    parts = (state.x, state.v, particles.charges, particles.masses, *state.hidden.values())
    return np.concatenate([part.ravel() for part in parts])
