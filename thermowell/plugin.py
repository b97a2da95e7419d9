"""What a plugin declares: models, data sets, losses, optimizers and augmentations of an installed package, which
workers train with. The standard library alone; the functions themselves may import what they need.

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
Kind = Literal["model", "dataset", "loss", "optimizer", "augmentation"]
Inputs = Literal["images", "features", "tokens"]
INPUTS: tuple[Inputs, ...] = ("images", "features", "tokens")
Targets = Literal["classes", "soft", "several"]
"""What the labels of a data set are: one class for each example, its probabilities of all classes, or several labels of
which each is there or not.
"""
TARGETS: tuple[Targets, ...] = ("classes", "soft", "several")
Argument = int | float | str | bool
WEIGHTS = ("alpha", "beta", "gamma")
"""The names that weights of a loss may have."""
SETTINGS = ("learning_rate", "weight_decay", "momentum")
"""The settings of an optimizer; all have the first two."""
MOST = 1e300
"""No argument is larger; whole numbers may have any number of digits, and no float would hold them."""
_ATTRIBUTE = "__thermowell__"
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a model or a data set: low <= value <= high; an int also lies on the grid low, low + stride."""

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
class Span:
    """From where to where a setting of an optimizer is searched unless a space says otherwise; both are positive where
    the scale is logarithmic.
    """

    low: float
    high: float
    log: bool = True


@dataclass(frozen=True, slots=True)
class Declaration:
    """A record of a plugin by name. Of a data set: how many `classes` it has and their names, what its examples are
    (`inputs`), of tokens how many there are (`vocabulary`), the kind of its labels (`targets`, one), and whether it has
    a test part of its own. Of a loss: its `weights` with their defaults, the `least_classes` with which it says
    anything, and the `targets` with which it does. Of an optimizer: its `settings`, each with the span in which it is
    searched, or the number that it is.
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
    weights: Mapping[str, float] = field(default_factory=dict)
    least_classes: int = 2
    settings: Mapping[str, Span | float] = field(default_factory=dict)
    targets: tuple[Targets, ...] = ("classes",)

    def __post_init__(self) -> None:
        """ValueError where the declaration cannot be meant."""
        if not re.fullmatch(NAME, self.name):
            raise ValueError(f"a plugin's name looks like owner/name (letters, digits, _ and -), not {self.name!r}")
        if unknown := [name for name in self.weights if name not in WEIGHTS]:
            raise ValueError(f"{self.name}: weights may be {', '.join(WEIGHTS)}, not {', '.join(unknown)}")
        if unknown := [kind for kind in self.targets if kind not in TARGETS]:
            raise ValueError(f"{self.name}: targets may be {', '.join(TARGETS)}, not {', '.join(unknown)}")
        if self.kind == "optimizer":
            _check_settings(self.name, self.settings)
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


def loss(
    name: str,
    *,
    weights: Mapping[str, float] | None = None,
    least_classes: int = 2,
    targets: Sequence[Targets] = ("classes",),
    summary: str = "",
) -> Callable[[Function], Function]:
    """Declares a distillation term: `function(student, teacher, labels, *, teacher_temperature, student_temperature,
    **weights)` answers it for each example, [n], or their mean, from both logits [n, classes] and labels [n] (int64).

    The logits are float32 or wider, and in a bank everything but the class may be a tensor of a lane under
    `torch.func.vmap`. Label term and `kd_weight` are not its business; T^2 is, where it wants that. `targets` are the
    kinds of labels with which it makes sense: soft ones come as probabilities [n, classes] (float32), several as bool
    [n, classes].
    """
    weighed = dict(weights or {})
    return _declared(
        Declaration("loss", name, summary, weights=weighed, least_classes=least_classes, targets=tuple(targets))
    )


def optimizer(name: str, *, settings: Mapping[str, Span | float], summary: str = "") -> Callable[[Function], Function]:
    """Declares an optimizer: `function(weight, gradient, first, second, *, step, **settings)` answers the new weight
    and the two new moments, which begin as zeros and are kept in checkpoints; all have one shape.

    `step` counts from 1, `learning_rate` is that of the step. In a bank, numbers are tensors that broadcast, and a
    weight is all weights of a student as one row: what depends on a tensor's shape is trained in the loop.
    """
    return _declared(Declaration("optimizer", name, summary, settings=dict(settings)))


def augmentation(name: str, *, summary: str = "") -> Callable[[Function], Function]:
    """Declares an augmentation: `function(images, seed)` answers one view of images (uint8 NumPy array [n, channels,
    height, width]) in the same form; the same for the same seed, of which each view has one.
    """
    return _declared(Declaration("augmentation", name, summary))


def dataset(
    name: str,
    *,
    classes: int,
    inputs: Inputs = "images",
    vocabulary: int | None = None,
    own_test_part: bool = False,
    class_names: Sequence[str] = (),
    arguments: Mapping[str, Parameter] | None = None,
    summary: str = "",
    targets: Targets = "classes",
) -> Callable[[Function], Function]:
    """Declares a data set: `function(root, part, **arguments)` answers NumPy arrays: examples [n, ...] and labels.

    `part` is "pool", from which validation (and test) are cut, or "test" where there is one of its own. `root` is the
    folder below which the operator's data lie. Images are uint8 [n, channels, height, width]; features any numbers,
    which are scaled by the training part's mean and deviation along their first dimension; tokens whole numbers below
    `vocabulary`. Labels are as `targets` says: "classes", whole numbers [n]; "soft", probabilities [n, classes] whose
    rows sum to 1; "several", zeros and ones [n, classes].
    """
    names = tuple(class_names)
    parameters = dict(arguments or {})
    return _declared(
        Declaration(
            "dataset", name, summary, parameters, classes, names, inputs, vocabulary, own_test_part, targets=(targets,)
        )
    )


def declarations(function: Any) -> tuple[Declaration, ...]:
    """What a function was declared as; nothing where it was not."""
    declared = getattr(function, _ATTRIBUTE, ())
    return declared if isinstance(declared, tuple) else ()


def _check_settings(name: str, settings: Mapping[str, Span | float]) -> None:
    unknown = [setting for setting in settings if setting not in SETTINGS]
    missing = [setting for setting in SETTINGS[:2] if setting not in settings]
    if unknown or missing:
        raise ValueError(f"{name}: settings are {', '.join(SETTINGS[:2])} and, where it has one, {SETTINGS[2]}")
    for setting, span in settings.items():
        low = span.low if isinstance(span, Span) else span
        high = span.high if isinstance(span, Span) else span
        if not 0 <= low <= high or (isinstance(span, Span) and (low == high or (span.log and low == 0))):
            raise ValueError(f"{name}: {setting} must be a number, or a span from low to a larger high, 0 or more")


def _declared(declaration: Declaration) -> Callable[[Function], Function]:
    def declare(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, (*declarations(function), declaration))
        return function

    return declare
