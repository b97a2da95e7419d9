"""Commands that speak to a running service: submit, follow, steer and read jobs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from rich.console import JustifyMethod
from rich.table import Table

from search import units
from service.terminal.console import (
    AsJson,
    Exit,
    JobArgument,
    Key,
    Url,
    connected,
    fail,
    full_id,
    print_json,
    say_preflight,
    say_problem,
    stderr,
    stdout,
)
from thermowell.api.jobs import Job, JobDetail
from thermowell.drawing import Format
from thermowell.plain import json_text, plain
from thermowell.sync.client import DEFAULT_URL, Client

Spec = TypeVar("Spec")


def submit(
    file: Annotated[Path, typer.Argument(help="A spec, YAML or JSON; - reads the standard input.", allow_dash=True)],
    watch: Annotated[bool, typer.Option("--watch", help="Follow the job to its end and print its answer.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Makes sending the same file twice safe; random unless given.")
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job. Prints its id.

    With --watch --json it prints a line per event, and the answer as the last line.
    """
    text, media_type = read_spec(file)
    with connected(url, key, as_json) as client:
        job = client.submit(text, media_type=media_type, idempotency_key=idempotency_key or uuid.uuid4().hex)
        if not watch:
            if as_json:
                print_json(client.http.get(f"/jobs/{job.id}"))
            else:
                print(job.id)
                if job.progress.plan:
                    stderr().print(f"It will train {job.progress.plan}.", markup=False)
                say_preflight(job.preflight)
                stderr().print(f"Follow it with: thermowell watch {job.id}")
            return
        stderr().print(f"Submitted {job.name} as {job.id}", markup=False)
        if not as_json:
            say_preflight(job.preflight)
        final = _follow(client, job.id, as_json)
        if final.state == "completed":
            if as_json:
                print(json_text(client.http.get(f"/jobs/{final.id}/result")))
            else:
                _print_result(client, final)
        raise typer.Exit(_code(final))


def watch(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Follow a job until it ends. Ctrl-C ends the watching, not the job.

    Ends with 0 where the job was completed, with 1 where it failed or was cancelled, and with 130 after Ctrl-C.
    --json prints each event.
    """
    with connected(url, key, as_json) as client:
        final = _follow(client, full_id(client, job), as_json)
        if final.state == "completed":
            stderr().print(f"Read the answer with: thermowell result {final.id}")
        raise typer.Exit(_code(final))


def result(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Print a job's answer. Ends with 5 while there is none yet, with 1 where the job ended without one."""
    with connected(url, key, as_json) as client:
        current = client.job(full_id(client, job))
        if current.state in ("failed", "cancelled") and not as_json:
            why = f": {current.problem.detail}" if current.problem else ""
            fail(f"{current.name} is {current.state} and has no answer{why}", Exit.FAILED)
        if as_json:
            print_json(client.http.get(f"/jobs/{current.id}/result"))
        else:
            _print_result(client, current)


def export(
    job: JobArgument,
    into: Annotated[Format, typer.Option("--format", help="Whose configuration file.")],
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print the winner as a configuration file (YAML) of another project, with what it cannot say in comments."""
    with connected(url, key) as client:
        print(plain(client.export(full_id(client, job), into)), end="")


def student(
    job: JobArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder, made if need be.")] = Path("student"),
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Bring the winning student: weights, papers, its own program, what other programs run, and a model card."""
    with connected(url, key) as client:
        try:
            folder = client.student(full_id(client, job), output)
        except OSError as error:
            fail(f"cannot write into {output}: {error.strerror}", Exit.USAGE)
        names = sorted(path.name for path in folder.iterdir())
    if "student.safetensors" not in names:
        fail(
            "the job has no student: it has not ended (`thermowell watch JOB`), or its winner failed on every seed",
            Exit.FAILED,
        )
    stderr().print(f"{folder}: {', '.join(names)}", markup=False)
    if "student.py" in names:
        stderr().print(f"Try: python {folder / 'student.py'} PICTURE", markup=False)


def list_jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    label: Annotated[str | None, typer.Option(help="Only jobs with this label, as key=value.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with connected(url, key, as_json) as client:
        if as_json:
            print_json(client.http.get("/jobs", state=state, label=label, limit=limit))
            return
        jobs = list(islice(client.jobs(state=state, label=label), limit))
    if jobs:
        stdout().print(_jobs_table(jobs))
        for note in filter(None, map(note_of, jobs)):
            stdout().print(note, markup=False, soft_wrap=True)
    else:
        stderr().print("There are no jobs yet: submit one with `thermowell submit FILE`.")


def cancel(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """End a job now: running trials are dropped and nothing is answered."""
    _steer(job, "cancel", url, key, as_json)


def stop(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """End the search, let running trials end, and answer with what there is."""
    _steer(job, "stop", url, key, as_json)


def pause(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Hand out no new trials until the job is resumed."""
    _steer(job, "pause", url, key, as_json)


def resume(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Let a paused job go on."""
    _steer(job, "resume", url, key, as_json)


def extend(
    job: JobArgument,
    trials: Annotated[int | None, typer.Option(min=1, help="New total of search trials.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="New total of epochs.")] = None,
    seconds: Annotated[float | None, typer.Option(help="New total of seconds.")] = None,
    to_decide: Annotated[
        bool, typer.Option("--to-decide", help="By as many trials as the verdict says would decide.")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Give a job a larger budget; a completed one searches on."""
    totals = {"trials": trials, "epochs": epochs, "seconds": seconds}
    budget = {name: total for name, total in totals.items() if total is not None}
    if to_decide:
        if trials is not None:
            fail("--to-decide names the trials by itself: leave --trials out", Exit.USAGE)
        budget["trials"] = _deciding_trials(job, url, key)
    if not budget:
        fail("name at least one of --trials, --epochs, --seconds, --to-decide", Exit.USAGE)
    _steer(job, "extend", url, key, as_json, budget)


def open_test(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Open the test part of a job that decided nothing; an extension after that has seen it."""
    _steer(job, "open-test", url, key, as_json)


def share(
    job: JobArgument,
    priority: Annotated[int | None, typer.Option(help="Its part of the lanes: 20 gets twice what 10 gets.")] = None,
    parallel: Annotated[int | None, typer.Option(help="Trials under way at once, at most.")] = None,
    no_cap: Annotated[bool, typer.Option("--no-cap", help="As many trials at once as its share allows.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Change a job's share of the workers; what is under way goes on to its end."""
    changes: dict[str, Any] = {} if priority is None else {"priority": priority}
    if parallel is not None or no_cap:
        changes["parallel"] = None if no_cap else parallel
    if not changes or (no_cap and parallel is not None):
        fail("name --priority, and --parallel or --no-cap, or one of them", Exit.USAGE)
    _steer(job, "share", url, key, as_json, changes)


def delete(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Forget a job that has ended, with its trials, its answer and its files."""
    with connected(url, key) as client:
        job_id = full_id(client, job)
        client.delete(job_id)
        stderr().print(f"Deleted {job_id}.")


def register(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    panel = "Jobs"
    for command in (submit, watch, result, export, student, cancel, stop, pause, resume, extend, share, delete):
        app.command(rich_help_panel=panel)(command)
    app.command("open-test", rich_help_panel=panel)(open_test)
    app.command("list", rich_help_panel=panel)(list_jobs)


def read_spec(file: Path) -> tuple[bytes, str]:
    """A spec's bytes and media type; YAML unless the name ends in .json."""
    try:
        text = typer.get_binary_stream("stdin").read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", Exit.USAGE)
    return text, "application/json" if file.suffix == ".json" else "application/yaml"


def parse_file(file: Path, parse: Callable[[bytes, Literal["json", "yaml"]], Spec], as_json: bool = False) -> Spec:
    """A file's spec of a job or a study, without a service. Ends with 1 where it would be refused, and says why."""
    from search.errors import SpecInvalid

    text, media_type = read_spec(file)
    try:
        return parse(text, "json" if media_type.endswith("json") else "yaml")
    except SpecInvalid as invalid:
        errors = [{"path": p.path, "message": p.message, "line": p.line} for p in invalid.problems]
        if as_json:
            print_json({"valid": False, "errors": errors})
        else:
            say_problem({"title": f"{file} would be refused", "errors": errors})
        raise typer.Exit(Exit.FAILED) from None


def _follow(client: Client, job_id: str, as_json: bool) -> JobDetail:
    try:
        from service.terminal.watching import watch, watch_lines  # here, so that quick commands need not load it

        return watch_lines(client, job_id) if as_json else watch(client, job_id, stderr())
    except KeyboardInterrupt:
        fail(f"\nThe job goes on. Follow it again with:\n  thermowell watch {job_id}", Exit.INTERRUPTED)


def _code(job: Job) -> Exit:
    return Exit.OK if job.state == "completed" else Exit.FAILED


def _print_result(client: Client, job: Job) -> None:
    from service.terminal.answers import print_answer  # here, so that quick commands need not load it

    print_answer(stdout(), job, client.result(job), client.response(job))


def _deciding_trials(job: str, url: str, key: str | None) -> int:
    """The total of search trials after which an undecided job would probably be decided."""
    with connected(url, key) as client:
        job_id = full_id(client, job)
        verdict, detail = client.result(job_id).verdict, client.job(job_id)
    if verdict is None:
        fail(f"{units.BEFORE_VERDICTS} Say by how many trials: thermowell extend {job_id} --trials N", Exit.USAGE)
    if verdict.missing is None:
        fail(f"{detail.name} is decided: {verdict.headline}", Exit.USAGE)
    return detail.progress.search_budget + verdict.missing.trials


def _steer(job: str, verb: str, url: str, key: str | None, as_json: bool, body: dict[str, Any] | None = None) -> None:
    with connected(url, key, as_json) as client:
        moved = client.http.post(f"/jobs/{full_id(client, job)}/{verb}", body)
    if as_json:
        print_json(moved)
    else:
        stderr().print(f"{moved['name']} ({moved['id']}) is {moved['state']}.", markup=False)


def note_of(job: Job) -> str | None:
    """A line below the list: why a job failed, or what it waits for where that is not just any worker."""
    if job.problem is not None:
        return f"{job.id} {job.state}: {job.problem.detail}"
    waits = job.progress.waits_for
    return None if waits in (None, "a worker") else f"{job.id} {job.state}: waits for {waits}"


def _jobs_table(jobs: list[Job]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("job", "name", "state", "search", "priority", "submitted"):
        justify: JustifyMethod = "right" if name == "priority" else "left"
        table.add_column(name, no_wrap=name != "name", overflow="ellipsis", justify=justify)
    for job in jobs:
        searched = f"{job.progress.search_done}/{job.progress.search_budget}"
        table.add_row(job.id, job.name, job.state, searched, str(job.priority), f"{job.created_at:%Y-%m-%d %H:%M}")
    return table
