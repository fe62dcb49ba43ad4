"""Which feedback belongs to which impression: by slate id, else by user and item, within a window.

This is the join of an evaluation, over the records of a log in order. A slate earns an act once for each type and
place; what is not the same user's, not in the slate, or not within the window earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from instep.domain import ConfigError, Entry, Feedback, Impression

HOUR = 3600.0


@dataclass(frozen=True)
class Selection:
    """Which impressions are looked at, and what counts.

    Args:
        since: from when on, seconds since the epoch.
        until: before when.
        window: how long after a slate feedback still counts for it, seconds.
        surface: where they were shown; None for anywhere.
        types: which types of feedback count; None for all that have a reward.
    """

    since: float = float("-inf")
    until: float = float("inf")
    window: float = 24 * HOUR
    surface: str | None = None
    types: frozenset[str] | None = None


@dataclass(frozen=True)
class Shown:
    """An impression and the offset up to which the model had learned when it was chosen."""

    impression: Impression
    as_of: int


def shown_slates(
    entries: Iterable[Entry], end: int, selection: Selection, progress: Callable[[int], None] | None = None
) -> tuple[list[Shown], dict[str, int]]:
    """The impressions of a log that can be judged, in the order in which they were chosen.

    Args:
        entries: the log's entries in order.
        end: the log's end.
        selection: which are wanted.
        progress: called now and then with the offset.

    Returns:
        The impressions, and how many were left out for which reason.

    Raises:
        ConfigError: there are none; says why.
    """
    kept: list[Shown] = []
    last, outside, empty = float("-inf"), 0, 0
    for count, entry in enumerate(entries):
        record = entry.record
        if isinstance(record, Feedback | Impression):
            last = max(last, record.timestamp)
        if isinstance(record, Impression):
            wanted = selection.since <= record.timestamp < selection.until
            if not (wanted and selection.surface in (None, record.surface)):
                outside += 1
            elif not record.item_ids or len(record.item_ids) != len(record.propensities):
                empty += 1
            else:
                # An imported impression says nothing of a model: it is judged as of where it stands.
                kept.append(Shown(record, record.as_of if 0 < record.as_of <= entry.offset else entry.offset))
        if progress is not None and count % 1000 == 0:
            progress(entry.offset)
    young = sum(1 for each in kept if each.impression.timestamp + selection.window > last)
    ripe = [each for each in kept if each.impression.timestamp + selection.window <= last]
    left_out = {"outside the selection": outside, "without items": empty, "window not over": young}
    if not ripe:
        raise ConfigError(_why_none(outside, empty, young, selection))
    ripe.sort(key=lambda each: each.as_of)
    return ripe, {reason: count for reason, count in left_out.items() if count}


def _why_none(outside: int, empty: int, young: int, selection: Selection) -> str:
    if young:
        return (
            f"no impression to judge: the log ends before the window of {selection.window:,.0f} s is over for any of "
            f"the {young:,} impressions; give a shorter --window"
        )
    if outside:
        return f"no impression to judge: all {outside:,} are outside --since, --until or --surface"
    if empty:
        return f"no impression to judge: none of {empty:,} has items"
    return "no impression to judge: the log has none; slates are logged by `recommend` and by imports that have them"


class Join:
    """Feedback to impressions.

    Args:
        shown: the impressions.
        selection: the window, and which types count.
        merged: session to the user it was merged into, as it stands at any moment.
    """

    def __init__(self, shown: list[Shown], selection: Selection, merged: Mapping[str, str]) -> None:
        self._shown = shown
        self._selection = selection
        self._merged = merged
        self._row = {each.impression.event_id: row for row, each in enumerate(shown)}
        self._of_user: dict[str, list[int]] = {}
        for row in sorted(range(len(shown)), key=lambda row: shown[row].impression.timestamp):
            self._of_user.setdefault(shown[row].impression.user_id, []).append(row)
        self._counted: set[tuple[int, int, str]] = set()
        self.credited = 0
        self.uncredited = 0

    def place(self, feedback: Feedback) -> tuple[int, int] | None:
        """Row of the impression and place in it that an act belongs to, each act once; None for none."""
        types = self._selection.types
        if types is not None and feedback.type not in types:
            return None
        found = self._found(feedback)
        if found is None or (*found, feedback.type) in self._counted:
            self.uncredited += 1
            return None
        self._counted.add((*found, feedback.type))
        self.credited += 1
        return found

    def _found(self, feedback: Feedback) -> tuple[int, int] | None:
        if feedback.slate_id is not None:
            row = self._row.get(feedback.slate_id)
            return None if row is None else self._fits(row, feedback)
        for row in reversed(self._of_user.get(feedback.user_id, [])):
            fits = self._fits(row, feedback)
            if fits is not None:
                return fits
        return None

    def _fits(self, row: int, feedback: Feedback) -> tuple[int, int] | None:
        impression = self._shown[row].impression
        late = feedback.timestamp - impression.timestamp
        if not 0.0 <= late <= self._selection.window or not self._same(impression.user_id, feedback.user_id):
            return None
        try:
            return row, impression.item_ids.index(feedback.item_id)
        except ValueError:
            return None

    def _same(self, one: str, other: str) -> bool:
        return self._merged.get(one, one) == self._merged.get(other, other)
