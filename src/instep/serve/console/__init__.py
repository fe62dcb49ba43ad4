"""The live page: static files that drive the public HTTP API from a browser.

There is no build step and no server-side session: the page is HTML, CSS and ES modules, and asks the same
endpoints that every other client uses for everything it knows.
"""

from instep.serve.console.assets import Asset, asset, assets

__all__ = ["Asset", "asset", "assets"]
