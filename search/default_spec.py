"""What does a whole spec look like? Every field with its default, and why one would change it."""

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
  split_seed: 0              # fixes which images train, validate and test
  validation_fraction: 0.2   # of the training part; the search looks at nothing else
  test_fraction: 0.2         # where the set has no test part of its own; read once, at the end
  # train_size: 600          # keep a stratified subset of the training part
  # image_size: 64           # resize photographs
  augmentation: none         # or shift, crop, crop_flip

teacher:
  source: train              # or weights, or logits: with `artifact: <sha256>` in the artifact store
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
  # views: 4                 # augmented views whose logits are kept; 1 without augmentation

student:
  name: mlp
  arguments: {width: 64, depth: 1}

training:                    # of every student
  epochs: 20
  batch_size: 64
  schedule:
    name: cosine             # or constant, or step with step_epochs: [10, 15] and step_factor: 0.1
    warmup_epochs: 0

space:                       # each a number, or a range to search
  temperature: {low: 1.0, high: 40.0, log: true}
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
  name: tpe                  # or gp, cmaes, qmc, random
  startup_trials: 10         # random ones, before the sampler has something to learn from

pruner:
  name: none                 # or median, successive_halving, hyperband: saves epochs, may cost the best temperature
  min_epochs: 4              # the first rung; the next ones are reduction_factor times as late
  reduction_factor: 3
  startup_trials: 5          # median only

budget:                      # of the search; it ends at the first of them
  trials: 64
  # epochs: 1000             # summed over the trials
  # seconds: 3600

baselines:
  share: 0.25                # label-only, T=1 and T=4 each get this share of the search's trials, on top; 0: untuned

confirmation:                # on fresh seeds, so that luck decides nothing
  finalists: 3               # configurations of the search, and of each baseline
  select_seeds: 3            # the best mean over these wins
  estimate_seeds: 5          # and is measured on these
  confidence: 0.9            # of all intervals
  delta: 0.002               # differences below this do not matter (0.2 points of accuracy)

seed: 0                      # every seed of the job is derived from it
precision: auto              # or fp32, bf16
"""
