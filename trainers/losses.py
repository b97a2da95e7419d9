"""What is minimised: the distillation term and the label term of one batch, as plain tensor operations that hold for
one student and under `torch.func.vmap` for many.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def distillation(
    student_logits: Tensor,
    teacher_logits: Tensor,
    teacher_temperature: float | Tensor,
    student_temperature: float | Tensor,
) -> Tensor:
    """T_t * T_s * KL(softmax(z_t / T_t) || softmax(z_s / T_s)), summed over classes, averaged over the batch (nats).

    Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2. With one T the gradient with respect to a student's logits
    is T (p_s - p_t) / batch, and tends to (z_s - z_t - their means) / (classes * batch) for large T (their equation 4).
    Logits are [batch, classes], finite, float32 or wider; the temperatures are positive numbers or scalar tensors.
    Works on logarithms throughout: a probability that underflows to 0 multiplies a finite number.
    """
    log_teacher = F.log_softmax(teacher_logits / teacher_temperature, dim=-1)
    log_student = F.log_softmax(student_logits / student_temperature, dim=-1)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(-1).mean()
    return divergence * (teacher_temperature * student_temperature)


def labels(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross entropy (nats, batch mean) of logits [batch, classes] with targets [batch] (int64).

    `smoothing` mixes the targets with the uniform distribution (Szegedy et al. 2016, arXiv:1512.00567, section 7).
    """
    return F.cross_entropy(logits, targets, label_smoothing=smoothing)


def student_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    *,
    teacher_temperature: float | Tensor,
    student_temperature: float | Tensor,
    kd_weight: float | Tensor,
    label_weight: float | Tensor,
) -> Tensor:
    """kd_weight * distillation + label_weight * labels: the loss that `spec.Configuration` defines."""
    soft = distillation(student_logits, teacher_logits, teacher_temperature, student_temperature)
    return kd_weight * soft + label_weight * labels(student_logits, targets)
