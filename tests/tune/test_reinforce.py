"""Top-K off-policy REINFORCE: what it learns, when it refuses, and the policy that reads its table."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

import instep
from instep.domain import ConfigError, Context, Feedback, Impression, ItemPut
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.policy import Reinforce, Taught
from instep.score import SIGNALS
from instep.serve.cli import main
from instep.testing import PolicyContract
from instep.tune import Lessons, collect, teach

START = 1_700_000_000.0


def lessons(slates: int, worth: str, seed: int = 1) -> Lessons:
    """Slates of 3 drawn uniformly from 8, whose clicks follow one signal and the place."""
    rng = np.random.default_rng(seed)
    signals = rng.standard_normal((slates, 8, len(SIGNALS))).astype(np.float32)
    place = np.argsort(rng.random((slates, 8)), axis=1)[:, :3].astype(np.int32)
    propensity = np.tile(np.array([1 / 8, 1 / 7, 1 / 6], np.float32), (slates, 1))
    own = np.take_along_axis(signals[:, :, SIGNALS.index(worth)], place, 1)
    chance = np.array([0.9, 0.5, 0.2]) / (1.0 + np.exp(-2.0 * own))
    reward = (rng.random((slates, 3)) < chance).astype(np.float32)
    return Lessons(np.zeros((slates, 8), np.float32), signals, place, propensity, reward)


def test_it_finds_the_signal_that_clicks_follow() -> None:
    taught = teach(lessons(2000, "category"))
    strongest = max(taught.tilt, key=lambda name: abs(taught.tilt[name]))
    assert strongest == "category"
    assert taught.tilt["category"] > 0.3
    assert 0.0 < taught.least < taught.gain
    assert taught.slates == 1500


def test_the_same_lessons_teach_the_same() -> None:
    given = lessons(600, "liked")
    assert teach(given) == teach(given)
    assert teach(given, seed=1) != teach(given)


def test_where_there_is_nothing_to_learn_nothing_is_shown_to_be_better() -> None:
    given = lessons(800, "liked")
    chance = np.random.default_rng(4).random(given.reward.shape) < 0.3
    taught = teach(given._replace(reward=chance.astype(np.float32)))
    assert taught.least <= 0.0


def logged(policy: str, slates: int, budget: float = 1.0) -> Flow:
    """A flow whose visitors click on every third item they are shown."""
    flow = Flow(MemoryLog(), Settings(policy=policy, budget=budget))
    flow.observe([ItemPut(f"p{k}", f"i{k}", START, {"title": f"Item {k}"}) for k in range(30)])
    for k in range(slates):
        now = START + 60.0 * k
        slate = flow.recommend(Context(f"u{k % 7}", n=5, now=now, request_id=f"s{k}"))
        clicked = [item.item_id for item in slate.items if int(item.item_id[1:]) % 3 == 0]
        flow.observe(
            [
                Feedback(f"e{k}-{item}", f"u{k % 7}", item, now + 1.0, "click", slate_id=slate.slate_id)
                for item in clicked[:1]
            ]
        )
    return flow


def test_lessons_are_the_logged_slates_with_what_they_led_to() -> None:
    flow = logged("plackett-luce", 60)
    found = collect(flow.log, flow)
    shown = [entry.record for entry in flow.log.read(0) if isinstance(entry.record, Impression)]
    clicks = [entry.record for entry in flow.log.read(0) if isinstance(entry.record, Feedback)]
    assert found.propensity.shape == (60, 5)
    for row, record in enumerate(shown):
        length = len(record.item_ids)
        assert found.propensity[row, :length].tolist() == np.array(record.propensities, np.float32).tolist()
        assert (found.place[row, :length] >= 0).all()
        assert (found.place[row, length:] == -1).all()
        acted = {click.item_id for click in clicks if click.slate_id == record.event_id}
        earned = {record.item_ids[at] for at in np.flatnonzero(found.reward[row])}
        assert earned == acted
    newest = collect(flow.log, flow, slates=50)
    assert newest.reward.tolist() == found.reward[10:].tolist()


def test_a_log_that_tells_nothing_of_other_slates_is_refused() -> None:
    flow = logged("greedy", 60)
    with pytest.raises(ConfigError, match=r"all 60 slates were certain .* explores first"):
        collect(flow.log, flow)
    flow = logged("plackett-luce", 5)
    with pytest.raises(ConfigError, match=r"the log has 5 slates; at least 50 are needed"):
        collect(flow.log, flow)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("taught") / "table.json"
    path.write_bytes(msgspec.json.encode(Taught({"popular_ever": -3.0, "gone": 9.0}, 100, 0.2, 0.1)))
    return path


class TestReinforce(PolicyContract):
    @pytest.fixture(autouse=True)
    def _table(self, table: Path) -> None:
        self.path = str(table)

    def make(self) -> Reinforce:
        return Reinforce(self.path, budget=1.0)


def test_the_policy_ranks_by_the_corrected_scores(table: Path) -> None:
    flows = [logged("greedy", 40), Flow(MemoryLog(), Settings("reinforce", 0.0, {"table": str(table)}))]
    for entry in flows[0].log.read(0):
        flows[1].observe([entry.record])
    asked = Context("new", n=5, now=START + 9e3, request_id="r")
    first, second = ([item.item_id for item in flow.rank(asked).items] for flow in flows)
    taken = flows[1].model.state.items.taken
    number = flows[1].model.state.item_number
    popular = [float(sum(taken[number[item]] for item in slate)) for slate in (first, second)]
    assert popular[0] > popular[1]


def test_a_missing_or_damaged_table_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: there is no such table; `instep reinforce FOLDER`"):
        Reinforce(str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"bad\.json: cannot be read .* learns it anew"):
        Reinforce(str(tmp_path / "bad.json"))


def test_the_command_teaches_a_folder_and_the_policy_is_used(tmp_path: Path) -> None:
    path = tmp_path / "shop.instep"
    with instep.open(path, encoder="none", recommend={"policy": "plackett-luce", "budget": 1.0}) as app:
        for k in range(20):
            app.put_item(f"i{k}", title=f"Item {k}")
        for k in range(60):
            slate = app.recommend(user_id=f"u{k % 5}", n=5, request_id=f"s{k}")
            app.observe(
                slate.items[k % 2].item_id, user_id=f"u{k % 5}", type="click", slate_id=slate.slate_id
            )
    refused = CliRunner().invoke(main, ["reinforce", str(path), "--json"])
    written = CliRunner().invoke(main, ["reinforce", str(path), "--anyway", "--json"])
    assert refused.exit_code in (0, 1)
    if refused.exit_code:
        assert "take it with --anyway" in refused.stderr
    assert written.exit_code == 0, written.stderr
    told = json.loads(written.stdout)
    assert told["slates"] == 45
    assert set(told["tilt"]) == set(SIGNALS)
    with instep.open(path, encoder="none", recommend={"policy": "reinforce"}) as app:
        slate = app.recommend(user_id="u1", n=5, request_id="r")
        assert slate.policy == "reinforce"
        assert all(0.0 < item.propensity <= 1.0 for item in slate.items)
    (path / "reinforce.json").unlink()
    with pytest.raises(ConfigError, match=r"shop\.instep/reinforce\.json: there is no such table"):
        instep.open(path, encoder="none", recommend={"policy": "reinforce"})
