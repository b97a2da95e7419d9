"""The verdict as a document: its configuration, its reasons and alternatives, and the two sentences that say it."""

from __future__ import annotations

import math
from dataclasses import replace

from search import units
from search.analysis.job.foresight import seeds_to_decide, trials_for
from search.analysis.job.gains import estimate
from search.analysis.job.options import Contest, Entry
from search.analysis.job.sanity import calibration
from search.analysis.job.verdict import BET, FAINT, RISK, Decision, GainOver
from search.analysis.job.wording import configured, settings
from search.spec.job import JobSpec, Ranged
from thermowell.api.answers import Alternative, Interval, Missing, Verdict, VerdictGain

MOST_ALTERNATIVES = 12
METHOD = (
    "Every configuration that was trained on fresh seeds, of the search, of each baseline and without distillation, is "
    "one option; those that are alike in every setting are one. So is the default T with the winner's settings, and "
    "with the best that were tried. Joint posterior draws of their means over seeds, from everything that was trained, "
    "say what each is expected to lose. The default T is kept where nothing is expected to gain more than delta over "
    f"it; labels alone are trained on where distilling gains more than delta with a chance of {100 * RISK:.0f} % at "
    "most; another T is used where its gain is expected above delta, and "
    f"positive with a chance of {100 * BET:.0f} % at the least (the better bet) or at the stated confidence over all "
    f"other choices at once (shown). Where the teacher has less than {100 * FAINT:.0f} % of the loss no T but the "
    "default one is recommended. Else nothing is decided. Intervals hold for the differences of every two options at "
    "once. Every extension looks again: of the error that the stated confidence allows, the k-th look spends "
    "6 / (pi k)^2, so that intervals hold at all looks together."
)


def verdict_of(spec: JobSpec, contest: Contest, decision: Decision) -> Verdict:
    """The document of a decision about a contest."""
    writer = _Writer(spec, contest, decision)
    entry = writer.entry
    draws, sign = contest.field.draws, 1.0 if spec.objective.direction == "maximize" else -1.0
    confidence = spec.confirmation.confidence
    values = {trial.seed: float(trial.value or 0.0) for trial in entry.runs}
    order = sorted(range(len(contest.entries)), key=lambda place: decision.losses[place])[:MOST_ALTERNATIVES]
    return Verdict(
        kind=decision.kind,
        shown=decision.shown,
        headline=writer.headline(),
        action=writer.action(),
        temperature=entry.option.temperature,
        between=decision.between,
        arm=entry.option.group,
        origin_trial=entry.origin,
        configuration=dict(entry.configuration),
        validation=estimate(values, confidence, spec.objective.bounds) if values else None,
        quality=calibration(entry),
        gain=None if decision.gain is None else writer.gain(decision.gain),
        gains=[writer.gain(gain) for gain in decision.gains],
        alternatives=[
            Alternative(
                arm=entry.option.group,
                temperature=entry.option.temperature,
                configuration=dict(entry.configuration),
                origin_trial=entry.origin,
                seeds=len(entry.runs),
                mean=float(sign * draws[:, place].mean()),
                deviation=float(draws[:, place].std()),
                behind=decision.losses[place],
                recommended=place == decision.place,
            )
            for place in order
            for entry in [contest.entries[place]]
        ],
        missing=writer.missing(),
        reasons=writer.reasons(),
        default_temperature=contest.field.default_temperature,
        delta=contest.field.delta,
        confidence=confidence,
        method=METHOD,
    )


class _Writer:
    """The sentences about one decision."""

    def __init__(self, spec: JobSpec, contest: Contest, decision: Decision) -> None:
        self.spec, self.contest, self.decision = spec, contest, decision
        self.metric = units.measure_of(spec.objective)
        self.entry = contest.entries[decision.place]
        self.seeds = seeds_to_decide(contest.field, decision)
        default = contest.field.default_temperature
        if decision.kind == "keep" and self.entry.option.temperature != default:  # alike, so that it is the default T
            configuration = {**self.entry.configuration, "temperature": default}
            option = replace(self.entry.option, temperature=default)
            self.entry = replace(self.entry, option=option, configuration=configuration)

    def headline(self) -> str:
        decision, words = self.decision, _in_full(self.spec, self.entry)
        if decision.kind == "labels":
            proven = ", as is shown" if decision.shown else ""
            return f"Distillation does not help here{proven}: train on the labels alone, with {words}."
        if decision.kind == "keep":
            return self._kept()
        if decision.kind == "undecided":
            rival = self.contest.entries[decision.rival] if decision.rival is not None else None
            return f"Not decided between {_short(self.entry)} and {_short(rival) if rival else 'the rest'}."
        if decision.shown:
            return f"Use {words}: shown to be better than {self._others()}."
        return f"Use {words}: the better bet, not shown."

    def action(self) -> str:
        decision, gain = self.decision, self.decision.gain
        if decision.kind == "labels":
            return f"Train without the teacher{self._best_distilled()}."
        if decision.kind == "keep":
            return f"Train with it{self._no_more()}{self._level()}."
        if decision.kind == "undecided":
            return f"Meanwhile use {_in_full(self.spec, self.entry)}{self._expected(gain)}. {self._more()}"
        return f"Train with it{self._expected(gain)}."

    def gain(self, gain: GainOver) -> VerdictGain:
        """One gain with its simultaneous interval."""
        option = self.contest.entries[gain.place].option
        interval = Interval(low=gain.low, high=gain.high, confidence=self.spec.confirmation.confidence)
        return VerdictGain(
            over=option.group, temperature=option.temperature, mean=gain.mean, interval=interval, chance=gain.chance
        )

    def missing(self) -> Missing | None:
        """How much more would decide. A confirmation brings seeds of its own, which an extension pays for anyway."""
        seeds, rival = self.seeds, self.decision.rival
        if seeds is None or rival is None:
            return None
        beyond = max(0, seeds - self.spec.confirmation.estimate_seeds)
        runs = len(self.entry.runs), len(self.contest.entries[rival].runs)
        trials = trials_for(beyond, self.contest.field, self.decision, runs, self.spec.budget.trials)
        return Missing(seeds=seeds, trials=max(1, trials))

    def reasons(self) -> list[str]:
        """Each gain in words, the strongest rival first, and what T does."""
        sentences = [
            f"Expected {'gain' if gain.mean >= 0 else 'loss'} {'over' if gain.mean >= 0 else 'against'} "
            f"{_short(self.contest.entries[gain.place])}: "
            f"{self._difference(gain, abs(gain.mean))}, better with a chance of {_percent(gain.chance)}."
            for gain in self.decision.gains
        ]
        if self.decision.between is not None:
            low, high = self.decision.between
            sentences.append(
                f"With these settings no T from {units.number(low, 2)} to {units.number(high, 2)} is expected to lose "
                f"what matters ({self._delta()}){'; that is shown' if self.decision.shown else ', which is not shown'}."
            )
        if (faint := self._faint()) is not None:
            sentences.append(f"Not recommended: {faint}.")
        return sentences

    def _kept(self) -> str:
        words, between = _in_full(self.spec, self.entry), self.decision.between
        if not isinstance(self.spec.space.temperature, Ranged):
            return f"Train at {words}; the spec fixed T."
        if between is None:
            if self.decision.faint is not None:
                return f"No other T is to be relied on: keep {words}."
            return f"No other T is expected to make a difference that matters: keep {words}."
        ends = f"between {units.number(between[0], 2)} and {units.number(between[1], 2)}"
        proven = ", as is shown" if self.decision.shown else ""
        return f"T makes no difference that matters {ends}{proven}: keep {words}."

    def _no_more(self) -> str:
        """That nothing else is expected to gain what matters, or what is and is no ground to prefer it."""
        if (faint := self._faint()) is not None:
            return f", and not with {faint}"
        return f": no other choice is expected to gain more than {self._delta()}"

    def _faint(self) -> str | None:
        """What looks better at another T and hardly asks the teacher."""
        if (place := self.decision.faint) is None:
            return None
        entry, more = self.contest.entries[place], -self.decision.losses[place]
        gain = units.difference(self.metric, more, units.decimals(self.metric, self.contest.field.delta))
        share = _percent(entry.option.share)
        better = f"looks {gain} better with {share} of the loss for the teacher"
        return f"{_short(entry)}, which {better}, so that T hardly counts"

    def _others(self) -> str:
        names = list(dict.fromkeys(_short(self.contest.entries[gain.place]) for gain in self.decision.gains))
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

    def _expected(self, gain: GainOver | None) -> str:
        if gain is None:
            return self._level()
        than = _short(self.contest.entries[gain.place])
        return (
            f": {self._difference(gain, gain.mean)} over {than} expected, better with a chance of "
            f"{_percent(gain.chance)}{self._level()}"
        )

    def _difference(self, gain: GainOver, mean: float) -> str:
        reach = Interval(low=gain.low, high=gain.high, confidence=self.spec.confirmation.confidence)
        return units.difference(self.metric, mean, units.places(self.metric, reach))

    def _level(self) -> str:
        values = [float(trial.value or 0.0) for trial in self.entry.runs]
        if not values:
            return ""
        level = units.level(self.metric, math.fsum(values) / len(values))
        return f"; validation {self.metric.label} {level}"

    def _best_distilled(self) -> str:
        gain = next(iter(self.decision.gains), None)
        if gain is None:
            return self._level()
        word = "less" if gain.mean >= 0 else "more"
        rival = _short(self.contest.entries[gain.place])
        return f": {rival} is expected to reach {self._difference(gain, abs(gain.mean))} {word}{self._level()}"

    def _delta(self) -> str:
        delta = self.contest.field.delta
        return units.difference(self.metric, delta, units.decimals(self.metric, delta))

    def _more(self) -> str:
        missing = self.missing()
        if missing is None:
            return ""
        seeds = f"{missing.seeds} more fresh seed{'' if missing.seeds == 1 else 's'} of each"
        trials = "1 more search trial" if missing.trials == 1 else f"{missing.trials} more search trials"
        return f"About {seeds} would tell: {trials} and a confirmation by thermowell extend JOB --to-decide"


def _in_full(spec: JobSpec, entry: Entry) -> str:
    """A configuration as one would train with it."""
    if entry.option.group == "label_only":
        return settings(entry.configuration, weight=False)
    if entry.configuration.get("method") is not None:
        return f"{_short(entry)} of plain distillation with {settings(entry.configuration)}"
    return configured(spec, entry.configuration)


def _short(entry: Entry) -> str:
    """A choice in two or three words."""
    if entry.option.group == "label_only":
        return "no distillation"
    if entry.option.temperature is None:
        return "the search's best"
    return units.at_temperature(entry.option.temperature)


def _percent(chance: float) -> str:
    """A chance in whole per cent, never certain."""
    return f"{min(99, max(1, round(100 * chance)))} %"
