"""One epoch of one model: the steps that the teacher's training and each student's have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers import spec
from trainers.data.views import PREDICTION_BATCH as PREDICTION_BATCH
from trainers.data.views import Normaliser, Views
from trainers.order import epoch_batches
from trainers.training import optim
from trainers.zoo import dropout

Loss = Callable[[Tensor, Tensor, int], Tensor]
"""From logits [b, classes], the images' numbers [b] and the view: the loss to descend, a scalar."""


@dataclass(slots=True)
class Trainee:
    """A model with its optimizer, and where in its training it is: `epochs` are behind it.

    The `resting` ones of its modules stay in evaluation mode.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    binding: optim.Binding
    dropouts: list[dropout.HashedDropout]
    base_rate: float
    seed: int
    epochs: int = 0
    resting: Sequence[nn.Module] = ()

    @classmethod
    def fresh(cls, model: nn.Module, settings: spec.Optimizer, seed: int) -> Trainee:
        """At the start of its training. NameUnknown."""
        binding = optim.binding(settings.name)
        optimizer = binding.make(model.parameters(), settings)
        return cls(model, optimizer, binding, list(dropout.layers(model)), settings.learning_rate, seed)


def train_epoch(
    trainee: Trainee, views: Views, images: int, training: spec.Training, precision: spec.Precision, loss: Loss
) -> Tensor:
    """Trains for the next epoch, e (from 1), on view (e - 1) mod views; answers each step's loss, [steps].

    The losses are not looked at before the epoch's end: reading one would make an accelerator wait for it.
    """
    device = next(trainee.model.parameters()).device
    view = trainee.epochs % views.count
    drawn = epoch_batches(trainee.seed, trainee.epochs + 1, images, training.batch_size)
    numbers = drawn.to(device)
    steps = len(drawn)
    losses = torch.empty(steps, device=device)
    trainee.model.train()
    for module in trainee.resting:
        module.eval()
    for i in range(steps):
        step = trainee.epochs * steps + i
        optim.set_learning_rate(trainee.optimizer, trainee.base_rate * optim.factor(step, steps, training))
        dropout.set_key(trainee.dropouts, trainee.seed, step)
        batch = numbers[i]
        with autocast(device, precision):
            logits = trainee.model(views.batch(view, drawn[i] if views.streams else batch))
        value = loss(at_least_float32(logits), batch, view)
        trainee.optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        trainee.optimizer.step()
        losses[i] = value.detach()
    trainee.epochs += 1
    return losses


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on the device, in the layout in which convolutions are fastest there: channels last.

    Measured on a CPU in float32: 7 to 35% more images per second, the less the narrower the layers; other models are
    left as they are. Accelerators' matrix units want it too.
    """
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def predict(model: nn.Module, images: Tensor, normalise: Normaliser, precision: spec.Precision) -> Tensor:
    """The model's logits [n, classes] (float32) in evaluation mode on images [n, C, H, W] (uint8)."""
    device = normalise.device
    return predict_batches(model, (normalise(part.to(device)) for part in pieces(images, normalise.batch)), precision)


def predict_batches(model: nn.Module, batches: Iterable[Tensor], precision: spec.Precision) -> Tensor:
    """The same for batches of images that are normalized already."""
    model.eval()
    logits = []
    with torch.no_grad():
        for batch in batches:
            with autocast(batch.device, precision):
                logits.append(at_least_float32(model(batch)))
    return torch.cat(logits)


def pieces(rows: Tensor, count: int = PREDICTION_BATCH) -> Iterator[Tensor]:
    """`rows` cut along its first dimension into pieces of at most so many, few enough to be predicted at once."""
    for start in range(0, len(rows), count):
        yield rows[start : start + count]


def at_least_float32(logits: Tensor) -> Tensor:
    """Logits as losses and measures want them: halves widened to float32, what is wider left as it is."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def autocast(device: torch.device, precision: spec.Precision) -> torch.autocast:
    """bf16 where the problem says so: products in bfloat16, weights, sums and losses in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
