"""Every baseline keeps the laws of `instep.evaluate.base`, and does what its paper says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from instep.evaluate import BASELINES, Options, Rows, SplitSystem, Stream, System, arrange, replay
from instep.evaluate.baselines import EASE, EASESettings, ItemKNN, Popularity, Transitions, TransitionSettings
from instep.evaluate.baselines.isgd import ISGD, ISGDSettings
from instep.evaluate.baselines.pairs import DensePairs, HashedPairs
from instep.evaluate.topk import top_k

NOTHING = np.empty(0, np.int32)


def random_stream(n: int = 3000, users: int = 30, items: int = 200, seed: int = 0) -> Stream:
    """Events without any pattern."""
    rng = np.random.default_rng(seed)
    return arrange(
        "random",
        Rows(
            [f"u{u}" for u in rng.integers(0, users, n)],
            [f"i{i}" for i in rng.integers(0, items, n)],
            np.cumsum(rng.exponential(3600, n)),
        ),
    )


def chained_stream(n: int = 3000, seed: int = 0) -> Stream:
    """Users walk along a line of 200 items, one or two steps at a time: easy for whoever reads histories."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, 100, 60)
    users, items = [], []
    for _ in range(n):
        user = int(rng.integers(0, 60))
        place[user] = (place[user] + rng.integers(1, 3)) % 200
        users.append(f"u{user}")
        items.append(f"i{place[user]}")
    return arrange("chain", Rows(users, items, np.arange(n) * 60.0))


def fresh(name: str, stream: Stream) -> System:
    return BASELINES[name](len(stream.users), len(stream.items), 7)


@pytest.mark.parametrize("name", BASELINES)
def test_asking_changes_nothing_and_slates_keep_to_the_candidates(name: str) -> None:
    stream = random_stream(600)
    asked, unasked = fresh(name, stream), fresh(name, stream)
    for event in range(len(stream)):
        lesson = (int(stream.user[event]), int(stream.item[event]), float(stream.t[event]), float("nan"))
        exclude = np.array([3, 77, 4], np.int32)
        slate = asked.recommend(lesson[0], lesson[2], 10, exclude)
        assert len(slate) == 10 == len(set(slate.tolist()))
        assert not set(slate.tolist()) & set(exclude.tolist())
        asked.learn(*lesson)
        unasked.learn(*lesson)
    end = float(stream.t[-1])
    for user in range(len(stream.users)):
        first = asked.recommend(user, end, 20, NOTHING)
        assert first.tobytes() == unasked.recommend(user, end, 20, NOTHING).tobytes()


@pytest.mark.parametrize("name", BASELINES)
def test_nothing_beats_chance_on_a_stream_without_pattern(name: str) -> None:
    """If the future leaked, here it would show: 10 of 200 items hit one time in twenty."""
    stream = random_stream()
    rate = (replay(stream, fresh(name, stream), Options(repeat=True)).rank >= 0).mean()
    assert 0.03 < rate < 0.07


@pytest.mark.parametrize("name", BASELINES)
def test_two_replays_are_equal_to_the_byte(name: str) -> None:
    stream = chained_stream()
    one, two = (replay(stream, fresh(name, stream)) for _ in range(2))
    assert one.slates.tobytes() == two.slates.tobytes()
    assert one.rank.tobytes() == two.rank.tobytes()


@pytest.mark.parametrize("name", ["itemknn", "transitions", "ease", "transitions+ease"])
def test_whoever_reads_histories_finds_the_pattern_of_a_walk(name: str) -> None:
    stream = chained_stream()
    hits = {each: (replay(stream, fresh(each, stream)).rank >= 0).mean() for each in (name, "popularity")}
    assert hits[name] > 2 * hits["popularity"] > 0.2


@pytest.mark.parametrize("name", [n for n in BASELINES if n not in ("isgd", "raisgd", "bpr")])
def test_learning_whole_equals_learning_in_halves(name: str) -> None:
    stream = chained_stream(1000)
    whole, halves = fresh(name, stream), fresh(name, stream)
    assert isinstance(halves, SplitSystem)
    for user, item, t in zip(stream.user.tolist(), stream.item.tolist(), stream.t.tolist(), strict=True):
        whole.learn(user, item, t, 1.0)
        halves.learn_shared(user, item, t, 1.0)
        halves.remember(user, item, t, 1.0)
    for user in range(len(stream.users)):
        slates = [system.recommend(user, 1e6, 10, NOTHING).tolist() for system in (whole, halves)]
        assert slates[0] == slates[1]


def test_a_half_life_halves() -> None:
    decayed = Popularity(2, half_life=10.0)
    for t in (0.0, 1.0, 2.0):
        decayed.learn(0, 0, t, 1.0)
    decayed.learn(0, 1, 15.0, 1.0)  # 2^1.5 = 2.83 > 1 + 2^.1 + 2^.2 = 3.22 is false: not yet
    assert decayed.recommend(0, 15.0, 1, NOTHING).tolist() == [0]
    decayed.learn(0, 1, 15.0, 1.0)
    assert decayed.recommend(0, 15.0, 1, NOTHING).tolist() == [1]


def test_decayed_counts_keep_their_order_over_very_long_times() -> None:
    decayed = Popularity(3, half_life=1.0)
    for t in np.arange(0.0, 500.0, 0.5):
        decayed.learn(0, int(t) % 3, float(t), 1.0)
    assert decayed.recommend(0, 500.0, 3, NOTHING).tolist() == [1, 0, 2]


def test_itemknn_is_the_cosine_of_brute_force() -> None:
    stream = random_stream(500, users=20, items=15)
    knn = ItemKNN(20, 15, last=500, decay=1.0)
    table = np.zeros((20, 15))
    for user, item in zip(stream.user.tolist(), stream.item.tolist(), strict=True):
        if not table[user, item]:
            knn.learn(user, item, 0.0, 1.0)
            table[user, item] = 1
    count = table.sum(axis=0)
    together = table.T @ table * (1 - np.eye(15))
    for user in range(20):
        scores = (table[user] / np.sqrt(count)) @ together / np.sqrt(count + 1) + 1e-9 * count
        best = knn.recommend(user, 0.0, 5, NOTHING)
        assert scores[best].round(5).tolist() == np.sort(scores)[::-1][:5].round(5).tolist()


def test_transitions_read_the_order_of_events() -> None:
    ahead = Transitions(9, 3, TransitionSettings(back=0.0))
    for user in range(8):
        ahead.learn(user, 0, 0.0, 1.0)
        ahead.learn(user, 1, 1.0, 1.0)
    ahead.learn(8, 1, 0.0, 1.0)
    ahead.learn(8, 2, 1.0, 1.0)
    fan = Transitions(9, 3, TransitionSettings(back=0.0))
    fan.learn(0, 0, 0.0, 1.0)
    fan.learn(0, 1, 1.0, 1.0)
    assert fan.scores(0)[0] < 1e-6, "what came before is not what comes next"
    assert ahead.recommend(8, 2.0, 1, np.array([1, 2], np.int32)).tolist() == [0]


@pytest.mark.parametrize(("users", "items"), [(40, 15), (15, 40)])
def test_ease_is_its_closed_form_from_either_side(users: int, items: int) -> None:
    rng = np.random.default_rng(2)
    table = (rng.random((users, items)) < 0.3).astype(np.float64)
    table[0, :] = 1
    pairs = [(int(u), int(i)) for u, i in np.argwhere(table)]
    ease = EASE(users, items, EASESettings(every=len(pairs), penalty=5.0, decay=1.0))
    for user, item in pairs:
        ease.learn(user, item, 0.0, 1.0)
    inverse = np.linalg.inv(table.T @ table + 5.0 * np.eye(items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    for user in range(users):
        np.testing.assert_allclose(ease.scores(user), table[user] @ weights, atol=2e-4)


def test_ease_fits_only_the_most_consumed_items_of_a_large_catalogue() -> None:
    ease = EASE(30, 20, EASESettings(every=60, whole=10, most=5, penalty=1.0))
    for user in range(30):
        ease.learn(user, user % 2, 0.0, 1.0)
        ease.learn(user, 2 + user % 18, 0.0, 1.0)
    assert (np.abs(ease.scores(0)) > 1e-4).sum() <= 5


def test_raisgd_pushes_down_the_items_that_were_active_longest_ago() -> None:
    settings = ISGDSettings(negatives=1, rate=0.5)
    with_zeros, without = ISGD(2, 3, settings, seed=1), ISGD(2, 3, ISGDSettings(rate=0.5), seed=1)
    for system in (with_zeros, without):
        for _ in range(20):
            for item in (0, 1):
                system.learn(0, item, 0.0, 1.0)
    gap = []
    for system in (with_zeros, without):
        system.learn(1, 1, 0.0, 1.0)
        gap.append(system.recommend(1, 0.0, 3, NOTHING).tolist().index(1))
    assert gap[0] <= gap[1]


def random_links(pairs: DensePairs | HashedPairs) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(4)
    for _ in range(300):
        history = rng.choice(60, rng.integers(0, 12), replace=False).astype(np.int32)
        pairs.link(history, int(rng.integers(0, 60)), rng.random(len(history), np.float32), 0.3)
    asked = [rng.choice(60, 8, replace=False).astype(np.int32) for _ in range(20)]
    return [pairs.gather(history, np.linspace(1, 2, 8, dtype=np.float32)) for history in asked]


def test_pairs_are_the_same_to_the_byte_dense_and_hashed() -> None:
    dense, hashed = random_links(DensePairs(60)), random_links(HashedPairs(60))
    assert [row.tobytes() for row in dense] == [row.tobytes() for row in hashed]


def test_top_k_is_a_stable_sort_without_the_excluded() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        scores = rng.integers(0, 8, 40).astype(np.float32)
        exclude = rng.choice(40, rng.integers(0, 40), replace=False).astype(np.int32)
        order = [i for i in np.argsort(-scores, kind="stable").tolist() if i not in exclude.tolist()]
        assert top_k(scores, exclude, 10).tolist() == order[:10]


def test_a_score_that_is_not_a_number_is_never_recommended() -> None:
    scores = np.array([np.nan, 1.0, -np.inf, np.nan], np.float32)
    assert top_k(scores, NOTHING, 4).tolist() == [1]
