"""Clients that generators make of the API's description, each before a real service and worker: a job is submitted and
asked for until it has ended, its answer is read, and a spec is refused in the types that were generated.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.browser.site import Site, running

pytestmark = pytest.mark.slow
PACKAGES = ("openapi-typescript@7", "openapi-fetch@0", "typescript@5", "@types/node@20")
PYTHON = """
import os, time
from generated import AuthenticatedClient
from generated.api.answer import get_result
from generated.api.jobs import get_job, submit_job
from generated.models import BudgetSpec, DatasetSpec, JobDetailOut, JobSpec, Problem, Result

client = AuthenticatedClient(base_url=os.environ["SERVICE_URL"], token=os.environ["SERVICE_KEY"])
document = {
    "name": "generated", "dataset": {"name": "digits", "train_size": 100}, "training": {"epochs": 1},
    "teacher": {"model": {"name": "mlp", "arguments": {"width": 8}}, "training": {"epochs": 1}, "optimizer": {}},
    "student": {"name": "mlp", "arguments": {"width": 4}}, "budget": {"trials": 2}, "confirmation": "none",
}
refused = submit_job.sync(client=client, body=JobSpec.from_dict(document | {"dataset": {"name": "digitz"}}))
assert isinstance(refused, Problem), refused
assert refused.type_.endswith("/spec-invalid"), refused
job = submit_job.sync(client=client, body=JobSpec.from_dict(document))
assert isinstance(job, JobDetailOut), job
while job.state not in ("completed", "failed", "cancelled"):
    time.sleep(0.2)
    job = get_job.sync(job.id, client=client)
early = get_result.sync("none", client=client)
assert isinstance(early, Problem), early
result = get_result.sync(job.id, client=client)
assert isinstance(result, Result), result
print(job.state, result.winner.configuration["temperature"], refused.title)
"""
TYPESCRIPT = """
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const headers = { Authorization: `Bearer ${process.env.SERVICE_KEY}` };
const client = createClient<paths>({ baseUrl: process.env.SERVICE_URL, headers });
const spec: components["schemas"]["JobSpec"] = {
  name: "generated", dataset: { name: "digits", train_size: 100 }, training: { epochs: 1 },
  teacher: { model: { name: "mlp", arguments: { width: 8 } }, training: { epochs: 1 }, optimizer: {} },
  student: { name: "mlp", arguments: { width: 4 } }, budget: { trials: 2 }, confirmation: "none",
};
const refused = await client.POST("/v1/jobs", { body: { ...spec, dataset: { name: "digitz" } } });
if (!refused.error?.type.endsWith("/spec-invalid")) throw new Error(JSON.stringify(refused));
const submitted = await client.POST("/v1/jobs", { body: spec });
if (!submitted.data) throw new Error(JSON.stringify(submitted.error));
const params = { path: { job_id: submitted.data.id } };
let state: string = submitted.data.state;
while (!["completed", "failed", "cancelled"].includes(state)) {
  await new Promise((done) => setTimeout(done, 200));
  state = (await client.GET("/v1/jobs/{job_id}", { params })).data!.state;
}
const { data: result, error } = await client.GET("/v1/jobs/{job_id}/result", { params });
if (!result) throw new Error(JSON.stringify(error));
console.log(state, result.winner.configuration.temperature, refused.error.title);
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server and a worker."""
    with running(tmp_path_factory.mktemp("generated")) as one:
        yield one


@pytest.fixture
def description(site: Site, tmp_path: Path) -> Path:
    """The API's description, as the service sends it."""
    path = tmp_path / "openapi.json"
    path.write_bytes(httpx.get(f"{site.url}/openapi.json").content)
    return path


def run(*command: str | Path, cwd: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def env(site: Site) -> dict[str, str]:
    """What a generated client is told."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "SERVICE_URL": site.url, "SERVICE_KEY": site.keys["admin"]}


def check(words: str) -> None:
    state, temperature, *title = words.split()
    assert state == "completed"
    assert 1 <= float(temperature) <= 40
    assert title


def test_openapi_python_client(description: Path, tmp_path: Path, env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", description]
    printed = run(*command, "--meta", "none", "--output-path", tmp_path / "generated", cwd=tmp_path, env=env)
    assert not [line for line in printed.splitlines() if "will be ignored" in line], "an operation was dropped"
    check(run(sys.executable, "-c", PYTHON, cwd=tmp_path, env=env))


def test_openapi_typescript(description: Path, tmp_path: Path, env: dict[str, str]) -> None:
    npm = shutil.which("npm")
    assert npm is not None, "no npm here. On Debian: apt-get install npm"
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    run(npm, "install", "--silent", "--no-audit", "--no-fund", *PACKAGES, cwd=tmp_path, env=env)
    tools = tmp_path / "node_modules" / ".bin"
    command = [tools / "openapi-typescript", description, "-o", "api.d.ts", "--default-non-nullable", "false"]
    run(*command, cwd=tmp_path, env=env)  # else what has a default must be given
    (tmp_path / "use.ts").write_text(TYPESCRIPT)
    options = ["--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck"]
    run(tools / "tsc", *options, "use.ts", cwd=tmp_path, env=env)
    check(run("node", "use.js", cwd=tmp_path, env=env))
