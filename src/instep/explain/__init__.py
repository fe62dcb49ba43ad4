"""Why an item is in a slate."""

from instep.explain.reasons import reasons

__all__ = ["reasons"]
