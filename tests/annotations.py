"""Annotations are executed: shapes by jaxtyping, the rest by beartype."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing

import jaxtyping
import numpy as np
from jaxtyping import config, install_import_hook, jaxtyped

# Two leniences: an int will do where a float is announced, as every type checker has it, and
# `Self` passes unchecked, since beartype resolves it only where it decorates whole classes, while
# the hook decorates functions.
TYPECHECKER = (
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True,"
    " violation_type=__import__('jaxtyping').TypeCheckError,"
    " hint_overrides=beartype.FrozenDict("
    "{beartype.typing.Self: beartype.typing.Any})))"
)

# Of nbody_simulators and nbody_set only what holds no compiled code: the hook wraps every function,
# nested ones too, and numba can compile neither a wrapped kernel (lanes, forces, splitting, rk4,
# boris) nor a wrapped law (all systems). The core checks what goes into their public methods and
# what comes out.
CHECKED = [
    "nbody_surrogate",
    "nbody_simulators.integrators.compiled_dop853",
    "nbody_simulators.integrators.cyrk",
    "nbody_simulators.integrators.fixed_step",
    "nbody_simulators.systems.law_system",
    "nbody_simulators.integrators.scipy_solvers",
    "nbody_simulators.integrators.threads",
    "nbody_simulators.integrators.torch_steps",
    "nbody_set.domain",
    "nbody_set.model",
    "nbody_set.paper",
    "nbody_set.training.kernel",
    "nbody_baselines",
]

# These take whatever a stranger hands over, array_like or not, and check it themselves; the last is
# compiled, see above.
UNCHECKED = {
    "nbody_surrogate.contracts.state",
    "nbody_surrogate.contracts.hidden_variables",
    "nbody_surrogate.contracts.scenery",
    # Functions that are compiled, or make code, a thousand calls for each kernel.
    "nbody_surrogate.discovery.breaking_kernel",
    "nbody_surrogate.discovery.kernels",
    "nbody_surrogate.discovery.whiten_kernel",
    "nbody_surrogate.layers.code",
    "nbody_surrogate.layers.code_functions",
    "nbody_surrogate.layers.fused",
    "nbody_set.fused.arguments",
    "nbody_set.fused.compiled",
    "nbody_set.fused.gate",
    "nbody_set.fused.kernel",
    "nbody_set.fused.pairs",
    "nbody_set.fused.particles",
    "nbody_set.symplectic_kernel",
}


def execute():
    """Check the annotations of whatever is imported from now on."""
    jaxtyping.jaxtyped = checked  # which the hook puts above every function and class
    install_import_hook(CHECKED, TYPECHECKER)


def checked(what=None, *, typechecker):
    """Stand in for `jaxtyping.jaxtyped`, whose cost was half of that of all tests.

    It binds the arguments of each call to the signature, checks them twice, and makes room for the
    names of axes where none is announced. Here the type checker is called once, and room is made
    where it is needed; errors are the same. What is called often is not checked each time.
    """
    if what is None:
        return functools.partial(checked, typechecker=typechecker)
    if what.__module__ in UNCHECKED:
        return what
    if isinstance(what, type):
        if dataclasses.is_dataclass(what) and "__init__" in vars(what):
            what.__init__ = checked(what.__init__, typechecker=typechecker)
        return what
    hints = {name: resolved(hint, what.__globals__) for name, hint in what.__annotations__.items()}
    if inspect.isgeneratorfunction(what):
        return jaxtyped(annotated(what, hints), typechecker=typechecker)
    once = typechecker(annotated(what, hints))
    return sampled(once, what, any(map(has_shape, hints.values())))


def resolved(hint, names):
    """Turn an annotation into a type; where only a static type checker can, anything will do."""
    holder = types.SimpleNamespace(__annotations__={"value": hint})
    known = {**SHAPED, **UNTOLD}
    try:
        return typing.get_type_hints(holder, names, known, include_extras=True)["value"]
    except Exception:
        return typing.Any


def annotated(function, hints):
    """Return the function under other annotations, and leave the original as it is."""
    code, names, name = function.__code__, function.__globals__, function.__name__
    other = types.FunctionType(code, names, name, function.__defaults__, function.__closure__)
    other.__kwdefaults__, other.__doc__ = function.__kwdefaults__, function.__doc__
    other.__qualname__, other.__module__ = function.__qualname__, function.__module__
    other.__annotations__ = hints
    return other


def has_shape(hint):
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(has_shape, typing.get_args(hint)))


SHAPED = {name: getattr(jaxtyping, name) for name in ("Bool", "Float64", "Int64", "UInt8")}
SHAPED["np"] = np
"""What modules import for type checkers alone, as it takes long, and is executed all the same."""

UNTOLD = {"ArrayLike": typing.Any}
"""What hardly anything is not, text included. To look took half the time of a right-hand side: it
asks protocols, which Python 3.11 does slowly. Whoever takes it checks it all the same."""

OFTEN, EVERY = 50, 50
"""Calls after which a function is checked in every 50th call. Those of a right-hand side are all
alike, and the tests make hundreds of thousands of them."""


def sampled(once, function, shaped):
    """Check the first calls and then some; an axis has one length for all arguments and results."""
    calls = 0

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        nonlocal calls
        __tracebackhide__ = True
        calls += 1
        if (calls > OFTEN and calls % EVERY) or config.jaxtyping_disable:
            return function(*args, **kwargs)
        if not shaped:
            return once(*args, **kwargs)
        with jaxtyped("context"):
            return once(*args, **kwargs)

    return wrapped
