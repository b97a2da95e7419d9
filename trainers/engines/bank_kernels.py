"""How a bank's lanes move by their gradients: a kernel for each kind of optimizer, bound to the records by name.

Every bank's program has the first kernel; another one joins it when a lane's optimizer needs it, so that none pays for
optimizers that nobody uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainers.registry import lookup, plugins
from trainers.spec import Optimizer
from trainers.training.optim import Lion, nadam_momenta, plugin_settings


class Coefficients(NamedTuple):
    """What lanes tell their kernels, a tensor [lanes] or [lanes, 1] each. One that a kernel does not use is 0.

    first moment = keep * first moment + take * gradient; where not adaptive, direction = gradient_share * gradient +
    moment_share * first moment. `kernel` is its place in KERNELS.
    """

    coupled_decay: Tensor
    decoupled_decay: Tensor
    keep: Tensor
    take: Tensor
    gradient_share: Tensor
    moment_share: Tensor
    adaptive: Tensor
    kernel: Tensor


CORRECTIONS = 3
"""How many numbers of a step a kernel gets besides the learning rate, which depend on the step's number alone."""

Tell = Callable[[Optimizer], dict[str, float]]
"""From an optimizer: its coefficients by name, those that are not 0."""
Update = Callable[[Tensor, Tensor, Tensor, Tensor, Coefficients, Tensor, Sequence[Tensor]], tuple[Tensor, ...]]
"""From weights, first and second moments and gradients, [lanes, n] each, coefficients, the learning rate and the
corrections, [lanes, 1] each: the new weights and moments."""
Correct = Callable[[Tensor], tuple[Tensor, ...]]
"""From the numbers of steps, counted from 1 (float64): the corrections of each, at most CORRECTIONS."""


InPlace = Callable[[Tensor, Tensor, Tensor, Tensor, Coefficients, Tensor, Sequence[Tensor]], None]
"""The same as Update, but the new weights and moments take the place of the old, and the gradients are spoilt."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """How lanes move, and the corrections of their steps; `in_place` where there is a way that makes no new tensors."""

    update: Update
    correct: Correct
    in_place: InPlace | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """Which kernel moves the lanes of an optimizer, and what they tell it."""

    kernel: Kernel
    tell: Tell


_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # as torch's Adam has them


def _moments(
    weight: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    row: Coefficients,
    rate: Tensor,
    corrections: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """torch.optim's SGD (Sutskever et al. 2013), Adam (arXiv:1412.6980) or AdamW (arXiv:1711.05101), each lane its."""
    first_correction, second_correction = corrections[:2]
    gradient = gradient + row.coupled_decay * weight
    new_first = row.keep * first + row.take * gradient
    new_second = _BETA2 * second + (1 - _BETA2) * gradient * gradient
    adaptive = new_first * first_correction / (new_second.sqrt() * second_correction + _EPSILON)
    linear = row.gradient_share * gradient + row.moment_share * new_first
    direction = torch.where(row.adaptive > 0, adaptive, linear)
    return weight * (1 - rate * row.decoupled_decay) - rate * direction, new_first, new_second


def _moments_in_place(
    weight: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    row: Coefficients,
    rate: Tensor,
    corrections: Sequence[Tensor],
) -> None:
    """The same. The direction of a lane that is not adaptive is divided by 0 * sqrt(second) + 1."""
    first_correction, second_correction = corrections[:2]
    adaptive = row.adaptive > 0
    gradient.addcmul_(weight, row.coupled_decay)
    first.mul_(row.keep).addcmul_(gradient, row.take)
    second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
    direction = row.gradient_share * gradient
    scale = torch.sqrt(second, out=gradient)
    scale.mul_(torch.where(adaptive, second_correction, 0.0)).add_(torch.where(adaptive, _EPSILON, 1.0))
    scale.nan_to_num_(1.0, torch.inf)  # 0 * inf, of a lane that has no need of its second moment
    moment_share = torch.where(adaptive, first_correction, row.moment_share)
    direction.addcmul_(torch.div(first, scale, out=gradient), moment_share)
    # one sum, as torch has it: each would be rounded to what a weight can hold
    weight.mul_(1 - rate * row.decoupled_decay).addcmul_(direction, rate, value=-1)


def _bias(count: Tensor) -> tuple[Tensor, ...]:
    """The reciprocals of Adam's two bias corrections (arXiv:1412.6980, algorithm 1), the second's root."""
    return 1 / (1 - _BETA1**count), 1 / (1 - _BETA2**count).sqrt()


def _sgd(optimizer: Optimizer) -> dict[str, float]:
    """Its first step in torch takes the gradient for its momentum, as zero moments and take = 1 do."""
    momentum, nesterov = optimizer.momentum, optimizer.nesterov
    return {
        "coupled_decay": optimizer.weight_decay,
        "keep": momentum,
        "take": 1.0,
        "gradient_share": 1.0 if nesterov else 0.0,
        "moment_share": momentum if nesterov else 1.0,
    }


def _adam(optimizer: Optimizer) -> dict[str, float]:
    return {"coupled_decay": optimizer.weight_decay, "keep": _BETA1, "take": 1 - _BETA1, "adaptive": 1.0}


def _adamw(optimizer: Optimizer) -> dict[str, float]:
    return {"decoupled_decay": optimizer.weight_decay, "keep": _BETA1, "take": 1 - _BETA1, "adaptive": 1.0}


def _sign(
    weight: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    row: Coefficients,
    rate: Tensor,
    corrections: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """Lion (arXiv:2302.06675, algorithm 2), which has no second moment."""
    of_step, of_momentum = Lion.BETAS
    direction = (of_step * first + (1 - of_step) * gradient).sign()
    new_first = of_momentum * first + (1 - of_momentum) * gradient
    return weight * (1 - rate * row.decoupled_decay) - rate * direction, new_first, second


def _lion(optimizer: Optimizer) -> dict[str, float]:
    return {"decoupled_decay": optimizer.weight_decay}


_ALPHA = 0.99  # as torch's RMSprop has it


def _root(
    weight: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    row: Coefficients,
    rate: Tensor,
    corrections: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """torch.optim's RMSprop (Tieleman & Hinton 2012), whose momentum is of gradients that are scaled already."""
    gradient = gradient + row.coupled_decay * weight
    new_second = _ALPHA * second + (1 - _ALPHA) * gradient * gradient
    new_first = row.keep * first + gradient / (new_second.sqrt() + _EPSILON)
    return weight - rate * new_first, new_first, new_second


def _rmsprop(optimizer: Optimizer) -> dict[str, float]:
    return {"coupled_decay": optimizer.weight_decay, "keep": optimizer.momentum}


def _nesterov(
    weight: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    row: Coefficients,
    rate: Tensor,
    corrections: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """torch.optim's NAdam (Dozat 2016): Adam, whose momentum is that of the next step."""
    second_correction, of_gradient, of_first = corrections
    gradient = gradient + row.coupled_decay * weight
    new_first = _BETA1 * first + (1 - _BETA1) * gradient
    new_second = _BETA2 * second + (1 - _BETA2) * gradient * gradient
    scale = new_second.sqrt() * second_correction + _EPSILON
    return weight - rate * (of_gradient * gradient + of_first * new_first) / scale, new_first, new_second


def _momenta(count: Tensor) -> tuple[Tensor, ...]:
    """The reciprocal of the second bias correction's root, and the shares of the gradient and of the first moment."""
    steps = count.long()
    mu, products = nadam_momenta(int(steps.max()))
    now, after, product = mu[steps - 1], mu[steps], products.double()[steps]
    return 1 / (1 - _BETA2**count).sqrt(), (1 - now) / (1 - product), after / (1 - product * after)


def _nadam(optimizer: Optimizer) -> dict[str, float]:
    return {"coupled_decay": optimizer.weight_decay}


MOMENTS = Kernel(_moments, _bias, _moments_in_place)
SIGN = Kernel(_sign, lambda count: ())
ROOT = Kernel(_root, lambda count: ())
NESTEROV = Kernel(_nesterov, _momenta)
BINDINGS: Mapping[str, Binding] = {
    "sgd": Binding(MOMENTS, _sgd),
    "adam": Binding(MOMENTS, _adam),
    "adamw": Binding(MOMENTS, _adamw),
    "lion": Binding(SIGN, _lion),
    "rmsprop": Binding(ROOT, _rmsprop),
    "nadam": Binding(NESTEROV, _nadam),
}
KERNELS = list(dict.fromkeys(one.kernel for one in BINDINGS.values()))
"""All kernels; the first is in every bank's program. Those of plugins' optimizers follow, once they are asked for."""
_of_plugins: dict[Callable[..., Any], Binding] = {}
"""By the plugin's function, which is another one where another code was loaded."""


def binding(name: str) -> Binding:
    """Which kernel moves the lanes of the optimizer of that name, of a plugin's too. NameUnknown."""
    if plugins.is_plugin(name):
        return _of_plugin(name)
    return lookup.find("optimizer", name, BINDINGS)


def _of_plugin(name: str) -> Binding:
    declaration, function = plugins.code_of("optimizer", name)
    if function not in _of_plugins:
        has_momentum = "momentum" in declaration.settings

        def update(
            weight: Tensor,
            first: Tensor,
            second: Tensor,
            gradient: Tensor,
            row: Coefficients,
            rate: Tensor,
            corrections: Sequence[Tensor],
        ) -> tuple[Tensor, ...]:
            settings = {"learning_rate": rate, "weight_decay": row.decoupled_decay}
            settings |= {"momentum": row.keep} if has_momentum else {}
            return tuple(function(weight, gradient, first, second, step=corrections[0], **settings))

        def tell(optimizer: Optimizer) -> dict[str, float]:
            settings = plugin_settings(optimizer.name, optimizer)
            return {"decoupled_decay": settings["weight_decay"], "keep": settings.get("momentum", 0.0)}

        kernel = Kernel(update, lambda count: (count,))
        KERNELS.append(kernel)
        _of_plugins[function] = Binding(kernel, tell)
    return _of_plugins[function]


def coefficients(optimizer: Optimizer) -> dict[str, float]:
    """What a lane of this optimizer tells its kernel, all by name. NameUnknown."""
    bound = binding(optimizer.name)
    values = bound.tell(optimizer)
    return dict.fromkeys(Coefficients._fields, 0.0) | values | {"kernel": float(KERNELS.index(bound.kernel))}


def corrections(names: Sequence[str | None], count: Tensor) -> Tensor:
    """The corrections of lanes of these optimizers in steps of these numbers [steps, lanes], [steps, 3, lanes]; of a
    lane that is None, as of one that needs none, they are numbers that do no harm.
    """
    answer = torch.zeros((len(count), CORRECTIONS, len(names)), dtype=count.dtype)
    kernels = [KERNELS[0] if name is None else binding(name).kernel for name in names]
    for kernel in dict.fromkeys(kernels):
        lanes = [lane for lane, lane_kernel in enumerate(kernels) if lane_kernel is kernel]
        for place, values in enumerate(kernel.correct(count[:, lanes])):
            answer[:, place, lanes] = values
    return answer


def moves(kernels: Sequence[Kernel]) -> tuple[tuple[int, Update], ...]:
    """Kernels as a compiler takes them: their places in KERNELS and their functions, nothing else."""
    return tuple((KERNELS.index(kernel), kernel.update) for kernel in kernels)


def update(
    moving: Sequence[tuple[int, Update]],
    weight: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    row: Coefficients,
    rate: Tensor,
    corrections: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """The new weights and moments of all lanes, [lanes, n] each, where these `moves` are all that lanes need."""
    changed = moving[0][1](weight, first, second, gradient, row, rate, corrections)
    for place, move in moving[1:]:
        mask = row.kernel == place
        candidates = move(weight, first, second, gradient, row, rate, corrections)
        changed = tuple(torch.where(mask, new, old) for new, old in zip(candidates, changed, strict=True))
    return changed


def move(
    kernel: Kernel,
    weight: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    row: Coefficients,
    rate: Tensor,
    corrections: Sequence[Tensor],
) -> None:
    """Writes the new weights and moments of lanes that all need this kernel in the place of the old."""
    if kernel.in_place is not None:
        kernel.in_place(weight, first, second, gradient, row, rate, corrections)
        return
    changed = kernel.update(weight, first, second, gradient, row, rate, corrections)
    for old, new in zip((weight, first, second), changed, strict=True):
        old.copy_(new)
