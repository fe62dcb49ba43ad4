"""`instep evaluate` from the outside: a folder's log, and the Open Bandit layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from instep.serve.app import open_app
from instep.serve.cli import main

START = 1_700_000_000.0
KEYS = [
    "log",
    "policy",
    "verdict",
    "headline",
    "gain",
    "logging",
    "estimates",
    "weights",
    "warnings",
    "missing",
    "left_out",
    "impressions",
    "reproduced",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 150 slates of 3, an hour apart, and clicks on their first items."""
    place = tmp_path_factory.mktemp("evaluate") / "shop.instep"
    place.mkdir()
    (place / "instep.toml").write_text('encoder = "none"\n[recommend]\nbudget = 1.0\nrepeat = true\n')
    rng = np.random.default_rng(0)
    with open_app(place) as app:
        for number in range(10):
            app.put_item(f"i{number}", title=f"Thing {number}")
        for number in range(150):
            now, user = START + 3600.0 * number, f"u{rng.integers(30)}"
            slate = app.recommend(user_id=user, n=3, now=now, request_id=f"s{number}")
            if rng.random() < 0.6:
                first = slate.items[0].item_id
                app.observe(first, user_id=user, type="click", slate_id=slate.slate_id, timestamp=now + 60)
    return place


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    file = tmp_path / "candidate.toml"
    file.write_text('[recommend]\npolicy = "greedy"\n')
    return file


def call(*args: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, args)])


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(msgspec.json.decode(result.stdout.splitlines()[-1]))


def test_one_object_of_the_documented_form_the_same_each_time(shop: Path, candidate: Path) -> None:
    first = call(shop, "--policy", candidate, "--window", 0.5, "--json")
    assert list(told(first)) == KEYS
    assert told(first)["reproduced"] == 1.0
    assert first.stdout == call(shop, "--policy", candidate, "--window", 0.5, "--json").stdout
    page = (Path(__file__).parents[3] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    for estimate in told(first)["estimates"]:
        assert f"`{estimate['name']}`" in page


def test_a_file_and_the_name_of_a_policy_say_the_same(shop: Path, candidate: Path) -> None:
    by_file = told(call(shop, "--policy", candidate, "--window", 0.5, "--json"))
    by_name = told(call(shop, "--policy", "greedy", "--window", 0.5, "--json"))
    assert by_file["estimates"] == by_name["estimates"]


def test_time_and_type_choose_what_is_counted(shop: Path) -> None:
    whole = told(call(shop, "--policy", "greedy", "--window", 0.5, "--json"))
    since = START + 3600.0 * 100
    part = told(call(shop, "--policy", "greedy", "--window", 0.5, "--since", since, "--json"))
    assert part["left_out"]["outside the selection"] == 100
    assert part["impressions"] == whole["impressions"] - 100
    none = told(call(shop, "--policy", "greedy", "--window", 0.5, "--type", "purchase", "--json"))
    assert (none["logging"]["value"], whole["logging"]["value"] > 0.3) == (0.0, True)


def test_people_get_a_table_and_what_speaks_against_it(shop: Path) -> None:
    result = call(shop, "--policy", "thompson", "--window", 0.5)
    assert result.exit_code == 0
    assert "cascade-dr" in result.stdout
    assert "left out: " in result.stdout


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[recommend\n", "is not valid TOML"),
        ('[recommend]\npolicy = "gredy"\n', "no instep.policies named 'gredy'"),
        ("[recommend]\npolitics = 1\n", "recommend.politics: there is no such setting; did you mean policy?"),
        ('[log]\nurl = "memory://"\n', "judged by the folder's own log"),
        ('[recommend]\nscorers = ["none"]\n', "no instep.scorers named 'none'"),
    ],
)
def test_a_candidate_that_is_wrong_is_named_with_what_is_wrong(
    shop: Path, tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "candidate.toml"
    file.write_text(text)
    result = call(shop, "--policy", file)
    assert result.exit_code == 1
    assert why in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("args", "status", "why"),
    [
        (("--policy", "nowhere.toml"), 1, "nowhere.toml: No such file"),
        (("--policy", "gredy"), 1, "no instep.policies named 'gredy'"),
        (("--policy", "greedy", "--since", "2099-01-01"), 1, "are outside --since"),
        (("--policy", "greedy", "--window", "9999"), 1, "give a shorter --window"),
        (("--policy", "greedy", "--window", "0"), 2, "--window"),
        (("--policy", "greedy", "--since", "soon"), 2, "soon: give 2024-05-01"),
        ((), 2, "--policy"),
    ],
)
def test_what_cannot_be_done_says_so(shop: Path, args: tuple[str, ...], status: int, why: str) -> None:
    result = call(shop, *args)
    assert (result.exit_code, why in result.stderr) == (status, True), result.output


def test_a_folder_without_a_log_is_not_given_one(tmp_path: Path) -> None:
    empty = tmp_path / "empty.instep"
    empty.mkdir()
    result = call(empty, "--policy", "greedy")
    assert result.exit_code == 1
    assert "there is no log in this folder yet" in result.stderr
    assert not list(empty.glob("log.*"))


# the Open Bandit layout


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """Two policies' logs of 600 rows: `random` is uniform over 4 items, `bts` shows items 0 and 1 alone."""
    rng = np.random.default_rng(1)
    for policy, items in (("random", 4), ("bts", 2)):
        folder = tmp_path / policy / "men"
        folder.mkdir(parents=True)
        rows = [
            f"{n},2019-11-24 00:{n // 60:02d}:{n % 60:02d}+00:00,{item},{n % 3 + 1},{int(rng.random() < 0.1 * item)},"
            f"{1 / items}"
            for n, item in enumerate(rng.integers(0, items, 600).tolist())
        ]
        head = ",timestamp,item_id,position,click,propensity_score"
        (folder / "men.csv").write_text("\n".join([head, *rows]) + "\n")
        context = [f"{item},{item},0.5" for item in range(4)]
        (folder / "item_context.csv").write_text("\n".join([",item_id,item_feature_0", *context]) + "\n")
    return tmp_path


def test_a_policy_is_judged_from_another_one_s_log(campaign: Path) -> None:
    result = told(call(campaign / "random/men", "--policy", campaign / "bts/men", "--json"))
    named = {each["name"]: each for each in result["estimates"]}
    assert list(named) == ["ips", "snips", "clipped-ips", "dm", "dr", "sndr", "switch-dr", "dr-os", "mrdr"]
    assert result["headline"] == "dr"
    low, high = named["dr"]["interval"]
    assert low < 0.05 < high  # items 0 and 1 are clicked with 0 and 0.1, shown half of the time each
    assert (result["impressions"], result["reproduced"]) == (600, None)


def test_a_log_judges_its_own_policy_by_what_it_earned(campaign: Path) -> None:
    result = told(call(campaign / "random/men", "--policy", "uniform", "--json"))
    ips = result["estimates"][0]
    assert ips["value"] == pytest.approx(result["logging"]["value"], rel=1e-12)


def test_a_table_of_probabilities_is_a_candidate(campaign: Path) -> None:
    table = campaign / "table.csv"
    table.write_text("item_id,position,probability\n" + "".join(f"3,{p},1.0\n" for p in (1, 2, 3)))
    result = told(call(campaign / "random/men", "--policy", table, "--json"))
    low, high = result["estimates"][0]["interval"]
    assert low < 0.3 < high


def test_without_overlap_it_is_refused_with_the_number(campaign: Path) -> None:
    table = campaign / "table.csv"
    table.write_text("item_id,position,probability\n" + "".join(f"3,{p},1.0\n" for p in (1, 2, 3)))
    result = call(campaign / "bts/men", "--policy", table)
    assert result.exit_code == 1
    assert "no overlap, so nothing is estimated" in result.stderr
    assert "the weights of 600 impressions average 0.0000, where 1 is full overlap" in result.stderr
    half = told(call(campaign / "bts/men", "--policy", campaign / "random/men", "--json"))
    assert half["verdict"] == "do not trust"
    assert any("the log covers only part" in doubt for doubt in half["warnings"])


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("9,1,1.0\n", "line 2: item 9 is not in the log"),
        ("3,7,1.0\n", "line 2: position 7 is not in the log"),
        ("3,1,1.5\n", "line 2: probability: must be from 0 to 1, not '1.5'"),
        ("3,1,nan\n", "line 2: probability: must be from 0 to 1, not 'nan'"),
        ("3,1,1.0\n3,2,1.0\n", "says nothing of position-3"),
        ("3,1,0.5\n3,2,1.0\n3,3,1.0\n", "the probabilities of position-1 sum to 0.500000, not 1"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_line(campaign: Path, rows: str, why: str) -> None:
    table = campaign / "table.csv"
    table.write_text("item_id,position,probability\n" + rows)
    result = call(campaign / "random/men", "--policy", table)
    assert (result.exit_code, why in result.stderr) == (1, True), result.output


@pytest.mark.parametrize(
    ("args", "status", "why"),
    [
        (("--policy", "bts"), 1, "there is no such file or folder"),
        (("--policy", "uniform", "--since", "2019-01-01"), 2, "--since: is for a folder"),
        (("--policy", "uniform", "--type", "click"), 2, "--type: is for a folder"),
    ],
)
def test_what_a_campaign_cannot_do_says_so(
    campaign: Path, args: tuple[str, ...], status: int, why: str
) -> None:
    result = call(campaign / "random/men", *args)
    assert (result.exit_code, why in result.stderr) == (status, True), result.output


def test_rows_that_cannot_be_read_are_counted(campaign: Path) -> None:
    with (campaign / "random/men/men.csv").open("a") as file:
        file.write("600,2019-11-24 01:00:00+00:00,3,1,0,0.0\n600,soon,3,1,0,0.25\n")
    result = told(call(campaign / "random/men", "--policy", "uniform", "--json"))
    assert result["left_out"] == {"rows that could not be read": 2}


def test_an_imported_campaign_is_judged_as_a_folder_too(campaign: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop.instep"
    made = CliRunner().invoke(
        main, ["import", str(folder), str(campaign / "random/men"), "--format", "open-bandit"]
    )
    assert made.exit_code == 0, made.output
    result = told(call(folder, "--policy", "greedy", "--window", 0.01, "--json"))
    assert result["impressions"] > 500
    assert result["estimates"][0]["name"] == "ips"
    assert result["reproduced"] is None  # the policy that logged was none of ours
    assert not any("again" in doubt for doubt in result["warnings"])
