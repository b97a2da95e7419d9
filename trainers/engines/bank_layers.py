"""Layers in the form that is fastest when many students are stacked: products of matrices, sums and comparisons, which
`torch.func.vmap` batches well and a compiler fuses. Same parameters, same buffers, same numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.training.epoch import at_least_float32

# A convolution's input is unfolded where that takes no more than this for one student's batch; wider ones are left to
# grouped convolutions, which need no such room: measured, products win on 8 x 8 pixels and lose on 28 x 28.
UNFOLDED_BYTES = 2**20


class StackableConv2d(nn.Conv2d):
    """Convolution as one product: each output pixel's patch is a row, [b * h * w, kh * kw * C] @ [kh * kw * C, out]."""

    def forward(self, x: Tensor) -> Tensor:
        (high, wide), (down, right) = self.kernel_size, self.stride
        above, aside = (int(pad) for pad in self.padding)
        rows = (x.shape[2] + 2 * above - high) // down + 1
        columns = (x.shape[3] + 2 * aside - wide) // right + 1
        size = x.shape[0] * rows * columns * high * wide * x.shape[1]
        if size * x.element_size() > UNFOLDED_BYTES:
            return super().forward(x)
        pixels = F.pad(x.permute(0, 2, 3, 1), (0, 0, aside, aside, above, above))
        patches = torch.cat(
            [
                pixels[:, i : i + down * (rows - 1) + 1 : down, j : j + right * (columns - 1) + 1 : right]
                for i in range(high)
                for j in range(wide)
            ],
            dim=-1,
        )
        kernel = self.weight.permute(2, 3, 1, 0).reshape(-1, self.out_channels)
        y = patches.reshape(-1, kernel.shape[0]) @ kernel
        if self.bias is not None:
            y = y + self.bias
        return y.reshape(x.shape[0], rows, columns, self.out_channels).permute(0, 3, 1, 2)


class StackableBatchNorm2d(nn.BatchNorm2d):
    """Batch norm in training mode as sums (Ioffe & Szegedy 2015, arXiv:1502.03167); float32 within, as torch's."""

    def forward(self, x: Tensor) -> Tensor:
        count = x.numel() // x.shape[1]
        if not self.training or count < 2:
            return super().forward(x)  # which refuses a batch of one value
        wide = at_least_float32(x)
        mean = wide.mean((0, 2, 3))
        centred = wide - mean[:, None, None]
        variance = (centred * centred).mean((0, 2, 3))
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        share = self.momentum
        self.running_mean.mul_(1 - share).add_(mean.detach() * share)
        self.running_var.mul_(1 - share).add_(variance.detach() * (share * count / (count - 1)))
        self.num_batches_tracked.add_(1)
        scaled = centred * ((variance + self.eps).rsqrt() * self.weight)[:, None, None] + self.bias[:, None, None]
        return scaled.to(x.dtype)


class StackableMaxPool2d(nn.MaxPool2d):
    """The larger of two, twice; of equals the first, as torch's. A compiler makes of torch's own a slow search."""

    def forward(self, x: Tensor) -> Tensor:
        high, wide = x.shape[2] // 2, x.shape[3] // 2
        windows = x[:, :, : 2 * high, : 2 * wide].reshape(*x.shape[:2], high, 2, wide, 2)
        left, right = windows.unbind(-1)
        upper, lower = torch.where(right > left, right, left).unbind(3)
        return torch.where(lower > upper, lower, upper)


class StackableMean2d(nn.AdaptiveAvgPool2d):
    """The mean of all pixels; torch's own changes strides in a way that vmap does one student at a time."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


def make_stackable(model: nn.Module) -> nn.Module:
    """The same model with each layer that has such a form in it; what has none stays.

    For programs that are compiled: run as they are, torch's own layers are faster, which do in one pass over memory
    what these do in many.
    """
    for module in model.modules():
        if type(module) is nn.Conv2d and _plain_convolution(module):
            module.__class__ = StackableConv2d
        elif type(module) is nn.BatchNorm2d and _plain_norm(module):
            module.__class__ = StackableBatchNorm2d
        elif type(module) is nn.MaxPool2d and _halves(module):
            module.__class__ = StackableMaxPool2d
        elif type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1)):
            module.__class__ = StackableMean2d
    return model


def _plain_convolution(layer: nn.Conv2d) -> bool:
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return plain and not isinstance(layer.padding, str)


def _plain_norm(layer: nn.BatchNorm2d) -> bool:
    return layer.affine and layer.track_running_stats and layer.momentum is not None


def _halves(layer: nn.MaxPool2d) -> bool:
    plain = layer.padding in (0, (0, 0)) and layer.dilation in (1, (1, 1)) and not layer.ceil_mode
    return plain and layer.kernel_size in (2, (2, 2)) and layer.stride in (2, (2, 2)) and not layer.return_indices
