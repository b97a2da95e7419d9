"""Conversion of files of weights into safetensors under a model's own names: `python -m trainers.weight_files`.

Pickled files are read with `weights_only=True`: tensors and plain containers alone, none of anybody's code.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from trainers import catalogue, preprocessing
from trainers.errors import ModelUnavailable, TeacherInvalid
from trainers.preprocessing import Preprocessing
from trainers.registry import local_models, named
from trainers.registry.plugins import is_plugin
from trainers.spec import Model, to_jsonable
from trainers.zoo import conversion, given, packaged, statements, tensor_files, weights
from trainers.zoo.conversion import Report
from trainers.zoo.tensor_files import TensorFile

EXIT_OK, EXIT_REFUSED = 0, 1
LOGITS = frozenset({"train", "validation", "test", "pool"})


def logits_report(tensors: Mapping[str, Tensor]) -> Report | None:
    """What a file of logits holds; None where its tensors are no teacher's answers. TeacherInvalid for bad shapes."""
    if not set(tensors) <= LOGITS:
        return None
    classes = {int(tensor.shape[-1]) for tensor in tensors.values() if tensor.ndim >= 2}
    if len(classes) != 1 or any(tensor.ndim < 2 or not tensor.is_floating_point() for tensor in tensors.values()):
        shapes = ", ".join(f"{name} {tensor.dtype} {list(tensor.shape)}" for name, tensor in sorted(tensors.items()))
        raise TeacherInvalid(
            f"logits are floats [..., images, classes] with the same classes in all parts, these are {shapes}"
        )
    notes = tuple(f"{name}: {list(tensor.shape)}" for name, tensor in sorted(tensors.items()))
    return Report(len(tensors), classes=classes.pop(), notes=notes)


def add(
    path: Path,
    output: Path,
    model: Model | None,
    channels: int,
    size: tuple[int, ...],
    preparation: Preprocessing | None,
) -> Report:
    """Writes the file's tensors as safetensors under the model's names, and what is known of their images beside them.

    Of logits, and where no model is named, they are kept under the names that they have. TeacherInvalid where a model
    is not filled.
    """
    file = tensor_files.read(path)
    tensors, unwrapped = file.unwrapped()
    report = logits_report(tensors)
    if report is None and model is not None and not _is_elsewhere(model):
        tensors, report = _mapped(file, model, channels, size)
        unwrapped = ()
        if not report.usable:
            raise TeacherInvalid(f"{path.name} does not fill {model.name}: {'; '.join(report.lines())}{_way(report)}")
        preparation = preparation or statements.stated(path, model.name, file.metadata)
    if report is None:
        report = Report(len(tensors), notes=("names and shapes are checked when a job begins",))
        preparation = preparation or statements.stated(path, "", file.metadata)
    labels = dict(file.metadata)
    if preparation is not None:
        labels[preprocessing.METADATA] = json.dumps(to_jsonable(preparation))
    report = dataclasses.replace(
        report,
        unwrapped=(*unwrapped, *report.unwrapped),
        preprocessing=None if preparation is None else preprocessing.words(preparation),
    )
    weights.save(tensors, output, labels)
    return report


def _mapped(file: TensorFile, model: Model, channels: int, size: tuple[int, ...]) -> tuple[dict[str, Tensor], Report]:
    """The tensors under the model's names, for images of so many channels or else of the other number that there is."""
    first, *others = (conversion.mapped(file, model, count, size) for count in dict.fromkeys((channels, 1, 3)))
    return first if first[1].usable else next((second for second in others if second[1].usable), first)


def _is_elsewhere(model: Model) -> bool:
    """Whether workers alone have the model: a plugin's, or a local folder's."""
    return is_plugin(model.name) or local_models.is_local(model.name)


def _way(report: Report) -> str:
    """The way out where a file is of the model by its names."""
    if not report.other_shape:
        return ""
    return ". Say --arguments, --channels and --size as it was trained with"


def add_named(name: str, output: Path) -> Report:
    """Writes weights that have a name on this machine, with what is known of their images. TeacherInvalid."""
    entry = given.find(name)
    preparation = preprocessing.from_document(entry.preprocessing) if entry.preprocessing else None
    size = preparation.size if preparation is not None and preparation.size is not None else (224, 224)
    return add(entry.path, output, Model(entry.model, entry.arguments), 3, size, preparation)


def _limit(memory: int | None, file: int | None, seconds: int | None) -> None:
    """Holds this process to what a file of somebody's may take; what is beyond memory fails, the rest ends it."""
    import resource

    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[5]) if Path("/proc/self/statm").exists() else 0
        most = memory + pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    if file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file, file))
    if seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def main(arguments: Sequence[str] | None = None) -> int:
    """0 written, 1 refused, with the reason on the standard error; the report is JSON on the standard output. `list`
    alone lists the weights that have a name here.
    """
    if (sys.argv[1:] if arguments is None else list(arguments)) == ["list"]:
        print(json.dumps({"weights": [entry.document() for entry in packaged.find()]}))
        return EXIT_OK
    parser = argparse.ArgumentParser(prog="python -m trainers.weight_files", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="", help="JSON: name and arguments")
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(0, 0))
    parser.add_argument("--preprocessing", default="", help="JSON")
    for name in ("memory", "file", "seconds"):
        parser.add_argument(
            f"--most-{name}", type=int, help="a limit: of bytes beyond the program's own, or of computing"
        )
    options = parser.parse_args(arguments)
    _limit(options.most_memory, options.most_file, options.most_seconds)
    try:
        model = None
        if options.model:
            described = json.loads(options.model)
            model = Model(described["name"], described.get("arguments", {}))
        if named.is_name(str(options.file)):
            report = add_named(str(options.file), options.output)
            print(json.dumps({"lines": report.lines(), "classes": report.classes}))
            return EXIT_OK
        side = 32 if model is not None and model.name in catalogue.MODELS else 224
        size = tuple(options.size) if all(options.size) else (side, side)
        preparation = preprocessing.from_document(json.loads(options.preprocessing)) if options.preprocessing else None
        report = add(options.file, options.output, model, options.channels, size, preparation)
    except (TeacherInvalid, ModelUnavailable, ValueError, OSError, MemoryError, RuntimeError) as error:
        print(" ".join(str(error).split()) or "memory does not suffice", file=sys.stderr)
        return EXIT_REFUSED
    print(json.dumps({"lines": report.lines(), "classes": report.classes}))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
