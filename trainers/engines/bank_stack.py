"""The stack of a bank: all weights of a lane in one row, so that an update, an admission or a mask is one operation on
one tensor, however many layers the model has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainers.zoo.dropout import HashedDropout


@dataclass(frozen=True, slots=True)
class Row:
    """Named tensors laid one after the other."""

    shapes: Mapping[str, torch.Size]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensors: Iterable[tuple[str, Tensor]], dtype: torch.dtype) -> Row:
        """The names and shapes of these, whose values are held in `dtype`."""
        return cls({name: tensor.shape for name, tensor in tensors}, dtype)

    @property
    def length(self) -> int:
        """How many numbers a row holds."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def split(self, row: Tensor) -> dict[str, Tensor]:
        """Views of a row [length] under their names."""
        answer, offset = {}, 0
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            answer[name] = row[offset : offset + size].view(shape)
            offset += size
        return answer

    def join(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """A new row [length] of these, which may be more than the row's own."""
        if not self.shapes:
            return torch.empty(0, dtype=self.dtype, device=next(iter(tensors.values())).device if tensors else None)
        return torch.cat([tensors[name].to(self.dtype).reshape(-1) for name in self.shapes])


@dataclass(frozen=True, slots=True)
class Layout:
    """How a model's state is laid out: weights, floating statistics (norms), whole-number counts, dropout's keys."""

    parameters: Row
    statistics: Row
    counts: Row
    keys: tuple[str, ...]
    kept: frozenset[str]  # the names of a state_dict

    @classmethod
    def of(cls, model: nn.Module) -> Layout:
        """The model's."""
        keys = tuple(f"{name}.key" for name, part in model.named_modules() if isinstance(part, HashedDropout))
        buffers = [(name, tensor) for name, tensor in model.named_buffers() if name not in keys]
        dtype = next(model.parameters()).dtype
        return cls(
            Row.of(model.named_parameters(), dtype),
            Row.of(((name, tensor) for name, tensor in buffers if tensor.is_floating_point()), dtype),
            Row.of(((name, tensor) for name, tensor in buffers if not tensor.is_floating_point()), torch.int64),
            keys,
            frozenset(model.state_dict()),
        )

    def buffers(self, statistics: Tensor, counts: Tensor, key: Tensor) -> dict[str, Tensor]:
        """One student's buffers; every dropout has the same key."""
        return self.statistics.split(statistics) | self.counts.split(counts) | dict.fromkeys(self.keys, key)


class LaneState(NamedTuple):
    """All lanes' numbers, [lanes, numbers] each: weights, the optimizer's moments of them, and the buffers.

    A tuple, as are all structures of tensors that a step takes: `vmap` and the compiler know it as one.
    """

    weights: Tensor
    first: Tensor
    second: Tensor
    statistics: Tensor
    counts: Tensor


@dataclass(frozen=True, slots=True)
class Stack:
    """The students' state, and how its rows are laid out."""

    layout: Layout
    lanes: LaneState

    @classmethod
    def of(cls, layout: Layout, lanes: int, device: torch.device) -> Stack:
        """Rows of zeros, to be filled by `put`."""

        def rows(row: Row) -> Tensor:
            return torch.zeros((lanes, row.length), dtype=row.dtype, device=device)

        weights, first, second = (rows(layout.parameters) for _ in range(3))
        return cls(layout, LaneState(weights, first, second, rows(layout.statistics), rows(layout.counts)))

    def put(self, lane: int, model: nn.Module, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
        """The lane becomes a copy of the model; a moment that is not given is zero. The last one leaves no trace."""
        layout, lanes = self.layout, self.lanes
        state = dict(model.named_parameters()) | dict(model.named_buffers())
        with torch.no_grad():
            lanes.weights[lane] = layout.parameters.join(state)
            lanes.statistics[lane] = layout.statistics.join(state)
            lanes.counts[lane] = layout.counts.join(state)
            for row, moments in ((lanes.first, first), (lanes.second, second)):
                row[lane] = 0
                for name, part in layout.parameters.split(row[lane]).items():
                    if name in moments:
                        part.copy_(moments[name])

    def state(self, lane: int) -> dict[str, Tensor]:
        """The lane's state_dict, views of the stack."""
        layout, lanes = self.layout, self.lanes
        tensors = layout.parameters.split(lanes.weights[lane]) | layout.statistics.split(lanes.statistics[lane])
        tensors |= layout.counts.split(lanes.counts[lane])
        return {name: tensor for name, tensor in tensors.items() if name in layout.kept}

    def moments(self, lane: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The lane's first and second moments by parameter name, views of the stack."""
        split = self.layout.parameters.split
        return split(self.lanes.first[lane]), split(self.lanes.second[lane])
