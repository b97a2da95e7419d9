"""The chart of the temperature response: quality over T, its band, the trials and the sets of best temperatures."""

from __future__ import annotations

from collections.abc import Sequence

from search import units
from service.pages import svg
from service.pages.chart_axes import log_scale, quality_ticks, roomy
from service.pages.picture_softness import entropy_at
from service.pages.svg import Element, Scale
from thermowell.api.answers import Contestant, ResponsePoint, Result, TemperatureResponse, TemperatureSet

WIDTH, HEIGHT = 720, 486
LEFT, RIGHT, TOP, BOTTOM = 58, 578, 90, 346  # of the plot itself


def draw(result: Result | None, response: TemperatureResponse) -> str:
    """The response as SVG; where there is none, the trials alone, or a sentence."""
    metric = units.shown(response)
    title = f"{units.measure(metric).heading} over temperature"
    root = svg.picture("tw-response", WIDTH, HEIGHT, title, _description(result, response))
    svg.text(root, 20, 28, title, size=16, weight=600)
    kind = "lower is better" if response.direction == "minimize" else "on the validation part"
    subtitle = "for each temperature, the other settings at their best for it" if response.overall else "trials alone"
    svg.text(root, 20, 46, f"{kind}; {subtitle}", fill="soft")
    temperatures = _temperatures(response)
    values = shown_values(result, response)
    if not temperatures or not values:
        svg.text(root, WIDTH / 2, HEIGHT / 2, "No temperature was searched.", fill="soft", size=14, anchor="middle")
        return svg.to_text(root)
    across = log_scale(temperatures[0], temperatures[-1], (LEFT, RIGHT))
    up = Scale(roomy(values, metric), (BOTTOM, TOP))
    _axes(root, response, across, up)
    _observations(root, response, across, up)
    _curves(root, result, response, across, up)
    _contestants(root, result, across, up)
    _sets(root, response, across)
    _legend(root, result, response)
    return svg.to_text(root)


def _description(result: Result | None, response: TemperatureResponse) -> str:
    summary = result.summary if result else "The job has no answer."
    return summary if response.overall else f"{summary} There are too few trials for a response."


def _temperatures(response: TemperatureResponse) -> list[float]:
    if response.overall:
        return [point.temperature for point in response.overall.points]
    return sorted({observation.temperature for observation in response.observations})


def shown_values(result: Result | None, response: TemperatureResponse) -> list[float]:
    """What must be inside of the plot: curves and bands, estimates of winner and tuned baselines, but no outliers."""
    estimates = [contestant.validation for contestant in _contestants_shown(result)]
    ends = [
        end for estimate in estimates if estimate.interval for end in (estimate.interval.low, estimate.interval.high)
    ]
    label_mean = _label_only_mean(result)
    ends += [] if label_mean is None else [label_mean]
    if response.overall:
        curves = [response.overall, *response.per_optimizer]
        values = [point.mean for point in response.overall.points]
        ends += [end for curve in curves for point in curve.points for end in (point.low, point.mean, point.high)]
    else:
        values = [estimate.value for estimate in response.observations if estimate.state == "completed"]
    values += [estimate.mean for estimate in estimates if estimate.mean is not None]
    if not values:
        return []
    # Intervals that know nothing, and an optimizer that is far worse, would flatten all that matters.
    room = 1.5 * (max(values) - min(values)) + 1e-9
    return values + [end for end in ends if min(values) - room <= end <= max(values) + room]


def _contestants_shown(result: Result | None) -> list[Contestant]:
    """The contestants with a place in the picture: winner, and tuned T = 1 and T = 4."""
    if result is None:
        return []
    baselines = [c for c in result.baselines if c.variant == "tuned" and c.arm != "label_only"]
    return [c for c in [*baselines, result.winner] if c.validation.mean is not None]


def _label_only_mean(result: Result | None) -> float | None:
    """The mean of training without distillation, tuned for itself."""
    baselines = result.baselines if result else []
    means = (c.validation.mean for c in baselines if (c.arm, c.variant) == ("label_only", "tuned"))
    return next(means, None)


def _axes(root: Element, response: TemperatureResponse, across: Scale, up: Scale) -> None:
    for value, label in quality_ticks(up, units.shown(response), about=6):
        svg.line(root, LEFT, up(value), RIGHT, up(value), "rule")
        svg.text(root, LEFT - 8, up(value) + 4, label, fill="soft", anchor="end")
    softness = sorted(response.softness)
    if softness:
        svg.text(root, RIGHT + 16, TOP - 10, "teacher's entropy", fill="soft", size=11.5)
        svg.text(root, RIGHT + 16, TOP + 4, "at T, in nats", fill="soft", size=11.5)
    for value in across.ticks():
        x = across(value)
        svg.line(root, x, TOP, x, BOTTOM + 5, "rule")
        svg.text(root, x, BOTTOM + 19, units.number(value), fill="soft", anchor="middle")
        if softness:
            words = units.number(entropy_at(softness, value), 2)
            svg.text(root, x, TOP - 10, words, fill="soft", size=11.5, anchor="middle")
    svg.line(root, LEFT, BOTTOM, RIGHT, BOTTOM, "soft")
    svg.text(root, RIGHT + 16, BOTTOM + 19, "temperature", fill="soft")


def _observations(root: Element, response: TemperatureResponse, across: Scale, up: Scale) -> None:
    """One dot for each trial, a ring where it was stopped early; those outside of the plot are counted in a corner."""
    group = svg.add(root, "g")
    worse = 0
    for observation in response.observations:
        if not across.low * 0.999 <= observation.temperature <= across.high * 1.001:
            continue
        if not up.low <= observation.value <= up.high:
            worse += 1
            continue
        x, y = across(observation.temperature), up(observation.value)
        colour = _colour(observation.optimizer)
        if observation.state == "completed":
            svg.add(group, "circle", fill=colour, cx=x, cy=y, r=2.6, fill_opacity=0.4)
        else:  # stopped early: its value is of a shorter training
            svg.add(group, "circle", stroke=colour, cx=x, cy=y, r=2.2, stroke_opacity=0.45)
    if worse:
        words = f"{worse} more trial{'' if worse == 1 else 's'} outside of the picture"
        y = TOP + 16 if response.direction == "minimize" else BOTTOM - 8
        svg.text(root, LEFT + 8, y, words, fill="soft", size=11.5, halo=True)


def _curves(root: Element, result: Result | None, response: TemperatureResponse, across: Scale, up: Scale) -> None:
    """The band of the best of all, a line for each optimizer, one for no distillation, and the names at their ends."""

    def line(points: Sequence[ResponsePoint], end: str) -> list[tuple[float, float]]:
        return [(across(p.temperature), min(max(up(getattr(p, end)), TOP), BOTTOM)) for p in points]

    labels: list[tuple[str, str, float]] = []
    overall = response.overall
    if overall is not None:
        around = [*line(overall.points, "high"), *reversed(line(overall.points, "low"))]
        svg.add(root, "path", fill="band", d=svg.path(around, closed=True), fill_opacity=0.24)
    label_mean = _label_only_mean(result)
    if label_mean is not None and up.low <= label_mean <= up.high:
        y = up(label_mean)
        svg.line(root, LEFT, y, RIGHT, y, "soft", 1.6, stroke_dasharray="1.5 4", stroke_linecap="round")
        labels.append(("no distillation", "soft", y))
    dashes = "5 4" if len(response.per_optimizer) > 1 else ""
    for curve in response.per_optimizer:
        colour = _colour(curve.optimizer or "")
        points = line(curve.points, "mean")
        svg.add(root, "path", stroke=colour, d=svg.path(points), stroke_width=2, stroke_dasharray=dashes)
        labels.append((units.OPTIMIZERS.get(curve.optimizer or "", ""), colour, points[-1][1]))
    if overall is not None:
        points = line(overall.points, "mean")
        svg.add(root, "path", stroke="ink", d=svg.path(points), stroke_width=2.4, stroke_linejoin="round")
    places = svg.spread_out([y for _, _, y in labels], 16, TOP + 24, BOTTOM - 2)
    for (words, colour, _), place in zip(labels, places, strict=True):
        svg.text(root, RIGHT + 16, place + 4, words, fill=colour, weight=600)


def _contestants(root: Element, result: Result | None, across: Scale, up: Scale) -> None:
    """Winner and tuned baselines on fresh seeds, with their intervals."""
    for contestant in _contestants_shown(result):
        temperature, mean = float(contestant.configuration["temperature"]), contestant.validation.mean
        if mean is None or not across.low * 0.999 <= temperature <= across.high * 1.001:
            continue
        x, interval = across(temperature), contestant.validation.interval
        won = contestant.arm == "joint"
        if interval is not None:
            low, high = (min(max(up(end), TOP), BOTTOM) for end in (interval.low, interval.high))
            svg.line(root, x, low, x, high, "best" if won else "ink", 2)
        _diamond(root, x, up(mean), won=won)


def _diamond(root: Element, x: float, y: float, *, won: bool) -> None:
    size = 6.5 if won else 5.0
    corners = [(x, y - size), (x + size, y), (x, y + size), (x - size, y)]
    colour = "best" if won else "ink"
    svg.add(root, "path", fill=colour if won else "paper", stroke=colour, d=svg.path(corners, True), stroke_width=2)


def _sets(root: Element, response: TemperatureResponse, across: Scale) -> None:
    """Below the axis: which temperatures may be best, and which are shown to be as good."""
    if response.overall is None:
        return
    delta = units.difference(units.shown(response), response.delta)
    for index, (temperatures, words, colour) in enumerate(
        [
            (response.overall.confidence_set, "may be the best", "best"),
            (response.overall.equivalent_set, f"within {delta}", "close"),
        ]
    ):
        y = BOTTOM + 44 + 22 * index
        svg.text(root, RIGHT + 16, y + 4, words, fill=colour, size=11.5, weight=600)
        if temperatures.intervals:
            svg.line(root, LEFT, y, RIGHT, y, "rule", 1)
            _bars(root, temperatures, across, y, colour)
        else:
            svg.text(root, LEFT, y + 4, "none is shown to be: the trials are too few to tell", fill="soft", size=11.5)


def _bars(root: Element, temperatures: TemperatureSet, across: Scale, y: float, colour: str) -> None:
    for low, high in temperatures.intervals:
        left, right = across(low), across(high)
        svg.add(root, "rect", fill=colour, x=left, y=y - 4, width=max(right - left, 2), height=8, rx=2)


def _legend(root: Element, result: Result | None, response: TemperatureResponse) -> None:
    trials = [("trial", "a trial")]
    if any(observation.state != "completed" for observation in response.observations):
        trials.append(("stopped", "one that was stopped early"))
    if response.overall:
        confidence = units.percent(response.overall.confidence_set.confidence)
        trials.append(("line", f"the best at each T, with its {confidence} band"))
    fresh = [("won", "chosen, on fresh seeds")] if _contestants_shown(result) else []
    if len(_contestants_shown(result)) > 1:
        fresh.append(("baseline", "T = 1 and T = 4, each tuned for itself, on fresh seeds"))
    for row, entries in enumerate((trials, fresh)):
        x, y = float(LEFT), HEIGHT - 42 + 20 * row
        for kind, words in entries:
            _sample(root, kind, x, y)
            svg.text(root, x + 24, y + 4, words, fill="soft", size=11.5)
            x += 24 + len(words) * 11.5 * svg.SANS + 16


def _sample(root: Element, kind: str, x: float, y: float) -> None:
    if kind == "trial":
        svg.add(root, "circle", fill="soft", cx=x + 9, cy=y, r=2.6, fill_opacity=0.6)
    elif kind == "stopped":
        svg.add(root, "circle", stroke="soft", cx=x + 9, cy=y, r=2.2)
    elif kind == "line":
        svg.add(root, "rect", fill="band", x=x, y=y - 6, width=18, height=12, fill_opacity=0.3)
        svg.line(root, x, y, x + 18, y, "ink", 2.4)
    else:
        _diamond(root, x + 9, y, won=kind == "won")


def _colour(optimizer: str) -> str:
    return optimizer if optimizer in units.OPTIMIZERS else "soft"
