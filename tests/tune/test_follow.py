"""When a round of tuning begins, and what it may cost."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from instep.domain import ConfigError, Feedback
from instep.log import MemoryLog
from instep.serve.commands.tune import command, given_options
from instep.tune.follow import LEAST, News, Round, Trigger, follow, run_round
from instep.tune.registry import Registry


def acts(log: MemoryLog, count: int, item: str) -> None:
    start = log.end
    log.append([Feedback(f"e{start + n}", "u", item, 1e9 + start + n) for n in range(count)])


def test_nothing_begins_without_a_few_acts() -> None:
    log = MemoryLog()
    news = News(log, 0)
    acts(log, LEAST - 1, "new")
    assert news.due(Trigger(events=1, minutes=0.001), waited=1e9) == ""
    acts(log, 1, "new")
    assert news.due(Trigger(events=LEAST), waited=0.0) == f"{LEAST} acts since the last version"


def test_what_the_newest_version_has_seen_is_no_drift() -> None:
    log = MemoryLog()
    acts(log, 100, "old")
    news, trigger = News(log, 100), Trigger(events=0, unseen=0.3)
    acts(log, 350, "old")
    acts(log, 149, "new")
    assert news.due(trigger, waited=0.0) == ""  # too few to tell
    acts(log, 1, "old")
    assert news.due(trigger, waited=0.0) == ""  # 149 of 500
    acts(log, 1, "new")
    assert news.due(trigger, waited=0.0) == "30 % of the newest 500 acts are on items that are new"
    news.begin_again()
    acts(log, 500, "new")
    assert news.due(trigger, waited=0.0) == ""


def test_a_clock_alone_begins_a_round_only_when_something_was_heard() -> None:
    log = MemoryLog()
    acts(log, LEAST, "old")
    news, trigger = News(log, LEAST), Trigger(events=0, unseen=0.0, minutes=1.0)
    assert news.due(trigger, waited=3600.0) == ""
    acts(log, LEAST, "old")
    assert news.due(trigger, waited=59.0) == ""
    assert news.due(trigger, waited=120.0) == "2 minutes since the last round"


@pytest.mark.parametrize("bad", [{"events": -1}, {"unseen": 1.5}, {"events": 0, "unseen": 0.0}])
def test_a_trigger_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Trigger(**bad)  # type: ignore[arg-type]


def test_rounds_go_on_after_one_that_failed_and_keep_to_their_share(tmp_path: Path) -> None:
    log, told, waits = MemoryLog(), list[str](), list[float]()
    acts(log, 100, "a")

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            acts(log, 100, "a")  # while it waits, people go on
            return self.is_set() or len(waits) > 1000

    statuses = iter([1, 0])
    done = follow(
        log,
        Registry(tmp_path / "models"),
        Trigger(events=100),
        lambda: Round(next(statuses), 0.0, "said"),
        told.append,
        Stop(),
        rounds=2,
    )
    assert done == 2
    assert told[0] == "A round of tuning begins: 100 acts since the last version."
    assert "status 1" in told[1]
    assert "status 0" in told[3]


def test_a_round_is_held_back_until_its_share_of_a_core_is_earned(tmp_path: Path) -> None:
    log, rounds = MemoryLog(), list[float]()
    stop = threading.Event()

    def tune() -> Round:
        rounds.append(1.0)
        acts(log, 100, "a")
        threading.Timer(0.3, stop.set).start()
        return Round(0, 1000.0, "")  # a quarter of a core: the next one in 4,000 seconds

    acts(log, 100, "a")
    follow(log, Registry(tmp_path / "models"), Trigger(events=100), tune, lambda line: None, stop, poll=0.01)
    assert len(rounds) == 1


def test_a_round_runs_at_the_lowest_priority_and_its_processor_time_is_counted() -> None:
    code = "import os, sys; sum(range(10**7)); print('working'); print(os.nice(0)); sys.exit(3)"
    ended = run_round([sys.executable, "-c", code])
    assert (ended.status, ended.said) == (3, "19")
    assert ended.cpu_seconds > 0.0


def test_the_options_given_with_follow_are_those_of_each_round() -> None:
    given = [
        "shop.instep",
        "--follow",
        "--steps",
        "30",
        "--set",
        "a=1",
        "--set",
        "b=2",
        "--no-gate",
        "--promote",
    ]
    with command.make_context("tune", given) as context:
        found = given_options(context)
    assert found == ["--steps", "30", "--set", "a=1", "--set", "b=2", "--no-gate"]
