"""A folder opened: the log, the model, the language model and the snapshots, wired together."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypedDict, Unpack

import numpy as np

from instep.domain import (
    ConfigError,
    Context,
    Feedback,
    InvalidRequest,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    Receipt,
    Record,
    SessionMerge,
    Slate,
    StageError,
    Unavailable,
    UserPut,
    session_user,
)
from instep.files import KINDS, Kind, RejectsFile, Source, open_mapped
from instep.flow import Certificate
from instep.guard import check_id, check_record
from instep.log import open_log
from instep.serve.config import FILE, Config, load_config
from instep.serve.encoding import Encoding
from instep.serve.experiments import Experiments
from instep.serve.exporting import export_part
from instep.serve.folder import Folder
from instep.serve.folder_flow import FolderFlow
from instep.serve.http.experiments import read_definition
from instep.serve.http.records import new_id, renamed, who
from instep.serve.http.settings import HttpSettings
from instep.serve.importing import Importer, ImportReport
from instep.serve.metrics import Metrics
from instep.serve.models import Models, counted_in
from instep.serve.settings import flow_settings
from instep.serve.snapshots import Snapshotter
from instep.serve.terminal import Report, silent
from instep.serve.texts import Texts
from instep.serve.warming import compile_loops
from instep.state.tables import F32
from instep.tune.registry import FOLDER, Registry

RESTORING: Final = "Restoring the model"
_log = logging.getLogger("instep.app")


class EventDetails(TypedDict, total=False):
    """What else may be known of an act (see `Feedback`)."""

    event_id: str
    timestamp: float
    slate_id: str
    position: int
    context: dict[str, str | int | float | bool]


class RequestDetails(TypedDict, total=False):
    """What else a request may say (see `Context`)."""

    now: float
    request_id: str
    categories: tuple[str, ...]
    exclude: tuple[str, ...]
    filter: str
    surface: str
    repeat: bool
    explain: bool
    attributes: dict[str, Any]


def open_app(path: str | Path, report: Report = silent, create: bool = True, **overrides: Any) -> App:
    """Open a folder, and make it if it is missing.

    Args:
        path: the folder; its name ends in ``.instep``.
        report: is told how far the model is restored.
        create: whether a missing folder is made.
        **overrides: settings that win over the environment and the folder's instep.toml, sections as
            dictionaries: ``serve={"port": 9000}``.

    Returns:
        The app; close it, or use it as a context manager.

    Raises:
        ConfigError: the folder, its settings or its log cannot be used; says why.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place, open_app(f"{place}/shop.instep", encoder="none") as app:
    ...     _ = app.put_item("tea", title="Green tea", price=4.5)
    ...     _ = app.put_item("cup", title="Cup")
    ...     _ = app.observe("tea", user_id="u1", type="purchase", value=2)
    ...     [item.item_id for item in app.recommend(user_id="u1").items]
    ['cup']
    """
    folder = Folder(path, create)
    return App(folder, load_config(folder.path, overrides), report)


class App:
    """Everything of one folder. Safe to use from several threads.

    Args:
        folder: where it lives.
        config: its settings.
        report: is told how far the model is restored.

    Attributes:
        flow: what observes and recommends.
        metrics: where the service counts.
        experiments: what is compared on live traffic.
        models: versions of the language model, and which one serves.
        snapshots: what writes the model to disk now and then.
    """

    def __init__(self, folder: Folder, config: Config, report: Report = silent) -> None:
        self.folder = folder
        self.config = config
        self.settings = flow_settings(config)
        self.metrics = Metrics()
        self._closed = False
        registry = Registry(folder.path / FOLDER)
        self.models = Models(
            registry, lambda start, end: counted_in(self.flow.log)(start, end), config.encoder
        )
        opening = self.models.opening()
        self._encoding = None if config.encoder == "none" else Encoding(opening, folder.vectors)
        self._places = folder.snapshots(config)
        folder.drop_snapshots(keep=self._places)
        log = open_log(folder.log_url(config))
        try:
            compile_loops(_log.warning)  # else the first request or act would
            self.flow = FolderFlow(self, log, self.settings, self._encoding)
            restored = self.flow.restore(self._places, lambda at: report(RESTORING, at, log.end, "records"))
            self.experiments = Experiments(self.flow)
            self.experiments.watch()
            self._launch_experiments()
        except BaseException:
            log.close()
            raise
        self.snapshots = Snapshotter(
            lambda: self.flow.snapshot(self._places, config.snapshot.keep),
            lambda: self.flow.model.state.offset,
            config.snapshot,
            restored,
        )
        self._add_gauges()
        if self._encoding is not None:
            log.subscribe(self._encoding.notice)
            self._encoding.start(Texts(self.flow))
            self.models.watch(self._encoding.want, opening)

    def _launch_experiments(self) -> None:
        for name, table in self.config.experiments.items():
            try:
                self.experiments.launch_configured(read_definition({**table, "name": name}))
            except InvalidRequest as error:
                field = f"experiments.{name}" + (f".{error.field}" if error.field else "")
                raise ConfigError(f"{self.folder.path / FILE}: {field}: {error.message}") from None

    def _add_gauges(self) -> None:
        snapshots, encoding = self.snapshots, self._encoding
        age = "Seconds since the newest snapshot was taken, or since the start."
        self.metrics.gauge("snapshot_age_seconds", age, lambda: time.time() - snapshots.taken_at)
        failed = "Snapshots that could not be written since the start."
        self.metrics.gauge("snapshot_failures", failed, lambda: snapshots.failures)
        if encoding is not None:
            waiting = "Items whose text the language model has not read yet."
            self.metrics.gauge("items_to_encode", waiting, lambda: encoding.pending)
            switch = (
                "Share of the items that the language model wanted next has read; 1 when none is under way."
            )
            self.metrics.gauge("encoder_switch_share", switch, lambda: encoding.share)

    def observe(
        self,
        item_id: str,
        *,
        user_id: str | None = None,
        session: str | None = None,
        type: str = "view",
        value: float | None = None,
        **details: Unpack[EventDetails],
    ) -> Receipt:
        """Store one act and learn from it; the next recommendation knows it.

        Args:
            item_id: on what.
            user_id: who acted; or give `session`.
            session: the visitor who acted, without an account.
            type: ``view``, ``click``, ``like``, ``dislike``, ``skip``, ``dwell``, ``rating``, ``cart``,
                ``purchase``, ``share`` ...
            value: seconds of a dwell, stars of a rating, quantity of a purchase.
            **details: see `EventDetails`.

        Returns:
            Where the record is in the log; `duplicate` when its event id was there already.

        Raises:
            InvalidRequest: a field is wrong; names it.
            Unavailable: it could not be made durable now.
        """
        given: EventDetails = {"event_id": new_id(), "timestamp": time.time(), **details}
        record = Feedback(user_id=who(user_id, session), item_id=item_id, type=type, value=value, **given)
        return self._store(record)

    def recommend(
        self,
        *,
        user_id: str | None = None,
        session: str | None = None,
        n: int = 10,
        **details: Unpack[RequestDetails],
    ) -> Slate:
        """Choose a slate of at most `n` items, and log it.

        Args:
            user_id: for whom; or give `session`.
            session: the visitor, without an account.
            n: items wanted.
            **details: see `RequestDetails`.

        Returns:
            The slate; its id joins acts to it. Shorter than `n` when fewer items qualify.

        Raises:
            InvalidRequest: a field is wrong; names it.
            Unavailable: the app is closed.
        """
        if self._closed:  # a slate that nobody can log is none
            raise Unavailable("the app is closed: open the folder again")
        given: RequestDetails = {"now": time.time(), "request_id": new_id(), **details}
        return self.flow.recommend(Context(user_id=who(user_id, session), n=n, **given))

    def put_item(self, item_id: str, **fields: Any) -> Receipt:
        """Create an item, or replace it whole.

        Args:
            item_id: its id.
            **fields: as `Item` names them; others are kept as attributes.

        Returns:
            Where the record is in the log.

        Raises:
            InvalidRequest: a field is wrong; names it.
            Unavailable: it could not be made durable now.
        """
        return self._store(ItemPut(new_id(), item_id, time.time(), fields))

    def patch_item(self, item_id: str, **fields: Any) -> Receipt:
        """Change some fields of an item; None removes one.

        Returns:
            Where the record is in the log.

        Raises:
            NotFound: there is no such item.
            InvalidRequest: a field is wrong; names it.
            Unavailable: it could not be made durable now.
        """
        known = self.flow.known_item(item_id)
        return self._store(ItemPatch(new_id(), known.item_id, time.time(), fields))

    def remove_item(self, item_id: str) -> Receipt:
        """Take an item out of the catalogue: it is not recommended again unless it is put back.

        Returns:
            Where the record is in the log.

        Raises:
            NotFound: there is no such item.
            Unavailable: it could not be made durable now.
        """
        known = self.flow.known_item(item_id)
        return self._store(ItemRemoval(new_id(), known.item_id, time.time()))

    def put_user(self, user_id: str, **fields: Any) -> Receipt:
        """Set a user's attributes, replacing all that were there.

        Returns:
            Where the record is in the log.

        Raises:
            InvalidRequest: an attribute is wrong; names it.
            Unavailable: it could not be made durable now.
        """
        return self._store(UserPut(new_id(), user_id, time.time(), fields))

    def merge(self, session: str, user_id: str) -> Receipt:
        """A visitor logged in: the session's history is now the user's, and is erased with the user.

        Returns:
            Where the record is in the log.

        Raises:
            InvalidRequest: one of the ids is wrong; names it.
            Unavailable: it could not be made durable now.
        """
        visitor = session_user(check_id(session, "session"))
        return self._store(SessionMerge(new_id(), user_id, visitor, time.time()))

    def import_file(
        self,
        path: str | Path,
        format: str = "auto",
        *,
        kind: Kind | None = None,
        mapping: Mapping[str, str] | None = None,
        rejects: str | Path | None = None,
        report: Report = silent,
    ) -> ImportReport:
        """Read a file or folder into the log (docs/files.md). Importing it again adds nothing twice.

        Args:
            path: the file or folder.
            format: its layout; ``auto`` finds out.
            kind: what a single generic file holds; None finds out.
            mapping: our column name -> the file's, where they differ.
            rejects: where refused rows go; beside the file if None.
            report: is told the progress.

        Returns:
            What became of the rows.

        Raises:
            ConfigError: the file as a whole cannot be read.
        """
        source = open_mapped(path, format, kind, mapping or {})
        with RejectsFile(Path(rejects)) if rejects else RejectsFile.beside(source.path) as refused:
            return Importer(self.flow, self._checked, refused, report).run(source)

    def take_in(
        self, source: Source, report: Report = silent, kinds: Collection[Kind] = KINDS
    ) -> ImportReport:
        """Read an open source into the log; refused rows go beside it.

        Args:
            source: what `instep.files.open_source` gave.
            report: is told the progress.
            kinds: what to read of it.

        Returns:
            What became of the rows.
        """
        with RejectsFile.beside(source.path) as refused:
            return Importer(self.flow, self._checked, refused, report).run(source, kinds)

    def export(self, path: str | Path, what: str = "log", report: Report = silent) -> int:
        """Write ``items``, ``users``, ``events`` or the whole ``log`` to a file; its suffix says the format.

        Returns:
            How many rows were written.

        Raises:
            ConfigError: the file cannot be written, or lies inside the folder.
        """
        return export_part(self.flow, Path(path), what, report)

    def erase(self, user_id: str) -> Certificate:
        """Remove a user and everything learned from the user.

        Args:
            user_id: whom; a visitor is ``session:`` and the session.

        Returns:
            The certificate.

        Raises:
            NotFound: there is no record of such a user.
        """
        return self.flow.erase(self.flow.known_user(user_id)["user_id"])

    def finish_encoding(self, report: Report = silent) -> None:
        """Wait until the language model has read every item."""
        if self._encoding is not None:
            self._encoding.finish(report)

    @property
    def encoding_choice(self) -> str:
        """What ``encoder = "auto"`` chose and why, or why there is no language model; else ""."""
        return (self._encoding.fault or self._encoding.choice) if self._encoding is not None else ""

    @property
    def encoding(self) -> Encoding | None:
        """The language model beside the service; None where the configuration has none."""
        return self._encoding

    def encode_query(self, text: str, live: str) -> F32:
        """A query's vector, float32 (d,), by the language model whose vectors are live. Raises `StageError`.

        Args:
            text: the query.
            live: the encoder of the live text space, as the state names it.
        """
        if self._encoding is None:
            raise StageError("no encoder: text search is off (set `encoder` in instep.toml)")
        return np.asarray(self._encoding.encode_for(live, [text])[0], np.float32)

    def snapshot(self) -> Path | None:
        """Write the model to disk now; None when the newest snapshot is current."""
        return self.snapshots.take()

    def http_settings(self) -> HttpSettings:
        """What the HTTP service is to be started with."""
        serve, limits = self.config.serve, self.config.limits
        return HttpSettings(
            host=serve.host,
            port=serve.port,
            keys=self.folder.keys(),
            allowed_hosts=frozenset(serve.allowed_hosts),
            max_body_bytes=limits.body_bytes,
            rate_per_second=limits.rate_per_second,
            rate_burst=limits.rate_burst,
            body_timeout=serve.body_seconds,
            shutdown_timeout=serve.shutdown_seconds,
        )

    def close(self) -> None:
        """Finish what was begun, write a snapshot, release the folder. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.models.close()
        self.snapshots.close()
        if self._encoding is not None:
            self._encoding.close()
        try:
            self.snapshots.take()
        except Exception as error:  # the log has everything: the next start replays it
            _log.warning("no snapshot could be written at the end: %s", error)
        self.flow.close()

    def __enter__(self) -> App:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _store(self, record: Record) -> Receipt:
        try:
            (receipt,) = self.flow.observe([record])
        except InvalidRequest as error:  # the caller gave fields, not a list of records
            raise InvalidRequest(error.message, renamed(error.field, at="")) from None
        return receipt

    def _checked(self, record: Record) -> Record:
        return check_record(record, time.time(), self.settings.limits)
