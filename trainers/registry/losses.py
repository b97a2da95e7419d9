"""The distillation terms: one record each. A new one is added here and in `trainers.training.methods`; nothing else
names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from thermowell.plugin import TARGETS, Targets
from thermowell.plugin import WEIGHTS as WEIGHTS
from trainers.registry import lookup, plugins
from trainers.registry.optimizers import Interval


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight of a term: what it is unless given, and what it weighs."""

    default: float
    summary: str


@dataclass(frozen=True, slots=True)
class LossRecord:
    """A distillation term by name.

    `summary` says in a sentence what it is, `formula` and `remark` are those of the table in docs/methods.md.
    `temperature`: how T enters. It is searched, or there is none, or each student learns it from the searched one on;
    `bounds` are then those of what is learned, ends excluded. `suited` is T where a space gives none, if it is another
    than usual. With fewer than `least_classes` a term says nothing, and is refused; `few` says why. Jobs that began by
    an earlier `revision` go on as it was. `targets` are the kinds of labels with which it makes sense, and `unsuited`
    says why with no others. `phrase` says in a sentence about a result what T is of, or what the term is where there is
    no T.
    """

    name: str
    summary: str
    formula: str
    citation: str
    weights: Mapping[str, Weight] = field(default_factory=dict)
    temperature: Literal["searched", "none", "learned"] = "searched"
    suited: Interval | float | None = None
    bounds: tuple[float, float] = (0.0, float("inf"))
    least_classes: int = 2
    few: str = ""
    revision: int = 1
    phrase: str = ""
    remark: str = ""
    targets: tuple[Targets, ...] = TARGETS
    unsuited: str = ""


LOSSES: Mapping[str, LossRecord] = {
    record.name: record
    for record in (
        LossRecord(
            name="kl",
            summary="kd_weight * T_t * T_s * KL(teacher || student) at T + label_weight * cross entropy, both at "
            "batchmean",
            formula="T_t T_s KL(p(z_t; T_t) ‖ p(z_s; T_s))",
            citation="Hinton et al. 2015, arXiv:1503.02531",
        ),
        LossRecord(
            name="zscore",
            summary="kl of logits with mean 0 and deviation 1 for each image",
            formula="as `kl`, of Z(z) = (z − mean z) / σ(z) of each image; σ² divides by the classes less one",
            citation="Sun et al. 2024, arXiv:2403.01427",
            least_classes=3,
            few="z-scored logits of 2 classes are the same for every image that has the same answer",
            revision=2,
            phrase="of z-scored logits",
            targets=("classes", "soft"),
            unsuited="it keeps only how an example's logits differ, and of several labels each logit says by itself "
            "how probable its label is",
        ),
        LossRecord(
            name="dkd",
            summary="kl in two parts: alpha * (target or not) + beta * (which of the others)",
            formula="T_t T_s (α TCKD + β NCKD): KL of (target, all others), and KL of the others among themselves",
            citation="Zhao et al. 2022, arXiv:2203.08679",
            weights={
                "alpha": Weight(1.0, "of the target class against the rest"),
                "beta": Weight(8.0, "of the others among themselves"),
            },
            phrase="with DKD",
            targets=("classes",),
            unsuited="it parts an example's one class from all others",
        ),
        LossRecord(
            name="mse",
            summary="mean squared difference of the logits in the place of kl; T says nothing",
            formula="mean over classes of (z_s − z_t)²",
            citation="Kim et al. 2021, arXiv:2105.08919",
            temperature="none",
            suited=1.0,
            phrase="the squared difference of logits",
            remark="no T",
        ),
        LossRecord(
            name="dist",
            summary="1 - correlation of the softmaxes at T, beta * over classes + gamma * over images",
            formula="T_t T_s (β inter + γ intra): 1 − Pearson's correlation of p(z_s; T_s) and p(z_t; T_t) over the "
            "classes of an image, and over the images of a class",
            citation="Huang et al. 2022, arXiv:2205.10536",
            weights={
                "beta": Weight(2.0, "of classes of an image"),
                "gamma": Weight(2.0, "of the images of a class"),
            },
            least_classes=3,
            few="over 2 classes the correlation is 1 or -1 whatever the probabilities are",
            revision=2,
            phrase="with DIST",
            targets=("classes", "soft"),
            unsuited="it correlates probabilities that share out 1 among an example's classes, which those of several "
            "labels do not",
        ),
        LossRecord(
            name="ctkd",
            summary="kl at a T that each student learns, by a reversed gradient, from space.temperature on",
            formula="as `kl` at T = 1 + 20 sigmoid(θ): each student learns its θ by the reversed gradient, times λ, "
            "which rises from 0 to 1 along half a cosine over ten epochs",
            citation="Li et al. 2022, arXiv:2211.16231",
            temperature="learned",
            suited=Interval(1.5, 20.0, log=True),
            bounds=(1.0, 21.0),
            phrase="to begin with (CTKD)",
            remark="`space.temperature` is where T begins",
        ),
        LossRecord(
            name="wsld",
            summary="kl of each image times 1 - exp(-student's / teacher's cross entropy with the label), which the "
            "gradient leaves out",
            formula="T_t T_s (1 − exp(−L_s / L_t)) KL(p(z_t; T_t) ‖ p(z_s; T_s)) of each image, L_s and L_t being the "
            "student's and the teacher's cross entropy with its label at T = 1; the factor has no gradient",
            citation="Zhou et al. 2021, arXiv:2102.00650",
            phrase="with weighted soft labels (WSLD)",
            targets=("classes", "soft"),
            unsuited="it weighs an example by the cross entropy of its one label",
        ),
    )
}
WORDS: Mapping[Targets, str] = {
    "classes": "one class for each example",
    "soft": "soft labels",
    "several": "several labels for each example",
}
"""Kinds of labels for people."""
PLAIN = next(iter(LOSSES))
"""The term of the baselines, and of a spec that names none."""
SUMMARIES: Mapping[str, str] = {record.name: f"{record.summary} ({record.citation})" for record in LOSSES.values()}


def summary(name: str) -> str:
    """What a term is, in a sentence. NameUnknown."""
    return SUMMARIES.get(name) or get(name).summary


def unsuited(name: str, targets: Targets | None) -> str | None:
    """Why a term makes no sense with labels of that kind, and what does; None where it does, or the kind is unknown."""
    record = get(name)
    if targets is None or targets in record.targets:
        return None
    names = ", ".join(loss.name for loss in LOSSES.values() if targets in loss.targets)
    why = record.unsuited or "its plugin does not declare them (targets)"
    return f"{name} cannot be used with {WORDS[targets]}: {why}. Choose {names}"


def get(name: str) -> LossRecord:
    """The record of that name; of a plugin's term what is known of it here. NameUnknown."""
    if plugins.is_plugin(name):
        return _of_plugin(name)
    return lookup.find("distillation method", name, LOSSES)


def _of_plugin(name: str) -> LossRecord:
    """A plugin's term as a record; one that is not known here may have any weights."""
    plugin = plugins.known("loss", name)
    phrase = f"with {name}"
    if plugin is None:
        any_weights = {weight: Weight(1.0, "of the plugin's term") for weight in WEIGHTS}
        return LossRecord(name, "a plugin's term in the place of kl", "", "", any_weights, phrase=phrase)
    declaration = plugin.declaration
    weights = {weight: Weight(default, "of the plugin's term") for weight, default in declaration.weights.items()}
    words = f"{declaration.summary or 'a term in the place of kl'} (plugin {plugin.distribution} {plugin.version})"
    least_classes, targets = declaration.least_classes, declaration.targets
    return LossRecord(name, words, "", "", weights, least_classes=least_classes, phrase=phrase, targets=targets)
