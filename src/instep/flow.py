"""The story, on one screen.

observe(record):     validate -> append to the log -> learn -> acknowledge
recommend(context):  retrieve -> filter -> score -> choose a slate (with propensities) -> log it -> answer
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import msgspec

from instep.domain import (
    Context,
    Entry,
    Feedback,
    Impression,
    InvalidRequest,
    ItemPut,
    Overrides,
    Receipt,
    Record,
    Slate,
    UserPut,
    find_part,
)
from instep.domain.events import SESSION_PREFIX
from instep.encode.base import Encoder
from instep.guard import (
    Limits,
    check_context,
    check_named_fields,
    check_records,
)
from instep.log.base import Log
from instep.lookups import Lookups
from instep.model import Model
from instep.policy import BUDGET, Parameters, Surface, default_policy, surface_policy
from instep.reward import Attribution
from instep.score.base import Scorer
from instep.state.snapshot import begin_snapshot, read_newest
from instep.variants import Variants


class Settings(msgspec.Struct, frozen=True):
    """What the flow needs to know of the configuration.

    Args:
        policy: a name of `policy.POLICIES`, or a plugin's.
        budget: share of the greedy slate's expected reward that a slate may give up to explore.
        parameters: of the policy, by name.
        surfaces: what is different on some surfaces, by the name that requests give.
        repeat: whether consumed items may come back when a request does not say.
        rewards: type to reward, over `reward.DEFAULT_REWARDS`.
        attribution: how acts are joined to slates.
        retrievers: names of plugins that propose more candidates.
        scorers: names of plugins that add to the scores.
        own_scorers: what makes scorers that are no plugins, by name.
        auto_create_users: whether an event of an unknown user creates the user.
        auto_create_items: whether an event on an unknown item creates the item.
        limits: what is accepted.
    """

    policy: str = "thompson"
    budget: float = BUDGET
    parameters: Parameters = {}
    surfaces: dict[str, Surface] = {}
    repeat: bool = False
    rewards: dict[str, float] = {}
    attribution: Attribution = Attribution()
    retrievers: tuple[str, ...] = ()
    scorers: tuple[str, ...] = ()
    own_scorers: dict[str, Callable[[], Scorer]] = {}
    auto_create_users: bool = True
    auto_create_items: bool = True
    limits: Limits = Limits()


class Certificate(msgspec.Struct, frozen=True):
    """What an erasure leaves behind.

    Args:
        user_hash: BLAKE2b of the user id with the offset as salt: proves which user without naming one.
        records: how many records were removed.
        state_hash: of the state without the user: what a clean replay gives.
        offset: the state is that of the log's records before this offset.
    """

    user_hash: str
    records: int
    state_hash: str
    offset: int


class Flow(Lookups):
    """Observe and recommend; everything else that can be asked is in `Lookups`.

    Args:
        log: where records live; entries that it already holds are not read until `restore`.
        settings: the configuration.
        encoder: for `search`; None leaves text search out.

    Raises:
        ConfigError: the settings name an unknown policy, retriever or scorer, or a parameter out of range.

    `on_stage`, a function of a stage's name and its seconds, is called for every stage (metrics set it).

    >>> from instep.domain import Feedback
    >>> from instep.log import MemoryLog
    >>> flow = Flow(MemoryLog(), Settings(policy="greedy"))
    >>> receipts = flow.observe([Feedback("e1", "ann", "tea", 1e9), Feedback("e2", "bob", "tea", 1e9)])
    >>> [item.item_id for item in flow.rank(Context("cid", now=1e9)).items]
    ['tea']
    """

    def __init__(self, log: Log, settings: Settings | None = None, encoder: Encoder | None = None) -> None:
        self.settings = settings or Settings()
        self.on_stage: Callable[[str, float], None] = lambda stage, seconds: None
        given = self.settings
        self._default = Surface(given.policy, given.budget, True, given.parameters)
        usual = Overrides(retrievers=given.retrievers, scorers=given.scorers, repeat=given.repeat)
        self.variants = Variants(self._default, given.surfaces, usual, given.own_scorers)
        super().__init__(log, self._new_model(), encoder)
        self._erasing = threading.Lock()
        log.subscribe(self._learn)

    def _new_model(self) -> Model:
        settings = self.settings
        default = self._default
        model = Model(
            settings.rewards,
            default_policy(default),
            settings.repeat,
            [find_part("instep.retrievers", name, {})() for name in settings.retrievers],
            self.variants.made_scorers(settings.scorers),
            {name: surface_policy(surface, default) for name, surface in settings.surfaces.items()},
            settings.attribution,
        )
        model.on_stage = lambda stage, seconds: self.on_stage(stage, seconds)
        return model

    # observe

    def observe(self, records: Sequence[Record]) -> list[Receipt]:
        """Validate, make durable, learn, acknowledge; blocks until all of it is done.

        Raises:
            InvalidRequest: names the first bad field; nothing was stored.
            Unavailable: could not be made durable; nothing was stored.
        """
        return self.log.append(self._checked(records))

    def submit(self, records: Sequence[Record]) -> Future[list[Receipt]]:
        """The same without blocking; bad records still raise at once."""
        return self.log.submit(self._checked(records))

    def _checked(self, records: Sequence[Record]) -> list[Record]:
        checked = check_records(records, time.time(), self.settings.limits)
        if not (self.settings.auto_create_users and self.settings.auto_create_items):
            self._check_known(checked)
        return checked

    def _check_known(self, records: Sequence[Record]) -> None:
        names = self.model.state
        new_items = {record.item_id for record in records if isinstance(record, ItemPut)}
        new_users = {record.user_id for record in records if isinstance(record, UserPut)}
        for place, record in enumerate(records):
            if not isinstance(record, Feedback):
                continue
            known = record.item_id in names.item_number or record.item_id in new_items
            if not known and not self.settings.auto_create_items:
                raise InvalidRequest("no such item; create it first", f"records[{place}].item_id")
            anonymous = record.user_id.startswith(SESSION_PREFIX)
            if self.settings.auto_create_users or anonymous:
                continue
            if record.user_id not in names.user_number and record.user_id not in new_users:
                raise InvalidRequest("no such user; create it first", f"records[{place}].user_id")

    def _learn(self, entries: Sequence[Entry]) -> None:
        for entry in entries:  # the lock is let go between entries, so that requests wait for one at most
            began = time.perf_counter()
            with self._lock:
                if entry.offset >= self.model.state.offset:  # else a rebuilt model has read it from the log
                    self.model.learn((entry,))
            self.on_stage("learn", time.perf_counter() - began)

    # recommend

    def recommend(self, context: Context) -> Slate:
        """Choose a slate and log it as an impression. The answer does not wait for the impression's disk.

        Raises:
            InvalidRequest: names the bad field.
        """
        context = self._ready(context)
        slate = self._ranked(context)
        if slate.items or slate.experiments:  # an arm that finds nothing must not go unnoticed
            impression = Impression(
                slate.slate_id,
                context.user_id,
                context.now,
                tuple(item.item_id for item in slate.items),
                tuple(item.propensity for item in slate.items),
                context.surface,
                slate.policy,
                slate.as_of,
                slate.experiments,
                context.asked(len(slate.items)),
            )
            written = self.log.submit((impression,))
            written.add_done_callback(self._count_lost)
            if written.done() and written.exception() is not None:
                slate = msgspec.structs.replace(slate, degraded=(*slate.degraded, "impression"))
        return slate

    def _count_lost(self, written: Future[list[Receipt]]) -> None:
        if written.exception() is not None:
            self.model.failures["impression"] += 1

    def rank(self, context: Context) -> Slate:
        """The same without logging: reads only, and what `instep replay` measures."""
        return self._ranked(self._ready(context))

    def _ready(self, context: Context) -> Context:
        """The context checked, with a time and an id (the seed of the answer's randomness)."""
        context = check_context(context, self.settings.limits)
        if context.request_id and context.now:
            return context
        return msgspec.structs.replace(
            context, request_id=context.request_id or uuid.uuid4().hex, now=context.now or time.time()
        )

    def _ranked(self, context: Context) -> Slate:
        if self.variants.reranks:
            for work in self._to_prepare(context):
                work()
        with self._lock:
            slate = self.variants.slate(self.model, context)
        if context.filter and not slate.items:
            check_named_fields(context.filter, self.model.state.names.catalogue)
        return slate

    def _to_prepare(self, context: Context) -> list[Callable[[], None]]:
        """The slow parts of what reranks this request: they are run while others use the model."""
        works: list[Callable[[], None]] = []
        with self._lock:
            model = self.model
            failures, non_finite = model.failures.copy(), model.non_finite
            model.preparing = works
            try:
                self.variants.slate(model, context)
            finally:
                model.preparing = None
                model.failures, model.non_finite = failures, non_finite  # the answer itself counts them
        return works

    @property
    def is_quick(self) -> bool:
        """Whether a slate takes milliseconds; not where something reranks."""
        return not self.variants.reranks

    # keep

    def state_hash(self) -> str:
        """BLAKE2b of the whole learned state."""
        with self._lock:
            return self.model.state.digest()

    def replay(self, model: Model, progress: Callable[[int], None] | None = None) -> None:
        """Bring a model from its offset to the log's end.

        Args:
            model: begins at its own offset.
            progress: called now and then with an offset.
        """
        end = self.log.end
        for done, entry in enumerate(self.log.read(model.state.offset)):
            model.learn((entry,))
            if progress is not None and done % 1000 == 0:
                progress(entry.offset)
        model.state.offset = max(model.state.offset, end)  # where the last records were erased, too

    def erase(self, user_id: str) -> Certificate:
        """Forget a user: records and state at once, and what others' state learned from the user by a rebuild.

        Requests and events go on meanwhile; they see the old model without the user's own history.
        """
        with self._erasing:
            with self._lock:
                merged = self.model.state.names.merged
                users = {user_id, *(session for session, owner in merged.items() if owner == user_id)}
                self.model.forget(users)
            records = self.log.erase(users)
            clean = self._new_model()
            self.replay(clean)
            with self._lock:
                self.replay(clean)
                clean.failures, clean.non_finite = self.model.failures, self.model.non_finite
                self.model = clean
                offset, digest = clean.state.offset, clean.state.digest()
        salt = str(offset).encode()
        user_hash = hashlib.blake2b(user_id.encode(), digest_size=16, salt=salt[:16]).hexdigest()
        return Certificate(user_hash, records, digest, offset)

    def snapshot(self, directory: Path, keep: int = 3) -> Path:
        """Write the state beside the service; the last `keep` are kept. Requests wait for the fork only.

        Raises:
            OSError: it could not be written; earlier ones are kept.
        """
        with self._lock:
            finish = begin_snapshot(self.model.state, directory, keep)
        return finish()

    def restore(self, directory: Path, progress: Callable[[int], None] | None = None) -> int:
        """Newest valid snapshot, then the log's tail. Returns the offset of the snapshot (0 for none).

        Torn, foreign or newer snapshots are skipped with a warning.
        """
        with self._lock:
            found = read_newest(self.model.state, directory, self.log.end)
            self.replay(self.model, progress)
            return found

    def close(self) -> None:
        """Finish what was submitted and release the log."""
        self.log.close()
