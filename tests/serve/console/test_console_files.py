"""The live page's files: what is shipped, and what they may not contain."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from instep.retrieve import SOURCES
from instep.score.signals import SIGNALS
from instep.serve.console import asset, assets

VENDORED = "vendor/htm-preact.js"  # preact/standalone.module.js of the npm package htm 3.1.1
VENDORED_SHA256 = "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7"
PAGES = ("index.html", "experiments.html", "models.html")
OWN = sorted(name for name in assets() if not name.startswith("vendor/"))


def text(name: str) -> str:
    found = asset(name)
    assert found is not None
    return found.body.decode()


def test_the_vendored_library_is_the_published_file_and_has_its_licences() -> None:
    found = asset(VENDORED)
    assert found is not None
    assert sha256(found.body).hexdigest() == VENDORED_SHA256
    assert "Apache License" in text("vendor/LICENSE-htm")
    assert "MIT License" in text("vendor/LICENSE-preact")


def test_an_asset_s_tag_is_the_hash_of_its_bytes() -> None:
    for found in assets().values():
        assert found.etag == f'"{sha256(found.body).hexdigest()[:20]}"'


@pytest.mark.parametrize("path", ["../assets.py", "..%2fassets.py", "/etc/passwd", "", "vendor", "app.js/"])
def test_a_path_outside_the_page_is_no_asset(path: str) -> None:
    assert asset(path) is None


def test_every_file_that_another_one_names_is_shipped() -> None:
    page = re.findall(r'(?:href|src)="\./console/([^"]+)"', "".join(map(text, PAGES)))
    assert {"app.js", "experiments.js", "page.css", "icon.svg"} <= set(page)
    scripts = [name for name in OWN if name.endswith(".js")]
    imported = {path for name in scripts for path in re.findall(r'from "\./([^"]+)"', text(name))}
    assert set(page) | imported <= set(assets())


def test_no_file_names_another_origin() -> None:
    for name in OWN:
        addresses = set(re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z0-9.-]+", text(name)))
        assert addresses <= {"http://www.w3.org"}, name  # the name of SVG's namespace, which nobody fetches


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_inline_script_or_style(name: str) -> None:
    page = text(name)
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", page) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_signal_and_every_source_has_words(language: str) -> None:
    words = text(f"words.{language}.js")
    signals = words[words.index("const signals = {") : words.index("const sources = {")]
    sources = words[words.index("const sources = {") :].split("};")[0]
    assert set(SIGNALS) <= set(re.findall(r"^  (\w+): \{ alone:", signals, re.MULTILINE))
    assert set(SOURCES) <= set(re.findall(r"^  (\w+):", sources, re.MULTILINE))
