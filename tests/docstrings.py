"""What a public name's docstring must say, as numpydoc has it, and what of it is lacking."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

from nbody_surrogate.contracts import calls

ARRAYS = re.compile(r"\b(ndarray|Tensor|Float64|Int64|ArrayLike|Vectors)\b")
SHAPE = re.compile(r"\bshapes?\b|\((\.\.\.|[A-Z])[^)]*\)")
UNITS = re.compile(r"reduced units|dimensionless|units of the measurement")
DIMENSIONAL = {
    *("t", "t0", "dt", "frame_dt", "x", "v", "dx", "dv", "charges", "masses", "couplings"),
    *("closest", "fastest", "longest", "energy", "kinetic", "momentum", "angular_momentum"),
}
"""Names of what has a unit."""

LIKE = re.compile(r"Parameters (and errors )?are those of `\w+`")
HEADING = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)
ENTRY = re.compile(r"^(\S.*?)(?: : (.*))?$", re.MULTILINE)


class Docstring(NamedTuple):
    """A docstring taken apart."""

    text: str
    sections: dict[str, str]

    @classmethod
    def of(cls, value: Any) -> Docstring:
        text = inspect.cleandoc(value.__doc__ or "")
        parts = HEADING.split(text)
        return cls(text, dict(zip(parts[1::2], parts[2::2], strict=True)))

    def entries(self, *sections: str) -> dict[str, str]:
        """What is said of each name: its type and the lines below."""
        found = {}
        for section in sections:
            blocks = re.split(r"^(?=\S)", self.sections.get(section, ""), flags=re.MULTILINE)
            for block in filter(str.strip, blocks):
                names, _, said = block.partition("\n")
                names, _, kind = names.partition(" : ")
                for name in names.split(","):
                    found[name.strip().lstrip("*")] = f"{kind}\n{said}"
        return found


def lacking(name: str, value: Any) -> list[str]:
    """What the docstrings of a public name and of its public members lack."""
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return []
    if not inspect.isclass(value):
        return [f"{name}: {what}" for what in _of_function(value, Docstring.of(value))]
    found = [f"{name}: {what}" for what in _of_class(value)]
    whole = "\n".join(base.__doc__ or "" for base in value.__mro__ if "nbody" in base.__module__)
    for member, function in _members(value):
        if _documented_above(value, member):
            continue
        said = Docstring.of(function)
        found += [f"{name}.{member}: {what}" for what in _of_function(function, said, whole)]
    return found


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class, or one of ours above it, defines."""
    ours = [base for base in reversed(cls.__mro__) if base.__module__.startswith("nbody")]
    for name, value in {k: v for base in ours for k, v in vars(base).items()}.items():
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property)):
            yield name, plain


def _documented_above(cls: type, member: str) -> bool:
    """Whether a method fulfils the contract of a class above, where it is documented."""
    above = [base for base in cls.__mro__ if "nbody" in base.__module__ and member in vars(base)]
    return len(above) > 1


def _of_class(cls: type) -> list[str]:
    said = Docstring.of(cls)
    if not said.text or said.text == inspect.cleandoc(cls.__mro__[1].__doc__ or ""):
        return ["has no docstring"]
    if issubclass(cls, BaseException):
        return []
    fields = _fields(cls)
    found = list(_of_arguments(said, fields))
    if not UNITS.search(said.text) and DIMENSIONAL & fields.keys():
        found.append("does not say in which units")
    made = "__post_init__" if dataclasses.is_dataclass(cls) else "__init__"
    makers = [value for name, value in vars(cls).items() if name == made]
    return found + [what for each in makers for what in _of_errors(each, said)]


def _fields(cls: type) -> dict[str, tuple[str, str]]:
    """What a class is made of: annotations, and what is said of them beside their names."""
    if issubclass(cls, BaseModel):
        own = cls.model_fields.items()
        return {name: (str(field.annotation), field.description or "") for name, field in own}
    if dataclasses.is_dataclass(cls):
        return {field.name: (str(field.type), "") for field in dataclasses.fields(cls)}
    if hasattr(cls, "_fields"):
        return {name: (str(cls.__annotations__[name]), "") for name in cls._fields}
    return {} if cls.__init__ is object.__init__ else _parameters(cls.__init__)


def _parameters(function: Any) -> dict[str, tuple[str, str]]:
    parameters = list(inspect.signature(function).parameters.values())
    kept = [each for each in parameters if each.name not in ("self", "cls")]
    return {each.name: (str(each.annotation), "") for each in kept}


def _of_arguments(said: Docstring, arguments: dict[str, tuple[str, str]]) -> Iterator[str]:
    """What a docstring lacks of arguments: all must be there, arrays with their shapes."""
    entries = said.entries("Parameters", "Attributes")
    for name, (annotation, beside) in arguments.items():
        text = beside or entries.get(name)
        if text is None:
            yield f"does not say what `{name}` is"
        elif ARRAYS.search(annotation) and "Callable" not in annotation and not SHAPE.search(text):
            yield f"does not say of which shape `{name}` is"


def _of_function(function: Any, said: Docstring, above: str = "") -> list[str]:
    """What the docstring of a function, method or property lacks; `above` is that of its class."""
    if not said.text:
        return ["has no docstring"]
    if inspect.isfunction(function) and function.__code__.co_filename == calls.__file__:
        function = function.__wrapped__  # it is called as it stands, with better errors
    plain = function.fget if isinstance(function, property) else inspect.unwrap(function)
    returned = str(inspect.signature(plain).return_annotation)
    elsewhere = plain is not function or LIKE.search(said.text)
    found = list(_of_arguments(said, {} if elsewhere else _parameters(plain)))
    answer = said.sections.get("Returns", "")
    if (not _parameters(plain) and re.match("Return|Whether", said.text)) or plain is not function:
        answer = said.text  # of what takes nothing, one sentence may say all
    if returned not in ("None", "NoReturn") and not answer.strip():
        found.append("does not say what it returns")
    elif ARRAYS.search(returned) and not SHAPE.search(answer):
        found.append("does not say of which shape what it returns is")
    if DIMENSIONAL & _parameters(plain).keys() and not UNITS.search(said.text + above):
        found.append("does not say in which units")
    return found + _of_errors(plain, said)


def _of_errors(function: Any, said: Docstring) -> list[str]:
    """What a docstring lacks of the errors that a function raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    errors = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    if not errors:
        return []
    section = said.sections.get("Raises", "")
    if not section.strip():
        return ["does not say what it raises"]
    raised = {ast.unparse(error.func) for error in errors if isinstance(error, ast.Call)}
    named = {name for name in raised if name.endswith("Error")}
    return [f"does not say that it raises {name}" for name in sorted(named) if name not in section]
