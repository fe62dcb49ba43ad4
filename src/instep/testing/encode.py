"""The contract of encoders, as tests that any implementation, ours or a plugin's, must pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from instep.encode import Encoder

TEXTS = (
    "",
    " ",
    "tea",
    "Toy Story. Animation, Children",
    "The Good, the Bad and the Ugly. Western",
    "WHITE HANGING HEART T-LIGHT HOLDER",
    "流浪地球 科幻 冒险",
    "Война и мир. Роман",
    "nul \0 and a lone surrogate \ud800 and an emoji 🎬",
    "a longer text " * 10,
    "word" * 3000,
    "tea",
)


class EncoderContract(ABC):
    """Subclass it in a test module, name the encoder, and pytest checks the laws of `encode/base.py`.

    >>> from instep.encode import open_encoder
    >>> class TestMine(EncoderContract):
    ...     def make(self):
    ...         return open_encoder("english")
    >>> TestMine().test_rows_are_finite_unit_vectors_whatever_the_text()
    """

    @abstractmethod
    def make(self) -> Encoder:
        """The encoder under test; the same object may be returned again."""

    def test_rows_are_finite_unit_vectors_whatever_the_text(self) -> None:
        """Empty, very long, foreign and broken texts, too: whoever multiplies rows need not look at them first."""
        encoder = self.make()
        for kind in ("item", "query"):
            vectors = encoder.encode(TEXTS, kind)
            assert vectors.dtype == np.float32
            assert vectors.shape == (len(TEXTS), encoder.dimensions)
            assert np.isfinite(vectors).all()
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_no_texts_give_no_rows(self) -> None:
        """But rows of the right width."""
        encoder = self.make()
        assert encoder.encode([]).shape == (0, encoder.dimensions)

    def test_the_same_text_gives_the_same_bytes_alone_and_in_any_batch(self) -> None:
        """A vector is kept under its text: what else was in the batch must not show in it."""
        encoder = self.make()
        for kind in ("item", "query"):
            together = encoder.encode(TEXTS, kind)
            for row, text in enumerate(TEXTS):
                assert encoder.encode([text], kind)[0].tobytes() == together[row].tobytes(), text[:40]
            backwards = encoder.encode(TEXTS[::-1], kind)
            assert backwards[::-1].tobytes() == together.tobytes()

    def test_the_same_text_gives_the_same_bytes_from_several_threads(self) -> None:
        """Queries are encoded while items are."""
        encoder = self.make()
        expected = encoder.encode(TEXTS).tobytes()
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda _: encoder.encode(TEXTS).tobytes(), range(2)))
        assert results == [expected] * 2

    def test_a_second_encoder_of_the_same_name_gives_the_same_bytes(self) -> None:
        """Vectors outlive the process, under the name of what made them."""
        first, second = self.make(), self.make()
        assert first.name == second.name
        assert first.name
        assert first.encode(TEXTS).tobytes() == second.encode(TEXTS).tobytes()

    def test_different_texts_get_different_vectors(self) -> None:
        """An encoder that says the same of everything keeps every other law."""
        encoder = self.make()
        tea, film = encoder.encode(["tea", "Toy Story. Animation, Children"])
        assert float(tea @ film) < 0.999
