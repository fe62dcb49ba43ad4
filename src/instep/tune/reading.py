"""What a log tells record by record: the items as they are by then, and what each act was worth to its user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from instep.domain import Feedback, Item, ItemPatch, ItemPut, ItemRemoval, Record, item_from_fields
from instep.reward import USUAL_DWELL, RewardTable, Usual, usual_rating


class Catalogue:
    """Items as the records so far leave them.

    >>> catalogue = Catalogue()
    >>> catalogue.note(ItemPut("p1", "tea", 1e9, {"title": "Green tea"}))
    >>> catalogue.note(ItemPatch("p2", "tea", 1e9, {"price": 3.0}))
    >>> catalogue.item("tea").title, catalogue.item("cup").title
    ('Green tea', '')
    """

    def __init__(self) -> None:
        self._fields: dict[str, dict[str, Any]] = {}

    def __iter__(self) -> Iterator[str]:
        """The ids of the items that were put and not removed, in the order of their creation."""
        return iter(self._fields)

    def note(self, record: Record) -> None:
        """Take a record in; those that tell nothing of an item are passed over."""
        match record:
            case ItemPut(item_id=name, fields=given):
                self._fields[name] = dict(given)
            case ItemPatch(item_id=name, fields=given):
                self._fields[name] = self._fields.get(name, {}) | given
            case ItemRemoval(item_id=name):
                self._fields.pop(name, None)
            case _:
                pass

    def item(self, name: str) -> Item:
        """An item; one that only acts named has no fields."""
        given = self._fields.get(name, {})
        return item_from_fields(name, {key: value for key, value in given.items() if value is not None})


class Rewards:
    """The reward of each act: ratings against the user's own mean until then, a dwell against what is usual.

    Args:
        rewards: type to weight, over the default table.

    >>> rewards = Rewards()
    >>> [rewards(Feedback(f"e{n}", "u", "i", 1e9, "rating", stars)) > 0 for n, stars in enumerate((5.0, 5.0, 3.0))]
    [True, True, False]
    """

    def __init__(self, rewards: Mapping[str, float] | None = None) -> None:
        self._table = RewardTable(rewards)
        self._ratings: dict[str, tuple[float, int]] = {}

    def __call__(self, act: Feedback) -> float:
        """Judge an act by what its user did before, and remember it."""
        total, count = self._ratings.get(act.user_id, (0.0, 0))
        usual = Usual(usual_rating(total, count), USUAL_DWELL)
        if act.type == "rating" and act.value is not None:
            self._ratings[act.user_id] = (total + act.value, count + 1)
        return self._table.reward(act, usual)
