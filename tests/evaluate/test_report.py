"""The page of a replay."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import numpy as np
import pytest

from instep.domain import ConfigError, Item
from instep.evaluate import BASELINES, Outcome, Rows, Stream, arrange, replay, summarise
from instep.evaluate.report import Extras, render, write_report
from instep.evaluate.svg import Axes, Bar, Series, bars, lines, ticks

HOSTILE = '<script>alert("x")</script>'


def replayed() -> tuple[Stream, list[Outcome], dict[str, object]]:
    """A small replay of a data set with a hostile name."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20, 800), rng.integers(0, 60, 800)
    catalogue = {f"i{i}": Item(f"i{i}", categories=("even" if i % 2 else "odd",)) for i in range(60)}
    rows = Rows([f"u{u}" for u in users], [f"i{i}" for i in items], np.arange(800) * 60.0)
    stream = arrange(HOSTILE, rows, catalogue)
    outcomes = [
        replay(stream, BASELINES[name](len(stream.users), 60, 0)) for name in ("popularity", "transitions")
    ]
    result = {
        "dataset": stream.name,
        "events": 800,
        "scored": len(outcomes[0].rank),
        "users": 20,
        "items": 60,
        "systems": [summarise(stream, outcome) for outcome in outcomes],
        "seed": 0,
        "version": "1",
    }
    return stream, outcomes, result


def test_the_page_holds_every_plot_and_fetches_nothing() -> None:
    extras = Extras({"everything": [(0, 0.2), (100, 0.1)]}, {"text": [(0, 0.5), (400, 0.7)]})
    page = render(*replayed(), extras)
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 2 + 1 + 2 + 1 + 1 + 2
    for picture in pictures:
        assert ET.fromstring(picture).get("aria-label")
    assert not re.search(r"<(script|link|img|iframe)|src=|url\(|@import", page)
    assert re.findall(r"https?://[^\"]+", page) == ["http://www.w3.org/2000/svg"] * len(pictures)


def test_names_of_data_are_text_and_never_markup() -> None:
    page = render(*replayed())
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_sections_without_data_are_left_out() -> None:
    page = render(*replayed())
    assert "Freshness" not in page
    assert "What the ranker trusts" not in page


def test_the_report_is_a_page_and_the_same_result_as_json(tmp_path: Path) -> None:
    stream, outcomes, result = replayed()
    page = write_report(tmp_path / "new" / "out", stream, outcomes, result)
    assert page.name == "index.html"
    assert msgspec.json.decode((page.parent / "result.json").read_bytes()) == result


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(tmp_path / "file", *replayed())


def test_a_gap_in_a_line_lifts_the_pen() -> None:
    drawn = lines([Series("a", [0, 1, 2, 3], [1.0, None, 2.0, 3.0])], Axes("t", "x", "y"))
    path = re.search(r'class="line c0" d="([^"]+)"', drawn)
    assert path is not None
    assert path[1].count("M") == 2
    assert path[1].count("L") == 1


def test_bars_are_as_long_as_their_values() -> None:
    drawn = bars([Bar("a", 0.1), Bar("b", 0.2)], "t")
    widths = [float(w) for w in re.findall(r'<rect[^>]* width="([\d.]+)"', drawn)]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.01)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.037), (-3, 12), (5, 5), (0, 123456)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert 1 <= len(marks) <= 7
    assert all(low - 1e-9 <= mark <= high + 1e-9 for mark in marks)
