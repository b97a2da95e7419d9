"""What a plugin declares: models and data sets of an installed package, which workers train with. The standard library
alone; the functions themselves may import what they need.

A package names the module of its declarations in the entry-point group `thermowell.plugins`, and the operator names the
package in THERMOWELL_PLUGINS. See docs/plugins.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

GROUP = "thermowell.plugins"
"""The entry-point group."""
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}/[A-Za-z0-9][A-Za-z0-9._-]{0,49}"
"""What the name of a plugin's record looks like: it has a slash, which no name of the project has."""
Kind = Literal["model", "dataset"]
Inputs = Literal["images", "features", "tokens"]
INPUTS: tuple[Inputs, ...] = ("images", "features", "tokens")
Argument = int | float | str | bool
MOST = 1e300
"""No argument is larger; whole numbers may have any number of digits, and no float would hold them."""
_ATTRIBUTE = "__thermowell__"
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a model: low <= value <= high; an int also lies on the grid low, low + stride, ..."""

    kind: Literal["int", "float"]
    default: float
    low: float
    high: float
    summary: str
    stride: int = 1

    def problem(self, value: Argument) -> str | None:
        """Why `value` is not allowed, or None."""
        number = isinstance(value, int if self.kind == "int" else (int, float)) and not isinstance(value, bool)
        if not number or not abs(value) <= MOST:  # type: ignore[arg-type]  # a number, and not NaN
            return f"must be {'a whole number' if self.kind == 'int' else 'a number'}, got {value!r}"
        if not self.low <= float(value) <= self.high:
            return f"must be between {self.low:g} and {self.high:g}, got {value}"
        if self.kind == "int" and (int(value) - int(self.low)) % self.stride:
            first = ", ".join(str(int(self.low) + i * self.stride) for i in range(4))
            return f"must be one of {first}, ... (up to {self.high:g}), got {value}"
        return None

    def typed_default(self) -> int | float:
        """The default as the kind has it."""
        return int(self.default) if self.kind == "int" else self.default


@dataclass(frozen=True, slots=True)
class Declaration:
    """A record of a plugin by name. Of a data set: how many `classes` it has and their names, what its examples are
    (`inputs`), of tokens how many there are (`vocabulary`), and whether it has a test part of its own.
    """

    kind: Kind
    name: str
    summary: str = ""
    arguments: Mapping[str, Parameter] = field(default_factory=dict)
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    inputs: Inputs | None = None
    vocabulary: int | None = None
    own_test_part: bool = False

    def __post_init__(self) -> None:
        """ValueError where the declaration cannot be meant."""
        if not re.fullmatch(NAME, self.name):
            raise ValueError(f"a plugin's name looks like owner/name (letters, digits, _ and -), not {self.name!r}")
        if self.kind != "dataset":
            return
        if self.classes is None or self.classes < 2:
            raise ValueError(f"{self.name}: classes must be 2 or more")
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(f"{self.name}: {len(self.class_names)} class names for {self.classes} classes")
        if self.inputs not in INPUTS:
            raise ValueError(f"{self.name}: inputs must be one of {', '.join(INPUTS)}, not {self.inputs!r}")
        if (self.inputs == "tokens") != (self.vocabulary is not None):
            raise ValueError(f"{self.name}: vocabulary, how many tokens there are, belongs to inputs: tokens")


def model(
    name: str, *, arguments: Mapping[str, Parameter] | None = None, summary: str = ""
) -> Callable[[Function], Function]:
    """Declares a model: `function(shape, classes, **arguments)` answers a torch module, from examples [n, *shape] to
    logits [n, classes]. A function that also takes `vocabulary` makes models for tokens, which come as int64.
    """
    return _declared(Declaration("model", name, summary, dict(arguments or {})))


def dataset(
    name: str,
    *,
    classes: int,
    inputs: Inputs = "images",
    vocabulary: int | None = None,
    own_test_part: bool = False,
    class_names: Sequence[str] = (),
    summary: str = "",
) -> Callable[[Function], Function]:
    """Declares a data set: `function(root, part)` answers NumPy arrays of examples [n, ...] and labels [n].

    `part` is "pool", from which validation (and test) are cut, or "test" where there is one of its own. `root` is the
    folder below which the operator's data lie. Images are uint8 [n, channels, height, width]; features any numbers,
    which are scaled by the training part's mean and deviation along their first dimension; tokens whole numbers below
    `vocabulary`.
    """
    names = tuple(class_names)
    return _declared(Declaration("dataset", name, summary, {}, classes, names, inputs, vocabulary, own_test_part))


def declarations(function: Any) -> tuple[Declaration, ...]:
    """What a function was declared as; nothing where it was not."""
    declared = getattr(function, _ATTRIBUTE, ())
    return declared if isinstance(declared, tuple) else ()


def _declared(declaration: Declaration) -> Callable[[Function], Function]:
    def declare(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, (*declarations(function), declaration))
        return function

    return declare
