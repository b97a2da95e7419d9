"""This project's own networks. Each forward maps images [n, C, H, W] to logits [n, classes]."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trainers.zoo.dropout import HashedDropout


class Mlp(nn.Module):
    """Flattened pixels, `depth` hidden layers of `width` with ReLU and dropout, a linear head."""

    def __init__(self, inputs: int, classes: int, *, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        sizes = [inputs, *[width] * depth]
        self.hidden = nn.ModuleList(nn.Linear(sizes[i], sizes[i + 1]) for i in range(depth))
        self.drop = nn.ModuleList(_dropout(dropout) for _ in range(depth))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer, drop in zip(self.hidden, self.drop, strict=True):
            x = drop(F.relu(layer(x)))
        return self.head(x)  # type: ignore[no-any-return]


class Cnn(nn.Module):
    """`depth` blocks of 3x3 convolution, batch norm and ReLU with halving between them, then mean, dropout, head."""

    def __init__(self, channels: int, classes: int, *, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        sizes = [channels, *(width * 2 ** min(i, 3) for i in range(depth))]
        self.convs = nn.ModuleList(_conv(sizes[i], sizes[i + 1], 3) for i in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes[1:])
        self.pool = nn.MaxPool2d(2)
        self.drop = _dropout(dropout)
        self.head = nn.Linear(sizes[-1], classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.convs) - 1
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)))
            if i < last and min(x.shape[-2:]) >= 2:
                x = self.pool(x)
        return self.head(self.drop(x.mean((2, 3))))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """He et al. 2016 (arXiv:1512.03385), section 4.2: three stages of basic blocks, depth = 6n + 2.

    A width above 1 follows ResNet8x4 and ResNet32x4 as the distillation papers use them (e.g. CRD, arXiv:1910.10699):
    the stages are 16, 32 and 64 times the width, while the stem stays at 32. Shortcuts are 1x1 convolutions.
    """

    def __init__(self, channels: int, classes: int, *, depth: int, width: int, dropout: float) -> None:
        super().__init__()
        before = 16 * min(width, 2)
        self.conv1 = _conv(channels, before, 3)
        self.bn1 = nn.BatchNorm2d(before)
        for number, (size, stride) in enumerate(((16 * width, 1), (32 * width, 2), (64 * width, 2)), start=1):
            stage = nn.Sequential()
            for block in range((depth - 2) // 6):
                stage.append(_Basic(before, size, stride if block == 0 else 1, dropout))
                before = size
            self.add_module(f"layer{number}", stage)
        self.fc = nn.Linear(before, classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))  # type: ignore[operator]
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class _Basic(nn.Module):
    def __init__(self, before: int, size: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = _conv(before, size, 3, stride)
        self.bn1 = nn.BatchNorm2d(size)
        self.drop = _dropout(dropout)
        self.conv2 = _conv(size, size, 3)
        self.bn2 = nn.BatchNorm2d(size)
        identity = before == size and stride == 1
        self.downsample = None if identity else nn.Sequential(_conv(before, size, 1, stride), nn.BatchNorm2d(size))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.drop(F.relu(self.bn1(self.conv1(x))))
        return F.relu(self.bn2(self.conv2(out)) + shortcut)


class WideResNet(nn.Module):
    """Zagoruyko & Komodakis 2016 (arXiv:1605.07146): pre-activation blocks, depth = 6n + 4, dropout inside them."""

    def __init__(self, channels: int, classes: int, *, depth: int, width: int, dropout: float) -> None:
        super().__init__()
        before = 16
        self.conv1 = _conv(channels, before, 3)
        for number, (size, stride) in enumerate(((16 * width, 1), (32 * width, 2), (64 * width, 2)), start=1):
            group = nn.Sequential()
            for block in range((depth - 4) // 6):
                group.append(_PreActivated(before, size, stride if block == 0 else 1, dropout))
                before = size
            self.add_module(f"block{number}", group)
        self.bn1 = nn.BatchNorm2d(before)
        self.fc = nn.Linear(before, classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))  # type: ignore[operator]
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))  # type: ignore[no-any-return]


class _PreActivated(nn.Module):
    def __init__(self, before: int, size: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = _conv(before, size, 3, stride)
        self.bn2 = nn.BatchNorm2d(size)
        self.drop = _dropout(dropout)
        self.conv2 = _conv(size, size, 3)
        self.shortcut = None if before == size else _conv(before, size, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        # where the size changes, the shortcut too starts from the activated input
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        out: Tensor = self.conv2(self.drop(F.relu(self.bn2(self.conv1(activated)))))
        return out + shortcut


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite 0 to 4 of TensorFlow's TPU models: EfficientNet (Tan & Le 2019, arXiv:1905.11946) without
    squeeze-and-excitation, with ReLU6, and with a stem and a head that do not grow.

    Tensors have the names of `efficientnet_pytorch`, as published weights do.
    """

    def __init__(self, channels: int, classes: int, *, variant: int, dropout: float) -> None:
        super().__init__()
        wide, deep = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8))[variant]
        self._conv_stem = _SameConv2d(channels, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList()
        # fmt: off
        stages = (
            (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
            (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
        )  # repeats, kernel, stride, expansion, channels
        # fmt: on
        before = 32
        for number, (repeats, kernel, stride, expansion, size) in enumerate(stages):
            size = _eighths(size * wide)
            inner = number not in (0, len(stages) - 1)
            for repeat in range(-int(-repeats * deep // 1) if inner else repeats):
                self._blocks.append(_Inverted(before, size, kernel, 1 if repeat else stride, expansion))
                before = size
        self._conv_head = _SameConv2d(before, 1280, 1)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self.drop = _dropout(dropout)
        self._fc = nn.Linear(1280, classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(self.drop(x.mean((2, 3))))  # type: ignore[no-any-return]


class _Inverted(nn.Module):
    """Inverted bottleneck (Sandler et al. 2018, arXiv:1801.04381): expanded, filtered channel by channel, projected."""

    def __init__(self, before: int, size: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        self._residual = stride == 1 and before == size
        if expansion > 1:
            self._expand_conv = _SameConv2d(before, inner, 1)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self._depthwise_conv = _SameConv2d(inner, inner, kernel, stride, inner)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = _SameConv2d(inner, size, 1)
        self._bn2 = nn.BatchNorm2d(size, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        out: Tensor = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(inner)))))
        return out + x if self._residual else out


class _SameConv2d(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow's SAME: what is odd of it lies right and below."""

    def __init__(self, before: int, size: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(before, size, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (x.shape[3], x.shape[2])]
        if any(pads):
            x = F.pad(x, [part for pad in pads for part in (pad // 2, pad - pad // 2)])
        y: Tensor = self._conv_forward(x, self.weight, None)
        return y


def _eighths(size: float) -> int:
    """A number of channels as the nearest multiple of 8, but no more than a tenth below it."""
    rounded = max(8, int(size + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * size else rounded


def _conv(before: int, size: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, size, kernel, stride=stride, padding=kernel // 2, bias=False)


def _dropout(p: float) -> nn.Module:
    return HashedDropout(p) if p else nn.Identity()


def _initialise(model: nn.Module) -> None:
    """He initialization (arXiv:1502.01852) by fan-out for convolutions; norms and linear layers as torch makes them."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
