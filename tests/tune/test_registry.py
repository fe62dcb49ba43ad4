"""The registry: a version is there whole or not at all, and what may serve is checked first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from instep.domain import ConfigError
from instep.tune.registry import BASE, Registry, Standing, UnknownVersion, Version


def add(registry: Registry, weights: bytes = b"w", **fields: object) -> Version:
    given = {"base": "minilm", "task": "matching", "method": "lora", "end": 50, "records": 40, **fields}
    with registry.draft() as draft:
        for part, name in (("weights", "adapter.safetensors"), ("model", "tokenizer.json")):
            (draft / part).mkdir()
            (draft / part / name).write_bytes(weights)
        return registry.add(draft, Version(**given))  # type: ignore[arg-type]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def test_a_folder_without_versions_serves_the_base(registry: Registry) -> None:
    assert registry.versions() == []
    assert registry.standing == Standing("", "")
    assert registry.prune(0) == []
    with pytest.raises(ConfigError, match="nothing to roll back"):
        registry.rollback()


def test_versions_are_numbered_and_read_back(registry: Registry) -> None:
    first = add(registry, config={"rate": 1e-4}, metrics={"hr": 0.5})
    second = add(registry, parent=first.name)
    assert [each.name for each in registry.versions()] == ["v0001", "v0002"]
    assert registry.get("v0001") == first
    assert first.created > 0
    assert len(first.hash) == 64
    assert first.hash == second.hash
    assert first.hash != add(registry, b"other").hash


def test_a_draft_that_is_not_added_leaves_nothing(registry: Registry) -> None:
    def fail() -> None:
        with registry.draft() as draft:
            (draft / "weights").mkdir()
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        fail()
    assert registry.names() == []
    assert not list(registry.folder.glob(".draft-*"))


def test_a_kill_while_writing_leaves_no_version(registry: Registry) -> None:
    code = f"""
import os
from pathlib import Path
from instep.tune.registry import Registry, Version
registry = Registry(Path({str(registry.folder)!r}))
Path.rename = lambda self, other: os.kill(os.getpid(), 9)
with registry.draft() as draft:
    (draft / "weights").mkdir()
    registry.add(draft, Version(base="b", task="t", method="m"))
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == -9
    assert registry.names() == []
    assert add(registry).name == "v0001"


@pytest.mark.parametrize("name", ["weights/model.bin", "weights/state.pt", "losses.pkl", "model/run.py"])
def test_pickles_and_programs_are_refused(registry: Registry, name: str) -> None:
    with registry.draft() as draft:
        (draft / name).parent.mkdir(exist_ok=True)
        (draft / name).write_bytes(b"\x80\x04")
        with pytest.raises(ConfigError, match=rf"{name}: a version holds .* runs what is written in it"):
            registry.add(draft, Version(base="b", task="t", method="m"))
    assert registry.names() == []


def test_links_are_refused_and_model_cards_left_out(registry: Registry) -> None:
    with registry.draft() as draft:
        (draft / "weights").mkdir()
        (draft / "weights" / "README.md").write_text("# card")
        version = registry.add(draft, Version(base="b", task="t", method="m"))
    assert not (registry.path(version.name) / "weights" / "README.md").exists()
    with registry.draft() as draft:
        (draft / "config.json").symlink_to("/etc/hosts")
        with pytest.raises(ConfigError, match="is a link"):
            registry.add(draft, Version(base="b", task="t", method="m"))


@pytest.mark.parametrize("name", ["v0009", "../v0001", "", "v1", "live.json"])
def test_a_version_that_is_not_there_is_named_with_those_that_are(registry: Registry, name: str) -> None:
    add(registry)
    with pytest.raises(UnknownVersion, match=r"is no version of .* \(v0001\)"):
        registry.get(name)


def test_promoting_remembers_what_was_live_and_rolling_back_exchanges_them(registry: Registry) -> None:
    add(registry)
    add(registry)
    registry.promote("v0001", records_now=40)
    registry.promote("v0002", records_now=40)
    assert (registry.live, registry.previous) == ("v0002", "v0001")
    registry.promote("v0002", records_now=40)
    assert registry.previous == "v0001"
    registry.rollback()
    assert (registry.live, registry.previous) == ("v0001", "v0002")
    registry.rollback()
    assert registry.live == "v0002"
    registry.promote(BASE)
    assert (registry.live, registry.previous) == ("", "v0002")


def test_a_version_whose_data_lost_a_user_is_refused(registry: Registry) -> None:
    add(registry)
    add(registry)
    with pytest.raises(ConfigError, match=r"erased from its data since \(1 of 40 records"):
        registry.promote("v0001", records_now=39, anyway=True)
    registry.promote("v0001", records_now=40)
    registry.promote("v0002", records_now=40)
    with pytest.raises(ConfigError, match="tune again without them"):
        registry.rollback(records_now=39)
    assert registry.live == "v0002"


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_version_whose_files_changed_is_corrupt(registry: Registry, change: str) -> None:
    file = registry.path(add(registry).name) / "weights" / "adapter.safetensors"
    if change == "edit":
        file.write_bytes(b"W")
    elif change == "add":
        file.with_name("more.json").write_text("{}")
    else:
        file.unlink()
    with pytest.raises(ConfigError, match="v0001: corrupt"):
        registry.promote("v0001", records_now=40)
    assert registry.live == ""


def test_a_damaged_description_is_named_and_does_not_hide_the_others(registry: Registry) -> None:
    add(registry)
    add(registry)
    (registry.path("v0001") / "version.json").write_text('{"name": "v00')
    assert [each.name for each in registry.versions()] == ["v0002"]
    with pytest.raises(ConfigError, match=r"version\.json: is corrupt"):
        registry.get("v0001")
    (registry.folder / "live.json").write_text("{")
    with pytest.raises(ConfigError, match=r"live\.json: is corrupt; delete it"):
        _ = registry.live


def test_what_the_gate_refused_is_promoted_only_anyway(registry: Registry) -> None:
    add(registry)
    assert registry.verdict("v0001") is None
    registry.write("v0001", "gate.json", {"passed": False, "reasons": ["worse for cold items"], "more": 1})
    with pytest.raises(ConfigError, match="the gate refused it: worse for cold items"):
        registry.promote("v0001", records_now=40)
    registry.promote("v0001", records_now=40, anyway=True)
    assert registry.live == "v0001"
    (registry.path("v0001") / "gate.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"gate\.json: is corrupt"):
        registry.verdict("v0001")


def test_pruning_keeps_what_serves_its_ancestors_and_the_newest(registry: Registry) -> None:
    for parent in ("", "", "v0002", "", "", ""):
        add(registry, parent=parent)
    registry.promote("v0003", records_now=40)
    registry.promote("v0004", records_now=40)
    assert registry.prune(1) == ["v0001", "v0005"]
    assert registry.names() == ["v0002", "v0003", "v0004", "v0006"]
    assert registry.prune(0) == ["v0006"]
    assert (registry.live, registry.previous) == ("v0004", "v0003")
    assert add(registry).name == "v0007"


def test_a_difference_names_what_differs_and_nothing_else(registry: Registry) -> None:
    add(registry, config={"rate": 0.1, "lora": {"rank": 4}}, metrics={"hr": 0.5})
    add(registry, config={"rate": 0.1, "lora": {"rank": 8}}, metrics={"hr": 0.6, "auc": 0.7})
    found = {each.what: (each.before, each.after) for each in registry.diff("v0001", "v0002")}
    assert found == {"config.lora.rank": (4, 8), "metrics.hr": (0.5, 0.6), "metrics.auc": (None, 0.7)}
    assert registry.diff("v0001", "v0001") == []


def test_the_registry_needs_no_torch() -> None:
    code = "import sys, instep.tune.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
