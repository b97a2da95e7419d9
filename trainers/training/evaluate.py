"""Metrics of a student on a part of the data. Every metric takes leading dimensions, so that many students stacked as
[..., n, classes] are measured as one is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.spec import Metrics

ECE_BINS = 15


class NotFinite(ArithmeticError):
    """A measure is not a finite number: the weights have diverged."""


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of images whose largest logit is their label's."""
    return (logits.argmax(-1) == labels).double().mean(-1)


def chance(labels: Tensor) -> float:
    """The share of images whose label is the most common one: the accuracy of who always says that."""
    return float(torch.bincount(labels).max()) / len(labels)


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood of the labels, in nats."""
    logarithms = logits.double().log_softmax(-1)
    return -logarithms.gather(-1, labels.expand(logits.shape[:-1]).unsqueeze(-1)).squeeze(-1).mean(-1)


def ece(logits: Tensor, labels: Tensor, bins: int = ECE_BINS) -> Tensor:
    """Expected calibration error over `bins` equal bins (low, high] of the confidence.

    Guo et al. 2017, arXiv:1706.04599, equation 3: the mean over images of |accuracy - confidence| of their bin.
    """
    confidence, predicted = logits.double().softmax(-1).max(-1)
    return _calibration_error(confidence, predicted == labels, bins)


def _calibration_error(confidence: Tensor, right: Tensor, bins: int) -> Tensor:
    bin_of = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    empty = torch.zeros((*confidence.shape[:-1], bins), dtype=torch.float64, device=confidence.device)
    gap = empty.scatter_add(-1, bin_of, right.double() - confidence)
    return gap.abs().sum(-1) / confidence.shape[-1]


def agreement(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Share of images for which student and teacher choose the same class."""
    return (logits.argmax(-1) == teacher_logits.argmax(-1)).double().mean(-1)


def entropy(logits: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """Mean entropy, in nats, of softmax(logits / temperature)."""
    logarithms = (logits.double() / temperature).log_softmax(-1)
    return -(logarithms.exp() * logarithms).sum(-1).mean(-1)


def measure_lanes(logits: Tensor, labels: Tensor, teacher_logits: Tensor) -> dict[str, list[float]]:
    """Accuracy, nll, ece and teacher_agreement of many students' logits [lanes, n, classes], each a list of all lanes'.

    The same as those above, by one softmax, along which images come last: several times as fast for few classes.
    """
    logarithms = logits.transpose(-1, -2).double().log_softmax(-2)
    highest, prediction = logarithms.max(-2)
    right = prediction == labels
    of_label = logarithms.gather(-2, labels.expand_as(prediction).unsqueeze(-2))
    measured = {
        "accuracy": right.double().mean(-1),
        "nll": -of_label.squeeze(-2).mean(-1),
        "ece": _calibration_error(highest.exp(), right, ECE_BINS),
        "teacher_agreement": (prediction == teacher_logits.argmax(-1)).double().mean(-1),
    }
    return {name: values.tolist() for name, values in measured.items()}


def measure(logits: Tensor, labels: Tensor, teacher_logits: Tensor, temperature: float) -> Metrics:
    """All metrics of one student's logits [n, classes]; `temperature` is that of the teacher's softmax.

    Raises NotFinite where one of them would not be a finite number.
    """
    likelihood, calibration = float(nll(logits, labels)), float(ece(logits, labels))
    if not torch.isfinite(torch.tensor([likelihood, calibration])).all():
        raise NotFinite("the student's logits are no longer finite")
    return Metrics(
        accuracy=float(accuracy(logits, labels)),
        nll=likelihood,
        ece=calibration,
        teacher_agreement=float(agreement(logits, teacher_logits)),
        teacher_entropy=float(entropy(teacher_logits, temperature)),
    )
