"""A verdict as text for people and as plain values for machines."""

from __future__ import annotations

import math
from typing import Any

from instep.evaluate.bootstrap import Interval
from instep.evaluate.offpolicy.judge import Estimate, Verdict

COLUMNS = ("estimator", "reward", "95 %", "gain", "95 %", "Bernstein 95 %", "takes for granted")


def as_text(verdict: Verdict) -> str:
    """The verdict, the estimates side by side, and what speaks against them."""
    best = verdict.best
    lines = [
        f"{verdict.says}: {best.name} gives {best.value:.4f} an impression; the logging policy earned "
        f"{_shown(verdict.logging)} on {verdict.impressions:,}",
        "",
        *_table(verdict.estimates),
    ]
    for family, weights in verdict.weights.items():
        lines.append(
            f"{family} weights: effective sample {weights.effective:,.0f} of {weights.impressions:,}, average "
            f"{weights.mean:.3f} ± {weights.error:.3f}, heaviest {weights.heaviest:.1%}"
            + ("" if math.isnan(weights.tail) else f", Pareto shape {weights.tail:.2f}")
        )
    lines += [f"do not trust: {warning}" for warning in verdict.warnings]
    lines += [f"not estimated: {why}" for why in verdict.missing.values()]
    lines += [f"left out: {count:,} {reason}" for reason, count in verdict.notes.items()]
    return "\n".join(lines)


def _table(estimates: list[Estimate]) -> list[str]:
    rows = [COLUMNS] + [
        (
            each.name,
            f"{each.value:.4f}",
            _range(each.interval),
            f"{each.gain.value:+.4f}",
            _range(each.gain, "+"),
            _range(each.bernstein),
            each.assumes,
        )
        for each in estimates
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    shown = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*shown, ""]


def _shown(interval: Interval) -> str:
    return f"{interval.value:.4f} {_range(interval)}"


def _range(interval: Interval, sign: str = "") -> str:
    return f"[{interval.low:{sign}.4f}, {interval.high:{sign}.4f}]"


def as_fields(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain values, for JSON; numbers that are not finite become None."""
    best = verdict.best
    return {
        "verdict": verdict.says,
        "headline": verdict.headline,
        "gain": _plain(best.gain),
        "logging": _plain(verdict.logging),
        "estimates": [
            {
                "name": each.name,
                "value": each.value,
                "interval": [each.interval.low, each.interval.high],
                "bernstein": [_finite(each.bernstein.low), _finite(each.bernstein.high)],
                "gain": _plain(each.gain),
                "impressions": each.impressions,
                "assumes": each.assumes,
                **({"settings": {k: _finite(v) for k, v in each.settings.items()}} if each.settings else {}),
            }
            for each in verdict.estimates
        ],
        "weights": {
            family: {name: _finite(value) for name, value in vars(weights).items()}
            for family, weights in verdict.weights.items()
        },
        "warnings": verdict.warnings,
        "missing": verdict.missing,
        "left_out": verdict.notes,
        "impressions": verdict.impressions,
        "reproduced": _finite(verdict.reproduced),
    }


def _plain(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _finite(number: float) -> float | None:
    if isinstance(number, int):
        return number
    return float(number) if math.isfinite(number) else None
