"""The plan's decisions, and whole lives of jobs played through it by a ledger that is a list."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import configurations
from search.claims import planner
from search.claims.planner import Choose, FinalistChoice, Finished, JobSnapshot, MoveTo, NewTrial, NothingToDo, PlanRows
from search.spec.job import JobSpec
from search.states import BASELINE_ARMS, Arm, JobState, Stage, TrialState
from trainers.spec import Configuration, Optimizer


def spec_of(**parts: Any) -> JobSpec:
    smallest = {
        "name": "x",
        "dataset": {"name": "digits"},
        "teacher": {"model": {"name": "cnn"}, "training": {}, "optimizer": {}},
        "student": {"name": "mlp"},
        "training": {"epochs": 10},
    }
    apart = {"share": 0.25, "by": "arm", **parts.pop("baselines", {})}  # as every job was before the field
    return JobSpec.model_validate(smallest | {"baselines": apart} | parts)


def snapshot(spec: JobSpec, **changes: Any) -> JobSnapshot:
    empty = JobSnapshot(spec, JobState.RUNNING, 0, False, spec.budget.trials, spec.budget.epochs, None, 0, 0, {})
    return replace(empty, **changes)


def unread() -> NoReturn:
    raise AssertionError("the finished trials are read only where a stage has ended")


@dataclass
class Life:
    """A job whose trials end as `ends` says, all that may run at once running at once."""

    spec: JobSpec
    ends: Callable[[int, Stage, Arm], tuple[TrialState, float | None]]
    state: JobState = JobState.QUEUED
    round: int = 0
    stopped: bool = False
    budget: int = 0
    trials: list[dict[str, Any]] = field(default_factory=list)
    chosen: dict[int, FinalistChoice] = field(default_factory=dict)
    reason: Any = None

    def snapshot(self) -> JobSnapshot:
        counts: dict[Any, dict[TrialState, int]] = {}
        for trial in self.trials:
            if trial["stage"] in (Stage.SEARCH, Stage.BASELINE) or trial["round"] == self.round:
                states = counts.setdefault((trial["stage"], trial["arm"]), {})
                states[trial["state"]] = states.get(trial["state"], 0) + 1
        search = [trial for trial in self.trials if trial["stage"] is Stage.SEARCH]
        epochs = sum(trial["epoch"] for trial in search)
        budget = self.budget or self.spec.budget.trials
        return JobSnapshot(
            self.spec, self.state, self.round, self.stopped, budget, self.spec.budget.epochs, None,
            len(search), epochs, counts,
        )  # fmt: skip

    def finished(self) -> list[Finished]:
        return [
            Finished(
                number, trial["stage"], trial["arm"], trial["round"], trial["origin"], trial["state"], trial["value"],
                trial["configuration"], trial["seed"] or 0,
            )
            for number, trial in enumerate(self.trials)
            if trial["state"] is not TrialState.RUNNING
        ]  # fmt: skip

    def add(self, stage: Stage, arm: Arm, **more: Any) -> None:
        number = len(self.trials)
        drawn = Configuration(
            temperature=1.0 + number, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("sgd", 0.1 + number)
        )
        trial = {"stage": stage, "arm": arm, "variant": None, "round": self.round, "origin": None, "value": None}
        trial |= {"configuration": configurations.to_json(configurations.in_arm(drawn, arm)), "seed": None}
        self.trials.append(trial | {"state": TrialState.RUNNING, "epoch": self.spec.training.epochs} | more)

    def live(self, lanes: int) -> None:
        """Until nothing is left to be decided; every job must come to an end."""
        for _ in range(100_000):
            running = [trial for trial in self.trials if trial["state"] is TrialState.RUNNING]
            following = planner.decide(self.snapshot(), self.finished, lambda: self.chosen.get(self.round))
            if isinstance(following, NewTrial) and len(running) < lanes:
                self.state = JobState.RUNNING
                self.add(following.stage, following.arm)
            elif isinstance(following, PlanRows):
                self.state = JobState.CONFIRMING
                for row in following.rows:
                    self.add(
                        row.stage, row.arm, variant=row.variant, round=row.round, origin=row.origin,
                        configuration=dict(row.configuration), seed=row.seed,
                    )  # fmt: skip
            elif isinstance(following, Choose):
                assert not running
                self.choose()
            elif isinstance(following, MoveTo):
                self.state, self.reason = following.state, following.reason
            elif running:
                number = self.trials.index(running[0])
                state, value = self.ends(number, running[0]["stage"], running[0]["arm"])
                running[0] |= {"state": state, "value": value}
                running[0]["epoch"] = 4 if state is TrialState.PRUNED else running[0]["epoch"]
            else:
                return
        raise AssertionError("the job never ends")

    def choose(self) -> None:
        """As a worker would that has no model: the best values of each arm."""
        most, finished = self.spec.confirmation.finalists, self.finished()
        best = {arm: planner.candidates(self.spec, finished, arm)[:most] for arm in Arm}
        self.chosen[self.round] = FinalistChoice(
            {arm: tuple(one.number for one in found) for arm, found in best.items()}
        )

    def of(self, stage: Stage, **wanted: Any) -> list[dict[str, Any]]:
        return [
            trial for trial in self.trials
            if trial["stage"] is stage and all(trial[key] == value for key, value in wanted.items())
        ]  # fmt: skip


def rising(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
    return TrialState.COMPLETED, number / 1000


@pytest.mark.parametrize("lanes", [1, 3, 64])
def test_a_job_from_its_first_trial_to_its_analysis(lanes: int) -> None:
    life = Life(spec_of(budget={"trials": 12}, baselines={"share": 0.25}), rising)
    life.live(lanes)
    assert life.state is JobState.ANALYSING
    assert len(life.of(Stage.SEARCH)) == 12
    assert all(len(life.of(Stage.BASELINE, arm=arm)) == 3 for arm in BASELINE_ARMS)
    select, estimate = life.of(Stage.SELECT), life.of(Stage.ESTIMATE)
    assert len(select) == 4 * 3 * 3
    assert len(estimate) == (1 + 3 + 3) * 5
    contestants = [(trial["arm"], trial["variant"]) for trial in estimate]
    tuned = [(arm, variant) for arm in BASELINE_ARMS for variant in ("tuned", "same_settings")]
    assert set(contestants) == {(Arm.JOINT, "winner"), *tuned}


def test_contestants_share_their_seeds_and_no_seed_has_two_purposes() -> None:
    life = Life(spec_of(budget={"trials": 40}), rising)
    life.live(4)
    searched = {planner.trial_seed(life.spec.seed, number) for number in range(500)}
    selected = {trial["seed"] for trial in life.of(Stage.SELECT)}
    estimated = {trial["seed"] for trial in life.of(Stage.ESTIMATE)}
    assert (len(searched), len(selected), len(estimated)) == (500, 3, 5)
    assert not searched & selected
    assert not searched & estimated
    assert not selected & estimated
    for arm, variant in {(trial["arm"], trial["variant"]) for trial in life.of(Stage.ESTIMATE)}:
        assert {trial["seed"] for trial in life.of(Stage.ESTIMATE, arm=arm, variant=variant)} == estimated


def test_the_winner_is_chosen_by_the_mean_over_select_seeds_not_by_the_search() -> None:
    def ends(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
        if stage is Stage.SELECT:  # the search's third best does best on fresh seeds
            return TrialState.COMPLETED, {7: 0.5, 6: 0.4, 5: 0.9}.get(life.trials[number]["origin"], 0.1)
        return rising(number, stage, arm)

    life = Life(spec_of(budget={"trials": 8}), ends)
    life.live(1)
    [origin] = {trial["origin"] for trial in life.of(Stage.ESTIMATE, variant="winner")}
    assert origin == 5
    assert {trial["origin"] for trial in life.of(Stage.ESTIMATE, variant="same_settings")} == {5}
    same = life.of(Stage.ESTIMATE, arm=Arm.T4, variant="same_settings")[0]["configuration"]
    winner = life.of(Stage.ESTIMATE, variant="winner")[0]["configuration"]
    assert same == winner | {"temperature": 4.0}
    label_only = life.of(Stage.ESTIMATE, arm=Arm.LABEL_ONLY, variant="same_settings")[0]["configuration"]
    assert label_only == winner | {"temperature": 1.0, "kd_weight": 0.0, "label_weight": 1.0}


def test_smaller_is_better_where_the_objective_says_so() -> None:
    life = Life(spec_of(budget={"trials": 8}, objective={"metric": "nll"}), rising)
    life.live(1)
    assert {trial["origin"] for trial in life.of(Stage.SELECT, arm=Arm.JOINT)} == {0, 1, 2}
    assert {trial["origin"] for trial in life.of(Stage.ESTIMATE, variant="winner")} == {0}


def test_a_finalist_that_fails_on_a_seed_stands_behind_all_others() -> None:
    def ends(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
        if stage is not Stage.SELECT:
            return rising(number, stage, arm)
        origin = life.trials[number]["origin"]
        if origin == 7 and not failed:
            failed.append(number)
            return TrialState.FAILED, None
        return TrialState.COMPLETED, origin / 1000

    failed: list[int] = []
    life = Life(spec_of(budget={"trials": 8}), ends)
    life.live(1)
    assert failed
    assert {trial["origin"] for trial in life.of(Stage.ESTIMATE, variant="winner")} == {6}


def test_the_same_configuration_twice_is_one_finalist() -> None:
    life = Life(spec_of(budget={"trials": 6}, confirmation={"finalists": 2}), rising)
    life.live(6)
    same = configurations.to_json(
        Configuration(temperature=3.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("sgd", 0.1))
    )
    finished = [replace(trial, configuration=same) if trial.number > 3 else trial for trial in life.finished()
                if trial.stage in (Stage.SEARCH, Stage.BASELINE)]  # fmt: skip
    found = planner.candidates(life.spec, finished, Arm.JOINT)
    assert [trial.number for trial in found] == [4, 3, 2, 1, 0]  # 5 is 4 again
    assert len(planner.candidates(life.spec, finished, Arm.T4)) == 1


def test_nobody_drops_out_and_nothing_ends_before_there_is_a_spread() -> None:
    life = Life(spec_of(budget={"trials": 8}, confirmation={"select_seeds": 1}), rising)
    life.live(3)
    assert len(life.of(Stage.SELECT, arm=Arm.JOINT)) == 3
    assert {trial["origin"] for trial in life.of(Stage.ESTIMATE, variant="winner")} == {5}  # the last to be trained


def test_a_finalist_that_is_shown_to_be_worse_trains_no_more() -> None:
    def ends(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
        if stage is not Stage.SELECT or arm is not Arm.JOINT:
            return rising(number, stage, arm)
        trial = life.trials[number]
        level = {7: 0.9, 6: 0.9, 5: 0.5}[trial["origin"]]
        return TrialState.COMPLETED, level + 0.01 * ((trial["seed"] * 7 + trial["origin"] * 3) % 5)

    life = Life(spec_of(budget={"trials": 8}, confirmation={"select_seeds": 6}), ends)
    life.live(1)
    seeds = {origin: len(life.of(Stage.SELECT, arm=Arm.JOINT, origin=origin)) for origin in (7, 6, 5)}
    assert seeds[7] == seeds[6] == 6
    assert 2 <= seeds[5] < 6
    assert {trial["origin"] for trial in life.of(Stage.ESTIMATE, variant="winner")} <= {6, 7}


def test_every_block_is_shared_by_all_that_are_left() -> None:
    def ends(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
        return TrialState.COMPLETED, (number * 7919 % 1000) / 1000

    life = Life(spec_of(budget={"trials": 8}, confirmation={"select_seeds": 4}), ends)
    life.live(5)
    seeds = planner.confirmation_seeds(life.spec, Stage.SELECT, 0)
    order = [seed for seed, _ in itertools.groupby(trial["seed"] for trial in life.of(Stage.SELECT))]
    assert order == seeds  # one block after the other, none twice
    for arm in (Arm.JOINT, Arm.T1):
        for origin in {trial["origin"] for trial in life.of(Stage.SELECT, arm=arm)}:
            assert [trial["seed"] for trial in life.of(Stage.SELECT, arm=arm, origin=origin)] == seeds[
                : len(life.of(Stage.SELECT, arm=arm, origin=origin))
            ]


def test_finalists_are_chosen_once_the_search_has_ended_and_not_before() -> None:
    spec = spec_of(budget={"trials": 4}, baselines={"share": 0})
    life = Life(spec, rising)
    for _ in range(4):
        life.add(Stage.SEARCH, Arm.JOINT)
    life.state = JobState.RUNNING
    assert planner.decide(life.snapshot(), unread, unread) == NothingToDo()  # they are still running
    for number, trial in enumerate(life.trials):
        trial |= {"state": TrialState.COMPLETED, "value": number / 10}
    assert planner.decide(life.snapshot(), life.finished, unread) == MoveTo(JobState.CONFIRMING)
    life.state = JobState.CONFIRMING
    for _ in range(2):  # whoever asks, whenever
        assert planner.decide(life.snapshot(), life.finished, lambda: None) == Choose()
    rows = planner.decide(life.snapshot(), life.finished, lambda: FinalistChoice({Arm.JOINT: (1, 3)}))
    assert isinstance(rows, PlanRows)
    assert [(row.origin, row.seed) for row in rows.rows] == [
        (origin, seed) for seed in planner.confirmation_seeds(spec, Stage.SELECT, 0)[:2] for origin in (1, 3)
    ]


def test_a_confirmation_that_began_before_choices_were_kept_goes_on() -> None:
    """All its seeds were planned at once, and no choice is stored: its own trials say who the finalists are."""
    spec = spec_of(budget={"trials": 6}, baselines={"share": 0}, confirmation={"finalists": 2})
    life = Life(spec, rising)
    for number in range(6):
        life.add(Stage.SEARCH, Arm.JOINT, state=TrialState.COMPLETED, value=number / 10)
    for seed in planner.confirmation_seeds(spec, Stage.SELECT, 0):
        for origin in (5, 4):
            life.add(Stage.SELECT, Arm.JOINT, origin=origin, seed=seed)
    life.state = JobState.CONFIRMING
    assert planner.decide(life.snapshot(), unread, unread) == NothingToDo()
    for trial in life.of(Stage.SELECT):
        trial |= {"state": TrialState.COMPLETED, "value": 0.5 + (0.1 if trial["origin"] == 4 else 0.0)}
    life.live(2)
    assert life.state is JobState.ANALYSING
    assert len(life.of(Stage.SELECT)) == 6
    assert {trial["origin"] for trial in life.of(Stage.ESTIMATE, variant="winner")} == {4}
    assert not life.chosen


def test_without_a_share_nothing_is_tuned() -> None:
    life = Life(spec_of(budget={"trials": 8}, baselines={"share": 0}), rising)
    life.live(2)
    assert not life.of(Stage.BASELINE)
    assert {trial["variant"] for trial in life.of(Stage.ESTIMATE)} == {"winner", "same_settings"}


def test_one_finalist_needs_no_selection() -> None:
    life = Life(spec_of(budget={"trials": 1}), rising)
    life.live(2)
    assert life.state is JobState.ANALYSING
    assert not life.of(Stage.SELECT)
    assert all(len(life.of(Stage.BASELINE, arm=arm)) == 1 for arm in BASELINE_ARMS)


def test_a_baseline_that_never_completed_is_not_tuned() -> None:
    def ends(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
        return (TrialState.FAILED, None) if arm is Arm.T4 and stage is Stage.BASELINE else rising(number, stage, arm)

    life = Life(spec_of(budget={"trials": 8}), ends)
    life.live(2)
    assert life.state is JobState.ANALYSING
    assert not life.of(Stage.ESTIMATE, arm=Arm.T4, variant="tuned")
    assert life.of(Stage.ESTIMATE, arm=Arm.T4, variant="same_settings")


def test_a_search_without_a_completed_trial_fails() -> None:
    life = Life(spec_of(budget={"trials": 5}), lambda number, stage, arm: (TrialState.PRUNED, 0.1))
    life.live(2)
    assert life.state is JobState.FAILED
    assert life.reason.type == "no-trials"


def test_stop_lets_running_trials_end_and_confirms_with_what_there_is() -> None:
    spec = spec_of(budget={"trials": 50})
    life = Life(spec, rising)
    for _ in range(5):
        life.add(Stage.SEARCH, Arm.JOINT)
    life.state, life.stopped = JobState.RUNNING, True
    assert planner.decide(life.snapshot(), unread, unread) == NothingToDo()
    life.live(4)
    assert life.state is JobState.ANALYSING
    assert (len(life.of(Stage.SEARCH)), len(life.of(Stage.BASELINE))) == (5, 0)


def test_an_extended_job_decides_by_its_newest_round() -> None:
    life = Life(spec_of(budget={"trials": 8}), rising)
    life.live(4)
    first = {trial["seed"] for trial in life.of(Stage.ESTIMATE)}
    life.state, life.round, life.budget = JobState.RUNNING, 1, 16
    life.live(4)
    assert life.state is JobState.ANALYSING
    assert len(life.of(Stage.SEARCH)) == 16
    assert all(len(life.of(Stage.BASELINE, arm=arm)) == 4 for arm in BASELINE_ARMS)
    second = {trial["seed"] for trial in life.of(Stage.ESTIMATE, round=1)}
    assert len(second) == 5
    assert not first & second
    joint = {trial["origin"] for trial in life.of(Stage.SELECT, round=1, arm=Arm.JOINT)}
    assert joint == set(sorted(number for number, trial in enumerate(life.trials)
                               if trial["stage"] is Stage.SEARCH)[-3:])  # fmt: skip


def test_epochs_that_a_pruned_trial_gave_back_are_spent() -> None:
    spec = spec_of(budget={"trials": 100, "epochs": 25}, baselines={"share": 0})
    pruned = itertools.cycle([TrialState.COMPLETED, TrialState.PRUNED])

    def ends(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
        return (next(pruned), 0.5) if stage is Stage.SEARCH else rising(number, stage, arm)

    life = Life(spec, ends)
    life.live(2)
    assert life.state is JobState.ANALYSING
    assert len(life.of(Stage.SEARCH)) == 3
    assert sum(trial["epoch"] for trial in life.of(Stage.SEARCH)) == 10 + 4 + 10


def test_epochs_are_waited_for_while_a_trial_may_give_some_back() -> None:
    spec = spec_of(budget={"trials": 100, "epochs": 25})
    running = {(Stage.SEARCH, Arm.JOINT): {TrialState.RUNNING: 2}}
    assert (
        planner.decide(snapshot(spec, search_trials=2, search_epochs=20, counts=running), unread, unread)
        == NothingToDo()
    )
    done = {(Stage.SEARCH, Arm.JOINT): {TrialState.COMPLETED: 2}}
    assert planner.decide(snapshot(spec, search_trials=2, search_epochs=20, counts=done), unread, unread) == NewTrial(
        Stage.BASELINE, Arm.LABEL_ONLY
    )


def test_no_trial_begins_after_the_time_is_up() -> None:
    counts = {(Stage.SEARCH, Arm.JOINT): {TrialState.COMPLETED: 4}}
    open_ = snapshot(spec_of(), seconds_left=0.1, search_trials=4, search_epochs=40, counts=counts)
    assert planner.decide(open_, unread, unread) == NewTrial(Stage.SEARCH, Arm.JOINT)
    assert planner.decide(replace(open_, seconds_left=0.0), unread, unread) == NewTrial(Stage.BASELINE, Arm.LABEL_ONLY)


def test_baselines_wait_for_the_last_claim_of_the_search_not_for_its_end() -> None:
    spec = spec_of(budget={"trials": 8})
    running = {(Stage.SEARCH, Arm.JOINT): {TrialState.RUNNING: 8}, (Stage.BASELINE, Arm.LABEL_ONLY): {
        TrialState.WAITING: 1}}  # fmt: skip
    assert planner.decide(snapshot(spec, search_trials=8, counts=running), unread, unread) == NewTrial(
        Stage.BASELINE, Arm.T1
    )


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.QUEUED, JobState.RUNNING, JobState.CONFIRMING}))
def test_nothing_is_trained_for_a_job_that_rests(state: JobState) -> None:
    assert planner.decide(snapshot(spec_of(), state=state), unread, unread) == NothingToDo()


@given(
    trials=st.integers(1, 12),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    finalists=st.integers(1, 4),
    lanes=st.integers(1, 20),
    ends=st.lists(st.sampled_from([TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED]), min_size=1),
)
def test_every_job_comes_to_an_end(trials: int, share: float, finalists: int, lanes: int, ends: list[Any]) -> None:
    spec = spec_of(
        budget={"trials": trials}, baselines={"share": share},
        confirmation={"finalists": finalists, "select_seeds": 2, "estimate_seeds": 2},
    )  # fmt: skip

    def end(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
        state = ends[number % len(ends)]
        return state, None if state is TrialState.FAILED else number / 1000

    life = Life(spec, end)
    life.live(lanes)
    assert len(life.of(Stage.SEARCH)) == trials
    completed = any(trial["state"] is TrialState.COMPLETED for trial in life.of(Stage.SEARCH))
    assert life.state is (JobState.ANALYSING if completed else JobState.FAILED)


def test_a_cell_that_may_be_handed_more_waits_when_all_has_ended() -> None:
    spec = spec_of(budget={"trials": 1}, baselines={"share": 0})
    ended = {(Stage.SEARCH, Arm.JOINT): {TrialState.COMPLETED: 1}}
    point = Configuration(temperature=1.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("sgd", 0.1))
    configuration = configurations.to_json(point)
    trained = Finished(0, Stage.SEARCH, Arm.JOINT, 0, None, TrialState.COMPLETED, 0.5, configuration, 0)

    def following(**changes: Any) -> planner.Next:
        spent = {"search_trials": 1, "counts": ended, "allotting": True} | changes
        return planner.decide(snapshot(spec, **spent), lambda: [trained], lambda: None)

    assert following() == planner.AwaitAllotment()
    assert following(budget_trials=2) == NewTrial(Stage.SEARCH, Arm.JOINT)
    running = {(Stage.SEARCH, Arm.JOINT): {TrialState.RUNNING: 1}}
    assert following(counts=running) == NothingToDo()
    assert not isinstance(following(allotting=False), planner.AwaitAllotment)
