"""CONTRIBUTING.md's scorer in eight steps, taken one after the other by nothing but what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
STEP = re.compile(r"^\*\*(\d)\. .*?(?=^\*\*\d\. |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(command: list[str], place: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_eight_steps_lead_to_a_scorer_that_works(tmp_path: Path) -> None:
    steps = {found[1]: found[0] for found in STEP.finditer(PAGE.read_text(encoding="utf-8"))}
    assert list(steps) == list("12345678")
    code = {number: found[1] for number, text in steps.items() if (found := BLOCK.search(text))}
    site = tmp_path / "site"
    # `pip install` needs no network and leaves this environment alone; what it installs is found on the path.
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(site),
        "PIP_TARGET": str(site),
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "INSTEP_ENCODER": "none",
    }
    run(["bash", "-ec", code["1"]], tmp_path, environment)
    place = tmp_path / "instep-plenty"
    for number in "234":
        named = re.search(r"`([\w.]+\.(?:py|toml))`", steps[number])
        assert named
        (place / named[1]).write_text(code[number])
    run(["bash", "-ec", code["5"]], place, environment)
    assert "4 passed" in run(["bash", "-ec", code["6"]], place, environment)
    (place / "shop.instep").mkdir()
    (place / "shop.instep" / "instep.toml").write_text(code["7"])
    printed = run([sys.executable, "-c", code["8"]], place, environment)
    assert f"# {printed.strip()}" in code["8"].splitlines()
