"""The weights of `SET` as its compiled steps want them, and its numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbody_surrogate.layers.fused import packed, padding

if TYPE_CHECKING:
    from nbody_set.model import SET

__all__ = ["COULOMB", "KERNEL", "NO_LAW", "RATES", "Weights", "numbers_of", "weights_of"]

COULOMB, KERNEL, NO_LAW = 0, 1, 2
RATES = 6
"""Features of a pair beside its Gaussians."""
PRIORS = {"coulomb": COULOMB, "kernel": KERNEL, "none": NO_LAW}


class Weights(NamedTuple):
    """Parameters of a model, flat, one sub-step after the other; layers as of `packed`."""

    plain: np.ndarray  # from_pair: what does not depend on charges
    charged: np.ndarray  # and what is multiplied by q_i q_j
    nodes_layer: np.ndarray  # from_nodes
    message: np.ndarray  # to_message
    force: np.ndarray  # to_force, a row a sub-step
    from_features: np.ndarray  # of Update
    from_messages: np.ndarray
    to_features: np.ndarray
    attention: np.ndarray  # query, key, value and out
    lag_bias: np.ndarray  # (H * L,)
    initial: np.ndarray  # a row
    radial: np.ndarray  # (2 G,) of the prior: charged, plain
    inverse_range: np.ndarray  # (K,)
    kick: np.ndarray  # (K,) times
    drift: np.ndarray  # (K + 1,)
    centres: np.ndarray  # (G,) from the first, in spacings


def _array(tensor: object) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()  # type: ignore[attr-defined, no-any-return]


def weights_of(model: SET) -> Weights:
    """Lay out the weights of a model in its dtype."""
    dtype = np.dtype(str(model.dtype).removeprefix("torch."))
    config, d = model.config, model.config.width

    def layers(*pairs: tuple[object, object]) -> np.ndarray:
        made = [packed(_array(w), None if b is None else _array(b), dtype) for w, b in pairs]
        return np.concatenate(made) if made else np.zeros(0, dtype)

    def row(y: np.ndarray) -> np.ndarray:
        return np.pad(y, (0, -len(y) % padding(dtype))).astype(dtype)

    messages: list[Any] = list(model.messages)
    updates: list[Any] = list(model.updates)
    attention = model.attention
    pair = [each.from_pair for each in messages]
    key_value = attention.key_value
    radial = np.zeros(2 * config.basis)
    if config.prior != "coulomb":
        radial = _array(model.prior.radial.weight).ravel()
    kick, drift = _array(model.kick), _array(model.drift)
    return Weights(
        plain=layers(*((each.weight[:d], each.bias[:d]) for each in pair)),
        charged=layers(*((each.weight[d:], each.bias[d:]) for each in pair)),
        nodes_layer=layers(*((each.from_nodes.weight, None) for each in messages)),
        message=layers(*((each.to_message.weight, each.to_message.bias) for each in messages)),
        force=np.concatenate([row(_array(each.to_force.weight)[0]) for each in messages]),
        from_features=layers(*((u.from_features.weight, u.from_features.bias) for u in updates)),
        from_messages=layers(*((u.from_messages.weight, None) for u in updates)),
        to_features=layers(*((u.to_features.weight, u.to_features.bias) for u in updates)),
        attention=layers(
            (attention.query.weight, attention.query.bias),
            (key_value.weight[:d], key_value.bias[:d]),
            (key_value.weight[d:], key_value.bias[d:]),
            (attention.out.weight, attention.out.bias),
        ),
        lag_bias=_array(attention.lag_bias).ravel().astype(dtype),
        initial=row(_array(model.initial_features)),
        radial=radial.astype(dtype),
        inverse_range=np.exp([-float(each.log_range.detach()) for each in messages]).astype(dtype),
        kick=_times(kick, config.frame_dt, dtype),
        drift=_times(drift, config.frame_dt, dtype),
        centres=(
            (_array(model.pair_features.centres) - math.log(config.softening))
            / model.pair_features.sigma
        ).astype(dtype),
    )


def _times(shares: np.ndarray, frame_dt: float, dtype: np.dtype) -> np.ndarray:
    """Return palindromic shares that sum to 1, as times of a frame."""
    made: np.ndarray = (frame_dt * (shares + shares[::-1]) / (2.0 * shares.sum())).astype(dtype)
    return made


def numbers_of(model: SET) -> tuple[dict[str, int], dict[str, float]]:
    """Return the sizes of a model, and its real numbers, by the names in `arguments`."""
    config, domain = model.config, model.config.domain
    dtype = np.dtype(str(model.dtype).removeprefix("torch."))
    sizes = {
        "padded": -(-config.width // padding(dtype)) * padding(dtype),
        "width": config.width,
        "heads": config.heads,
        "history": config.history,
        "substeps": config.substeps,
        "basis": config.basis,
        "prior": PRIORS[config.prior],
        "bounded": int(config.bound is not None),
        "gated": int(domain is not None),
    }
    tau = config.frame_dt / config.substeps
    reals = {
        "coupling": config.coupling,
        "far": float(model.prior.far.detach()) if config.prior == "kernel" else 0.0,
        "softening": config.softening,
        "frame_dt": config.frame_dt,
        "tau": tau,
        "first_centre": math.log(config.softening),
        "per_sigma": 1.0 / model.pair_features.sigma,
        "bound": config.bound or 0.0,
        "crowding": 1.0 if domain is None else domain.crowding,
        "drift_limit": 1.0 if domain is None else domain.drift,
        "kick_limit": 1.0 if domain is None else domain.kick,
        "speed": 1.0 if domain is None else domain.speed,
        "circularity": 0.0 if domain is None else domain.circularity,
    }
    return sizes, reals
