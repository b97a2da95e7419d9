"""The example notebooks, one for each way of use, run from first cell to last against a real service and worker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import nbformat
import optuna
import pytest
import yaml
from nbclient import NotebookClient

from tests.processes import Processes
from tests.service import server_fixtures
from thermowell.sync.client import Client

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "tour.ipynb"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SMALL: dict[str, Any] = {
    "dataset": {"name": "digits", "train_size": 100},
    "student": {"name": "mlp", "arguments": {"width": 4}},
    "budget": {"trials": 12},
}


@pytest.fixture
def url(processes: Processes, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """A service and a worker of their own, as the notebook says to start them; everybody finds them by environment."""
    address = f"http://127.0.0.1:{free_port}"
    monkeypatch.setenv("THERMOWELL_VAR", str(tmp_path))
    monkeypatch.setenv("THERMOWELL_PORT", str(free_port))
    monkeypatch.setenv("THERMOWELL_URL", address)
    assert processes.thermowell("migrate").wait() == 0
    serving = processes.thermowell("serve")
    processes.thermowell("worker", "--threads", "1")
    until = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{address}/readyz").raise_for_status()
            break
        except httpx.HTTPError:
            assert serving.process.poll() is None, serving.output()
            assert time.monotonic() < until, serving.output()
    return address


@pytest.mark.slow
def test_the_notebook_runs(url: str, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'thermowell.db'}"
    (tmp_path / "small.yaml").write_text(
        yaml.safe_dump(server_fixtures.document("small", training={"epochs": 2}, **SMALL))
    )
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = f"spec = {str(tmp_path / 'small.yaml')!r}\nstorage = {storage!r}"
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in shown if "data" in output for kind in output["data"]}
    assert {"text/html", "image/svg+xml"} <= kinds, "a table and a picture"
    with Client(url, timeout=120) as client:  # the machine that tests may be busy
        [job] = client.jobs(name="small")
        assert job.state == "completed"
        study = optuna.load_study(study_name=job.study_name, storage=storage)
        assert len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) == job.progress.search_done == 12
        assert study.best_value == job.progress.best_value
        best = client.trial(job, job.progress.best_trial or 0)
        assert best.configuration is not None
        assert study.best_params["temperature"] == best.configuration.temperature


@pytest.mark.slow
def test_own_training_and_a_study_run_beside_each_other(url: str) -> None:
    """One service for both: the first trains here, the second by the worker."""
    small = {"own-training": "rows_kept, trials = 200, 4", "study": "trials, widths = 4, [4, 8]"}
    states = {}
    for name, source in small.items():
        notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
        [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        parameters.source = source
        NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
        bars = [str(output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        states[name] = any("<progress max=" in bar for bar in bars)
    assert states == {"own-training": True, "study": True}, "each has waited with a bar"
    with Client(url, timeout=120) as client:
        assert [job.state for job in client.jobs()] == ["completed"] * 3
        assert [study.state for study in client.studies()] == ["completed"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_a_real_run_answered(path: Path) -> None:
    """Its outputs are kept, without an error among them, and without a place of the machine that it ran on."""
    notebook = nbformat.read(path, as_version=4)
    cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
    ]
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert str(Path.home()) not in path.read_text()
