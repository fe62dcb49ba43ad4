"""`instep replay` from the outside."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from instep.serve.cli import main

SYSTEM_KEYS = [
    "name",
    "hr",
    "ndcg",
    "mrr",
    "coverage",
    "gini",
    "ild",
    "cold_items",
    "cold_users",
    "recommend_us",
    "observe_us",
    "events_per_s",
    "peak_rss_mib",
]
TIMES = ("recommend_us", "observe_us", "events_per_s", "peak_rss_mib")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with events.csv and items.csv; vectors are cached in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(3)
    lines = ["user_id,item_id,timestamp,value"]
    lines += [
        f"u{rng.integers(12)},i{rng.integers(40)},{1_500_000_000 + n // 2},{rng.integers(1, 6)}"
        for n in range(300)
    ]
    (tmp_path / "events.csv").write_text("\n".join(lines) + "\n")
    titles = [f"i{i},{'Red' if i % 2 else 'Blue'} mug number {i},mugs" for i in range(45)]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,title,categories", *titles]) + "\n")
    return tmp_path


def call(*args: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, args)])


def untimed(output: str) -> dict[str, object]:
    """The JSON of the last line without what a clock or the kernel measured."""
    result = msgspec.json.decode(output.splitlines()[-1])
    for system in result["systems"]:
        for name in TIMES:
            system.pop(name)
    return dict(result)


def test_the_last_line_is_one_object_of_the_documented_form(shop: Path) -> None:
    done = call(shop / "events.csv", "--items", shop / "items.csv", "--with", "bpr,popularity", "--json")
    assert done.exit_code == 0, done.output
    result = msgspec.json.decode(done.stdout.splitlines()[-1])
    assert list(result) == ["dataset", "events", "scored", "users", "items", "systems", "seed", "version"]
    assert (result["dataset"], result["events"], result["items"]) == ("events", 300, 45)
    assert [system["name"] for system in result["systems"]] == ["instep", "bpr", "popularity"]
    for system in result["systems"]:
        assert list(system) == SYSTEM_KEYS
        assert list(system["cold_items"]) == list(system["cold_users"]) == ["n", "hr", "ndcg"]
        assert list(system["recommend_us"]) == list(system["observe_us"]) == ["p50", "p99"]
        assert 0 <= system["ndcg"] <= system["hr"] <= 1


def test_columns_with_other_names_are_mapped_in_either_file(shop: Path) -> None:
    plain = call(shop / "events.csv", "--items", shop / "items.csv", "--json")
    events, items = shop / "events.csv", shop / "items.csv"
    events.write_text(events.read_text().replace("timestamp", "clicked", 1))
    items.write_text(items.read_text().replace("title", "Headline", 1))
    maps = ("--map", "timestamp=clicked", "--map", "title=Headline")
    mapped = call(events, "--items", items, *maps, "--json")
    assert mapped.exit_code == 0, mapped.output
    assert untimed(mapped.stdout) == untimed(plain.stdout)
    wrong = call(events, "--items", items, *maps, "--map", "price=cost")
    assert wrong.exit_code == 1
    assert "--map price=cost: no column cost in" in wrong.output
    folder = call(shop, "--map", "timestamp=clicked", "--map", "title=Headline", "--json")
    assert folder.exit_code == 0, folder.output


def test_two_runs_print_the_same_but_for_the_clock(shop: Path) -> None:
    args = (shop / "events.csv", "--items", shop / "items.csv", "--with", "raisgd,ease", "--json")
    assert untimed(call(*args).stdout) == untimed(call(*args).stdout)


def test_another_order_of_rows_prints_the_same(shop: Path) -> None:
    first = untimed(call(shop / "events.csv", "--with", "transitions", "--json").stdout)
    head, *rows = (shop / "events.csv").read_text().splitlines()
    np.random.default_rng(0).shuffle(rows)
    (shop / "events.csv").write_text("\n".join([head, *rows]) + "\n")
    assert untimed(call(shop / "events.csv", "--with", "transitions", "--json").stdout) == first


def test_options_reach_the_protocol(shop: Path) -> None:
    def scored(*args: object) -> tuple[int, int]:
        result = untimed(call(shop / "events.csv", *args, "--json").stdout)
        return int(str(result["events"])), int(str(result["scored"]))

    every = scored("--repeat", "--warmup", 0)
    assert every == (300, 300)
    assert scored("--repeat", "--warmup", 0.5) == (300, 150)
    assert scored("--repeat", "--warmup", 0, "--limit", 50) == (50, 50)
    assert scored("--warmup", 0)[1] < 300
    assert 0 < scored("--positive", "value >= 4")[0] < 300


def test_people_get_a_table(shop: Path) -> None:
    done = call(shop / "events.csv", "--with", "popularity", "--k", 5)
    assert done.exit_code == 0
    assert "HR@5" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == ["instep", "popularity"]


def test_a_report_is_written_where_it_is_asked_for(shop: Path) -> None:
    done = call(shop / "events.csv", "--items", shop / "items.csv", "--report", shop / "out", "--json")
    assert done.exit_code == 0, done.output
    page = (shop / "out" / "index.html").read_text()
    for title in ("Side by side", "Quality over time", "Freshness", "What the ranker trusts", "Latency"):
        assert f"<h2>{title}</h2>" in page
    assert msgspec.json.decode((shop / "out" / "result.json").read_bytes())["dataset"] == "events"


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("--with", "bprr"), 2, "no system 'bprr'; did you mean bpr"),
        (("--ties", "maybe"), 2, "'group', 'file'"),
        (("--warmup", "1"), 2, "0<=x<1"),
        (("--positive", "stars > 3"), 2, "no field stars"),
        (("--positive", "value >"), 2, "--positive 'value >'"),
        (("--delay", "1", "--delay-items", "1"), 2, "not both"),
        (("--delay-items", "5", "--with", "bpr"), 2, "bpr learns users together"),
    ],
)
def test_what_cannot_be_done_says_so_before_any_work(
    shop: Path, args: tuple[str, ...], status: int, message: str
) -> None:
    done = call(shop / "events.csv", *args)
    assert (done.exit_code, message in done.output) == (status, True), done.output
