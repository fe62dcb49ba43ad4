"""A request is served as its user's arms say: by the real flow, from the log and back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from instep.domain import (
    INTERLEAVED,
    Arm,
    Assignment,
    Context,
    Experiment,
    ExperimentChange,
    Feedback,
    Impression,
    InvalidRequest,
    Overrides,
    Record,
    Slate,
)
from instep.experiment import reports
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.policy import Surface
from instep.state import State

NOW = 1.7e9
USERS = [f"v{n}" for n in range(40)]
EPSILON = Overrides(policy="epsilon-greedy", parameters={"epsilon": 1.0}, budget=1.0)


def crowd() -> list[Record]:
    rng = np.random.default_rng(2)
    return [
        Feedback(f"e{n}", f"c{n % 50}", f"i{int(30 * rng.random() ** 2)}", NOW + n, "click")
        for n in range(500)
    ]


def flow_of(settings: Settings | None = None, *definitions: Experiment) -> Flow:
    flow = Flow(MemoryLog(), settings or Settings(policy="greedy"))
    flow.observe(crowd())
    for definition in definitions:
        flow.variants.check(definition, Overrides())
        flow.observe([change("launch", definition.name, definition)])
    return flow


def change(action: str, name: str, definition: Experiment | None = None, arm: str = "") -> ExperimentChange:
    return ExperimentChange(f"{action} {name}", name, NOW + 600, action, definition, arm)  # type: ignore[arg-type]


def ask(flow: Flow, user: str, request: str = "r", **more: object) -> Slate:
    return flow.recommend(Context(user, n=5, now=NOW + 1_000, request_id=f"{request} {user}", **more))  # type: ignore[arg-type]


def split(name: str = "x", other: Overrides = EPSILON, **more: object) -> Experiment:
    return Experiment(name, (Arm("control", 0.5), Arm("other", 0.5, other)), **more)  # type: ignore[arg-type]


def test_each_user_is_served_by_the_arm_s_policy_and_answer_and_log_name_the_arm() -> None:
    flow = flow_of(None, split())
    slates = {user: ask(flow, user) for user in USERS}
    policies = {slate.experiments: slate.policy for slate in slates.values()}
    assert policies == {
        (Assignment("x", "control"),): "greedy",
        (Assignment("x", "other"),): "epsilon-greedy",
    }
    logged = {e.record.user_id: e.record for e in flow.log.read() if isinstance(e.record, Impression)}
    for user, slate in slates.items():
        assert (logged[user].experiments, logged[user].policy) == (slate.experiments, slate.policy)
        assert logged[user].propensities == tuple(item.propensity for item in slate.items)


def test_without_experiments_a_slate_is_what_the_model_alone_gives() -> None:
    flow = flow_of()
    slate = flow.rank(Context("v1", n=5, now=NOW + 1_000, request_id="r v1"))
    assert slate == flow.model.slate(Context("v1", n=5, now=NOW + 1_000, request_id="r v1"))
    assert slate.experiments == ()


def test_a_request_under_an_experiment_changes_no_state() -> None:
    flow = flow_of(None, split())
    before = flow.state_hash()
    for user in USERS:
        flow.rank(Context(user, n=5, now=NOW + 1_000))
    assert flow.state_hash() == before


def test_arms_of_two_layers_are_in_force_together() -> None:
    flow = flow_of(None, split("one"), split("two", Overrides(repeat=True), layer="second"))
    found = {tuple(each.arm for each in ask(flow, user).experiments) for user in USERS}
    assert found == {(a, b) for a in ("control", "other") for b in ("control", "other")}
    seen = flow.history("c1", 100)
    assert seen
    item = seen[0].item_id
    flow.observe([Feedback(f"again {u}", u, item, NOW + 700, "click") for u in USERS])
    for user in USERS:
        slate = flow.rank(Context(user, n=100, now=NOW + 1_000, request_id=user))
        repeats = slate.experiments[1].arm == "other"
        assert (item in [one.item_id for one in slate.items]) == repeats


def test_a_promoted_arm_is_everybody_s_and_rolling_back_restores_what_was() -> None:
    flow = flow_of(None, split())
    flow.observe([change("promote", "x", arm="other")])
    assert {(ask(flow, user, "p").policy, ask(flow, user, "q").experiments) for user in USERS} == {
        ("epsilon-greedy", ())
    }
    flow.observe([change("roll_back", "x")])
    assert {ask(flow, user, "s").policy for user in USERS} == {"greedy"}


def test_a_surface_that_must_not_be_explored_stays_so_whatever_an_arm_says() -> None:
    settings = Settings(policy="thompson", surfaces={"cart": Surface(explore=False)})
    flow = flow_of(settings, split(other=EPSILON))
    plain = [
        [item.item_id for item in ask(flow_of(settings), user, surface="cart").items] for user in USERS[:8]
    ]
    asked = [ask(flow, user, surface="cart") for user in USERS[:8]]
    assert [[item.item_id for item in slate.items] for slate in asked] == plain
    assert {item.propensity for slate in asked for item in slate.items} == {1.0}
    assert {slate.policy for slate in asked} == {"thompson", "epsilon-greedy"}


def test_an_arm_whose_plugin_is_gone_is_left_out_and_the_slate_says_so() -> None:
    flow = flow_of()
    flow.observe([change("launch", "x", split(other=Overrides(scorers=("no such scorer",))))])
    slates = [ask(flow, user) for user in USERS]
    assert {(slate.degraded, slate.experiments) for slate in slates} == {
        ((), (Assignment("x", "control"),)),
        (("experiment",), ()),
    }
    assert flow.model.failures["experiment"] == sum(slate.degraded != () for slate in slates)


def test_a_mixed_slate_has_items_of_both_arms_with_the_propensities_of_the_coins() -> None:
    flow = flow_of(None, split(kind="interleave", other=Overrides(repeat=True)))
    seen: dict[tuple[str, ...], float] = {}
    acted = [each.item_id for each in flow.history("c1", 3)]
    for number in range(300):
        slate = flow.rank(Context("c1", n=4, now=NOW + 1_000, request_id=f"r{number}"))
        (found,) = slate.experiments
        assert (found.experiment, found.arm, len(found.teams)) == ("x", INTERLEAVED, 4)
        assert sorted(found.teams) == [0, 0, 1, 1]
        seen[tuple(item.item_id for item in slate.items)] = float(
            np.prod([i.propensity for i in slate.items])
        )
    assert slate.policy == "team-draft"
    assert sum(seen.values()) == pytest.approx(1.0)
    assert any(item in slate for slate in seen for item in acted)  # only the second arm repeats


def test_what_was_promoted_since_never_makes_a_mixed_slate_whose_propensities_are_not_known() -> None:
    mixed = split("mixed", Overrides(repeat=True), kind="interleave", surfaces=("home",))
    flow = flow_of(None, mixed, split(layer="other", surfaces=("list",)))
    assert {ask(flow, user, surface="home").policy for user in USERS[:5]} == {"team-draft"}
    flow.observe([change("promote", "x", arm="other")])
    slate = ask(flow, "v1", "after", surface="home")
    assert (slate.policy, slate.degraded, slate.experiments) == ("greedy", ("experiment",), ())
    with pytest.raises(InvalidRequest, match="draws its slates by chance"):
        flow.variants.check(split(kind="interleave", other=Overrides(repeat=True)), EPSILON)


class Favour:
    """A plugin that puts one item first."""

    name = "favour"

    def score(self, state: State, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """See `Scorer`."""
        return np.where(items == state.item_number["i29"], np.float32(50.0), np.float32(0.0))


def test_an_arm_turns_a_plugin_on_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def load(self) -> type[Favour]:
            return Favour

    monkeypatch.setattr("instep.domain.parts.entry_points", lambda group, name=None: [Entry()])
    first = {}
    for configured, arm in (((), ("favour",)), (("favour",), ())):
        settings = Settings(policy="greedy", scorers=configured)
        flow = flow_of(settings, split(other=Overrides(scorers=arm)))
        for user in USERS[:20]:
            slate = ask(flow, user)
            first[configured, slate.experiments[0].arm] = slate.items[0].item_id == "i29"
    assert first == {
        ((), "control"): False,
        ((), "other"): True,
        (("favour",), "control"): True,
        (("favour",), "other"): False,
    }


@pytest.mark.parametrize(
    ("definition", "field", "message"),
    [
        (split(other=Overrides(policy="no such")), "arms[1].settings.policy", "no instep.policies named"),
        (
            split(other=Overrides(policy="thompson", parameters={"heat": 1})),
            "arms[1].settings.parameters.heat",
            "has no parameter 'heat'",
        ),
        (
            split(other=Overrides(policy="epsilon-greedy", parameters={"epsilon": 7})),
            "arms[1].settings.parameters.epsilon",
            "epsilon",
        ),
        (split(other=Overrides(policy="greedy", budget=0.2)), "arms[1].settings.budget", "takes no budget"),
        (split(other=Overrides(budget=7.0)), "arms[1].settings.budget", "between 0 and 1"),
        (split(other=Overrides(scorers=("x",))), "arms[1].settings.scorers", "instep.scorers"),
        (split(other=Overrides(retrievers=("x",))), "arms[1].settings.retrievers", "instep.retrievers"),
        (split(other=Overrides(surface="moon")), "arms[1].settings.surface", "no surface 'moon'"),
        (split(kind="interleave", other=EPSILON), "arms[1].settings.policy", "draws its slates by chance"),
    ],
)
def test_an_arm_that_cannot_be_served_is_refused_and_the_field_is_named(
    definition: Experiment, field: str, message: str
) -> None:
    flow = Flow(MemoryLog(), Settings(policy="thompson" if definition.kind == "split" else "greedy"))
    with pytest.raises(InvalidRequest) as refused:
        flow.variants.check(definition, Overrides())
    assert refused.value.field == field
    assert message in str(refused.value)


def with_clicks(flow: Flow, rounds: int) -> None:
    """Users of the other arm click."""
    for number in range(rounds):
        acts = []
        for user in USERS:
            slate = ask(flow, user, f"round {number}")
            if slate.experiments and slate.experiments[0].arm == "other" and slate.items:
                item = slate.items[0].item_id
                acts.append(
                    Feedback(f"f {slate.slate_id}", user, item, NOW + 1_001, "click", slate_id=slate.slate_id)
                )
        flow.observe(acts)


def test_results_are_the_same_after_a_replay_and_after_a_snapshot_and_its_tail(tmp_path: Path) -> None:
    flow = flow_of(None, split(least_users=5))
    with_clicks(flow, 2)
    flow.snapshot(tmp_path)
    with_clicks(flow, 1)
    flow.observe([change("promote", "x", arm="other")])
    replayed, restored = (Flow(flow.log, flow.settings) for _ in range(2))
    replayed.replay(replayed.model)
    assert restored.restore(tmp_path) > 0
    assert flow.state_hash() == replayed.state_hash() == restored.state_hash()
    told = reports(flow.model.state.names.trials)
    assert told == reports(restored.model.state.names.trials)
    assert told[0].arms[1].metrics[0].rate == 1.0
    assert ask(restored, "v1", "after").policy == "epsilon-greedy"


def test_after_an_erasure_the_counts_are_those_of_a_log_in_which_the_user_never_was() -> None:
    flow = flow_of(None, split(least_users=5))
    with_clicks(flow, 3)
    users = sum(arm.users for arm in reports(flow.model.state.names.trials)[0].arms)
    flow.erase("v7")
    clean = Flow(MemoryLog(), flow.settings)
    for entry in flow.log.read():
        assert entry.record.user_id != "v7"
        clean.observe([entry.record])
    assert msgspec.msgpack.encode(flow.model.state.names.trials) == msgspec.msgpack.encode(
        clean.model.state.names.trials
    )
    assert sum(arm.users for arm in reports(flow.model.state.names.trials)[0].arms) == users - 1
