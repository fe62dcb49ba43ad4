"""Whatever bytes a file holds: no crash, and every row is a record or a reject."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from instep.domain import ConfigError, Record
from instep.files import KINDS, Rejected, open_source
from instep.files.order import REPLACED

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
cells = st.sampled_from(
    ["u1", "", " ", "1", "1e5", "nan", "inf", "2024-02-30", "2024-05-01", '"', '""', '"a\nb"', "é", "\0",
     '"{""a"": 1}"', "[1]", "9" * 400, "true", "\x85", "١"]
) | st.text(max_size=8)  # fmt: skip
HEADERS = {
    "events.csv": "user_id,item_id,timestamp,value,position,context",
    "items.csv": "item_id,title,price,categories,hidden,attributes",
    "users.csv": "user_id,timestamp,age,attributes",
    "retail.csv": "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
    "log.csv": "kind,event_id,user_id,item_id,timestamp,fields",
    "ratings.csv": "userId,movieId,rating,timestamp",
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def read_all(path: Path) -> list[Record | Rejected]:
    """Everything a file yields; a ConfigError about the file as a whole must name it."""
    try:
        source = open_source(path)
        found = [outcome for kind in KINDS for outcome in getattr(source, kind)()]
    except ConfigError as error:
        assert path.name in str(error)  # noqa: PT017
        return []
    for outcome in found:
        assert isinstance(outcome, Rejected | Record)
        msgspec.msgpack.encode(outcome)
    return found


@pytest.mark.parametrize("name", HEADERS)
@quick
@given(rows=st.lists(st.lists(cells, min_size=2, max_size=8), max_size=5))
def test_any_cells_under_a_known_header(tmp_path: Path, name: str, rows: list[list[str]]) -> None:
    path = tmp_path / name
    text = "\n".join([HEADERS[name], *(",".join(row) for row in rows)])
    path.write_bytes(text.encode(errors="surrogatepass"))
    read_all(path)


@pytest.mark.parametrize("name", ["events.csv", "items.csv", "log.csv", "ratings.csv", "retail.csv"])
@quick
@given(body=st.binary(max_size=200))
@example(body=b'"\n"\n"')
def test_any_bytes_under_a_known_header(tmp_path: Path, name: str, body: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(HEADERS[name].encode() + b"\n" + body)
    read_all(path)


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl", "rows.parquet", "u.data"])
@quick
@given(content=st.binary(max_size=200))
@example(content=b"\xff\xfea")
@example(content=b"PAR1PAR1")
def test_any_bytes_at_all(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    read_all(path)


@quick
@given(rows=st.lists(st.dictionaries(st.sampled_from(HEADERS["events.csv"].split(",")) | st.text(), values)))
def test_every_json_object_is_a_record_or_a_reject(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    for kind in KINDS:
        with contextlib.suppress(ConfigError):
            source = open_source(path, kind=kind)
            assert len(list(getattr(source, kind)())) + source.notes[REPLACED] == len(rows)


@quick
@given(rows=st.lists(st.lists(st.text(max_size=5), min_size=3, max_size=3), max_size=6))
def test_every_well_formed_csv_row_is_a_record_or_a_reject(tmp_path: Path, rows: list[list[str]]) -> None:
    import csv

    path = tmp_path / "events.csv"
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["user_id", "item_id", "timestamp"])
        writer.writerows(rows)
    assert len(list(open_source(path).events())) == len(rows)
