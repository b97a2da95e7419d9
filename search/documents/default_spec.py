"""The default spec with every field, its default, and a comment on why one would change it."""

TEXT = """\
# A Thermowell job: at which temperature, with which optimizer settings, should this student be distilled from this
# teacher? Every line but name, dataset, teacher and student may be left out; what stands here is the default.
schema_version: 1
name: digits
labels: {}                   # words of your own to find jobs by, e.g. {team: vision}

dataset:
  name: digits               # or MNIST, FashionMNIST, CIFAR10, CIFAR100, SVHN, STL10, Flowers102, OxfordIIITPet,
                             # Food101, image_folder, npz; `thermowell data fetch NAME` brings torchvision's
  # path: birds/train.npz    # for npz and image_folder: below the data root
  # layout: parts            # or classes: of an image_folder whose tree could be either (docs/data.md)
  split_seed: 0              # fixes which images train, validate and test
  validation_fraction: 0.2   # of the training part; the search looks at nothing else
  test_fraction: 0.2         # where the set has no test part of its own; read once, at the end
  # train_size: 600          # keep a stratified subset of the training part
  # image_size: 64           # resize photographs
  augmentation: none         # or shift, crop, crop_flip, mixup, cutmix, crop_flip_mixup, crop_flip_cutmix
  # classes: coarse          # CIFAR100's superclasses; or {map: [0, 0, 1, ...]}, one for each of the set's own,
                             # or {clusters: 5} of those that the teacher confuses; fine, the set's own, unless given

teacher:
  source: train              # or weights, or logits, given in a file; or ensemble, of the members below
  # artifact: <sha256>       # of that file in the artifact store
  model:
    name: cnn                # mlp, cnn, resnet, wrn, any classification model of torchvision, or timm:NAME
    arguments: {width: 32, depth: 3}
  training:
    epochs: 20
    batch_size: 64
    schedule: {name: cosine, warmup_epochs: 0}
  optimizer:
    name: sgd
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
  # members:                 # of an ensemble, whose logits are the mean of theirs; each as a teacher of its own is
  #   - {model: {name: cnn}, training: {epochs: 20}, optimizer: {learning_rate: 0.05}}
  #   - {model: {name: cnn}, training: {epochs: 20}, optimizer: {learning_rate: 0.05}, seed: 1}

student:
  name: mlp
  arguments: {width: 64, depth: 1}
  # initial:                 # with which weights every student begins; random ones of its own unless given
  #   source: finetuned      # or trained (on the job's labels), or pretrained (on other data)
  #   pretrained_on: {dataset: {name: MNIST}, training: {epochs: 5}, optimizer: {learning_rate: 0.05}}
  #   training: {epochs: 5}  # on the job's own labels, without a teacher
  #   optimizer: {learning_rate: 0.02}
  #   finetune: full         # or head
  #   seed: 0

training:                    # of every student
  epochs: 20
  batch_size: 64
  schedule:
    name: cosine             # or constant, or step with step_epochs: [10, 15] and step_factor: 0.1
    warmup_epochs: 0

distillation:                # what every trial takes from the teacher; baselines use kl at one T: see docs/methods.md
  method: kl                 # or zscore, dkd, mse (has no temperature), dist, ctkd (learns T)
  # alpha: 1.0               # of dkd
  # beta: 8.0                # of dkd; of dist, 2.0
  # gamma: 2.0               # of dist
  schedule: constant         # of T; or linear, cosine, step, from space.temperature to space.final_temperature
  # step_at: 0.5             # step: after which share of the training

space:                       # each a number, or a range to search
  temperature: {low: 1.0, high: 40.0, log: true}
  # final_temperature: 1.0   # where distillation.schedule is not constant
  student_temperature: same  # or a number, such as 1, or a range
  kd_weight: {low: 0.1, high: 1.0}
  # label_weight: 1.0        # 1 - kd_weight unless given
  optimizer:                 # one or more; each trial chooses one
    sgd:
      learning_rate: {low: 1.0e-3, high: 1.0, log: true}
      momentum: 0.9
      nesterov: false
      weight_decay: {low: 1.0e-6, high: 1.0e-2, log: true}
    adamw:                   # adam takes the same
      learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}
      weight_decay: {low: 1.0e-6, high: 1.0e-1, log: true}

objective:
  metric: accuracy           # or nll, or ece; on validation, at a trial's last epoch

sampler:
  name: gp                   # a surface over all trials, which knows of seeds' noise; or tpe, cmaes, qmc, random
  startup_trials: 10         # before it has something to learn from: spread evenly, or random ones (others than gp)

warm_start:                  # the search's first trials, in the place of startup trials: see `thermowell advice`
  mode: none                 # or literature, history (finished jobs that you may read), both
  share: 0.125               # of budget.trials at most, and fewer where nothing near is known; the last is a draw
  points: []                 # or your own guesses, tried first: [{temperature: 4, optimizer: sgd, learning_rate: 0.05}]

pruner:
  name: none                 # or curve (stops what will not end among the best), stratified (halving among similar
                             # temperatures), median, successive_halving, hyperband: see benchmarks/README.md
  min_epochs: 4              # the first rung; the next ones are reduction_factor times as late
  reduction_factor: 3
  startup_trials: 5          # median and curve: trials that must have ended before
  chance: 0.05               # curve: below this chance to end among as many as there are finalists

budget:                      # of the search; it ends at the first of them
  trials: 64
  # epochs: 1000             # summed over the trials
  # seconds: 3600

baselines:
  share: 0.25                # label-only, T=1 and T=4 each get this share of the search's trials, on top; 0: untuned

confirmation:                # on fresh seeds, so that luck decides nothing
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
