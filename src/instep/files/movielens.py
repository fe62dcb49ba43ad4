"""MovieLens in all its official layouts.

| layout | files | notes |
|---|---|---|
| 100K | u.data, u.item, u.user | tabs and bars, u.item in Latin-1, genres as flags |
| latest, latest-small, 20M, 25M, 32M | ratings.csv, movies.csv | tags, links and genome are not read |
| 1M, 10M | ratings.dat, movies.dat, users.dat | `::` between fields |

Ratings become feedback of type ``rating`` with the stars as value. "Matrix, The (1999)" becomes the title
"The Matrix" and the attribute `year`; genres become categories. The files do not say when a film entered
the catalogue: films and users carry the time of the first rating, so that all exist when it is replayed.

Source: Harper and Konstan 2015, The MovieLens Datasets, ACM TiiS 5(4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from instep.domain import ConfigError, Feedback, ItemPut, Record, UserPut
from instep.files import values
from instep.files.base import KINDS, RAW_LIMIT, Kind, Outcome, Read, Rejected, Source
from instep.files.tables import csv_records
from instep.files.text import lines

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
AGES = {
    "1": "under 18",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56+",
}
OCCUPATIONS = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer",
    "programmer", "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer",
    "tradesman/craftsman", "unemployed", "writer",
)  # fmt: skip

_TITLE = re.compile(r"(?P<title>.*?)\s*\((?P<year>\d{4})\)\s*", re.DOTALL)
_ARTICLE = re.compile(r"(?P<rest>.+), (?P<article>The|A|An)", re.DOTALL)

Cells = list[str]


class MovieLensSource(Source):
    """A folder with MovieLens files.

    Args:
        path: the folder, or one of its files.

    Raises:
        ConfigError: no file of a known layout is there.
    """

    format = "movielens"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        folder = path if path.is_dir() else path.parent
        layout = next((layout for layout in LAYOUTS if (folder / layout["events"][0]).is_file()), None)
        if layout is None:
            raise ConfigError(
                f"{path}: holds none of u.data, ratings.csv, ratings.dat; unpack the MovieLens archive"
            )
        self._files = {
            kind: (folder / layout[kind][0], *layout[kind][1:])
            for kind in KINDS
            if kind in layout and (folder / layout[kind][0]).is_file()
        }
        self.kinds = tuple(self._files)
        self._start: float | None = None

    def read(self, kind: Kind) -> Iterator[Outcome]:
        """Films, users or ratings, in the file's order."""
        path, separator, build = self._files[kind]
        start = 0.0 if kind == "events" else self._first_rating()
        for line, cells, text in _records(path, separator):
            if isinstance(cells, Rejected):
                yield cells
                continue
            try:
                yield Read(build(cells, start), line, path.name, raw=text)
            except values.BadValue as fault:
                yield Rejected(line, str(fault), text[:RAW_LIMIT], path.name)

    def _first_rating(self) -> float:
        if self._start is None:
            times = (outcome.record.timestamp for outcome in self.read("events") if isinstance(outcome, Read))
            self._start = min(times, default=0.0)
        return self._start


def film_title(text: str) -> tuple[str, int | None]:
    """A MovieLens title as people say it, and its year.

    >>> film_title("Matrix, The (1999)"), film_title("Nameless")
    (('The Matrix', 1999), ('Nameless', None))
    """
    found = _TITLE.fullmatch(text)
    title, year = (found["title"], int(found["year"])) if found else (text.strip(), None)
    moved = _ARTICLE.fullmatch(title)
    return (f"{moved['article']} {moved['rest']}" if moved else title), year


def _records(path: Path, separator: str) -> Iterator[tuple[int, Cells | Rejected, str]]:
    if separator == ",":
        records = csv_records(path, ",")
        next(records, None)
        return records
    if separator != "::":
        return csv_records(path, separator, quoted=False)
    return _records_of_1m(path, separator)


def _records_of_1m(path: Path, separator: str) -> Iterator[tuple[int, Cells | Rejected, str]]:
    for number, line in lines(path):
        if isinstance(line, Rejected):
            yield number, line, line.raw
        elif line.strip():
            text = line.rstrip("\r\n")
            yield number, text.split(separator), text


def _sized(cells: Cells, sizes: tuple[int, ...]) -> Cells:
    if len(cells) not in sizes:
        raise values.BadValue("row", f"has {len(cells)} fields instead of {' or '.join(map(str, sizes))}")
    return cells


def _rating(cells: Cells, _: float) -> Feedback:
    user, film, stars, time = _sized(cells, (4,))
    return Feedback(
        event_id="",
        user_id=values.identifier(user.strip(), "userId"),
        item_id=values.identifier(film.strip(), "movieId"),
        timestamp=values.timestamp(time, "timestamp"),
        type="rating",
        value=values.number(stars, "rating"),
    )


def _film(film: str, title: str, genres: list[str], start: float) -> ItemPut:
    name, year = film_title(title)
    fields: dict[str, Any] = {"categories": genres, "title": name}
    if year is not None:
        fields["year"] = year
    return ItemPut("", values.identifier(film.strip(), "movieId"), start, fields)


def _film_in_one_row(cells: Cells, start: float) -> ItemPut:
    film, title, genres = _sized(cells, (3,))
    return _film(film, title, [name for name in genres.split("|") if name and name[0] != "("], start)


def _film_100k(cells: Cells, start: float) -> ItemPut:
    film, title, *rest = _sized(cells, (24,))
    genres = [name for name, there in zip(GENRES, rest[3:], strict=True) if there.strip() == "1"]
    return _film(film, title, [name for name in genres if name != "unknown"], start)


def _user_100k(cells: Cells, start: float) -> UserPut:
    user, age, gender, occupation, area = _sized(cells, (5,))
    fields = {"age": values.integer(age, "age"), "gender": gender, "occupation": occupation, "zip": area}
    return UserPut("", values.identifier(user.strip(), "userId"), start, dict(sorted(fields.items())))


def _user_1m(cells: Cells, start: float) -> UserPut:
    user, gender, age, occupation, area = _sized(cells, (5,))
    index = values.integer(occupation, "occupation")
    if not 0 <= index < len(OCCUPATIONS):
        raise values.BadValue("occupation", f"is not one of 0 to {len(OCCUPATIONS) - 1}: {index}")
    fields = {"age": AGES.get(age, age), "gender": gender, "occupation": OCCUPATIONS[index], "zip": area}
    return UserPut("", values.identifier(user.strip(), "userId"), start, dict(sorted(fields.items())))


Build = Callable[[Cells, float], Record]
LAYOUTS: tuple[dict[Kind, tuple[str, str, Build]], ...] = (
    {
        "events": ("u.data", "\t", _rating),
        "items": ("u.item", "|", _film_100k),
        "users": ("u.user", "|", _user_100k),
    },
    {"events": ("ratings.csv", ",", _rating), "items": ("movies.csv", ",", _film_in_one_row)},
    {
        "events": ("ratings.dat", "::", _rating),
        "items": ("movies.dat", "::", _film_in_one_row),
        "users": ("users.dat", "::", _user_1m),
    },
)
