"""The simulated shop: seeded, with a truth that its clicks follow; Instep plays through its real flow."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import pytest
from gymnasium import make
from gymnasium.utils.env_checker import check_env

from instep.domain import InvalidRequest
from instep.evaluate.simulate import Instep, Oracle, Plan, Random, World, play, regret
from instep.flow import Settings

SMALL = Plan(users=12, items=40, steps=120)


def test_the_same_seed_gives_the_same_game_to_the_bit() -> None:
    first, second = (play(Random(3), World(SMALL, 5)) for _ in range(2))
    assert msgspec.to_builtins(first.name) == second.name
    assert first.slates.tobytes() == second.slates.tobytes()
    assert first.expected.tobytes() == second.expected.tobytes()
    assert first.reward.tobytes() == second.reward.tobytes()
    assert play(Random(3), World(SMALL, 6)).expected.tobytes() != first.expected.tobytes()


def test_instep_plays_the_same_game_to_the_bit() -> None:
    games = [Instep(Settings(budget=1.0), 2) for _ in range(2)]
    first, second = (play(game, World(SMALL, 5)) for game in games)
    assert first.slates.tobytes() == second.slates.tobytes()
    assert games[0].flow.state_hash() == games[1].flow.state_hash()


def test_what_is_shown_does_not_change_who_comes() -> None:
    worlds = [World(SMALL, 7) for _ in range(2)]
    for _ in range(SMALL.steps):
        visits = [world.visit() for world in worlds]
        assert len({(visit.user, visit.now, visit.arrivals, visit.departures) for visit in visits}) == 1
        for world, visit, agent in zip(worlds, visits, (Random(1), Oracle(worlds[1])), strict=True):
            world.show(agent.show(visit, SMALL.slate))


def test_clicks_come_as_often_as_the_truth_says() -> None:
    plan = Plan(users=60, items=60, steps=3000, drift=True)
    world, agent = World(plan, 1), Random(1)
    clicks, sold, expected, buys = 0, 0, 0.0, 0.0
    for _ in range(plan.steps):
        visit = world.visit()
        sold += len(visit.late)
        slate = agent.show(visit, plan.slate)
        seen = 1.0 / np.arange(1, len(slate) + 1) ** 0.7
        chance = world.truth(visit.user)[slate] / (1.0 + 2.0 * world._buys[slate])
        expected += float(seen @ chance)
        buys += float(seen @ (chance * world._buys[slate]))
        clicks += len(world.show(slate).acts)
    assert abs(clicks - expected) < 5 * np.sqrt(expected)
    assert abs(sold - buys) < 5 * np.sqrt(buys) + 20  # the last ones are still to come


def test_nobody_does_better_than_who_knows_the_truth() -> None:
    world = World(SMALL, 3)
    visits = 0
    for _ in range(60):
        visit = world.visit()
        slate = Oracle(world).show(visit, SMALL.slate)
        outcome = world.show(slate)
        assert outcome.expected == pytest.approx(outcome.best)
        visits += 1
    assert visits == 60
    played = play(Random(1), World(SMALL, 3))
    assert regret(played, SMALL, 3)[-1] > 0.0
    world = World(SMALL, 3)
    assert regret(play(Oracle(world), world), SMALL, 3).tolist() == [0.0] * SMALL.steps


def test_the_catalogue_churns_and_a_purchase_comes_after_its_click() -> None:
    plan = Plan(users=20, items=50, steps=600, churn=1.0, planted=3.0)
    world, agent = World(plan, 2), Random(2)
    born: Counter[int] = Counter()
    gone: Counter[int] = Counter()
    clicked: dict[tuple[int, int], float] = {}
    for _ in range(plan.steps):
        visit = world.visit()
        born.update(each.item for each in visit.arrivals)
        gone.update(visit.departures)
        for act in visit.late:
            assert act.type == "purchase"
            assert clicked[act.user, act.item] < act.time <= visit.now
        outcome = world.show(agent.show(visit, plan.slate))
        clicked |= {(act.user, act.item): act.time for act in outcome.acts}
    assert set(born.values()) == {1}
    assert sorted(born) == list(range(world.size))
    assert set(gone.values()) == {1}
    assert len(gone) == 30
    assert born[world.planted] == 1
    assert world.planted not in gone


def test_tastes_and_qualities_drift_only_when_asked() -> None:
    for drift in (False, True):
        plan = Plan(users=10, items=30, steps=300, drift=drift)
        world = World(plan, 4)
        before = world._quality.copy(), world._taste.copy()
        play(Random(1), world)
        assert (world._quality.tobytes() == before[0].tobytes()) is not drift
        assert (world._taste.tobytes() == before[1].tobytes()) is not drift


def test_a_slate_that_cannot_be_shown_is_refused() -> None:
    world = World(SMALL, 1)
    with pytest.raises(InvalidRequest, match="nobody is there"):
        world.show(np.array([1]))
    visit = world.visit()
    missing = int(np.flatnonzero(~visit.available)[0])
    for slate, message in (
        ([1, 1], "at most 10 items, each once"),
        (list(range(11)), "at most 10 items"),
        ([-1], "at most 10"),
        ([missing], "not available"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            world.show(np.array(slate))
    assert world.show(np.array([], np.int64)).expected == 0.0
    with pytest.raises(InvalidRequest, match="slate: must be at most the number of items"):
        Plan(items=5)
    with pytest.raises(InvalidRequest, match="users: must be at least 1, not 0"):
        Plan(users=0)


def test_it_is_a_gymnasium_environment() -> None:
    class Valid(type(make("instep.evaluate.simulate.environment:instep/Shop-v0").unwrapped)):  # type: ignore[misc]
        """Takes any action, as the checker samples them, by showing the first available items in its place."""

        def step(self, action: np.ndarray) -> object:
            available = np.flatnonzero(self.world._visit.available)
            return super().step(available[: self.plan.slate])

    check_env(Valid(SMALL), skip_render_check=True)


def test_instep_learns_from_what_it_shows() -> None:
    agent = Instep(Settings(policy="greedy"), 1)
    play(agent, World(SMALL, 2))
    state = agent.flow.model.state
    assert int(state.items.shown.sum()) == SMALL.slate * SMALL.steps
    assert int(state.clock.events[0]) > 0
