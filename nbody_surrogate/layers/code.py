"""Code for the processor, written as it is made: arithmetic of registers, loops and conditions.

Numba compiles what it is handed as Python, and leaves it to the compiler to find vectors, which it
does in simple loops only and takes long about. Here a Python function is run once and says, by
operators on `Value`, which instructions there are: a vector is a value, so what stays in registers
is written down, each lane is computed as it would be alone, and a step of hundreds of lines is
compiled in one to three seconds.

=====  ===========================================================
kind   what a value is
=====  ===========================================================
``i``  a whole number of 64 bits
``r``  a real number in the precision that the code is made for
``d``  a real number in float64
``v``  a vector of `Code.count` real numbers, 32 bytes
``q``  a vector of four real numbers
``x``  a vector of four float64
``b``  a truth
=====  ===========================================================

A real number beside a vector is put into all of its lanes; Python's numbers take any kind. Nobody
checks an index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

from llvmlite import ir  # type: ignore[import-untyped]

__all__ = ["CONTRACT", "Code", "Pointer", "Value", "Variable"]

CONTRACT = ("contract",)
"""What the compiler may do to sums: join a product with the sum that it is part of, and nothing
else. Order stays, and NaN and infinity stay what they are."""

INTEGER = ir.IntType(64)
_SPREADS = {"v": "r", "q": "r", "x": "d"}


@final
class Value:
    """A register; arithmetic makes instructions.

    Parameters
    ----------
    code : Code
    made : llvmlite value
    kind : str
    """

    __slots__ = ("code", "kind", "made")

    def __init__(self, code: Code, made: Any, kind: str) -> None:
        self.code, self.made, self.kind = code, made, kind

    def __repr__(self) -> str:
        return f"Value({self.kind!r})"

    def __add__(self, other: Value | float) -> Value:
        return self.code.arithmetic("add", self, other)

    def __sub__(self, other: Value | float) -> Value:
        return self.code.arithmetic("sub", self, other)

    def __mul__(self, other: Value | float) -> Value:
        return self.code.arithmetic("mul", self, other)

    def __truediv__(self, other: Value | float) -> Value:
        return self.code.arithmetic("div", self, other)

    def __radd__(self, other: float) -> Value:
        return self.code.arithmetic("add", other, self)

    def __rsub__(self, other: float) -> Value:
        return self.code.arithmetic("sub", other, self)

    def __rmul__(self, other: float) -> Value:
        return self.code.arithmetic("mul", other, self)

    def __rtruediv__(self, other: float) -> Value:
        return self.code.arithmetic("div", other, self)

    def __neg__(self) -> Value:
        return 0.0 - self

    def __lt__(self, other: Value | float) -> Value:
        return self.code.compare("<", self, other)

    def __gt__(self, other: Value | float) -> Value:
        return self.code.compare(">", self, other)

    def __le__(self, other: Value | float) -> Value:
        return self.code.compare("<=", self, other)

    def same(self, other: Value | float) -> Value:
        """Return whether two are equal."""
        return self.code.compare("==", self, other)

    def __and__(self, other: Value) -> Value:
        return Value(self.code, self.code.builder.and_(self.made, other.made), "b")

    def __or__(self, other: Value) -> Value:
        return Value(self.code, self.code.builder.or_(self.made, other.made), "b")

    def __invert__(self) -> Value:
        return Value(self.code, self.code.builder.not_(self.made), "b")

    def to(self, kind: str) -> Value:
        """Return the number as another kind: whole to real, and between precisions."""
        return self.code.converted(self, kind)


@final
class Pointer:
    """A place in memory whose elements are whole, real or float64.

    Parameters
    ----------
    code : Code
    made : llvmlite value
    kind : str
        Of its elements.
    """

    def __init__(self, code: Code, made: Any, kind: str) -> None:
        self.code, self.made, self.kind = code, made, kind

    def __add__(self, elements: Value | int) -> Pointer:
        at = self.code.value(elements, "i").made
        return Pointer(self.code, self.code.builder.gep(self.made, [at]), self.kind)

    def load(self, at: Value | int = 0, kind: str | None = None) -> Value:
        """Load an element, or as many as a vector of a kind has."""
        kind = self.kind if kind is None else kind
        place, builder = self + at, self.code.builder
        if kind == self.kind:
            return Value(self.code, builder.load(place.made), kind)
        vector = self.code.kinds[kind]
        cast = builder.bitcast(place.made, vector.as_pointer())
        return Value(self.code, builder.load(cast, align=self._bytes), kind)

    def store(self, at: Value | int, value: Value | float) -> None:
        """Store an element, or all of a vector."""
        place, builder = self + at, self.code.builder
        if not isinstance(value, Value):
            value = self.code.value(value, self.kind)
        if value.kind == self.kind:
            builder.store(value.made, place.made)
            return
        cast = builder.bitcast(place.made, value.made.type.as_pointer())
        builder.store(value.made, cast, align=self._bytes)

    def spread(self, at: Value | int = 0) -> Value:
        """Load one element into all lanes of a vector."""
        return self.load(at).to("v")

    def columns(self, at: Value) -> tuple[Value, Value, Value]:
        """Load rows of four, as many as a vector has lanes; return their first three columns."""
        code, count = self.code, self.code.count
        whole = ir.VectorType(self.code.kinds[self.kind], 4 * count)
        place = code.builder.bitcast((self + at).made, whole.as_pointer())
        rows = code.builder.load(place, align=self._bytes)
        masks = (code.indices(range(c, 4 * count, 4)) for c in range(3))
        x, y, z = (Value(code, code.builder.shuffle_vector(rows, rows, m), "v") for m in masks)
        return x, y, z

    @property
    def _bytes(self) -> int:
        return 4 if self.kind == "r" and not self.code.double else 8


@final
class Variable:
    """A value that changes; the compiler keeps it in a register.

    Parameters
    ----------
    code : Code
    value : Value
        Its first one.
    """

    def __init__(self, code: Code, value: Value) -> None:
        self.code, self._kind = code, value.kind
        with code.builder.goto_entry_block():
            self._place = code.builder.alloca(value.made.type)
        self.set(value)

    def get(self) -> Value:
        """Return what it is now."""
        return Value(self.code, self.code.builder.load(self._place), self._kind)

    def set(self, value: Value) -> None:
        """Change it."""
        self.code.builder.store(value.made, self._place)

    def add(self, value: Value) -> None:
        """Add to it."""
        self.set(self.get() + value)


@final
class Code:
    """A function that is being made.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        At the end of the function's first block.
    double : bool
        Whether real numbers are float64, and not float32.

    Attributes
    ----------
    count : int
        Lanes of a vector.
    """

    def __init__(self, builder: Any, double: bool) -> None:
        self.builder, self.double = builder, double
        self.count = 4 if double else 8
        real, wide = ir.DoubleType() if double else ir.FloatType(), ir.DoubleType()
        self.kinds = {
            "i": INTEGER,
            "r": real,
            "d": wide,
            "v": ir.VectorType(real, self.count),
            "q": ir.VectorType(real, 4),
            "x": ir.VectorType(wide, 4),
            "b": ir.IntType(1),
        }

    # values

    def value(self, number: Value | float, kind: str) -> Value:
        """Return a number as a value of a kind."""
        if isinstance(number, Value):
            return self.converted(number, kind)
        if kind in _SPREADS:
            vector = self.kinds[kind]
            made = ir.Constant(vector, [float(number)] * vector.count)
        else:
            made = ir.Constant(self.kinds[kind], int(number) if kind == "i" else float(number))
        return Value(self, made, kind)

    def pointer(self, address: Value, kind: str) -> Pointer:
        """Return the place at an address."""
        made = self.builder.inttoptr(address.made, self.kinds[kind].as_pointer())
        return Pointer(self, made, kind)

    def converted(self, value: Value, kind: str) -> Value:
        """Return a value as another kind."""
        if value.kind == kind:
            return value
        builder, made, wanted = self.builder, value.made, self.kinds[kind]
        if _SPREADS.get(kind) == value.kind:
            first = ir.Constant(wanted, ir.Undefined)
            one = builder.insert_element(first, made, ir.IntType(32)(0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), wanted.count), [0] * wanted.count)
            return Value(self, builder.shuffle_vector(one, first, zeros), kind)
        if made.type == wanted:
            return Value(self, made, kind)
        if (value.kind, kind) in {("i", "r"), ("i", "d")}:
            return Value(self, builder.sitofp(made, wanted), kind)
        if (value.kind, kind) in {("r", "d"), ("q", "x")}:
            return Value(self, builder.fpext(made, wanted), kind)
        if (value.kind, kind) in {("d", "r"), ("x", "q")}:
            return Value(self, builder.fptrunc(made, wanted), kind)
        raise TypeError(f"no {kind!r} can be made of {value!r}")

    def _both(self, a: Value | float, b: Value | float) -> tuple[Value, Value]:
        kinds = [each.kind for each in (a, b) if isinstance(each, Value)]
        kind = next((each for each in kinds if each in _SPREADS), kinds[0])
        return self.value(a, kind), self.value(b, kind)

    def arithmetic(self, operation: str, a: Value | float, b: Value | float) -> Value:
        """Make an instruction of arithmetic: ``add``, ``sub``, ``mul`` or ``div``."""
        a, b = self._both(a, b)
        if a.kind == "i":
            return Value(self, getattr(self.builder, operation)(a.made, b.made), "i")
        made = getattr(self.builder, f"f{operation}")(a.made, b.made, flags=CONTRACT)
        return Value(self, made, a.kind)

    def compare(self, operation: str, a: Value | float, b: Value | float) -> Value:
        """Make a comparison, which of what is no number is false."""
        a, b = self._both(a, b)
        signed = a.kind == "i"
        how = self.builder.icmp_signed if signed else self.builder.fcmp_ordered
        return Value(self, how(operation, a.made, b.made), "b")

    def select(self, condition: Value, a: Value | float, b: Value | float) -> Value:
        """Return one of two, in each lane."""
        a, b = self._both(a, b)
        return Value(self, self.builder.select(condition.made, a.made, b.made), a.kind)

    def minimum(self, a: Value | float, b: Value | float) -> Value:
        """Return the lesser of two; `b` where either is no number."""
        a, b = self._both(a, b)
        return self.select(a < b, a, b)

    def maximum(self, a: Value | float, b: Value | float) -> Value:
        """Return the greater of two; `b` where either is no number."""
        a, b = self._both(a, b)
        return self.select(a > b, a, b)

    def sqrt(self, value: Value) -> Value:
        """Return a root, correctly rounded."""
        return self._intrinsic("sqrt", value)

    def absolute(self, value: Value) -> Value:
        """Return a number without its sign."""
        return self._intrinsic("fabs", value)

    def _intrinsic(self, name: str, value: Value) -> Value:
        kind, module = value.made.type, self.builder.module
        vector = isinstance(kind, ir.VectorType)
        element = kind.element if vector else kind
        suffix = "f32" if isinstance(element, ir.FloatType) else "f64"
        full = f"llvm.{name}.{f'v{kind.count}' if vector else ''}{suffix}"
        function = module.globals.get(full)
        if function is None:
            function = ir.Function(module, ir.FunctionType(kind, [kind]), full)
        return Value(self, self.builder.call(function, [value.made]), value.kind)

    def indices(self, which: Sequence[int]) -> Any:
        """Return the lanes that a shuffle takes."""
        return ir.Constant(ir.VectorType(ir.IntType(32), len(which)), list(which))

    def total(self, vector: Value) -> Value:
        """Return the sum over lanes: halves onto each other, an order that is fixed."""
        made, count = vector.made, vector.made.type.count
        while count > 1:
            count //= 2
            masks = (self.indices(range(first, first + count)) for first in (0, count))
            low, high = (self.builder.shuffle_vector(made, made, mask) for mask in masks)
            made = self.builder.fadd(low, high)
        one = self.builder.extract_element(made, ir.IntType(32)(0))
        return Value(self, one, _SPREADS[vector.kind])

    def largest(self, vector: Value) -> Value:
        """Return the greatest over lanes."""
        lanes = [
            Value(self, self.builder.extract_element(vector.made, ir.IntType(32)(lane)), "r")
            for lane in range(vector.made.type.count)
        ]
        found = lanes[0]
        for lane in lanes[1:]:
            found = self.maximum(found, lane)
        return found

    # flow

    @contextmanager
    def loop(
        self, stop: Value | int, start: Value | int = 0, step: Value | int = 1
    ) -> Iterator[Value]:
        """Repeat what is made inside, with a counter that goes up to `stop`."""
        first, last, stride = (self.value(each, "i").made for each in (start, stop, step))
        before = self.builder.block
        head = self.builder.append_basic_block("loop")
        body = self.builder.append_basic_block("body")
        after = self.builder.append_basic_block("after")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        counter = self.builder.phi(INTEGER)
        counter.add_incoming(first, before)
        self.builder.cbranch(self.builder.icmp_signed("<", counter, last), body, after)
        self.builder.position_at_end(body)
        yield Value(self, counter, "i")
        counter.add_incoming(self.builder.add(counter, stride), self.builder.block)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Do what is made inside where a condition holds."""
        with self.builder.if_then(condition.made):
            yield

    @contextmanager
    def either(self, condition: Value) -> Iterator[Any]:
        """Two branches: ``with code.either(c) as (then, otherwise): with then: ...``."""
        with self.builder.if_else(condition.made) as branches:
            yield branches

    def call(self, address: Value, *pointers: Pointer) -> None:
        """Call a function at an address that takes pointers and returns nothing."""
        kind = ir.FunctionType(ir.VoidType(), [each.made.type for each in pointers])
        function = self.builder.inttoptr(address.made, kind.as_pointer())
        self.builder.call(function, [each.made for each in pointers])
