"""Content vectors: principal directions whichever way they are found, nearest items as a plain scan finds them."""

from __future__ import annotations

import numpy as np
import pytest

from instep.domain import EncoderSwitch, Item, ItemPatch, ItemPut, ItemRemoval, ItemVector, Record
from instep.flow import Flow, Settings
from instep.learn.text import CELL_MOST, _directions, add_vector
from instep.lists import search, similar
from instep.log import MemoryLog
from instep.retrieve.text import PROBES, nearest_items
from instep.state import TEXT_WIDTH, Space, new_text_space

NOW = 1_700_000_000.0


def vector(k: int, seed: int, width: int = 48, encoder: str = "m") -> ItemVector:
    numbers = np.random.default_rng(seed).standard_normal(width)
    stored = (numbers / np.linalg.norm(numbers)).astype("<f2").tobytes()
    return ItemVector(f"v{k}-{seed}-{width}", f"i{k}", NOW, encoder, f"h{seed}", stored)


@pytest.mark.parametrize(("rows", "width"), [(1, 8), (2, 500), (30, 90), (90, 30), (100, 200), (500, 70)])
def test_few_rows_and_many_give_the_directions_that_hold_most(rows: int, width: int) -> None:
    vectors = np.random.default_rng(rows).standard_normal((rows, width)).astype(np.float32)
    basis = _directions(vectors)
    assert basis.shape == (width, TEXT_WIDTH)
    used = np.linalg.norm(basis, axis=0) > 0
    kept = min(rows, width, TEXT_WIDTH)
    assert used.tolist() == [True] * kept + [False] * (TEXT_WIDTH - kept)
    np.testing.assert_allclose(basis[:, used].T @ basis[:, used], np.eye(kept), atol=2e-3)
    held = np.square(vectors @ basis).sum()
    best = np.square(np.linalg.svd(vectors, compute_uv=False)[:kept]).sum()
    assert held == pytest.approx(best, rel=1e-3)


def test_equal_vectors_and_zeros_are_no_failure() -> None:
    for rows in (np.zeros((3, 9), np.float32), np.ones((3, 9), np.float32), np.ones((20, 9), np.float32)):
        assert np.isfinite(_directions(rows)).all()


def test_thousands_of_dimensions_are_learned_from_the_first_item_on() -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe([vector(k, k, 4096) for k in range(20)])
    query = np.frombuffer(vector(7, 7, 4096).vector, "<f2").astype(np.float32)
    assert search(flow.model.state, "", query, 1, NOW)[0].item_id == "i7"


def test_search_finds_what_a_plain_scan_finds_through_changes_and_removals() -> None:
    flow = Flow(MemoryLog(), Settings())
    records: list[Record] = [ItemPut(f"p{k}", f"i{k}", NOW, {"title": f"{k}"}) for k in range(300)]
    records += [vector(k, k) for k in range(300)]
    records += [vector(k, 1000 + k) for k in range(0, 300, 3)]
    records += [ItemRemoval(f"r{k}", f"i{k}", NOW) for k in range(0, 300, 10)]
    flow.observe(records)
    held = {k: (1000 + k if k % 3 == 0 else k) for k in range(300) if k % 10}
    whole = np.array([np.frombuffer(vector(k, s).vector, "<f2") for k, s in held.items()], np.float32)
    mean = flow.model.state.text.mean
    for seed in range(5):
        query = np.random.default_rng(9000 + seed).standard_normal(48).astype(np.float32)
        query /= np.linalg.norm(query)
        centred = whole - mean
        cosine = centred @ (query - mean) / np.linalg.norm(centred, axis=1)
        best = [f"i{list(held)[at]}" for at in np.argsort(-cosine)[:5]]
        assert [item.item_id for item in search(flow.model.state, "", query, 5, NOW)] == best


def near(kind: int, seed: int) -> np.ndarray:
    """A float16 vector of one of 16 kinds."""
    numbers = np.eye(16, 48)[kind] + np.random.default_rng(seed).standard_normal(48) / 20.0
    return (numbers / np.linalg.norm(numbers)).astype(np.float16)


@pytest.mark.parametrize("alike", [False, True])
def test_a_cell_that_has_become_large_is_split_and_loses_nobody(alike: bool) -> None:
    rows = 9_000
    space = Space(new_text_space(48), np.zeros((rows, TEXT_WIDTH), np.int8), np.zeros(rows, np.uint8))
    for row in range(rows):  # the cells are fitted on sixteen kinds, then comes one of them
        kind = row % 16 if row < 4_200 else 15
        space = add_vector(space, row, near(kind, 0 if alike and row >= 4_200 else row))
    text = space.text
    cells, members = len(text.centre), text.members
    lengths = members.length[:cells]
    assert cells > 64
    assert lengths.max() <= CELL_MOST
    assert lengths.sum() == rows
    for row in range(rows):
        assert members.ids[members.start[text.cell[row]] + text.place[row]] == row
    items = Flow(MemoryLog()).model.state.items._replace(text=space.reduced, blocked=np.zeros(rows, np.uint8))
    for row in range(0, rows, 500):
        wanted = space.reduced[row].astype(np.float32)
        found = nearest_items(items, text.centre, members, wanted, 10, cells)
        cosines = space.reduced.astype(np.float32) @ wanted
        assert cosines[found].tolist() == sorted(cosines.tolist(), reverse=True)[:10]
        assert alike or row in nearest_items(items, text.centre, members, wanted, 1, PROBES)


def flow_with(*records: Record) -> Flow:
    flow = Flow(MemoryLog(), Settings())
    flow.observe(records)
    return flow


def switch(encoder: str, event_id: str = "s1") -> EncoderSwitch:
    return EncoderSwitch(event_id, encoder, NOW)


def test_a_model_of_another_width_under_the_same_name_starts_anew() -> None:
    flow = flow_with(*(vector(k, k) for k in range(20)), vector(3, 77, 24))
    state = flow.model.state
    assert (state.names.encoder, state.names.beside, state.text.raw.shape[1]) == ("m", "", 24)
    assert state.items.text_known[:20].tolist() == [k == 3 for k in range(20)]
    assert flow.item("i5") == Item("i5")
    assert search(flow.model.state, "", np.ones(48, np.float32), 5, NOW) == []
    assert [item.item_id for item in search(flow.model.state, "", np.ones(24, np.float32), 5, NOW)] == ["i3"]


def found(flow: Flow, width: int = 48) -> list[tuple[str, float]]:
    query = np.random.default_rng(5).standard_normal(width).astype(np.float32)
    return [(item.item_id, item.score) for item in search(flow.model.state, "", query, 5, NOW)]


def test_vectors_of_another_model_wait_beside_until_the_switch() -> None:
    flow = flow_with(*(vector(k, k) for k in range(80)))
    before = found(flow)
    flow.observe([vector(k, 500 + k, 24, "other") for k in range(80)])
    assert (found(flow), found(flow, 24)) == (before, [])
    flow.observe([switch("other")])
    alone = flow_with(*(vector(k, 500 + k, 24, "other") for k in range(80)))
    assert found(flow, 24) == found(alone, 24) != []
    state, wanted = flow.model.state, alone.model.state
    assert state.items.text[:80].tobytes() == wanted.items.text[:80].tobytes()
    assert (state.names.encoder, state.names.beside) == ("other", "m")
    assert state.names.content == wanted.names.content
    flow.observe([switch("m", "s2")])
    assert found(flow) == before


def test_items_that_come_after_the_vectors_beside_are_there_after_a_switch() -> None:
    flow = flow_with(*(vector(k, k) for k in range(3)), vector(0, 9, 24, "other"))
    flow.observe([ItemPut(f"p{k}", f"i{k}", NOW, {"title": f"{k}"}) for k in range(300)])
    flow.observe([switch("other"), vector(299, 4, 24, "other"), vector(298, 4)])
    state = flow.model.state
    assert [int(row) for row in np.flatnonzero(state.items.text_known)] == [0, state.item_number["i299"]]
    assert len(state.items.text) == len(state.items.taken) == len(state.items.text_known)
    assert len(state.names.content) == state.n_items
    flow.observe([switch("m", "s2")])
    known = np.flatnonzero(flow.model.state.items.text_known).tolist()
    assert known == [0, 1, 2, flow.model.state.item_number["i298"]]


def test_a_switch_to_a_space_that_is_not_there_has_no_effect() -> None:
    given = [vector(k, k) for k in range(9)]
    with_switches = flow_with(*given[:4], switch("other"), switch("m", "s2"), *given[4:])
    assert with_switches.state_hash() == flow_with(*given).state_hash()
    assert flow_with(switch("m")).model.state.names.encoder == ""


def test_a_third_model_starts_the_space_beside_anew_and_there_are_never_more_than_two() -> None:
    flow = flow_with(*(vector(k, k) for k in range(9)), *(vector(k, k, 24, "two") for k in range(9)))
    flow.observe([vector(4, 4, 32, "three"), switch("two")])
    state = flow.model.state
    assert (state.names.encoder, state.names.beside) == ("m", "three")
    flow.observe([switch("three", "s2")])
    assert np.flatnonzero(flow.model.state.items.text_known).tolist() == [4]


def test_without_a_second_model_the_space_beside_holds_nothing() -> None:
    state = flow_with(*(vector(k, k) for k in range(200)), switch("m")).model.state
    held = [array for name, array in state.arrays().items() if name.startswith("beside")]
    assert sum(array.nbytes for array in held) < 100
    assert state.names.beside_content == []


def test_the_very_words_of_a_query_bring_an_item_forward_that_no_vector_would() -> None:
    flow = flow_with(*(vector(k, k) for k in range(80)))
    query = np.frombuffer(vector(7, 7).vector, "<f2").astype(np.float32)
    plain = search(flow.model.state, "zorblax", query, 80, NOW)
    assert plain[0].item_id == "i7"
    last = plain[-1].item_id
    flow.observe([ItemPut("put", last, NOW, {"title": "Zorblax 9", "brand": "Cora Vega"})])
    assert search(flow.model.state, "the quick", query, 80, NOW) == plain
    for words in ("ZORBLAX", "a vega, zorblax"):
        found = search(flow.model.state, words, query, 80, NOW)
        assert {item.item_id: item.score for item in found}[last] > plain[-1].score + 0.3
    flow.observe([ItemPatch("patch", last, NOW, {"title": "tea", "brand": "Lu"})])
    assert search(flow.model.state, "zorblax", query, 80, NOW) == plain


def test_an_item_that_shares_a_name_is_similar_before_anything_was_taken() -> None:
    flow = flow_with(
        *(
            ItemPut(f"p{k}", f"i{k}", NOW, {"artist": f"artist {k % 20}", "title": f"song {k}"})
            for k in range(60)
        )
    )
    assert {item.item_id for item in similar(flow.model.state, "i3", 2, NOW)} == {"i23", "i43"}
