"""What a worker does not import at its start: packages that a job needs at its end, if at all."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATER = {"sklearn", "pandas", "matplotlib", "plotly", "onnx", "onnxscript", "onnxruntime", "networkx", "timm"}
LATER |= {"transformers", "datasets", "optuna.importance", "optuna.visualization", "torch._inductor.compile_fx"}


@pytest.mark.slow
def test_a_worker_s_start_leaves_what_a_job_needs_at_its_end() -> None:
    script = f"import sys, search.worker.process; print(sorted({LATER} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
