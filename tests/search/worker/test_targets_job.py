"""Jobs on several labels, of a plugin's set and of an npz file, to their answer and the student's files; and what of a
spec does not go with soft or several labels.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from search import units
from search.records import Job, Trial
from search.requests import jobs, results, trials
from search.settings import Settings
from search.spec.fields import DOOR
from search.spec.job import JobSpec
from search.storage.db import Database
from service.pages import jobs_page_one
from service.plots.trial import trial_plot
from service.routes.trials import csv_lines
from tests import distributions
from tests.search import factories
from tests.search.worker.answers import answered
from trainers.data import datasets
from trainers.registry import plugins
from trainers.spec import TestPermit

METRIC = "mean_average_precision"
TINY: dict[str, Any] = {
    "dataset": {"name": "acme/tags"},
    "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 4, "batch_size": 16}, "optimizer": {}},
    "student": {"name": "mlp", "arguments": {"width": 4}},
    "training": {"epochs": 2, "batch_size": 32},
    "space": {"optimizer": {"sgd": {"learning_rate": 0.1}}},
    "objective": {"metric": METRIC},
    "budget": {"trials": 2},
    "baselines": {"share": 0},
    "confirmation": {"finalists": 1, "select_seeds": 1, "estimate_seeds": 2},
}


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[plugins.Plugins]:
    folder = tmp_path / "site"
    folder.mkdir()
    distributions.write(folder, "acme-kd", distributions.TARGETS)
    with distributions.importable(folder) as load:
        yield load("acme-kd")


def files_of_answer(db: Database, tmp_path: Path, **changes: Any) -> Path:
    """The folder with the files of a job that was trained in the loop and answered, its test part opened."""
    settings = Settings(
        var=tmp_path, database_url=db.url, poll_seconds=0.05, threads=1, engine="loop", plugins="acme-kd"
    )
    settings = settings.model_copy(update={"student_programs": False})
    folder = tmp_path / "student"
    answered(db, settings, folder, **(TINY | changes))
    return folder


def test_a_job_on_several_labels_of_a_plugins_set(db: Database, tmp_path: Path, loaded: plugins.Plugins) -> None:
    folder = files_of_answer(db, tmp_path)
    (job,) = jobs.list_jobs(db, factories.ME).items
    result = results.get_result(db, job.id, factories.ME)
    assert (result.metric, result.unit) == (METRIC, "%")
    measured = list(trials.iter_trials(db, job.id, factories.ME))
    for trial in measured:
        assert trial.metrics is not None
        assert trial.value == trial.metrics[METRIC]
        curve = trials.get_trial(db, job.id, trial.number, factories.ME)[1]
        assert [report.metrics is not None and METRIC in report.metrics for report in curve] == [True, True]
    assert result.winner.test is not None
    assert METRIC in result.winner.test
    check_shown(db, job, measured)
    papers = json.loads((folder / "student.json").read_text())
    assert (papers["targets"], papers["class_names"]) == ("several", ["a", "b", "c", "d"])
    card = (folder / "README.md").read_text()
    assert "mean average precision" in card.replace("_", " ")
    assert "tabular-classification" in card
    assert "python student.py PICTURE.png" not in card
    data = JobSpec.model_validate(dict(jobs.get_job(db, job.id, factories.ME).spec)).built_in_parts.dataset.to_trained()
    check_program(folder, datasets.load_test(data, tmp_path, TestPermit(job.id, 1.0)))


def check_program(folder: Path, part: datasets.Part) -> None:
    """The student's own program answers a plugin's features as the job's measurement did."""
    module: dict[str, Any] = {"__name__": "student", "__file__": str(folder / "student.py")}
    exec(compile((folder / "student.py").read_text(), "student.py", "exec"), module)
    student = module["Student"](folder)
    answers = student.logits(part.images) > 0
    right = (answers == part.labels).all(1)
    papers = json.loads((folder / "student.json").read_text())
    assert (papers["inputs"], papers["preprocessing"].keys()) == ("features", {"channels", "size", "mean", "std"})
    with np.load(folder / "test-right.npz") as kept:
        row = kept["trial"].tolist().index(papers["trial"])
        assert right.tolist() == np.unpackbits(kept["right"][row], count=len(right)).astype(bool).tolist()
    shares = dict(student.classify(part.images[0].tolist()))
    assert [shares[name] > 0.5 for name in student.classes] == answers[0].tolist()


def check_shown(db: Database, job: Job, measured: Sequence[Trial]) -> None:
    """The metric is a column of the CSV, a panel of a trial's curve and a row of its page, in per cent; and the teacher
    is judged by it.
    """
    assert METRIC in trials.metric_names(db, job.id, factories.ME)
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(iter(measured), metrics=[METRIC])))))
    for row, trial in zip(rows, measured, strict=True):
        for part, figures in (("validation", trial.metrics), ("test", trial.test_metrics)):
            assert row[f"{part}_{METRIC}"] == ("" if figures is None else str(figures[METRIC]))
    curve = trials.get_trial(db, job.id, 0, factories.ME)[1]
    (panel,) = [p for p in trial_plot(job.spec, measured[0], curve).panels if p.title == "mean average precision"]
    assert (panel.y.scale, panel.y.unit) == (100.0, " %")
    (shown,) = [row for row in jobs_page_one.trial_measures(job, measured[0]) if row[0] == "mean average precision"]
    assert shown[1] == f"{100 * (measured[0].value or 0.0):.1f} %"
    assert ", its mean average precision " in units.teacher_worth(job.teacher)


def test_a_student_of_several_labels_is_reproduced_by_its_program(
    db: Database, tmp_path: Path, loaded: plugins.Plugins
) -> None:
    chance = np.random.default_rng(0)
    tags = chance.integers(0, 2, (200, 3))
    pictures = chance.integers(0, 40, (200, 6, 6), dtype=np.uint8)
    pictures[:, ::2, :] += (tags @ np.array([90, 60, 30]))[:, None, None].astype(np.uint8)
    (tmp_path / "data").mkdir()
    parts = {"images": pictures[:150], "labels": tags[:150], "test_images": pictures[150:], "test_labels": tags[150:]}
    np.savez(tmp_path / "data" / "own.npz", **parts)  # type: ignore[arg-type]
    dataset = {"name": "npz", "path": "own.npz", "targets": "several"}
    folder = files_of_answer(db, tmp_path, dataset=dataset)
    module: dict[str, Any] = {"__name__": "student", "__file__": str(folder / "student.py")}
    exec(compile((folder / "student.py").read_text(), "student.py", "exec"), module)
    student = module["Student"](folder)
    answers = student.logits(torch.from_numpy(pictures[150:, None])) > 0
    right = (answers.numpy() == tags[150:].astype(bool)).all(1)
    papers = json.loads((folder / "student.json").read_text())
    with np.load(folder / "test-right.npz") as kept:
        row = kept["trial"].tolist().index(papers["trial"])
        assert right.tolist() == np.unpackbits(kept["right"][row], count=50).astype(bool).tolist()
    shares = dict(student.classify(Image.fromarray(pictures[150])))
    assert [shares[name] > 0.5 for name in student.classes] == answers[0].tolist()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distillation": {"method": "dkd"}}, "dkd cannot be used with several labels.* Choose kl, mse, ctkd"),
        ({"distillation": {"method": "zscore"}}, "zscore cannot be used with several labels"),
        ({"distillation": {"method": "acme/narrow"}}, "its plugin does not declare them"),
        ({"dataset": {"name": "acme/shares"}}, "mean_average_precision is of data with several labels"),
        ({"dataset": {"name": "digits"}}, "mean_average_precision is of data with several labels"),
        ({"objective": {"metric": METRIC, "direction": "minimize"}}, "direction must be maximize"),
        ({"dataset": {"name": "acme/tags", "targets": "soft"}}, "targets belong to npz"),
    ],
)
def test_what_does_not_go_with_the_labels_is_refused_at_the_door(
    loaded: plugins.Plugins, changes: dict[str, Any], words: str
) -> None:
    document = {"schema_version": 1, "name": "tags"} | TINY | changes
    with plugins.publishing(loaded), pytest.raises(ValidationError, match=words):
        JobSpec.model_validate(document, context=DOOR)


def test_a_plugin_publishes_what_its_labels_are(loaded: plugins.Plugins) -> None:
    document = json.loads(json.dumps(loaded.records["dataset", "acme/tags"].document()))
    assert document["targets"] == ["several"]
    assert plugins.Plugin.from_document(document) == loaded.records["dataset", "acme/tags"]
    del document["targets"]  # of a worker from before there were kinds
    assert plugins.Plugin.from_document(document).declaration.targets == ("classes",)
