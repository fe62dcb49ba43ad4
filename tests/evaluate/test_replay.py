"""The protocol: what is asked, what is learned, and when."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from instep.domain import ConfigError, StageError
from instep.evaluate import Options, Rows, Stream, arrange, replay

Int32 = NDArray[np.int32]
Answer = Callable[[int, float, int, Int32], Int32]


class Witness:
    """A system that notes everything it is told and asked; it answers with the first free items."""

    name = "witness"

    def __init__(self, items: int, answer: Answer | None = None) -> None:
        self.items = items
        self.answer = answer
        self.learned: list[tuple[int, int]] = []
        self.asked: list[tuple[int, int, tuple[int, ...]]] = []

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        self.learned.append((user, item))

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        self.asked.append((user, len(self.learned), tuple(exclude.tolist())))
        if self.answer is not None:
            return self.answer(user, t, k, exclude)
        return np.setdiff1d(np.arange(self.items, dtype=np.int32), exclude)[:k]


class SplitWitness(Witness):
    """A witness whose users' histories are its own."""

    def __init__(self, items: int) -> None:
        super().__init__(items)
        self.remembered: list[tuple[int, int]] = []
        self.at: list[tuple[int, int]] = []

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        self.learned.append((user, item))

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        self.remembered.append((user, item))

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        self.at.append((len(self.remembered), len(self.learned)))
        return super().recommend(user, t, k, exclude)


def tied_stream(n: int = 300, seed: int = 0) -> Stream:
    """Groups of up to ten events of one user at one time; items come again."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, n // 5, n)).astype(np.float64)
    users, items = rng.integers(0, 4, n), rng.integers(0, 40, n)
    return arrange("tied", Rows([f"u{u}" for u in users], [f"i{i}" for i in items], t))


def starts(stream: Stream) -> list[int]:
    return np.flatnonzero(np.diff(stream.group, prepend=-1)).tolist()


def test_a_group_of_ties_is_scored_whole_before_any_of_it_is_learned() -> None:
    stream = tied_stream()
    witness = Witness(len(stream.items))
    replay(stream, witness, Options(warmup=0, repeat=True))
    assert [learned for _, learned, _ in witness.asked] == starts(stream)
    assert witness.learned == list(zip(stream.user.tolist(), stream.item.tolist(), strict=True))


def test_a_perfect_oracle_hits_every_time_at_the_first_place() -> None:
    t = np.arange(200, dtype=np.float64)
    rng = np.random.default_rng(5)
    stream = arrange("s", Rows([f"u{u}" for u in rng.integers(0, 9, 200)], [f"i{i}" for i in range(200)], t))
    truth = dict(zip(stream.t.tolist(), stream.item.tolist(), strict=True))
    oracle = Witness(200, lambda user, t, k, exclude: np.array([truth[t]], np.int32))
    outcome = replay(stream, oracle)
    assert outcome.rank.tolist() == [0] * 180


def test_an_oracle_of_the_past_never_hits() -> None:
    stream = tied_stream()
    witness = Witness(len(stream.items), lambda user, t, k, exclude: exclude[:0])
    assert set(replay(stream, witness).rank.tolist()) == {-1}


@pytest.mark.parametrize("delay", [1, 7, 50])
def test_delay_makes_all_learning_so_many_events_late(delay: int) -> None:
    stream = tied_stream()
    witness = Witness(len(stream.items))
    replay(stream, witness, Options(warmup=0, repeat=True, delay=delay))
    assert [learned for _, learned, _ in witness.asked] == [max(0, start - delay) for start in starts(stream)]
    assert len(witness.learned) == len(stream)


@pytest.mark.parametrize("delay", [1, 50])
def test_delay_of_items_keeps_the_users_own_history_fresh(delay: int) -> None:
    stream = tied_stream()
    witness = SplitWitness(len(stream.items))
    replay(stream, witness, Options(warmup=0, repeat=True, delay_items=delay))
    assert witness.at == [(start, max(0, start - delay)) for start in starts(stream)]
    assert witness.remembered == witness.learned


def test_candidates_leave_out_all_that_the_user_consumed_even_when_learning_is_late() -> None:
    stream = tied_stream()
    witness = Witness(len(stream.items))
    replay(stream, witness, Options(warmup=0, delay=40))
    asked = iter(witness.asked)
    consumed: dict[int, list[int]] = {}
    for group in range(int(stream.group[-1]) + 1):
        events = np.flatnonzero(stream.group == group)
        user = int(stream.user[events[0]])
        mine = consumed.setdefault(user, [])
        if set(stream.item[events].tolist()) - set(mine):
            assert next(asked)[::2] == (user, tuple(mine))
        mine += [item for item in dict.fromkeys(stream.item[events].tolist()) if item not in mine]
    assert next(asked, None) is None


def test_an_event_on_a_consumed_item_is_learned_and_not_scored_without_repeat() -> None:
    rows = Rows(["u"] * 5, ["a", "b", "a", "c", "c"], np.array([1.0, 2.0, 3.0, 4.0, 4.0]))
    stream = arrange("s", rows)
    once, again = Witness(3), Witness(3)
    assert len(replay(stream, once, Options(warmup=0)).event) == 3
    assert len(replay(stream, again, Options(warmup=0, repeat=True)).event) == 5
    assert len(once.learned) == len(again.learned) == 5
    assert all(exclude == () for _, _, exclude in again.asked)


def test_the_warm_up_is_learned_and_not_scored() -> None:
    stream = tied_stream()
    witness = Witness(len(stream.items))
    outcome = replay(stream, witness, Options(warmup=0.25, repeat=True))
    assert outcome.event.tolist() == list(range(75, 300))
    assert len(witness.learned) == 300
    assert len(outcome.recommend_ns) == len(set(stream.group[75:].tolist())) == len(outcome.slates)


def test_ranks_are_places_in_the_slate_of_the_events_own_group() -> None:
    stream = tied_stream()
    outcome = replay(stream, Witness(len(stream.items)), Options(repeat=True, k=7))
    for event, rank, slate in zip(outcome.event, outcome.rank, outcome.slate, strict=True):
        shown = outcome.slates[slate].tolist()
        assert rank == (shown.index(stream.item[event]) if stream.item[event] in shown else -1)


def test_a_slate_with_consumed_or_repeated_items_stops_the_replay() -> None:
    stream = tied_stream()
    same = Witness(len(stream.items), lambda user, t, k, exclude: np.zeros(2, np.int32))
    with pytest.raises(StageError, match="repeated"):
        replay(stream, same)
    old = Witness(len(stream.items), lambda user, t, k, exclude: exclude[:1])
    with pytest.raises(StageError, match="consumed"):
        replay(stream, old)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(k=0), "k must be at least 1"),
        (Options(warmup=1.0), "warmup is a share"),
        (Options(delay=-1), "count events"),
        (Options(delay=1, delay_items=1), "not both"),
        (Options(delay_items=1), "witness learns users together"),
    ],
)
def test_impossible_options_say_what_is_wrong(options: Options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replay(tied_stream(), Witness(40), options)
