"""Open a file or folder: find its layout, give its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from instep.domain import ConfigError
from instep.files.base import Kind, Source
from instep.files.generic import GenericSource
from instep.files.impressions import OPEN_BANDIT_COLUMNS, MindSource, OpenBanditSource
from instep.files.movielens import LAYOUTS, MovieLensSource
from instep.files.native import NativeSource
from instep.files.retail import COLUMNS as RETAIL_COLUMNS
from instep.files.retail import SECOND_EDITION, OnlineRetailSource
from instep.files.services import GorseSource, PersonalizeSource, is_gorse, is_personalize
from instep.files.tables import SUFFIXES, Table

_LAYOUTS: Mapping[str, Callable[[Path], Source]] = {
    "instep": NativeSource,
    "movielens": MovieLensSource,
    "uci-online-retail": OnlineRetailSource,
    "amazon-personalize": PersonalizeSource,
    "gorse": GorseSource,
    "mind": MindSource,
    "open-bandit": OpenBanditSource,
}
FORMATS = ("auto", "generic", *_LAYOUTS)


def open_source(path: str | Path, format: str = "auto", kind: Kind | None = None, **mapping: str) -> Source:
    """Open a file or folder of items, users and events.

    Args:
        path: the file or folder.
        format: one of `FORMATS`; ``auto`` finds out from names and columns.
        kind: what a single generic file holds; None finds out from its columns.
        **mapping: for the generic layout, our column name = the file's, e.g. ``item_id="StockCode"``.

    Returns:
        The source: its items, users and events are read as they are asked for.

    Raises:
        ConfigError: there is no such file, its layout is unknown, or a needed column is missing.

    >>> from pathlib import Path; from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "clicks.csv")
    ...     _ = file.write_text("visitor,item_id,timestamp\\nu1,i1,2024-05-01T10:00:00Z\\n")
    ...     [event.user_id for event in open_source(file, user_id="visitor").events()]
    ['u1']
    """
    return open_mapped(path, format, kind, mapping)


def open_mapped(
    path: str | Path,
    format: str = "auto",
    kind: Kind | None = None,
    mapping: Mapping[str, str] = MappingProxyType({}),
) -> Source:
    """`open_source` with the mapping as one argument: a column may be called `path`, `format` or `kind`.

    Args:
        path: the file or folder.
        format: as for `open_source`.
        kind: as for `open_source`.
        mapping: our column name -> the file's.

    Returns:
        The source.

    Raises:
        ConfigError: as `open_source`.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder")
    if format not in FORMATS:
        raise ConfigError(f"format {format}: is not one of {', '.join(FORMATS)}")
    if kind is not None and kind not in get_args(Kind):
        raise ConfigError(f"kind {kind}: is not one of {', '.join(get_args(Kind))}")
    if format == "auto":
        format = "generic" if mapping or kind else _found(path)
    if format == "generic":
        return GenericSource(path, mapping, kind)
    if mapping:
        raise ConfigError(f"--map is for the generic layout; {format} has its own columns")
    return _LAYOUTS[format](path)


def _found(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    for layout in LAYOUTS:
        names = {name for name, *_ in layout.values()}
        events = folder / layout["events"][0]
        if events.is_file() and (path.is_dir() or path.name in names) and _may_be_movielens(events):
            return "movielens"
    if (folder / "behaviors.tsv").is_file() and (path.is_dir() or path.name in ("behaviors.tsv", "news.tsv")):
        return "mind"
    if (path / "item_context.csv").is_file() and (path / f"{path.resolve().name}.csv").is_file():
        return "open-bandit"
    if path.is_file():
        return _by_columns(path) if path.suffix.lower() in SUFFIXES else "generic"
    found = {
        _by_columns(file) for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()
    }
    return next((name for name in ("amazon-personalize", "gorse") if name in found), "generic")


def _may_be_movielens(events: Path) -> bool:
    """Many a shop's file is called ratings.csv, too: its header decides. The other layouts have none."""
    if events.suffix.lower() not in SUFFIXES:
        return True
    try:
        return set(Table(events).columns) >= {"userId", "movieId"}
    except ConfigError:  # the layout will say what is wrong
        return True


def _by_columns(path: Path) -> str:
    """The layout whose events a table holds."""
    try:
        columns = set(Table(path).columns)
    except ConfigError:  # the layout will say what is wrong
        return "generic"
    if "kind" in columns and "event_id" in columns:
        return "instep"
    if all(name in columns or SECOND_EDITION.get(name) in columns for name in RETAIL_COLUMNS):
        return "uci-online-retail"
    if columns >= OPEN_BANDIT_COLUMNS:
        return "open-bandit"
    return "amazon-personalize" if is_personalize(columns) else "gorse" if is_gorse(columns) else "generic"
