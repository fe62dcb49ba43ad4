"""What the pages show runs: Python blocks, `instep` commands and requests with curl.

CONTRIBUTING.md's blocks make one walk of eight steps; `test_steps.py` takes it.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from click.testing import CliRunner

from instep.serve.app import open_app
from instep.serve.cli import main
from instep.serve.http import HttpSettings, Service, configure_logs, serving
from instep.tune.registry import Version

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/**/*.md")])
SERVING = {"serve": ["--exit-when-ready"], "demo": ["--exit-when-ready", "--ratings", "200"]}


class Block(NamedTuple):
    """A block of code: where it begins, its language ("" for an indented one), its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its shell commands, continued lines joined."""
        return self.text.replace("\\\n", " ").splitlines()


def blocks(page: Path) -> Iterator[Block]:
    """Fenced and indented blocks of a page, in order."""
    fence = r"^```(?P<language>\w*)\n(?P<fenced>.*?)^```$"
    indented = r"(?<=\n\n)(?P<indented>(?:(?: {4}[^\n]*)?\n)+)"
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(f"{fence}|{indented}", text, re.MULTILINE | re.DOTALL):
        content = found["fenced"] if found["indented"] is None else re.sub("^ {4}", "", found[0], flags=re.M)
        if content.strip():
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page, line, found["language"] or "", content)


def all_blocks(*, starts: str = "", language: str | None = None) -> list[object]:
    """Blocks of all pages with a line that starts so, or in a language, as parameters that name their place."""
    return [
        pytest.param(block, id=f"{block.page.relative_to(ROOT)}:{block.line}")
        for page in PAGES
        for block in blocks(page)
        if (language is None or block.language == language)
        and (not starts or re.search(f"^{starts} ", block.text, re.MULTILINE))
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with the files and the folder that the pages speak of."""
    place = tmp_path_factory.mktemp("prepared")
    films = ["The Wandering Earth", "Toy Story", "Heat", "Casablanca", "Amélie", "Seven"]
    moments = [
        (user, item, 1_500_000_000 + 60 * (user * 7 + item)) for user in range(12) for item in range(6)
    ]
    ratings = [
        (user, item, 3 + (user + item) % 3, at) for user, item, at in moments if (user * item) % 4 != 3
    ]
    (place / "ml-latest-small").mkdir()
    for folder in ("ml-latest-small", "."):
        write(place / folder / "ratings.csv", "userId,movieId,rating,timestamp", ratings)
    movies = [(number, f"{title} (2000)", "Drama|Comedy") for number, title in enumerate(films)]
    write(place / "ml-latest-small/movies.csv", "movieId,title,genres", movies)
    write(place / "films.csv", "item_id,title", list(enumerate(films)))
    bought = [(f"u{user}", item, at) for user, item, _, at in ratings]
    write(place / "purchases.csv", "CustomerID,StockCode,timestamp", bought)
    with open_app(place / "shop.instep", encoder="none") as app:
        app.put_item("i9", title="Green tea")
        app.observe("i9", user_id="u1", type="click")
        app.observe("i9", session="a1b2", type="click")
        app.observe("i9", user_id="u1", type="purchase", event_id="order-1234")
        for number in range(3):  # slates of some day, for `instep evaluate`
            day = 1_715_000_000.0 + 3600 * number
            slate = app.recommend(user_id=f"u{number + 2}", now=day, request_id=f"slate-{number}")
            app.observe(
                "i9", user_id=f"u{number + 2}", type="click", slate_id=slate.slate_id, timestamp=day + 60
            )
        for text in ("{}", "[]"):  # two versions of the language model, for `instep models`
            with app.models.registry.draft() as draft:
                (draft / "weights").mkdir()
                (draft / "weights" / "adapter.json").write_text(text)
                version = Version(base="english", task="matching", method="lora")
                name = app.models.registry.add(draft, version).name
            app.models.registry.write(name, "gate.json", {"passed": True, "reasons": []})
    arms = "".join(f'[[arms]]\nname = "{name}"\nshare = 0.5\n' for name in ("control", "wide"))
    (place / "bolder.toml").write_text(f'name = "bolder"\n{arms}settings = {{ policy = "plackett-luce" }}\n')
    (place / "candidate.toml").write_text('[recommend]\npolicy = "greedy"\n')
    CliRunner().invoke(main, ["keys", "add", str(place / "shop.instep"), "first"], catch_exceptions=False)
    return place


def write(path: Path, head: str, rows: Sequence[tuple[object, ...]]) -> None:
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")


@pytest.fixture
def sandbox(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working directory."""
    place = tmp_path / "place"
    shutil.copytree(prepared, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return place


@pytest.mark.parametrize("block", all_blocks(language="python"))
def test_a_python_block_runs_and_prints_what_it_says(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, f"{block.page.name}:{block.line}", "exec"), {"__name__": "example"})
    promised = re.findall(r"^ *print\(.*\)(?: +|\n)# (.*)$", block.text, re.MULTILINE)
    assert printed.getvalue().splitlines() == promised


@pytest.mark.parametrize("block", all_blocks(starts="instep"))
def test_the_commands_of_a_block_run_one_after_the_other(block: Block, sandbox: Path) -> None:
    commands = [shlex.split(line, comments=True) for line in block.commands if line.startswith("instep ")]
    for _, *arguments in commands:
        if "..." in arguments:  # a table of what there is
            continue
        arguments = ["0" if before == "--port" else word for before, word in pairwise(["", *arguments])]
        arguments += SERVING.get(arguments[0], [])
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, f"instep {shlex.join(arguments)}\n{result.output}"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with a small catalogue."""
    configure_logs("error")
    with open_app(tmp_path_factory.mktemp("served") / "shop.instep", encoder="none") as app:
        for number in range(12):
            app.put_item(f"i{number}", title=f"Tea {number}")
        settings = HttpSettings(port=0)
        with serving(Service(app.flow, settings, app.metrics), settings) as served:
            yield served


@pytest.mark.parametrize("block", all_blocks(starts="curl"))
def test_a_request_with_curl_is_answered(block: Block, address: str) -> None:
    for line in filter(None, block.commands):
        _, *words = shlex.split(line)
        given = dict(pairwise(words))
        url = next(word for word in words if word.startswith("localhost:8080"))
        answer = httpx.request(
            given.get("-X", "POST" if "-d" in given else "GET"),
            url.replace("localhost:8080", address, 1),
            content=given.get("-d"),
            headers=dict(word.split(": ", 1) for word in words if word.startswith("content-type: ")),
        )
        assert answer.status_code == 200, f"{line}\n{answer.text}"
