"""The table of numbers against a dict."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instep.state import numbers
from instep.state.numbers import Numbers


@settings(deadline=None)
@given(
    st.lists(st.text(max_size=3), max_size=300, unique=True), st.lists(st.text(max_size=3)), st.floats(0, 1)
)
def test_it_finds_what_a_dict_would_find(names: list[str], others: list[str], share: float) -> None:
    known = names[: int(share * len(names))]  # these are there from the start, the others come one by one
    found = Numbers(known)
    for number, name in enumerate(names[len(known) :], len(known)):
        assert name not in found
        known.append(name)
        assert found.add(name) == number
    right = {name: number for number, name in enumerate(names)}
    for name in (*names, *others):
        assert (name in found, found.get(name), found.get(name, -7)) == (
            name in right,
            right.get(name),
            right.get(name, -7),
        )
        if name in right:
            assert found[name] == right[name]
        else:
            with pytest.raises(KeyError):
                found[name]


def test_names_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "hash", lambda name: -1, raising=False)
    names = [f"u{number}" for number in range(200)]
    early = Numbers(names[:100])
    assert [early[name] for name in names[:100]] == list(range(100))
    assert "u100" not in early
