"""What a newcomer waits, types and decides from a clone to an answer.

    python -m benchmarks.newcomer            # as a newcomer: installs everything anew, up to 6 GB
    python -m benchmarks.newcomer --quick    # with the environment that runs this: the installation is not measured

Two ways are walked in a fresh clone: `make demo`, to its answer; then the README's first job of one's own, with the
commented spec as it is printed, to its first trained trial. Nothing is typed that the README does not say. pip's cache
is left unused, and its own configuration says where packages come from.
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
from typing import Any

from benchmarks.common import facts, output

ROOT = Path(__file__).parents[1]
DEMO = ("git clone {url} thermowell", "cd thermowell", "make demo")
OWN = (
    ". .venv/bin/activate",
    "thermowell migrate && thermowell serve &",
    "thermowell worker &",
    "thermowell spec > job.yaml",
    "thermowell submit job.yaml --watch",
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
    walk, command = Walk(), thermowell(folder, quick)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    settings = environment(folder, quick) | {"THERMOWELL_PORT": str(port), "THERMOWELL_URL": f"http://127.0.0.1:{port}"}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [*command, *arguments], cwd=folder, env=settings, check=True, capture_output=True, text=True
        ).stdout

    run("migrate")
    with (
        background([*command, "serve"], folder, settings),
        background([*command, "worker", "--threads", "1"], folder, settings),
    ):
        (folder / "job.yaml").write_text(run("spec"))
        walk.reach("spec written")
        job = submitted(run)
        walk.reach("job submitted")
        watching = subprocess.Popen(
            [*command, "watch", job, "--json"], cwd=folder, env=settings, stdout=subprocess.PIPE, text=True
        )
        assert watching.stdout is not None
        for line in watching.stdout:
            if json.loads(line)["kind"] == "trial_finished":
                walk.reach("first trial trained")
                break
        run("cancel", job)
        watching.stdout.close()
        watching.wait()
    return walk


def submitted(run: Any) -> str:
    """The job's id, once the service answers: a newcomer would try again, too."""
    until = time.monotonic() + 60
    while True:
        try:
            return str(run("submit", "job.yaml").strip())
        except subprocess.CalledProcessError as error:
            if time.monotonic() > until:
                raise SystemExit(error.stderr) from error
            time.sleep(0.2)


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
        size = 0.0 if quick else sum(f.lstat().st_size for f in (folder / ".venv").rglob("*") if f.is_file()) / 1e9
        to_decide = decisions(folder / "job.yaml")
        shutil.rmtree(folder, ignore_errors=True)
    rows = [
        ["clone to answer", f"{first.reached['answer']:.0f} s", str(len(DEMO)), "0"],
        [
            "own job, to its first trained trial",
            f"{second.reached['first trial trained']:.0f} s",
            str(len(OWN)),
            str(to_decide),
        ],
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
        "own_first_trial_s": second.reached["first trial trained"],
        "own_commands": len(OWN),
        "own_decisions": to_decide,
    }
    details = {
        "about": about,
        "demo": first.reached,
        "own": second.reached,
        "commands": [*DEMO, *OWN],
        "installed_gb": size,
    }
    output.conclude(None if quick else "newcomer", headline, details)


if __name__ == "__main__":
    main()
