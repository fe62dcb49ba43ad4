"""The ranking task: its loss is the likelihood that ranking asks for, and steps along it make the taken likelier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import instep
from instep.domain import ConfigError, Feedback, ItemPut
from instep.log import MemoryLog
from instep.tune.causal import CausalRanker
from instep.tune.causal_models import CausalModel, open_causal
from instep.tune.examples import read_examples
from instep.tune.methods import Method, prepare, trained
from instep.tune.models import open_text_model
from instep.tune.registry import Registry, Version
from instep.tune.tasks.base import make_net, make_task
from instep.tune.tasks.ranking import Lesson, Predictor, lessons_in, ranking_loss, weights_of

LESSONS = [
    Lesson(("Green tea", "Black tea"), "Tea pot", ("Steel bolt", "Car battery")),
    Lesson(("Steel bolt",), "Steel nut, M6", ("Rose tea", "Tea cup")),
]


@pytest.fixture(scope="module")
def opened() -> CausalModel:
    torch.set_num_threads(1)
    return open_causal("smollm2")


def test_the_loss_is_what_ranking_will_ask_for(opened: CausalModel) -> None:
    ranker = CausalRanker(opened)
    asked = [float(ranker.log_likelihoods(each.history, (each.title,))[0]) for each in LESSONS]
    with torch.no_grad():
        loss = float(ranking_loss(opened.model, ranker.rendering, LESSONS))
    assert loss == pytest.approx(-np.mean(asked), abs=1e-4)


def test_the_contrast_is_the_cross_entropy_among_the_titles(opened: CausalModel) -> None:
    ranker = CausalRanker(opened)
    entropy = []
    for each in LESSONS:
        values = 4.0 * ranker.log_likelihoods(each.history, (each.title, *each.others)).astype(np.float64)
        entropy.append(np.log(np.exp(values).sum()) - values[0])
    with torch.no_grad():
        plain, both = (
            float(ranking_loss(opened.model, ranker.rendering, LESSONS, contrast=c)) for c in (0.0, 1.0)
        )
    assert both - plain == pytest.approx(np.mean(entropy), abs=1e-3)


def test_rewards_over_propensities_weigh_and_are_capped(opened: CausalModel) -> None:
    rendering = CausalRanker(opened).rendering
    first, second = (float(ranking_loss(opened.model, rendering, [each]).detach()) for each in LESSONS)
    heavy = [LESSONS[0]._replace(propensity=0.25), LESSONS[1]]
    weighted = float(ranking_loss(opened.model, rendering, heavy, weighted=True).detach())
    assert weighted == pytest.approx((4 * first + second) / 5, abs=1e-4)
    assert weights_of([LESSONS[0]._replace(propensity=1e-9), LESSONS[1]]) == pytest.approx([20 / 11, 2 / 11])


def test_a_few_steps_of_lora_make_the_taken_likelier_and_a_merged_model_remembers() -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    opened = open_causal("smollm2")
    ranker = CausalRanker(opened)
    before = ranker.log_likelihoods(LESSONS[0].history, (LESSONS[0].title,))[0]
    layers = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(opened.model, layers)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    assert sum(weight.numel() for weight in weights) < 0.01 * sum(w.numel() for w in model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=2e-3)
    for _ in range(4):
        ranking_loss(model, ranker.rendering, LESSONS).backward()
        optimizer.step()
        optimizer.zero_grad()
    merged = CausalModel("tuned", model.merge_and_unload().eval(), opened.tokenizer)
    after = CausalRanker(merged).log_likelihoods(LESSONS[0].history, (LESSONS[0].title,))[0]
    assert after > before + 0.1


def test_lessons_come_from_the_log_in_order_and_never_look_ahead() -> None:
    log = MemoryLog()
    log.append([ItemPut(f"p{n}", f"i{n}", 1e9, {"title": f"tea {n}"}) for n in range(12)])
    log.append([Feedback(f"e{n}", f"u{n % 3}", f"i{n % 12}", 1e9 + n, type="click") for n in range(36)])
    log.append([Feedback("bad", "u0", "i5", 1e9 + 40, type="dislike")])
    examples = read_examples(log)
    lessons = lessons_in(examples, range(examples.split), others=2, short=False)
    assert lessons
    for each in lessons:
        user = int(each.title.split()[1]) % 3
        assert all(int(title.split()[1]) % 3 == user for title in each.history)
        assert all(int(title.split()[1]) % 3 != user for title in each.others)
        assert each.title not in each.history
        assert each.reward > 0
    assert lessons[0] == Lesson(("tea 0",), "tea 3", lessons[0].others, lessons[0].reward, 1.0, 3)
    assert max(len(each.history) for each in lessons_in(examples, range(examples.split))) <= 20


def test_a_body_with_its_last_matrix_apart_has_the_same_loss(opened: CausalModel) -> None:
    rendering = CausalRanker(opened).rendering
    apart = Predictor(opened.model.model, opened.model.get_output_embeddings().weight)
    with torch.no_grad():
        whole, parts = (float(ranking_loss(model, rendering, LESSONS)) for model in (opened.model, apart))
    assert parts == pytest.approx(whole, abs=1e-5)


def test_a_version_that_ranks_cannot_become_the_encoder(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    with registry.draft() as draft:
        (draft / "model").mkdir()
        (draft / "model" / "config.json").write_text("{}")
        version = registry.add(draft, Version(base="smollm2", task="ranking", method="lora"))
    with pytest.raises(ConfigError, match=r"the scorer 'causal' uses it: .*model = \"v0001\" in \[causal\]"):
        registry.promote(version.name)
    assert registry.live == ""


@pytest.mark.slow
def test_the_task_as_any_other_gives_a_version_that_serves(opened: CausalModel, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "shop.instep" / "models")
    with instep.open(tmp_path / "shop.instep", encoder="none") as app:
        for k in range(12):
            app.put_item(f"i{k}", title=f"tea {k}")
        for k in range(36):
            app.observe(f"i{k % 12}", user_id=f"u{k % 3}", type="click")
        examples = read_examples(app.flow.log)
    model, task = open_text_model("smollm2"), make_task("ranking", {"batch": 2, "held": 2})
    task.prepare(examples, model)
    body = prepare(model.body, Method("lora", dropout=0.0))
    net = make_net(model, body, task)
    first, again = (task.batch(np.random.default_rng(3)) for _ in range(2))
    assert first == again
    loss = net(first)
    assert float(loss.detach()) == pytest.approx(
        float(ranking_loss(opened.model, CausalRanker(opened).rendering, first).detach()), abs=1e-4
    )
    loss.backward()
    with torch.no_grad():
        for weight in trained(body).values():
            assert weight.grad is not None
            weight -= 0.5 * weight.grad
    with registry.draft() as draft:
        task.export(model, body, draft / "model")
        version = registry.add(draft, Version(base="smollm2", task="ranking", method="lora"))
    served = CausalRanker(open_causal(str(registry.path(version.name) / "model")))
    told = [float(served.log_likelihoods(each.history, (each.title,))[0]) for each in task._held]
    assert task.validate(net)["likelihood"] == pytest.approx(np.mean(told), abs=1e-3)
    recommend = {"policy": "greedy", "scorers": ("causal",)}
    causal = {"model": version.name, "deadline_ms": 120_000}
    with instep.open(tmp_path / "shop.instep", encoder="none", recommend=recommend, causal=causal) as app:
        app.observe("i0", user_id="new", type="click")
        slate = app.recommend(user_id="new")
    assert not slate.degraded
    assert len(slate.items) == 10
    (registry.path(version.name) / "model" / "model.safetensors").write_bytes(b"torn")
    causal["deadline_ms"] = 1000  # another scorer than the one that this process has open
    with pytest.raises(ConfigError, match="corrupt"):
        instep.open(tmp_path / "shop.instep", encoder="none", recommend=recommend, causal=causal)


def test_what_cannot_be_merged_is_not_exported(tmp_path: Path) -> None:
    model, task = open_text_model("smollm2"), make_task("ranking")
    body = prepare(model.body, Method("adapter"))
    with pytest.raises(ConfigError, match="for ranking --method lora"):
        task.export(model, body, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_log_without_choices_says_so() -> None:
    log = MemoryLog()
    log.append([ItemPut(f"p{n}", f"i{n}", 1e9, {"title": f"tea {n}"}) for n in range(12)])
    log.append([Feedback(f"e{n}", f"u{n}", f"i{n % 12}", 1e9 + n, type="click") for n in range(36)])
    with pytest.raises(ConfigError, match="no choices to learn from"):
        make_task("ranking").prepare(read_examples(log), open_text_model("smollm2"))
