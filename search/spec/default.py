"""The default spec: every field with its default, and why one would change it. The records say what can be chosen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from trainers.registry.augmentations import AUGMENTATIONS, UNCHANGED
from trainers.registry.datasets import DATASETS
from trainers.registry.losses import LOSSES, PLAIN, WEIGHTS
from trainers.registry.models import MODELS
from trainers.registry.optimizers import DEFAULT, OPTIMIZERS, SEARCHED, Interval, Setting
from trainers.registry.parameters import PARAMETERS
from trainers.registry.schedules import TEMPERATURE_SCHEDULES

_COLUMN, _WIDTH = 29, 118  # where comments begin, and where they end

_TEMPLATE = """\
# A Thermowell job: at which temperature, with which optimizer settings, should this student be distilled from this
# teacher? Every line but name, dataset, teacher and student may be left out; what stands here is the default.
schema_version: 1
name: digits
labels: {}                   # words of your own to find jobs by, e.g. {team: vision}

dataset:
{{datasets}}
  # path: birds/train.npz    # for npz and image_folder: below the data root
  # layout: parts            # or classes: of an image_folder whose tree could be either (docs/data.md)
  # arguments: {rows: 100}   # of a plugin's data set (docs/plugins.md)
  # targets: several         # of npz: a row of zeros and ones for each image; or soft, of probabilities (docs/data.md)
  split_seed: 0              # fixes which images train, validate and test
  validation_fraction: 0.2   # of the training part; the search looks at nothing else
  test_fraction: 0.2         # where the set has no test part of its own; read once, at the end
  # train_size: 600          # keep a stratified subset of the training part
  # image_size: 64           # resize photographs
{{augmentations}}
  # classes: coarse          # CIFAR100's superclasses; or {map: [0, 0, 1, ...]}, one for each of the set's own,
                             # or {clusters: 5} of those that the teacher confuses; fine, the set's own, unless given

teacher:
  source: train              # or weights, or logits, given in a file; or ensemble, of the members below
  # artifact: <sha256>       # of that file in the artifact store
  # preprocessing: imagenet  # how those weights were trained; the file's or the best measured unless given
  # class_map: [[3, 4], 9]   # which of its own classes each class is, where they are not the job's (docs/teachers.md)
  # accept_weak: true        # distil a given teacher although it is near chance
  model:
{{models}}
    arguments: {width: 32, depth: 3}
  training:
    epochs: 20
    batch_size: 64
    schedule: {name: cosine, warmup_epochs: 0}
  optimizer:
    name: {{optimizer}}
    learning_rate: 0.05
    weight_decay: 5.0e-4
    momentum: 0.9
    nesterov: false
  label_smoothing: 0.0       # a smoothed teacher wants a temperature near 1
  seed: 0
  # views: 16                # augmented views whose logits are kept; 1 without augmentation
  # stop_epoch: 5            # take it under-trained: at this epoch of the schedule above
  # origin:                  # trained on other data first; training and optimizer above then finetune it
  #   pretrained_on: {dataset: {name: MNIST}, training: {epochs: 5}, optimizer: {learning_rate: 0.05}}
  #   finetune: full         # or head: all but its new head stays as the other data made it
  #   weights: <sha256>      # in the place of pretrained_on: a file of weights, which get a new head
  # members:                 # of an ensemble, whose logits are the mean of theirs; each as a teacher of its own is
  #   - {model: {name: cnn}, training: {epochs: 20}, optimizer: {learning_rate: 0.05}}
  #   - {model: {name: cnn}, training: {epochs: 20}, optimizer: {learning_rate: 0.05}, seed: 1}

student:
  name: mlp
  arguments: {width: 64, depth: 1}
  # initial:                 # with which weights every student begins; random ones of its own unless given
  #   source: finetuned      # or trained (on the job's labels), or pretrained (on other data), or weights (artifact)
  #   pretrained_on: {dataset: {name: MNIST}, training: {epochs: 5}, optimizer: {learning_rate: 0.05}}
  #   training: {epochs: 5}  # on the job's own labels, without a teacher
  #   optimizer: {learning_rate: 0.02}
  #   finetune: full         # or head
  #   seed: 0

# trainer: {external: {queue: mine}}  # who trains, in the place of dataset, teacher and student: docs/own-training.md

training:                    # of every student
  epochs: 20
  batch_size: 64
  schedule:
    name: cosine             # or constant, or step with step_epochs: [10, 15] and step_factor: 0.1
    warmup_epochs: 0

distillation:                # what every trial takes from the teacher; {{plain}}
{{methods}}
{{weights}}
  schedule: constant         # of T; or {{shapes}}, from space.temperature to space.final_temperature
  # step_at: 0.5             # step: after which share of the training

space:                       # each a number, or a range to search
  temperature: {low: 1.0, high: 40.0, log: true}
  # final_temperature: 1.0   # where distillation.schedule is not constant
  student_temperature: same  # or a number, such as 1, or a range
  kd_weight: {low: 0.1, high: 1.0}
  # label_weight: 1.0        # 1 - kd_weight unless given
  optimizer:                 # one or more; each trial chooses one
{{optimizers}}
{{parameters}}

objective:
  metric: accuracy           # or nll, or ece; on validation, at a trial's last epoch. Of a training of your own any
                             # name, with direction: maximize or minimize, and low, high and unit (docs/parameters.md)

sampler:
  name: gp                   # a surface over all trials, which knows of seeds' noise; or tpe, cmaes, qmc, random
  startup_trials: 10         # before it has something to learn from: spread evenly, or random ones (others than gp)

# grid: {settings: 4}        # in the sampler's place, for studies: all temperatures x settings, seed by seed

warm_start:                  # the search's first trials, in the place of startup trials: see `thermowell advice`
  mode: none                 # or literature, history (finished jobs that you may read), both
  share: 0.125               # of budget.trials at most, and fewer where nothing near is known; the last is a draw
  points: []                 # or your own guesses, tried first: {{guess}}

pruner:
  name: none                 # or auto (stops what will not be a finalist, after 30, 50 and 70 % of training), curve,
                             # stratified, median, successive_halving, hyperband: see docs/pruners.md
  min_epochs: 4              # the first rung; the next ones are reduction_factor times as late; auto has its own
  reduction_factor: 3
  startup_trials: 5          # median and curve: trials that must have ended before
  chance: 0.05               # curve: below this chance to end among as many as there are finalists

budget:                      # of the search; it ends at the first of them
  trials: 64
  # trainings: 100           # of everything together: three quarters search, unless trials says how many
  # epochs: 1000             # summed over the trials
  # seconds: 3600            # a deadline of the search: then what there is gets confirmed
  # hours: 1                 # the same in hours

baselines:
  share: 0.0625              # label-only, T=1 and T=4 each get this share of the search's trials, on top; 0: untuned
  by: surface                # one surface over all trials proposes them, and all finalists run in one race;
                             # arm: each is searched and raced by itself
  # default_temperature: 4   # what the verdict keeps where T makes no difference that matters

confirmation:                # on fresh seeds, so that luck decides nothing
  # level: full              # or quick, on fewer seeds, or none: the winner is trained once more, and nothing else
  finalists: 3               # configurations of the search, and of each baseline
  select_seeds: 3            # at most; who is shown to be worse drops out before
  estimate_seeds: 5          # and is measured on these
  confidence: 0.9            # of all intervals
  delta: 0.002               # differences below this do not matter (0.2 points of accuracy)

fleet:                       # this job's place among others
  priority: 10               # 20 gets twice the lanes that 10 gets; from 1 to 100
  # parallel: 8              # trials under way at once, at most
  labels: []                 # a worker must have all of them: gpu or cpu, and what the operator has named
  # memory_gb: 16            # of the device that trains, at least

seed: 0                      # every seed of the job is derived from it
precision: auto              # or fp32, bf16
"""


def text() -> str:
    """The commented spec."""
    parts = {
        "datasets": _datasets(),
        "augmentations": _commented(f"  augmentation: {UNCHANGED}", f"or {_listed(AUGMENTATIONS, UNCHANGED)}"),
        "models": _commented(
            "    name: cnn", f"{', '.join(MODELS)}, any classification model of torchvision, or timm:NAME"
        ),
        "optimizer": DEFAULT,
        "guess": f"[{{temperature: 4, optimizer: {DEFAULT}, learning_rate: 0.05}}]",
        "plain": f"baselines use {PLAIN} at one T: see docs/methods.md",
        "methods": _methods(),
        "weights": "\n".join(_weights()),
        "shapes": _listed(TEMPERATURE_SCHEDULES, next(iter(TEMPERATURE_SCHEDULES))),
        "optimizers": "\n".join(_optimizers()),
        "parameters": _commented(
            "  # parameters: {}", f"further settings by name (docs/parameters.md): {', '.join(PARAMETERS)}"
        ),
    }
    answer = _TEMPLATE
    for name, part in parts.items():
        answer = answer.replace("{{" + name + "}}", part)
    return answer


def _listed(names: Iterable[str], but: str) -> str:
    return ", ".join(name for name in names if name != but)


def _commented(line: str, comment: str) -> str:
    """A line with a comment behind it, which goes on below it where it is long."""
    first, *lines_after = textwrap.wrap(comment, _WIDTH - _COLUMN - 2)
    return "\n".join([f"{line:<{_COLUMN}}# {first}", *(f"{'':<{_COLUMN}}# {line_after}" for line_after in lines_after)])


def _datasets() -> str:
    default = next(iter(DATASETS))
    names = ", ".join(name for name in DATASETS if name not in (default, "replay"))  # which is for tables alone
    words = f"or {names}; `thermowell data fetch NAME` brings torchvision's"
    return _commented(f"  name: {default}", words)


def _methods() -> str:
    ways = {"searched": "", "none": " (has no temperature)", "learned": " (learns T)"}
    names = [f"{record.name}{ways[record.temperature]}" for record in LOSSES.values() if record.name != PLAIN]
    return _commented(f"  method: {PLAIN}", f"or {', '.join(names)}")


def _weights() -> Iterator[str]:
    for name in WEIGHTS:
        first, *rest = [
            (record.name, record.weights[name].default) for record in LOSSES.values() if name in record.weights
        ]
        words = [f"of {first[0]}", *(f"of {method}, {default}" for method, default in rest)]
        yield _commented(f"  # {name}: {first[1]}", "; ".join(words))


def _optimizers() -> Iterator[str]:
    """The optimizers that are searched unless a space names others, and a line about these."""
    remaining = [record for record in OPTIMIZERS.values() if not record.searched]
    for name in SEARCHED:
        record = OPTIMIZERS[name]
        alike = [peer.name for peer in remaining if peer.group == record.group]
        remaining = [peer for peer in remaining if peer.group != record.group]
        takes = f"{' and '.join(alike)} take{'' if len(alike) > 1 else 's'} the same"
        yield _commented(f"    {name}:", takes) if alike else f"    {name}:"
        yield from (f"      {setting.name}: {_default(setting)}" for setting in record.settings)
    if remaining:
        alternatives = "".join(f"or {peer.name}; " for peer in remaining[1:])
        words = f"{alternatives}each has ranges of its own"
        yield _commented(f"    # {remaining[0].name}: {{}}", words)


def _default(setting: Setting) -> str:
    """The default of a setting as YAML has it."""
    default = setting.default
    if isinstance(default, Interval):
        log = ", log: true" if default.log else ""
        return f"{{low: {_number(default.low)}, high: {_number(default.high)}{log}}}"
    return str(default).lower() if isinstance(default, bool) else _number(default)


def _number(value: float) -> str:
    """A number of two digits at least, with an exponent where it is small."""
    if 0 < value < 0.5:
        mantissa, exponent = f"{value:e}".split("e")
        return f"{float(mantissa)}e{int(exponent)}"
    return str(float(value))
