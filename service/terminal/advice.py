"""`thermowell advice`: what is known of a setting before anything is trained in it, in 80 columns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from search import scales, units
from service.terminal.cli_jobs import read_spec
from service.terminal.console import AsJson, Exit, Key, Url, connected, fail, print_json, stdout
from thermowell.api.advice import Advice, AdviceApart, AdviceSource
from thermowell.sync.client import DEFAULT_URL

SHOWN = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 40.0)
BAR = 40
DIFFERENCES = 3
*_NAMES, _LAST = units.OPTIMIZERS


def advice(
    file: Annotated[
        Path | None, typer.Argument(help="A spec whose setting is meant, YAML or JSON; - reads the standard input.")
    ] = None,
    source: Annotated[str, typer.Option("--from", help="literature, history (finished jobs), or both.")] = "both",
    dataset: Annotated[str | None, typer.Option("--data", help="Name of the data set.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    train_images: Annotated[int | None, typer.Option(help="Images that students are trained on.")] = None,
    optimizer: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(_NAMES)} or {_LAST}; may be repeated.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each student.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in a step.")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Of the teacher.")] = None,
    teacher_entropy: Annotated[float | None, typer.Option(help="Of its softmax at T = 1, in nats.")] = None,
    student: Annotated[str | None, typer.Option(help="dense, convolutional or transformer.")] = None,
    student_init: Annotated[str | None, typer.Option(help="random or pretrained.")] = None,
    metric: Annotated[str | None, typer.Option(help="accuracy, nll or ece.")] = None,
    queue: Annotated[str | None, typer.Option(help="Queue or command of a training of your own: own history.")] = None,
    sources: Annotated[int, typer.Option(min=0, max=200, help="How many sources to show.")] = 8,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask which temperatures and settings are known to work in a setting like yours, and from where.

    The setting is that of a spec, of the options, or of both: options win.
    """
    options: dict[str, Any] = {
        "data": dataset,
        "classes": classes,
        "train_images": train_images,
        "optimizer": optimizer or None,
        "epochs": epochs,
        "batch_size": batch_size,
        "label_smoothing": label_smoothing,
        "teacher_entropy": teacher_entropy,
        "student": student,
        "student_init": student_init,
        "metric": metric,
        "queue": queue,
    }
    setting = {} if file is None else _setting(file)
    setting |= {name: value for name, value in options.items() if value is not None}
    with connected(url, key, as_json) as client:
        if as_json:
            print_json(client.http.get("/advice", mode=source, most_sources=sources, **setting))
        else:
            print_advice(stdout(), client.advice(source, most_sources=sources, **setting))


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command(rich_help_panel="Jobs")(advice)


def print_advice(console: Console, answer: Advice) -> None:
    """The whole advice, from what the API sent."""
    console.print(Text(f"Advice for {_context_words(answer.context)}", style="bold"), soft_wrap=False)
    if answer.default is not None:
        console.print(Padding(answer.default.words, (1, 0, 0, 0)), markup=False)
    if answer.temperatures:
        subtitle = f"{answer.sources_known} sources, worth {answer.effective_sources:.1f} of equal weight"
        _heading(console, "Temperature", subtitle)
        console.print(_temperatures(answer))
        _heading(console, "Settings", "of the sources that tell them")
        console.print(_settings(answer))
    if answer.sources:
        _heading(console, "Sources", "the heaviest first")
        console.print(_sources(answer.sources))
    if answer.gaps:
        _heading(console, "What this does not cover")
        gaps = Table.grid(padding=(0, 1, 0, 0))
        for gap in answer.gaps:
            gaps.add_row(Text("-"), Text(gap))
        console.print(Padding(gaps, (0, 0, 0, 2), expand=False))


def _setting(file: Path) -> dict[str, Any]:
    """What a spec tells of its setting, as the API asks for it."""
    from search.analysis.priors import context as settings_context  # here, so that other commands need not load it
    from search.errors import SpecInvalid
    from search.spec.parsing import parse_spec

    text, media = read_spec(file)
    try:
        spec = parse_spec(text, "json" if media == "application/json" else "yaml")
    except SpecInvalid as refused:
        fail("\n".join(f"{problem.path}: {problem.message}" for problem in refused.problems), Exit.REFUSED)
    if spec.trainer is not None:
        searched = {} if spec.space.optimizer is None else {"optimizer": list(spec.space.optimizers())}
        return searched | {"queue": spec.trainer.queue, "epochs": spec.training.epochs}
    setting = settings_context.as_json(settings_context.of_spec(spec))
    setting["optimizer"] = setting.pop("optimizers")
    return setting


def _context_words(context: dict[str, Any]) -> str:
    words = {
        "program": "trainings of {}",
        "data": "{}",
        "classes": "{:,} classes",
        "train_images": "{:,} images",
        "optimizers": "{}",
        "epochs": "{:,} epochs",
        "batch_size": "batches of {:,}",
        "label_smoothing": "label smoothing {:g}",
        "teacher_entropy": "a teacher of {:.3g} nats",
        "student": "a {} student",
        "student_init": "{} at first",
    }
    values = {**context, "optimizers": " or ".join(context.get("optimizers", []))}
    parts = [form.format(values[name]) for name, form in words.items() if values.get(name) not in (None, "", 0.0)]
    return ", ".join(parts) or "a setting of which nothing is known"


def _heading(console: Console, title: str, note: str = "") -> None:
    console.print()
    console.print(Text.assemble((title, "bold cyan"), (f"  {note}" if note else "", "dim")))


def _temperatures(answer: Advice) -> Padding:
    """The distribution as bars over a few temperatures, each weight at the nearest of them, and its middle half."""
    shares = dict.fromkeys(SHOWN, 0.0)
    for quantile in answer.temperatures:
        nearest = min(SHOWN, key=lambda temperature: abs(scales.log_ratio(quantile.temperature, temperature)))
        shares[nearest] += quantile.weight
    most = max(shares.values())
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim", pad_edge=False)
    for name in ("T", "", "weight"):
        table.add_column(name, no_wrap=True, justify="left" if not name else "right")
    for temperature, share in shares.items():
        table.add_row(units.number(temperature, 2), Text("█" * round(BAR * share / most), style="cyan"), f"{share:.0%}")
    by_share = {quantile.share: quantile.temperature for quantile in answer.quantiles}
    middle, low, high = (units.number(by_share[share], 2) for share in (0.5, 0.25, 0.75))
    rows = Table.grid()
    rows.add_row(table)
    rows.add_row(Text(f"The middle is T = {middle}; half of the weight lies from {low} to {high}.", style="dim"))
    return Padding(rows, (0, 0, 0, 2), expand=False)


def _settings(answer: Advice) -> Padding:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("setting", "10%", "middle", "90%", "told by"):
        table.add_column(name, no_wrap=True, justify="left" if name == "setting" else "right")
    for setting in answer.settings:
        numbers = [units.number(value, 2) for value in (setting.low, setting.middle, setting.high)]
        table.add_row(setting.setting, *numbers, f"{setting.told:.0%}")
    shares = ", ".join(f"{units.OPTIMIZERS[setting.name]} {setting.weight:.0%}" for setting in answer.optimizers)
    rows = Table.grid()
    rows.add_row(table)
    if shares:
        rows.add_row(Text(f"Optimizers: {shares}.", style="dim"))
    return Padding(rows, (0, 0, 0, 2), expand=False)


def _sources(sources: list[AdviceSource]) -> Padding:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("weight", "distance", "T"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("source", overflow="fold")
    for source in sources:
        title = f"{source.source} ({source.job_id})" if source.job_id else source.source
        text = Text.assemble(title, (f"\n{_differences(source.apart)}", "dim") if source.apart else "")
        table.add_row(f"{source.weight:.1%}", f"{source.distance:.2f}", units.number(source.temperature, 2), text)
    return Padding(table, (0, 0, 0, 2), expand=False)


def _differences(apart: list[AdviceApart]) -> str:
    """The largest differences that are known, in a line."""
    features = [feature for feature in apart if feature.theirs is not None and feature.yours is not None][:DIFFERENCES]
    if not features:
        return "nothing of it is known to differ"
    return "; ".join(f"{feature.feature.replace('_', ' ')} {feature.theirs}" for feature in features)
