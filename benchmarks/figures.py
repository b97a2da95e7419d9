"""Published figures: what each folder's README.md says is written from the kept results, as they were measured.

    python -m benchmarks.figures

A block between `<!-- figures: KIND NAME -->` and `<!-- end -->` is made from results/NAME.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import output

PAGES = sorted(Path(__file__).parent.rglob("README.md"))
_BLOCK = re.compile(r"(<!-- figures: (?P<kind>\w+) (?P<name>[\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_OPERATORS = 6

Json = dict[str, Any]


def written(text: str, results: Path = output.RESULTS) -> str:
    """The text with all its blocks made anew; a block whose result is not there stays as it is."""

    def block(found: re.Match[str]) -> str:
        path = results / f"{found['name']}.json"
        if not path.is_file():
            return found[0]
        result = json.loads(path.read_text())
        return f"{found[1]}{_about(result, path.name)}\n\n{_KINDS[found['kind']](result)}\n{found[4]}"

    return _BLOCK.sub(block, text)


def _about(result: Json, file: str) -> str:
    machine, versions = result["machine"], result["versions"]
    units = f" ({' '.join(machine['vector_units'])})" if machine["vector_units"] else ""
    place = f"{machine['processor']}, {machine['cores']} cores{units}, {machine['memory_gib']} GiB"
    accelerator = f", {machine['accelerator']}" if machine["accelerator"] else ", no accelerator"
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    load = f"load before the run {machine['load_before']:.1f}"
    return (
        f"*{place}{accelerator}; {names}; commit {result['commit']}, {result['when'][:10]}; {load}; `results/{file}`*"
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(headings), ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _throughput(result: Json) -> str:
    from benchmarks.engines.throughput import GOALS

    details = result["details"]
    limits = details["limits"]
    ratios = [key for key in result if "_vs_" in key]
    parts = [
        _table(
            ["", "measured", "goal"],
            [[key, output.times(result[key]), output.times(GOALS.get(key))] for key in ratios],
        ),
        f"The machine's limits, measured in the same run: {limits['product'] / 1e9:.0f} GFLOP/s in one large fp32 "
        f"product, {limits['small_products'] / 1e9:.0f} in products of 64 x 64 x 64, "
        f"{limits['convolution'] / 1e9:.0f} in 3x3 convolutions, {limits['copy'] / 1e9:.1f} GB/s in a copy.",
    ]
    return "\n\n".join(parts + [_problem(problem, limits) for problem in details["problems"]])


def _problem(problem: Json, limits: Json) -> str:
    rows = output.race(problem, limits["product"], limits["copy"])
    headings = ["", "images/s", "spread", "over the loop", "compilation", "of FLOP/s", "of bytes/s"]
    text = f"**{problem['words']}**, {problem['train_images']} training images\n\n{_table(headings, rows)}"
    for one in problem["failed"]:
        text += f"\n\n{one['side']} did not run: {one['reason'].strip().splitlines()[-1]}"
    for side, operators in problem["profiles"].items():
        named = ", ".join(f"`{one['operator']}` {100 * one['share']:.0f} %" for one in operators[:_OPERATORS])
        text += f"\n\nA goal is missed. Where the time of an epoch goes ({side}): {named}."
    return text


def _part(result: Json, name: str) -> Json:
    """The details of one benchmark, from its own result or from the one of throughput, which has it within."""
    part: Json = result["details"].get(name, result["details"])
    return part


def _memory(result: Json) -> str:
    rows = [
        [
            row["problem"],
            output.engine(row),
            str(row["lanes"]),
            f"{row['peak_mib'] - row['ready_mib']:.1f}",
            f"{row['mib_per_lane']:.2f}",
            output.mib(row.get("mib_of_one_more")),
        ]
        for row in _part(result, "memory")["cases"]
    ]
    headings = ["student", "engine", "lanes", "MiB above ready", "MiB per lane", "MiB of one more lane"]
    return _table(headings, rows)


def _search(result: Json) -> str:
    details = _part(result, "search")
    rows = [
        [
            name,
            f"{details['median_s'][name]:.0f} s",
            ", ".join(f"{run.get('seconds', run.get('search_s')):.0f}" for run in runs),
            f"{runs[0]['trials']} / {runs[0]['epochs']}",
        ]
        for name, runs in details["runs"].items()
    ]
    return _table(["", "wall-clock", "each run, s", "trials / epochs"], rows)


def _interval(interval: Json) -> str:
    return f"{100 * interval['mean']:+.2f} [{100 * interval['low']:+.2f}, {100 * interval['high']:+.2f}]"


def _views(result: Json) -> str:
    cases = result["details"]["cases"]
    counts = sorted({int(count) for case in cases for count in case["differences"]})
    rows = []
    for case in cases:
        fresh = [accuracy for draw in case["fresh"] for accuracy in draw]
        cells = [_interval(case["differences"][str(c)]) if str(c) in case["differences"] else "" for c in counts]
        trained = f"{len(fresh)} in {len(case['fresh'])}"
        rows.append([case["case"], trained, f"{100 * sum(fresh) / len(fresh):.2f}", *cells])
    return _table(["", "seeds in draws", "fresh, %", *(f"V={count}" for count in counts)], rows)


def _precision(result: Json) -> str:
    rows = [
        [
            case["case"],
            str(case["difference"]["pairs"]),
            _interval(case["difference"]),
            output.times(case["bf16_speed_over_fp32"]),
        ]
        for case in result["details"]["cases"]
    ]
    return _table(["", "seeds", "bf16 - fp32, points", "speed over fp32"], rows)


def _overhead(result: Json) -> str:
    from benchmarks.serving.overhead import rows

    headings = ["", "workers", "ms per trial", "trials/s", "of Optuna's seconds", "errors"]
    missed = ", ".join(result["missed"]) or "none"
    table = _table(headings, rows(result["details"]["points"]))
    return f"{table}\n\nGoal: at most {result['goal']:.2f} of plain Optuna's seconds at every point. Missed: {missed}."


def _load(result: Json) -> str:
    from benchmarks.serving.load import rows

    headings = ["", "requests", "p50, ms", "p99, ms", "errors"]
    slope = result["memory_mib_per_minute"]
    growth = "not known" if slope is None else f"{slope:+.1f} MiB a minute"
    judged = "" if result["memory_judged"] else " (too short a run to judge)"
    missed = ", ".join(result["goals_missed"]) or "none"
    return (
        f"{_table(headings, rows(result['details']['sides']))}\n\n"
        f"p99 of reads {1000 * result['reads_p99']:.0f} ms with {result['clients']} clients; the dashboard's median "
        f"{1000 * result['dashboard_p50']:.0f} ms with {result['dashboard_clients']}, "
        f"{1000 * result['dashboard_alone_p50']:.0f} ms with one alone. Errors: {result['errors']}. Resident memory: "
        f"{growth}{judged}. Goals missed: {missed}."
    )


def _share(part: Json | None) -> str:
    return "-" if part is None else f"{100 * part['share']:.0f} % of {part['of']}"


def _search_regret(result: Json) -> str:
    from benchmarks.searching.cost.regrets import GOALS

    details = result["details"]
    ratios = []
    beside = ("answer_vs_", "winner_vs_", "best_tried_vs_", "noiseless_vs_")
    for key in [*GOALS, *(key for key in result if key.startswith(beside))]:
        one = result[key]
        if one is not None:
            goal = f"{GOALS[key]:g}" if key in GOALS else ""
            each = [f"{part['ratio']:.2f}" for part in one["by_context"].values()]
            ratios.append([key, f"{one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f})", goal, ", ".join(each)])
    contexts = ", ".join(result["contexts"])
    parts = [f"Goals missed: {'; '.join(result['regret_goals_missed']) or 'none'}."]
    parts.append(_table(["", "ratio, 95 %", "at most", contexts], ratios))
    for part, title in (("at_totals", "at a total of trainings"), ("after", "after trials of the search")):
        for context, by_budget in details[part].items():
            names = dict.fromkeys(name for one in by_budget.values() for name in one if name != "trainings")
            rows = [
                [
                    name,
                    str(next(iter(by_budget.values()))[name][2]),
                    *(f"{one[name][0]:.2f}" for one in by_budget.values()),
                ]
                for name in names
            ]
            parts.append(_table([f"{context}, {title}", "runs", *by_budget], rows))
    return "\n\n".join(parts)


def _search_cost(result: Json) -> str:
    details = result["details"]
    parts = [f"Goals missed: {'; '.join(result['goals_missed']) or 'none'}. Contexts: {', '.join(result['contexts'])}."]
    for key in ("cost_vs_grid", "cost_vs_best_peer", "warm_start_saving", "misled_cost"):
        one = result[key]
        if one is not None:
            name = f" ({one['name']})" if "name" in one else ""
            parts.append(f"{key}{name}: {one['median']:.3g}, 95 % {one['low']:.3g} to {one['high']:.3g}")
    for context, costs in details["costs"].items():
        rows = []
        for method, forms in costs.items():
            for form in ("confirmed", "shipped"):
                if form in forms:
                    one = forms[form]
                    over = "over " if one["never_hit"] else ""
                    cost = f"{over}{one['trainings']:.0f} [{one['low']:.0f}, {one['high']:.0f}]"
                    hits, regret = f"{one['hits']}/{one['runs']}", one["regret_points"]
                    told = "-" if regret is None else f"{regret:.2f}"
                    rows.append([method, form, str(one["budget"] or "all"), cost, hits, told])
        parts.append(f"**{context}**")
        parts.append(_table(["", "answer", "budget", "trainings", "hits", "regret, points"], rows))
    jobs = [
        [
            context,
            str(job["jobs"]),
            f"{job['regret_points']['median']:.2f}",
            _share(job["winner_within_tolerance"]),
            "-" if job.get("winner_chance_stated") is None else f"{100 * job['winner_chance_stated']:.0f} %",
            _share(job.get("shortfall_bound_coverage")),
            "-" if job.get("shortfall_bound_points") is None else f"{job['shortfall_bound_points']:.2f}",
            *(_share(job[key]) for key in ("gain_coverage", "confidence_set_coverage")),
            "-" if job["confidence_set_width"] is None else f"{job['confidence_set_width']:.2f}",
        ]
        for context, job in details["jobs"].items()
    ]
    headings = [
        "whole jobs",
        "jobs",
        "regret, points",
        "within 0.2",
        "stated",
        "bound holds",
        "bound, points",
        "gains hold",
        "set holds",
        "width of the set",
    ]
    missed = [f"Missed: {name}: {why}." for name, why in details["missed"].items()]
    return "\n\n".join([*parts, *([_table(headings, jobs)] if jobs else []), *missed])


def _bias(result: Json) -> str:
    from benchmarks.calibration.bias import words

    order, halved = [], []
    for name, one in result["details"].items():
        for optimizer, places in one["order"].items():
            best = [f"{at['best_temperature']:g} ({at['range'][0]:g}-{at['range'][1]:g})" for at in places]
            taus = " ".join(f"{at['tau']:.2f}" for at in places[:-1])
            lost = ", ".join(f"{at['lost_points']:.2f}" for at in places[:2])
            order.append([f"{name}, {optimizer}", str(one["length"]), *best, taus, lost])
        for who, ways in one["halving"].items():
            each = [f"{loss['lost']['mean']:+.2f}; {words(loss['by_temperature'])}" for loss in ways.values()]
            halved.append([f"{name}, {who}", *each])
    shares = [f"{100 * at['share']:.0f} %" for at in places]
    first = ["", "epochs", *(f"best T at {share}" for share in shares), f"tau at {', '.join(shares[:-1])}"]
    second = ["points lost; of them by T", *ways]
    return "\n\n".join([_table([*first, f"lost by T of {', '.join(shares[:2])}"], order), _table(second, halved)])


def _luck(result: Json) -> str:
    from benchmarks.searching.luck import AXES, JOBS, correlation_rows, job_rows

    details = result["details"]
    alike = [[f"{name}, {row[0]}", *row[1:]] for name, one in details.items() for row in correlation_rows(one)]
    jobs = [
        [f"{name}, {row[0]}", str(len(one["searches"])), *row[1:]]
        for name, one in details.items()
        if "jobs" in one
        for row in job_rows(one["jobs"])
    ]
    return "\n\n".join([_table(["", *AXES], alike), *([_table(["", "searches", *JOBS[1:]], jobs)] if jobs else [])])


def _blocks(result: Json) -> str:
    from benchmarks.searching.blocks import METHODS

    return _by_world(result, [method.name for method in METHODS])


def _pruned(result: Json) -> str:
    from benchmarks.searching.pruned import METHODS

    return _by_world(result, METHODS)


def _by_world(result: Json, methods: Sequence[str]) -> str:
    """Each measure of each method, and by how much it is more than the first one's."""
    from benchmarks.searching.paired_runs import WORLDS, words

    parts = []
    for world in (world for world in WORLDS if world in result):
        measures = result[world]
        first = next(iter(measures.values()))
        names = [name for name in methods if name in first]
        rows = [[measure, *(words(of.get(name)) for name in names)] for measure, of in measures.items()]
        pairs = ["pairs", *(str(first[name]["pairs"]) for name in names)]
        parts += [f"**{world}**", _table(["", *names], [pairs, *rows])]
    return "\n\n".join(parts)


def _averaged(result: Json) -> str:
    from benchmarks.searching.averaged import HEADINGS, shown

    rows = [[name, *shown(row)] for name, rows in result["details"].items() for row in rows]
    return _table(["", *HEADINGS], rows)


def _ranges(result: Json) -> str:
    from benchmarks.searching.ranges import compared

    headings: list[str] = []
    body: list[list[str]] = []
    for name, own in result["details"]["rows"].items():
        headings, rows = compared(own)
        body += [[f"{name}, {row[0]}", *row[1:]] for row in rows]
    return _table(headings, body)


def _pages(result: Json) -> str:
    rows = [
        [
            f"{page['side']}: {page['page']}",
            *(f"{1000 * page[name]:.0f}" for name in ("first_seconds", "seconds")),
            f"{page['kilobytes']:,.0f}",
        ]
        for page in result["details"]["pages"]
    ]
    missed = ", ".join(result["goals_missed"]) or "none"
    return f"{_table(['', 'first, ms', 'median, ms', 'kB'], rows)}\n\nGoals missed: {missed}."


def _newcomer(result: Json) -> str:
    ways = [
        ("clone to answer", "answer_s", ""),
        ("a job of one's own, to its first trained trial", "own_first_trial_s", "own_"),
    ]
    ways.append(("a training of one's own, to its first trial", "training_first_trial_s", "training_"))
    rows = [
        [way, f"{result[name]:.0f} s", str(result[f"{part}commands"]), str(result[f"{part}decisions"])]
        for way, name, part in ways
    ]
    details = result["details"]
    installing = details["demo"]["installed"] - details["demo"]["cloned"]
    decided = ", ".join(details["training_fields"])
    return (
        f"{_table(['', 'time', 'commands', 'decisions'], rows)}\n\nOf the first, {installing:.0f} s install "
        f"{details['installed_gb']:.1f} GB. Decided for a training of one's own: {decided}."
    )


_KINDS: dict[str, Callable[[Json], str]] = {
    "load": _load,
    "pages": _pages,
    "newcomer": _newcomer,
    "overhead": _overhead,
    "throughput": _throughput,
    "memory": _memory,
    "search": _search,
    "views": _views,
    "precision": _precision,
    "search_cost": _search_cost,
    "search_regret": _search_regret,
    "bias": _bias,
    "blocks": _blocks,
    "pruned": _pruned,
    "luck": _luck,
    "averaged": _averaged,
    "ranges": _ranges,
}


def main() -> int:
    """Writes the pages anew."""
    for page in PAGES:
        page.write_text(written(page.read_text()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
