"""Distillation terms, bound to their records by name: tensor operations that hold for one student and under
`torch.func.vmap` for many; temperatures and weights are numbers, or scalar tensors of a lane.

Logits are [batch, classes] and finite, the student's float32 or wider; the teacher's are taken in the student's type.
Every term is a mean over images. Temperatures are positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from thermowell.plugin import Targets as TargetKind
from trainers.data.targets import kind_of
from trainers.registry import lookup, plugins
from trainers.registry.losses import LOSSES
from trainers.spec import Distillation

Scalar = float | Tensor
Targets = Tensor | tuple[Tensor, Tensor, Tensor]
"""The images' labels (`trainers.data.targets`), classes [batch] mostly; of mixed images their two labels and the first
one's share (0 to 1).
"""
EPSILON = 1e-8  # below which a spread counts as none, so that constant logits have a finite gradient
_LEAST_ENTROPY = 1e-7  # of a teacher that is sure of the label
LEARNED_LOW, LEARNED_RANGE, LEARNED_RAMP = 1.0, 20.0, 10  # CTKD's tau_init, tau_range and E_loops
LEARNING = tuple(record.name for record in LOSSES.values() if record.temperature == "learned")
"""The methods whose students learn T."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a term is computed from: logits [batch, classes], targets, and the temperatures of both softmaxes."""

    student: Tensor
    teacher: Tensor
    targets: Targets
    teacher_temperature: Scalar
    student_temperature: Scalar

    @property
    def plain(self) -> tuple[Tensor, Tensor, Scalar, Scalar]:
        """All but the targets, as most terms take them."""
        return self.student, self.teacher, self.teacher_temperature, self.student_temperature

    def divergence(self) -> Tensor:
        """Plain KL: of softmaxes, or of each of several labels' own probability."""
        divergence = binary_distillation if kind(self.targets) == "several" else distillation
        return divergence(*self.plain)

    def by_label(self, of_images: Callable[[Tensor], Tensor]) -> Tensor:
        """The mean of a term that needs labels: `of_images` answers it for each image, [batch]. Of a mixed image it is
        the sum over its two labels, each times its share.
        """
        if isinstance(self.targets, Tensor):
            return of_images(self.targets).mean()
        first, second, share = self.targets
        return (share * of_images(first) + (1 - share) * of_images(second)).mean()


Term = Callable[[Batch, Distillation], Tensor]
"""A method's term of a batch, a scalar, by the weights of the rule."""


def distillation(
    student_logits: Tensor,
    teacher_logits: Tensor,
    teacher_temperature: Scalar,
    student_temperature: Scalar,
) -> Tensor:
    """T_t * T_s * KL(softmax(z_t / T_t) || softmax(z_s / T_s)), summed over classes, averaged over the batch (nats).

    Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2. With one T the gradient with respect to a student's logits
    is T (p_s - p_t) / batch, and tends to (z_s - z_t - their means) / (classes * batch) for large T (their equation 4).
    Works on logarithms throughout: a probability that underflows to 0 multiplies a finite number.
    """
    log_teacher = F.log_softmax(teacher_logits.to(student_logits.dtype) / teacher_temperature, dim=-1)
    log_student = F.log_softmax(student_logits / student_temperature, dim=-1)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(-1).mean()
    return divergence * (teacher_temperature * student_temperature)


def binary_distillation(
    student_logits: Tensor,
    teacher_logits: Tensor,
    teacher_temperature: Scalar,
    student_temperature: Scalar,
) -> Tensor:
    """T_t * T_s * KL(sigmoid(z_t / T_t) || sigmoid(z_s / T_s)) of each label's Bernoulli distribution, averaged over
    labels and batch (nats), for examples of several labels.

    The one-versus-all reduction of Yang et al. 2023, arXiv:2308.06453, section 3.2 (MLD), with Hinton's T and T^2
    (arXiv:1503.02531, section 2). With one T the gradient with respect to a logit is T (p_s - p_t) / (batch * labels).
    Averaged over labels, as the label term is, so that their weights are to each other what they are elsewhere.
    """
    teacher = teacher_logits.to(student_logits.dtype) / teacher_temperature
    student = student_logits / student_temperature
    present = F.logsigmoid(teacher).exp() * (F.logsigmoid(teacher) - F.logsigmoid(student))
    absent = F.logsigmoid(-teacher).exp() * (F.logsigmoid(-teacher) - F.logsigmoid(-student))
    return (present + absent).mean() * (teacher_temperature * student_temperature)


def label_entropies(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross entropy (nats) of each example's logits [batch, classes] with its labels, [batch]; of several labels the
    mean of their binary ones, each mixed with 1/2 by the smoothing.
    """
    if kind_of(labels) == "several":
        probabilities = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, probabilities, reduction="none").mean(-1)
    if kind_of(labels) == "soft":
        labels = labels.to(logits.dtype)
    return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")


def kind(targets: Targets) -> TargetKind:
    """What the labels of these targets are."""
    return kind_of(targets if isinstance(targets, Tensor) else targets[0])


def standardize_logits(
    student: Tensor,
    teacher: Tensor,
    teacher_temperature: Scalar,
    student_temperature: Scalar,
    *,
    unbiased: bool = True,
) -> Tensor:
    """The divergence of logits of which each image's have mean 0 and deviation 1: Z(z) = (z - mean z) / sigma(z).

    Logit Standardization: Sun et al. 2024, arXiv:2403.01427, algorithms 1 and 2, T being their base temperature; sigma²
    divides by the number of classes less one, as in the authors' code, or by their number unless `unbiased`.
    """
    teacher = _z_score(teacher.to(student.dtype), unbiased)
    return distillation(_z_score(student, unbiased), teacher, teacher_temperature, student_temperature)


def dkd_loss(
    student: Tensor,
    teacher: Tensor,
    targets: Tensor,
    teacher_temperature: Scalar,
    student_temperature: Scalar,
    alpha: Scalar,
    beta: Scalar,
) -> Tensor:
    """T_t * T_s * (alpha * TCKD + beta * NCKD) of each image, [batch]: Zhao et al. 2022, arXiv:2203.08679, equation 7.

    TCKD is the KL divergence of (p of the target, p of all others), NCKD that of the others among themselves; the
    factor T^2 is that of the authors' code. `targets` [batch] are the labels.
    """
    log_teacher = F.log_softmax(teacher.to(student.dtype) / teacher_temperature, dim=-1)
    log_student = F.log_softmax(student / student_temperature, dim=-1)
    target = targets.unsqueeze(-1) == torch.arange(student.shape[-1], device=targets.device)
    (yes_t, no_t, rest_t), (yes_s, no_s, rest_s) = (
        _split_target(logarithms, target) for logarithms in (log_teacher, log_student)
    )
    of_target = yes_t.exp() * (yes_t - yes_s) + no_t.exp() * (no_t - no_s)
    of_others = (rest_t.exp() * (rest_t - rest_s).masked_fill(target, 0.0)).sum(-1)
    return (alpha * of_target + beta * of_others) * (teacher_temperature * student_temperature)


def logit_mse_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean over images and classes of (z_s - z_t)^2: Kim et al. 2021, arXiv:2105.08919; no temperature.

    Their equation has the sum over classes, their code its mean, as here: then it is of the size of the divergence at
    large T, of which it is the double where both logits have the same mean.
    """
    return (student - teacher.to(student.dtype)).square().mean()


def dist_loss(
    student: Tensor,
    teacher: Tensor,
    teacher_temperature: Scalar,
    student_temperature: Scalar,
    beta: Scalar,
    gamma: Scalar,
) -> Tensor:
    """T_t * T_s * (beta * inter + gamma * intra): 1 - Pearson's correlation of the students' and the teacher's softmax
    at T, over the classes of each image (inter) and over the images of each class (intra), their means.

    DIST: Huang et al. 2022, arXiv:2205.10536, section 3; the factor T^2 is that of the authors' code. What is
    correlated are differences from 1 / classes, for which large T leaves nothing to cancel.
    """
    ours = _from_uniform(student, student_temperature)
    theirs = _from_uniform(teacher.to(student.dtype), teacher_temperature)
    inter, intra = (_uncorrelated(ours, theirs, dim).mean() for dim in (-1, -2))
    return (beta * inter + gamma * intra) * (teacher_temperature * student_temperature)


def weighted(
    student: Tensor, teacher: Tensor, targets: Tensor, teacher_temperature: Scalar, student_temperature: Scalar
) -> Tensor:
    """T_t * T_s * (1 - exp(-L_s / L_t)) * KL of each image, [batch]; L are the cross entropies with the labels, T = 1.

    Weighted soft labels: Zhou et al. 2021, arXiv:2102.00650. The factor has no gradient, and L_t is above
    0 by a little, as in the authors' code, whose soft cross entropy has the divergence's gradient.
    """
    teacher = teacher.to(student.dtype)
    log_teacher = F.log_softmax(teacher / teacher_temperature, dim=-1)
    log_student = F.log_softmax(student / student_temperature, dim=-1)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(-1)
    ours, theirs = label_entropies(student.detach(), targets), label_entropies(teacher, targets)
    factor = -torch.expm1(-ours / (theirs + _LEAST_ENTROPY))
    return factor * divergence * (teacher_temperature * student_temperature)


def learned_temperature(position: Tensor, reversal: Scalar) -> Tensor:
    """T = 1 + 20 sigmoid(position), whose gradient with respect to `position` is multiplied by -reversal: the student
    descends what the temperature ascends. CTKD: Li et al. 2022, arXiv:2211.16231, section 3.
    """
    fixed = position.detach()
    return LEARNED_LOW + LEARNED_RANGE * torch.sigmoid(fixed - reversal * (position - fixed))


def reversal(epoch: int) -> float:
    """CTKD's lambda in an epoch (from 1): half a cosine from 0 to 1 over ten epochs."""
    return float(0.5 * (1 - torch.cos(torch.tensor(torch.pi * min(epoch, LEARNED_RAMP) / LEARNED_RAMP).double())))


def _z_score(logits: Tensor, unbiased: bool) -> Tensor:
    centred = logits - logits.mean(-1, keepdim=True)
    variance = centred.square().sum(-1, keepdim=True) / (logits.shape[-1] - unbiased)
    return centred * torch.rsqrt(variance + EPSILON**2)


def _split_target(logarithms: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms of p of the target and of 1 - p, [batch] each, and of the others' shares among themselves."""
    rest_logarithms = logarithms.masked_fill(target, -torch.inf)
    rest = rest_logarithms.logsumexp(-1)
    return logarithms.masked_fill(~target, 0.0).sum(-1), rest, rest_logarithms - rest.unsqueeze(-1)


def _from_uniform(logits: Tensor, temperature: Scalar) -> Tensor:
    """softmax(logits / temperature) - 1 / classes, exactly also where that is tiny."""
    excess = torch.expm1((logits - logits.amax(-1, keepdim=True).detach()) / temperature)
    return (excess - excess.mean(-1, keepdim=True)) / (1 + excess).sum(-1, keepdim=True)


def _uncorrelated(a: Tensor, b: Tensor, dim: int) -> Tensor:
    """1 - Pearson's correlation along a dimension, as half the squared distance of two directions: exact near 0."""
    return 0.5 * (_direction(a, dim) - _direction(b, dim)).square().sum(dim)


def _direction(values: Tensor, dim: int) -> Tensor:
    centred = values - values.mean(dim, keepdim=True)
    return centred * torch.rsqrt(centred.square().sum(dim, keepdim=True) + EPSILON**2)


def _decoupled(batch: Batch, rule: Distillation) -> Tensor:
    student, teacher, at_teacher, at_student = batch.plain
    return batch.by_label(
        lambda labels: dkd_loss(student, teacher, labels, at_teacher, at_student, rule.alpha, rule.beta)
    )


def _weighted(batch: Batch, rule: Distillation) -> Tensor:
    student, teacher, at_teacher, at_student = batch.plain
    return batch.by_label(lambda labels: weighted(student, teacher, labels, at_teacher, at_student))


TERMS: Mapping[str, Term] = {
    "kl": lambda batch, _: batch.divergence(),
    "zscore": lambda batch, rule: standardize_logits(*batch.plain, unbiased=rule.revision > 1),
    "dkd": _decoupled,
    "mse": lambda batch, _: logit_mse_loss(batch.student, batch.teacher),
    "dist": lambda batch, rule: dist_loss(*batch.plain, rule.beta, rule.gamma),
    "ctkd": lambda batch, _: batch.divergence(),  # at the temperature that the student has learned
    "wsld": _weighted,
}


def term_of(name: str) -> Term:
    """The term of that name, of a plugin's too. NameUnknown."""
    if not plugins.is_plugin(name):
        return lookup.find("distillation method", name, TERMS)
    declaration, function = plugins.code_of("loss", name)

    def term(batch: Batch, rule: Distillation) -> Tensor:
        student, teacher, teacher_temperature, student_temperature = batch.plain
        weights = {weight: getattr(rule, weight) for weight in declaration.weights}
        temperatures = {"teacher_temperature": teacher_temperature, "student_temperature": student_temperature}
        return batch.by_label(
            lambda labels: function(student, teacher.to(student.dtype), labels, **temperatures, **weights)
        )

    return term
