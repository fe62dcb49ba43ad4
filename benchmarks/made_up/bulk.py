"""A log of millions of acts in minutes: the rows that the service would have written, in few transactions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import chain, islice
from pathlib import Path

from instep.log import SqliteLog
from instep.log.codec import seal
from instep.log.sqlite_file import set_tail
from instep.log.sqlite_rows import INSERT, row_of
from made_up.shop import Shop

ROWS = 100_000


def write_log(path: Path, shop: Shop) -> int:
    """Write a shop's catalogue and acts as a log; returns its end.

    Args:
        path: of the database, which does not exist yet.
        shop: the records, in order.
    """
    SqliteLog(path).close()
    records = chain.from_iterable(chain(shop.catalogue(), shop.acts()))
    end = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")  # a benchmark's input, made again when it is torn
        db.execute("PRAGMA cache_size=-1000000")
        while sealed := seal(list(islice(records, ROWS))):
            db.execute("BEGIN")
            db.executemany(
                INSERT, (row_of(end + at, one.record, one.payload) for at, one in enumerate(sealed))
            )
            end += len(sealed)
            set_tail(db, end)
            db.execute("COMMIT")
    return end
