"""What obp says of its own sample: run by obp_parity.py, in an environment that has obp.

python obp_estimates.py SETTINGS.json > estimates.json
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from obp.dataset import OpenBanditDataset
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkage,
    InverseProbabilityWeighting,
    RegressionModel,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SlateIndependentIPS,
    SlateRewardInteractionIPS,
    SlateStandardIPS,
    SwitchDoublyRobust,
)
from obp.policy import BernoulliTS
from sklearn.linear_model import Ridge

PLACES = 3


def candidate(campaign: str, policy: str, items: int, draws: int) -> Any:
    """float64 (items, places): how likely a policy shows each item at each position."""
    if policy == "random":
        return np.full((items, PLACES), 1.0 / items)
    bts = BernoulliTS(
        n_actions=items, len_list=PLACES, is_zozotown_prior=True, campaign=campaign, random_state=12345
    )
    return bts.compute_batch_action_dist(n_rounds=1, n_sim=draws)[0]


def case(campaign: str, logged: str, policy: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Estimates of one policy from the other's log."""
    data = OpenBanditDataset(behavior_policy=logged, campaign=campaign).obtain_batch_bandit_feedback()
    n, items = data["n_rounds"], int(data["n_actions"])
    table = candidate(campaign, policy, items, settings["draws"])
    given = {name: data[name] for name in ("reward", "action", "pscore", "position")}
    given["action_dist"] = np.tile(table, (n, 1, 1))
    fitted = {}
    for method in ("normal", "mrdr"):
        model = RegressionModel(
            base_model=Ridge(alpha=settings["ridge"]), n_actions=items, len_list=PLACES, fitting_method=method
        )
        fitted[method] = model.fit_predict(context=np.zeros((n, 1)), **given)
    made = {
        "ips": (InverseProbabilityWeighting(), "normal"),
        "snips": (SelfNormalizedInverseProbabilityWeighting(), "normal"),
        "dm": (DirectMethod(), "normal"),
        "dr": (DoublyRobust(), "normal"),
        "sndr": (SelfNormalizedDoublyRobust(), "normal"),
        "switch-dr": (SwitchDoublyRobust(tau=settings["most"]), "normal"),
        "dr-os": (DoublyRobustWithShrinkage(lambda_=settings["lambda"]), "normal"),
        "mrdr": (DoublyRobust(), "mrdr"),
    }
    estimates, intervals = {}, {}
    for name, (estimator, method) in made.items():
        inputs = {**given, "estimated_rewards_by_reg_model": fitted[method]}
        estimates[name] = float(estimator.estimate_policy_value(**inputs))
        told = estimator.estimate_interval(**inputs, n_bootstrap_samples=1000, random_state=12345)
        intervals[name] = [float(told["95.0% CI (lower)"]), float(told["95.0% CI (upper)"])]
    return {
        "campaign": campaign,
        "log": logged,
        "policy": policy,
        "candidate": None if policy == "random" else table.T.tolist(),
        "earned": float(data["reward"].mean()),
        "estimates": estimates,
        "intervals": intervals,
    }


def slates(columns: dict[str, list[float]]) -> dict[str, float]:
    """Estimates of made-up slates: one row a place."""
    given = {name: np.array(column) for name, column in columns.items()}
    whole = {name: given[name] for name in ("slate_id", "reward", "position")}
    return {
        "slate-ips": float(
            SlateStandardIPS(len_list=PLACES).estimate_policy_value(
                **whole, pscore=given["logged_slate"], evaluation_policy_pscore=given["candidate_slate"]
            )
        ),
        "ips": float(
            SlateIndependentIPS(len_list=PLACES).estimate_policy_value(
                **whole,
                pscore_item_position=given["logged"],
                evaluation_policy_pscore_item_position=given["candidate"],
            )
        ),
        "cascade-ips": float(
            SlateRewardInteractionIPS(len_list=PLACES).estimate_policy_value(
                **whole,
                pscore_cascade=given["logged_prefix"],
                evaluation_policy_pscore_cascade=given["candidate_prefix"],
            )
        ),
    }


def main() -> None:
    """Read the settings, print the estimates as JSON on the last line."""
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    cases = [
        case(campaign, logged, policy, settings)
        for campaign in settings["campaigns"]
        for logged, policy in (("random", "bts"), ("bts", "random"))
    ]
    print(json.dumps({"cases": cases, "slates": slates(settings["slates"])}))


if __name__ == "__main__":
    main()
