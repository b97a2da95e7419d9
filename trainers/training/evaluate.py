"""Metrics of a student on a part of the data. Every metric takes leading dimensions, so that many students stacked as
[..., n, classes] are measured as one is. Labels are of any kind that `trainers.data.targets` has (docs/decisions/053).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from thermowell.plugin import Targets
from trainers.data.targets import dominant, kind_of
from trainers.spec import Metrics

ECE_BINS = 15
_CHANCE = 1e-3  # of a lead that is none
MEASURED_NUMBERS = 2**21
"""How many logits are measured at once, at most: they are widened to float64, in several tensors of their size."""


class NotFinite(ArithmeticError):
    """A measure is not a finite number: the weights have diverged."""


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """Which images are answered right, [..., n]: their largest logit is that of their label, or of the most probable
    one of soft labels; of several labels each one's logit is positive where it is there, and no other.
    """
    if kind_of(labels) == "several":
        return ((logits > 0) == labels).all(-1)
    return logits.argmax(-1) == dominant(labels)


def ahead(first: Tensor, second: Tensor) -> bool:
    """Whether the first of two who answer the same images, each [n] of which were right, is clearly ahead: the images
    that one of both alone gets right are not shared out so by chance more than once in a thousand (McNemar's exact
    test).
    """
    from scipy.special import bdtrc

    lead, deficit = int((first & ~second).sum()), int((second & ~first).sum())
    return lead > deficit and bool(bdtrc(lead - 1, lead + deficit, 0.5) < _CHANCE)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of images that are answered right."""
    return right(logits, labels).double().mean(-1)


def chance(labels: Tensor) -> float:
    """The share of images whose label is the most common one: the accuracy of who always says that. Of several labels
    the mean share of images that have one: the mean average precision, about, of who knows nothing.
    """
    if kind_of(labels) == "several":
        return float(labels[:, labels.any(0)].double().mean())
    return float(torch.bincount(dominant(labels)).max()) / len(labels)


def mean_average_precision(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the labels that any image has of the average precision: the mean, over the images that have the label,
    of the share of such images among those with at least their logit (scikit-learn's `average_precision_score`).
    """
    ascending, order = (-logits.double()).transpose(-1, -2).contiguous().sort(-1)  # [..., classes, n], the surest first
    present = labels.T.double().expand(ascending.shape).gather(-1, order)
    count = torch.searchsorted(ascending, ascending, right=True).clamp(min=1)  # with at least this logit
    precision = present.cumsum(-1).gather(-1, count - 1) / count
    total = labels.sum(0).double()
    averages = (precision * present).sum(-1) / total.clamp(min=1)
    return averages.sum(-1) / (total > 0).sum().clamp(min=1)


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood of the labels, in nats; expected under soft labels, and of several labels the mean
    of each one's own.
    """
    if kind_of(labels) == "several":
        sides = torch.where(labels, logits.double(), -logits.double())
        return -F.logsigmoid(sides).mean((-1, -2))
    logarithms = logits.double().log_softmax(-1)
    if kind_of(labels) == "soft":
        return -(labels.double() * logarithms).sum(-1).mean(-1)
    return -logarithms.gather(-1, labels.expand(logits.shape[:-1]).unsqueeze(-1)).squeeze(-1).mean(-1)


def ece(logits: Tensor, labels: Tensor, bins: int = ECE_BINS) -> Tensor:
    """Expected calibration error over `bins` equal bins (low, high] of the confidence.

    Guo et al. 2017, arXiv:1706.04599, equation 3: the mean over images of |accuracy - confidence| of their bin. With
    soft labels an answer is right with the probability that they give it: whoever answers these is calibrated. Of
    several labels each is an answer of its own, whose confidence is that of its being there or not.
    """
    if kind_of(labels) == "several":
        confidence = logits.double().abs().sigmoid().flatten(-2)
        return _calibration_error(confidence, ((logits > 0) == labels).flatten(-2), bins)
    confidence, predicted = logits.double().softmax(-1).max(-1)
    if kind_of(labels) == "soft":
        chances = labels.expand(logits.shape).gather(-1, predicted.unsqueeze(-1)).squeeze(-1)
        return _calibration_error(confidence, chances, bins)
    return _calibration_error(confidence, predicted == labels, bins)


def _calibration_error(confidence: Tensor, right: Tensor, bins: int) -> Tensor:
    bin_of = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    empty = torch.zeros((*confidence.shape[:-1], bins), dtype=torch.float64, device=confidence.device)
    gap = empty.scatter_add(-1, bin_of, right.double() - confidence)
    return gap.abs().sum(-1) / confidence.shape[-1]


def agreement(logits: Tensor, teacher_logits: Tensor, targets: Targets = "classes") -> Tensor:
    """Share of images for which student and teacher choose the same class, or the same ones of several labels."""
    if targets == "several":
        return right(logits, teacher_logits > 0).double().mean(-1)
    return (logits.argmax(-1) == teacher_logits.argmax(-1)).double().mean(-1)


def entropy(logits: Tensor, temperature: float | Tensor = 1.0, targets: Targets = "classes") -> Tensor:
    """Mean entropy, in nats, of softmax(logits / temperature); of several labels the mean of each one's own."""
    if targets == "several":
        scaled = logits.double() / temperature
        sides = F.logsigmoid(scaled), F.logsigmoid(-scaled)
        return -sum(side.exp() * side for side in sides).mean((-1, -2))  # type: ignore[union-attr]
    logarithms = (logits.double() / temperature).log_softmax(-1)
    return -(logarithms.exp() * logarithms).sum(-1).mean(-1)


def measure_lanes(logits: Tensor, labels: Tensor, teacher_logits: Tensor) -> dict[str, list[float]]:
    """Accuracy, nll, ece and teacher_agreement of many students' logits [lanes, n, classes], each a list of all lanes'.

    The same as those above, by one softmax, along which images come last: several times as fast for few classes. Of
    several labels also mean_average_precision.
    """
    if (targets := kind_of(labels)) != "classes":
        of_any = {
            "accuracy": accuracy(logits, labels),
            "nll": nll(logits, labels),
            "ece": ece(logits, labels),
            "teacher_agreement": agreement(logits, teacher_logits, targets),
            **({"mean_average_precision": mean_average_precision(logits, labels)} if targets == "several" else {}),
        }
        return {name: values.tolist() for name, values in of_any.items()}
    logarithms = logits.transpose(-1, -2).double().log_softmax(-2)
    highest, prediction = logarithms.max(-2)
    correct = prediction == labels
    of_label = logarithms.gather(-2, labels.expand_as(prediction).unsqueeze(-2))
    measured = {
        "accuracy": correct.double().mean(-1),
        "nll": -of_label.squeeze(-2).mean(-1),
        "ece": _calibration_error(highest.exp(), correct, ECE_BINS),
        "teacher_agreement": (prediction == teacher_logits.argmax(-1)).double().mean(-1),
    }
    return {name: values.tolist() for name, values in measured.items()}


def measure(logits: Tensor, labels: Tensor, teacher_logits: Tensor, temperature: float) -> Metrics:
    """All metrics of one student's logits [n, classes]; `temperature` is that of the teacher's softmax.

    Raises NotFinite where one of them would not be a finite number.
    """
    targets = kind_of(labels)
    likelihood, calibration = float(nll(logits, labels)), float(ece(logits, labels))
    if not torch.isfinite(torch.tensor([likelihood, calibration])).all():
        raise NotFinite("the student's logits are no longer finite")
    return Metrics(
        accuracy=float(accuracy(logits, labels)),
        nll=likelihood,
        ece=calibration,
        teacher_agreement=float(agreement(logits, teacher_logits, targets)),
        teacher_entropy=float(entropy(teacher_logits, temperature, targets)),
        mean_average_precision=float(mean_average_precision(logits, labels)) if targets == "several" else None,
    )
