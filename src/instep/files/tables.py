"""Rows of CSV, JSON lines and Parquet files as dictionaries with line numbers."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from instep.domain import ConfigError
from instep.files.base import RAW_LIMIT, Rejected
from instep.files.text import LINE_LIMIT, lines

Row = dict[str, Any]
SPAN_LIMIT = 1000
"""Lines a quoted CSV record may span; a quote still open by then is taken for a stray one."""

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}

_IDS = {"userid": "user_id", "itemid": "item_id", "sessionid": "session"}
_UNREAD = {
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".7z"), "it is compressed: unpack it first"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "it is a spreadsheet: save its sheet as CSV"),
}
"""What to do with files that are often brought and not read."""


def mapping_for(path: Path, mapping: Mapping[str, str]) -> dict[str, str]:
    """What of a mapping counts for one of several files: names of columns that it has.

    Args:
        path: the file.
        mapping: our column name -> the files'.

    Raises:
        ConfigError: the file cannot be read as a table.
    """
    columns = Table(path).columns if mapping else []
    return {ours: theirs for ours, theirs in mapping.items() if theirs in columns}


class Table:
    """A file of rows.

    Args:
        path: a .csv, .tsv, .jsonl or .parquet file.
        mapping: our column name -> the file's column name, where they differ.
        known: names in lower case that match the file's columns in any case. `ItemId` and `User ID` match the
            ids, which tell events from items and users, where the file has no column of the plain name.

    Attributes:
        columns: the file's columns after mapping; for JSON lines those of the first row that can be read.

    Raises:
        ConfigError: the file cannot be read, has no header, names a column twice or lacks a mapped column.
    """

    def __init__(
        self, path: Path, mapping: Mapping[str, str] | None = None, known: Collection[str] = ()
    ) -> None:
        self.path = path
        self._known = known
        self._ids: dict[str, str] = {}
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file")
        self.kind = SUFFIXES.get(path.suffix.lower(), "")
        if not self.kind:
            advice = _UNREAD.get(path.suffix.lower(), "rename it after what it holds")
            raise ConfigError(f"{path}: not a .csv, .tsv, .jsonl or .parquet file; {advice}")
        self._renamed = {theirs: ours for ours, theirs in (mapping or {}).items()}
        if self.kind == "csv":
            header = self._csv_header()
        elif self.kind == "jsonl":
            header = self._json_header()
        else:
            header = list(self._parquet().schema_arrow.names)
        absent = [name for name in self._renamed if name not in header]
        if absent and self.kind != "jsonl":
            raise ConfigError(
                f"{path}: has no column {', '.join(absent)} to map; it has {', '.join(header) or 'none'}"
            )
        self._ids = self._spelt_otherwise(header)
        self.columns = [self._ours(name) for name in header]
        twice = {name for name in self.columns if name and self.columns.count(name) > 1}
        if twice:
            raise ConfigError(
                f"{path}, line 1: column {', '.join(sorted(twice))} is there twice; rename one of them"
            )

    def rows(self) -> Iterator[tuple[int, Row | Rejected, str]]:
        """Rows with their 1-based line (row number for Parquet), keyed by mapped column name.

        Yields:
            The line, the row, and the row as it stands in the file, without its line end ("" for Parquet).
        """
        if self.kind == "csv":
            return self._csv_rows()
        return self._json_rows() if self.kind == "jsonl" else self._parquet_rows()

    def rejected(self, line: int, reason: str, row: Row, text: str) -> Rejected:
        """A row that `rows` gave as a reject: as it stands, or its cells where the file is not text.

        Args:
            line: as `rows` gave it.
            reason: what is wrong, starting with the column when one is to blame.
            row: its cells.
            text: the row as it stands; "" for Parquet.
        """
        raw = text or ",".join(map(str, row.values()))
        return Rejected(line, reason, raw[:RAW_LIMIT], self.path.name)

    def _ours(self, name: str) -> str:
        if name in self._renamed:
            return self._renamed[name]
        if name in self._ids:
            return self._ids[name]
        plain = name.strip()
        return plain.lower() if plain.lower() in self._known else plain

    def _spelt_otherwise(self, header: Sequence[str]) -> dict[str, str]:
        """Columns that are an id but for its spelling -> the id, for ids that no other column is."""
        taken = {self._renamed.get(name, name.strip().lower()) for name in header}
        found: dict[str, list[str]] = {}
        for name in header:
            ours = _IDS.get("".join(filter(str.isalnum, name.lower())))
            if ours and ours in self._known and ours not in taken and name not in self._renamed:
                found.setdefault(ours, []).append(name)
        return {names[0]: ours for ours, names in found.items() if len(names) == 1}

    def _csv_header(self) -> list[str]:
        self._delimiter = "\t" if self.path.suffix.lower() == ".tsv" else ","
        for number, line in lines(self.path):
            if isinstance(line, Rejected) or "\0" in line:
                raise ConfigError(
                    f"{self.path}, line {number}: is not a header of column names; is it text at all?"
                )
            if not line.strip():
                continue
            if self.path.suffix.lower() != ".tsv":
                self._delimiter = max(",;\t|", key=line.count)
            for _, header, _ in csv_records(self.path, self._delimiter):
                if isinstance(header, Rejected):
                    raise ConfigError(
                        f"{self.path}, line {number}: the header cannot be read: {header.reason}"
                    )
                return header
        raise ConfigError(f"{self.path}: is empty; the first line must name the columns")

    def _csv_rows(self) -> Iterator[tuple[int, Row | Rejected, str]]:
        records = csv_records(self.path, self._delimiter)
        next(records)
        width = len(self.columns)
        for number, cells, text in records:
            if isinstance(cells, Rejected):
                yield number, cells, text
            elif len(cells) != width:
                reason = f"has {len(cells)} columns, the header has {width}"
                yield number, Rejected(number, reason, text[:RAW_LIMIT], self.path.name), text
            else:
                yield number, dict(zip(self.columns, cells, strict=True)), text

    def _json_header(self) -> list[str]:
        for number, row, _ in self._json_objects():
            if not isinstance(row, Rejected):
                return list(row)
            if number == 1 and row.raw.lstrip().startswith("["):
                raise ConfigError(
                    f"{self.path}: is a JSON array; write one object a line "
                    "(jq -c '.[]' array.json > file.jsonl)"
                )
        return []

    def _json_rows(self) -> Iterator[tuple[int, Row | Rejected, str]]:
        for number, row, text in self._json_objects():
            ours = row if isinstance(row, Rejected) else {self._ours(key): row[key] for key in row}
            yield number, ours, text

    def _json_objects(self) -> Iterator[tuple[int, Row | Rejected, str]]:
        for number, line in lines(self.path):
            if isinstance(line, Rejected):
                yield number, line, line.raw
                continue
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line)
                fault = "" if isinstance(row, dict) else "is not a JSON object"
            except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
                row, fault = None, f"is not valid JSON: {error}"
            text = line.rstrip("\r\n")
            yield number, Rejected(number, fault, text[:RAW_LIMIT], self.path.name) if fault else row, text

    def _parquet(self) -> Any:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise ConfigError(f"{self.path}: Parquet needs pyarrow: pip install 'instep[parquet]'") from None
        try:
            return pq.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"{self.path}: is not a Parquet file that can be read: {error}") from error

    def _parquet_rows(self) -> Iterator[tuple[int, Row | Rejected, str]]:
        import pyarrow as pa

        file, number = self._parquet(), 0
        try:
            for batch in file.iter_batches(batch_size=4096):
                columns = [_cells(column) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield number, dict(zip(self.columns, cells, strict=True)), ""
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"{self.path}: is damaged after row {number}: {error}") from error


def _cells(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    cells: list[Any] = column.to_pylist()
    return cells


def csv_records(
    path: Path, delimiter: str, quoted: bool = True
) -> Iterator[tuple[int, list[str] | Rejected, str]]:
    """Records of a delimited file with the line each starts on; blank lines are passed over.

    A quoted field may hold line ends. A record that cannot be parsed, because of a stray quote for instance,
    costs its first line only: reading goes on with the line after it.

    Args:
        path: the file.
        delimiter: one character.
        quoted: whether ``"`` quotes (False: it is a character like any other).

    Yields:
        The line, the record's cells, and the record as it stands, without its line end.
    """
    stream = _Rewindable(lines(path))
    for number, line in stream:
        if isinstance(line, Rejected):
            yield number, line, line.raw
            continue
        if not line.strip("\r\n "):
            continue
        text = line.rstrip("\r\n")
        if not quoted or '"' not in line:
            yield number, text.split(delimiter), text
            continue
        record = _parsed([line], delimiter)
        if record is None:
            rest = _until_the_quotes_match(line, stream)
            whole = [line, *(more for _, more in rest)]
            record = _parsed(whole, delimiter)
            if record is None:
                stream.put_back(rest)
            else:
                text = "".join(whole).rstrip("\r\n")
        refused = Rejected(number, "its quotes do not match", text[:RAW_LIMIT], path.name)
        yield number, record or refused, text


class _Rewindable:
    """An iterator of lines that takes back what was read too far."""

    def __init__(self, stream: Iterator[tuple[int, str | Rejected]]) -> None:
        self._stream = stream
        self._back: deque[tuple[int, str | Rejected]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str | Rejected]]:
        return self

    def __next__(self) -> tuple[int, str | Rejected]:
        return self._back.popleft() if self._back else next(self._stream)

    def put_back(self, taken: Sequence[tuple[int, str | Rejected]]) -> None:
        self._back.extendleft(reversed(taken))


def _until_the_quotes_match(line: str, stream: _Rewindable) -> list[tuple[int, str]]:
    """The lines after `line` up to the one that closes its open quote, or as many as a record may have."""
    taken: list[tuple[int, str]] = []
    quotes, size = line.count('"'), len(line)
    while quotes % 2 and len(taken) < SPAN_LIMIT and size < LINE_LIMIT:
        number, more = next(stream, (0, ""))
        if isinstance(more, Rejected):
            stream.put_back([(number, more)])
            break
        if not number:
            break
        taken.append((number, more))
        quotes, size = quotes + more.count('"'), size + len(more)
    return taken


def _parsed(record: list[str], delimiter: str) -> list[str] | None:
    """The cells of one record; None when it is not exactly one well-formed record."""
    try:
        rows = list(csv.reader(record, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None
