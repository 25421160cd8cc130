"""The plugin door: all that the author of a system, an integrator or a surrogate needs.

Import from here and, for surrogates, from `nbody_surrogate.layers`. The modules behind may be
moved and split from release to release; these names stay. They are loaded when they are first
used, so that a system without torch stays one.

======================  ==========================================================================
to write                begin with
======================  ==========================================================================
a system                `AbstractSystem`, `SystemSpec`, `Draw`; as laws `PairLaw`,
                        `DirectedLaw`, `FieldLaw`; by forces of another program
                        `AbstractDearSystem`
an integrator           `AbstractIntegrator`, `IntegratorOptions`, `Problem`, `Carry`, `Frames`,
                        `AbstractErrorFollower`
a surrogate             `AbstractSurrogate`, `SurrogateConfig`, `ParticleTensors`, `Cache`,
                        `AbstractFusedSteps`
======================  ==========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbody_surrogate.lazy import lazy_names

if TYPE_CHECKING:
    from nbody_surrogate.contracts.box import Box
    from nbody_surrogate.contracts.capabilities import (
        CAPABILITIES,
        HIDDEN_VARIABLES,
        NEIGHBOURS,
        PERIODIC_BOX,
        RANDOM_KICKS,
    )
    from nbody_surrogate.contracts.configurations import Configurations, fits, paired
    from nbody_surrogate.contracts.dear_system import AbstractDearSystem, Evaluated
    from nbody_surrogate.contracts.device import resolve_device, resolve_dtype, torch_threads
    from nbody_surrogate.contracts.domain import Domain, DomainRanges
    from nbody_surrogate.contracts.error_follower import AbstractErrorFollower
    from nbody_surrogate.contracts.force_laws import DirectedLaw, FieldLaw, ForceLaws, PairLaw
    from nbody_surrogate.contracts.fused_steps import AbstractFusedSteps
    from nbody_surrogate.contracts.hidden_variables import Hidden, HiddenVariable
    from nbody_surrogate.contracts.integrator import AbstractIntegrator, IntegratorOptions
    from nbody_surrogate.contracts.kicks import SystemKicks
    from nbody_surrogate.contracts.model_card import Card, CardSystem
    from nbody_surrogate.contracts.needs import SystemNeeds
    from nbody_surrogate.contracts.neighbours import (
        NeighbourRequest,
        Neighbours,
        every_pair,
        neighbour_pairs,
    )
    from nbody_surrogate.contracts.scenery import (
        Arrow,
        Bonds,
        Curve,
        Ellipsoid,
        Rods,
        Shape,
        SystemScenery,
    )
    from nbody_surrogate.contracts.segment import Carry, Frames, Limits, Problem, Segment, Tick
    from nbody_surrogate.contracts.state import Particles, State
    from nbody_surrogate.contracts.surrogate import (
        AbstractSurrogate,
        Cache,
        ParticleTensors,
        SurrogateConfig,
    )
    from nbody_surrogate.contracts.system import AbstractSystem
    from nbody_surrogate.contracts.system_spec import Draw, Invariants, SystemSpec, stacked
    from nbody_surrogate.contracts.threads import threads_that_pay, usable_cores
    from nbody_surrogate.contracts.torch_force_laws import (
        directed_force,
        field_acceleration,
        pair_force,
    )
    from nbody_surrogate.errors import (
        InputError,
        NBodyError,
        NBodyWarning,
        PluginError,
        RunError,
        warn,
    )
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "nbody_surrogate.contracts.box": ["Box"],
            "nbody_surrogate.contracts.capabilities": [
                "CAPABILITIES",
                "HIDDEN_VARIABLES",
                "NEIGHBOURS",
                "PERIODIC_BOX",
                "RANDOM_KICKS",
            ],
            "nbody_surrogate.contracts.configurations": ["Configurations", "fits", "paired"],
            "nbody_surrogate.contracts.dear_system": ["AbstractDearSystem", "Evaluated"],
            "nbody_surrogate.contracts.device": [
                "resolve_device",
                "resolve_dtype",
                "torch_threads",
            ],
            "nbody_surrogate.contracts.domain": ["Domain", "DomainRanges"],
            "nbody_surrogate.contracts.error_follower": ["AbstractErrorFollower"],
            "nbody_surrogate.contracts.force_laws": [
                "DirectedLaw",
                "FieldLaw",
                "ForceLaws",
                "PairLaw",
            ],
            "nbody_surrogate.contracts.fused_steps": ["AbstractFusedSteps"],
            "nbody_surrogate.contracts.hidden_variables": ["Hidden", "HiddenVariable"],
            "nbody_surrogate.contracts.integrator": ["AbstractIntegrator", "IntegratorOptions"],
            "nbody_surrogate.contracts.kicks": ["SystemKicks"],
            "nbody_surrogate.contracts.model_card": ["Card", "CardSystem"],
            "nbody_surrogate.contracts.needs": ["SystemNeeds"],
            "nbody_surrogate.contracts.neighbours": [
                "NeighbourRequest",
                "Neighbours",
                "every_pair",
                "neighbour_pairs",
            ],
            "nbody_surrogate.contracts.scenery": [
                "Arrow",
                "Bonds",
                "Curve",
                "Ellipsoid",
                "Rods",
                "Shape",
                "SystemScenery",
            ],
            "nbody_surrogate.contracts.segment": [
                "Carry",
                "Frames",
                "Limits",
                "Problem",
                "Segment",
                "Tick",
            ],
            "nbody_surrogate.contracts.state": ["Particles", "State"],
            "nbody_surrogate.contracts.surrogate": [
                "AbstractSurrogate",
                "Cache",
                "ParticleTensors",
                "SurrogateConfig",
            ],
            "nbody_surrogate.contracts.system": ["AbstractSystem"],
            "nbody_surrogate.contracts.system_spec": [
                "Draw",
                "Invariants",
                "SystemSpec",
                "stacked",
            ],
            "nbody_surrogate.contracts.threads": ["threads_that_pay", "usable_cores"],
            "nbody_surrogate.contracts.torch_force_laws": [
                "directed_force",
                "field_acceleration",
                "pair_force",
            ],
            "nbody_surrogate.errors": [
                "InputError",
                "NBodyError",
                "NBodyWarning",
                "PluginError",
                "RunError",
                "warn",
            ],
        },
    )

__all__ = [
    "CAPABILITIES",
    "HIDDEN_VARIABLES",
    "NEIGHBOURS",
    "PERIODIC_BOX",
    "RANDOM_KICKS",
    "AbstractDearSystem",
    "AbstractErrorFollower",
    "AbstractFusedSteps",
    "AbstractIntegrator",
    "AbstractSurrogate",
    "AbstractSystem",
    "Arrow",
    "Bonds",
    "Box",
    "Cache",
    "Card",
    "CardSystem",
    "Carry",
    "Configurations",
    "Curve",
    "DirectedLaw",
    "Domain",
    "DomainRanges",
    "Draw",
    "Ellipsoid",
    "Evaluated",
    "FieldLaw",
    "ForceLaws",
    "Frames",
    "Hidden",
    "HiddenVariable",
    "InputError",
    "IntegratorOptions",
    "Invariants",
    "Limits",
    "NBodyError",
    "NBodyWarning",
    "NeighbourRequest",
    "Neighbours",
    "PairLaw",
    "ParticleTensors",
    "Particles",
    "PluginError",
    "Problem",
    "Rods",
    "RunError",
    "Segment",
    "Shape",
    "State",
    "SurrogateConfig",
    "SystemKicks",
    "SystemNeeds",
    "SystemScenery",
    "SystemSpec",
    "Tick",
    "directed_force",
    "every_pair",
    "field_acceleration",
    "fits",
    "neighbour_pairs",
    "pair_force",
    "paired",
    "resolve_device",
    "resolve_dtype",
    "stacked",
    "threads_that_pay",
    "torch_threads",
    "usable_cores",
    "warn",
]
