"""Dropout by a hash of (seed, step, layer, position) in place of a generator's state, so that a student drops the same
activations whichever engine trains it and whatever its neighbours do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torchvision
from torch import Tensor, nn

from trainers.order import derive

_WORD = 0xFFFFFFFF


def _mix(value: Tensor) -> Tensor:
    """A bijection of 32-bit words, held in int64, in which each input bit flips about half of the output bits.

    Two rounds of xor-shift and multiply by 0x45D9F3B (T. Mueller's constant); products stay below 2^59.
    """
    value = ((value >> 16) ^ value) * 0x45D9F3B & _WORD
    value = ((value >> 16) ^ value) * 0x45D9F3B & _WORD
    return (value >> 16) ^ value


def step_key(seed: int, step: int) -> int:
    """The 32-bit word that fixes all masks of one training step (counted from 0) of the student of `seed`."""
    return derive(seed, "dropout", step) & _WORD


def keep_mask(key: Tensor, layer: int, p: float, count: int) -> Tensor:
    """Which of `count` activations a layer keeps under a key (int64), [count] (bool); [..., count] of keys [..., 1]."""
    # the key is mixed once before positions come in: neighbouring keys must not give shifted copies of a mask
    words = _mix(torch.arange(count, device=key.device) ^ _mix(key + layer * 0x9E3779B1 & _WORD))
    return words >= int(p * 2**32)


class HashedDropout(nn.Module):
    """Inverted dropout with probability p, active in training mode; its mask is a function of `key` and `layer`.

    `key` is a buffer (scalar int64, not part of the state dict), so that stacked models carry a key each.
    `per` says what is dropped as one: each element, each row of the batch (stochastic depth), or the whole batch.
    """

    key: Tensor

    def __init__(self, p: float, per: Literal["element", "row", "batch"] = "element") -> None:
        super().__init__()
        self.p = p
        self.per = per
        self.layer = 0
        self.register_buffer("key", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        shape = {"element": x.shape, "row": (x.shape[0], *[1] * (x.dim() - 1)), "batch": (1,) * x.dim()}[self.per]
        count = 1
        for length in shape:
            count *= length
        mask = keep_mask(self.key, self.layer, self.p, count).reshape(shape)
        return x * mask.to(x.dtype) / (1 - self.p)


def hash_positions(model: nn.Module) -> None:
    """Replaces torch's and torchvision's random layers by hashed ones, and numbers all of them."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(parent, name, HashedDropout(child.p))
            elif isinstance(child, torchvision.ops.StochasticDepth):
                setattr(parent, name, HashedDropout(child.p, "row" if child.mode == "row" else "batch"))
    for number, layer in enumerate(layers(model)):
        layer.layer = number


def layers(model: nn.Module) -> Sequence[HashedDropout]:
    """The model's hashed dropouts in the order of `modules()`."""
    return [module for module in model.modules() if isinstance(module, HashedDropout)]


def set_key(dropouts: Sequence[HashedDropout], seed: int, step: int) -> None:
    """Tells the layers which step of whose training comes next."""
    if dropouts:
        key = step_key(seed, step)
        for layer in dropouts:
            layer.key.fill_(key)
