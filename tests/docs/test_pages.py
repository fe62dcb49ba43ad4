"""Links lead somewhere, files that are named exist, both READMEs say the same, versions agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import instep

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    inside = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in inside if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_the_project_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`(?:python )?((?:[\w.-]+/)+[\w.-]*)[^`]*`", page.read_text(encoding="utf-8"))
    ours = {name for name in named if name.split("/")[0] in OURS}
    places = (ROOT, ROOT / "src/instep")
    assert {name for name in ours if not any((place / name).exists() for place in places)} == set()


OURS = {"src", "tests", "benchmarks", "docs", "scripts", ".ci"} | {
    path.name for path in (ROOT / "src/instep").iterdir() if path.is_dir()
}


def test_both_readmes_have_the_same_sections_links_commands_and_results() -> None:
    for pattern in (
        r"^#+(?= )",  # depths of headings
        r"^(?:make|instep|curl|  -d) .*?(?=  #|$)",
        r"`(?:python|instep) [^`]*`",
        r"\]\((?!README)([^)]+?)(?:-zh)?(?:\.png)?\)",
        r"^\| .*? \| `python [^`]*` \| ([^|]*) \|$",
        r"\"[a-z_]+\"",
    ):
        english, chinese = (re.findall(pattern, text, re.MULTILINE) for text in (ENGLISH, CHINESE))
        assert english == chinese
        assert english


def test_the_versions_of_project_package_and_changelog_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == project == instep.__version__, "run `make test`, which installs the present version"
