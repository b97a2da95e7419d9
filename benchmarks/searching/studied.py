"""The answer of a study in a form that is kept. From the document of `thermowell study run --json`: a smaller one below
results, a picture of each factor below docs/pictures, and on the standard output the tables as Markdown.

It trains nothing. Given a document that it has kept itself, it draws and prints that again. The last line is one JSON
object: which share of the questions of all these studies is decided, and how wide the intervals of shifts are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import facts, output, repetitions
from benchmarks.common.decisions import headline
from search.analysis.study import guidance_table
from service.plots import svg_renderer
from service.plots.factor import factor_plot
from thermowell.api.answers import Interval
from thermowell.api.guidance import Guidance, Measured

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
PLACES = 4  # decimals that are kept: temperatures, octaves and shares are not known better
JOB_FIELDS = ("levels", "replicate", "best_temperature", "best", "quality", "gain")


def condensed(document: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """Of a study's document, its spec, the answers of its jobs and the guidance, rounded; `about` is how it was run."""
    study = document["study"]
    jobs = [{name: job.get(name) for name in JOB_FIELDS} for job in study["cells"]]
    whole = {"about": about, "spec": study["spec"], "jobs": jobs, "guidance": document["guidance"]}
    kept: dict[str, Any] = _short(whole)
    for cell in kept["guidance"]["cells"]:
        cell["jobs"] = [""] * len(cell["jobs"])  # their names mean nothing to who does not have the database
    return kept


def name_of(document: dict[str, Any]) -> str:
    """Under which name what is kept of a study stands: with the way of its trials, where it is not a search."""
    trials = document["spec"].get("trials", "search")
    way = trials if isinstance(trials, str) else trials["name"]
    return f"study-{_file(document['guidance']['study'])}{'' if way == 'search' else f'-{way}'}"


def pictures(guidance: Guidance, name: str, folder: Path) -> list[Path]:
    """A picture of each factor below a folder, beginning with a name, and where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for factor in guidance.factors:
        path = folder / f"{name}-{_file(factor.name)}.svg"
        path.write_text(svg_renderer.render(factor_plot(guidance, factor)) + "\n")
        paths.append(path)
    return paths


def compared(jobs: Sequence[dict[str, Any]], factor: str, confidence: float) -> dict[str, repetitions.Interval]:
    """By how much the quality at each level differs from that at the first: of jobs that are alike but for this factor,
    repeat by repeat, so that what split and teacher make easy or hard is left out.
    """
    found: dict[str, dict[str, float]] = {}
    for job in jobs:
        if (job["quality"] or {}).get("mean") is not None:
            alike = json.dumps([{**job["levels"], factor: ""}, job["replicate"]], sort_keys=True)
            found.setdefault(job["levels"][factor], {})[alike] = job["quality"]["mean"]
    first, *others = found or {"": {}}
    both = {level: sorted(found[level].keys() & found[first].keys()) for level in others}
    return {
        level: repetitions.paired([found[level][one] for one in own], [found[first][one] for one in own], confidence)
        for level, own in both.items()
        if len(own) > 1
    }


def _told(jobs: Sequence[dict[str, Any]], guidance: Guidance) -> str:
    """Those differences as a table in Markdown, as far as there are any."""
    lines = []
    for factor in guidance.factors:
        for level, one in compared(jobs, factor.factor, guidance.confidence).items():
            within = Interval(low=one.low, high=one.high, confidence=guidance.confidence)
            said = guidance_table.difference(Measured(mean=one.mean, interval=within), guidance.metric)
            lines.append(f"| {factor.name} | {level} | {said} | {one.pairs} |")
    head = ["| factor | level | quality against the first level | pairs |", "| --- | --- | --- | --- |"]
    return "\n".join(["## Quality, pair by pair", "", *head, *lines, ""]) if lines else ""


def _file(words: str) -> str:
    """Words as part of a file's name."""
    return "-".join("".join(sign if sign.isalnum() else " " for sign in words.lower()).split())


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return round(value, PLACES) if isinstance(value, float) else value


def main(arguments: Sequence[str] | None = None) -> None:
    """Keeps, draws and prints each of the documents."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searching.studied", description=__doc__)
    parser.add_argument("documents", nargs="+", type=Path, help="of `thermowell study run --json`, or kept ones")
    parser.add_argument("--about", type=Path, help="JSON: how the study was run, added to machine and versions")
    given = parser.parse_args(arguments)
    guidances = []
    for path in given.documents:
        document = json.loads(path.read_text())
        if "details" not in document:
            about = facts.gather() | (json.loads(given.about.read_text()) if given.about else {})
            kept = condensed(document, about)
            name = name_of(kept)
            document = {"benchmark": name, "summary": kept["guidance"]["summary"], "details": kept}
            output.RESULTS.mkdir(exist_ok=True)
            (output.RESULTS / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False) + "\n")
        guidance = Guidance.model_validate(document["details"]["guidance"])
        pictures(guidance, name_of(document["details"]), PICTURES)
        print(guidance_table.markdown(guidance))
        print(_told(document["details"]["jobs"], guidance))
        guidances.append(guidance)
    print(json.dumps(headline(guidances)))


if __name__ == "__main__":
    main()
