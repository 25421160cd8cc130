"""Training `SET` on a CPU: the sub-steps of `model.py` as compiled functions with gradients.

The same arithmetic as `SET.forward` while it trains, so without the gate of the domain; attention
and an external field stay in torch. Here samples are innermost, (N, D, S) and (P, D, S), so that
a vector lane is a sample.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nbody_set.training.attention import attention_backward, attention_forward, masks_of
from nbody_set.training.blocks import substep_backward, substep_forward
from nbody_set.training.edges import COULOMB, KERNEL, NONE
from nbody_set.training.lanes import BLOCK, FAR, RADIAL, UPDATES
from nbody_surrogate.contracts import ParticleTensors, field_acceleration, warn
from nbody_surrogate.layers.fused import over_trajectories

if TYPE_CHECKING:
    from nbody_set.model import SET

__all__ = ["fits", "forward"]

PRIORS = {"coulomb": COULOMB, "kernel": KERNEL, "none": NONE}
SAMPLES = 96  # samples that are followed together: what their particles have stays in a cache
TILE = 192  # pairs times samples whose messages are made together: some 150 rows of 768 bytes


def fits(model: SET, x: Tensor, particles: ParticleTensors) -> bool:
    """Whether windows x (B, T, N, D) can be trained on by compiled code; else torch has to."""
    learned = particles.charges.requires_grad or particles.masses.requires_grad
    if learned or x.device.type != "cpu" or x.shape[2] < 2 or x.numel() == 0:
        return False
    return _compiled(type(model), model.dtype)


@cache
def _compiled(cls: type[SET], dtype: torch.dtype) -> bool:
    """Compile the kernels by a step of the smallest model; say so, once, where it fails."""
    ones = torch.ones((1, 2), dtype=dtype)
    x = torch.arange(6, dtype=torch.float64).view(1, 1, 2, 3)
    with torch.random.fork_rng(devices=[]):  # no draw of a training may depend on it
        model = cls(cls.Config(width=2, heads=1, substeps=2, basis=2)).to(dtype)
    try:
        dx, dv = forward(model, x, x, ParticleTensors(ones, ones), 1.0)
        (dx.sum() + dv.sum()).backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # numba's own, of the compiler, of the folder of its cache
        reason = " ".join(str(error).split())[:200]
        warn(f"`set` trains without its compiled code: {type(error).__name__}: {reason}")
        return False
    return True


class Constants(NamedTuple):
    """What is the same for all sub-steps of a frame, as arrays."""

    of_pairs: tuple[np.ndarray, ...]  # i, j (P,), q_i q_j, 1 / m_i + 1 / m_j (P, S)
    masses: np.ndarray  # (N, S)
    shape: np.ndarray
    numbers: np.ndarray


def forward(
    model: SET, x: Tensor, v: Tensor, particles: ParticleTensors, largest: float
) -> tuple[Tensor, Tensor]:
    """Return the increments of windows x, v (B, T, N, D), as `SET.forward` does.

    `largest` is the largest share of a bounded correction.
    """
    batch, frames, n, dims = x.shape
    xs, vs = (y.permute(2, 3, 0, 1).reshape(n, dims, -1) for y in (x, v))
    i, j = torch.triu_indices(n, n, offset=1)
    constants = _constants(model, particles, frames, (i, j), dims, largest)
    # Far from the origin, float32 positions would have lost the digits that differences need.
    r, w = ((y.index_select(0, i) - y.index_select(0, j)).to(model.dtype) for y in (xs, vs))
    xs, vs = xs.to(model.dtype), vs.to(model.dtype)
    kick, drift = (_shares(y) * model.config.frame_dt for y in (model.kick, model.drift))
    shares = torch.stack([kick, drift[1:]], dim=1).unbind()
    h = model.initial_features[:, None].expand(n, -1, xs.shape[-1]).contiguous()
    dv = torch.zeros_like(vs)
    state = (r + drift[0] * w, w, torch.zeros_like(r), drift[0] * vs, dv, h)
    field = _field_of(particles, frames)
    for k in range(model.config.substeps):
        kicks = torch.zeros_like(vs) if field is None else field(xs + state[3], vs + state[4])
        state = _Substep.apply(constants, vs, kicks, shares[k], *state, *_weights(model, k))  # type: ignore[no-untyped-call]
        if k == 0:
            state = (*state[:5], _attended(model, state[5], batch))
    dx, dv = (y.view(n, dims, batch, frames).permute(2, 3, 0, 1) for y in state[3:5])
    return dx, dv


def _shares(weights: Tensor) -> Tensor:
    return (weights + weights.flip(0)) / (2 * weights.sum())


def _attended(model: SET, h: Tensor, batch: int) -> Tensor:
    """Add what each particle's last L frames say to its features (N, d, S)."""
    layer, frames = model.attention, h.shape[2] // batch
    query, key_value = _mapped(layer.query, h), _mapped(layer.key_value, h)
    key, value = key_value.chunk(2, dim=1)
    bias = layer.lag_bias[:, : min(layer.history, frames)]
    mixed = _Attention.apply(query, key, value, bias, frames)  # type: ignore[no-untyped-call]
    return h + _mapped(layer.out, mixed)


def _mapped(layer: torch.nn.Linear, h: Tensor) -> Tensor:
    """Apply a linear layer to features (N, d, S)."""
    return torch.matmul(layer.weight, h) + layer.bias[:, None]


def _field_of(particles: ParticleTensors, frames: int) -> Any:
    """Return the accelerations (N, D, S) by an external field as a function of x and v."""
    law = particles.field
    if law is None:
        return None
    charges, masses = (_per_sample(y, frames) for y in (particles.charges, particles.masses))

    def field(x: Tensor, v: Tensor) -> Tensor:
        a = field_acceleration(law, x.transpose(1, 2), v.transpose(1, 2), charges, masses)
        return a.transpose(1, 2).contiguous()

    return field


def _per_sample(y: Tensor, frames: int) -> Tensor:
    """Map properties of particles (B, N) to (N, S)."""
    return y.T[:, :, None].expand(-1, -1, frames).reshape(y.shape[1], -1)


def _constants(
    model: SET,
    particles: ParticleTensors,
    frames: int,
    pairs: tuple[Tensor, Tensor],
    dims: int,
    largest: float,
) -> Constants:
    config, features = model.config, model.pair_features
    charges, masses = (
        _per_sample(y.to(model.dtype), frames) for y in (particles.charges, particles.masses)
    )
    i, j = pairs
    of_pairs = charges[i] * charges[j], 1 / masses[i] + 1 / masses[j]
    samples = charges.shape[1]
    lanes = -(-samples // -(-samples // SAMPLES))  # blocks of about the same size
    learned = config.prior != "coulomb"
    shape = [
        dims,
        config.width,
        config.basis,
        0,  # of updates, which each sub-step sets
        config.basis if learned else 0,
        int(config.prior == "kernel"),
        lanes,
        max(TILE, lanes),
    ]
    numbers = [
        config.softening**2,
        features.tau,
        config.coupling,
        config.bound or 0.0,
        largest,
        float(np.log(config.softening)),
        features.sigma,
        PRIORS[config.prior],
    ]
    return Constants(
        (i.numpy(), j.numpy(), *(y.numpy() for y in of_pairs)),
        masses.numpy(),
        np.array(shape),
        np.array(numbers),
    )


def _weights(model: SET, k: int) -> list[Tensor]:
    """Return the weights of a sub-step, in the order in which the kernels read them."""
    messages: Any = model.messages[k]  # of a list of modules, which forgets of what kind
    prior = model.prior
    learned = [] if prior.kind == "coulomb" else [prior.radial.weight]
    if prior.kind == "kernel":
        learned.append(prior.far)
    of_messages = [
        messages.from_pair.weight,
        messages.from_pair.bias,
        messages.to_message.weight,
        messages.to_message.bias,
        messages.to_force.weight,
        messages.log_range,
        *learned,
        messages.from_nodes.weight,
    ]
    if k == len(model.updates):
        return of_messages
    update: Any = model.updates[k]
    return [
        *of_messages,
        update.from_features.weight,
        update.from_features.bias,
        update.from_messages.weight,
        update.to_features.weight,
        update.to_features.bias,
    ]


class _Substep(torch.autograd.Function):
    """One sub-step: kicks by central pair forces and the field, then a drift."""

    @staticmethod
    def forward(
        ctx: Any, constants: Constants, v: Tensor, field: Tensor, shares: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        state, weights = rest[:6], rest[6:]
        flat = torch.cat([y.flatten() for y in weights])
        out = tuple(torch.empty_like(y, memory_format=torch.contiguous_format) for y in state)
        acc, received = torch.empty_like(v), torch.empty_like(state[5])
        shape = constants.shape.copy()
        of_messages = 7 + int(shape[RADIAL] > 0) + shape[FAR]
        shape[UPDATES] = len(weights) > of_messages  # after the last kick nobody reads features
        r, w, a, dx, dv, h = (y.contiguous() for y in state)
        v, field = v.contiguous(), field.contiguous()
        arguments = (
            _arrays(r, w, a, dx, dv, h),
            constants.of_pairs,
            (*_arrays(v, field), constants.masses),
            *_arrays(flat, shares),
            shape,
            constants.numbers,
            _arrays(*out),
            _arrays(acc, received),
        )
        _on_blocks(substep_forward, arguments, _blocks(v, shape))
        ctx.save_for_backward(r, w, a, h, v, field, flat, shares, out[1], out[4], acc, received)
        ctx.constants, ctx.shape, ctx.sizes = constants, shape, [y.shape for y in weights]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> tuple[Any, ...]:
        r, w, a, h, v, field, flat, shares, new_w, new_dv, acc, received = ctx.saved_tensors
        given = tuple(y.contiguous() for y in given)
        wanted = tuple(torch.empty_like(y) for y in (r, w, a, v, h))
        to_field, to_v = torch.empty_like(v), torch.empty_like(v)
        blocks = _blocks(v, ctx.shape)
        of_flat, of_shares = flat.new_zeros((blocks, len(flat))), shares.new_zeros((blocks, 2))
        arguments = (
            _arrays(r, w, a, h),
            ctx.constants.of_pairs,
            (*_arrays(v, field), ctx.constants.masses),
            *_arrays(flat, shares),
            ctx.shape,
            ctx.constants.numbers,
            _arrays(new_w, new_dv),
            _arrays(acc, received),
            _arrays(*given),
            _arrays(*wanted),
            *_arrays(to_field, to_v, of_flat, of_shares),
        )
        _on_blocks(substep_backward, arguments, blocks)
        parts = of_flat.sum(0).split([size.numel() for size in ctx.sizes])
        of_weights = [part.view(size) for part, size in zip(parts, ctx.sizes, strict=True)]
        of_r, of_w, of_a, of_dv, of_h = wanted
        return (
            None,
            to_v,
            to_field,
            of_shares.sum(0),
            of_r,
            of_w,
            of_a,
            given[3],
            of_dv,
            of_h,
            *of_weights,
        )


class _Attention(torch.autograd.Function):
    """Values (N, d, S) mixed by a softmax over lags."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, frames: int
    ) -> Tensor:
        query, key, value, bias = (y.contiguous() for y in (query, key, value, bias))
        samples, (heads, lags) = query.shape[2], bias.shape
        mask = masks_of(lags, samples // frames, frames, query.detach().numpy().dtype)
        mixed, weights = torch.empty_like(query), query.new_empty(len(query), heads, lags, samples)
        attention_forward(*_arrays(query, key, value, bias), mask, *_arrays(mixed, weights))
        ctx.save_for_backward(query, key, value, bias, weights)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, bias, weights = ctx.saved_tensors
        wanted = tuple(torch.zeros_like(y) for y in (query, key, value, bias))
        arrays = _arrays(query, key, value, weights, given.contiguous(), *wanted)
        attention_backward(*arrays)
        return (*wanted, None)


def _arrays(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(y.data.numpy() for y in tensors)


def _blocks(v: Tensor, shape: np.ndarray) -> int:
    return -(-v.shape[-1] // int(shape[BLOCK]))


def _on_blocks(kernel: Any, arguments: tuple[Any, ...], blocks: int) -> None:
    """Call a kernel on all blocks, shared out among as many threads as torch has."""
    over_trajectories(
        lambda first, last: kernel(*arguments, first, last), blocks, torch.get_num_threads()
    )
