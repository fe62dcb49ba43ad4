"""UCI Online Retail: invoice lines of a gift shop, as Parquet or CSV.

What becomes of a line, in this order:

| line | becomes |
|---|---|
| without invoice, stock code, date, quantity or price, or with one that cannot be read | a reject |
| stock code of a service or correction (POST, DOT, M, D, BANK CHARGES ...) | left out, counted by code |
| invoice that starts with A (bad debt) | left out, counted |
| invoice that starts with C (cancellation) | feedback `return`, value = units returned |
| quantity of zero or less on any other invoice (stock corrections) | left out, counted |
| price of zero or less (samples, gifts, corrections) | left out, counted |
| any other | feedback `purchase`, value = units bought |

A line without a customer belongs to the anonymous one-invoice session `session:<invoice>`. Stock codes are
compared in upper case (85123a is 85123A). Dates have no zone in the file and are read as UTC. Equal lines on
one invoice are separate purchases. Each event keeps `invoice` and `price` in its context.

The catalogue is made of the lines that became purchases: an item's title is its most frequent description,
its price its most frequent price, its time that of its first sale. A customer's `country` is the latest one.

Source: Chen, Sain and Guo 2012, J. Database Marketing and Customer Strategy Management 19(3), 197-208.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from instep.domain import ConfigError, Feedback, ItemPut, Record, UserPut, session_user
from instep.files import values
from instep.files.base import Kind, Outcome, Read, Rejected, Source
from instep.files.tables import Row, Table

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
SECOND_EDITION = {"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"}
SERVICES = {
    "POST": "postage",
    "DOT": "postage",
    "C2": "carriage",
    "C3": "carriage",
    "M": "manual correction",
    "D": "discount",
    "S": "samples",
    "B": "bad debt",
    "CRUK": "commission",
    "BANK CHARGES": "bank charges",
    "AMAZONFEE": "fees",
    "ADJUST": "manual correction",
    "ADJUST2": "manual correction",
    "TEST001": "test",
    "TEST002": "test",
}


class Line(msgspec.Struct, frozen=True):
    """An invoice line that counts: a purchase or a return."""

    number: int
    text: str
    feedback: Feedback
    description: str
    price: float
    country: str


class OnlineRetailSource(Source):
    """The invoice lines as items, users and events.

    Args:
        path: the Parquet or CSV file.

    Raises:
        ConfigError: a column of the layout is missing.
    """

    format = "uci-online-retail"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        table = Table(path)
        self._columns = {
            name: SECOND_EDITION[name]
            if name not in table.columns and SECOND_EDITION.get(name) in table.columns
            else name
            for name in COLUMNS
        }
        if absent := [name for name, theirs in self._columns.items() if theirs not in table.columns]:
            raise ConfigError(f"{path}: is not UCI Online Retail: column {', '.join(absent)} is missing")
        self._table = table
        self.kinds = ("items", "users", "events")

    def read(self, kind: Kind) -> Iterator[Outcome]:
        """Items and users are summed up from the lines; bad lines are reported with the events."""
        if kind == "events":
            for line in self._lines(self.notes):
                yield self._read(line.feedback, line) if isinstance(line, Line) else line
        else:
            kept = (line for line in self._lines(Counter()) if isinstance(line, Line))
            yield from self._items(kept) if kind == "items" else self._users(kept)

    def _read(self, record: Record, line: Line) -> Read:
        return Read(record, line.number, self.path.name, raw=line.text)

    def _lines(self, notes: Counter[str]) -> Iterator[Line | Rejected]:
        for number, row, text in self._table.rows():
            if isinstance(row, Rejected):
                yield row
                continue
            try:
                line = _line(number, {name: row[theirs] for name, theirs in self._columns.items()}, text)
            except values.BadValue as fault:
                yield self._table.rejected(number, str(fault), row, text)
                continue
            if isinstance(line, Line):
                yield line
            else:
                notes[line] += 1

    def _items(self, kept: Iterator[Line]) -> Iterator[Read]:
        first: dict[str, Line] = {}
        titles: dict[str, Counter[str]] = {}
        prices: dict[str, Counter[float]] = {}
        for line in kept:
            if line.feedback.type != "purchase":
                continue
            item_id = line.feedback.item_id
            if item_id not in first or line.feedback.timestamp < first[item_id].feedback.timestamp:
                first[item_id] = line
            titles.setdefault(item_id, Counter())[line.description] += 1
            prices.setdefault(item_id, Counter())[line.price] += 1
        for item_id, line in first.items():
            titles[item_id].pop("", None)
            fields: dict[str, object] = {"price": prices[item_id].most_common(1)[0][0]}
            if titles[item_id]:
                fields["title"] = titles[item_id].most_common(1)[0][0]
            yield self._read(ItemPut("", item_id, line.feedback.timestamp, fields), line)

    def _users(self, kept: Iterator[Line]) -> Iterator[Read]:
        first: dict[str, Line] = {}
        country: dict[str, tuple[float, str]] = {}
        for line in kept:
            user_id, time = line.feedback.user_id, line.feedback.timestamp
            if not line.country or user_id.startswith(session_user("")):
                continue
            if user_id not in first or time < first[user_id].feedback.timestamp:
                first[user_id] = line
            country[user_id] = max(country.get(user_id, (time, line.country)), (time, line.country))
        for user_id, line in first.items():
            record = UserPut("", user_id, line.feedback.timestamp, {"country": country[user_id][1]})
            yield self._read(record, line)


def _line(number: int, row: Row, text: str) -> Line | str:
    """The line as feedback, or the reason for leaving it out."""
    invoice = values.identifier(row["InvoiceNo"], "InvoiceNo").strip()
    code = values.identifier(row["StockCode"], "StockCode").strip().upper()
    quantity = values.number(row["Quantity"], "Quantity")
    price = values.number(row["UnitPrice"], "UnitPrice")
    time = _date(row["InvoiceDate"])
    if code in SERVICES:
        return f"stock code {code} ({SERVICES[code]}) is not a product"
    if invoice.startswith("A"):
        return "bad debt adjustment"
    cancelled = invoice.startswith("C")
    if not cancelled and quantity <= 0:
        return "stock correction (quantity of zero or less without cancellation)"
    if price <= 0:
        return "price of zero or less"
    if values.missing(row["CustomerID"]):
        user_id = session_user(invoice)
    else:
        user_id = values.identifier(row["CustomerID"], "CustomerID").strip().removesuffix(".0")
    feedback = Feedback(
        event_id="",
        user_id=user_id,
        item_id=code,
        timestamp=time,
        type="return" if cancelled else "purchase",
        value=abs(quantity),
        context={"invoice": invoice, "price": price},
    )
    return Line(number, text, feedback, _text(row["Description"]), price, _text(row["Country"]))


def _text(cell: object) -> str:
    return "" if values.missing(cell) else " ".join(str(cell).split())


def _date(cell: object) -> float:
    """The date of an invoice; the CSV edition writes month first, ``12/1/2010 8:26``."""
    if isinstance(cell, str) and "/" in cell:
        try:
            return datetime.strptime(cell.strip(), "%m/%d/%Y %H:%M").replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise values.BadValue(
                "InvoiceDate", f"is not month/day/year hour:minute: {cell[:60]!r}"
            ) from None
    return values.timestamp(cell, "InvoiceDate")
