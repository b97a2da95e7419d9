"""Named parameters in what leaves the service: CSV, and the sentences of an export."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from search import configurations
from search.spec.job import JobSpec
from service.exports import mdistiller
from service.exports.winner import Winner, differences
from service.routes.trials import csv_lines
from tests import synthetic
from trainers.spec import Configuration, Optimizer

CONFIGURATION = Configuration(
    temperature=4.0,
    kd_weight=0.9,
    label_weight=0.1,
    optimizer=Optimizer("sgd", 0.05),
    parameters={"alpha": 0.25, "label_smoothing": 0.1, "warmup_share": 0.2},
)


def test_a_csv_has_a_column_for_each_parameter() -> None:
    trial = replace(synthetic.few()[0], configuration=configurations.to_json(CONFIGURATION))
    own = replace(trial, configuration=configurations.to_json(replace(CONFIGURATION, optimizer=None, parameters={})))
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(iter([trial, own]), 0.9, ["alpha", "label_smoothing"])))))
    assert [row["parameter_alpha"] for row in rows] == ["0.25", ""]
    assert [row["optimizer"] for row in rows] == ["sgd", ""]
    assert rows[0]["parameter_label_smoothing"] == "0.1"


def test_an_export_says_what_its_project_cannot() -> None:
    document = {
        "name": "kept",
        "dataset": {"name": "CIFAR100"},
        "teacher": {"model": {"name": "resnet"}, "training": {"epochs": 8}, "optimizer": {}},
        "student": {"name": "wrn"},
        "distillation": {"method": "dkd"},
        "training": {"schedule": {"warmup_epochs": 3}},
    }
    winner = Winner(JobSpec.model_validate(document), CONFIGURATION, "j", "a summary", 100)
    said = " ".join(differences(winner))
    assert "alpha 0.25, beta 8" in said
    assert "smoothed by 0.1" in said
    assert "first 0.2 of all steps" in said
    assert "first 3 epochs" not in said
    assert "smoothed by 0.1" in mdistiller.export(winner).replace("\n#", "").replace("  ", " ")
