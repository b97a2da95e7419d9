"""The winner as a configuration of torchdistill (github.com/yoshitomo-matsubara/torchdistill): its example
`image_classification.py --config FILE`.

Its KDLoss is alpha * cross entropy + beta * T^2 * KL at batchmean: alpha weighs the labels, not the teacher.
"""

from __future__ import annotations

from typing import Any

import yaml

from service.exports.winner import Winner, describe_model, differences, head, without_model
from trainers import catalogue
from trainers.registry import augmentations, datasets, optimizers

HOW = "Use it with torchdistill's examples/torchvision: python image_classification.py --config FILE"
RENAMED = {"learning_rate": "lr"}  # torch's names of an optimizer's settings
RESNET_DEPTHS = (20, 32, 44, 56, 110)


class Tagged(dict[str, Any]):
    """A mapping with a tag of torchdistill's YAML before it."""

    tag = "!import_call"


class Imported(Tagged):
    """What is looked up, not called."""

    tag = "!import_get"


class _Dumper(yaml.SafeDumper):
    """Writes the tags; repeats what occurs twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind in (Tagged, Imported):
    _Dumper.add_representer(_kind, lambda dumper, data: dumper.represent_mapping(data.tag, dict(data)))


def export(winner: Winner) -> str:
    """The YAML, complete, but for what its head names."""
    unsaid = differences(winner)
    name, training = winner.spec.built_in_parts.dataset.name, winner.spec.training
    document: dict[str, Any] = {
        "datasets": _datasets(winner, unsaid),
        "models": {
            "teacher_model": _model(winner.spec.built_in_parts.teacher.model, winner, "teacher", unsaid)
            | {"src_ckpt": "./teacher.pt"},
            "student_model": _model(winner.spec.built_in_parts.student, winner, "student", unsaid)
            | {"src_ckpt": None, "dst_ckpt": "./student.pt"},
        },
        "train": {
            "log_freq": 100,
            "num_epochs": training.epochs,
            "train_data_loader": _loader(f"{name}/train", "RandomSampler", training.batch_size, drop_last=True),
            "val_data_loader": _loader(f"{name}/test", "SequentialSampler", training.batch_size, drop_last=False),
            "teacher": {
                "forward_proc": "forward_batch_only", "sequential": [], "wrapper": "DataParallel",
                "requires_grad": False, "frozen_modules": [],
            },
            "student": {
                "forward_proc": "forward_batch_only", "adaptations": None, "sequential": [],
                "wrapper": "DistributedDataParallel", "requires_grad": True, "frozen_modules": [],
            },
            "optimizer": _optimizer(winner, unsaid),
            **_scheduler(winner, unsaid),
            "criterion": _criterion(winner, unsaid),
        },
        "test": {"test_data_loader": _loader(f"{name}/test", "SequentialSampler", 1, drop_last=False)},
    }  # fmt: skip
    unsaid += [
        "./teacher.pt is yours to bring, as torchdistill saves it: {'model': state_dict}. Without it torchdistill goes "
        "on with an untrained teacher.",
        "torchdistill 1.1.5 leaves the teacher in training mode; Thermowell's teacher is in evaluation mode.",
    ]
    return head(winner, "torchdistill", HOW, unsaid) + yaml.dump(document, Dumper=_Dumper, sort_keys=False)


def _criterion(winner: Winner, unsaid: list[str]) -> dict[str, Any]:
    configuration = winner.configuration
    weight = 1.0
    if configuration.label_weight == 0:
        weight = configuration.kd_weight * configuration.temperature**2
        unsaid.append(
            "Where alpha is 0, torchdistill 1.1.5 leaves out beta and T^2 too: they stand in the sub-term's weight."
        )
    loss = {
        "student_module_path": ".",
        "student_module_io": "output",
        "teacher_module_path": ".",
        "teacher_module_io": "output",
        "temperature": configuration.temperature,
        "alpha": configuration.label_weight,
        "beta": configuration.kd_weight,
        "reduction": "batchmean",
    }
    terms = {"kd": {"criterion": {"key": "KDLoss", "kwargs": loss}, "weight": weight}}
    return {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}}


def _optimizer(winner: Winner, unsaid: list[str]) -> dict[str, Any]:
    optimizer = winner.configuration.known_optimizer
    record = optimizers.get(optimizer.name)
    if record.package != "torch.optim":
        unsaid.append(
            f"torchdistill knows torch.optim's optimizers alone: register {record.package}.{record.key} under this "
            "key, and name its module under `dependencies`."
        )
    settings = {RENAMED.get(name, name): getattr(optimizer, name) for name in record.setting_names()}
    return {"key": record.key, "kwargs": settings}


def _scheduler(winner: Winner, unsaid: list[str]) -> dict[str, Any]:
    schedule, epochs = winner.spec.training.schedule, winner.spec.training.epochs
    if schedule.name == "constant":
        return {}
    if schedule.name == "step":
        steps = {"milestones": list(schedule.step_epochs), "gamma": schedule.step_factor}
        return {"scheduler": {"key": "MultiStepLR", "kwargs": steps}}
    unsaid.append("The cosine fell at every step; here it falls at every epoch.")
    return {"scheduler": {"key": "CosineAnnealingLR", "kwargs": {"T_max": epochs}}}


def _loader(dataset: str, sampler: str, batch: int, *, drop_last: bool) -> dict[str, Any]:
    sampling = {"class_or_func": Imported(key=f"torch.utils.data.{sampler}"), "kwargs": None}
    settings = {"batch_size": batch, "num_workers": 4, "pin_memory": True, "drop_last": drop_last}
    return {"dataset_id": dataset, "sampler": sampling, "kwargs": settings}


def _datasets(winner: Winner, unsaid: list[str]) -> dict[str, Any]:
    dataset = winner.spec.built_in_parts.dataset
    names = (f"{dataset.name}/train", f"{dataset.name}/test")
    parts = datasets.get(dataset.name).parts
    if parts is None and dataset.name != "image_folder":
        unsaid.append(
            f"The data set {dataset.name} is none of torchvision's: put your own under datasets, in both places."
        )
        return dict.fromkeys(names)
    unsaid.append(
        "Pixels are scaled to 0..1; Thermowell also takes away the training part's mean and divides by its deviation: "
        "add torchvision.transforms.Normalize with those of your data, if your teacher was trained so."
    )
    if parts is None:
        folders = [{"root": f"./data/{dataset.path}/{part}"} for part in ("train", "test")]
        return {
            name: _call("torchvision.datasets.ImageFolder", **part, transform=_transform(winner, moved))
            for name, part, moved in zip(names, folders, (True, False), strict=True)
        }
    return {
        name: _call(
            f"torchvision.datasets.{dataset.name}", root="./data", download=True, **part,
            transform=_transform(winner, moved),
        )
        for name, part, moved in zip(names, parts, (True, False), strict=True)
    }  # fmt: skip


def _transform(winner: Winner, moved: bool) -> Tagged:
    """What is done to an image: its size, the job's augmentation where it is `moved`, and a tensor of it."""
    dataset = winner.spec.built_in_parts.dataset
    entry = datasets.get(dataset.name)
    size = dataset.image_size or entry.size or 0
    moving = augmentations.get(dataset.augmentation).moving
    steps = [_call("torchvision.transforms.Resize", size=[size, size])] if entry.photos or dataset.image_size else []
    if moved and moving != "none":
        padding = max(1, size // (16 if moving == "shift" else 8))
        steps.append(_call("torchvision.transforms.RandomCrop", size=size, padding=padding))
    if moved and moving == "crop_flip":
        steps.append(_call("torchvision.transforms.RandomHorizontalFlip", p=0.5))
    steps.append(_call("torchvision.transforms.ToTensor"))
    return _call("torchvision.transforms.Compose", transforms=steps)


def _call(key: str, **arguments: Any) -> Tagged:
    return Tagged(key=key, init={"kwargs": arguments})


def _model(model: Any, winner: Winner, role: str, unsaid: list[str]) -> dict[str, Any]:
    """torchdistill's key and arguments of a model; where it has none, ours, which it refuses until it is registered."""
    if model is None:
        unsaid.append(without_model(winner.spec, "models.teacher_model"))
        return {"key": "NAME_IT", "kwargs": {"num_classes": winner.classes}}
    if model.name not in catalogue.MODELS and not model.name.startswith(catalogue.TIMM_PREFIX):
        return {"key": model.name, "kwargs": {"num_classes": winner.classes}}
    if winner.channels == 3 and model.name in ("resnet", "wrn"):
        arguments = catalogue.model_arguments(model.name, model.arguments)
        common = {"num_classes": winner.classes, "pretrained": False, "progress": False}
        if model.name == "wrn":
            sizes = {"depth": arguments["depth"], "k": arguments["width"], "dropout_p": arguments["dropout"]}
            return {"key": "wide_resnet", "kwargs": sizes | common}
        if arguments["depth"] in RESNET_DEPTHS and arguments["width"] == 1 and not arguments["dropout"]:
            return {"key": f"resnet{arguments['depth']}", "kwargs": common}
    unsaid.append(
        f"torchdistill has no {role} {describe_model(model)} for such images: register yours under this key, and name "
        "its module under `dependencies`."
    )
    return {"key": model.name, "kwargs": {"num_classes": winner.classes, **model.arguments}}
