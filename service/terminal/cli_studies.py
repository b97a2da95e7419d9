"""Commands for studies: one done here from start to end, and those of a running service."""

from __future__ import annotations

import importlib.util
import json
import os
import uuid
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from service.terminal.cli_jobs import parse_file, read_spec
from service.terminal.console import (
    ID_LENGTH,
    IDENTIFIER,
    AsJson,
    Exit,
    Key,
    Url,
    connected,
    fail,
    only_match,
    print_json,
    stderr,
    stdout,
)
from thermowell.api.guidance import Guidance
from thermowell.api.studies import StudyDetail
from thermowell.errors import Refused
from thermowell.sync.client import DEFAULT_URL, Client

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study's id, its first characters, or its name.")]
StudyFile = Annotated[Path, typer.Argument(help="A study, YAML or JSON; - reads the standard input.", allow_dash=True)]
MOST_WORKERS = 4  # of a study that is done here, unless more are asked for: each takes about 1 GB of memory
app = typer.Typer(no_args_is_help=True, help="Studies: jobs that differ in the levels of factors.")


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A study, YAML or JSON: see examples/studies.")],
    directory: Annotated[Path, typer.Option("--dir", help="Where it runs; emptied first.")] = Path("var/study"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers at once, each on its share of the cores; one a core, up to 4.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Do a study here from start to end: service, workers, all of its jobs, and what they say.

    Students are kept as weights, without programs for other runtimes: THERMOWELL_STUDENT_PROGRAMS=true keeps these too.
    With --json the standard output is one document of the study and its guidance. Ends with 1 where a job failed.
    """
    from service.terminal.programs import Programs, alone, cores

    if not file.is_file():
        fail(f"there is no {file}", Exit.USAGE)
    if importlib.util.find_spec("torch") is None:
        fail("this needs torch, which comes with the worker: pip install 'thermowell[worker]'", Exit.USAGE)
    out = stderr() if as_json else stdout()

    def work(programs: Programs, client: Client) -> Exit:
        from service.terminal.studies import watch_study

        study = client.submit_study(file)
        out.print(f"Submitted {file} over HTTP: study {study.id}, {len(study.cells)} jobs\n", markup=False)
        final = watch_study(client, study.id, out, programs.check)
        _write_page(client, final, directory)
        _tell(client, final, as_json)
        failed = [cell for cell in final.cells if cell.state != "completed"]
        for cell in failed[:5]:
            why = cell.problem.detail if cell.problem else cell.state
            stderr().print(f"Job {cell.job_id} ({_levels(cell.levels)}): {why}", style="red", markup=False)
        if failed:
            programs.show_tails(stderr())
        return Exit.FAILED if failed else Exit.OK

    os.environ.setdefault("THERMOWELL_STUDENT_PROGRAMS", "false")  # a seventh of a small study's time
    raise typer.Exit(alone(directory, "the study", out, work, workers=workers or min(cores(), MOST_WORKERS)))


@app.command()
def submit(
    file: StudyFile,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end and print what it says.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Makes sending the same file twice safe; random unless given.")
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Submit a study. Prints its id."""
    text, media_type = read_spec(file)
    with connected(url, key, as_json) as client:
        study = client.submit_study(text, media_type=media_type, idempotency_key=idempotency_key or uuid.uuid4().hex)
        if not watch:
            if as_json:
                print_json(client.http.get(f"/studies/{study.id}"))
            else:
                print(study.id)
                stderr().print(f"{len(study.cells)} jobs. Look at it with: thermowell study show {study.id}")
            return
        final = _follow(client, study.id)
        _tell(client, final, as_json)
        raise typer.Exit(Exit.OK if all(cell.state == "completed" for cell in final.cells) else Exit.FAILED)


@app.command()
def check(file: StudyFile, as_json: AsJson = False) -> None:
    """Check a study without a service, every cell of it. Ends with 1 where it would be refused."""
    from search.claims import trial_counts
    from search.studies.cells import expand
    from search.studies.parsing import parse_study

    study = parse_file(file, parse_study, as_json)
    cells = expand(study).new
    trials = sum(planned.whole.budget.trials for planned in cells)
    left = trials - sum(planned.spec.budget.trials for planned in cells)
    plans = dict.fromkeys(trial_counts.plan_in_words(cell.spec, cell.spec.budget.trials) for cell in cells)
    if as_json:
        print_json({"valid": True, "jobs": len(cells), "search_trials": trials})
    else:
        stderr().print(f"{file} is fine: {study.name}, {len(cells)} jobs, {trials} search trials in all.", markup=False)
        for plan in plans:
            stderr().print(f"{'Each' if len(plans) == 1 else 'Some'}: {plan}.", markup=False)
        if study.adaptive:
            stderr().print(f"Then up to {left} more search trials go where they tell most of what is open.")


@app.command()
def power(
    file: StudyFile,
    pilot: Annotated[
        Path | None,
        typer.Option(help="Guidance of a small study like it, as `thermowell study guidance STUDY --json` prints it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which differences a study could tell with its budget, and what budget would tell the others.

    Nothing is trained and no service is asked: errors come from the recorded tables, or from a pilot.
    """
    from search.analysis.study.power import PilotNeeded, outlook_of, to_document
    from search.studies.cells import expand
    from search.studies.parsing import parse_study
    from service.terminal.guidance import print_power

    study = parse_file(file, parse_study, as_json)
    try:
        outlook = outlook_of(study.name, expand(study).new, None if pilot is None else _pilot(pilot))
    except PilotNeeded as error:
        fail(str(error), Exit.FAILED)
    if as_json:
        print_json(to_document(outlook))
    else:
        print_power(stdout(), outlook)


@app.command("list")
def list_studies(
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List studies, newest first."""
    with connected(url, key, as_json) as client:
        if as_json:
            print_json(client.http.get("/studies", limit=limit))
            return
        studies = list(islice(client.studies(), limit))
    if not studies:
        stderr().print("There are no studies yet: submit one with `thermowell study submit FILE`.")
        return
    from service.terminal.studies import state_counts

    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("study", "name", "jobs", "submitted"):
        table.add_column(name, no_wrap=name in ("study", "submitted"), overflow="ellipsis")
    for study in studies:
        table.add_row(study.id, study.name, state_counts(study), f"{study.created_at:%Y-%m-%d %H:%M}")
    stdout().print(table)


@app.command()
def show(
    study: StudyArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until all of its jobs have ended.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Print a study's cells: how far each is, its best T and its gain over T = 4."""
    with connected(url, key, as_json) as client:
        study_id = _full_id(client, study)
        detail = _follow(client, study_id) if watch else client.study(study_id)
        if as_json:
            print_json(client.http.get(f"/studies/{study_id}"))
        else:
            _print_cells(detail)


@app.command()
def guidance(study: StudyArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Print what moves the best T, from the cells that are answered. Ends with 5 before the first."""
    with connected(url, key, as_json) as client:
        study_id = _full_id(client, study)
        if as_json:
            print_json(client.http.get_computed(f"/studies/{study_id}/guidance"))
        else:
            _print_guidance(client, study_id)


@app.command()
def extend(
    study: StudyArgument,
    file: Annotated[Path, typer.Argument(help="What to add: factors, replicates or cells.", allow_dash=True)],
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Add levels, factors or repeats to a study. The jobs that are there stay as they are."""
    text, media_type = read_spec(file)
    with connected(url, key, as_json) as client:
        study_id = _full_id(client, study)
        before = len(client.study(study_id).cells)
        larger = client.extend_study(study_id, text, media_type=media_type)
        if as_json:
            print_json(client.http.get(f"/studies/{study_id}"))
        else:
            stderr().print(f"{larger.name} has {len(larger.cells)} jobs, {len(larger.cells) - before} of them new.")


@app.command()
def cancel(study: StudyArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """End all of a study's jobs that have not ended; what is answered stays."""
    with connected(url, key, as_json) as client:
        final = client.cancel_study(_full_id(client, study))
        if as_json:
            print_json(client.http.get(f"/studies/{final.id}"))
        else:
            stderr().print(f"{final.name} ({final.id}) is {final.state}.", markup=False)


def register(command_line: typer.Typer) -> None:
    """Adds these commands to the command line."""
    command_line.add_typer(app, name="study", rich_help_panel="Studies")


def _pilot(file: Path) -> Guidance:
    """The guidance in a file, alone or in the document of `study run --json`."""
    try:
        document = json.loads(file.read_text())
        return Guidance.model_validate(document.get("guidance", document))
    except (OSError, ValueError, AttributeError) as error:
        first = str(error).splitlines()[0]
        fail(f"{file} is no guidance: {first}. `thermowell study guidance STUDY --json` prints one", Exit.USAGE)


def _tell(client: Client, study: StudyDetail, as_json: bool) -> None:
    """What an ended study says: a document for machines, its cells and its guidance for people."""
    if as_json:
        print(json.dumps({"study": client.http.get(f"/studies/{study.id}"), "guidance": _guidance(client, study.id)}))
        return
    _print_cells(study)
    if any(cell.state == "completed" for cell in study.cells):
        stdout().print()
        _print_guidance(client, study.id)


def _guidance(client: Client, study_id: str) -> Any:
    """As the API sends it; None where no cell is answered."""
    try:
        return client.http.get_computed(f"/studies/{study_id}/guidance")
    except Refused as refused:
        if refused.slug != "not-ready":
            raise
        return None


def _print_guidance(client: Client, study_id: str) -> None:
    from service.terminal.guidance import print_guidance  # here, so that quick commands need not load it

    print_guidance(stdout(), client.guidance(study_id))


def _print_cells(study: StudyDetail) -> None:
    from service.terminal.studies import cells_table, state_counts, verdicts

    out = stdout()
    trials = f"; {study.trials_in_words}" if study.trials_in_words else ""
    trials += "" if study.allotted is None else f": {study.allotted.words}"
    out.print(f"{study.name}: {state_counts(study)}{trials}\n", markup=False)
    out.print(cells_table(study))
    if any(cell.verdict is not None for cell in study.cells):
        out.print()
        out.print(verdicts(study))


def _write_page(client: Client, study: StudyDetail, directory: Path) -> None:
    """The guidance as a page of HTML beside the study's files, where a cell is answered."""
    from service.pages import guidance_page

    if any(cell.state == "completed" for cell in study.cells):
        page = directory / "guidance.html"
        page.write_text(guidance_page.render(client.guidance(study)))
        stderr().print(f"A page with its pictures: {page}", style="dim", markup=False)


def _follow(client: Client, study_id: str) -> StudyDetail:
    from service.terminal.studies import watch_study

    try:
        return watch_study(client, study_id, stderr())
    except KeyboardInterrupt:
        fail(
            f"\nThe study goes on. Follow it again with:\n  thermowell study show --watch {study_id}", Exit.INTERRUPTED
        )


def _levels(levels: dict[str, str]) -> str:
    return ", ".join(f"{name} = {level}" for name, level in levels.items())


def _full_id(client: Client, word: str) -> str:
    """A study's whole id from its id, the first characters of it, or its name."""
    if IDENTIFIER.fullmatch(word) and len(word) >= ID_LENGTH:
        return word
    matches = [study.id for study in client.studies() if study.id.startswith(word) or study.name == word]
    return only_match(matches, word, "study")
