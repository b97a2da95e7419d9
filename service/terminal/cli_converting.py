"""Commands that make a spec from another project's configuration file: `thermowell spec from torchdistill FILE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from service.exports import from_mdistiller, from_torchdistill
from service.exports.conversion import Conversion, FileUnknown
from service.terminal.console import Exit, fail, stderr

File = Annotated[Path, typer.Argument(help="Its configuration file, YAML.")]
converting = typer.Typer(no_args_is_help=True, help="Make a spec from another project's configuration file.")


@converting.command("torchdistill")
def from_torchdistill_file(file: File) -> None:
    """Print the spec that a torchdistill configuration is, with what could not be taken over in comments."""
    _print(file, "torchdistill", from_torchdistill.convert)


@converting.command("mdistiller")
def from_mdistiller_file(file: File) -> None:
    """Print the spec that an mdistiller configuration is, with what could not be taken over in comments."""
    _print(file, "mdistiller", from_mdistiller.convert)


def _print(file: Path, project: str, convert: Callable[[str], Conversion]) -> None:
    try:
        conversion = convert(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read {file}: {error}", Exit.USAGE)
    except FileUnknown as unknown:
        fail(f"{file}: {unknown}", Exit.FAILED)
    print(conversion.text(project, file.name), end="")
    for sentence in conversion.unsaid:
        stderr().print(f"- {sentence}", markup=False, soft_wrap=True)
    stderr().print("Keep it in a file, and check it with `thermowell spec check FILE`.", markup=False)
