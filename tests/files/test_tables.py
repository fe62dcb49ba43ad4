"""Text, CSV, JSON lines and Parquet: every row comes out, whatever stands beside it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instep.domain import ConfigError
from instep.files.base import Rejected
from instep.files.tables import SPAN_LIMIT, Table
from instep.files.text import LINE_LIMIT


def rows(path: Path) -> list[tuple[int, object]]:
    return [
        (line, row.reason if isinstance(row, Rejected) else tuple(row.values()))
        for line, row, _ in Table(path).rows()
    ]


def written(tmp_path: Path, content: bytes, name: str = "rows.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_marks_line_ends_and_embedded_newlines_do_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path, b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n\r\n2,"say ""hi"""\n3,z')
    assert Table(path).columns == ["a", "b"]
    assert rows(path) == [(2, ("1", "x\r\ny")), (5, ("2", 'say "hi"')), (6, ("3", "z"))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_comes_out_right_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    text = "a,b\n1,茶\n"
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    assert rows(written(tmp_path, (mark + text).encode(encoding))) == [(2, ("1", "茶"))]


def test_a_latin_1_line_is_read_as_latin_1_and_garbles_no_other(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,茶\n".encode() + "2,café\n".encode("latin-1"))
    assert rows(path) == [(2, ("1", "茶")), (3, ("2", "café"))]


def test_a_stray_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    path = written(tmp_path, b'a,b\n1,"open\n2,fine\n3,"also fine"\n4,5" nails\n')
    assert rows(path) == [
        (2, "its quotes do not match"),
        (3, ("2", "fine")),
        (4, ("3", "also fine")),
        (5, ("4", '5" nails')),
    ]


def test_a_quote_that_is_never_closed_is_given_up_after_a_bounded_number_of_lines(tmp_path: Path) -> None:
    path = written(tmp_path, b'a,b\n1,"open\n' + b"2,fine\n" * (2 * SPAN_LIMIT))
    found = rows(path)
    assert found[0] == (2, "its quotes do not match")
    assert found[1:] == [(line, ("2", "fine")) for line in range(3, 3 + 2 * SPAN_LIMIT)]


def test_a_line_without_end_is_rejected_and_the_next_one_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"a,b\n1," + b"x" * (3 * LINE_LIMIT) + b"\n2,fine\n")
    assert rows(path) == [(2, f"longer than {LINE_LIMIT} bytes"), (3, ("2", "fine"))]


def test_rows_with_too_few_or_too_many_columns_are_rejected_with_both_counts(tmp_path: Path) -> None:
    path = written(tmp_path, b"a,b\n1\n1,2,3\n1,2\n")
    assert rows(path) == [
        (2, "has 1 columns, the header has 2"),
        (3, "has 3 columns, the header has 2"),
        (4, ("1", "2")),
    ]


def test_a_nul_byte_stays_in_its_cell(tmp_path: Path) -> None:
    assert rows(written(tmp_path, b'a,b\n1,x\0y\n2,"x\0y"\n')) == [(2, ("1", "x\0y")), (3, ("2", "x\0y"))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    content = f"a{delimiter}b\n1{delimiter}x y\n".encode()
    assert rows(written(tmp_path, content)) == [(2, ("1", "x y"))]


def test_a_column_named_twice_is_an_error_that_names_file_line_and_column(tmp_path: Path) -> None:
    path = written(tmp_path, b"user_id,item_id,user_id\n")
    with pytest.raises(ConfigError, match=r"rows\.csv, line 1: column user_id is there twice"):
        Table(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", b"", "is empty"),
        ("rows.csv", b"\0\1\2\n", "is it text at all"),
        ("rows.xlsx", b"PK", "not a .csv.*: save its sheet as CSV"),
        ("rows.csv.gz", b"", "not a .csv.*: unpack it first"),
        ("rows.data", b"", "not a .csv.*; rename it"),
        ("rows.json", b'[{"a": 1}]', "is a JSON array"),
        ("rows.parquet", b"PAR1 not really", "not a Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_why(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Table(written(tmp_path, content, name))


def test_a_mapping_to_an_absent_column_lists_the_ones_there(tmp_path: Path) -> None:
    path = written(tmp_path, b"StockCode,who\n")
    with pytest.raises(ConfigError, match=r"has no column Stock to map; it has StockCode, who"):
        Table(path, {"item_id": "Stock"})


def test_bad_json_lines_are_rejected_with_their_line(tmp_path: Path) -> None:
    content = b'{"a": 1}\n\n{"a": \n7\n{"a": "\\ud800"}\n' + b"[" * 5000 + b'\n{"a": 2}\n'
    found = rows(written(tmp_path, content, "rows.jsonl"))
    assert [line for line, _ in found] == [1, 3, 4, 5, 6, 7]
    assert found[0] == (1, (1,))
    assert all("JSON" in str(reason) for _, reason in found[1:5])
    assert found[5] == (7, (2,))


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("rows.csv", b'a;b\r\n1;"x;y"\r\n2;"p\r\nq"\r\n3\r\n4;"z', ['1;"x;y"', '2;"p\r\nq"', "3", '4;"z']),
        ("rows.tsv", b"a\tb\n1\t\n\n \t2", ["1\t", " \t2"]),
        ("rows.jsonl", b'{"a": 1,  "b": 2}\r\n\n[1]\n{"a"', ['{"a": 1,  "b": 2}', "[1]", '{"a"']),
    ],
)
def test_every_row_comes_as_it_stands_too(
    tmp_path: Path, name: str, content: bytes, texts: list[str]
) -> None:
    found = list(Table(written(tmp_path, content, name)).rows())
    assert [text for _, _, text in found] == texts
    assert all(row.raw == text for _, row, text in found if isinstance(row, Rejected))


def test_parquet_rows_are_numbered_from_one_and_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    times = pa.array([10**9 + 1, None], pa.timestamp("ns"))
    pq.write_table(pa.table([pa.array([1, None]), times, pa.array([["x"], []])], ["a", "t", "l"]), path)
    (_, first, _), (line, second, _) = Table(path).rows()
    assert not isinstance(first, Rejected)
    assert not isinstance(second, Rejected)
    assert (line, first["a"], first["l"], second["a"], second["t"]) == (2, 1, ["x"], None, None)
    assert first["t"].timestamp() >= 1
