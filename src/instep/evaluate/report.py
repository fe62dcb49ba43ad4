"""The page of a replay: one HTML file with its plots in it, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.evaluate.base import Float64, Int32
from instep.evaluate.bootstrap import mean_interval
from instep.evaluate.metrics import gains, known_before
from instep.evaluate.replay import Outcome
from instep.evaluate.stream import Stream
from instep.evaluate.svg import COLOURS, Axes, Bar, Series, bars, lines

BUCKETS = 40
KNOWN = ((0, 0, "none"), (1, 5, "1-5"), (6, 20, "6-20"), (21, 100, "21-100"), (101, 10**9, "over 100"))


@dataclass(frozen=True)
class Extras:
    """What only some runs have.

    Args:
        freshness: name of what is late -> (events late, HR) pairs.
        weights: signal -> (event, weight) pairs, as the ranker learned.
    """

    freshness: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    weights: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)


def write_report(
    folder: Path,
    stream: Stream,
    outcomes: Sequence[Outcome],
    result: Mapping[str, Any],
    extras: Extras = Extras(),
) -> Path:
    """Write ``index.html`` and ``result.json`` into a folder.

    Args:
        folder: created when it is missing.
        stream: what was replayed.
        outcomes: one a system, the system under test first.
        result: the object of the JSON line.
        extras: freshness and weights, where they were measured.

    Returns:
        The page.

    Raises:
        ConfigError: the folder cannot be written.
    """
    page = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(render(stream, outcomes, result, extras), encoding="utf-8")
        (folder / "result.json").write_bytes(msgspec.json.encode(result) + b"\n")
    except OSError as error:
        raise ConfigError(f"--report {folder}: cannot be written: {error.strerror or error}") from error
    return page


def render(
    stream: Stream, outcomes: Sequence[Outcome], result: Mapping[str, Any], extras: Extras = Extras()
) -> str:
    """The page as text (see `write_report`)."""
    k = outcomes[0].slates.shape[1]
    style = files("instep.evaluate").joinpath("report.css").read_text(encoding="utf-8")
    sections = [
        _section("Side by side", _headline(stream, outcomes, k), _SIDE_BY_SIDE),
        _section("All numbers", _table(result["systems"]), ""),
        _section("Quality over time", _over_time(stream, outcomes, k), _OVER_TIME),
        _section("How much was known", _slices(stream, outcomes, k), _KNOWN),
        _section("Freshness", _freshness(extras, k), _FRESHNESS),
        _section("What the ranker trusts", _weights(extras), _WEIGHTS),
        _section("Latency", _latency(outcomes), _LATENCY),
    ]
    facts = " · ".join(
        f"<b>{result[name]:,}</b> {what}"
        for name, what in (("events", "events"), ("scored", "scored"), ("users", "users"), ("items", "items"))
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Replay of {escape(result['dataset'])}</title><style>{style}</style></head><body><main>"
        f"<h1>Replay of {escape(result['dataset'])}</h1><p class='facts'>{facts}</p>"
        f"<p>{_INTRODUCTION}</p>{''.join(sections)}"
        f"<footer>instep {escape(result['version'])}, seed {result['seed']}</footer></main></body></html>\n"
    )


_INTRODUCTION = (
    "Every event was first a question &mdash; is its item among the best for its user right now? &mdash; and "
    "only then a lesson. All unseen items of the catalogue were candidates; nothing was sampled."
)
_SIDE_BY_SIDE = "Share of events whose item was in the slate. Whiskers: 95 % when users are drawn anew."
_OVER_TIME = "The same share, event after event, in forty equal parts of the stream."
_KNOWN = "By how often the item, and by how much of its user, had been seen when the question was asked."
_FRESHNESS = "What becomes of quality when learning lags behind by so many events."
_WEIGHTS = "The weights of the heaviest signals in the ranker, as they move with the stream."
_LATENCY = "How long one slate, and one lesson, took. Both axes count; the horizontal one is logarithmic."


def _section(title: str, body: str, lead: str) -> str:
    if not body:
        return ""
    return f"<section><h2>{escape(title)}</h2>" + (f"<p>{lead}</p>" if lead else "") + body + "</section>"


def _headline(stream: Stream, outcomes: Sequence[Outcome], k: int) -> str:
    parts = []
    for place, name in ((0, f"HR@{k}"), (1, f"NDCG@{k}")):
        rows = []
        for outcome in outcomes:
            if not len(outcome.rank):
                continue
            got = mean_interval(gains(outcome.rank)[place], stream.user[outcome.event])
            rows.append(Bar(outcome.system, got.value, got.low, got.high))
        parts.append(f"<h3>{name}</h3>" + bars(rows, f"{name} of each system"))
    return "".join(parts)


def _table(entries: Sequence[Mapping[str, Any]]) -> str:
    columns: tuple[tuple[str, Callable[[Mapping[str, Any]], float | None], str], ...] = (
        ("HR", lambda e: e["hr"], ".4f"),
        ("NDCG", lambda e: e["ndcg"], ".4f"),
        ("MRR", lambda e: e["mrr"], ".4f"),
        ("coverage", lambda e: e["coverage"], ".3f"),
        ("gini", lambda e: e["gini"], ".3f"),
        ("ILD", lambda e: e["ild"], ".3f"),
        ("HR, cold items", lambda e: e["cold_items"]["hr"], ".4f"),
        ("HR, cold users", lambda e: e["cold_users"]["hr"], ".4f"),
        ("slate µs, p50", lambda e: e["recommend_us"]["p50"], ",.0f"),
        ("p99", lambda e: e["recommend_us"]["p99"], ",.0f"),
        ("lesson µs, p50", lambda e: e["observe_us"]["p50"], ",.0f"),
        ("p99", lambda e: e["observe_us"]["p99"], ",.0f"),
        ("events/s", lambda e: e["events_per_s"], ",.0f"),
        ("MiB", lambda e: e["peak_rss_mib"], ",.0f"),
    )
    head = "".join(f"<th>{name}</th>" for name, _, _ in columns)
    body = ""
    for entry in entries:
        cells = ((read(entry), form) for _, read, form in columns)
        shown = "".join(f"<td>{'&ndash;' if v is None else format(v, form)}</td>" for v, form in cells)
        body += f"<tr><th>{escape(entry['name'])}</th>{shown}</tr>"
    return (
        f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _over_time(stream: Stream, outcomes: Sequence[Outcome], k: int) -> str:
    edges = np.linspace(0, len(stream), BUCKETS + 1)
    series = []
    for outcome in outcomes:
        bucket = np.clip(np.searchsorted(edges, outcome.event, "right") - 1, 0, BUCKETS - 1)
        series.append(
            Series(outcome.system, ((edges[1:] + edges[:-1]) / 2).tolist(), _means(outcome, bucket, BUCKETS))
        )
    return lines(series, Axes(f"HR@{k} over the stream", "events", f"HR@{k}"))


def _slices(stream: Stream, outcomes: Sequence[Outcome], k: int) -> str:
    parts = []
    for title, keys in (
        ("events of the item before", stream.item),
        ("events of the user before", stream.user),
    ):
        known = known_before(keys, stream.group)
        rows = ""
        for low, high, name in KNOWN:
            cells, n = "", 0
            for outcome in outcomes:
                mask = (known[outcome.event] >= low) & (known[outcome.event] <= high)
                n = int(mask.sum())
                hr = float((outcome.rank[mask] >= 0).mean()) if n else None
                cells += f"<td>{'&ndash;' if hr is None else format(hr, '.4f')}</td>"
            rows += f"<tr><th>{name}</th><td>{n:,}</td>{cells}</tr>"
        head = "".join(f"<th>{escape(outcome.system)}</th>" for outcome in outcomes)
        parts.append(
            f"<h3>HR@{k} by {title}</h3>{_slice_plot(keys, stream, outcomes, k)}"
            f'<div class="wide"><table><thead><tr><th></th><th>events</th>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )
    return "".join(parts)


def _slice_plot(keys: Int32, stream: Stream, outcomes: Sequence[Outcome], k: int) -> str:
    known = known_before(keys, stream.group)
    edges = np.unique(np.geomspace(1, max(2, int(known.max(initial=1)) + 2), 14).astype(np.int64))
    series = []
    for outcome in outcomes:
        bucket = np.searchsorted(edges, known[outcome.event] + 1, "right") - 1
        series.append(Series(outcome.system, edges.tolist(), _means(outcome, bucket, len(edges), least=30)))
    return lines(
        series, Axes(f"HR@{k} by how much was known", "events before, plus 1", f"HR@{k}", log_x=True)
    )


def _means(outcome: Outcome, bucket: NDArray[np.int64], buckets: int, least: int = 1) -> list[float | None]:
    """HR in each bucket; None where fewer than `least` events fell."""
    count = np.bincount(bucket, minlength=buckets)
    hits = np.bincount(bucket, outcome.rank >= 0, minlength=buckets)
    return [float(h / n) if n >= least else None for h, n in zip(hits, count, strict=True)]


def _freshness(extras: Extras, k: int) -> str:
    series = [
        Series(name, [late + 1 for late, _ in points], [hr for _, hr in points])
        for name, points in extras.freshness.items()
    ]
    return (
        lines(series, Axes("HR by lateness", "events late, plus 1", f"HR@{k}", log_x=True)) if series else ""
    )


def _weights(extras: Extras) -> str:
    heaviest = sorted(extras.weights.items(), key=lambda each: -abs(each[1][-1][1]))[:COLOURS]
    series = [
        Series(name, [at for at, _ in points], [weight for _, weight in points]) for name, points in heaviest
    ]
    return lines(series, Axes("weights of the ranker over the stream", "events", "weight")) if series else ""


def _latency(outcomes: Sequence[Outcome]) -> str:
    parts = []
    for title, times in (
        ("one slate", [o.recommend_ns for o in outcomes]),
        ("one lesson", [o.observe_ns for o in outcomes]),
    ):
        some = [each for each in times if len(each)]
        if not some:
            continue
        low, high = min(_quantile(t, 0.1) for t in some), max(_quantile(t, 99.9) for t in some)
        edges = np.geomspace(max(low, 0.01), max(high, low * 2, 0.02), 60)
        series = [
            Series(
                outcome.system,
                edges[:-1].tolist(),
                (np.histogram(each / 1000, edges)[0] / len(each)).tolist(),
            )
            for outcome, each in zip(outcomes, times, strict=True)
            if len(each)
        ]
        axes = Axes(f"time of {title}", "microseconds", "share", log_x=True)
        parts.append(f"<h3>{title.capitalize()}</h3>" + lines(series, axes, step=True))
    return "".join(parts)


def _quantile(ns: Float64, q: float) -> float:
    return float(np.percentile(ns, q)) / 1000


__all__ = ["Extras", "render", "write_report"]
