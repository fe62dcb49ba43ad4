"""Who is in which arm: for good, in the shares that were set, and in one experiment of a layer at most."""

from __future__ import annotations

import pytest

from instep.domain import Arm, Experiment, ExperimentChange, InvalidRequest, Overrides
from instep.experiment import arms_of, check_launch, count_record
from instep.experiment.place import BUCKETS, EVERY_ARM
from instep.state.trials import Trials

USERS = [f"u{n}" for n in range(8_000)]


def launched(*definitions: Experiment) -> Trials:
    trials = Trials()
    for definition in definitions:
        launch(trials, definition)
    return trials


def launch(trials: Trials, definition: Experiment) -> None:
    check_launch(trials, definition)
    change = ExperimentChange(f"launch {definition.name}", definition.name, 1e9, "launch", definition)
    count_record(trials, {}, change)


def two(name: str, share: float = 0.25, layer: str = "default", **settings: object) -> Experiment:
    other = Overrides(**settings)  # type: ignore[arg-type]
    return Experiment(name, (Arm("control", share), Arm("other", share, other)), layer=layer)


def seen(trials: Trials, user_id: str, surface: str = "home") -> dict[str, int]:
    return {trial.definition.name: arm for trial, arm in arms_of(trials, user_id, surface)}


def test_a_user_keeps_the_arm_whatever_else_begins_or_ends() -> None:
    trials = launched(two("a", 0.2))
    before = {user: seen(trials, user) for user in USERS}
    launch(trials, two("b", 0.3))
    launch(trials, two("c", 0.5, layer="other"))
    count_record(trials, {}, ExperimentChange("stop b", "b", 1e9, "stop"))
    for user in USERS:
        assert {k: v for k, v in seen(trials, user).items() if k == "a"} == before[user]


def test_arms_have_the_shares_that_were_set() -> None:
    arms = (Arm("control", 0.5), Arm("small", 0.1), Arm("middle", 0.2))
    trials = launched(Experiment("a", arms))
    found = [seen(trials, user).get("a") for user in USERS]
    for number, share in [(0, 0.5), (1, 0.1), (2, 0.2), (None, 0.2)]:
        error = (share * (1 - share) / len(USERS)) ** 0.5
        assert abs(found.count(number) / len(USERS) - share) < 4 * error


def test_no_user_is_in_two_experiments_of_a_layer_and_full_layers_take_no_more() -> None:
    trials = launched(two("a", 0.25), two("b", 0.25))
    assert all(len(seen(trials, user)) == 1 for user in USERS)
    with pytest.raises(InvalidRequest, match=r"arms: the shares of layer 'default' would add up to 1\.02"):
        check_launch(trials, two("c", 0.01))


def test_experiments_of_two_layers_are_independent_of_each_other() -> None:
    trials = launched(two("a", 0.5, "one", policy="greedy"), two("b", 0.5, "two", repeat=True))
    pairs = [(seen(trials, user)["a"], seen(trials, user)["b"]) for user in USERS]
    for pair in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        assert abs(pairs.count(pair) / len(USERS) - 0.25) < 0.02


def test_an_experiment_that_follows_another_mixes_its_users_anew() -> None:
    trials = launched(two("a", 0.5))
    first = {user: seen(trials, user)["a"] for user in USERS}
    count_record(trials, {}, ExperimentChange("stop a", "a", 1e9, "stop"))
    launch(trials, two("b", 0.5))
    same = sum(seen(trials, user)["b"] == first[user] for user in USERS)
    assert abs(same / len(USERS) - 0.5) < 0.03


def test_freed_buckets_are_used_again_in_pieces() -> None:
    trials = launched(two("a", 0.1), two("b", 0.1), two("c", 0.1))
    count_record(trials, {}, ExperimentChange("stop a", "a", 1e9, "stop"))
    count_record(trials, {}, ExperimentChange("stop c", "c", 1e9, "stop"))
    launch(trials, two("d", 0.3))
    assert trials.by_name["d"].buckets == ((0, 2000), (4000, 8000))
    assert (
        sum(end - first for trial in trials.running for first, end in trials.by_name[trial].buckets) == 8000
    )
    assert BUCKETS == 10_000


def test_layers_whose_experiments_change_the_same_setting_are_refused_unless_their_surfaces_are_apart() -> (
    None
):
    trials = launched(two("a", 0.25, "one", policy="greedy"))
    with pytest.raises(InvalidRequest, match=r"layer: experiment 'a' of layer 'one' changes policy too"):
        check_launch(trials, two("b", 0.25, "two", policy="linucb"))
    check_launch(trials, two("b", 0.25, "two", repeat=True))
    mixed = Experiment("b", two("b").arms, kind="interleave", layer="two")
    with pytest.raises(InvalidRequest, match=r"changes policy too"):
        check_launch(trials, mixed)
    trials = launched(
        Experiment("a", (Arm("x", 0.5), Arm("y", 0.5, Overrides(policy="greedy"))), surfaces=("home",))
    )
    other = (Arm("x", 0.5), Arm("y", 0.5, Overrides(policy="linucb")))
    check_launch(trials, Experiment("b", other, layer="two", surfaces=("cart",)))


def test_only_requests_of_its_surfaces_take_part() -> None:
    trials = launched(Experiment("a", (Arm("x", 0.5), Arm("y", 0.5)), surfaces=("home",), kind="interleave"))
    assert seen(trials, "u1", "home") == {"a": EVERY_ARM}
    assert seen(trials, "u1", "cart") == {}
