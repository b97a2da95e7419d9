"""All arms as one field: slices of one surface, one race on shared seeds, and no more trainings than were promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import configurations, units
from search.analysis.job.field import choose_field
from search.analysis.job.finalists import choose_finalists
from search.claims import field, planner, trial_counts
from search.claims.field import Beliefs
from search.claims.lifecycle import chosen_of
from search.spec.job import JobSpec, SpaceSpec
from search.states import BASELINE_ARMS, Arm, JobState, Stage, TrialState
from search.surrogate.slices import Slice, together
from search.surrogate.surface import Surface
from tests import synthetic
from tests.search.claims.test_plan import Life, rising, spec_of

SPACES: dict[str, dict[str, Any]] = {
    "default": {},
    "from nothing": {"kd_weight": {"low": 0, "high": 1}, "student_temperature": {"low": 1, "high": 8}},
    "fixed": {"temperature": 4, "kd_weight": 0.9},
    "lists": {"temperature": [1, 2, 4, 40], "kd_weight": [0.5, 1.0]},
    "parameters": {
        "parameters": {
            "smoothing": {"low": 0.0, "high": 0.2},
            "second": {"low": 1, "high": 9, "temperature": True},
            "norm": ["batch", "layer"],
        }
    },
    "logarithmic": {"kd_weight": {"low": 0.01, "high": 1, "log": True}},
}


@pytest.mark.parametrize("arm", list(Arm))
@pytest.mark.parametrize("name", SPACES)
def test_an_arms_settings_come_back_from_the_cube_of_all(name: str, arm: Arm) -> None:
    part = Slice(SpaceSpec.model_validate(SPACES[name]), arm)
    rng = np.random.default_rng(0)
    for optimizer in part.settings:
        units = part.snapped(optimizer, rng.random((5, len(part.settings[optimizer]))))
        for point in part.points(optimizer, units):
            values = part.values(optimizer, point)
            assert values.keys() == {setting.name for setting in part.settings[optimizer]}
            assert part.has(optimizer, values)
            assert part.point(optimizer, values) == pytest.approx(point)


def test_the_surface_is_constant_in_t_where_nothing_is_distilled() -> None:
    part = Slice(SpaceSpec.model_validate(SPACES["from nothing"]), Arm.JOINT)
    rng = np.random.default_rng(1)
    points = part.points("sgd", rng.random((40, len(part.settings["sgd"]))))
    surface = Surface(points, rng.standard_normal(40), rng, 2, part.lengths)
    names = [setting.name for setting in part.settings["sgd"]]
    units = np.tile(rng.random(len(names)), (9, 1))
    units[:, names.index("temperature")] = np.linspace(0, 1, 9)
    units[:, names.index("kd_weight")] = 0.0
    assert np.ptp(surface.mean(part.points("sgd", units))) < 1e-12
    units[:, names.index("kd_weight")] = 0.7
    assert np.ptp(surface.mean(part.points("sgd", units))) > 1e-6


def test_labels_alone_and_no_weight_are_one_point() -> None:
    space = SpaceSpec.model_validate({"kd_weight": {"low": 0, "high": 1}})
    labels, joint = Slice(space, Arm.LABEL_ONLY), Slice(space, Arm.JOINT)
    values = {"sgd.learning_rate": 0.1, "sgd.weight_decay": 1e-4}
    distilled = joint.point("sgd", values | {"temperature": 17.0, "kd_weight": 0.0})
    assert labels.point("sgd", values) == pytest.approx(distilled)


def test_another_term_shares_nothing_with_plain_distillation() -> None:
    assert set(together(Arm.T4, True)) == set(Arm)
    assert Arm.JOINT not in together(Arm.T4, False)
    assert set(together(Arm.JOINT, False)) == {Arm.JOINT, Arm.LABEL_ONLY}


def test_beliefs_are_those_of_a_conditioned_normal_distribution() -> None:
    rng = np.random.default_rng(2)
    root = rng.standard_normal((3, 3))
    prior, means = root @ root.T, rng.standard_normal(3)
    beliefs = Beliefs(((Arm.JOINT, 0), (Arm.T1, 1), (Arm.T4, 2)), tuple(means), tuple(map(tuple, prior)), 0.7)
    for place, value in ((1, 0.4), (0, -1.0), (1, 0.1)):
        beliefs = beliefs.after(place, value)
    looks = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 0]])
    gain = prior @ looks.T @ np.linalg.inv(looks @ prior @ looks.T + 0.49 * np.eye(3))
    assert beliefs.means == pytest.approx(means + gain @ (np.array([0.4, -1.0, 0.1]) - looks @ means))
    assert np.array(beliefs.covariance) == pytest.approx(prior - gain @ looks @ prior)


def believed(means: list[float], deviation: float, noise: float = 0.01) -> Beliefs:
    contestants = tuple((arm, number) for number, arm in enumerate([Arm.JOINT, Arm.JOINT, Arm.T1, Arm.T4]))
    covariance = tuple(tuple(deviation**2 * (i == j) for j in range(4)) for i in range(4))
    return Beliefs(contestants, tuple(means), covariance, noise)


def test_only_who_may_change_the_answer_is_trained_again() -> None:
    beliefs = believed([0.90, 0.899, 0.898, 0.80], 0.004)
    begun = field.race_state(beliefs, {}, (), 3, 0.002)
    assert begun.left == ((Arm.JOINT, 0), (Arm.JOINT, 1), (Arm.T1, 2))
    assert begun.leaders == {Arm.JOINT: (Arm.JOINT, 0), Arm.T1: (Arm.T1, 2), Arm.T4: (Arm.T4, 3)}
    told = field.race_state(beliefs, {(Arm.T1, 2): [0.93, 0.94], (Arm.JOINT, 1): [0.89]}, (), 3, 0.002)
    assert told.leaders[Arm.JOINT] == (Arm.JOINT, 0)
    assert max(told.beliefs.means) == told.beliefs.means[2]
    assert not field.race_state(believed([0.90, 0.80, 0.80, 0.80], 0.004), {}, (), 3, 0.002).left
    assert not field.race_state(beliefs, {}, (), 0, 0.002).left  # no seed is left to tell by
    assert not field.race_state(believed([0.90, 0.899, 0.898, 0.8], 0.004, noise=0.5), {}, (), 3, 0.002).left


def test_who_fails_on_a_seed_is_out_unless_all_have() -> None:
    beliefs = believed([0.90, 0.899, 0.898, 0.897], 0.004)
    out = field.race_state(beliefs, {}, [(Arm.JOINT, 0)], 3, 0.002)
    assert (Arm.JOINT, 0) not in out.left
    assert out.leaders[Arm.JOINT] == (Arm.JOINT, 1)
    assert field.race_state(beliefs, {}, beliefs.contestants, 3, 0.002).leaders[Arm.JOINT] == (Arm.JOINT, 0)


class FieldLife(Life):
    """As a worker would that believes the values that it sees."""

    def choose(self) -> None:
        super().choose()
        finalists = self.chosen[self.round].finalists
        contestants = [(arm, number) for arm, numbers in finalists.items() for number in numbers]
        joint = finalists[Arm.JOINT][0]
        contestants += [(arm, joint) for arm in BASELINE_ARMS]
        together = {arm: tuple(n for a, n in contestants if a is arm) for arm in Arm}
        pairs = [(arm, number) for arm, numbers in together.items() for number in numbers]
        means = tuple(self.trials[number]["value"] or 0.0 for _, number in pairs)
        covariance = tuple(tuple(0.01 * (i == j) for j in range(len(pairs))) for i in range(len(pairs)))
        self.chosen[self.round] = planner.FinalistChoice(together, Beliefs(tuple(pairs), means, covariance, 0.01))


def field_spec(**parts: Any) -> JobSpec:
    return spec_of(**parts | {"baselines": {"by": "surface"} | parts.get("baselines", {})})


def test_a_job_of_one_field_from_its_first_trial_to_its_analysis() -> None:
    life = FieldLife(field_spec(budget={"trials": 16}), rising)
    life.live(3)
    assert life.state is JobState.ANALYSING
    assert len(life.of(Stage.BASELINE)) == 12
    estimates = {(t["arm"], t["variant"]) for t in life.of(Stage.ESTIMATE)}
    assert estimates == {(Arm.JOINT, "winner"), *((arm, "tuned") for arm in BASELINE_ARMS)}
    selected = {trial["seed"] for trial in life.of(Stage.SELECT)}
    assert selected <= set(planner.confirmation_seeds(life.spec, Stage.SELECT, 0))
    assert not selected & {trial["seed"] for trial in life.of(Stage.ESTIMATE)}
    for trial in (t for t in life.of(Stage.SELECT) if t["arm"] is Arm.T4):
        assert trial["configuration"]["temperature"] == 4.0


def test_the_same_configuration_on_the_same_seeds_is_trained_once() -> None:
    spec = field_spec(budget={"trials": 4}, baselines={"share": 0}, confirmation={"finalists": 1})
    life = FieldLife(spec, rising)
    for number in range(4):  # the search has T = 1 as the baseline does
        told = configurations.to_json(synthetic_configuration(number))
        life.add(Stage.SEARCH, Arm.JOINT, state=TrialState.COMPLETED, value=number / 10, configuration=told)
    life.state = JobState.RUNNING
    life.live(2)
    rows = [(repr(t["configuration"]), t["seed"]) for t in life.of(Stage.ESTIMATE)]
    assert len(rows) == len(set(rows)) == 3 * 5


def synthetic_configuration(number: int) -> Any:
    return configurations.Configuration(
        temperature=1.0, kd_weight=0.5, label_weight=0.5, optimizer=configurations.Optimizer("sgd", 0.1 + number / 100)
    )


def test_level_none_trains_the_winner_once_more_and_nothing_else() -> None:
    life = FieldLife(field_spec(budget={"trials": 8}, confirmation="none"), rising)
    life.live(2)
    assert life.state is JobState.ANALYSING
    assert [(t["stage"], t["variant"]) for t in life.trials if t["origin"] is not None] == [(Stage.ESTIMATE, "winner")]


@given(
    trainings=st.integers(8, 60),
    lanes=st.integers(1, 8),
    ends=st.lists(st.sampled_from([TrialState.COMPLETED, TrialState.FAILED]), min_size=1, max_size=5),
)
@settings(deadline=None)
def test_no_job_trains_more_than_was_promised(trainings: int, lanes: int, ends: list[TrialState]) -> None:
    def end(number: int, stage: Stage, arm: Arm) -> tuple[TrialState, float | None]:
        state = ends[number % len(ends)]
        return state, number * 7919 % 1000 / 1000 if state is TrialState.COMPLETED else None

    life = FieldLife(field_spec(budget={"trainings": trainings}), end)
    life.live(lanes)
    assert len(life.trials) <= trainings
    if life.state is JobState.ANALYSING:
        assert any(trial["variant"] == "winner" for trial in life.trials)


def test_a_number_of_trainings_is_split() -> None:
    assert spec_of(budget={"trainings": 100}).budget.trials == 75
    assert spec_of(budget={"trainings": 24, "trials": 10}).budget.trials == 10
    with pytest.raises(ValueError, match="fewer than trainings"):
        spec_of(budget={"trainings": 24, "trials": 24})


def test_a_stored_job_keeps_its_split_and_what_an_extension_brings() -> None:
    before = spec_of(budget={"trainings": 100, "trials": 60})  # as three fifths were stored
    stored = type(before).model_validate(before.model_dump(mode="json"))
    assert (stored.budget.trials, stored.budget.trainings) == (60, 100)
    assert [trial_counts.trainings_allowed(stored, trials) for trials in (60, 66)] == [100, 110]


@given(trainings=st.integers(4, 2000))
def test_more_trainings_search_more_and_leave_each_contestant_a_fresh_seed(trainings: int) -> None:
    trials = spec_of(budget={"trainings": trainings}).budget.trials
    more = spec_of(budget={"trainings": trainings + 1}).budget.trials
    assert trials <= more <= trials + 1
    assert 0.55 * trainings <= trials <= 0.78 * trainings or trainings < 8
    if trainings >= 10:
        assert trainings - trials >= 4
    assert 1 <= trials < trainings


def test_the_joint_finalists_settings_enter_every_baseline_and_beliefs_cover_all() -> None:
    spec = synthetic.spec(space={"optimizer": {"adamw": {}}}, budget={"trials": 24}, baselines={"share": 0.125})
    trials = [
        trial
        for trial in synthetic.Builder(spec, synthetic.ridge, 0.004, np.random.default_rng(3)).job()
        if trial.stage in (Stage.SEARCH, Stage.BASELINE)
    ]
    document = choose_field("j", spec, trials, 0, synthetic.NOW, members=2)
    assert document is not None
    choice = chosen_of(document)
    assert choice.beliefs is not None
    first = choice.finalists[Arm.JOINT][0]
    assert all(first in choice.finalists[arm] for arm in BASELINE_ARMS)
    assert len(choice.beliefs.means) == len(choice.beliefs.covariance) == sum(map(len, choice.finalists.values()))
    assert np.linalg.eigvalsh(np.array(choice.beliefs.covariance)).min() > -1e-9
    assert choose_finalists("j", spec, trials, 0, synthetic.NOW, members=2).arms == document.arms
    few = [trial for trial in trials if trial.number < 3]
    assert choose_field("j", spec, few, 0, synthetic.NOW, members=2) is None
    assert choose_finalists("j", spec, few, 0, synthetic.NOW, members=2).beliefs is None


@given(st.lists(st.floats(5e-324, 1.0), min_size=2, max_size=2, unique=True).map(sorted))
def test_any_logarithmic_weight_has_a_point_for_no_distillation(ends: list[float]) -> None:
    low, high = ends
    weight = {"kd_weight": {"low": low, "high": high, "log": True}, "label_weight": 1.0}
    space = SpaceSpec.model_validate({"temperature": [1, 4], "optimizer": {"sgd": {}}} | weight)
    part = Slice(space, Arm.LABEL_ONLY)
    points = part.points("sgd", np.full((2, len(part.settings["sgd"])), 0.5))
    assert np.isfinite(points).all()


def test_an_arm_whose_contestants_have_all_failed_keeps_its_best() -> None:
    contestants = ((Arm.JOINT, 0), (Arm.JOINT, 1), (Arm.T1, 2))
    beliefs = Beliefs(contestants, (0.5, 0.6, 0.4), ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), 0.1)
    state = field.race_state(beliefs, {(Arm.T1, 2): [0.4]}, {(Arm.JOINT, 0), (Arm.JOINT, 1)}, 1, 0.002)
    assert state.leaders == {Arm.JOINT: (Arm.JOINT, 1), Arm.T1: (Arm.T1, 2)}
    assert state.left == ()


@given(st.floats(0.01, 1000.0))
def test_hours_are_a_deadline_of_the_search_and_are_said_beforehand(hours: float) -> None:
    budget = spec_of(budget={"hours": hours}).budget
    assert budget.seconds == pytest.approx(3600 * hours)
    assert spec_of(budget=budget.model_dump(exclude_none=True)).budget == budget  # as it is stored
    without = trial_counts.plan_in_words(spec_of(), 64, None)
    plan = trial_counts.plan_in_words(spec_of(), 64, budget.seconds)
    assert plan.startswith(without)
    assert plan.endswith(f"the search ends {units.rough_duration(3600 * hours)} after its first trial at the latest")


def test_a_deadline_is_said_once() -> None:
    with pytest.raises(ValueError, match="leave one of them out"):
        spec_of(budget={"hours": 1, "seconds": 60})
