"""Images that a teacher from elsewhere has to look at, written to files, and its logits on them taken back:
`python -m trainers.teacher_inputs inputs|logits`.

A manifest says which images these are and in which order; logits are checked against it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trainers import quality, spec
from trainers.data import datasets, mixing, sources
from trainers.data.granularity import coarse_labels
from trainers.data.targets import dominant, kind_of
from trainers.data.views import Normaliser
from trainers.disk_budget import DiskBudget
from trainers.errors import TeacherInvalid, TrainingError
from trainers.registry import plugins
from trainers.spec import Classes, Data, TestPermit
from trainers.student_files import class_names
from trainers.teaching import answer_faults, supervised
from trainers.training import evaluate
from trainers.zoo import tensor_files, weights

FORMAT = 1
MANIFEST = "manifest.json"
PARTS = ("train", "validation", "test")
POOL = "pool"
"""The name of logits on all images of the files, in their own order, in the place of parts cut from them."""
_CHUNK = 256


def export(data: Data, views: int, root: Path, folder: Path, pictures: bool) -> dict[str, Any]:
    """Writes the images of each part and view, in order, and a manifest, which it answers.

    They lie in `inputs.npz`, train [views, n, C, H, W] and the others [n, C, H, W]; with `pictures` as PNG files,
    `train/view-00/000000.png` and so on. Pixels are 8 bits; where two images are mixed they are floats from 0 to 255.
    Of the test part there are images alone, no labels: nobody is measured on it here.
    """
    budget = DiskBudget(folder)
    split = datasets.load(data, root, budget)
    source = sources.read_images(data, root)
    cuts = datasets.cut(data, source)
    test = datasets.load_test(data, root, TestPermit("teacher inputs", time.time()), budget)
    pixels = _views(split, data, views)
    images = {"train": pixels, "validation": split.validation.images.numpy(), "test": test.images.numpy()}
    folder.mkdir(parents=True, exist_ok=True)
    if pictures:
        for name, part in images.items():
            _write_pictures(part, name, folder)
    else:
        np.savez(folder / "inputs.npz", **images)  # type: ignore[arg-type]
    numbers: list[Any] = [part.tolist() for part in cuts]
    if source.validation is not None:
        numbers[1] = None
    if source.own_test:
        numbers[2] = None
    manifest = {
        "format": FORMAT,
        "data": spec.to_jsonable(data),
        "views": len(pixels),
        "classes": split.classes,
        "shapes": {name: list(part.shape) for name, part in images.items()},
        "digests": {"train": split.train.digest(), "validation": split.validation.digest()},
        "pool": len(source.pool.labels),
        "numbers": dict(zip(PARTS, numbers, strict=True)),
        "labels": {"train": split.train.labels.tolist(), "validation": split.validation.labels.tolist()},
        "class_names": class_names(data, root, coarse_labels(data), split.classes),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return manifest


def take(manifest: Mapping[str, Any], answers: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """A teacher's answers as a job takes them, and what there is to say of them, a caution among it near chance.

    They come by part, or, where nothing is augmented, in the order of the files under `pool`; they may be of other
    classes than the data's, which a job then maps. TeacherInvalid.
    """
    numbers, views, classes = manifest["numbers"], manifest["views"], manifest["classes"]
    tensors = dict(answers)
    if POOL in tensors:
        pool = tensors.pop(POOL)
        if views != 1:
            raise TeacherInvalid(
                f"the teacher has to look at {views} views of each image: answer them by part, not {POOL}"
            )
        if pool.ndim != 2 or len(pool) != manifest["pool"]:
            raise TeacherInvalid(f"{POOL} must be [{manifest['pool']}, {classes}], it is {list(pool.shape)}")
        tensors |= {name: pool[torch.tensor(places)] for name, places in numbers.items() if places is not None}
    if views == 1 and "train" in tensors and tensors["train"].ndim == 2:
        tensors["train"] = tensors["train"][None]
    tensors = {name: logits.float() if logits.is_floating_point() else logits for name, logits in tensors.items()}
    answered = {logits.shape[-1] for logits in tensors.values() if logits.ndim > 1}
    has_others = len(answered) == 1 and answered != {classes} and min(answered) > 1
    classes = min(answered) if has_others else classes
    for name in PARTS:
        expected = [*manifest["shapes"][name][: 2 if name == "train" else 1], classes]
        if name not in tensors or list(tensors[name].shape) != expected:
            actual = list(tensors[name].shape) if name in tensors else f"only {', '.join(sorted(tensors))}"
            raise TeacherInvalid(f"the answers need {name} of shape {expected}, there is {actual}")
        if not tensors[name].is_floating_point() or not tensors[name].isfinite().all():
            raise TeacherInvalid(f"the logits of {name} must be finite floats (float16, 32 or 64)")
        if line := answer_faults.probabilities(tensors[name], kind_of(torch.tensor(manifest["labels"]["validation"]))):
            raise TeacherInvalid(f"{name}: {line}")
    lines = []
    if has_others:
        lines.append(
            f"these are logits of {classes} classes, and the data have {manifest['classes']}: say in teacher.class_map "
            "which of them are yours; how right they are is measured when a job begins"
        )
    for name in () if has_others else ("train", "validation"):
        lines += _worth(name, tensors[name], torch.tensor(manifest["labels"][name]))
    if not has_others:
        lines += _order(manifest, tensors)
    return {name: tensors[name].contiguous() for name in PARTS}, lines


def _worth(name: str, logits: Tensor, labels: Tensor) -> list[str]:
    """How right the logits of a part are, in each of its views, and a caution near chance."""
    views = list(logits) if name == "train" else [logits]
    lines, chance, several = [], evaluate.chance(labels), kind_of(labels) == "several"
    for number, view in enumerate(views):
        accuracy = float(evaluate.accuracy(view, labels))
        words = f"{name}, view {number}" if number else name
        level = float(evaluate.mean_average_precision(view, labels)) if several else accuracy
        is_near = level <= quality.least_accuracy(chance, len(labels))
        if number and not is_near:
            continue
        lines.append(f"{words}: {accuracy:.1%} of {len(labels)} images right")
        if several:
            lines.append(f"{words}: mean average precision {level:.1%}")
        if is_near:
            lines.append(
                f"caution: that is near chance ({chance:.1%}): are images and classes in the manifest's order?"
            )
    return lines


def _order(manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[str]:
    """A caution where the classes are in another order than the data's."""
    train, validation = (torch.tensor(manifest["labels"][name]) for name in ("train", "validation"))
    if kind_of(train) == "several":
        return []
    sides = (tensors["train"][0], dominant(train)), (tensors["validation"], dominant(validation))
    order = answer_faults.other_order(*sides)
    return [] if order is None else [f"caution: {answer_faults.words(order, ())}"]


def read_answers(path: Path) -> dict[str, Tensor]:
    """A teacher's answers by part, from npz, safetensors, or what torch has saved. TeacherInvalid."""
    if path.suffix != ".npz":
        return tensor_files.read(path).unwrapped()[0]
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: torch.from_numpy(_native(file[name])) for name in file.files}
    except (OSError, ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise TeacherInvalid(f"{path.name} is no npz file of numbers: {error}. Save it with numpy.savez") from error


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """In this machine's order of bytes."""
    return np.asarray(values).astype(values.dtype.newbyteorder("="), copy=False)


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest that `export` wrote. TeacherInvalid."""
    try:
        manifest = json.loads(path.read_bytes())
        if manifest["format"] == FORMAT:
            return dict(manifest)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TeacherInvalid(f"{path} is no manifest of `thermowell teacher inputs`: {error}") from error
    raise TeacherInvalid(f"{path} is of format {manifest['format']}: write it anew with `thermowell teacher inputs`")


def _views(split: datasets.Split, data: Data, count: int) -> NDArray[Any]:
    """Every view of the training part, [views, n, C, H, W], before it is normalized."""
    images = split.train.images
    if split.inputs != "images":  # which alone are augmented
        return images.numpy()[None]
    plain = Normaliser((0.0,) * split.channels, (1 / 255,) * split.channels, torch.device("cpu"))
    views = supervised.views(split, data, count, torch.device("cpu"), plain)
    has_floats = mixing.parts(data.augmentation)[1] is not None
    pixels = np.empty((views.different, *images.shape), dtype=np.float32 if has_floats else np.uint8)
    for view in range(views.different):
        for start in range(0, len(images), _CHUNK):
            numbers = torch.arange(start, min(start + _CHUNK, len(images)))
            batch = views.batch(view, numbers)
            pixels[view, start : start + len(numbers)] = batch if has_floats else batch.round().to(torch.uint8)
    return pixels


def _write_pictures(images: NDArray[Any], name: str, folder: Path) -> None:
    if images.dtype != np.uint8 or images.ndim < 4:
        raise TeacherInvalid(
            "what is mixed, or no image at all, is no picture of 8 bits: write it as npz, without --pictures"
        )
    for view, part in enumerate(images if images.ndim == 5 else images[None]):
        place = folder / name / f"view-{view:02}" if images.ndim == 5 else folder / name
        place.mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(part):
            picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
            picture.save(place / f"{number:06}.png")


def _data(document: dict[str, Any]) -> Data:
    classes = document.pop("classes", None)
    if classes is not None:
        classes = Classes(classes["kind"], tuple(classes.get("map", ())), classes.get("clusters", 0))
    return Data(**document, classes=classes)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, with what there is to say as JSON on the standard output; 1 refused, with the reason."""
    parser = argparse.ArgumentParser(prog="python -m trainers.teacher_inputs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    inputs = commands.add_parser("inputs")
    inputs.add_argument("data", help="JSON")
    inputs.add_argument("views", type=int)
    inputs.add_argument("root", type=Path)
    inputs.add_argument("folder", type=Path)
    inputs.add_argument("--pictures", action="store_true")
    inputs.add_argument("--plugins", default="", help="distributions whose plugins are loaded, with commas between")
    logits = commands.add_parser("logits")
    for name in ("manifest", "file", "output"):
        logits.add_argument(name, type=Path)
    options = parser.parse_args(arguments)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a plugin may print
            lines = _done(options)
    except (TrainingError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    print(json.dumps({"lines": lines}))
    return 0


def _done(options: argparse.Namespace) -> list[str]:
    """Does what was asked, and answers what there is to say of it. TrainingError, OSError."""
    if options.command == "logits":
        tensors, lines = take(read_manifest(options.manifest), read_answers(options.file))
        weights.save(tensors, options.output)
        return lines
    for plugin, why in plugins.load(options.plugins.split(",") if options.plugins else []).errors.items():
        print(f"{plugin} cannot be loaded: {why}")
    data = _data(json.loads(options.data))
    manifest = export(data, options.views, options.root, options.folder, options.pictures)
    return [f"{name}: {shape}" for name, shape in manifest["shapes"].items()]


if __name__ == "__main__":
    sys.exit(main())
