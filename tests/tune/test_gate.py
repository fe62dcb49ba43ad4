"""The gate: by events that were not seen and slates that were logged, a worse encoder is refused."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from instep.domain import ConfigError, Context, Entry, Feedback, ItemPut, ItemVector, Record, UserPut
from instep.encode import content_hash, encode_all, open_minilm, to_bytes
from instep.evaluate.vectors import item_vectors
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.tune.gate import CANNOT_TELL, NOT_WORSE, WORSE, Decision, Slates, judge, judge_logged
from instep.tune.margins import Margins
from instep.tune.unseen import Unseen, read_unseen, slices_of

START = 1_700_000_000.0
TOPICS = {
    "drinks": (
        "tea coffee espresso cappuccino latte lemonade juice beer wine whisky vodka gin rum "
        "cocktail champagne cider cola soda milkshake smoothie water cocoa brandy tequila sherry "
        "port ale lager stout mead sake punch eggnog mocha kefir squash tonic vermouth absinthe "
        "cognac bourbon martini mojito sangria matcha oolong chai kombucha"
    ),
    "garden": (
        "spade seeds rake hose tulip compost lawn hedge rose fertiliser soil trowel greenhouse "
        "shrub daffodil weed pruning wheelbarrow orchid bulb sprinkler flower fern ivy moss "
        "lavender sunflower daisy lily peony hoe mulch trellis bonsai cactus begonia geranium "
        "marigold orchard shears turf gardener planter violet hydrangea dahlia petunia jasmine"
    ),
    "vehicles": (
        "car truck bus motorcycle bicycle scooter van taxi tractor lorry ambulance limousine jeep "
        "convertible sedan train tram locomotive helicopter airplane glider ferry yacht canoe "
        "kayak submarine speedboat sailboat trailer caravan bulldozer forklift minibus hatchback "
        "engine tyre gearbox windscreen brake clutch headlight carburettor chassis dashboard "
        "motorway garage petrol driver"
    ),
    "music": (
        "guitar violin drum piano trumpet clarinet microphone harp flute saxophone cello banjo "
        "trombone accordion orchestra symphony concerto melody chorus opera jazz blues rock "
        "reggae ballad song singer choir conductor keyboard synthesizer amplifier headphones "
        "vinyl tambourine xylophone oboe bassoon tuba ukulele mandolin harmonica rhythm chord "
        "sonata bass karaoke bagpipes"
    ),
    "clothes": (
        "socks gloves coat scarf boots hat vest mittens jacket trousers shirt skirt dress blouse "
        "sweater cardigan jeans shorts tie belt sandals shoes slippers sneakers pyjamas robe suit "
        "blazer hoodie leggings tights underwear bra cap beret raincoat parka kimono poncho apron "
        "uniform tunic corset cloak waistcoat jumper bikini swimsuit"
    ),
    "animals": (
        "dog cat horse cow sheep goat pig chicken duck goose rabbit hamster mouse rat lion tiger "
        "leopard elephant giraffe zebra monkey gorilla bear wolf fox deer moose camel kangaroo "
        "koala panda whale dolphin shark penguin eagle owl parrot crocodile snake lizard frog "
        "turtle bee spider squirrel beaver otter"
    ),
}


def items() -> dict[str, str]:
    """288 item ids to titles of one word, six topics; no two share a word, and ids say nothing."""
    titles = [word for each in TOPICS.values() for word in each.split()]
    return {f"i{number * 97 % 288}": title for number, title in enumerate(titles)}


def shop(acts: int = 280) -> list[Entry]:
    """Every user buys what nobody bought before, always of one topic: only texts can tell what comes next."""
    rng = np.random.default_rng(3)
    titles = items()
    by_topic = [list(titles)[48 * topic : 48 * (topic + 1)] for topic in range(6)]
    for each in by_topic:
        rng.shuffle(each)
    records: list[Record] = [ItemPut(f"p{k}", k, START, {"title": title}) for k, title in titles.items()]
    records += [UserPut(f"a{k}", f"u{k}", START, {"region": "ns"[k % 2]}) for k in range(12)]
    for number in range(acts):
        user = number % 12
        item = by_topic[user % 6].pop()
        records.append(Feedback(f"e{number}", f"u{user}", item, START + 60.0 * number, "purchase"))
    return [Entry(offset, record) for offset, record in enumerate(records)]


def shuffled(vectors: Sequence[ItemVector]) -> list[ItemVector]:
    """Every item with another one's vector: a model that lost what texts mean."""
    order = np.random.default_rng(1).permutation(len(vectors))
    return [
        msgspec.structs.replace(mine, vector=vectors[other].vector, encoder="broken")
        for mine, other in zip(vectors, order, strict=True)
    ]


@pytest.fixture(scope="module")
def unseen() -> Unseen:
    entries = shop()
    return read_unseen(entries, len(entries) - 150)


@pytest.fixture(scope="module")
def vectors(unseen: Unseen) -> list[ItemVector]:
    return item_vectors(unseen.stream, "english")


@pytest.fixture(scope="module")
def refused(unseen: Unseen, vectors: list[ItemVector]) -> Decision:
    return judge(unseen, vectors, shuffled(vectors))


def test_an_encoder_that_mixes_items_up_is_refused_and_cold_items_say_why(refused: Decision) -> None:
    assert not refused.passed
    parts = {part.name: part for part in refused.parts}
    assert parts["all"].says == parts["cold items"].says == WORSE
    assert parts["all"].change is not None
    assert parts["all"].change < -0.3
    assert any(reason.startswith("NDCG@10 -") and "for cold items" in reason for reason in refused.reasons)
    assert "refused" in refused.lines()[0]


def test_an_equal_encoder_may_serve(unseen: Unseen, vectors: list[ItemVector]) -> None:
    decision = judge(unseen, vectors, [msgspec.structs.replace(each, encoder="again") for each in vectors])
    assert decision.passed
    assert decision.reasons == []
    assert (decision.live, decision.candidate) == (vectors[0].encoder, "again")
    assert decision.events == unseen.count == 150
    assert {part.change for part in decision.parts if part.events} == {0.0}
    assert decision.parts[0].says == NOT_WORSE


def test_a_better_encoder_may_serve(unseen: Unseen, vectors: list[ItemVector]) -> None:
    decision = judge(unseen, shuffled(vectors), vectors)
    assert decision.passed
    assert decision.parts[0].low is not None
    assert decision.parts[0].low > 0.0


def test_the_decision_is_read_back_from_its_file(refused: Decision) -> None:
    assert msgspec.json.decode(msgspec.json.encode(refused), type=Decision) == refused


def test_too_few_events_are_no_pass(unseen: Unseen, vectors: list[ItemVector]) -> None:
    decision = judge(unseen, vectors, vectors, Margins(events=500))
    assert not decision.passed
    assert decision.reasons == ["only 150 unseen events, 500 are needed to judge"]
    assert {part.says for part in decision.parts} == {CANNOT_TELL}


def test_slates_that_earned_less_refuse_alone(unseen: Unseen, vectors: list[ItemVector]) -> None:
    decision = judge(unseen, vectors, vectors, slates=Slates(WORSE, impressions=900, change=-0.2))
    assert decision.reasons == ["logged slates would have earned -0.2000 an impression"]


def test_only_what_came_after_the_training_data_is_scored() -> None:
    entries = shop()
    since = len(entries) - 20
    found = read_unseen(entries, since)
    assert found.count == 20
    assert found.since == entries[since].record.timestamp
    assert read_unseen(entries, since, most=30).stream.t.tolist() == found.stream.t[-30:].tolist()
    with pytest.raises(ConfigError, match="no positive act from offset"):
        read_unseen(entries, len(entries))


def test_ratings_count_when_they_are_above_the_users_own_mean() -> None:
    stars = [("u", 5.0), ("u", 5.0), ("u", 4.3), ("v", 2.0), ("v", 1.0), ("v", 3.4), ("u", 4.2)]
    acts = [
        Feedback(f"e{k}", user, f"i{k}", START + k, "rating", value) for k, (user, value) in enumerate(stars)
    ]
    found = read_unseen([Entry(k, act) for k, act in enumerate(acts)], 0)
    kept = [found.stream.items[number] for number in found.stream.item]
    assert kept == ["i0", "i1", "i2", "i5"]


def test_a_users_attribute_makes_the_groups_to_be_fair_to(unseen: Unseen) -> None:
    names = [name for name, _ in slices_of(unseen, "region")]
    assert set(names) == {"cold items", "cold users", "region = n", "region = s"}
    parts = {name: int((mask & unseen.unseen).sum()) for name, mask in slices_of(unseen)}
    assert parts["head items"] + parts["tail items"] == 150
    assert parts["least active users"] + parts["middle users"] + parts["most active users"] == 150


@pytest.mark.parametrize("wrong", [{"overall": 1.0}, {"part": -0.1}, {"events": 0}, {"window": 0.0}])
def test_margins_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="gate: "):
        Margins(**wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def served() -> tuple[MemoryLog, list[ItemVector]]:
    """A log of slates on which users click what is of their topic, and the catalogue's vectors."""
    titles = dict(list(items().items())[::6])
    encoder = open_minilm()
    made = encode_all(encoder, list(titles.values()))
    vectors = [
        ItemVector(
            f"vector:{name}",
            name,
            START,
            encoder.name,
            content_hash(title, encoder.name),
            to_bytes(vector),
        )
        for (name, title), vector in zip(titles.items(), made, strict=True)
    ]
    log = MemoryLog()
    flow = Flow(log, Settings(policy="thompson", budget=1.0, repeat=True))
    flow.observe([ItemPut(f"p{k}", k, START, {"title": title}) for k, title in titles.items()])
    flow.observe(vectors)
    topic = {name: number // 8 for number, name in enumerate(titles)}
    rng = np.random.default_rng(2)
    for number in range(200):
        now, user = START + 600.0 * (number + 1), number % 20
        slate = flow.recommend(Context(f"u{user}", n=3, now=now, request_id=f"s{number}"))
        clicks = [
            Feedback(
                f"c{number}-{each.item_id}", f"u{user}", each.item_id, now + 1, "click", None, slate.slate_id
            )
            for each in slate.items
            if rng.random() < (0.7 if topic[each.item_id] == user % 6 else 0.1)
        ]
        flow.observe(clicks) if clicks else None
    return log, vectors


def test_logged_slates_know_their_own_encoder_and_do_not_call_it_worse(
    served: tuple[MemoryLog, list[ItemVector]],
) -> None:
    log, vectors = served
    settings = Settings(policy="thompson", budget=1.0, repeat=True)
    found = judge_logged(log, settings, vectors, START, Margins(slates=100, window=300.0))
    assert found.impressions > 150
    assert found.says in (NOT_WORSE, CANNOT_TELL)
    assert found.change == pytest.approx(0.0, abs=0.02)  # the estimator has noise of its own
    assert found.earned is not None
    assert found.earned > 0.0


def test_few_slates_cannot_tell_and_say_so(served: tuple[MemoryLog, list[ItemVector]]) -> None:
    log, vectors = served
    settings = Settings(policy="thompson", budget=1.0, repeat=True)
    found = judge_logged(log, settings, vectors, START, Margins(slates=5000, window=300.0))
    assert (found.says, found.why) == (CANNOT_TELL, f"{found.impressions} slates, 5000 are needed")
    late = judge_logged(log, settings, vectors, START + 1e9)
    assert late.says == CANNOT_TELL
    assert late.why
