"""Local folders with an ONNX model: what is read from them, and models whose batches are not exact."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.encode import Encoder, OnnxEncoder, open_encoder, open_folder
from instep.encode.onnx import MINILM_TOKENIZER, equal_length_batches
from instep.testing import EncoderContract

VOCABULARY, WIDTH = 30522, 8


def _field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field: a number as varint, anything else by length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _node(op: str, inputs: list[str], outputs: list[str]) -> bytes:
    names = b"".join(_field(1, name) for name in inputs) + b"".join(_field(2, name) for name in outputs)
    return _field(1, names + _field(4, op))


def _value(field: int, name: str, kind: int, rank: int) -> bytes:
    shape = b"".join(_field(1, _field(2, f"axis{axis}")) for axis in range(rank))
    return _field(field, _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape))))


def write_word_model(path: Path, table: NDArray[np.float32], quantise: bool) -> None:
    """A real, small ONNX model: a table of word vectors, its output quantised at run time if asked for."""
    nodes = _node("Gather", ["table", "input_ids"], ["words"])
    if quantise:
        nodes += _node("DynamicQuantizeLinear", ["words"], ["q", "scale", "zero"])
        nodes += _node("DequantizeLinear", ["q", "scale", "zero"], ["last_hidden_state"])
    else:
        nodes += _node("Identity", ["words"], ["last_hidden_state"])
    dims = b"".join(_field(1, size) for size in table.shape)
    tensor = dims + _field(2, 1) + _field(8, "table") + _field(9, table.astype("<f4").tobytes())
    graph = nodes + _field(2, "words") + _field(5, tensor)
    graph += _value(11, "input_ids", 7, 2) + _value(12, "last_hidden_state", 1, 3)
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))


def _word_folder(folder: Path, quantise: bool = False, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = np.random.default_rng(7).normal(size=(VOCABULARY, WIDTH)).astype(np.float32)
    write_word_model(folder / "model.onnx", table, quantise)
    shutil.copy(MINILM_TOKENIZER, folder / "tokenizer.json")
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


class TestFolder(EncoderContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.encoder = open_folder(_word_folder(tmp_path / "words"))

    def make(self) -> Encoder:
        return self.encoder


class TestFolderWithActivationQuantisation(EncoderContract):
    """Its scale depends on all texts of a run: only text by text does it keep the law."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.encoder = open_folder(_word_folder(tmp_path / "words", quantise=True))

    def make(self) -> Encoder:
        return self.encoder

    def test_it_is_found_out_and_encodes_text_by_text(self) -> None:
        assert not self.encoder.batches
        together = self.encoder._run(np.array([[101, 2000, 102], [101, 9000, 102]]))
        alone = self.encoder._run(np.array([[101, 2000, 102]]))
        assert together[0].tobytes() != alone[0].tobytes()


def test_minilm_as_a_folder_gives_the_bytes_of_the_default(minilm: OnnxEncoder, minilm_folder: Path) -> None:
    encoder = open_encoder(str(minilm_folder))
    assert encoder.dimensions == 384
    assert encoder.encode(["green tea"]).tobytes() == minilm.encode(["green tea"]).tobytes()


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("pooling_mode_mean_tokens", lambda rows: rows.mean(axis=0)),
        ("pooling_mode_cls_token", lambda rows: rows[0]),
        ("pooling_mode_max_tokens", lambda rows: rows.max(axis=0)),
        ("pooling_mode_lasttoken", lambda rows: rows[-1]),
    ],
)
def test_the_folder_says_how_token_vectors_are_pooled(tmp_path: Path, flag: str, expected: object) -> None:
    encoder = open_folder(_word_folder(tmp_path, **{"1_Pooling__config": {flag: True}}))
    table = np.random.default_rng(7).normal(size=(VOCABULARY, WIDTH)).astype(np.float32)
    want = expected(table[[101, 5572, 102]])  # type: ignore[operator]
    np.testing.assert_allclose(encoder.encode(["tea"])[0], want / np.linalg.norm(want), atol=1e-6)


def test_prompts_of_the_folder_go_before_items_and_queries(tmp_path: Path) -> None:
    plain = open_folder(_word_folder(tmp_path / "plain"))
    prompts = {"prompts": {"query": "search: ", "document": "item: "}}
    prompted = open_folder(_word_folder(tmp_path / "prompted", config_sentence_transformers=prompts))
    assert prompted.encode(["tea"]).tobytes() == plain.encode(["item: tea"]).tobytes()
    assert prompted.encode(["tea"], "query").tobytes() == plain.encode(["search: tea"]).tobytes()


def test_the_folder_says_how_many_tokens_are_read(tmp_path: Path) -> None:
    encoder = open_folder(_word_folder(tmp_path, sentence_bert_config={"max_seq_length": 4}))
    first, second = encoder.encode(["red tea with milk", "red tea and a biscuit"])
    assert first.tobytes() == second.tobytes()


def test_a_folders_name_changes_with_its_content(tmp_path: Path) -> None:
    one = open_folder(_word_folder(tmp_path / "a" / "words"))
    same = open_folder(_word_folder(tmp_path / "b" / "words"))
    other = open_folder(_word_folder(tmp_path / "c" / "words", quantise=True))
    pooled = open_folder(
        _word_folder(tmp_path / "d" / "words", **{"1_Pooling__config": {"pooling_mode_cls_token": True}})
    )
    assert one.name == same.name
    assert len({one.name, other.name, pooled.name}) == 3


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
def test_a_folder_without_a_file_says_which_and_how_to_make_it(tmp_path: Path, missing: str) -> None:
    (_word_folder(tmp_path) / missing).unlink()
    with pytest.raises(ConfigError, match=rf"has no {missing}.*optimum-cli export onnx"):
        open_encoder(str(tmp_path))


@pytest.mark.parametrize("broken", ["model.onnx", "tokenizer.json", "modules.json"])
def test_a_damaged_file_is_named(tmp_path: Path, broken: str) -> None:
    (_word_folder(tmp_path) / broken).write_bytes(struct.pack("<I", 0xDEADBEEF))
    with pytest.raises(ConfigError, match=broken):
        open_encoder(str(tmp_path))


def test_a_layer_that_is_not_in_the_onnx_file_is_refused(tmp_path: Path) -> None:
    modules = [
        {"type": "sentence_transformers.models.Transformer"},
        {"type": "sentence_transformers.models.Dense"},
    ]
    with pytest.raises(ConfigError, match="needs the layer Dense"):
        open_encoder(str(_word_folder(tmp_path, modules=modules)))


@pytest.mark.parametrize(
    "name", ["./no-such-folder", "/no/such/folder", "minilm", "a/b/c", "", "openai:model"]
)
def test_a_name_of_no_known_form_lists_the_forms(name: str) -> None:
    with pytest.raises(ConfigError, match="openai:MODEL@https://host/v1"):
        open_encoder(name)


def test_batches_hold_one_length_and_stay_small() -> None:
    lengths = [5] * 70 + [300] * 9 + [2000]
    batches = equal_length_batches(lengths, 32)
    assert sorted(row for batch in batches for row in batch) == list(range(80))
    assert all(len({lengths[row] for row in batch}) == 1 for batch in batches)
    assert [len(batch) for batch in batches] == [32, 32, 6, 3, 3, 3, 1]
