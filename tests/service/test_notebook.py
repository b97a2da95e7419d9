"""The example notebook, run from its first cell to its last against a real service with a real worker."""

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

NOTEBOOK = Path(__file__).parents[2] / "examples" / "tour.ipynb"
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


def test_the_notebook_shows_what_a_real_run_answered() -> None:
    """Its outputs are kept, without an error among them, and without a place of the machine that it ran on."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
    ]
    assert all(cell.outputs for cell in cells if not cell.source.startswith("from"))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert str(Path.home()) not in NOTEBOOK.read_text()
