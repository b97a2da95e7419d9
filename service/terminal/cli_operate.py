"""Commands that operate the installation: service, workers, database, keys, data sets, specs and the demo."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.table import Table

from service.terminal.cli_converting import converting
from service.terminal.cli_jobs import parse_file
from service.terminal.console import AsJson, Exit, connected, fail, print_json, say_preflight, stderr, stdout
from service.terminal.console import Key as ApiKey
from thermowell.api.document import to_json

if TYPE_CHECKING:
    from search.records import Key, Quota, Scope
    from search.storage.db import Database
    from service.settings import Settings

Jobs = Annotated[int | None, typer.Option(help="Jobs that have not ended, at most.")]
Trials = Annotated[int | None, typer.Option(help="Search trials in the budgets of these jobs, at most.")]
Parallel = Annotated[int | None, typer.Option(help="Trials under way at once, at most.")]
keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys, directly in the database.")
data = typer.Typer(no_args_is_help=True, help="Bring data sets and weights to where jobs look for them.")
spec = typer.Typer(invoke_without_command=True, help="Print a commented default spec, or check one of yours.")


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [env THERMOWELL_HOST; 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="[env THERMOWELL_PORT; 8000]")] = None,
) -> None:
    """Run the API and the dashboard. On any address but loopback an API key must exist first."""
    from search.settings import use_one_thread

    use_one_thread()
    from search.errors import DatabaseUnavailable, LiteratureInvalid, StoreUnavailable
    from service.auth import OpenRefused
    from service.server import AddressTaken, run

    options = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = read_settings(**options)
    try:
        run(settings)
    except OpenRefused as refused:
        fail(str(refused), Exit.REFUSED)
    except (LiteratureInvalid, AddressTaken) as invalid:
        fail(str(invalid), Exit.USAGE)
    except (StoreUnavailable, DatabaseUnavailable) as error:
        fail(str(error), Exit.UNREACHABLE)


def worker(
    lanes: Annotated[
        int | None, typer.Option(min=1, help="Students trained at once, at most [env THERMOWELL_LANES]")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Torch's threads [env THERMOWELL_THREADS; chosen by measuring]")
    ] = None,
    exit_when_idle: Annotated[
        bool, typer.Option("--exit-when-idle", help="End by itself once every job has ended or is paused.")
    ] = False,
) -> None:
    """Run a worker that trains students until it is told to end (SIGTERM, or Ctrl-C)."""
    need_worker_extra()
    variables = {"THERMOWELL_LANES": lanes, "THERMOWELL_THREADS": threads}
    os.environ.update({name: str(value) for name, value in variables.items() if value is not None})
    read_settings()
    become("search.worker", *(["--exit-when-idle"] if exit_when_idle else []))


def optuna_proxy(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 13000,
) -> None:
    """Run Optuna's gRPC storage proxy for workers with THERMOWELL_OPTUNA_PROXY=host:port.

    It knows no keys: let nobody but workers reach it.
    """
    from search.schema import check_schema

    if importlib.util.find_spec("grpc") is None:
        fail("this needs gRPC: pip install 'thermowell[proxy]'", Exit.USAGE)
    with _open_database(read_settings()) as db:
        check_schema(db)
    become("search.optuna_bridge.proxy", "--host", host, "--port", str(port))


def migrate(
    admin_key: Annotated[
        bool, typer.Option("--admin-key", help="Make the first admin key even where the service stays on loopback.")
    ] = False,
) -> None:
    """Create the database's tables or bring them up to date; any number of processes may do so at once.

    Makes the first admin key, unless there is a key already, where the service will listen beyond this machine
    (THERMOWELL_HOST) or --admin-key asks for it. The key is taken from THERMOWELL_ADMIN_KEY_FILE, or else
    printed on the standard output, this once.
    """
    from search import schema
    from search.requests import keys as key_requests
    from search.requests.keys import any_keys, register_key

    settings = read_settings()
    with _open_database(settings) as db:
        schema.migrate(db)
        stderr().print(f"The database is up to date: {settings.safe_database_url}", markup=False)
        if any_keys(db):
            return
        if settings.admin_key_file is not None:
            try:
                register_key(db, "admin", frozenset({"admin"}), _secret_in(settings.admin_key_file))
            except ValueError as error:
                fail(f"{settings.admin_key_file}: {error}", Exit.USAGE)
            stderr().print(f"Registered the admin key in {settings.admin_key_file}.", markup=False)
        elif admin_key or not settings.loopback:
            _, secret = key_requests.create_key(db, "admin", frozenset({"admin"}))
            stderr().print("The first admin key; it is shown this once:")
            print(secret)


def demo(
    spec_file: Annotated[Path, typer.Option("--spec", help="What to submit.")] = Path("examples/digits.yaml"),
    directory: Annotated[Path, typer.Option("--dir", help="Where it runs; emptied first.")] = Path("var/demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the service up afterwards, until Ctrl-C.")] = False,
) -> None:
    """Run the main job: service, worker, a real spec over HTTP, live progress, and the answer."""
    from service.terminal.demo import run

    need_worker_extra()
    raise typer.Exit(run(spec_file, directory, keep))


def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers.")] = 1,
) -> None:
    """Run service and workers in one terminal, on whatever is configured, until Ctrl-C."""
    from service.server import AddressTaken, check_address
    from service.terminal.programs import stay_up

    need_worker_extra()
    settings = read_settings()
    try:
        check_address(settings)
    except AddressTaken as error:
        fail(str(error), Exit.USAGE)
    raise typer.Exit(stay_up(workers, stdout()))


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="read, submit, train, dashboard or admin; repeat for several.")
    ] = ["read", "submit"],  # noqa: B006 - typer reads it, nobody changes it
    trains_for: Annotated[
        str | None,
        typer.Option(
            "--for", help="Id of the key whose trials this one may train, and nothing else; with --scope train."
        ),
    ] = None,
    jobs: Jobs = None,
    trials: Trials = None,
    parallel: Parallel = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="No limit but those named.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its secret is printed once and kept nowhere.

    What it may have at once is what THERMOWELL_KEY_JOBS, _KEY_TRIALS and _KEY_PARALLEL say, unless named here.
    """
    from search.records import SCOPES, Quota
    from search.requests import keys as key_requests
    from search.requests.keys import any_keys

    settings = read_settings()
    limits = {"jobs": jobs, "trials": trials, "parallel": parallel}
    with _open_database(settings) as db:
        first = not any_keys(db)
        unknown = sorted(set(scope) - set(SCOPES))
        if unknown:
            fail(f"unknown scope {', '.join(unknown)}; there are {', '.join(SCOPES)}", Exit.USAGE)
        scopes: frozenset[Scope] = frozenset(valid for valid in SCOPES if valid in scope)
        try:
            quota = _change_quota(Quota() if unlimited else settings.key_quota, limits)
            key, secret = key_requests.create_key(db, name, scopes, quota, trains_for)
        except ValueError as error:
            fail(str(error), Exit.USAGE)
    if as_json:
        print_json({**_key_document(key), "secret": secret})
    else:
        stderr().print(f"{key.name} ({key.id}), may {', '.join(sorted(key.scopes))}. Its secret, this once:")
        if first:
            stderr().print(
                "This is the first key: from now on the service asks everybody for one, on loopback too. Give it to "
                "commands by THERMOWELL_KEY or --key, and to the browser at /signin.",
                markup=False,
                soft_wrap=True,
            )
        print(secret)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List keys, revoked ones too."""
    from search.requests import keys as key_requests

    with _open_database(read_settings()) as db:
        all_keys = key_requests.list_keys(db)
    if as_json:
        print_json({"items": [_key_document(key) for key in all_keys]})
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("id", "name", "scopes", "made", "last used", ""):
        table.add_column(column)
    for key in all_keys:
        last_used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        revoked = "revoked" if key.revoked_at else ""
        table.add_row(key.id, key.name, ", ".join(sorted(key.scopes)), f"{key.created_at:%Y-%m-%d}", last_used, revoked)
    stdout().print(table)


@keys.command("quota")
def key_quota(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")],
    jobs: Jobs = None,
    trials: Trials = None,
    parallel: Parallel = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="Takes every limit away that is not named.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a key may have at once, and what it has; or limit it. What it has already stays."""
    from search.records import Quota
    from search.requests.keys import get_key, quota_use, set_quota

    with _open_database(read_settings()) as db:
        before = Quota() if unlimited else get_key(db, key_id).quota
        limits = {"jobs": jobs, "trials": trials, "parallel": parallel}
        try:
            key = set_quota(db, key_id, _change_quota(before, limits))
        except ValueError as error:
            fail(str(error), Exit.USAGE)
        usage = quota_use(db, key_id)
    if as_json:
        print_json({"quota": asdict(key.quota), "used": asdict(usage)})
        return
    for name, most in asdict(key.quota).items():
        stdout().print(f"{name:<9} {getattr(usage, name)} of {'any number' if most is None else most}")


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]) -> None:
    """Make a key open nothing from now on."""
    from search.requests import keys as key_requests

    with _open_database(read_settings()) as db:
        key_requests.revoke_key(db, key_id)
    stderr().print(f"Revoked {key_id}.")


@data.command("fetch")
def fetch_data(name: Annotated[str, typer.Argument(help="A data set of the catalogue.")]) -> None:
    """Bring a data set below the data root, from a system package or from the network."""
    need_worker_extra()
    become("trainers.fetch", name, "--root", str(read_settings().data_root))


@data.command("list")
def list_data() -> None:
    """Show which data sets are below the data root."""
    need_worker_extra()
    become("trainers.fetch", "list", "--root", str(read_settings().data_root))


@spec.callback()
def print_default(context: typer.Context) -> None:
    """Print a commented default spec, which can be submitted as it is."""
    if context.invoked_subcommand is None:
        from search.spec.parsing import default_spec_yaml

        print(default_spec_yaml(), end="")


@spec.command("check")
def check_spec(
    file: Annotated[Path, typer.Argument(help="A spec, YAML or JSON; - reads the standard input.", allow_dash=True)],
    url: Annotated[
        str | None, typer.Option("--url", help="Ask this service too, whose workers may lack something.")
    ] = None,
    key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Check a spec, without a service unless --url names one. Ends with 1 where it would be refused.

    What the workers of that service lack is a warning, and ends with 0.
    """
    from search.spec.parsing import parse_spec

    checked = parse_file(file, parse_spec, as_json)
    preflight = None
    if url is not None:
        with connected(url, key, as_json) as client:
            preflight = client.check(checked.model_dump(mode="json", exclude_none=True))
    if as_json:
        document = {"valid": True, "spec": checked.model_dump(mode="json")}
        print_json(document if preflight is None else document | {"preflight": to_json(preflight)})
    else:
        stderr().print(f"{file} is fine: {checked.name}, {checked.budget.trials} trials.", markup=False)
        say_preflight(preflight)


@spec.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a spec, for editors."""
    from search.spec.parsing import spec_json_schema

    print_json(spec_json_schema())


def register(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    panel = "Operation"
    for command in (up, serve, worker, optuna_proxy, migrate, demo):
        app.command(rich_help_panel=panel)(command)
    spec.add_typer(converting, name="from")
    app.add_typer(spec, name="spec", rich_help_panel="Jobs")
    app.add_typer(data, name="data", rich_help_panel=panel)
    app.add_typer(keys, name="keys", rich_help_panel=panel)


def read_settings(**overrides: object) -> Settings:
    """The settings; one that cannot be ends the command with its name, one that is nearly one is warned of."""
    from search import settings
    from search.errors import SettingsInvalid
    from service.settings import Settings

    for warning in settings.misspelt(Settings, os.environ):
        stderr().print(f"Warning: {warning}.", markup=False, soft_wrap=True)
    try:
        return settings.read_settings(Settings, **overrides)
    except SettingsInvalid as invalid:
        fail(str(invalid), Exit.USAGE)


@contextmanager
def _open_database(settings: Settings) -> Iterator[Database]:
    """The database for the length of a command; what it refuses ends the command with its exit code."""
    from search.errors import DatabaseUnavailable, ThermowellError
    from search.storage.db import open_database

    try:
        with closing(open_database(settings.database_url)) as db:
            yield db
    except DatabaseUnavailable as error:
        fail(f"{settings.safe_database_url}: {error}", Exit.UNREACHABLE)
    except ThermowellError as error:
        fail(str(error), Exit.REFUSED)


def _change_quota(quota: Quota, limits: dict[str, int | None]) -> Quota:
    return replace(quota, **{name: number for name, number in limits.items() if number is not None})


def _secret_in(file: Path) -> str:
    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read the admin key in {file}: {error}", Exit.USAGE)
    return secret


def _key_document(key: Key) -> dict[str, object]:
    from service.schemas import sent
    from thermowell.api import keys
    from thermowell.api.document import to_json

    return dict(to_json(sent(keys.Key, key)))


def need_worker_extra() -> None:
    if importlib.util.find_spec("torch") is None:
        fail("this needs torch, which comes with the worker: pip install 'thermowell[worker]'", Exit.USAGE)


def become(module: str, *arguments: str) -> NoReturn:
    """Turns this process into another program of this environment, so that signals reach it alone."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
