"""What every surrogate must do, beyond what every integrator must."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.surrogate import increments
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.registry.lookup import short_name
from nbody_surrogate.surrogates.weights import load_weights, save_weights
from nbody_surrogate.testing.check import failed, skip, title
from nbody_surrogate.testing.integrators import INTEGRATOR_CHECKS
from nbody_surrogate.testing.surrogate_case import SurrogateCase
from nbody_surrogate.testing.surrogate_symmetries import SYMMETRY_CHECKS
from nbody_surrogate.testing.windows import EXACT, Window, apart, last

__all__ = ["SURROGATE_CHECKS"]

SINGLE = 1e-3
"""float32 against float64, relative to the larger of 1 and the increments."""

REMOTE, FAR = 1e-6, 1e6
"""What a resting particle that far away may change, beyond the system's own force."""


def check_increments(case: SurrogateCase) -> None:
    """Increments are finite, of the model's dtype and of the window's shape, for any N and D."""
    for n, dimensions in ((case.n, 3), (case.n, 2), (1, 3), (2, 3)):
        try:
            made = case.window(n=n, dimensions=dimensions).of(case.model)
        except InputError as error:
            what = f"must take windows of N = {n} in {dimensions} dimensions, it says {error}"
            case.demand((n, dimensions) != (case.n, 3), what, "forward")
            continue
        finite = all(np.isfinite(dy).all() for dy in made)
        what = f"must return finite increments, for N = {n} in {dimensions} dimensions it did not"
        case.demand(finite, what, "forward")
    what = f"must say whether `forward` answers for the last frame only; it is {case.one_shot}"
    case.demand(case.model.one_shot == case.one_shot or case.frames == 1, what, "one_shot")


def check_members(case: SurrogateCase) -> None:
    """The increments of a trajectory do not depend on the others of the batch."""
    window = case.window(batch=3)
    together = window.of(case.model)
    for b in range(3):
        off = apart([dy[b : b + 1] for dy in together], window.members(b).of(case.model))
        what = "must treat each trajectory of a batch by itself; alone, trajectory "
        case.demand(off <= EXACT, what + f"{b} of 3 differs by {off:.1e}", "forward")


def check_tensors_unchanged(case: SurrogateCase) -> None:
    """No tensor that a model is handed is changed: window, particles, cache."""
    x, v, particles = case.window().tensors(case.model)
    given = {"x": x, "v": v, "charges": particles.charges, "masses": particles.masses}
    if particles.radii is not None:
        given["radii"] = particles.radii
    kept = {key: value.clone() for key, value in given.items()}
    with torch.no_grad():
        increments(case.model, x, v, particles)
        _demand_kept(case, kept, given, "forward")
        before = case.frames - 1
        cache = case.model.start_cache(x[:, :before], v[:, :before], particles)
        _demand_kept(case, kept, given, "start_cache")
        given |= {f"cache.{key}": value for key, value in cache.items()}
        kept = {key: value.clone() for key, value in given.items()}
        case.model.step_cache(cache, x[:, before], v[:, before], particles)
    _demand_kept(case, kept, given, "step_cache")


def check_causality(case: SurrogateCase) -> None:
    """What comes after a frame does not change its increments."""
    if case.one_shot:
        raise skip("the model answers for its last frame only")
    window = case.long_window()
    plain = window.of(case.model)
    for frame in range(window.x.shape[1] - 1):
        later = slice(frame + 1, None)
        off = apart(*(_until(y, frame) for y in (plain, _altered(window, later).of(case.model))))
        what = f"must not look ahead; frames after frame {frame} change its increments by {off:.1e}"
        case.demand(off <= EXACT, what, "forward")


def check_history(case: SurrogateCase) -> None:
    """Frames older than `history` change nothing."""
    window = case.long_window()
    older = slice(0, window.x.shape[1] - case.frames)
    try:
        plain, other = window.of(case.model), _altered(window, older).of(case.model)
    except InputError:
        raise skip("windows longer than `history` are refused") from None
    off = apart(last(plain), last(other))
    what = f"must look back on {case.frames} frames at most, as `history` says; older ones change "
    case.demand(off <= EXACT, what + f"the increments by {off:.1e}", "forward")


def check_streaming(case: SurrogateCase) -> None:
    """`start_cache` and `step_cache` give what `forward` gives on the whole window."""
    window, least = case.long_window(), case.model.min_history - 1
    compared = window.frames(slice(-case.frames, None)) if case.one_shot else window
    plain = compared.of(case.model)
    for started in {least, case.frames}:
        streamed = window.streamed(case.model, started)
        frames = 1 if case.one_shot else window.x.shape[1] - started
        off = apart(*([dy[:, -frames:] for dy in made] for made in (plain, streamed)))
        what = "must give the increments that `forward` gives on the whole window; "
        what += f"streaming from frame {started} differs by {off:.1e}"
        case.demand(off <= EXACT, what, "step_cache")


def check_fused_steps(case: SurrogateCase) -> None:
    """Compiled steps give what `step_cache` gives, and the same bits in any batch."""
    window = case.window(frames=1, batch=3)
    made = _fused(case, window)
    if made is None:
        raise skip("the model has none")
    off = apart(window.streamed(case.model, 0), made)
    what = f"must give the increments that `step_cache` gives, they differ by {off:.1e}"
    case.demand(off <= EXACT, what, "fused_steps")
    alone = _fused(case, window.members(1))
    same = alone is not None and all(map(np.array_equal, alone, (dy[1:2] for dy in made)))
    case.demand(same, "must give a trajectory the same bits in a batch as alone", "fused_steps")


def check_saving(case: SurrogateCase) -> None:
    """A model that is saved and loaded again is the same."""
    window, name = case.window(), short_name(case.origin.name)
    with tempfile.TemporaryDirectory() as folder:
        save_weights(Path(folder) / "weights", case.model, name, case.card)
        try:
            loaded, _, _ = load_weights(Path(folder) / "weights", name, type(case.model))
        except FileFormatError as error:
            what = "must build the model from its `Config` alone, on torch's device meta too; "
            raise failed(case.origin, "__init__", f"{what}{error}") from error
    off = apart(window.of(case.model), window.of(loaded))
    what = "must hold in parameters, buffers and `Config` all that it depends on; "
    case.demand(off == 0, what + f"saved and loaded again it differs by {off:.1e}", "__init__")


def check_remote(case: SurrogateCase) -> None:
    """A particle that rests far away is felt through the system's own force alone."""
    near = case.window()
    far = np.zeros((*near.x.shape[:2], 1, near.x.shape[3]))
    one = np.ones((len(near.x), 1))
    particles = Particles(
        np.concatenate([near.particles.charges, one], 1),
        np.concatenate([near.particles.masses, one], 1),
        radii=None
        if near.particles.radii is None
        else np.concatenate([near.particles.radii, near.particles.radii[:, :1]], 1),
    )
    both = Window(
        np.concatenate([near.x, far + FAR], 2), np.concatenate([near.v, far], 2), particles
    )
    try:
        made = both.of(case.model)
    except InputError:
        raise skip("the model takes no other number of particles") from None
    pull = _pull(case, both, near)
    off = apart(near.of(case.model), [dy[:, :, :-1] for dy in made])
    what = f"must not feel a resting particle at {FAR:g} beyond the system's own force; "
    case.demand(off <= REMOTE + pull, what + f"increments change by {off:.1e}", "forward")


def check_known_failures(case: SurrogateCase) -> None:
    """Failures that are declared as known are of checks that there are."""
    names = {title(function, arguments) for function, arguments in SURROGATE_CHECKS}
    names |= {title(function) for function in INTEGRATOR_CHECKS}
    unknown = sorted(case.known_failures.keys() - names)
    what = f"must name checks, there is none of the name {', '.join(map(repr, unknown))}"
    case.demand(not unknown, what, "known_failures")


def check_dtypes(case: SurrogateCase) -> None:
    """Cast to float32, a model answers in float32, and nearly the same."""
    window = case.window()
    single = copy.deepcopy(case.model).float()
    off = apart(window.of(case.model), window.of(single))
    what = f"must be nearly the same in float32, it differs by {off:.1e}"
    case.demand(off <= SINGLE, what, "forward")


def check_devices(case: SurrogateCase) -> None:
    """All that a model holds moves with it to another device."""
    for path, tensor in _hidden_tensors(case.model):
        what = "must register tensors as parameters or buffers, so that they move with the model; "
        case.demand(False, what + f"`{path}` of shape {tuple(tensor.shape)} is none", "__init__")
    device = "cuda" if torch.cuda.is_available() else "meta"
    moved = copy.deepcopy(case.model).to(device)
    window = case.window()
    try:
        with torch.no_grad():
            made = increments(moved, *window.tensors(moved, device))
    except Exception as error:
        if device == "meta" and "meta tensor" in str(error):
            raise skip("steps depend on values, and there is no GPU to try on") from None
        raise
    if device == "cuda":
        off = apart(window.of(case.model), [dy.double().cpu().numpy() for dy in made])
        case.demand(off <= EXACT, f"must be the same on a GPU, it differs by {off:.1e}", "forward")


SURROGATE_CHECKS: tuple[tuple[Callable[..., None], tuple[str, ...]], ...] = (
    (check_increments, ()),
    (check_members, ()),
    (check_tensors_unchanged, ()),
    (check_causality, ()),
    (check_history, ()),
    (check_streaming, ()),
    (check_fused_steps, ()),
    (check_saving, ()),
    *SYMMETRY_CHECKS,
    (check_known_failures, ()),
    (check_remote, ()),
    (check_dtypes, ()),
    (check_devices, ()),
)


def _fused(case: SurrogateCase, window: Window) -> list[np.ndarray] | None:
    """Return the increments of one frame by compiled steps, from the cache of a start."""
    x, v, particles = window.tensors(case.model)
    steps = case.model.fused_steps(window.particles, x.shape[-1], None)
    if steps is None:
        return None
    with torch.no_grad():
        cache = case.model.start_cache(x[:, :0], v[:, :0], particles)
    out = [np.empty(window.x.shape) for _ in range(2)]
    arrays = {key: value.numpy() for key, value in cache.items()}
    steps.advance(arrays, window.x[:, 0], window.v[:, 0], out[0], out[1], 1)
    return [made - y for made, y in zip(out, (window.x, window.v), strict=True)]


def _until(made: Any, frame: int) -> list[np.ndarray]:
    return [dy[:, : frame + 1] for dy in made]


def _altered(window: Window, which: slice) -> Window:
    """Replace some frames by those of another window."""
    x, v = window.x.copy(), window.v.copy()
    rng = np.random.default_rng(3)
    for y in (x, v):
        y[:, which] = rng.normal(size=y[:, which].shape)
    return window._replace(x=x, v=v)


def _demand_kept(
    case: SurrogateCase, kept: dict[str, Tensor], given: dict[str, Tensor], method: str
) -> None:
    for key, value in kept.items():
        what = f"must leave its input as it is, it changed `{key}`"
        case.demand(torch.equal(value, given[key]), what, method)


def _pull(case: SurrogateCase, both: Window, near: Window) -> float:
    """Ten times what the system's own force by the remote particle would change."""
    last = [(w.x[:, -1], w.particles) for w in (both, near)]
    with_it, without = (case.system.pair_acceleration(x, particles) for x, particles in last)
    return 10 * case.dt * float(np.abs(with_it[:, :-1] - without).max())


def _hidden_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield tensors that a module holds as plain attributes, which do not move with it."""
    for path, module in model.named_modules():
        registered = module._parameters | module._buffers
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and name not in registered:
                yield f"{path}.{name}".lstrip("."), value
