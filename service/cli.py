"""The command line `thermowell`.

Exit codes: 0 done; 1 the job failed or was cancelled, or a check found something wrong; 2 usage; 3 refused;
4 the service or the database cannot be reached; 5 there is no answer yet; 130 interrupted.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from service.terminal import (
    advice,
    cli_agent,
    cli_imports,
    cli_jobs,
    cli_operate,
    cli_plugins,
    cli_reading,
    cli_studies,
    cli_weights,
)
from service.terminal.console import Exit

EPILOG = (
    f"Exit codes: {Exit.OK:d} done, {Exit.FAILED:d} the job failed or a check found something wrong, "
    f"{Exit.USAGE:d} usage, {Exit.REFUSED:d} refused, {Exit.UNREACHABLE:d} service or database cannot be reached, "
    f"{Exit.NOT_READY:d} no answer yet, {Exit.INTERRUPTED:d} interrupted. "
    "THERMOWELL_URL and THERMOWELL_KEY say where the service is and who asks."
)


def build() -> typer.Typer:
    """The command line, whole."""
    app = typer.Typer(
        no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
    )

    @app.callback(epilog=EPILOG)
    def thermowell(
        show_version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version)] = False,
    ) -> None:
        """Search the temperature and optimizer settings of a distillation: submit a job, query the answer."""

    cli_jobs.register(app)
    cli_imports.register(app)
    cli_reading.register(app)
    cli_studies.register(app)
    cli_operate.register(app)
    cli_agent.register(app)
    cli_weights.register(app)
    cli_plugins.register(app)
    advice.register(app)
    return app


def main() -> None:
    """What the installed command runs."""
    build()(prog_name="thermowell")


def _print_version(requested: bool) -> None:
    if requested:
        print(version("thermowell"))
        raise typer.Exit


if __name__ == "__main__":
    main()
