"""What the compiled steps of `SET` are told: its weights in their layout, and its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.layers.fused import lanes_of, packed, padding

if TYPE_CHECKING:
    from nbody_set.model import SET

__all__ = ["COULOMB", "KERNEL", "NO_LAW", "Numbers", "Weights", "numbers_of", "weights_of"]

COULOMB, KERNEL, NO_LAW = 0, 1, 2
PRIORS = {"coulomb": COULOMB, "kernel": KERNEL, "none": NO_LAW}


class Weights(NamedTuple):
    """Parameters of a model, flat, one sub-step after the other; layers as of `packed`."""

    plain: np.ndarray  # from_pair: what does not depend on charges
    charged: np.ndarray  # and what is multiplied by q_i q_j
    nodes: np.ndarray  # from_nodes
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


class Numbers(NamedTuple):
    """Numbers of a model's config, and what follows from them."""

    lanes: int
    padded: int  # length of a row of features
    width: int
    heads: int
    history: int
    substeps: int
    basis: int
    prior: int
    coupling: float
    far: float
    softening: float
    frame_dt: float
    first_centre: float
    sigma: float
    bound: float  # negative: none
    gated: bool
    crowding: float
    drift: float
    kick: float
    speed: float
    least_charges: float
    most_charges: float
    least_inverse: float
    most_inverse: float
    circularity: float


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

    messages, updates, attention = model.messages, model.updates, model.attention
    pair = [each.from_pair for each in messages]
    key_value = attention.key_value
    radial = np.zeros(2 * config.basis)
    if config.prior != "coulomb":
        radial = _array(model.prior.radial.weight).ravel()
    kick, drift = _array(model.kick), _array(model.drift)
    return Weights(
        plain=layers(*((each.weight[:d], each.bias[:d]) for each in pair)),
        charged=layers(*((each.weight[d:], each.bias[d:]) for each in pair)),
        nodes=layers(*((each.from_nodes.weight, None) for each in messages)),
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
    )


def _times(shares: np.ndarray, frame_dt: float, dtype: np.dtype) -> np.ndarray:
    """Return palindromic shares that sum to 1, as times of a frame."""
    made = frame_dt * (shares + shares[::-1]) / (2.0 * shares.sum())
    return made.astype(dtype)


def numbers_of(model: SET) -> Numbers:
    """Return the numbers of a model."""
    config, domain = model.config, model.config.domain
    dtype = np.dtype(str(model.dtype).removeprefix("torch."))
    charges = (0.0, 1.0) if domain is None else domain.charges
    inverse = (0.0, 1.0) if domain is None else domain.inverse_masses
    return Numbers(
        lanes=lanes_of(dtype),
        padded=-(-config.width // padding(dtype)) * padding(dtype),
        width=config.width,
        heads=config.heads,
        history=config.history,
        substeps=config.substeps,
        basis=config.basis,
        prior=PRIORS[config.prior],
        coupling=float(config.coupling),
        far=float(model.prior.far.detach()) if config.prior == "kernel" else 0.0,
        softening=float(config.softening),
        frame_dt=float(config.frame_dt),
        first_centre=float(np.log(config.softening)),
        sigma=float(model.pair_features.sigma),
        bound=-1.0 if config.bound is None else float(config.bound),
        gated=domain is not None,
        crowding=1.0 if domain is None else float(domain.crowding),
        drift=1.0 if domain is None else float(domain.drift),
        kick=1.0 if domain is None else float(domain.kick),
        speed=1.0 if domain is None else float(domain.speed),
        least_charges=float(charges[0]),
        most_charges=float(charges[1]),
        least_inverse=float(inverse[0]),
        most_inverse=float(inverse[1]),
        circularity=0.0 if domain is None else float(domain.circularity),
    )
