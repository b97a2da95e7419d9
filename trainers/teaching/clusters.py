"""Clusters of classes that a teacher confuses, as coarser classes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from trainers.data import datasets, targets
from trainers.errors import DatasetInvalid
from trainers.spec import Classes, Problem
from trainers.teaching import teacher
from trainers.teaching.prepared import Roots

_NEVER = 1e-30  # a probability that stands for none


def resolved(problem: Problem, roots: Roots, device: torch.device) -> Problem:
    """The problem with clusters of classes replaced by the map that they come to; any other as it is.

    Its teacher is first trained on the data set's own classes, once, and shared with jobs that distil it there. Raises
    DatasetInvalid where there are too few classes, or no such teacher.
    """
    classes = problem.data.classes
    if classes is None or classes.kind != "clusters":
        return problem
    if problem.teacher.source != "train":
        raise DatasetInvalid("clusters of classes need a teacher that the job trains: give a map of them instead")
    fine = replace(problem, data=replace(problem.data, classes=None))
    split = datasets.load(fine.data, roots.data, roots.budget())
    if not 2 <= classes.clusters < split.classes:
        raise DatasetInvalid(f"{split.classes} classes must be grouped into 2 to {split.classes - 1} clusters")
    if split.targets == "several":
        raise DatasetInvalid("clusters of classes need labels of which an example has one: give a map of them instead")
    logits = teacher.answers(teacher.Setting(fine, split, roots.store, device, roots.data, roots.shared)).train
    groups = grouped(confusion(logits, targets.dominant(split.train.labels), split.classes), classes.clusters)
    return replace(problem, data=replace(problem.data, classes=Classes("map", map=groups)))


def confusion(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean probability (at T = 1) that a teacher gives to class j on training images of class i, [classes, classes]
    (float64), from its logits [views, n, classes]. A class without an image is confused with none.

    Probabilities and not decisions: on what it was trained on, a teacher is seldom wrong, but never without a doubt.
    """
    total = torch.zeros((classes, classes), dtype=torch.float64)
    for view in logits:
        total.index_add_(0, labels, view.double().softmax(-1))
    counts = torch.bincount(labels, minlength=classes).clamp(min=1) * len(logits)
    return total / counts[:, None]


def grouped(confused: Tensor, count: int) -> tuple[int, ...]:
    """The group (0 .. count - 1) of each class: agglomerative clustering with average linkage.

    Two classes are the nearer the more they are taken for each other: their distance is -log of the mean of the two
    probabilities, so that small ones count too. Groups are numbered in the order of their first classes.
    """
    from sklearn.cluster import AgglomerativeClustering

    similar = (confused + confused.T) / 2
    distance = -similar.clamp(min=_NEVER).log()
    distance.fill_diagonal_(0)
    groups = AgglomerativeClustering(count, metric="precomputed", linkage="average").fit_predict(distance.numpy())
    numbers: dict[int, int] = {}
    return tuple(numbers.setdefault(int(group), len(numbers)) for group in groups)
