"""The trainer is killed at random, again and again: does it go on, and does it end where an unkilled one ends?

    python benchmarks/trainer_kill.py [--quick] [--json] [--kills N] [--seed N]

Two folders with one log (MovieLens, the demo's first events). In one, `instep tune` runs to its end. In the other it
gets SIGKILL at a random moment, again and again, and the same command is given anew each time. Then the losses of all
steps, and the bytes of the weights, are compared. `--quick`: two kills, few steps.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from instep.domain import Feedback, ItemPut
from instep.learn import fields_of
from instep.log import SqliteLog
from made_up.claims import tell
from quality import demo

EVENTS = 4000
INTERVAL = 2
SETTINGS = ("--set", "batch=4", "--set", "alike_items=16", "--threads", "1", "--track", "none", "--no-gate")


def make_folder(place: Path) -> None:
    """A folder whose log holds the stream's first events."""
    place.mkdir()
    stream = demo(0).first(EVENTS)
    start = float(stream.t[0])
    used = sorted({stream.items[item] for item in stream.item})
    records: list[Any] = [
        ItemPut(f"item:{item}", item, start, fields_of(stream.catalogue[item])) for item in used
    ]
    for at in range(len(stream)):
        user, item = stream.users[stream.user[at]], stream.items[stream.item[at]]
        records.append(Feedback(f"e{at}", user, item, float(stream.t[at]), "click"))
    log = SqliteLog(place / "log.sqlite")
    for at in range(0, len(records), 2000):
        log.append(records[at : at + 2000])
    log.close()


def start(place: Path, steps: int) -> subprocess.Popen[bytes]:
    """The command; the same each time."""
    words = [sys.executable, "-m", "instep", "tune", str(place), "--steps", str(steps)]
    words += ["--checkpoint-every", str(INTERVAL), *SETTINGS]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def steps_done(place: Path) -> int:
    """The step of the newest checkpoint of a run that has not ended."""
    found = [int(path.name[5:]) for path in place.glob("models/.runs/*/step-*")]
    return max(found, default=0)


def lines(place: Path) -> list[dict[str, Any]]:
    """The version's losses, without how long steps took."""
    text = (place / "models" / "v0001" / "losses.jsonl").read_bytes().splitlines()
    return [{k: v for k, v in msgspec.json.decode(each).items() if k != "seconds"} for each in text]


def kill_until_done(place: Path, steps: int, kills: int, seed: int) -> tuple[int, int]:
    """Kill the trainer at random moments, then let it end.

    Returns:
        Kills that hit it, and the most steps that one of them lost (steps told of since the last checkpoint).
    """
    rng, hit, lost = random.Random(seed), 0, 0
    while hit < kills:
        child = start(place, steps)
        before = steps_done(place)
        # Kills fall anywhere from the start of Python to the end of the second interval.
        aim = before + rng.choice((0, 0, INTERVAL, INTERVAL, 2 * INTERVAL))
        while child.poll() is None and steps_done(place) < aim:
            time.sleep(0.02)
        time.sleep(rng.random() * 3.0)
        if child.poll() is not None:
            break
        child.send_signal(signal.SIGKILL)
        child.wait()
        hit += 1
        told = [msgspec.json.decode(line)["step"] for path in place.glob("models/.runs/*/losses.jsonl")
                for line in path.read_bytes().splitlines() if line.endswith(b"}")]  # fmt: skip
        lost = max(lost, max(told, default=0) - steps_done(place))
        print(f"  kill {hit}: at step {max(told, default=0)}, checkpoint {steps_done(place)}", flush=True)
    if not (place / "models" / "v0001").exists() and start(place, steps).wait():
        raise SystemExit("the trainer failed after the kills")
    return hit, lost


def main() -> None:
    """Measure, and print the claims as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two kills, few steps")
    parser.add_argument("--json", action="store_true", help="the claims as one JSON object on the last line")
    parser.add_argument("--kills", type=int, default=0, help="how many (10; with --quick 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    kills = given.kills or (2 if given.quick else 10)
    steps = 6 if given.quick else 50
    with tempfile.TemporaryDirectory() as scratch:
        whole, cut = Path(scratch) / "whole.instep", Path(scratch) / "cut.instep"
        make_folder(whole)
        shutil.copytree(whole, cut)
        if start(whole, steps).wait():
            raise SystemExit("the trainer failed without being killed")
        hit, lost = kill_until_done(cut, steps, kills, given.seed)
        same = lines(whole) == lines(cut)
        losses = [[line["loss"] for line in lines(place) if "loss" in line][-1] for place in (whole, cut)]
        weights = [(p / "models/v0001/weights/adapter_model.safetensors").read_bytes() for p in (whole, cut)]
        versions = len(list((cut / "models").glob("v0*")))
    print(f"last loss {losses[0]:.6f} unkilled, {losses[1]:.6f} after {hit} kills; all losses equal: {same}")
    claims = [
        {
            "claim": "kills that the trainer came back from",
            "value": hit,
            "target": kills,
            "holds": hit >= kills,
        },
        {
            "claim": "steps lost by a kill, at most",
            "value": lost,
            "target": INTERVAL,
            "holds": lost <= INTERVAL,
        },
        {
            "claim": "difference of the last loss from the unkilled run's",
            "value": abs(losses[0] - losses[1]),
            "target": 0.0,
            "holds": losses[0] == losses[1],
        },
        {
            "claim": "every step's loss and the weights are those of the unkilled run, to the bit",
            "value": same and weights[0] == weights[1],
            "target": True,
            "holds": same and weights[0] == weights[1],
        },
        {"claim": "versions that came of it", "value": versions, "target": 1, "holds": versions == 1},
    ]
    tell(claims, given.json)


if __name__ == "__main__":
    main()
