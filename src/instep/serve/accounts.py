"""What a folder's log says of rewards: one act's account, and how far down users look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import numpy as np

from instep.domain import ConfigError, Feedback
from instep.learn import RewardLearner, start_vectors
from instep.log import Log, open_log
from instep.reward import Account, RewardTable
from instep.score import new_weights
from instep.serve.config import Config, load_config
from instep.serve.folder import Folder
from instep.serve.settings import attribution_of
from instep.serve.terminal import Report
from instep.serve.verifying import log_file
from instep.state import State
from instep.state.snapshot import read_newest

USUAL_PLACES = 10
"""So many places of the usual curve are told where nothing is known."""


class SurfaceCurve(msgspec.Struct, frozen=True):
    """How far down users look at slates of one surface.

    Args:
        surface: its name.
        judged: slates drawn at random whose window is over; the curve is what they say, or the usual one at 0.
        examination: for each place, the share of an item's worth that gets through, the first being 1.
        trust: for each place, acts an impression that the place alone earns.
    """

    surface: str
    judged: int
    examination: list[float]
    trust: list[float]


class ItemRate(msgspec.Struct, frozen=True):
    """What an item earns, freed from its places.

    Args:
        item_id: the item.
        earned: rewards of judged impressions, less what their places earned by themselves.
        looked: how often it was looked at, as far as the places tell: looks at the first place.
        rate: reward a look.
    """

    item_id: str
    earned: float
    looked: float
    rate: float


def explain_event(place: Folder, event_id: str, report: Report) -> Account:
    """How an act became its number.

    Args:
        place: a folder that no process has open.
        event_id: the act's.
        report: is told the progress.

    Returns:
        The account: each step from the act to its number.

    Raises:
        ConfigError: there is no such act in the log, or the folder is in use.
    """
    config = load_config(place.path)
    with _log_of(place, config) as log:
        offset = _offset_of(log, event_id, report)
        learner = _learner(place, config, offset)
        for entry in log.read(learner.state.offset, offset + 1):
            report("Learning", entry.offset, offset, "records")
            learner.learn((entry,))
        account = learner.account_of(event_id)
    if account is None:
        raise ConfigError(f"{event_id}: is no act, so it has no reward")
    return account


def learned_rewards(place: Folder, report: Report) -> State:
    """A state in which all that rewards depend on is up to date.

    Args:
        place: a folder that no process has open.
        report: is told the progress.

    Returns:
        The state; what rewards do not depend on is not in it.

    Raises:
        ConfigError: the folder is in use, or has no log yet.
    """
    config = load_config(place.path)
    with _log_of(place, config) as log:
        learner = _learner(place, config, log.end)
        for entry in log.read(learner.state.offset):
            report("Learning", entry.offset, log.end, "records")
            learner.learn((entry,))
        return learner.state


def curves(state: State) -> list[SurfaceCurve]:
    """How far down users look, for each surface, as far as slates have gone."""
    table = state.examination
    shown = [np.flatnonzero(each.any(0)) for each in table.shown]
    kept = [int(places[-1]) + 1 if len(places) else USUAL_PLACES for places in shown]
    return [
        SurfaceCurve(
            name,
            int(table.judged[row, 0]),
            [round(each, 4) for each in table.slope[row, : kept[row]].tolist()],
            [round(each, 4) for each in table.trust[row, : kept[row]].tolist()],
        )
        for row, name in enumerate(state.names.surfaces)
    ]


def best_items(state: State, n: int, least: float) -> list[ItemRate]:
    """Items by what they earn a look, best first.

    Args:
        state: the state.
        n: how many.
        least: only items that were looked at so often.

    Returns:
        At most `n` of them.
    """
    earned, looked = state.items.earned[: state.n_items].T.astype(float)
    rows = np.flatnonzero((looked > 0) & (looked >= least))
    order = rows[np.argsort(-earned[rows] / looked[rows], kind="stable")][:n]
    return [
        ItemRate(
            state.names.items[row],
            round(float(earned[row]), 4),
            round(float(looked[row]), 4),
            round(float(earned[row] / looked[row]), 4),
        )
        for row in order.tolist()
    ]


@contextmanager
def _log_of(place: Folder, config: Config) -> Iterator[Log]:
    log_file(place, config)  # else it would be made
    log = open_log(place.log_url(config))
    try:
        yield log
    finally:
        log.close()


def _offset_of(log: Log, event_id: str, report: Report) -> int:
    for entry in log.read():
        report("Looking for it", entry.offset, log.end, "records")
        if entry.record.event_id == event_id:
            if not isinstance(entry.record, Feedback):
                raise ConfigError(
                    f"{event_id}: is a record of another kind ({type(entry.record).__name__}); only acts have rewards"
                )
            return entry.offset
    raise ConfigError(f"{event_id}: the log has no event with this id")


def _learner(place: Folder, config: Config, offset: int) -> RewardLearner:
    """A learner as of the newest snapshot at or before an offset."""
    state = State(new_weights(), start_vectors)
    read_newest(state, place.snapshots(config), offset)
    return RewardLearner(state, RewardTable(config.rewards), attribution_of(config))
