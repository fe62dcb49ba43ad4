"""Instep: a recommender in step with its users.

A language model reads the items; every click changes the next request.

    import instep
    app = instep.open("shop.instep")
    app.observe("i9", user_id="u1", type="click")
    slate = app.recommend(user_id="u1", n=10)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instep.serve.app import open_app as open

    __version__: str

__all__ = ["__version__", "open"]


def __getattr__(name: str) -> Any:
    """Load on first use: `import instep` alone stays light."""
    if name == "open":
        from instep.serve.app import open_app

        return open_app
    if name == "__version__":
        from importlib.metadata import version

        return version("instep")
    raise AttributeError(f"module 'instep' has no attribute {name!r}")
