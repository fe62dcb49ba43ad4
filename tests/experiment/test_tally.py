"""What is counted: every slate and the acts it led to, exactly once."""

from __future__ import annotations

import random

import msgspec
import pytest

from instep.domain import Arm, Assignment, Experiment, ExperimentChange, Feedback, Impression, Metric, Record
from instep.experiment import count_record, report
from instep.experiment import tally as tally_module
from instep.state.trials import ArmTally, Trials

WINDOW = 100.0
SPLIT = Experiment(
    "x",
    (Arm("control", 0.5), Arm("new", 0.5)),
    guardrails=(Metric("skip", "decrease"),),
    window_seconds=WINDOW,
    least_users=10**6,
)
MIXED = msgspec.structs.replace(SPLIT, kind="interleave")


def counting(definition: Experiment, *records: Record, merged: dict[str, str] | None = None) -> Trials:
    trials = Trials()
    count_record(trials, {}, ExperimentChange("launch", "x", 0.0, "launch", definition))
    for record in records:
        count_record(trials, merged or {}, record)
    return trials


def slate(name: str, user: str, at: float = 0.0, arm: str = "new", teams: tuple[int, ...] = ()) -> Impression:
    items = ("a", "b", "c")
    return Impression(name, user, at, items, (1.0, 1.0, 1.0), experiments=(Assignment("x", arm, teams),))


def act(
    name: str, user: str, slate_id: str, at: float = 1.0, item: str = "a", type: str = "click"
) -> Feedback:
    return Feedback(name, user, item, at, type, slate_id=slate_id)


def new_arm(trials: Trials) -> ArmTally:
    return trials.by_name["x"].arms[1]


def by_hand(records: list[Record]) -> list[ArmTally]:
    """The sums, from lists of everything."""
    arms = []
    for name in ("control", "new"):
        shown = [r for r in records if isinstance(r, Impression) and r.experiments[0].arm == name]
        users = sorted({one.user_id for one in shown})
        n = {user: sum(one.user_id == user for one in shown) for user in users}
        arms.append(ArmTally(len(users), len(shown), sum(k * k for k in n.values())))
        metrics = []
        for type in ("click", "skip"):
            y = dict.fromkeys(users, 0)
            for one in shown:
                y[one.user_id] += any(
                    isinstance(r, Feedback)
                    and (r.slate_id, r.user_id, r.type) == (one.event_id, one.user_id, type)
                    and r.item_id in one.item_ids
                    and r.timestamp <= one.timestamp + WINDOW
                    for r in records
                )
            sums = tally_module.Moments(
                sum(y.values()), sum(k * k for k in y.values()), sum(n[u] * y[u] for u in users)
            )
            metrics.append(sums)
        arms[-1].metrics = metrics
    return arms


@pytest.mark.parametrize("seed", range(8))
def test_the_sums_are_those_of_all_slates_and_acts_counted_by_hand(seed: int) -> None:
    rng = random.Random(seed)
    records: list[Record] = []
    slates = 0
    for at in range(400):
        user = rng.randrange(12)
        if rng.random() < 0.5:
            records.append(slate(f"s{slates}", f"u{user}", float(at), ("control", "new")[user % 2]))
            slates += 1
        elif slates:
            of = f"s{rng.randrange(max(0, slates - 40), slates)}"
            item, type = rng.choice("abcz"), rng.choice(("click", "skip", "view"))
            whose = next(r.user_id for r in records if isinstance(r, Impression) and r.event_id == of)
            user_id = whose if rng.random() < 0.8 else f"u{user}"
            records.append(act(f"f{at}", user_id, of, float(at), item, type))
    assert counting(SPLIT, *records).by_name["x"].arms == by_hand(records)


def test_what_does_not_belong_to_the_slate_counts_for_nothing() -> None:
    trials = counting(
        SPLIT,
        slate("s", "ann"),
        act("f1", "ann", "never shown"),
        act("f2", "bob", "s"),
        act("f3", "ann", "s", item="not on it"),
        act("f4", "ann", "s", at=WINDOW + 0.1),
        act("f5", "ann", "s", type="view"),
        Feedback("f6", "ann", "a", 1.0, "click"),
    )
    assert [sums.y for sums in new_arm(trials).metrics] == [0, 0]


def test_a_second_act_of_a_type_on_a_slate_counts_for_nothing_more() -> None:
    clicks = [act(f"f{n}", "ann", "s", item=item) for n, item in enumerate("abca")]
    assert new_arm(counting(SPLIT, slate("s", "ann"), *clicks)).metrics[0].y == 1


def test_a_visitor_s_slate_counts_when_the_act_comes_after_the_log_in() -> None:
    merged = {"session:v": "ann"}
    trials = counting(SPLIT, slate("s", "session:v"), act("f", "ann", "s"), merged=merged)
    assert new_arm(trials).metrics[0].y == 1


def test_a_slate_under_another_arm_than_the_user_s_is_left_out() -> None:
    trials = counting(SPLIT, slate("s1", "ann"), slate("s2", "ann", arm="control"), act("f", "ann", "s2"))
    assert [tally.slates for tally in trials.by_name["x"].arms] == [0, 1]
    assert [tally.metrics[0].y for tally in trials.by_name["x"].arms] == [0, 0]


def test_a_slate_without_items_counts_as_one_that_led_to_nothing() -> None:
    empty = msgspec.structs.replace(slate("s", "ann"), item_ids=(), propensities=())
    assert new_arm(counting(SPLIT, empty)).slates == 1


def test_open_slates_are_those_of_two_windows_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [slate(f"s{n}", f"u{n % 7}", float(n)) for n in range(1_000)]
    trial = counting(SPLIT, *shown).by_name["x"]
    assert len(trial.recent) + len(trial.older) <= 2 * (WINDOW + 1)
    assert {f"s{n}" for n in range(900, 1_000)} <= {*trial.recent, *trial.older}
    monkeypatch.setattr(tally_module, "MOST_OPEN", 20)
    trial = counting(SPLIT, *shown).by_name["x"]
    assert len(trial.recent) + len(trial.older) <= 40


def test_what_comes_after_the_end_changes_no_result_and_nothing_is_kept_by_user() -> None:
    trials = counting(SPLIT, slate("s1", "ann"), slate("s2", "ann"), act("f1", "ann", "s1"))
    before = report(trials.by_name["x"]).arms
    for record in (
        ExperimentChange("stop", "x", 50.0, "stop", reason="enough"),
        act("f2", "ann", "s2"),
        slate("s3", "ann", 60.0),
    ):
        count_record(trials, {}, record)
    trial = trials.by_name["x"]
    assert report(trial).arms == before
    assert (trial.status, trial.reason, trials.running) == ("stopped", "enough", [])
    assert (trial.users, trial.recent, trial.older) == ({}, {}, {})


def test_a_mixed_slate_is_won_by_the_team_with_more_acts_however_they_arrive() -> None:
    teams = (0, 1, 0)
    trials = counting(MIXED, slate("s", "ann", teams=teams))
    won = []
    for name, item in [("f1", "a"), ("f2", "a"), ("f3", "b"), ("f4", "c")]:
        count_record(trials, {}, act(name, "ann", "s", item=item))
        arms = trials.by_name["x"].arms
        won.append((arms[0].wins, arms[1].wins, arms[1].metrics[0].y))
    assert won == [(1, 0, -1), (1, 0, -1), (0, 0, 0), (1, 0, -1)]


def test_a_change_that_came_too_late_changes_nothing() -> None:
    trials = counting(SPLIT)
    before = msgspec.msgpack.encode(trials)
    for change in (
        ExperimentChange("c1", "x", 1.0, "launch", SPLIT),
        ExperimentChange("c2", "y", 1.0, "stop"),
        ExperimentChange("c3", "x", 1.0, "promote", arm="nobody"),
        ExperimentChange("c4", "x", 1.0, "roll_back"),
    ):
        count_record(trials, {}, change)
    assert msgspec.msgpack.encode(trials) == before


def test_harm_within_the_tolerance_is_no_harm() -> None:
    definition = msgspec.structs.replace(SPLIT, least_users=50, guardrails=())
    lenient = msgspec.structs.replace(definition, metric=Metric("click", tolerance=0.9))
    harm = {}
    for name, one in (("strict", definition), ("lenient", lenient)):
        records: list[Record] = []
        for n in range(600):
            arm = ("control", "new")[n % 2]
            records.append(slate(f"s{n}", f"u{n}", arm=arm))
            if arm == "control" or n % 4 == 1:  # every control's user clicks, half of the others
                records.append(act(f"f{n}", f"u{n}", f"s{n}"))
        harm[name] = counting(one, *records).by_name["x"].harm
    assert str(harm["strict"]) == "harm: arm new certainly has fewer slates with click than the control"
    assert harm["lenient"] is None
