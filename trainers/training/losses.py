"""What is minimized: the distillation term and the label term of one batch, as plain tensor operations that hold for
one student and under `torch.func.vmap` for many.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from thermowell.plugin import Targets as TargetKind
from trainers.errors import NameUnknown, TargetsUnsuited, TooFewClasses
from trainers.registry import losses as registry
from trainers.registry import plugins
from trainers.spec import Configuration, Distillation, Problem
from trainers.training import methods, optim, temperature
from trainers.training.methods import Scalar
from trainers.training.methods import Targets as Targets
from trainers.training.methods import distillation as distillation

PLAIN = Distillation()


def is_plain(configuration: Configuration) -> bool:
    """Whether a configuration has the plain term in the place of its problem's. NameUnknown for any other name."""
    if configuration.method not in (None, PLAIN.method):
        raise NameUnknown(f"a configuration's method is {PLAIN.method} or none, not {configuration.method!r}")
    return configuration.method is not None


def check(problem: Problem, classes: int, targets: TargetKind) -> None:
    """NameUnknown where this process has no such method or schedule, or has other code of a plugin, TooFewClasses where
    the method cannot take so few, TargetsUnsuited where it makes no sense with such labels: asked before anything is
    trained.
    """
    method = problem.distillation.method
    methods.term_of(method)
    if plugins.is_plugin(method):
        plugins.check_code("loss", method, problem.distillation.code)
    for optimizer, code in problem.optimizers:
        plugins.check_code("optimizer", optimizer, code)
    record = registry.get(method)
    if classes < record.least_classes and problem.distillation.revision >= record.revision:
        why = f" ({record.few})" if record.few else ""
        raise TooFewClasses(
            f"the distillation method {method} needs {record.least_classes} classes or more, and there are {classes}"
            f"{why}: choose another distillation.method, or finer dataset.classes"
        )
    if reason := registry.unsuited(method, targets):
        raise TargetsUnsuited(f"distillation.method: {reason}")
    temperature.share(problem.distillation, 0, 1)
    optim.factor(0, 1, problem.training)


def rule_of(rule: Distillation, configuration: Configuration) -> Distillation:
    """The rule by which a student of this configuration is trained: plain KL, or the problem's with its own weights."""
    if is_plain(configuration):
        return PLAIN
    return weighed(rule, *(configuration.number(name, getattr(rule, name)) for name in registry.WEIGHTS))


def weighed(rule: Distillation, alpha: Scalar, beta: Scalar, gamma: Scalar) -> Distillation:
    """The rule with other weights, which may be scalars of a lane."""
    weights: tuple[Any, Any, Any] = (alpha, beta, gamma)
    return Distillation(rule.method, *weights, rule.shape, rule.step_at, rule.revision, rule.code)


def labels(logits: Tensor, targets: Targets, smoothing: Scalar = 0.0) -> Tensor:
    """Cross entropy (nats, batch mean) of logits [batch, classes] with the targets; of several labels the binary one,
    averaged over labels too, as torch's `binary_cross_entropy_with_logits` has it.

    `smoothing` mixes the targets with the uniform distribution (Szegedy et al. 2016, arXiv:1512.00567, section 7), of
    several labels each one's with 1/2. Of a mixed image it is the sum over its two labels, each times its share (Zhang
    et al. 2018, arXiv:1710.09412). A smoothing that is a tensor is a scalar of a lane.
    """
    several = methods.kind(targets) == "several"
    if isinstance(smoothing, Tensor):  # `even` is of each image the same, whatever its labels are
        even = -(F.logsigmoid(logits) + F.logsigmoid(-logits)) / 2 if several else -F.log_softmax(logits, dim=-1)
        return (1 - smoothing) * labels(logits, targets) + smoothing * even.mean()
    if isinstance(targets, Tensor):
        if methods.kind(targets) == "classes":
            return F.cross_entropy(logits, targets, label_smoothing=smoothing)
        return methods.label_entropies(logits, targets, smoothing).mean()
    first, second, share = targets
    of_own, of_other = (methods.label_entropies(logits, part, smoothing) for part in (first, second))
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
    smoothing: Scalar = 0.0,
) -> Tensor:
    """kd_weight * the rule's term + label_weight * labels, by so much smoothed: the loss that `spec.Configuration`
    defines.

    Where `plain`, a scalar of a lane, is not 0, the term is that of plain KL all the same.
    """
    logits, temperatures = (student_logits, teacher_logits), (teacher_temperature, student_temperature)
    soft = term(rule, *logits, targets, *temperatures)
    if plain is not None:
        soft = torch.where(plain != 0, methods.Batch(*logits, targets, *temperatures).divergence(), soft)
    return kd_weight * soft + label_weight * labels(student_logits, targets, smoothing)


def term(
    rule: Distillation,
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Targets,
    teacher_temperature: Scalar,
    student_temperature: Scalar,
) -> Tensor:
    """The rule's distillation term of a batch; of a learned temperature it is plain KL at that. NameUnknown."""
    batch = methods.Batch(student_logits, teacher_logits, targets, teacher_temperature, student_temperature)
    return methods.term_of(rule.method)(batch, rule)
