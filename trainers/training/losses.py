"""What is minimised: the distillation term and the label term of one batch, as plain tensor operations that hold for
one student and under `torch.func.vmap` for many.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.spec import Distillation
from trainers.training import methods
from trainers.training.methods import Scalar
from trainers.training.methods import distillation as distillation

PLAIN = Distillation()
Targets = Tensor | tuple[Tensor, Tensor, Tensor]
"""The images' labels [batch] (int64); of mixed images their two labels and the first one's share (0 to 1)."""


def labels(logits: Tensor, targets: Targets, smoothing: float = 0.0) -> Tensor:
    """Cross entropy (nats, batch mean) of logits [batch, classes] with the targets.

    `smoothing` mixes the targets with the uniform distribution (Szegedy et al. 2016, arXiv:1512.00567, section 7). Of
    a mixed image it is the sum over its two labels, each times its share (Zhang et al. 2018, arXiv:1710.09412).
    """
    if isinstance(targets, Tensor):
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    own, other, share = targets
    of_own, of_other = (
        F.cross_entropy(logits, part, label_smoothing=smoothing, reduction="none") for part in (own, other)
    )
    return (share * of_own + (1 - share) * of_other).mean()


def student_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Targets,
    *,
    teacher_temperature: Scalar,
    student_temperature: Scalar,
    kd_weight: Scalar,
    label_weight: Scalar,
    rule: Distillation = PLAIN,
    plain: Tensor | None = None,
) -> Tensor:
    """kd_weight * the rule's term + label_weight * labels: the loss that `spec.Configuration` defines.

    Where `plain`, a scalar of a lane, is not 0, the term is that of plain KL all the same.
    """
    temperatures = (teacher_temperature, student_temperature)
    soft = term(rule, student_logits, teacher_logits, targets, *temperatures)
    if plain is not None:
        soft = torch.where(plain != 0, distillation(student_logits, teacher_logits, *temperatures), soft)
    return kd_weight * soft + label_weight * labels(student_logits, targets)


def term(
    rule: Distillation,
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Targets,
    teacher_temperature: Scalar,
    student_temperature: Scalar,
) -> Tensor:
    """The rule's distillation term of a batch; of a learned temperature it is plain KL at that."""
    pair, temperatures = (student_logits, teacher_logits), (teacher_temperature, student_temperature)
    if rule.method == "zscore":
        return methods.standardized(*pair, *temperatures)
    if rule.method == "mse":
        return methods.squared(*pair)
    if rule.method == "dist":
        return methods.relations(*pair, *temperatures, rule.beta, rule.gamma)
    if rule.method == "dkd":
        weights = (rule.alpha, rule.beta)
        if isinstance(targets, Tensor):
            return methods.decoupled(*pair, targets, *temperatures, *weights).mean()
        own, other, share = targets
        of_own, of_other = (methods.decoupled(*pair, part, *temperatures, *weights) for part in (own, other))
        return (share * of_own + (1 - share) * of_other).mean()
    return distillation(*pair, *temperatures)
