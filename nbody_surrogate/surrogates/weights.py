"""Weights on disk: a folder with `config.json` and `model.safetensors`.

Nothing in it is executed: no pickle is read and no module path is taken from a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nbody_surrogate.contracts.device import DTYPES
from nbody_surrogate.contracts.error_model import ErrorModel
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.errors import FileFormatError, InputError, MissingFileError, RunError, one_line
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.json_file import write_json
from nbody_surrogate.files.limits import CONFIG, WEIGHTS
from nbody_surrogate.files.new_file import make_subfolder
from nbody_surrogate.files.untrusted import read_bounded
from nbody_surrogate.registry.lookup import short_name

__all__ = ["load_weights", "put_error_model", "save_weights", "tensor_bytes"]

FORMAT = "nbody-surrogate weights"
FORMAT_VERSION = 1


def save_weights(folder: str | Path, model: AbstractSurrogate, name: str, card: Card) -> None:
    """Write a model, its configuration and its card into a folder, which is no link.

    Raises
    ------
    RunError
        If it cannot be made, or a file cannot be written.
    """
    folder = Path(folder)
    try:
        make_subfolder(folder.parent, folder.name)
    except OSError as error:
        raise RunError(f"`output` {str(folder)!r}: {one_line(error)}") from None
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "surrogate": name,
        "config": model.config.model_dump(),
        "card": {**_plain(card), "dtype": str(model.dtype).removeprefix("torch.")},
    }
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    WEIGHTS.require(tensor_bytes(state), error=RunError)
    with atomic_file(folder / "model.safetensors") as stream:
        stream.write(save_tensors(state))
    write_json(folder / "config.json", config, indent=2, limit=CONFIG)


def put_error_model(folder: str | Path, error_model: ErrorModel) -> None:
    """Put an error model on the card of weights that are there; all else stays as it is.

    Raises
    ------
    FileFormatError
        If there are none, or they are damaged.
    RunError
        If the file cannot be written.
    """
    folder = Path(folder)
    config = _header(folder, _read(folder / "config.json", CONFIG.largest))
    config["card"] = {**config["card"], "error_model": error_model.model_dump(mode="json")}
    write_json(folder / "config.json", config, indent=2, limit=CONFIG)


def _plain(card: Card) -> dict[str, Any]:
    """Return a card as JSON has it; releases before know no radii, which most have none of."""
    return card.model_dump(mode="json", exclude={"radii"} if card.radii is None else None)


def tensor_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of a file of tensors."""
    # the header has some numbers and the name of each
    return sum(each.nbytes + len(key) + 256 for key, each in tensors.items())


def load_weights(
    folder: str | Path, name: str, cls: type[AbstractSurrogate]
) -> tuple[AbstractSurrogate, Card, str]:
    """Read a model from a folder.

    Parameters
    ----------
    folder : path
    name : str
        The surrogate's registered name; a folder of another surrogate is refused.
    cls : type
        Its class.

    Returns
    -------
    model : AbstractSurrogate
        On the CPU, in the dtype of the file, in evaluation mode.
    card : Card
    digest : str
        SHA-256 over both files.

    Raises
    ------
    InputError
        If the folder is missing or holds another surrogate's weights.
    FileFormatError
        If a file is missing, damaged or of another format version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"`weights` must be a folder with a model, {str(folder)!r} is none")
    raw_config = _read(folder / "config.json", CONFIG.largest)
    raw_model = _read(folder / "model.safetensors", WEIGHTS.largest)
    config = _header(folder, raw_config)
    if short_name(str(config["surrogate"])) != short_name(name):
        raise InputError(
            f"`weights` {str(folder)!r} are of surrogate {config['surrogate']!r}, not {name!r}"
        )
    try:
        card = validated(Card, config["card"], "the card")
        architecture = validated(cls.Config, config["config"], "the model")
        tensors = load_tensors(raw_model)
        with torch.device("meta"), _NoValues():  # compared before anything is allocated
            _check_shapes(cls(architecture), tensors)
        model = cls(architecture).to(DTYPES[card.dtype])
        model.load_state_dict(tensors, strict=True)
    except (InputError, SafetensorError, RuntimeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"`weights` {str(folder)!r} do not fit {name!r}: {reason}") from None
    if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
        raise FileFormatError(f"`weights` {str(folder)!r} hold NaN or infinity")
    digest = hashlib.sha256(raw_config + raw_model).hexdigest()
    return model.eval(), card, digest


class _NoValues(TorchFunctionMode):
    """Makes tensors that only have a shape without drawing values for them.

    On the device "meta" there are none to draw; torch finds that out in Python code for which it
    first imports its compiler, two seconds after all else is loaded.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        of_module = getattr(func, "__module__", None)  # methods of tensors have none
        if of_module == nn.init.__name__ and "tensor" in kwargs:
            return kwargs["tensor"]  # as its functions hand it on, filled in place
        if kwargs.keys() <= {"device", "dtype", "requires_grad"}:
            if func in (torch.randn, torch.rand):
                return torch.empty(*args, **kwargs)
            if func is torch.linspace and len(args) == 3:
                return torch.empty(args[2], **kwargs)
        return func(*args, **kwargs)


def _check_shapes(model: AbstractSurrogate, tensors: dict[str, Tensor]) -> None:
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            raise TypeError(f"{key} must have shape {expected.get(key)}, got {found.get(key)}")


def _header(folder: Path, raw: bytes) -> dict[str, Any]:
    try:
        config = json.loads(raw)
    except (ValueError, RecursionError):  # no text, no JSON, or a number of too many digits
        raise FileFormatError(f"`weights` {str(folder)!r}: config.json is not valid JSON") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise FileFormatError(f"`weights` {str(folder)!r}: config.json is not a model's")
    if config.get("format_version") != FORMAT_VERSION:
        raise FileFormatError(
            f"`weights` {str(folder)!r} have format version {config.get('format_version')!r}, "
            f"this release reads {FORMAT_VERSION}"
        )
    missing = {"surrogate", "config", "card"} - config.keys()
    if missing or not all(isinstance(config[key], dict) for key in ("config", "card")):
        raise FileFormatError(f"`weights` {str(folder)!r}: config.json is incomplete")
    return config


def _read(path: Path, largest: int) -> bytes:
    """Read a plain file of bounded size."""
    try:
        return read_bounded(path, largest, links=False)
    except FileFormatError as error:
        raise FileFormatError(f"`weights`: {error}") from None
    except FileNotFoundError:
        raise MissingFileError(f"`weights`: {str(path)!r} is missing") from None
    except OSError as error:
        raise FileFormatError(f"`weights`: {str(path)!r}: {error.strerror}") from None
