"""The live page: static files that drive the public HTTP API from a browser.

There is no build step and no server-side session: the page is HTML, CSS and ES modules, and everything it knows
it asks the same endpoints that every other client uses.
"""

from instep.serve.console.assets import Asset, asset, assets

__all__ = ["Asset", "asset", "assets"]
