"""What there is, is documented: commands, options, addresses, metrics, verbs, entry points.

Configuration keys are compared with their page in `tests/serve/test_config.py`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from instep.serve.cli import COMMANDS, main
from instep.serve.http.service import ROUTES
from instep.serve.metrics import Metrics

ROOT = Path(__file__).parents[2]
DOCS = {page.name: page.read_text(encoding="utf-8") for page in ROOT.glob("docs/*.md")}
READMES = ("README.md", "README.zh-CN.md")
METHODS = r"(?:GET|POST|PUT|PATCH|DELETE)"


def subcommands(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(name, command)]
    return [(f"{name} {inner}", each) for inner, each in command.commands.items()]


def all_commands() -> list[tuple[str, click.Command]]:
    context = click.Context(main)
    found = []
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        found += subcommands(command, f"instep {name}")
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_table_of_commands(name: str) -> None:
    assert re.search(rf"^\| `instep {name}\b", DOCS["cli.md"], re.MULTILINE)


def test_every_option_of_a_command_is_documented() -> None:
    pages = "\n".join(DOCS[name] for name in ("cli.md", "files.md", "replay.md"))
    missing = [
        f"{name} {option}"
        for name, command in all_commands()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and not re.search(rf"{option}\b", pages)
    ]
    assert missing == []


def listed(text: str) -> set[str]:
    """The addresses a page lists, as `METHOD /path` with `{}` for what varies."""
    found = set()
    for methods, paths in re.findall(
        rf"({METHODS}(?:, {METHODS})*) +((?:(?:/[a-z{{][^\s;，；]*)\s*)+)", text
    ):
        for path in paths.split():
            plain = re.sub(r"\{\w+\}|\bID\b", "{}", path.split("?")[0].rstrip(".,`"))
            found |= {f"{method} {plain}" for method in methods.split(", ")}
    for path, method in re.findall(rf"(/v1/\w+) takes many|用 ({METHODS}) /v1/items", text):
        found.add(f"{method or 'POST'} {path or '/v1/items'}")
    return found


def test_every_address_of_the_service_is_listed_and_no_page_names_another() -> None:
    public = ("/v1/", "/health/", "/metrics")
    there = {
        f"{route.method} {re.sub(r'{[^}]*}', '{}', route.path)}"
        for route in ROUTES
        if route.path.startswith(public)
    }
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in READMES} | {
        "http.md": DOCS["http.md"]
    }
    for name, text in pages.items():
        mentioned = {one for one in listed(text) if one.split()[1].startswith(public)}
        assert (mentioned == there) if name == "http.md" else (mentioned <= there), name


def test_every_metric_is_documented() -> None:
    names = set(
        re.findall(r"^# TYPE instep_(\w+) (?!gauge_created)", Metrics().render().decode(), re.MULTILINE)
    )
    names = {name for name in names if not name.endswith("_created")}
    assert names
    assert {name for name in names if f"`{name}`" not in DOCS["http.md"]} == set()


def test_make_lists_its_verbs_and_the_pages_name_no_others() -> None:
    out = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    verbs = set(re.findall(r"^([a-z]+) {2,}\S", out, re.MULTILINE))
    assert verbs == {"help", "demo", "test", "lint", "bench", "docs", "clean"}
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in (*READMES, "CONTRIBUTING.md"))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    assert {"demo", "test"} <= named <= verbs


def test_every_entry_point_group_is_in_the_architecture() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    groups = set(re.findall(r"\"(instep\.(?:scorers|retrievers|policies|logs|\w+s))\"", source))
    groups = {group for group in groups if re.search(rf"(group=|find_part\()\"{re.escape(group)}\"", source)}
    assert groups == {"instep.logs", "instep.policies", "instep.retrievers", "instep.scorers"}
    assert {group for group in groups if f"| `{group}` |" not in DOCS["architecture.md"]} == set()
