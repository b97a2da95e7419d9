"""Output of a benchmark: tables of at most 80 columns, and one JSON object as its last line, kept as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"
WIDTH = 80


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; the first column is words, the others are figures. A last column too wide for 80 is cut."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    print(f"\n{title}")
    for number, row in enumerate([headings, *rows]):
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells)[:WIDTH].rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths)[:WIDTH])


def rate(images_per_second: float) -> str:
    """With three figures that count: 49.1, 151, 3,080,000."""
    if images_per_second < 100:
        return f"{images_per_second:.3g}"
    magnitude = 10 ** max(0, len(str(int(images_per_second))) - 3)
    return f"{round(images_per_second / magnitude) * magnitude:,}"


def times(ratio: float | None) -> str:
    """A ratio: 12.3x; a dash where there is none."""
    return "-" if ratio is None else f"{ratio:.3g}x"


def mib(amount: float | None) -> str:
    """MiB with two decimals; a dash where it was not measured."""
    return "-" if amount is None else f"{amount:.2f}"


def engine(case: Mapping[str, Any]) -> str:
    """The engine of a case of memory, as a table calls it."""
    program = "compiled" if case.get("compiled") else "layer by layer" if case.get("batched") else ""
    return f"{case['engine']}, {program}" if program else str(case["engine"])


def race(problem: Mapping[str, Any], product: float, copy: float) -> list[list[str]]:
    """A row for each side of a race, as both the terminal and the page show it: name, images/s, spread, over the loop,
    compilation, share of the machine's FLOP/s (`product`) and bytes/s (`copy`).
    """
    loop = max(row["images_per_s"] for row in problem["sides"] if row["kind"] == "loop")
    cost = problem["cost"]
    return [
        [
            row["side"],
            rate(row["images_per_s"]),
            f"{100 * row['spread']:.0f} %",
            times(row["images_per_s"] / loop),
            f"{row['compile_s']:.0f} s" if "compiled" in row["side"] else "",
            f"{100 * row['images_per_s'] * cost['operations'] / product:.0f} %",
            f"{100 * row['images_per_s'] * cost['bytes'] / copy:.0f} %",
        ]
        for row in problem["sides"]
    ]


def conclude(name: str | None, headline: dict[str, Any], details: dict[str, Any]) -> None:
    """Prints the headline as the last line; with a name, writes it with the details to results/<name>.json before."""
    if name:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps({**headline, "details": details}, indent=1) + "\n")
        print(f"\nKept in benchmarks/results/{path.name}")
    print(json.dumps(headline))
