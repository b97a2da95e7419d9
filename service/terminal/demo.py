"""The main job, start to end, on one machine: a service, a worker, a spec over HTTP, and the answer from the API."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from search import units
from service.terminal.answers import print_answer
from service.terminal.console import Exit, fail, stderr, stdout
from service.terminal.programs import Programs, alone
from service.terminal.watching import watch
from thermowell.api.jobs import JobDetail
from thermowell.sync.client import Client


def run(spec_file: Path, directory: Path, keep: bool) -> Exit:
    """Runs the demo; answers the exit code."""
    if not spec_file.is_file():
        fail(f"there is no {spec_file}: name a spec with --spec", Exit.USAGE)
    out, start = stdout(), time.monotonic()
    return alone(
        directory,
        "the demo",
        out,
        lambda programs, client: _main_job(programs, client, spec_file, directory, keep, start, out),
    )


def run_own(spec_file: Path, script: list[str], directory: Path, slots: int, keep: bool) -> Exit:
    """Runs a job whose trials an agent trains by a script; answers the exit code."""
    if not spec_file.is_file():
        fail(f"there is no {spec_file}: name a folder that has one with --example", Exit.USAGE)
    out, start = stdout(), time.monotonic()

    def work(programs: Programs, client: Client) -> Exit:
        def begin(job_id: str) -> None:
            options = ["--url", client.url, "--slots", str(slots), "--folder", str(directory.absolute() / "agent")]
            programs.start("agent", job_id, *options, "--", *script)
            programs.ends.add("agent")
            out.print(f"An agent trains it, {slots} trials at once: {' '.join(script)}\n", markup=False, soft_wrap=True)

        return _main_job(programs, client, spec_file, directory, keep, start, out, begin)

    return alone(directory, "the demo", out, work, "agent")


def _main_job(
    programs: Programs,
    client: Client,
    spec_file: Path,
    directory: Path,
    keep: bool,
    start: float,
    out: Console,
    begin: Callable[[str], None] | None = None,
) -> Exit:
    job = client.submit(spec_file)
    out.print(f"Submitted {spec_file} over HTTP: job {job.id}\n", markup=False)
    if begin is not None:
        begin(job.id)
    final = watch(client, job.id, out, programs.check)
    if final.state != "completed":
        programs.show_tails(stderr())
        return Exit.FAILED
    out.print()
    print_answer(out, final, client.result(job), client.response(job))
    page = directory / "report.html"
    page.write_text(client.report(job))
    out.print(f"\nFrom the first command to this answer: {units.duration(time.monotonic() - start)}.")
    _addresses(out, client.url, final, page, keep)
    if keep:
        _stay(programs, out)
    return Exit.OK


def _addresses(out: Console, url: str, job: JobDetail, page: Path, keep: bool) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_row("API documentation", f"{url}/docs")
    table.add_row("dashboard", f"{url}/dashboard")
    table.add_row("report", f"{url}/v1/jobs/{job.id}/report")
    out.print()
    out.print(table)
    if not keep:
        out.print(f"The service ends now; --keep keeps it up. The report stays: {page}", style="dim", markup=False)


def _stay(programs: Programs, out: Console) -> None:
    out.print(Text("\nThe service stays up; Ctrl-C ends it.", style="bold"))
    try:
        while True:
            programs.check()
            time.sleep(1.0)
    except KeyboardInterrupt:
        out.print("\nEnding the service and the worker.")
