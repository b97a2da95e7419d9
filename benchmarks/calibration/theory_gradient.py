"""Gradients of T² KL at a student's logits, in formulas: their size at the start, their limit, the teacher's curvature.

| symbol | meaning | shape |
|---|---|---|
| z, v | logits of student and teacher | [n, C] |
| p, q | softmax(z / T), softmax(v / T) | [n, C] |
| g(T) | T (p - q), the gradient with respect to z of T² KL(q || p) of an image | [n, C] |
| a(T) | size of g(T) where z = 0, in the mean square over images | |
| k(T) | trace of the Hessian in z where z = v: 1 - sum q², in the mean over images | |

Derived in docs/theory.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Floats = NDArray[np.float64]
FINE = np.geomspace(0.1, 200.0, 400)
"""Temperatures among which one with some property is looked for."""


def gradient(student: Floats, teacher: Floats, temperature: float) -> Floats:
    """g(T) of each image."""
    change: Floats = temperature * (softmax(student / temperature, axis=-1) - softmax(teacher / temperature, axis=-1))
    return change


def limit(student: Floats, teacher: Floats) -> Floats:
    """What g(T) tends to for large T: the difference of centred logits over the classes."""
    difference = student - teacher
    final: Floats = (difference - difference.mean(axis=-1, keepdims=True)) / student.shape[-1]
    return final


def second_order(student: Floats, teacher: Floats, temperature: float) -> Floats:
    """`limit`, and the next term, which falls as 1 / T."""
    terms = []
    for logits in (student, teacher):
        squares = (logits - logits.mean(axis=-1, keepdims=True)) ** 2
        terms.append(squares - squares.mean(axis=-1, keepdims=True))
    correction: Floats = (terms[0] - terms[1]) / (2 * temperature * student.shape[-1])
    return limit(student, teacher) + correction


def size(vectors: Floats) -> float:
    """The norm over classes, in the mean square over images."""
    return float(np.sqrt((vectors**2).sum(axis=-1).mean()))


def start(teacher: Floats, temperature: float) -> float:
    """a(T)."""
    return size(gradient(np.zeros_like(teacher), teacher, temperature))


def curvature(teacher: Floats, temperature: float) -> float:
    """k(T)."""
    return float(1 - (softmax(teacher / temperature, axis=-1) ** 2).sum(axis=-1).mean())


def deviation(teacher: Floats, temperature: float) -> float:
    """How far the gradient at the start is from its limit, as a share of the limit."""
    still = np.zeros_like(teacher)
    final = limit(still, teacher)
    return size(gradient(still, teacher, temperature) - final) / size(final)


def half_way(teacher: Floats, temperature: float) -> float:
    """tau(T): how far, along the gradient at the start, a student's logits go until the gradient in that direction is
    half of what it was, over a(T). In the mean over images; C / 2 at large T, where the loss is a quadratic bowl.
    """
    first = gradient(np.zeros_like(teacher), teacher, temperature)
    norms = np.linalg.norm(first, axis=-1)
    direction = -first / norms[:, None]
    low, high = np.zeros(len(teacher)), np.full(len(teacher), teacher.shape[-1] * norms + 1.0)
    for _ in range(40):
        middle = (low + high) / 2
        slope = -(gradient(middle[:, None] * direction, teacher, temperature) * direction).sum(axis=-1)
        low, high = np.where(slope > norms / 2, middle, low), np.where(slope > norms / 2, high, middle)
    return float(high.mean()) / size(first)


def flat_from(teacher: Floats, tolerance: float = 0.25) -> float:
    """T_flat: the temperature above which `deviation` is at most so large."""
    beyond = [temperature for temperature in FINE if deviation(teacher, temperature) > tolerance]
    return float(beyond[-1]) if beyond else float(FINE[0])


def half_temperature(teacher: Floats) -> float:
    """T_half: where the mean largest probability is one half; of two classes, where it is three quarters."""
    level = 0.5 if teacher.shape[-1] > 2 else 0.75
    largest = [float(softmax(teacher / temperature, axis=-1).max(axis=-1).mean()) for temperature in FINE]
    return float(np.exp(np.interp(-level, -np.asarray(largest), np.log(FINE))))


def margin(teacher: Floats) -> float:
    """The largest logit less the mean of the others, in the mean over images."""
    ordered = np.sort(teacher, axis=-1)
    return float((ordered[:, -1] - ordered[:, :-1].mean(axis=-1)).mean())


def one_margin(margin: float, classes: int) -> Floats:
    """Logits [1, C] of a teacher of whom one is so much above the others, which are equal."""
    logits = np.zeros((1, classes))
    logits[0, 0] = margin
    return logits


def facts(teacher: Floats, labels: NDArray[np.int64], temperatures: Sequence[float]) -> dict[str, object]:
    """All that predictions need of a teacher, as plain JSON: from its logits on training images."""
    of_label = softmax(teacher, axis=-1)[np.arange(len(labels)), labels]
    return {
        "temperatures": list(temperatures),
        "start": [start(teacher, temperature) for temperature in temperatures],
        "curvature": [curvature(teacher, temperature) for temperature in temperatures],
        "pace": [1 / half_way(teacher, temperature) for temperature in temperatures],
        "deviation": [deviation(teacher, temperature) for temperature in temperatures],
        "limit": size(limit(np.zeros_like(teacher), teacher)),
        "flat_from": flat_from(teacher),
        "half_temperature": half_temperature(teacher),
        "largest_start": float(FINE[int(np.argmax([start(teacher, temperature) for temperature in FINE]))]),
        "margin": margin(teacher),
        "deviation_of_logits": float(teacher.std(axis=-1, ddof=1).mean()),
        "label_probability": float(of_label.mean()),
    }
