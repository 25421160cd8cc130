"""What every surrogate must do, beyond what every integrator must."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nbody_surrogate.breach import held_to
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.models import find_model
from nbody_surrogate.origin import origin_of
from nbody_surrogate.registry import make_system, short_name, surrogate_class
from nbody_surrogate.state import Particles
from nbody_surrogate.surrogate import AbstractSurrogate, Card, CardSystem, increments
from nbody_surrogate.surrogate_integrator import SurrogateIntegrator
from nbody_surrogate.testing.case import DEFAULT_SYSTEM, FEW, StepperCase
from nbody_surrogate.testing.check import failed, skip
from nbody_surrogate.testing.symmetries import IMPLIED, SYMMETRIES, maps
from nbody_surrogate.testing.windows import Window, make_window
from nbody_surrogate.weights import load_weights, save_weights

__all__ = ["SURROGATE_CHECKS", "SurrogateCase", "surrogate_case"]

EXACT = 1e-9
"""In float64, relative to the larger of 1 and the increments: rounding, 1e-16, times the growth of
a perturbation within a frame."""

BROKEN = 1e-6
"""Likewise: a symmetry that is off by less than this is one, and has to be declared."""

SINGLE = 1e-3
"""float32 against float64, likewise."""

REMOTE, FAR = 1e-6, 1e6
"""What a resting particle that far away may change, beyond the system's own force."""

PERTURBATION = 0.1  # of fresh weights, so that none of them is zero


@dataclass(frozen=True)
class SurrogateCase(StepperCase):
    """A surrogate: a model in float64 and its card, and the integrator they make."""

    model: AbstractSurrogate
    card: Card

    @property
    def frames(self) -> int:
        """Frames that fill the model's history."""
        return max(self.model.config.history, self.model.min_history)

    def window(self, frames: int | None = None, **options: Any) -> Window:
        """Draw a window; by default three frames longer than the history."""
        options = {"n": self.n, **options}
        return make_window(self.dt, frames or self.frames + 3, **options)


def surrogate_case(
    name: str, system: str | None = None, weights: str | None = None
) -> SurrogateCase:
    """Return the case of a surrogate: of fresh weights, perturbed, or of those in a folder."""
    cls = surrogate_class(name)
    if weights is not None:
        model, card, _ = load_weights(find_model(weights).folder, name, cls)
    else:
        model, card = _fresh(name, cls, system)
    model = model.double().eval()
    trained = card.systems[0]
    n = min(max(FEW, card.particles[0]), card.particles[1])

    def make(**options: Any) -> SurrogateIntegrator:
        # of the least margin: a symmetry claimed wrongly has a check of its own
        return SurrogateIntegrator(name, model=model, card=card, device="cpu", **options)

    origin = origin_of(cls, "surrogate", name)
    return SurrogateCase(origin, make, make_system(trained.system, **trained.spec), n, model, card)


def _fresh(
    name: str, cls: type[AbstractSurrogate], system: str | None
) -> tuple[AbstractSurrogate, Card]:
    """Make a model of the default config, and the card of one that was trained on a system."""
    origin = origin_of(cls, "surrogate", name)
    try:
        config = cls.Config()
    except ValueError as error:
        what = "must have a default for every field, or give `weights` to check"
        raise failed(origin, "Config", what) from error
    with torch.random.fork_rng(devices=[]), torch.no_grad(), held_to(origin, "__init__"):
        torch.manual_seed(0)
        model = cls(config).double()
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=PERTURBATION)
    shipped = next(iter(cls.shipped_weights.values()), None)
    known = None if shipped is None else load_weights(shipped, name, cls)[1].systems[0].system
    physics = make_system(system or known or DEFAULT_SYSTEM)
    trained = CardSystem(system=physics.name, spec=physics.spec.of_forces(), time_range=(0.0, 1e4))
    card = Card(
        systems=(trained,),
        frame_dt=physics.spec.frame_dt,
        particles=(1, 64),
        charges=(0.0, 2.0),
        masses=(0.1, 10.0),
        dtype="float64",
        symmetries=tuple(sorted(model.symmetries)),
        training_data_hash="none: weights are random",
    )
    return model, card


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


def check_members(case: SurrogateCase) -> None:
    """The increments of a trajectory do not depend on the others of the batch."""
    window = case.window(batch=3)
    together = window.of(case.model)
    for b in range(3):
        off = _apart([dy[b : b + 1] for dy in together], window.members(b).of(case.model))
        what = "must treat each trajectory of a batch by itself; alone, trajectory "
        case.demand(off <= EXACT, what + f"{b} of 3 differs by {off:.1e}", "forward")


def check_tensors_unchanged(case: SurrogateCase) -> None:
    """No tensor that a model is handed is changed: window, particles, cache."""
    x, v, particles = case.window().tensors(case.model)
    given = {"x": x, "v": v, "charges": particles.charges, "masses": particles.masses}
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
    window = case.window()
    plain = window.of(case.model)
    _skip_one_shot(plain, window)
    for frame in range(window.x.shape[1] - 1):
        later = slice(frame + 1, None)
        off = _apart(*(_until(y, frame) for y in (plain, _altered(window, later).of(case.model))))
        what = f"must not look ahead; frames after frame {frame} change its increments by {off:.1e}"
        case.demand(off <= EXACT, what, "forward")


def check_history(case: SurrogateCase) -> None:
    """Frames older than `history` change nothing."""
    window = case.window()
    older = slice(0, window.x.shape[1] - case.frames)
    plain, other = window.of(case.model), _altered(window, older).of(case.model)
    off = _apart(_last(plain), _last(other))
    what = f"must look back on {case.frames} frames at most, as `history` says; older ones change "
    case.demand(off <= EXACT, what + f"the increments by {off:.1e}", "forward")


def check_streaming(case: SurrogateCase) -> None:
    """`start_cache` and `step_cache` give what `forward` gives on the whole window."""
    window = case.window()
    plain, least = window.of(case.model), case.model.min_history - 1
    for started in {least, case.frames}:
        streamed = window.streamed(case.model, started)
        one_shot = _is_one_shot(plain, window)
        compared = 1 if one_shot else window.x.shape[1] - started
        off = _apart(*([dy[:, -compared:] for dy in made] for made in (plain, streamed)))
        what = "must give the increments that `forward` gives on the whole window; "
        what += f"streaming from frame {started} differs by {off:.1e}"
        case.demand(off <= EXACT, what, "step_cache")


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
    off = _apart(window.of(case.model), window.of(loaded))
    what = "must hold in parameters, buffers and `Config` all that it depends on; "
    case.demand(off == 0, what + f"saved and loaded again it differs by {off:.1e}", "__init__")


def check_symmetry(case: SurrogateCase, symmetry: str) -> None:
    """Symmetries that are declared hold exactly, and no others."""
    declared = symmetry in case.model.symmetries
    off = max(VIOLATIONS.get(symmetry, partial(_violation, symmetry))(case))
    if declared:
        what = f"must not hold {symmetry!r}: a window that is mapped by it gives increments that "
        case.demand(off <= EXACT, what + f"are off by {off:.1e}", "symmetries")
    else:
        what = f"must hold {symmetry!r}, which the model has to {off:.1e}: a system without it "
        case.demand(off > BROKEN, what + "would be taken", "symmetries")


def check_known_symmetries(case: SurrogateCase) -> None:
    """Symmetries are declared by names that systems have, and the card holds the same ones."""
    unknown = sorted(case.model.symmetries - {*SYMMETRIES, *IMPLIED})
    known = ", ".join((*SYMMETRIES, *IMPLIED))
    case.demand(not unknown, f"must be among {known}; got {', '.join(unknown)}", "symmetries")
    claimed, held = set(case.card.symmetries), set(case.model.symmetries)
    what = f"must be those of the card, {sorted(claimed)}, got {sorted(held)}"
    case.demand(claimed == held, what, "symmetries")


def check_axial_symmetries(case: SurrogateCase) -> None:
    """Symmetries about an axis hold where they are declared, about z or about y."""
    declared = case.model.symmetries & IMPLIED.keys()
    if not declared:
        raise skip("none is declared")
    for symmetry in sorted(declared):
        off = min(max(_violation(symmetry, case, axis)) for axis in (2, 1))
        what = f"must not hold {symmetry!r}: a window that is mapped by it gives increments that "
        case.demand(off <= EXACT, what + f"are off by {off:.1e}", "symmetries")


def check_remote(case: SurrogateCase) -> None:
    """A particle that rests far away is felt through the system's own force alone."""
    near = case.window(n=case.n)
    far = np.zeros((*near.x.shape[:2], 1, near.x.shape[3]))
    one = np.ones((len(near.x), 1))
    particles = Particles(
        np.concatenate([near.particles.charges, one], 1),
        np.concatenate([near.particles.masses, one], 1),
    )
    both = Window(
        np.concatenate([near.x, far + FAR], 2), np.concatenate([near.v, far], 2), particles
    )
    try:
        made = both.of(case.model)
    except InputError:
        raise skip("the model takes no other number of particles") from None
    pull = _pull(case, both, near)
    off = _apart(near.of(case.model), [dy[:, :, :-1] for dy in made])
    what = f"must not feel a resting particle at {FAR:g} beyond the system's own force; "
    case.demand(off <= REMOTE + pull, what + f"increments change by {off:.1e}", "forward")


def check_dtypes(case: SurrogateCase) -> None:
    """Cast to float32, a model answers in float32, and nearly the same."""
    window = case.window()
    single = copy.deepcopy(case.model).float()
    off = _apart(window.of(case.model), window.of(single))
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
        if device == "meta" and not isinstance(error.__cause__, RuntimeError | TypeError):
            raise skip("steps depend on values, and there is no GPU to try on") from None
        raise
    if device == "cuda":
        off = _apart(window.of(case.model), [dy.double().cpu().numpy() for dy in made])
        case.demand(off <= EXACT, f"must be the same on a GPU, it differs by {off:.1e}", "forward")


SURROGATE_CHECKS: tuple[tuple[Callable[..., None], tuple[str, ...]], ...] = (
    (check_increments, ()),
    (check_members, ()),
    (check_tensors_unchanged, ()),
    (check_causality, ()),
    (check_history, ()),
    (check_streaming, ()),
    (check_saving, ()),
    (check_known_symmetries, ()),
    *((check_symmetry, (symmetry,)) for symmetry in SYMMETRIES),
    (check_axial_symmetries, ()),
    (check_remote, ()),
    (check_dtypes, ()),
    (check_devices, ()),
)


# Symmetries


def _violation(symmetry: str, case: SurrogateCase, axis: int = 2) -> Iterator[float]:
    """By how much increments of mapped windows differ from mapped increments."""
    window = case.window()
    plain = window.of(case.model)
    rng = np.random.default_rng(1)
    yield 0.0
    for each in maps(symmetry, rng, window.x.shape[3], window.x.shape[2], axis):
        mapped = Window(*each.states(window.x, window.v, window.particles)).of(case.model)
        yield _apart([each.vectors(dy) for dy in plain], mapped)


def _of_boost(case: SurrogateCase) -> Iterator[float]:
    """X + u t, v + u: the same motion seen from a moving train."""
    window = case.window()
    u = np.random.default_rng(2).normal(size=window.x.shape[3])
    times = 5.0 + case.dt * np.arange(window.x.shape[1])[:, None, None]
    dx, dv = window.of(case.model)
    moving = window._replace(x=window.x + u * times, v=window.v + u)
    yield _apart((dx + u * case.dt, dv), moving.of(case.model))


def _of_time_shift(case: SurrogateCase) -> Iterator[float]:
    """Windows of a longer trajectory give its increments, wherever they lie."""
    window = case.window()
    length, count = window.x.shape[1], case.frames
    plain = window.of(case.model)
    shots = [window.frames(slice(k, k + count)).of(case.model) for k in range(length - count + 1)]
    if _is_one_shot(plain, window):
        yield _apart(_last(plain), _last(shots[-1]))
        return
    for k, shot in enumerate(shots):
        at = k + count - 1
        yield _apart([dy[:, at : at + 1] for dy in plain], _last(shot))


def _of_time_reversal(case: SurrogateCase) -> Iterator[float]:
    """From where a frame leads, with velocities turned round, the way back; of single frames."""
    if case.model.min_history > 1:
        yield np.inf  # several frames are needed, whose way back is not known
        return
    window = case.window(1)
    dx, dv = window.of(case.model)
    back = window._replace(x=window.x + dx, v=-(window.v + dv))
    yield _apart((-dx, dv), back.of(case.model))


VIOLATIONS: dict[str, Callable[[SurrogateCase], Iterator[float]]] = {
    "boost": _of_boost,
    "time-shift": _of_time_shift,
    "time-reversal": _of_time_reversal,
}


# Comparisons


def _apart(first: Any, second: Any) -> float:
    """Largest difference of two pairs of increments, over the larger of 1 and their size."""
    scale = max(1.0, *(float(np.abs(dy).max(initial=0.0)) for dy in first))
    off = max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip(first, second, strict=True))
    return off / scale if off == off else float("inf")


def _last(made: Any) -> list[np.ndarray]:
    return [dy[:, -1:] for dy in made]


def _until(made: Any, frame: int) -> list[np.ndarray]:
    return [dy[:, : frame + 1] for dy in made]


def _altered(window: Window, which: slice) -> Window:
    """Replace some frames by those of another window."""
    x, v = window.x.copy(), window.v.copy()
    rng = np.random.default_rng(3)
    for y in (x, v):
        y[:, which] = rng.normal(size=y[:, which].shape)
    return window._replace(x=x, v=v)


def _is_one_shot(made: Any, window: Window) -> bool:
    return bool(made[0].shape[1] < window.x.shape[1])


def _skip_one_shot(made: Any, window: Window) -> None:
    if _is_one_shot(made, window):
        raise skip("the model answers for its last frame only")


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
