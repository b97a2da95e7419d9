"""What a model in training is shown: batches of one view of the training part, normalized, straight from memory."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.data import augment, mixing, plugin_views
from trainers.data.datasets import Split
from trainers.disk_budget import DiskBudget
from trainers.errors import DatasetInvalid
from trainers.registry.plugins import is_plugin
from trainers.spec import AugmentationName

PREDICTION_BATCH = 1024
RESIDENT_BYTES = 2**30
_FEW_PIXELS = 64 * 64  # of an image, up to which a whole batch of them is shown at once
_LEAST_BATCH = 16
_PROCESSOR_PIXELS = 2**16  # of all images that a processor is shown at once: what layers make of more leaves its caches
_LEAST_ON_PROCESSOR = 32
_SHARE = 0.5  # of an accelerator's free memory that images may take


class Normaliser:
    """uint8 pixels [..., C, H, W] to float32 with mean 0 and deviation 1 per channel of the training part.

    `scale` is what a mean of 1 is in pixels. Other examples have so many `dimensions`, and become float32 as they are
    where there is no mean.

    `growth` is how many numbers it makes of one, and `batch` how many images a model is shown at once.
    """

    growth = 1.0
    batch = PREDICTION_BATCH

    def __init__(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
        *,
        scale: float = 255,
        dimensions: int = 3,
    ) -> None:
        self.device = device
        self.mean, self.std = mean, std
        shape = (-1, *[1] * (dimensions - 1))
        self._mean = torch.tensor(mean, device=device).mul(scale).reshape(shape)
        self._std = torch.tensor(std, device=device).mul(scale).reshape(shape)

    @classmethod
    def of(cls, split: Split, device: torch.device) -> Normaliser:
        """As students see the split's examples."""
        dimensions = split.train.images.dim() - 1
        if split.inputs != "images":
            return cls(split.mean, split.std, device, scale=1, dimensions=dimensions)
        normalise = cls(split.mean, split.std, device)
        height, width = split.size
        normalise.batch = prediction_batch(height, width, device)
        return normalise

    def __call__(self, pixels: Tensor) -> Tensor:
        if not self.mean:
            return pixels.float()
        wide = torch.promote_types(torch.float32, self._mean.dtype)
        floats = pixels.to(wide, copy=True)  # in place from here on: memory for large batches is slow to get
        return floats.sub_(self._mean).div_(self._std)


def prediction_batch(height: int, width: int, device: torch.device) -> int:
    """How many images of that size a model is shown at once where nothing is trained: the fewer the larger they are.

    Measured on two cores: a CNN of 32, 64 and 128 channels is shown 9,500 images of 28 x 28 a second 64 at a time, and
    3,600 1,024 at a time; mobilenet_v3_small 1,620 of 128 x 128 32 at a time, and 940 256 at a time.
    """
    pixels = height * width
    most = max(_LEAST_BATCH, min(PREDICTION_BATCH, PREDICTION_BATCH * _FEW_PIXELS // pixels))
    return min(most, max(_LEAST_ON_PROCESSOR, _PROCESSOR_PIXELS // pixels)) if device.type == "cpu" else most


class Views:
    """`views` augmented views of training images [n, C, H, W] (uint8), shown on the normaliser's device.

    Images that fit are kept there: as floats, every view made once, where these fit into RESIDENT_BYTES, else as
    pixels from which each batch is made. With `streams` the pixels stay where they are, in memory or in a mapped file,
    and those of each batch alone go to the device. All ways give the same numbers. Where two images are mixed, it is
    after each was moved, as the view has it. Views that a plugin's augmentation makes are kept as pixels, within the
    budget of disk.
    """

    def __init__(
        self,
        images: Tensor,
        normalise: Normaliser,
        augmentation: AugmentationName,
        split_seed: int,
        views: int,
        streams: bool = False,
        budget: DiskBudget | None = None,
    ) -> None:
        device = normalise.device
        self.count, self.streams = views, streams
        self._images, self._normalise = images if streams else images.to(device), normalise
        self._moves: augment.Moves | None = None
        self._mixing: mixing.Mixing | None = None
        self._made: Tensor | None = None
        if is_plugin(augmentation):
            if streams:
                raise DatasetInvalid(
                    f"the images do not fit on the device and are read piece by piece, which {augmentation} cannot "
                    "augment: lower dataset.image_size or dataset.train_size, or choose another dataset.augmentation"
                )
            self._made = plugin_views.draw(augmentation, images, split_seed, views, budget).to(device)
        moving, mix = mixing.parts(augmentation)
        size = (images.shape[2], images.shape[3]) if images.dim() == 4 else (0, 0)  # only images are augmented
        if moving != "none":
            self._moves = augment.draw(moving, split_seed, views, len(images), size).to(device)
        if mix is not None:
            drawn = mixing.draw(mix, split_seed, views, len(images), size)
            self._mixing = drawn.to(images.device if streams else device)
        self._alike = augmentation == "none"
        self.different = 1 if self._alike else views
        self._resident: Tensor | None = None
        if not streams and self.different * images.numel() * 4 * normalise.growth <= RESIDENT_BYTES:
            numbers = torch.arange(len(images), device=device)
            tensors = [self._make(torch.full_like(numbers, view), numbers) for view in range(self.different)]
            self._resident = torch.stack(tensors)

    def batch(self, view: Tensor | int, numbers: Tensor) -> Tensor:
        """The images of those numbers in that view, [..., C, H, W] float32; a tensor `view` broadcasts with them.

        Of views that stream, the numbers are best on the CPU: nothing then waits for the device.
        """
        if self._resident is None:
            return self._make(torch.as_tensor(view, device=numbers.device).expand_as(numbers), numbers)
        if self._alike:
            return self._resident[0, numbers]
        return self._resident[view, numbers]

    def targets(self, labels: Tensor, view: Tensor | int, numbers: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """What is to be learned of those images in that view, from the labels [n] of all: theirs; of mixed images their
        own, their partners' and their own share (`losses.Targets`).
        """
        if self._mixing is None:
            return labels[numbers]
        drawn, device = self._mixing, labels.device
        index = torch.as_tensor(view, device=device).expand_as(numbers), numbers
        if self.streams:
            index = index[0].to(drawn.partner.device), numbers.to(drawn.partner.device)
        partners, share = drawn.partner[index].to(device), drawn.share[index].to(device)
        return labels[numbers], labels[partners], share

    def _make(self, view: Tensor, numbers: Tensor) -> Tensor:
        if self._mixing is None:
            return self._moved(view, numbers)
        drawn, device = self._mixing, self._mixing.partner.device
        index = view.to(device), numbers.to(device)
        first, second = self._moved(view, numbers), self._moved(view, drawn.partner[index].to(numbers.device))
        share, box = (
            drawn.share[index].to(first.device),
            None if drawn.box is None else drawn.box[index].to(first.device),
        )
        return mixing.mix_images(first, second, share, box)

    def _moved(self, view: Tensor, numbers: Tensor) -> Tensor:
        if self._made is not None:
            return self._normalise(self._made[view, numbers])
        images, places = self._images, numbers
        if self.streams:
            images = self._fetched(numbers)
            device = images.device
            view, numbers = view.to(device, non_blocking=True), numbers.to(device, non_blocking=True)
            places = torch.arange(numbers.numel(), device=device).reshape(numbers.shape)
        if self._moves is None:
            return self._normalise(images[places])
        moves = self._moves
        down, right, mirrored = moves.down[view, numbers], moves.right[view, numbers], moves.mirrored[view, numbers]
        return self._normalise(augment.move_images(images, places, down, right, mirrored))

    def _fetched(self, numbers: Tensor) -> Tensor:
        """The pixels of those images on the device, one after the other."""
        pixels = self._images[numbers.flatten().to(self._images.device)]
        device = self._normalise.device
        if device.type == "cuda":  # from pinned memory the copy goes on while the device computes
            pixels = pixels.pin_memory()
        return pixels.to(device, non_blocking=True)


def fits(images: Tensor, device: torch.device) -> bool:
    """Whether the images may lie on the device for good: always on the CPU, where they are already."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.numel() * images.element_size() <= _SHARE * free
