"""Rows of finished runs, read from where other tools keep them: CSV files, Optuna, MLflow, Weights & Biases.

Each is read on this side, with the tool's own package where it needs one; the service never sees the source. A row is
its number and its values by name. Its objective, where the tool knows of one alone, is called `value`.
"""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["csv", "optuna", "wandb", "mlflow"]
Values = dict[str, Any]


class SourceUnreadable(Exception):
    """The source cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """The rows of a source, and how many runs were left out since they have no result."""

    rows: list[tuple[int, Values]]
    unfinished: int = 0

    def renamed(self, names: Mapping[str, str]) -> Source:
        """With columns under other names. SourceUnreadable where one is not there."""
        columns = {name for _, values in self.rows for name in values}
        for name in names:
            if name not in columns:
                listing = ", ".join(sorted(columns)) or "none"
                raise SourceUnreadable(f"--map {name}={names[name]}: the source has no column {name}; it has {listing}")
        return Source(
            [
                (number, {names.get(name, name): value for name, value in values.items()})
                for number, values in self.rows
            ],
            self.unfinished,
        )


def read(kind: Kind, place: str, name: str | None = None, *, finished: bool) -> Source:
    """The rows of a source: a file, a storage's address, a folder or a project; `name` is the study or experiment.

    With `finished` only runs that have ended with a result. SourceUnreadable.
    """
    if kind == "csv":
        return Source(list(enumerate(_csv(Path(place)), 2)))
    reader = {"optuna": _optuna, "mlflow": _mlflow, "wandb": _wandb}[kind]
    runs = list(reader(place, name))
    rows = [(number, values) for number, (complete, values) in enumerate(runs) if complete or not finished]
    return Source(rows, len(runs) - len(rows))


def _csv(path: Path) -> Iterator[Values]:
    """Lines by the header's names; the first one below it is row 2, as an editor counts."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnreadable(f"cannot read {path}: {error}") from None
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    reader = csv.DictReader(text.splitlines(), dialect=dialect)
    if not reader.fieldnames or len(set(reader.fieldnames)) < len(reader.fieldnames):
        raise SourceUnreadable(f"{path} needs a first line with a name for each column, each once")
    for line in reader:
        if None in line:
            raise SourceUnreadable(
                f"line {reader.line_num} of {path} has more fields than its first line has names: name each column, "
                "and put quotes around what holds the separator"
            )
        yield {name: read_cell(cell) for name, cell in line.items() if cell not in (None, "")}


def read_cell(text: str) -> bool | int | float | str:
    """A text of a file as what it says: a number, true or false, else a word."""
    stripped = text.strip()
    if stripped.lower() in ("true", "false"):
        return stripped.lower() == "true"
    for number in (int, float):
        try:
            return number(stripped)
        except ValueError:
            continue
    return stripped


def _optuna(place: str, name: str | None) -> Iterator[tuple[bool, Values]]:
    """A study of a storage: its trials' parameters, and `value`."""
    optuna = _package("optuna", "optuna")
    if name is None:
        raise SourceUnreadable("name the study: --name STUDY")
    try:
        study = optuna.load_study(study_name=name, storage=place)
        trials = study.get_trials(deepcopy=False)
    except KeyError:
        names = ", ".join(optuna.get_all_study_names(place)) or "none"
        raise SourceUnreadable(f"there is no study {name} in {place}; it has {names}") from None
    except Exception as error:  # whatever the storage's driver raises
        raise SourceUnreadable(f"cannot read {place}: {type(error).__name__}: {error}") from None
    for trial in trials:
        complete = trial.state == optuna.trial.TrialState.COMPLETE and len(trial.values) == 1
        value = {"value": trial.values[0]} if complete else {}
        yield complete, {**trial.params, **value}


def _mlflow(place: str, name: str | None) -> Iterator[tuple[bool, Values]]:
    """An experiment's runs: parameters, which are texts there, and their last metrics."""
    mlflow = _package("mlflow", "mlflow-skinny")
    try:
        client = mlflow.MlflowClient(tracking_uri=place)
        experiments = client.search_experiments()
        selected = [item for item in experiments if name in (None, item.name, item.experiment_id)]
        if name is not None and not selected:
            names = ", ".join(item.name for item in experiments) or "none"
            raise SourceUnreadable(f"there is no experiment {name} in {place}; it has {names}")
        runs: list[Any] = []
        token = None
        while selected:
            page = client.search_runs(
                [item.experiment_id for item in selected], order_by=["attributes.start_time ASC"], page_token=token
            )
            runs, token = [*runs, *page], page.token
            if not token:
                break
    except SourceUnreadable:
        raise
    except Exception as error:  # whatever the store raises
        raise SourceUnreadable(f"cannot read {place}: {type(error).__name__}: {error}") from None
    for run in runs:
        parameters = {key: read_cell(text) for key, text in run.data.params.items()}
        yield run.info.status == "FINISHED" and bool(run.data.metrics), {**run.data.metrics, **parameters}


def _wandb(place: str, name: str | None) -> Iterator[tuple[bool, Values]]:
    """An export (CSV, or JSON lines with `config` and `summary`), a folder of runs, or a project (entity/project)."""
    path = Path(place)
    if path.is_file() and path.suffix == ".csv":
        for values in _csv(path):
            yield values.get("State", "finished") == "finished", values
    elif path.is_file():
        for document in _json_lines(path):
            yield document.get("state", "finished") == "finished", _run(document)
    elif path.is_dir():
        yield from _wandb_folder(path)
    else:
        wandb = _package("wandb", "wandb")
        try:
            runs = list(wandb.Api().runs(place, order="+created_at"))
        except Exception as error:  # whatever the network raises
            raise SourceUnreadable(f"cannot read {place}: {type(error).__name__}: {error}") from None
        for run in runs:
            summary = getattr(run.summary, "_json_dict", None) or dict(run.summary)
            yield run.state == "finished", _run({"config": run.config, "summary": summary})


def _json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        documents = (
            json.loads(text) if text.lstrip().startswith("[") else map(json.loads, filter(None, text.split("\n")))
        )
        for document in documents:
            if not isinstance(document, dict) or "config" not in document:
                raise SourceUnreadable(f"{path} must have a run a line, each with its config and its summary")
            yield document
    except (OSError, ValueError) as error:
        raise SourceUnreadable(f"cannot read {path}: {error}") from None


def _wandb_folder(path: Path) -> Iterator[tuple[bool, Values]]:
    """What `wandb` leaves in its folder: run-*/files with config.yaml and wandb-summary.json."""
    folders = sorted({file.parent for file in path.rglob("config.yaml")}, key=lambda folder: folder.parent.name)
    if not folders:
        raise SourceUnreadable(
            f"{path} has no run, since no config.yaml lies below it: give the folder that wandb has written"
        )
    yaml = _package("yaml", "pyyaml")
    for folder in folders:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) or {}
        plain = {key: part.get("value", part) if isinstance(part, dict) else part for key, part in config.items()}
        summary = folder / "wandb-summary.json"
        finished = summary.is_file()
        yield finished, _run({"config": plain, "summary": json.loads(summary.read_text("utf-8")) if finished else {}})


def _run(document: Mapping[str, Any]) -> Values:
    """A run's settings and results by name; names of what nests are joined by dots, what is private is left out."""
    config, summary = document.get("config") or {}, document.get("summary") or {}
    return {**_flat(summary), **_flat(config)}


def _flat(document: Mapping[str, Any], before: Sequence[str] = ()) -> Values:
    values: Values = {}
    for key, value in document.items():
        if str(key).startswith("_"):
            continue
        if isinstance(value, Mapping):
            values |= _flat(value, [*before, str(key)])
        elif value is None or isinstance(value, bool | int | float | str):
            values[".".join([*before, str(key)])] = value
    return values


def _package(module: str, distribution: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise SourceUnreadable(f"this needs the package {distribution}: pip install {distribution}") from None
