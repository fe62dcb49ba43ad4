"""Off-policy estimates beside obp's, on the sample of the Open Bandit Dataset that obp's wheel holds.

    python benchmarks/obp_parity.py [--quick] [--json] [--freeze]

Six logs of 10,000 rows each (two policies, three campaigns): the value of the BTS policy is estimated from the random
policy's log, and back. Candidates are obp's own tables of the policies (100,000 simulated choices for BTS). Both sides
get the same limits and the same model of rewards, ridge regression, which each fits with its own code. The table's
intervals are each side's own: ours with limits tuned on the log and cross-fitted. obp 0.4.1 runs in an environment of
its own, made under .bench/obp when it is missing (torch is most of it); `--quick` compares with what it gave when it
was last run with `--freeze` (tests/evaluate/offpolicy/obp.json). The wheel is fetched once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from instep.evaluate.offpolicy import (
    Logged,
    Rounds,
    Verdict,
    cascade_ips,
    dm,
    dr,
    dros,
    ips,
    judge,
    read_choices,
    rounds_of,
    slate_ips,
    sndr,
    snips,
    switch_dr,
)
from instep.evaluate.offpolicy.open_bandit import judged_choices
from instep.evaluate.offpolicy.rates import RIDGE, robust_weights

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".bench"
FROZEN: Final = ROOT / "tests" / "evaluate" / "offpolicy" / "obp.json"
WHEEL: Final = "obp==0.4.1"
NEEDS: Final = ("torch==2.13.0", "numpy<2", "pandas<2", "scikit-learn<1.6", "scipy<1.13", "mypy-extensions")
MORE: Final = ("pyyaml", "tqdm", "matplotlib", "seaborn")
CAMPAIGNS: Final = ("men", "women", "all")
MOST: Final = 5.0
LAMBDA: Final = 50.0
AGREE: Final = 1e-6


@dataclass(frozen=True)
class Claim:
    """One line of the JSON object."""

    claim: str
    value: float
    target: float
    holds: bool


def sample(cache: Path = CACHE) -> Path:
    """The folder of the six logs, out of the obp wheel, which is fetched once and not installed.

    Raises:
        subprocess.CalledProcessError: it cannot be fetched.
    """
    folder = cache / "open-bandit"
    if not (folder / "bts" / "men" / "men.csv").exists():
        cache.mkdir(parents=True, exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1"]
        subprocess.run([*fetch, "--dest", str(cache), WHEEL], check=True, capture_output=True)
        inside = "obp/dataset/obd/"
        with zipfile.ZipFile(next(cache.glob("obp-*.whl"))) as archive:
            for name in archive.namelist():
                if name.startswith(inside) and name.endswith(".csv"):
                    target = folder / name.removeprefix(inside)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(name))
    return folder


def made_up_slates() -> dict[str, NDArray[np.float64]]:
    """Arrays (500, 3): rewards and propensities of slates, for the estimators that the sample cannot feed."""
    rng = np.random.default_rng(0)
    logged, candidate = (rng.uniform(0.1, 0.9, (500, 3)) for _ in range(2))
    return {"reward": (rng.random((500, 3)) < 0.3).astype(float), "logged": logged, "candidate": candidate}


def slate_columns() -> dict[str, list[float]]:
    """The same, one row a place, as obp wants it."""
    given = made_up_slates()
    n, k = given["reward"].shape
    columns = {"slate_id": np.repeat(np.arange(n), k), "position": np.tile(np.arange(k), n)}
    columns |= {name: array.reshape(-1) for name, array in given.items()}
    for name in ("logged", "candidate"):
        columns[f"{name}_prefix"] = np.cumprod(given[name], 1).reshape(-1)
        columns[f"{name}_slate"] = np.repeat(given[name].prod(1), k)
    return {name: column.tolist() for name, column in columns.items()}


def our_slates() -> dict[str, float]:
    """Our estimates of them."""
    given = made_up_slates()
    weight, reward = given["candidate"] / given["logged"], given["reward"]
    prefix, none = np.cumprod(weight, 1), np.zeros_like(weight)
    return {
        "slate-ips": float(slate_ips(prefix, reward).mean()),
        "ips": float(ips(Rounds(weight, reward, none, none)).mean()),
        "cascade-ips": float(cascade_ips(prefix, reward).mean()),
    }


def logged_choices(folder: Path, case: dict[str, Any]) -> Logged:
    """One of the logs, with what a case's candidate thinks of it."""
    choices = read_choices(folder / case["log"] / case["campaign"])
    shape = (len(choices.positions), len(choices.items))
    if case["candidate"] is None:
        return judged_choices(choices, np.full(shape, 1.0 / shape[1]))
    order = [int(name) for name in choices.items]
    return judged_choices(choices, np.array(case["candidate"])[:, order])


def our_estimates(log: Logged) -> dict[str, float]:
    """The estimators that obp has too, with the settings that it was given: one fit on everything, fixed limits."""
    rounds = rounds_of(log, folds=1)
    robust = rounds_of(log, robust_weights(log.candidate_marginal, log.logged_marginal), folds=1)
    parts = {
        "ips": ips(rounds),
        "snips": snips(rounds),
        "dm": dm(rounds),
        "dr": dr(rounds),
        "sndr": sndr(rounds),
        "switch-dr": switch_dr(rounds, MOST),
        "dr-os": dros(rounds, LAMBDA),
        "mrdr": dr(robust),
    }
    return {name: float(part.mean()) for name, part in parts.items()}


def run_obp() -> dict[str, Any]:
    """What obp says, in its own environment."""
    place = CACHE / "obp"
    python = place / "bin" / "python"
    if not python.exists():
        print("making an environment for obp", file=sys.stderr)
        venv.create(place, with_pip=True)
    if subprocess.run([python, "-c", "import obp.ope"], capture_output=True).returncode:
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *NEEDS, *MORE], check=True)
        subprocess.run([*pip, "--no-deps", WHEEL], check=True)
    settings = {
        "campaigns": CAMPAIGNS,
        "draws": 100_000,
        "ridge": RIDGE,
        "most": MOST,
        "lambda": LAMBDA,
        "slates": slate_columns(),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.json"
        file.write_text(json.dumps(settings))
        adapter = Path(__file__).resolve().parent / "adapters" / "obp_estimates.py"
        done = subprocess.run([python, adapter, file], check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def compare(told: dict[str, Any], folder: Path) -> tuple[list[Claim], list[tuple[dict[str, Any], Verdict]]]:
    """The largest difference of each estimator, and our own verdict on each case."""
    worst: dict[str, float] = {}
    verdicts = []
    for case in told["cases"]:
        log = logged_choices(folder, case)
        for name, value in our_estimates(log).items():
            worst[name] = max(worst.get(name, 0.0), abs(value - case["estimates"][name]))
        verdicts.append((case, judge(log)))
    for name, value in our_slates().items():
        worst[f"{name} of slates"] = abs(value - told["slates"][name])
    claims = [
        Claim(f"{name}: largest difference from obp", value, AGREE, value <= AGREE)
        for name, value in worst.items()
    ]
    inside = [
        verdict.best.interval.low <= on_policy(told, case) <= verdict.best.interval.high
        for case, verdict in verdicts
    ]
    share = float(np.mean(inside))
    claims.append(
        Claim(
            "share of our intervals that hold what the candidate's own log earned", share, 0.8, share >= 0.8
        )
    )
    return claims, verdicts


def on_policy(told: dict[str, Any], case: dict[str, Any]) -> float:
    """What a case's candidate earned where it was the one that logged."""
    return next(
        float(other["earned"])
        for other in told["cases"]
        if other["campaign"] == case["campaign"] and other["log"] == case["policy"]
    )


def show(told: dict[str, Any], verdicts: Sequence[tuple[dict[str, Any], Verdict]]) -> None:
    """Estimates side by side, clicks in a thousand impressions."""
    table = Table(title="clicks in 1,000 impressions, 95 % intervals")
    for column in ("campaign", "of, from the log of", "its own log", "estimator", "obp", "Instep"):
        table.add_column(column)
    for case, verdict in verdicts:
        named = {each.name: each for each in verdict.estimates}
        for name in ("ips", "snips", "dm", "dr", "dr-os", "mrdr"):
            ours, theirs = named[name], case["intervals"][name]
            table.add_row(
                case["campaign"],
                f"{case['policy']}, {case['log']}",
                f"{1000 * on_policy(told, case):.1f}",
                name,
                _thousandths(case["estimates"][name], *theirs),
                _thousandths(ours.value, ours.interval.low, ours.interval.high),
            )
    Console(width=120).print(table)


def _thousandths(value: float, low: float, high: float) -> str:
    return f"{1000 * value:.2f} [{1000 * low:.2f}, {1000 * high:.2f}]"


def main() -> None:
    """Print the table and the claims."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="compare with obp's frozen outputs")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--freeze", action="store_true", help="keep obp's outputs for --quick and the tests")
    given = parser.parse_args()
    told = json.loads(FROZEN.read_text()) if given.quick else run_obp()
    if given.freeze and not given.quick:
        FROZEN.write_text(json.dumps(told) + "\n")
    claims, verdicts = compare(told, sample())
    show(told, verdicts)
    for claim in claims:
        print(
            f"{'holds' if claim.holds else 'MISSED'}  {claim.claim}: {claim.value:.2g} (target {claim.target:g})"
        )
    if given.json:
        print(json.dumps({"claims": [asdict(claim) for claim in claims]}))


if __name__ == "__main__":
    main()
