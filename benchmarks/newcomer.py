"""What a newcomer waits, types and decides from a clone to an answer.

    python -m benchmarks.newcomer            # as a newcomer: installs everything anew, up to 6 GB
    python -m benchmarks.newcomer --quick    # with the environment that runs this: the installation is not measured

Three ways are walked in a fresh clone: `make demo`, to its answer; the README's first job of one's own, with the
commented spec as it is printed, to its first trained trial; and a training of one's own, the smallest of examples/own,
to its first trial. Nothing is typed that the README does not say. A decision is a field of a
spec that has to be changed, or, of a training of one's own, one that its spec is refused without.
pip's cache is left unused, and its own configuration says where packages come from.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.common import facts, output
from search.errors import SpecInvalid
from search.spec.parsing import parse_spec

ROOT = Path(__file__).parents[1]
DEMO = ("git clone {url} thermowell", "cd thermowell", "make demo")
OWN = (
    ". .venv/bin/activate",
    "thermowell up &",
    "thermowell spec > job.yaml",
    "thermowell submit job.yaml --watch",
)
SCRIPT = "examples/own/tables"
TRAINING = (
    ". .venv/bin/activate",
    "thermowell up &",
    f"thermowell submit {SCRIPT}/job.yaml",
    f"THERMOWELL_URL=http://127.0.0.1:8000 python {SCRIPT}/train.py",
)
MARKS = {  # what `make demo` prints when a step is over
    "installed": re.compile(r"^Starting a service"),
    "first job submitted": re.compile(r"^Submitted "),
    "first trial trained": re.compile(r", search [1-9]"),
    "answer": re.compile(r"^From the first command to this answer"),
}
PATIENCE = 3600.0  # seconds


@dataclass(slots=True)
class Walk:
    """Where the newcomer is, and when they got there."""

    begun: float = field(default_factory=time.monotonic)
    reached: dict[str, float] = field(default_factory=dict)

    def reach(self, what: str) -> None:
        """Notes seconds since the beginning."""
        self.reached[what] = round(time.monotonic() - self.begun, 1)
        print(f"{self.reached[what]:8.1f} s  {what}", flush=True)


def demo(folder: Path, quick: bool) -> Walk:
    """Clones into `folder` and runs the demo there."""
    walk = Walk()
    subprocess.run(["git", "clone", "--quiet", ROOT.as_uri(), folder], check=True)
    walk.reach("cloned")
    command = [*thermowell(folder, quick), "demo"] if quick else ["make", "demo", f"PYTHON={sys.executable}"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder, quick), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            for mark, pattern in MARKS.items():
                if mark not in walk.reached and pattern.search(line):
                    walk.reach(mark)
        if running.wait() != 0 or "answer" not in walk.reached:
            raise SystemExit("".join(said[-40:]) + f"\n`{' '.join(command)}` has ended with {running.returncode}")
    return walk


def own_job(folder: Path, quick: bool) -> Walk:
    """The first job of one's own, in the environment that the demo has left, to its first trained trial."""
    with Place(folder, quick).up() as place:
        (folder / "job.yaml").write_text(place.run("spec"))
        place.walk.reach("spec written")
        place.until_trained(place.submit("job.yaml"))
    return place.walk


def own_training(folder: Path, quick: bool) -> Walk:
    """A script of one's own that trains a job's trials, to the first of them; no worker has a part in it."""
    with Place(folder, quick).up() as place:
        job = place.submit(f"{SCRIPT}/job.yaml")
        python = sys.executable if quick else folder / ".venv" / "bin" / "python"
        with background([str(python), f"{SCRIPT}/train.py"], folder, place.settings):
            place.until_trained(job)
    return place.walk


@dataclass(slots=True)
class Place:
    """A clone in whose environment commands are run, against a service at a port of its own."""

    folder: Path
    quick: bool
    walk: Walk = field(default_factory=Walk)
    settings: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        addresses = {"THERMOWELL_PORT": str(port), "THERMOWELL_URL": f"http://127.0.0.1:{port}"}
        self.settings = environment(self.folder, self.quick) | addresses

    @contextmanager
    def up(self) -> Iterator[Place]:
        """`thermowell up`, which is ended afterwards."""
        with background([*thermowell(self.folder, self.quick), "up"], self.folder, self.settings):
            yield self

    def run(self, *arguments: str) -> str:
        """What a command prints."""
        command = [*thermowell(self.folder, self.quick), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.settings, check=True, capture_output=True, text=True
        ).stdout

    def submit(self, spec: str) -> str:
        """The job's id, once the service answers: a newcomer would try again, too."""
        deadline = time.monotonic() + 60
        while True:
            try:
                job = self.run("submit", spec).strip()
                self.walk.reach("job submitted")
                return job
            except subprocess.CalledProcessError as error:
                if time.monotonic() > deadline:
                    raise SystemExit(error.stderr) from error
                time.sleep(0.2)

    def until_trained(self, job: str) -> None:
        """Waits for the job's first trial, and cancels it."""
        with subprocess.Popen(
            [*thermowell(self.folder, self.quick), "watch", job, "--json"],
            cwd=self.folder, env=self.settings, stdout=subprocess.PIPE, text=True,
        ) as watching:  # fmt: skip
            assert watching.stdout is not None
            for line in watching.stdout:
                if json.loads(line)["kind"] == "trial_finished":
                    self.walk.reach("first trial trained")
                    break
            self.run("cancel", job)
            watching.stdout.read()


@contextmanager
def background(command: list[str], folder: Path, settings: dict[str, str]) -> Iterator[None]:
    """A program that is ended afterwards."""
    with subprocess.Popen(
        command, cwd=folder, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            yield
        finally:
            running.terminate()


def thermowell(folder: Path, quick: bool) -> list[str]:
    """The command line of the clone."""
    return [sys.executable, "-m", "service.cli"] if quick else [str(folder / ".venv" / "bin" / "thermowell")]


def environment(folder: Path, quick: bool) -> dict[str, str]:
    """A newcomer's: nothing of ours is set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("THERMOWELL_", "VIRTUAL_ENV"))}
    return kept | {"PIP_NO_CACHE_DIR": "1", "COLUMNS": "80"} | ({"PYTHONPATH": str(folder)} if quick else {})


def decisions(spec: Path) -> int:
    """Fields of the printed spec that must be changed before it can be sent: none where it is accepted as it is."""
    checked = subprocess.run(
        [sys.executable, "-m", "service.cli", "spec", "check", spec, "--json"], capture_output=True, text=True, cwd=ROOT
    )
    return len(json.loads(checked.stdout).get("errors", []))


def needed(spec: Path) -> list[str]:
    """Fields at the top of a spec without which it is refused: who writes one has to decide about them."""
    document = yaml.safe_load(spec.read_text())
    fields = []
    for name in document:
        try:
            parse_spec(json.dumps({other: value for other, value in document.items() if other != name}), "json")
        except SpecInvalid:
            fields.append(name)
    return fields


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without installing; nothing is kept")
    quick = parser.parse_args().quick
    about = facts.gather()
    print(facts.in_words(about), end="\n\n")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "thermowell")
        first = demo(folder, quick)
        print()
        second = own_job(folder, quick)
        print()
        third = own_training(folder, quick)
        size = 0.0 if quick else sum(f.lstat().st_size for f in (folder / ".venv").rglob("*") if f.is_file()) / 1e9
        to_change, fields = decisions(folder / "job.yaml"), needed(folder / SCRIPT / "job.yaml")
        shutil.rmtree(folder, ignore_errors=True)
    trained = "first trial trained"
    rows = [
        ["clone to answer", f"{first.reached['answer']:.0f} s", str(len(DEMO)), "0"],
        ["own job, to its first trained trial", f"{second.reached[trained]:.0f} s", str(len(OWN)), str(to_change)],
        ["own training, to its first trial", f"{third.reached[trained]:.0f} s", str(len(TRAINING)), str(len(fields))],
    ]
    output.table(
        "A newcomer's path" + (" (nothing installed)" if quick else ""), ["", "time", "commands", "decisions"], rows
    )
    if size:
        installing = first.reached["installed"] - first.reached["cloned"]
        print(f"\nof which installing {size:.1f} GB took {installing:.0f} s")
    headline = {
        "benchmark": "newcomer",
        "quick": quick,
        "answer_s": first.reached["answer"],
        "commands": len(DEMO),
        "decisions": 0,
        "own_first_trial_s": second.reached[trained],
        "own_commands": len(OWN),
        "own_decisions": to_change,
        "training_first_trial_s": third.reached[trained],
        "training_commands": len(TRAINING),
        "training_decisions": len(fields),
    }
    details = {
        "demo": first.reached,
        "own": second.reached,
        "training": third.reached,
        "training_fields": fields,
        "commands": [*DEMO, *OWN, *TRAINING[1:]],
        "installed_gb": size,
    }
    output.conclude(None if quick else f"newcomer-{os.cpu_count()}-cores", headline | about, details)


if __name__ == "__main__":
    main()
